//! What the node tells of itself: the tables of the schema `system` (spec/system-tables.md), one file per table.
//!
//! Rows are made when a statement plans to read them, from the statement's own view of the catalog and from storage; nothing is
//! stored. A table without rows delivers no batch at all, as clients expect (§1). Tables of ours that the contract does not know
//! are only listed in `_internal`, though they answer everywhere.

mod compaction;

mod databases;

mod distinct_caches;

mod generation_durations;

mod influxdb_schema;

mod last_caches;

mod nodes;

mod parquet_files;

mod plugin_files;

mod processing_engine_logs;

mod processing_engine_trigger_arguments;

mod processing_engine_triggers;

mod queries;

mod tables;

mod token_events;

mod tokens;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use catalog::Database;

use crate::table::Source;

pub use nodes::NodeRow;
pub use token_events::{TokenEventRow, TokenEventRows};

/// The schema that holds these tables.
pub(crate) const SYSTEM_SCHEMA: &str = "system";

/// The tables there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noun {
    Compaction,
    Databases,
    DistinctCaches,
    GenerationDurations,
    InfluxdbSchema,
    LastCaches,
    Nodes,
    ParquetFiles,
    PluginFiles,
    ProcessingEngineLogs,
    ProcessingEngineTriggerArguments,
    ProcessingEngineTriggers,
    Queries,
    Tables,
    TokenEvents,
    Tokens,
}

/// By name, in the order in which they are listed. What each has: where it answers, and where it is listed.
#[rustfmt::skip]
const NOUNS: [(&str, Noun, Reach); 16] = [
    ("compaction", Noun::Compaction, Reach::ListedInInternal),
    ("databases", Noun::Databases, Reach::OnlyInInternal),
    ("distinct_caches", Noun::DistinctCaches, Reach::Everywhere),
    ("generation_durations", Noun::GenerationDurations, Reach::OnlyInInternal),
    ("influxdb_schema", Noun::InfluxdbSchema, Reach::Everywhere),
    ("last_caches", Noun::LastCaches, Reach::Everywhere),
    ("nodes", Noun::Nodes, Reach::OnlyInInternal),
    ("parquet_files", Noun::ParquetFiles, Reach::Everywhere),
    ("plugin_files", Noun::PluginFiles, Reach::OnlyInInternal),
    ("processing_engine_logs", Noun::ProcessingEngineLogs, Reach::Everywhere),
    ("processing_engine_trigger_arguments", Noun::ProcessingEngineTriggerArguments, Reach::Everywhere),
    ("processing_engine_triggers", Noun::ProcessingEngineTriggers, Reach::Everywhere),
    ("queries", Noun::Queries, Reach::Everywhere),
    ("tables", Noun::Tables, Reach::OnlyInInternal),
    ("token_events", Noun::TokenEvents, Reach::OnlyInInternal),
    ("tokens", Noun::Tokens, Reach::OnlyInInternal),
];

/// In which databases a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Everywhere,
    /// Answers everywhere.
    ListedInInternal,
    OnlyInInternal,
}

/// The schema `system` of one database.
pub(crate) struct SystemTables {
    database: Arc<Database>,
    source: Source,
}

impl SystemTables {
    pub(crate) fn new(database: Arc<Database>, source: Source) -> Self {
        Self { database, source }
    }

    fn noun(&self, name: &str) -> Option<Noun> {
        let (_, noun, reach) = NOUNS.iter().find(|(known, _, _)| *known == name)?;
        let answers = *reach != Reach::OnlyInInternal || self.database.is_internal();
        answers.then_some(*noun)
    }
}

impl fmt::Debug for SystemTables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SystemTables({})", self.database.name)
    }
}

