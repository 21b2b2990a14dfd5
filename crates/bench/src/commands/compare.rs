//! `influxdb3-bench compare A B`: two servers, the same work for each in turn, and the ratios pair by pair.
//!
//! A machine has good and bad minutes. What is measured one right after the other has the same ones, so the ratio of a pair says more than two
//! figures taken an hour apart; the spread of the pairs says how much it is worth.

use crate::client::ServerKind;
use crate::commands::load::RequestOptions;
use crate::engine::{Engine, Server};
use crate::queries::{Kind, Kinds};
use crate::record::Record;
use crate::report::table::{Table, number};
use crate::workload::WorkloadOptions;
use crate::{Error, run_words};
use std::collections::BTreeMap;
use std::path::Path;

const DATABASE: &str = "benchmark";

/// Give two servers the same work in turn, and show the ratios
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// The server to compare with: a program, or KIND=PROGRAM (influxdb3, influxdb1, victoriametrics)
    a: Engine,

    /// The server that is compared
    b: Engine,

    #[command(flatten)]
    workload: WorkloadOptions,

    #[command(flatten)]
    requests: RequestOptions,

    /// Types of questions
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "single-groupby-1-1-1,single-groupby-5-8-1,cpu-max-all-8,double-groupby-1,double-groupby-all"
    )]
    tsbs: Vec<Kinds>,

    /// How many questions of each type, in each round
    #[arg(long, default_value_t = 20)]
    count: usize,

    /// How often each does everything
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// How long nothing may have happened before a loaded server is at rest
    #[arg(long, default_value = "30s")]
    quiet: String,
}

/// Fewer pairs than this tell nothing.
const PAIRS_LEAST: usize = 3;

/// What is compared: command and name of the record, figure, and whether more is better.
const FIGURES: &[(&str, &str, bool)] = &[
    ("load", "rows_per_s", true),
    ("load", "cpu_us_per_row", false),
    ("load", "settling_cpu_s", false),
    ("load", "bytes_per_value", false),
    ("load", "peak_bytes", false),
    ("query", "p50_ms", false),
    ("query", "p99_ms", false),
    ("query", "cpu_ms", false),
];

pub(crate) async fn run(options: Options) -> Result<(), Error> {
    if options.rounds == 0 {
        return Err("--rounds is 0: there is nothing to compare".into());
    }
    let work = tempfile::tempdir()?;
    let sides = [&options.a, &options.b];
    let records: [_; 2] = ["a.jsonl", "b.jsonl"].map(|name| work.path().join(name));
    let mut servers: [Option<(tempfile::TempDir, Server)>; 2] = [None, None];
    for round in 0..options.rounds {
        for side in in_turn(round) {
            // Only one of them runs while something is loaded.
            servers[side] = None;
            let folder = tempfile::tempdir_in(work.path())?;
            let server = sides[side].start(folder.path(), &[]).await?;
            let words = load_words(&options, sides[side].kind, &server, &records[side]);
            run_words(words).await?;
            server.stop().await?;
            if round + 1 == options.rounds {
                let server = sides[side].start(folder.path(), &[]).await?;
                servers[side] = Some((folder, server));
            }
        }
    }
    let kinds: Vec<Kind> = options
        .tsbs
        .iter()
        .flat_map(|kinds| kinds.0.iter().copied())
        .collect();
    let aligned = sides
        .iter()
        .any(|engine| engine.kind == ServerKind::Victoriametrics);
    for kind in kinds {
        for round in 0..options.rounds {
            for side in in_turn(round) {
                let Some((_, server)) = &servers[side] else {
                    continue;
                };
                let words = query_words(
                    &options,
                    kind,
                    aligned,
                    sides[side].kind,
                    server,
                    &records[side],
                );
                run_words(words).await?;
            }
        }
    }
    let [a, b] = records.map(|path| Record::read(&path));
    println!(
        "\nA is {}\nB is {}\n\n{}",
        options.a,
        options.b,
        table(&a?, &b?)?
    );
    Ok(())
}

/// Who goes first changes.
fn in_turn(round: usize) -> [usize; 2] {
    if round.is_multiple_of(2) {
        [0, 1]
    } else {
        [1, 0]
    }
}

