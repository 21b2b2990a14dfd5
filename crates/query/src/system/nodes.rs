//! `system.nodes`: the nodes of the cluster, which is this one (spec/system-tables.md §4.3).
//!
//! The server says what it is when it makes the query engine: [`NodeRow`]. What of its options may be shown is decided where they
//! are read (`cli`).

use std::sync::Arc;

use datafusion::arrow::array::builder::{ListBuilder, StringViewBuilder};
use datafusion::arrow::array::{
    RecordBatch, StringViewArray, TimestampMillisecondArray, UInt32Array, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use datafusion::common::Result;

use super::{list_of, schema_of};

/// The only node of a catalog.
const CATALOG_ID: u32 = 0;

/// What a node that stands alone does: everything.
const MODE: &str = "core";

/// A node that does not run cannot be asked.
const STATE: &str = "running";

/// What a node tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeRow {
    pub node_id: String,
    /// What it has stored is known by, from its first start on.
    pub instance_id: String,
    /// Processors that it may use.
    pub core_count: u64,
    /// When it started, in milliseconds since the epoch.
    pub started_at_ms: i64,
    /// The options it was started with, as a JSON object; nothing in it is secret.
    pub options: Option<String>,
}

pub(super) fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    schema_of(vec![
        Field::new("node_id", DataType::Utf8View, false),
        Field::new("node_catalog_id", DataType::UInt32, false),
        Field::new("instance_id", DataType::Utf8View, false),
        Field::new("mode", list_of(DataType::Utf8View), false),
        Field::new("core_count", DataType::UInt64, false),
        Field::new("state", DataType::Utf8View, false),
        Field::new("updated_at", time, true),
        Field::new("cli_params", DataType::Utf8View, true),
    ])
}

/// The one row; none where nobody has said what the node is.
pub(super) fn rows(node: Option<&NodeRow>) -> Result<RecordBatch> {
    let Some(node) = node else {
        return Ok(RecordBatch::new_empty(schema()));
    };
    let text = |value: Option<&str>| Arc::new(std::iter::once(value).collect::<StringViewArray>());
    let mut modes = ListBuilder::new(StringViewBuilder::new());
    modes.values().append_value(MODE);
    modes.append(true);
    Ok(RecordBatch::try_new(
        schema(),
        vec![
            text(Some(&node.node_id)),
            Arc::new(UInt32Array::from(vec![CATALOG_ID])),
            text(Some(&node.instance_id)),
            Arc::new(modes.finish()),
            Arc::new(UInt64Array::from(vec![node.core_count])),
            text(Some(STATE)),
            Arc::new(TimestampMillisecondArray::from(vec![node.started_at_ms])),
            text(node.options.as_deref()),
        ],
    )?)
}
