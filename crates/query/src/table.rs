//! One stored table as DataFusion sees it: what may be pushed down to storage, and the scan that results.
//!
//! Tag conditions and time ranges go down exactly, so DataFusion does not evaluate them again (`filter`).
//! Rows older than the database's retention are cut here, as a lower bound on time (spec/query-sql.md §3).

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::datasource::TableType;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExecBuilder;

use catalog::{DatabaseId, Table};
use storage::{Engine, ScanRequest, SeriesFilter};

use crate::Error;
use crate::error::{from_evaluation, to_datafusion};
use crate::filter::{Term, classify, intersect, is_tag};
use crate::scan::{Description, SeriesScan};

/// Where the tables of one query read from, and how.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) storage: Arc<Engine>,
    /// Rows before this time, in nanoseconds, are expired.
    pub(crate) oldest_visible_ns: i64,
    /// Most partitions of a scan.
    pub(crate) partitions: usize,
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Source")
            .field("oldest_visible_ns", &self.oldest_visible_ns)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

/// A table of the catalog.
#[derive(Debug)]
pub(crate) struct StoredTable {
    database: DatabaseId,
    table: Arc<Table>,
    schema: SchemaRef,
    source: Source,
}

/// The terms of a WHERE clause, sorted by who evaluates them.
struct Pushed {
    time_range: RangeInclusive<i64>,
    series: Vec<Expr>,
    rows: Vec<Expr>,
}

impl StoredTable {
    pub(crate) fn new(database: DatabaseId, table: Arc<Table>, source: Source) -> Self {
        let schema = storage::schema::table_schema(&table);
        Self {
            database,
            table,
            schema,
            source,
        }
    }

    fn sort_terms(&self, terms: &[Expr]) -> Pushed {
        let mut pushed = Pushed {
            time_range: self.source.oldest_visible_ns..=i64::MAX,
            series: Vec::new(),
            rows: Vec::new(),
        };
        for term in terms {
            match classify(term, &self.schema) {
                Term::Time(range) => pushed.time_range = intersect(&pushed.time_range, &range),
                Term::Series => pushed.series.push(term.clone()),
                Term::Row => pushed.rows.push(term.clone()),
            }
        }
        pushed
    }

    /// `projection` and then the columns that only the row terms need.
    fn columns_to_read(&self, projection: &[usize], rows: &[Expr]) -> Vec<usize> {
        let needed: BTreeSet<usize> = rows
            .iter()
            .flat_map(Expr::column_refs)
            .filter_map(|column| self.schema.index_of(&column.name).ok())
            .filter(|index| !projection.contains(index))
            .collect();
        projection.iter().copied().chain(needed).collect()
    }
}

#[async_trait]
impl TableProvider for StoredTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match classify(filter, &self.schema) {
            Term::Time(_) | Term::Series => TableProviderFilterPushDown::Exact,
            Term::Row => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let pushed = self.sort_terms(filters);
        let wanted: Vec<usize> = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        if pushed.time_range.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(
                self.schema.project(&wanted)?,
            ))));
        }
        let read = self.columns_to_read(&wanted, &pushed.rows);
        let schema = Arc::new(self.schema.project(&read)?);
        let request = ScanRequest {
            database: self.database,
            table: Arc::clone(&self.table),
            projection: read,
            time_range: pushed.time_range.clone(),
            series_filter: series_filter(state, &self.schema, &pushed.series)?,
            partitions: self.source.partitions,
        };
        let scan = self
            .source
            .storage
            .scan(request)
            .await
            .map_err(to_datafusion)?;
        let description = Description {
            table: self.table.name.to_string(),
            time_range: pushed.time_range,
            series_filters: pushed.series.iter().map(ToString::to_string).collect(),
        };
        let limit = limit.filter(|_| pushed.rows.is_empty());
        let scan = SeriesScan::new(scan, Arc::clone(&schema), description, limit)?;
        let Some(rows) = conjunction(pushed.rows) else {
            return Ok(Arc::new(scan));
        };
        // The optimizer may rewrite a term after it was promised to be exact; it still has to hold.
        let schema = DFSchema::try_from(schema)?;
        let predicate = state.create_physical_expr(rows, &schema)?;
        let filtered = FilterExecBuilder::new(predicate, Arc::new(scan))
            .apply_projection(Some((0..wanted.len()).collect()))?
            .build()?;
        Ok(Arc::new(filtered))
    }
}

/// Compiles tag terms into the question storage asks per series; none when there are no terms.
fn series_filter(
    state: &dyn Session,
    schema: &Schema,
    terms: &[Expr],
) -> Result<Option<SeriesFilter>> {
    let Some(condition) = conjunction(terms.iter().cloned()) else {
        return Ok(None);
    };
    let tags: Vec<_> = schema
        .fields()
        .iter()
        .filter(|field| is_tag(schema, field.name()))
        .cloned()
        .collect();
    let tags = Arc::new(Schema::new(tags));
    let predicate =
        state.create_physical_expr(condition, &DFSchema::try_from(Arc::clone(&tags))?)?;
    Ok(Some(Arc::new(move |series: &RecordBatch| {
        matching_series(predicate.as_ref(), &tags, series)
    })))
}

/// Answers per row of `series` whether the predicate is true there.
fn matching_series(
    predicate: &dyn PhysicalExpr,
    tags: &SchemaRef,
    series: &RecordBatch,
) -> Result<BooleanArray, Error> {
    if series.num_columns() != tags.fields().len() {
        return Err(Error::internal(format!(
            "series filter wants {} tags, got {}",
            tags.fields().len(),
            series.num_columns()
        )));
    }
    let evaluated = predicate
        .evaluate(series)
        .and_then(|answers| answers.into_array(series.num_rows()))
        .map_err(|fault| from_evaluation(&fault))?;
    // An untyped NULL answers for no series.
    if evaluated.data_type() == &DataType::Null {
        return Ok(BooleanArray::from(vec![false; series.num_rows()]));
    }
    let answers = cast(&evaluated, &DataType::Boolean)
        .map_err(|fault| Error::internal("series filter is not a condition").with_source(fault))?;
    Ok(answers.as_boolean().clone())
}
