//! Random writes, persists and restarts: the answer is the model's every time, under every plan.

use crate::model::{
    Deletion, Fields, Model, Point, Question, Tags, check, check_all, delete, quoted,
};
use crate::random::Dice;
use crate::setup::{Home, Node, Options};

const DAY_NS: i64 = 86_400_000_000_000;

/// How many steps from a write to the appearance of one more tag and field.
const STEPS_PER_COLUMN: u64 = 8;

const TEXTS: [&str; 6] = [
    "",
    "a",
    "say \"hi\"",
    "back\\slash",
    "ü,= x",
    "long text without end",
];

fn time(dice: &mut Dice) -> i64 {
    let near = dice.below(40) as i64;
    match dice.below(12) {
        0 => i64::MIN + near % 2,
        1 => i64::MAX - near % 2,
        2 => -near,
        3 => (near - 20) * DAY_NS,
        4 => (near % 5) * DAY_NS + dice.below(5) as i64,
        5 => near * 365 * DAY_NS / 4,
        _ => near,
    }
}

fn value(dice: &mut Dice, field: u64) -> String {
    let number = dice.below(1000) as i64 - 500;
    match field % 5 {
        0 => match dice.below(10) {
            0 => "1e300".parse::<f64>().expect("a float").to_string(),
            _ => (number as f64 / 8.0).to_string(),
        },
        1 => match dice.below(10) {
            0 => format!("{}i", i64::MIN),
            1 => format!("{}i", i64::MAX),
            _ => format!("{number}i"),
        },
        2 => match dice.below(10) {
            0 => format!("{}u", u64::MAX),
            _ => format!("{}u", number.unsigned_abs()),
        },
        3 => {
            let text = dice.pick(&TEXTS);
            quoted(text)
        }
        _ => (number % 2 == 0).to_string(),
    }
}

/// Some points; the later the step, the more tags and fields there are.
fn points(dice: &mut Dice, step: u64) -> Vec<Point> {
    let columns = 2 + (step / STEPS_PER_COLUMN).min(6);
    (0..1 + dice.below(30))
        .map(|_| {
            let mut tags = Tags::new();
            for tag in 0..columns.min(5) {
                if dice.one_in(2) {
                    let value = *dice.pick(&["a", "b", "c d", "ä,=", "\u{1}"]);
                    tags.insert(format!("tag {tag}"), value.to_string());
                }
            }
            let mut fields = Fields::new();
            let always = dice.below(columns);
            for field in 0..columns {
                if field == always || dice.one_in(3) {
                    fields.insert(format!("field{field}"), value(dice, field));
                }
            }
            Point {
                table: format!("table{}", dice.below(3)),
                tags,
                fields,
                time: time(dice),
            }
        })
        .collect()
}

fn question(dice: &mut Dice) -> Question {
    let mut question = Question::all(*dice.pick(&[1, 4]));
    if dice.one_in(2) {
        let (a, b) = (time(dice), time(dice));
        question.times = a.min(b)..=a.max(b);
    }
    if dice.one_in(2) {
        let value = *dice.pick(&["a", "b", "c d", "nobody"]);
        question.tag = Some((format!("tag {}", dice.below(5)), value.to_string()));
    }
    for field in 0..8 {
        if dice.one_in(5) {
            question.without.insert(format!("field{field}"));
        }
    }
    question
}

fn deletion(dice: &mut Dice) -> Deletion {
    let question = question(dice);
    Deletion {
        times: question.times,
        tag: question.tag,
        field: dice.one_in(2).then(|| format!("field{}", dice.below(8))),
    }
}

async fn restart(home: Home, node: Node, dice: &mut Dice, options: Options) -> (Home, Node) {
    let home = match (&home, dice.below(3)) {
        (_, 0) => {
            node.close().await;
            home
        }
        // Not while the engine persists behind the test's back: the copy would be of no one moment.
        (Home::Folder(_), 1) if options.buffer_bytes_max > 1 << 20 => {
            // The old process never gets to know: what counts is what was on disk at this moment.
            let copy = home.copy();
            node.drop_engine().await;
            copy
        }
        _ => {
            node.drop_engine().await;
            home
        }
    };
    let node = home.open_with(options).await.expect("open again");
    (home, node)
}

