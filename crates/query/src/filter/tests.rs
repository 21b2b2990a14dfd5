//! `testdata/filter.txt` says what each term becomes after the optimizer's own simplification; `UPDATE=1` rewrites it.

use std::path::Path;

use chrono::DateTime;
use datafusion::arrow::datatypes::Field;
use datafusion::catalog::MemoryCatalogProvider;
use datafusion::common::DFSchema;
use datafusion::execution::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use std::sync::Arc;

use crate::Config;
use crate::session::Sessions;

use super::*;

fn schema() -> Schema {
    let tag = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Schema::new(vec![
        Field::new("host", tag.clone(), true),
        Field::new("note", DataType::Utf8, true),
        Field::new("region", tag, true),
        Field::new(
            "time",
            DataType::Timestamp(TimeUnit::Nanosecond, None),
            false,
        ),
        Field::new("usage", DataType::Float64, true),
    ])
}

/// 2026-01-02T03:04:05Z.
const NOW_NS: i64 = 1_767_323_045_000_000_000;

fn session() -> SessionState {
    let config = Config::new(1 << 20, 1);
    let sessions = Sessions::new(&config, None).expect("the settings are fine");
    sessions.session(Arc::new(MemoryCatalogProvider::new()), NOW_NS)
}

fn simplified(session: &SessionState, text: &str) -> Expr {
    let schema = DFSchema::try_from(schema()).expect("names differ");
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_config_options(Arc::clone(session.config_options()))
        .with_query_execution_start_time(session.execution_props().query_execution_start_time)
        .build();
    let simplifier = ExprSimplifier::new(context);
    let term = session
        .create_logical_expr(text, &schema)
        .expect("the term parses");
    let term = simplifier
        .coerce(term, &schema)
        .expect("the types fit together");
    simplifier.simplify(term).expect("the term can be computed")
}

fn shown(term: &Term) -> String {
    let end = |ns: &i64| match *ns {
        i64::MIN => "-".to_string(),
        i64::MAX => "+".to_string(),
        ns => DateTime::from_timestamp_nanos(ns)
            .naive_utc()
            .format("%Y-%m-%dT%H:%M:%S%.f")
            .to_string(),
    };
    match term {
        Term::Series => "series".to_string(),
        Term::Row => "row".to_string(),
        Term::Time(range) if range.is_empty() => "time none".to_string(),
        Term::Time(range) => format!("time {} .. {}", end(range.start()), end(range.end())),
    }
}

#[test]
fn terms_are_sorted_as_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/filter.txt");
    let expected = std::fs::read_to_string(&path).expect("the table is part of the sources");
    let session = session();
    let mut actual = String::new();
    for line in expected.lines() {
        match line.split_once("=>") {
            Some((term, _)) => {
                let class = classify(&simplified(&session, term), &schema());
                let term = term.trim_end();
                actual.push_str(&format!("{term:<70} => {}\n", shown(&class)));
            }
            None => actual.push_str(&format!("{line}\n")),
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &actual).expect("the table can be rewritten");
    } else {
        assert_eq!(actual, expected);
    }
}

fn time_compared(operator: Operator, value: ScalarValue) -> Option<RangeInclusive<i64>> {
    let term = Expr::BinaryExpr(BinaryExpr::new(
        Box::new(datafusion::prelude::col("time")),
        operator,
        Box::new(Expr::Literal(value, None)),
    ));
    time_range(&term)
}

#[test]
fn coarser_units_convert_exactly_and_saturate() {
    let second = |count| ScalarValue::TimestampSecond(Some(count), None);
    let day = |count| ScalarValue::Date32(Some(count));
    let cases = [
        (Operator::Gt, second(5), Some(5_000_000_001..=i64::MAX)),
        (Operator::LtEq, second(-5), Some(i64::MIN..=-5_000_000_000)),
        (Operator::Lt, day(1), Some(i64::MIN..=86_399_999_999_999)),
        (Operator::Lt, second(i64::MAX), Some(ALL_TIMES)),
        (Operator::Gt, second(i64::MAX), Some(NO_TIMES)),
        (Operator::Eq, second(i64::MIN), Some(NO_TIMES)),
        (Operator::GtEq, second(i64::MIN), Some(ALL_TIMES)),
        (Operator::NotEq, second(5), None),
    ];
    for (operator, value, expected) in cases {
        assert_eq!(
            time_compared(operator, value.clone()),
            expected,
            "time {operator} {value}"
        );
    }
}

#[test]
fn the_ends_of_time_are_exclusive_where_the_operator_is() {
    let ns = |count| ScalarValue::TimestampNanosecond(Some(count), None);
    assert_eq!(time_compared(Operator::Gt, ns(i64::MAX)), Some(NO_TIMES));
    assert_eq!(time_compared(Operator::Lt, ns(i64::MIN)), Some(NO_TIMES));
    assert_eq!(
        time_compared(Operator::Lt, ns(i64::MAX)),
        Some(i64::MIN..=i64::MAX - 1)
    );
}

#[test]
fn a_zone_other_than_utc_is_left_to_datafusion() {
    let paris = ScalarValue::TimestampNanosecond(Some(5), Some("Europe/Paris".into()));
    assert_eq!(time_compared(Operator::Gt, paris), None);
    let utc = ScalarValue::TimestampNanosecond(Some(5), Some("+00:00".into()));
    assert_eq!(time_compared(Operator::GtEq, utc), Some(5..=i64::MAX));
}

#[test]
fn disjoint_ranges_meet_nowhere() {
    assert_eq!(intersect(&(1..=5), &(3..=9)), 3..=5);
    assert!(intersect(&(1..=5), &(6..=9)).is_empty());
    assert_eq!(intersect(&NO_TIMES, &ALL_TIMES), NO_TIMES);
}
