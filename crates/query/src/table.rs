//! One stored table as DataFusion sees it: what may be pushed down to storage, and the scan that results.
//!
//! Tag conditions and time ranges go down exactly, so DataFusion does not evaluate them again (`filter`).
//! Rows older than the table's retention are cut here, as a lower bound on time (spec/query-sql.md §3); a deleted table whose data
//! has to go is empty at once, whatever is still stored. The same terms, sorted the same way, say what a DELETE takes.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema, Result, plan_err};
use datafusion::datasource::TableType;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExecBuilder;

use catalog::{Database, Snapshot, Table, TokenId};
use storage::{DeleteRequest, Engine, RowFilter, ScanRequest, SeriesFilter, Wanted};

use crate::error::{from_evaluation, to_datafusion};
use crate::filter::{ALL_TIMES, NO_TIMES, TIME, Term, classify, intersect, is_tag};
use crate::queries::Queries;
use crate::scan::{Description, SeriesScan};
use crate::system::{NodeRow, TokenEventRows};
use crate::{Access, Error};

/// Where the tables of one query read from, and how.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) storage: Arc<Engine>,
    /// Everything that exists, as the statement sees it.
    pub(crate) snapshot: Arc<Snapshot>,
    /// When the statement began, in nanoseconds since the epoch.
    pub(crate) now_ns: i64,
    /// Most partitions of a scan.
    pub(crate) partitions: usize,
    /// What may be seen.
    pub(crate) access: Access,
    /// Whose statement it is, where tokens are asked for.
    pub(crate) token: Option<TokenId>,
    /// Whether the node asks for no tokens.
    pub(crate) without_auth: bool,
    pub(crate) token_events: TokenEventRows,
    /// What the node says it is.
    pub(crate) node: Option<Arc<NodeRow>>,
    pub(crate) queries: Arc<Queries>,
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Source")
            .field("snapshot", &self.snapshot)
            .field("now_ns", &self.now_ns)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

/// A table of the catalog.
#[derive(Clone, Debug)]
pub(crate) struct StoredTable {
    database: Arc<Database>,
    table: Arc<Table>,
    schema: SchemaRef,
    source: Source,
    /// The times, in nanoseconds, of the rows that exist for a statement: neither expired nor due to be deleted.
    visible: RangeInclusive<i64>,
    wanted: Wanted,
    /// What a scan of it is, when that was planned ahead.
    planned: Option<Arc<dyn ExecutionPlan>>,
}

/// The terms of a WHERE clause, sorted by who evaluates them.
struct Pushed {
    time_range: RangeInclusive<i64>,
    series: Vec<Expr>,
    rows: Vec<Expr>,
    /// Those of the row terms that storage may look at, too, before it reads all columns.
    hints: Vec<Expr>,
}

impl StoredTable {
    pub(crate) fn new(database: Arc<Database>, table: Arc<Table>, source: Source) -> Self {
        let schema = storage::schema::table_schema(&table);
        let visible = visible_times(&source, &database, &table);
        Self {
            database,
            table,
            schema,
            source,
            visible,
            wanted: Wanted::All,
            planned: None,
        }
    }

    /// The same table, whose scan is planned already; good for that one scan.
    pub(crate) fn with_scan(&self, planned: Arc<dyn ExecutionPlan>) -> Self {
        Self {
            planned: Some(planned),
            ..self.clone()
        }
    }

    /// The same table, of which only the newest row of each series is wanted; `None` when it is that already.
    pub(crate) fn newest_of_series(&self) -> Option<Self> {
        (self.wanted != Wanted::NewestOfSeries).then(|| Self {
            wanted: Wanted::NewestOfSeries,
            ..self.clone()
        })
    }

    /// Whether storage itself finds out for which rows all of these terms hold.
    pub(crate) fn decides(&self, terms: &[Expr]) -> bool {
        let classes = terms.iter().map(|term| classify(term, &self.schema));
        classes.into_iter().all(|class| class != Term::Row)
    }

    pub(crate) fn is_tag(&self, column: &str) -> bool {
        is_tag(&self.schema, column)
    }