#[async_trait]
impl SchemaProvider for SystemTables {
    fn table_names(&self) -> Vec<String> {
        let listed = |reach: Reach| reach == Reach::Everywhere || self.database.is_internal();
        NOUNS
            .iter()
            .filter(|(_, _, reach)| listed(*reach))
            .map(|(name, _, _)| (*name).to_string())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let Some(noun) = self.noun(name) else {
            return Ok(None);
        };
        Ok(Some(Arc::new(SystemTable {
            noun,
            schema: match noun {
                Noun::Compaction => compaction::schema(),
                Noun::Databases => databases::schema(),
                Noun::DistinctCaches => distinct_caches::schema(),
                Noun::GenerationDurations => generation_durations::schema(),
                Noun::InfluxdbSchema => influxdb_schema::schema(),
                Noun::LastCaches => last_caches::schema(),
                Noun::Nodes => nodes::schema(),
                Noun::ParquetFiles => parquet_files::schema(),
                Noun::PluginFiles => plugin_files::schema(),
                Noun::ProcessingEngineLogs => processing_engine_logs::schema(),
                Noun::ProcessingEngineTriggerArguments => {
                    processing_engine_trigger_arguments::schema()
                }
                Noun::ProcessingEngineTriggers => processing_engine_triggers::schema(),
                Noun::Queries => queries::schema(),
                Noun::Tables => tables::schema(),
                Noun::TokenEvents => token_events::schema(),
                Noun::Tokens => tokens::schema(self.source.without_auth),
            },
            database: Arc::clone(&self.database),
            source: self.source.clone(),
        })))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.noun(name).is_some()
    }
}

/// One of them, for one statement.
#[derive(Debug)]
struct SystemTable {
    noun: Noun,
    schema: SchemaRef,
    database: Arc<Database>,
    source: Source,
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Conditions may spare rows from being made; they are checked again.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = match self.noun {
            Noun::Compaction => compaction::rows(&self.database, &self.source),
            Noun::Databases => databases::rows(&self.source.snapshot),
            Noun::GenerationDurations => generation_durations::rows(),
            Noun::InfluxdbSchema => influxdb_schema::rows(&self.database, &self.source),
            Noun::Nodes => nodes::rows(self.source.node.as_deref()),
            Noun::ParquetFiles => parquet_files::rows(
                &self.database,
                &self.source,
                wanted(filters, parquet_files::TABLE_NAME).as_deref(),
            ),
            Noun::DistinctCaches
            | Noun::LastCaches
            | Noun::PluginFiles
            | Noun::ProcessingEngineLogs
            | Noun::ProcessingEngineTriggerArguments
            | Noun::ProcessingEngineTriggers => Ok(RecordBatch::new_empty(self.schema())),
            Noun::Queries => queries::rows(&self.database, &self.source),
            Noun::Tables => tables::rows(&self.source.snapshot),
            Noun::TokenEvents => token_events::rows(&self.source.token_events),
            Noun::Tokens => tokens::rows(&self.source, self.source.without_auth),
        }?;
        let rows: Vec<RecordBatch> = (rows.num_rows() > 0).then_some(rows).into_iter().collect();
        let schema = Arc::clone(&self.schema);
        Ok(MemorySourceConfig::try_new_exec(
            &[rows],
            schema,
            projection.cloned(),
        )?)
    }
}

/// The one value that `column` must have, if the filters say so plainly.
fn wanted(filters: &[Expr], column: &str) -> Option<String> {
    let is_column = |side: &Expr| matches!(side, Expr::Column(named) if named.name == column);
    filters.iter().find_map(|filter| match filter {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => {
            let value = match (left.as_ref(), right.as_ref()) {
                (side, value) if is_column(side) => value,
                (value, side) if is_column(side) => value,
                _ => return None,
            };
            match value {
                Expr::Literal(
                    ScalarValue::Utf8(Some(text))
                    | ScalarValue::LargeUtf8(Some(text))
                    | ScalarValue::Utf8View(Some(text)),
                    _,
                ) => Some(text.clone()),
                _ => None,
            }
        }
        _ => None,
    })
}

fn schema_of(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

/// A list whose elements may be null, as clients know them.
fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", element, true)))
}

/// Whole seconds in UTC.
fn seconds_utc() -> DataType {
    DataType::Timestamp(TimeUnit::Second, Some("UTC".into()))
}

fn seconds_of_ms(at_ms: i64) -> i64 {
    at_ms.div_euclid(1_000)
}
