//! Winners among many groups and batches, compared with a naive search; and what leaves and comes back in between.

use datafusion::arrow::array::{
    Array, AsArray, BooleanArray, DictionaryArray, Float64Array, StringArray,
    TimestampNanosecondArray,
};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, TimestampNanosecondType};
use datafusion::logical_expr::EmitTo;

use super::*;

/// Rows of a test: group, value, time, tag.
type Row = (usize, Option<f64>, Option<i64>, &'static str);

const TAGS: [&str; 3] = ["a", "b", "c"];

/// The same rows in every run; many values and times are equal, and some are missing.
fn rows(count: u64, groups: u64) -> Vec<Row> {
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    (0..count)
        .map(|_| {
            let group = usize::try_from(draw(groups)).expect("small");
            let value = u32::try_from(draw(40)).expect("small");
            let time = i64::try_from(draw(50)).expect("small");
            let tag = TAGS[usize::try_from(draw(3)).expect("small")];
            (
                group,
                (value != 0).then(|| f64::from(value)),
                (time != 0).then_some(time),
                tag,
            )
        })
        .collect()
}

fn columns(rows: &[Row]) -> Vec<ArrayRef> {
    let tags: DictionaryArray<Int32Type> = rows.iter().map(|row| Some(row.3)).collect();
    vec![
        Arc::new(rows.iter().map(|row| row.1).collect::<Float64Array>()),
        Arc::new(
            rows.iter()
                .map(|row| row.2)
                .collect::<TimestampNanosecondArray>(),
        ),
        Arc::new(tags),
    ]
}

fn winners(pick: Pick) -> Winners {
    let kinds: Vec<DataType> = columns(&[])
        .iter()
        .map(|column| column.data_type().clone())
        .collect();
    Winners::new(pick, members(&kinds)).expect("a value and a time")
}

/// What the rules say, one row after the other.
fn naive(pick: Pick, rows: &[Row], group: usize) -> Option<(f64, i64, &'static str)> {
    let mut candidates: Vec<(f64, i64, &str)> = rows
        .iter()
        .filter(|row| row.0 == group)
        .filter_map(|row| Some((row.1?, row.2?, row.3)))
        .collect();
    candidates.sort_by(|one, other| {
        let (value, time) = (one.0.total_cmp(&other.0), one.1.cmp(&other.1));
        let first = match pick {
            Pick::First => time,
            Pick::Last => time.reverse(),
            Pick::Min => value,
            Pick::Max => value.reverse(),
        };
        first
            .then(match pick {
                Pick::Min | Pick::Max => time,
                Pick::First | Pick::Last => value,
            })
            .then(one.2.cmp(other.2))
    });
    candidates.first().copied()
}

fn check(pick: Pick, rows: &[Row], from_group: usize, answers: &ArrayRef) {
    let answers = answers.as_struct();
    let values = answers.column(0).as_primitive::<Float64Type>();
    let times = answers.column(1).as_primitive::<TimestampNanosecondType>();
    let tags = datafusion::arrow::compute::cast(answers.column(2), &DataType::Utf8).expect("text");
    let tags: &StringArray = tags.as_string();
    for group in 0..answers.len() {
        let answer = answers
            .is_valid(group)
            .then(|| (values.value(group), times.value(group), tags.value(group)));
        assert_eq!(
            answer,
            naive(pick, rows, from_group + group),
            "{pick:?} {}",
            from_group + group
        );
    }
}

#[test]
fn every_group_has_the_winner_of_all_its_batches() {
    const GROUPS: usize = 500;
    let rows = rows(120_000, GROUPS as u64);
    for pick in Pick::ALL {
        let mut one = winners(pick);
        for batch in rows.chunks(1_000) {
            let groups: Vec<usize> = batch.iter().map(|row| row.0).collect();
            one.update_batch(&columns(batch), &groups, None, GROUPS)
                .expect("it competes");
        }
        // Beaten rows do not pile up: three columns of 16 bytes at most for each row kept, twice.
        assert!(
            one.size() < 100 * (4 * GROUPS + 65_536 + 1_000),
            "{}",
            one.size()
        );
        let first = one.evaluate(EmitTo::First(200)).expect("rows");
        assert_eq!(first.len(), 200);
        check(pick, &rows, 0, &first);
        check(pick, &rows, 200, &one.evaluate(EmitTo::All).expect("rows"));
    }
}

#[test]
fn parts_merge_into_the_same_answer() {
    const GROUPS: usize = 40;
    let rows = rows(3_000, GROUPS as u64);
    for pick in Pick::ALL {
        let mut whole = winners(pick);
        for part in rows.chunks(700) {
            let mut one = winners(pick);
            let groups: Vec<usize> = part.iter().map(|row| row.0).collect();
            one.update_batch(&columns(part), &groups, None, GROUPS)
                .expect("it competes");
            let state = one.state(EmitTo::All).expect("rows");
            let groups: Vec<usize> = (0..GROUPS).collect();
            whole
                .merge_batch(&state, &groups, GROUPS)
                .expect("it competes");
        }
        check(pick, &rows, 0, &whole.evaluate(EmitTo::All).expect("rows"));
        // Rows that go on as they are, without being grouped first.
        let mut passed = winners(pick);
        let state = passed
            .convert_to_state(&columns(&rows), None)
            .expect("rows");
        let groups: Vec<usize> = rows.iter().map(|row| row.0).collect();
        passed
            .merge_batch(&state, &groups, GROUPS)
            .expect("it competes");
        check(pick, &rows, 0, &passed.evaluate(EmitTo::All).expect("rows"));
    }
}

#[test]
fn filtered_rows_do_not_count_either_way() {
    let rows = rows(500, 5);
    let kept: Vec<Row> = rows.iter().copied().filter(|row| row.3 != "b").collect();
    let filter: BooleanArray = rows
        .iter()
        .map(|row| match row.3 {
            "b" if row.1.is_some() => None,
            tag => Some(tag != "b"),
        })
        .collect();
    let groups: Vec<usize> = rows.iter().map(|row| row.0).collect();
    for pick in Pick::ALL {
        let mut one = winners(pick);
        one.update_batch(&columns(&rows), &groups, Some(&filter), 5)
            .expect("it competes");
        check(pick, &kept, 0, &one.evaluate(EmitTo::All).expect("rows"));
        let mut other = winners(pick);
        let state = other
            .convert_to_state(&columns(&rows), Some(&filter))
            .expect("rows");
        other.merge_batch(&state, &groups, 5).expect("it competes");
        check(pick, &kept, 0, &other.evaluate(EmitTo::All).expect("rows"));
    }
}

#[test]
fn one_group_alone() {
    let rows: Vec<Row> = rows(100, 1);
    for pick in Pick::ALL {
        let mut one = SingleWinner::new(winners(pick));
        assert!(one.evaluate().expect("a null").is_null());
        let mut state = one.state().expect("nulls");
        assert!(state.iter().all(ScalarValue::is_null));
        one.update_batch(&columns(&rows)).expect("it competes");
        state = one.state().expect("a row");
        let mut other = SingleWinner::new(winners(pick));
        let state: Vec<ArrayRef> = state
            .iter()
            .map(|value| value.to_array().expect("a column"))
            .collect();
        other.merge_batch(&state).expect("it competes");
        for mut winner in [one, other] {
            let answer = winner
                .evaluate()
                .expect("a row")
                .to_array()
                .expect("a column");
            check(pick, &rows, 0, &answer);
        }
    }
}
