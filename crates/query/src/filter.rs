//! What storage can decide itself: sorts the terms of a WHERE clause into series, time and row conditions. Pure.
//!
//! A term over tags alone is the same for every row of a series, so storage asks it once per series. A comparison of
//! `time` with a constant is a range, which storage cuts exactly. Everything else is left to DataFusion.
//! The terms come from DataFusion's optimizer; `table` turns the answers into a scan. Expectations: `testdata/filter.txt`.

use std::ops::RangeInclusive;

use datafusion::arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator, Volatility};

/// The name of every table's time column.
pub(crate) const TIME: &str = "time";

/// A range that holds every time.
pub(crate) const ALL_TIMES: RangeInclusive<i64> = i64::MIN..=i64::MAX;

/// A range that holds no time.
#[expect(clippy::reversed_empty_ranges, reason = "emptiness is its meaning")]
pub(crate) const NO_TIMES: RangeInclusive<i64> = 1..=0;

/// What one term of a conjunction is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    /// Depends on tags alone.
    Series,
    /// Holds exactly for the rows whose time, in nanoseconds, is in the range.
    Time(RangeInclusive<i64>),
    /// Must be evaluated row by row.
    Row,
}

/// Says what `term` is about in a table with `schema` (as of `storage::schema::table_schema`).
pub(crate) fn classify(term: &Expr, schema: &Schema) -> Term {
    if let Some(range) = time_range(term) {
        return Term::Time(range);
    }
    if decides_series(term, schema) {
        return Term::Series;
    }
    Term::Row
}

/// The times in both ranges.
pub(crate) fn intersect(
    one: &RangeInclusive<i64>,
    other: &RangeInclusive<i64>,
) -> RangeInclusive<i64> {
    if one.is_empty() || other.is_empty() {
        return NO_TIMES;
    }
    *one.start().max(other.start())..=*one.end().min(other.end())
}

/// Whether `name` is a tag: only tags are dictionaries (spec/query-sql.md §3).
pub(crate) fn is_tag(schema: &Schema, name: &str) -> bool {
    schema
        .field_with_name(name)
        .is_ok_and(|field| matches!(field.data_type(), DataType::Dictionary(..)))
}

/// True when the term names at least one tag, nothing but tags, and always answers the same for the same tags.
fn decides_series(term: &Expr, schema: &Schema) -> bool {
    let mut tags_named = 0_usize;
    let mut all_fit = true;
    let walked = term.apply(|node| {
        match node {
            Expr::Column(column) if is_tag(schema, &column.name) => tags_named += 1,
            Expr::ScalarFunction(call)
                if call.func.signature().volatility != Volatility::Volatile => {}
            Expr::Alias(_)
            | Expr::Literal(..)
            | Expr::BinaryExpr(_)
            | Expr::Like(_)
            | Expr::SimilarTo(_)
            | Expr::Not(_)
            | Expr::IsNotNull(_)
            | Expr::IsNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Negative(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::InList(_) => {}
            // Other columns, and whatever reaches beyond the row: subqueries, outer references, placeholders.
            _ => {
                all_fit = false;
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    walked.is_ok() && all_fit && tags_named > 0
}

/// The exact range of times for which the term is true, if it is such a term.
fn time_range(term: &Expr) -> Option<RangeInclusive<i64>> {
    match term {
        Expr::Alias(alias) => time_range(&alias.expr),
        // The optimizer leaves such terms behind when it finds a contradiction.
        Expr::Literal(ScalarValue::Boolean(Some(true)), _) => Some(ALL_TIMES),
        Expr::Literal(ScalarValue::Boolean(_) | ScalarValue::Null, _) => Some(NO_TIMES),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And,
            right,
        }) => Some(intersect(&time_range(left)?, &time_range(right)?)),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            if is_time(left) {
                compared(*op, instant(right)?)
            } else if is_time(right) {
                compared(op.swap()?, instant(left)?)
            } else {
                None
            }
        }
        Expr::Between(Between {
            expr,
            negated: false,
            low,
            high,
        }) if is_time(expr) => {
            let from = compared(Operator::GtEq, instant(low)?)?;
            let to = compared(Operator::LtEq, instant(high)?)?;
            Some(intersect(&from, &to))
        }
        _ => None,
    }
}

/// Whether the expression is the time column, possibly under casts that leave its instant alone.
fn is_time(expression: &Expr) -> bool {
    match expression {
        Expr::Column(column) => column.name == TIME,
        Expr::Alias(alias) => is_time(&alias.expr),
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            matches!(field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, zone) if is_utc(zone.as_deref()))
                && is_time(expr)
        }
        _ => false,
    }
}

