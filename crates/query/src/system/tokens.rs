//! `system.tokens`: who may enter (spec/auth-tokens.md §11). Never a secret, and no more of a digest than nine digits.
//!
//! The last three columns are ours. A node that asks for no tokens shows neither them nor hashes.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, RecordBatch, StringViewArray, TimestampMillisecondArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use datafusion::common::Result;

use catalog::{Token, TokenId};

use super::schema_of;
use crate::table::Source;

/// Between permissions, which have commas in them.
const SEPARATOR: &str = ";";

pub(super) fn schema(without_auth: bool) -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8View, nullable);
    let id = |name: &str, nullable| Field::new(name, DataType::UInt64, nullable);
    let time = |name: &str, nullable| {
        Field::new(
            name,
            DataType::Timestamp(TimeUnit::Millisecond, None),
            nullable,
        )
    };
    let mut fields = vec![
        id("token_id", false),
        text("name", false),
        text("hash", false),
        time("created_at", false),
        text("description", true),
        id("created_by_token_id", true),
        time("updated_at", true),
        id("updated_by_token_id", true),
        time("expiry", true),
        text("permissions", false),
        time("last_used_at", true),
        time("previous_until", true),
        time("staged_until", true),
    ];
    if without_auth {
        fields.retain(|field| is_shown_without_auth(field.name()));
    }
    schema_of(fields)
}

fn is_shown_without_auth(column: &str) -> bool {
    !matches!(
        column,
        "hash" | "last_used_at" | "previous_until" | "staged_until"
    )
}

pub(super) fn rows(source: &Source, without_auth: bool) -> Result<RecordBatch> {
    let tokens = source.snapshot.tokens();
    let now_ms = source.now_ns.div_euclid(1_000_000);
    let text = |value: &dyn Fn(&Token) -> Option<String>| -> ArrayRef {
        let texts = tokens.iter().map(|token| value(token));
        Arc::new(texts.collect::<StringViewArray>())
    };
    let id = |value: &dyn Fn(&Token) -> Option<TokenId>| -> ArrayRef {
        let ids = tokens.iter().map(|token| value(token).map(|id| id.0));
        Arc::new(ids.collect::<UInt64Array>())
    };
    let time = |value: &dyn Fn(&Token) -> Option<i64>| -> ArrayRef {
        let times = tokens.iter().map(|token| value(token));
        Arc::new(times.collect::<TimestampMillisecondArray>())
    };
    let columns = [
        id(&|token| Some(token.id)),
        text(&|token| Some(token.name.to_string())),
        text(&|token| Some(token.digest.to_hex_prefix())),
        time(&|token| Some(token.created_at_ms)),
        text(&|token| token.description.as_deref().map(str::to_string)),
        id(&|token| token.created_by),
        time(&|token| token.updated_at_ms),
        id(&|token| token.updated_by),
        time(&|token| token.expiry_ms),
        text(&|token| {
            let permissions = token.permissions.to_strings(&source.snapshot);
            Some(permissions.join(SEPARATOR))
        }),
        time(&|token| token.last_used_s().map(|at_s| at_s.saturating_mul(1_000))),
        time(&|token| token.previous_until_ms(now_ms)),
        time(&|token| token.staged_until_ms(now_ms)),
    ];
    let all = schema(false);
    let shown = all
        .fields()
        .iter()
        .zip(columns)
        .filter(|(field, _)| !without_auth || is_shown_without_auth(field.name()))
        .map(|(_, column)| column);
    Ok(RecordBatch::try_new(schema(without_auth), shown.collect())?)
}