async fn run(mut home: Home, seed: u64, steps: u64, options: Options) {
    let mut dice = Dice::new(seed);
    let mut model = Model::default();
    let mut node = home.open_with(options).await.expect("open");
    for step in 0..steps {
        match dice.below(14) {
            0 | 1 => node.engine.persist().await.expect("persist"),
            10 => node.engine.compact().await.expect("compact"),
            11 | 12 => {
                let table = format!("table{}", dice.below(3));
                let deletion = deletion(&mut dice);
                let expected = model.delete(&table, &deletion);
                let deleted = delete(&node, &table, &deletion).await.expect("delete");
                assert_eq!(deleted, expected, "{deletion:?}");
            }
            2 => (home, node) = restart(home, node, &mut dice, options).await,
            _ => {
                let text = model.write(&points(&mut dice, step));
                node.write(&text).await;
            }
        }
        let questions = [question(&mut dice), question(&mut dice)];
        check(&node, &model, &questions).await;
    }
    check_all(&node, &model).await;
    node.engine.persist().await.expect("persist");
    check_all(&node, &model).await;
    node.engine.compact().await.expect("compact");
    check_all(&node, &model).await;
    let (_home, node) = restart(home, node, &mut dice, options).await;
    check_all(&node, &model).await;
    node.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_models_on_a_store_in_memory() {
    for seed in 0..5 {
        run(Home::memory(), seed, 45, Options::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_models_in_a_folder() {
    for seed in 100..103 {
        run(Home::folder(), seed, 40, Options::default()).await;
    }
}

/// As little room as the engine can live with: it persists behind the test's back, and while replaying.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_the_models_with_hardly_any_memory() {
    let options = Options {
        buffer_bytes_max: 20_000,
        ..Options::default()
    };
    for seed in 200..202 {
        run(Home::folder(), seed, 50, options).await;
    }
}

/// Groups large enough to be split by series, over a file and buffered rows that overlap.
#[tokio::test(flavor = "multi_thread")]
async fn large_groups_give_the_same_rows_however_they_are_split() {
    let home = Home::memory();
    let node = home.open().await;
    let mut model = Model::default();
    let rows = |from: i64, to: i64, field: &str| -> Vec<Point> {
        (from..to)
            .map(|row| Point {
                table: "big".to_string(),
                tags: Tags::from([("host".to_string(), format!("h{}", row % 7))]),
                fields: Fields::from([(field.to_string(), format!("{row}i"))]),
                time: row / 7,
            })
            .collect()
    };
    let text = model.write(&rows(0, 70_000, "a"));
    node.write(&text).await;
    node.engine.persist().await.expect("persist");
    let text = model.write(&rows(50_000, 80_000, "b"));
    node.write(&text).await;
    let text = model.write(&rows(60_000, 61_000, "a"));
    node.write(&text).await;
    let mut some = Question::all(3);
    some.tag = Some(("host".to_string(), "h3".to_string()));
    some.times = 4_000..=9_000;
    let questions = [Question::all(1), Question::all(3), Question::all(16), some];
    check(&node, &model, &questions).await;
    node.engine.persist().await.expect("persist");
    check(&node, &model, &questions).await;
}

#[tokio::test]
async fn few_series_of_many_small_files_are_found_in_each_that_has_them() {
    let home = Home::memory();
    let options = Options {
        compacts: false,
        ..Options::default()
    };
    let node = home.open_with(options).await.expect("open");
    let mut model = Model::default();
    // Forty hosts, of which each file lacks some; rows overlap those of the file before.
    for file in 0..40 {
        let points: Vec<Point> = (0..40)
            .filter(|host| (host + file) % 7 > 0)
            .flat_map(|host| (0..3).map(move |row| (host, file * 2 + row)))
            .map(|(host, time)| Point {
                table: "cpu".to_string(),
                tags: Tags::from([("host".to_string(), format!("h{host:02}"))]),
                fields: Fields::from([("a".to_string(), format!("{}i", host + file))]),
                time,
            })
            .collect();
        let text = model.write(&points);
        node.write(&text).await;
        node.engine.persist().await.expect("persist");
    }
    assert_eq!(node.engine.statistics().files, 40);
    let mut questions = vec![Question::all(1), Question::all(4)];
    for host in ["h00", "h07", "h39", "none"] {
        let mut of_host = Question::all(2);
        of_host.tag = Some(("host".to_string(), host.to_string()));
        questions.push(of_host.clone());
        of_host.times = 11..=30;
        questions.push(of_host);
    }
    check(&node, &model, &questions).await;
}