/// A constant to compare time with.
#[derive(Clone, Copy)]
enum Instant {
    /// Comparing with it is never true.
    Null,
    /// Nanoseconds since the epoch; wider than a stored time so that other units convert exactly.
    At(i128),
}

/// Times for which `time operator instant` is true.
fn compared(operator: Operator, instant: Instant) -> Option<RangeInclusive<i64>> {
    const LEAST: i128 = i64::MIN as i128;
    const GREATEST: i128 = i64::MAX as i128;

    let Instant::At(at) = instant else {
        return match operator {
            Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
                Some(NO_TIMES)
            }
            _ => None,
        };
    };
    let (from, to) = match operator {
        Operator::Eq => (at, at),
        Operator::Lt => (LEAST, at - 1),
        Operator::LtEq => (LEAST, at),
        Operator::Gt => (at + 1, GREATEST),
        Operator::GtEq => (at, GREATEST),
        _ => return None,
    };
    let (from, to) = (from.max(LEAST), to.min(GREATEST));
    if from > to {
        return Some(NO_TIMES);
    }
    // Both lie between the least and the greatest i64 now.
    Some(i64::try_from(from).ok()?..=i64::try_from(to).ok()?)
}

/// The instant of a constant expression: a literal, possibly under casts to a timestamp.
fn instant(expression: &Expr) -> Option<Instant> {
    match expression {
        Expr::Literal(value, _) => instant_of(value),
        Expr::Alias(alias) => instant(&alias.expr),
        Expr::Cast(Cast { expr, field }) => {
            let Expr::Literal(value, _) = expr.as_ref() else {
                return None;
            };
            let target = field.data_type();
            if !matches!(target, DataType::Timestamp(..)) {
                return None;
            }
            if widens(&value.data_type(), target) {
                return instant_of(value);
            }
            instant_of(&value.cast_to(target).ok()?)
        }
        _ => None,
    }
}

/// Whether a cast only makes the unit finer, so that skipping it cannot change the instant (but may avoid an overflow).
fn widens(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Timestamp(from, from_zone), DataType::Timestamp(to, to_zone)) => {
            ns_per(*from) >= ns_per(*to)
                && is_utc(from_zone.as_deref())
                && is_utc(to_zone.as_deref())
        }
        _ => false,
    }
}

fn instant_of(value: &ScalarValue) -> Option<Instant> {
    if value.is_null() {
        return Some(Instant::Null);
    }
    let (count, unit_ns, zone) = match value {
        ScalarValue::TimestampSecond(Some(count), zone) => (*count, 1_000_000_000, zone.as_deref()),
        ScalarValue::TimestampMillisecond(Some(count), zone) => {
            (*count, 1_000_000, zone.as_deref())
        }
        ScalarValue::TimestampMicrosecond(Some(count), zone) => (*count, 1_000, zone.as_deref()),
        ScalarValue::TimestampNanosecond(Some(count), zone) => (*count, 1, zone.as_deref()),
        ScalarValue::Date32(Some(days)) => (i64::from(*days), 86_400_000_000_000, None),
        ScalarValue::Date64(Some(count_ms)) => (*count_ms, 1_000_000, None),
        ScalarValue::Utf8(_) | ScalarValue::LargeUtf8(_) | ScalarValue::Utf8View(_) => {
            let parsed = value.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, None));
            return match parsed {
                Ok(ScalarValue::TimestampNanosecond(Some(ns), None)) => {
                    Some(Instant::At(i128::from(ns)))
                }
                _ => None,
            };
        }
        _ => return None,
    };
    is_utc(zone).then(|| Instant::At(i128::from(count) * unit_ns))
}

fn ns_per(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// A timestamp without a zone is UTC here; with another zone it would name another instant than `time` does.
fn is_utc(zone: Option<&str>) -> bool {
    matches!(
        zone,
        None | Some("UTC" | "Z" | "Etc/UTC" | "+00:00" | "+0000" | "+00")
    )
}

#[cfg(test)]
mod tests;