    /// Where its rows are.
    pub(crate) fn storage(&self) -> &Arc<Engine> {
        &self.source.storage
    }

    /// The times of the rows that a statement can see, in nanoseconds.
    pub(crate) fn visible(&self) -> &RangeInclusive<i64> {
        &self.visible
    }

    /// What a DELETE takes whose rows meet every term; `None` when there can be no such row. Terms are coerced and simplified,
    /// and their columns unqualified.
    ///
    /// Errors: `Denied`, `Conflict` when the table or its database is deleted, `Invalid` for the server's own tables.
    pub(crate) fn delete_request(
        &self,
        state: &dyn Session,
        terms: &[Expr],
    ) -> Result<Option<DeleteRequest>> {
        if self.database.is_internal() {
            return plan_err!("rows of the internal database cannot be deleted");
        }
        if !self.source.access.may_delete(&self.database, &self.table) {
            return Err(to_datafusion(Error::denied("deleting rows is not allowed")));
        }
        let deleted = [
            (self.database.is_deleted(), &self.database.name),
            (self.table.is_deleted(), &self.table.name),
        ];
        if let Some((_, name)) = deleted.iter().find(|(is_deleted, _)| *is_deleted) {
            return Err(to_datafusion(Error::conflict(format!(
                "attempted to modify resource that was already deleted: {name}"
            ))));
        }
        let pushed = self.sort_terms(terms);
        if pushed.time_range.is_empty() {
            return Ok(None);
        }
        Ok(Some(DeleteRequest {
            database: self.database.id,
            table: Arc::clone(&self.table),
            time_range: pushed.time_range,
            series_filter: series_filter(state, &self.schema, &pushed.series)?,
            row_filter: self.row_filter(state, pushed.rows)?,
        }))
    }

    /// Compiles the terms that storage has to ask row by row; none when there are no such terms.
    fn row_filter(&self, state: &dyn Session, rows: Vec<Expr>) -> Result<Option<RowFilter>> {
        let mut columns = self.columns_to_read(&[], &rows);
        let Some(condition) = conjunction(rows) else {
            return Ok(None);
        };
        if columns.is_empty() {
            // A batch must have a column to have rows.
            columns.push(self.schema.index_of(TIME)?);
        }
        let shown = Arc::new(self.schema.project(&columns)?);
        let predicate =
            state.create_physical_expr(condition, &DFSchema::try_from(Arc::clone(&shown))?)?;
        Ok(Some(RowFilter {
            columns,
            matches: Arc::new(move |rows: &RecordBatch| holds(predicate.as_ref(), &shown, rows)),
        }))
    }