fn words(command: &str, server: &Server, kind: ServerKind, record: &Path) -> Vec<String> {
    [
        "influxdb3-bench",
        command,
        "--host",
        &server.url(),
        "--database",
        DATABASE,
        "--server",
        kind.name(),
        "--server-pid",
        &server.id().to_string(),
        "--record",
        &record.display().to_string(),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn load_words(options: &Options, kind: ServerKind, server: &Server, record: &Path) -> Vec<String> {
    let mut words = words("load", server, kind, record);
    words.extend(options.workload.words());
    words.extend(options.requests.words());
    words.extend([
        "--data-folder".to_owned(),
        server.data_folder().display().to_string(),
        "--quiet".to_owned(),
        options.quiet.clone(),
    ]);
    words
}

fn query_words(
    options: &Options,
    question: Kind,
    aligned: bool,
    kind: ServerKind,
    server: &Server,
    record: &Path,
) -> Vec<String> {
    let mut words = words("query", server, kind, record);
    words.extend(options.workload.words());
    let language = match kind {
        ServerKind::Influxdb3 => "sql",
        ServerKind::Influxdb1 => "influxql",
        ServerKind::Victoriametrics => "metricsql",
    };
    let count = options.count.to_string();
    let name = question.to_string();
    words.extend(["--language", language, "--tsbs", &name, "--count", &count].map(str::to_owned));
    if aligned {
        words.push("--aligned".to_owned());
    }
    words
}

/// The pairs, in the order in which they were measured.
fn table(a: &[Record], b: &[Record]) -> Result<Table, Error> {
    let mut pairs: BTreeMap<(usize, usize), Vec<[f64; 2]>> = BTreeMap::new();
    let mut first_seen: Vec<String> = Vec::new();
    let mut differ = Vec::new();
    if a.len() != b.len() {
        return Err(format!("A has {} records and B has {}", a.len(), b.len()).into());
    }
    for (a, b) in a.iter().zip(b) {
        // The language is a part of the name, and differs.
        let name = a
            .texts
            .get("question")
            .map_or_else(|| format!("{} {}", a.command, a.name), Clone::clone);
        let position = first_seen
            .iter()
            .position(|seen| *seen == name)
            .unwrap_or_else(|| {
                first_seen.push(name.clone());
                first_seen.len() - 1
            });
        if a.texts.get("checksum") != b.texts.get("checksum") && !differ.contains(&name) {
            differ.push(name.clone());
        }
        for (number, (command, figure, _)) in FIGURES.iter().enumerate() {
            if a.command != *command {
                continue;
            }
            if let (Some(a), Some(b)) = (a.figures.get(*figure), b.figures.get(*figure)) {
                pairs.entry((position, number)).or_default().push([*a, *b]);
            }
        }
    }
    let mut table = Table::new(["", "A", "B", "B / A", "from", "to", "better"]);
    for ((position, number_of_figure), pairs) in pairs {
        let (_, figure, more_is_better) = FIGURES[number_of_figure];
        let name = format!("{} {figure}", first_seen[position]);
        let side = |side: usize| median(pairs.iter().map(|pair| pair[side]));
        let ratios: Vec<f64> = pairs.iter().map(|[a, b]| b / a).collect();
        let ratio = median(ratios.iter().copied());
        let (low, high) = ratios
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), ratio| {
                (low.min(*ratio), high.max(*ratio))
            });
        // Only what all pairs agree on is a difference, and two of them agree by chance too often.
        let are_enough = pairs.len() >= PAIRS_LEAST;
        let better = match (are_enough && low > 1.0, are_enough && high < 1.0) {
            (true, _) => {
                if more_is_better {
                    "B"
                } else {
                    "A"
                }
            }
            (_, true) => {
                if more_is_better {
                    "A"
                } else {
                    "B"
                }
            }
            _ => "–",
        };
        table.row([
            name,
            number(Some(side(0))),
            number(Some(side(1))),
            number(Some(ratio)),
            number(Some(low)),
            number(Some(high)),
            better.to_owned(),
        ]);
    }
    for name in differ {
        table.row([format!("{name}: the answers differ")]);
    }
    Ok(table)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count.is_multiple_of(2) => (values[count / 2 - 1] + values[count / 2]) / 2.0,
        count => values[count / 2],
    }
}

#[cfg(test)]
mod tests {
    use super::{in_turn, median, table};
    use crate::record::{Record, RecordOptions};

    fn query(p50_ms: f64, checksum: &str) -> Record {
        let mut record = RecordOptions::default().start("query", "lastpoint");
        record
            .figure("p50_ms", p50_ms)
            .text("question", "lastpoint")
            .text("checksum", checksum);
        record
    }

    #[test]
    fn ratios_are_of_pairs() {
        let a = [query(1.0, "a"), query(10.0, "a"), query(2.0, "a")];
        let b = [query(2.0, "a"), query(15.0, "a"), query(6.0, "b")];
        let text = table(&a, &b).expect("as many").to_string();
        assert!(
            text.contains("| lastpoint p50_ms | 2.00 | 6.00 | 2.00 | 1.50 | 3.00 | A |"),
            "{text}"
        );
        assert!(text.contains("lastpoint: the answers differ"), "{text}");
        assert!(table(&a, &b[..2]).is_err());
    }

    #[test]
    fn a_difference_is_what_all_pairs_agree_on() {
        let text = table(
            &[query(1.0, "a"), query(1.0, "a")],
            &[query(2.0, "a"), query(0.5, "a")],
        );
        assert!(
            text.expect("as many")
                .to_string()
                .contains("| 1.25 | 0.500 | 2.00 | – |")
        );
    }

    #[test]
    fn two_pairs_that_agree_are_no_difference() {
        let (a, b) = (
            [query(1.0, "a"), query(1.0, "a")],
            [query(2.0, "a"), query(3.0, "a")],
        );
        let text = table(&a, &b).expect("as many").to_string();
        assert!(text.contains("| 2.00 | 3.00 | – |"), "{text}");
    }

    #[test]
    fn medians_and_turns() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([3.0, 1.0].into_iter()), 2.0);
        assert_eq!([in_turn(0), in_turn(1)], [[0, 1], [1, 0]]);
    }
}
