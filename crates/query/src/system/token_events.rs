//! `system.token_events`: what became of tokens, and who was turned away, oldest first. A table of ours, not of the contract.
//!
//! Only in `_internal`. The server keeps the events (docs/formats/token_events.md) and shows them here as [`TokenEventRows`];
//! nothing in them is secret.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, RecordBatch, StringViewArray, TimestampMillisecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use datafusion::common::Result;
use parking_lot::RwLock;

use super::schema_of;

/// One event, as statements see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEventRow {
    /// Milliseconds since the epoch; of several attempts that were counted together, the first.
    pub time_ms: i64,
    /// Of the last of them.
    pub last_time_ms: i64,
    pub kind: &'static str,
    pub outcome: &'static str,
    pub token_id: Option<u64>,
    pub token_name: Option<String>,
    pub by_token_id: Option<u64>,
    pub by_token_name: Option<String>,
    pub client_address: Option<String>,
    pub protocol: &'static str,
    /// How many times the same happened.
    pub count: u64,
    pub details: String,
}

/// The events of a node, shared between who keeps them and who shows them. Clones share.
#[derive(Clone, Debug, Default)]
pub struct TokenEventRows {
    rows: Arc<RwLock<Arc<Vec<Arc<TokenEventRow>>>>>,
}

impl TokenEventRows {
    /// Shows these from now on, in this order.
    pub fn replace(&self, rows: Vec<Arc<TokenEventRow>>) {
        *self.rows.write() = Arc::new(rows);
    }

    /// Shows one more, after all others.
    pub fn push(&self, row: Arc<TokenEventRow>) {
        Arc::make_mut(&mut *self.rows.write()).push(row);
    }

    /// What is shown at this moment.
    pub fn snapshot(&self) -> Arc<Vec<Arc<TokenEventRow>>> {
        Arc::clone(&self.rows.read())
    }
}

pub(super) fn schema() -> SchemaRef {
    let time = |name: &str| {
        let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, None);
        Field::new(name, milliseconds, false)
    };
    let text = |name: &str, is_optional| Field::new(name, DataType::Utf8View, is_optional);
    let number = |name: &str, is_optional| Field::new(name, DataType::UInt64, is_optional);
    schema_of(vec![
        time("time"),
        time("last_time"),
        text("kind", false),
        text("outcome", false),
        number("token_id", true),
        text("token_name", true),
        number("by_token_id", true),
        text("by_token_name", true),
        text("client_address", true),
        text("protocol", false),
        number("count", false),
        text("details", false),
    ])
}

pub(super) fn rows(events: &TokenEventRows) -> Result<RecordBatch> {
    let events = events.snapshot();
    let time = |value: fn(&TokenEventRow) -> i64| -> ArrayRef {
        let times: TimestampMillisecondArray =
            events.iter().map(|event| Some(value(event))).collect();
        Arc::new(times)
    };
    let text = |value: fn(&TokenEventRow) -> Option<&str>| -> ArrayRef {
        let texts: StringViewArray = events.iter().map(|event| value(event)).collect();
        Arc::new(texts)
    };
    let number = |value: fn(&TokenEventRow) -> Option<u64>| -> ArrayRef {
        let numbers: UInt64Array = events.iter().map(|event| value(event)).collect();
        Arc::new(numbers)
    };
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            time(|event| event.time_ms),
            time(|event| event.last_time_ms),
            text(|event| Some(event.kind)),
            text(|event| Some(event.outcome)),
            number(|event| event.token_id),
            text(|event| event.token_name.as_deref()),
            number(|event| event.by_token_id),
            text(|event| event.by_token_name.as_deref()),
            text(|event| event.client_address.as_deref()),
            text(|event| Some(event.protocol)),
            number(|event| Some(event.count)),
            text(|event| Some(&event.details)),
        ],
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_keeps_the_events_it_began_with() {
        let events = TokenEventRows::default();
        let row = |details: &str| {
            Arc::new(TokenEventRow {
                time_ms: 1,
                last_time_ms: 2,
                kind: "refused",
                outcome: "refused",
                token_id: None,
                token_name: None,
                by_token_id: None,
                by_token_name: None,
                client_address: Some("10.0.0.1".to_string()),
                protocol: "http",
                count: 3,
                details: details.to_string(),
            })
        };
        events.push(row("a"));
        let before = events.snapshot();
        events.push(row("b"));
        assert_eq!(before.len(), 1);
        let batch = rows(&events).expect("a batch");
        assert_eq!((batch.num_rows(), batch.num_columns()), (2, 12));
        events.replace(Vec::new());
        assert_eq!(rows(&events).expect("a batch").num_rows(), 0);
    }
}