    fn sort_terms(&self, terms: &[Expr]) -> Pushed {
        let mut pushed = Pushed {
            time_range: self.visible.clone(),
            series: Vec::new(),
            rows: Vec::new(),
            hints: Vec::new(),
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

    /// Whether a row term is one that storage may ask of the fields of a row before it reads the others. A term of a time or of tags
    /// alone is promised to be decided exactly and never a hint, however it was rewritten since.
    fn is_hint(&self, term: &Expr) -> bool {
        let columns = term.column_refs();
        let is_tag = |column: &&Column| self.is_tag(&column.name);
        let is_field = |column: &&Column| column.name != TIME && !self.is_tag(&column.name);
        columns.iter().any(is_field)
            && !columns.iter().any(is_tag)
            && !term.is_volatile()
            && !term.exists(|part| Ok(is_subquery(part))).unwrap_or(true)
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
            Term::Row if self.is_hint(filter) => TableProviderFilterPushDown::Inexact,
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
        if let Some(planned) = &self.planned {
            return Ok(Arc::clone(planned));
        }
        let mut pushed = self.sort_terms(filters);
        let all = std::mem::take(&mut pushed.rows);
        (pushed.hints, pushed.rows) = all.into_iter().partition(|term| self.is_hint(term));
        let shown: Vec<usize> = match projection {
            Some(projection) => projection.clone(),
            None => (0..self.schema.fields().len()).collect(),
        };
        if pushed.time_range.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(
                self.schema.project(&shown)?,
            ))));
        }
        let read = self.columns_to_read(&shown, &pushed.rows);
        let schema = Arc::new(self.schema.project(&read)?);
        let wanted = match self.wanted {
            Wanted::All if read.is_empty() && limit.is_none() && pushed.hints.is_empty() => {
                Wanted::Count
            }
            // Storage would leave out rows before it is known which of them meet these terms.
            Wanted::NewestOfSeries if !pushed.rows.is_empty() || !pushed.hints.is_empty() => {
                Wanted::All
            }
            wanted => wanted,
        };
        let request = ScanRequest {
            database: self.database.id,
            table: Arc::clone(&self.table),
            projection: read,
            time_range: pushed.time_range.clone(),
            series_filter: series_filter(state, &self.schema, &pushed.series)?,
            row_filter: self.row_filter(state, pushed.hints.clone())?,
            partitions: self.source.partitions,
            wanted,
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
            row_filters: pushed.hints.iter().map(ToString::to_string).collect(),
        };
        let limit = limit.filter(|_| pushed.rows.is_empty() && pushed.hints.is_empty());
        let scan = SeriesScan::new(scan, Arc::clone(&schema), description, limit)?;
        let Some(rows) = conjunction(pushed.rows) else {
            return Ok(Arc::new(scan));
        };
        // The optimizer may rewrite a term after it was promised to be exact; it still has to hold.
        let schema = DFSchema::try_from(schema)?;
        let predicate = state.create_physical_expr(rows, &schema)?;
        let filtered = FilterExecBuilder::new(predicate, Arc::new(scan))
            .apply_projection(Some((0..shown.len()).collect()))?
            .build()?;
        Ok(Arc::new(filtered))
    }
}

fn is_subquery(part: &Expr) -> bool {
    matches!(
        part,
        Expr::ScalarSubquery(_)
            | Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::OuterReferenceColumn(..)
    )
}

/// Retention keeps the rows with `time > now - retention` (spec/query-sql.md §3); data that has to go is nobody's any more.
fn visible_times(source: &Source, database: &Database, table: &Table) -> RangeInclusive<i64> {
    let now_ms = source.now_ns.div_euclid(1_000_000);
    if source.snapshot.is_data_due(table.id, now_ms) {
        return NO_TIMES;
    }
    let Some(retention) = database.retention_of(table) else {
        return ALL_TIMES;
    };
    let retention_ns = i64::try_from(retention.as_nanos()).unwrap_or(i64::MAX);
    source.now_ns.saturating_sub(retention_ns).saturating_add(1)..=i64::MAX
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
    let named: BTreeSet<usize> = condition
        .column_refs()
        .into_iter()
        .map(|column| schema.index_of(&column.name))
        .collect::<Result<_, _>>()?;
    let columns: Vec<usize> = named.into_iter().collect();
    let tags = Arc::new(schema.project(&columns)?);
    let predicate =
        state.create_physical_expr(condition, &DFSchema::try_from(Arc::clone(&tags))?)?;
    Ok(Some(SeriesFilter {
        columns,
        matches: Arc::new(move |series: &RecordBatch| holds(predicate.as_ref(), &tags, series)),
    }))
}

/// Answers per row of `rows` whether the predicate over `columns` is true there.
fn holds(
    predicate: &dyn PhysicalExpr,
    columns: &SchemaRef,
    rows: &RecordBatch,
) -> Result<BooleanArray, Error> {
    if rows.num_columns() != columns.fields().len() {
        return Err(Error::internal(format!(
            "a filter wants {} columns, got {}",
            columns.fields().len(),
            rows.num_columns()
        )));
    }
    let evaluated = predicate
        .evaluate(rows)
        .and_then(|answers| answers.into_array(rows.num_rows()))
        .map_err(|fault| from_evaluation(&fault))?;
    // An untyped NULL is true nowhere.
    if evaluated.data_type() == &DataType::Null {
        return Ok(BooleanArray::from(vec![false; rows.num_rows()]));
    }
    let answers = cast(&evaluated, &DataType::Boolean)
        .map_err(|fault| Error::internal("a filter is not a condition").with_source(fault))?;
    Ok(answers.as_boolean().clone())
}
