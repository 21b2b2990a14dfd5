//! What clients browse: catalogs, schemas, tables, keys (spec/flight.md §5.2). Answered from lists, without planning anything.
//!
//! The shapes of the answers are those of Flight SQL to the last nullability, which some drivers insist on. Not here: what the
//! server can do (`sql_info`) and which types it has (`type_info`).

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTableTypes,
    CommandGetTables,
};
use catalog::Table;
use query::{ListedTable, QueryEngine};
use tonic::Status;

use super::headers::BaseTableType;
use super::status::{internal, status_of};
use super::wire::wire_schema;
use crate::authorization::Caller;
use crate::http::Services;

const VIEW: &str = "VIEW";

pub(super) fn catalogs(command: CommandGetCatalogs) -> Result<RecordBatch, Status> {
    let mut rows = command.into_builder();
    rows.append(QueryEngine::CATALOG);
    rows.build().map_err(failed)
}

pub(super) fn schemas(command: CommandGetDbSchemas) -> Result<RecordBatch, Status> {
    let mut rows = command.into_builder();
    for schema in QueryEngine::SCHEMAS {
        rows.append(QueryEngine::CATALOG, schema);
    }
    rows.build().map_err(failed)
}

/// The tables that `command` asks for, of those there are; with their columns when it wants them.
pub(super) fn tables(
    command: CommandGetTables,
    tables: &[ListedTable],
    base_table_type: BaseTableType,
) -> Result<RecordBatch, Status> {
    let mut rows = command.into_builder();
    let none = Schema::empty();
    for table in tables {
        let kind = match table.is_view {
            true => VIEW,
            false => base_table_type.name(),
        };
        let columns = table
            .columns
            .as_ref()
            // As the rows of the table are sent, so that a client can rely on it.
            .map(|columns| wire_schema(columns, false));
        rows.append(
            QueryEngine::CATALOG,
            table.schema,
            &table.name,
            kind,
            columns.as_deref().unwrap_or(&none),
        )
        .map_err(failed)?;
    }
    rows.build().map_err(failed)
}

pub(super) fn table_types(
    command: CommandGetTableTypes,
    base_table_type: BaseTableType,
) -> Result<RecordBatch, Status> {
    let mut rows = command.into_builder();
    rows.append(base_table_type.name());
    rows.append(VIEW);
    rows.build().map_err(failed)
}

/// What tells the rows of a table apart: its tags in the order in which they came, then the time. None of a table that the caller
/// cannot see, or that is no user's.
pub(super) async fn primary_keys(
    command: &CommandGetPrimaryKeys,
    services: &Services,
    caller: &Caller,
    database: &str,
) -> Result<RecordBatch, Status> {
    let access = caller.access();
    let listed = services.query.tables(database, &access, false);
    let listed = listed.await.map_err(|error| status_of(&error))?;
    let asks_for =
        |named: &Option<String>, ours: &str| named.as_deref().is_none_or(|it| it == ours);
    let is_listed = asks_for(&command.catalog, QueryEngine::CATALOG)
        && asks_for(&command.db_schema, QueryEngine::DEFAULT_SCHEMA)
        && listed.iter().any(|table| {
            table.schema == QueryEngine::DEFAULT_SCHEMA && table.name == command.table
        });
    let snapshot = services.catalog.snapshot();
    let table = snapshot
        .database_named(database)
        .and_then(|database| database.table_named(&command.table));
    match table.filter(|_| is_listed) {
        Some(table) => primary_key(table),
        None => Ok(RecordBatch::new_empty(Arc::clone(&PRIMARY_KEYS))),
    }
}

fn primary_key(table: &Table) -> Result<RecordBatch, Status> {
    let tags = table.series_key().iter();
    let tags = tags.filter_map(|id| table.column_by_id(*id));
    let columns: StringArray = tags
        .chain(table.time_column())
        .map(|column| Some(column.name.as_ref()))
        .collect();
    let rows = columns.len();
    let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
    let places = (1..).take(rows).collect::<Int32Array>();
    let names = StringArray::new_null(rows);
    RecordBatch::try_new(
        Arc::clone(&PRIMARY_KEYS),
        vec![
            same(QueryEngine::CATALOG),
            same(QueryEngine::DEFAULT_SCHEMA),
            same(&table.name),
            Arc::new(columns),
            Arc::new(names),
            Arc::new(places),
        ],
    )
    .map_err(|fault| internal("a list", &fault))
}

/// Keys between tables, of which there are none.
pub(super) fn foreign_keys() -> RecordBatch {
    RecordBatch::new_empty(Arc::clone(&FOREIGN_KEYS))
}

static PRIMARY_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
});

static FOREIGN_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
});

fn text(name: &str, is_nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, is_nullable)
}

fn failed(fault: FlightError) -> Status {
    internal("a list", &fault)
}
