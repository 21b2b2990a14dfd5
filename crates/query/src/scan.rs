//! The leaf of every physical plan: streams a `storage::Scan` into DataFusion, partition by partition.
//!
//! Planning a read is `table`'s work; pruning, merging and decoding are `storage`'s. Claims no order among its rows,
//! because storage promises none.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::DateTime;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::stream::{self, BoxStream, StreamExt};

use storage::{Asked, KnownRows, Scan};

use crate::Error;
use crate::error::to_datafusion;
use crate::filter::ALL_TIMES;

/// What EXPLAIN tells about a scan, besides what storage says itself.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) table: String,
    /// Nanoseconds; inclusive.
    pub(crate) time_range: RangeInclusive<i64>,
    /// The tag conditions storage applies, as SQL-like text.
    pub(crate) series_filters: Vec<String>,
    /// The conditions on fields by which storage leaves out rows where it can.
    pub(crate) row_filters: Vec<String>,
}

/// Reads one table.
pub(crate) struct SeriesScan {
    scan: Arc<Scan>,
    schema: SchemaRef,
    description: Description,
    /// Most rows wanted of each partition.
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SeriesScan {
    /// `schema` is the projected schema that the planner expects; the scan must deliver its columns.
    pub(crate) fn new(
        scan: Scan,
        schema: SchemaRef,
        description: Description,
        limit: Option<usize>,
    ) -> Result<Self> {
        if scan.schema().fields() != schema.fields() {
            return internal_err!(
                "scan of {} delivers {:?} instead of {:?}",
                description.table,
                scan.schema(),
                schema
            );
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(scan.partitions()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            scan: Arc::new(scan),
            schema,
            description,
            limit,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

impl SeriesScan {
    pub(crate) fn scan(&self) -> &Scan {
        &self.scan
    }

    /// The same scan of some of the time.
    pub(crate) fn narrowed(&self, times: &RangeInclusive<i64>) -> Self {
        self.of(self.scan.narrowed(times))
    }

    /// The same scan without the rows that need not be read to answer what is asked, and what these are; `None` when there are none or
    /// not all rows are wanted.
    pub(crate) fn without_known(&self, asked: Asked) -> Option<(Self, KnownRows)> {
        if self.limit.is_some() {
            return None;
        }
        let (rest, known) = self.scan.without_known(asked)?;
        Some((self.of(rest), known))
    }

    /// The same of another scan, in as many partitions.
    fn of(&self, scan: Scan) -> Self {
        Self {
            scan: Arc::new(scan),
            schema: Arc::clone(&self.schema),
            description: self.description.clone(),
            limit: self.limit,
            properties: Arc::clone(&self.properties),
            metrics: self.metrics.clone(),
        }
    }
}

impl ExecutionPlan for SeriesScan {
    fn name(&self) -> &'static str {
        "SeriesScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !children.is_empty() {
            return internal_err!("a scan has no children, but was given {}", children.len());
        }
        Ok(self)
    }

    /// The older name of [`ExecutionPlan::replace_children`], still without a default.
    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !children.is_empty() {
            return internal_err!("a scan has no children, but was given {}", children.len());
        }
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if partition >= self.scan.partitions() {
            return internal_err!(
                "scan of {} has {} partitions, none with number {partition}",
                self.description.table,
                self.scan.partitions()
            );
        }
        let rows = match self.limit {
            Some(limit) => first_rows(self.scan.stream(partition), limit),
            None => self.scan.stream(partition),
        };
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let counted = rows.map(move |batch| {
            let batch = batch.map_err(to_datafusion)?;
            metrics.record_output(batch.num_rows());
            Ok(batch)
        });
        let schema = Arc::clone(&self.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

impl DisplayAs for SeriesScan {
    fn fmt_as(&self, format: DisplayFormatType, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = match format {
            DisplayFormatType::TreeRender => "\n",
            _ => ", ",
        };
        let mut parts = vec![format!("table={}", self.description.table)];
        let columns: Vec<&str> = self
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        parts.push(format!("projection=[{}]", columns.join(", ")));
        if self.description.time_range != ALL_TIMES {
            parts.push(format!("time={}", interval(&self.description.time_range)));
        }
        if !self.description.series_filters.is_empty() {
            parts.push(format!(
                "series_filter=[{}]",
                self.description.series_filters.join(" AND ")
            ));
        }
        if !self.description.row_filters.is_empty() {
            parts.push(format!(
                "row_filter=[{}]",
                self.description.row_filters.join(" AND ")
            ));
        }
        if let Some(limit) = self.limit {
            parts.push(format!("limit={limit}"));
        }
        let told = self.scan.description();
        if !told.is_empty() {
            parts.push(told);
        }
        match format {
            DisplayFormatType::TreeRender => out.write_str(&parts.join(separator)),
            _ => write!(out, "SeriesScan: {}", parts.join(separator)),
        }
    }
}

impl fmt::Debug for SeriesScan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SeriesScan")
            .field("description", &self.description)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Ends a stream after `limit` rows, without asking for more than the batch that completes them.
fn first_rows(
    rows: BoxStream<'static, Result<RecordBatch, Error>>,
    limit: usize,
) -> BoxStream<'static, Result<RecordBatch, Error>> {
    stream::unfold((rows, limit), |(mut rows, left)| async move {
        if left == 0 {
            return None;
        }
        match rows.next().await? {
            Ok(batch) => {
                let taken = batch.num_rows().min(left);
                Some((Ok(batch.slice(0, taken)), (rows, left - taken)))
            }
            Err(error) => Some((Err(error), (rows, 0))),
        }
    })
    .boxed()
}

/// A range of times as text; an open end is left out.
fn interval(range: &RangeInclusive<i64>) -> String {
    let end = |ns: i64, open: i64| match ns == open {
        true => String::new(),
        false => DateTime::from_timestamp_nanos(ns)
            .naive_utc()
            .format("%Y-%m-%dT%H:%M:%S%.f")
            .to_string(),
    };
    format!(
        "[{}, {}]",
        end(*range.start(), i64::MIN),
        end(*range.end(), i64::MAX)
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[tokio::test]
    async fn a_limit_ends_the_stream_without_asking_for_more() {
        let batch = |values: Vec<i64>| {
            let column: ArrayRef = Arc::new(Int64Array::from(values));
            RecordBatch::try_from_iter([("v", column)]).map_err(|fault| panic!("{fault}"))
        };
        let rows = stream::iter([batch(vec![1, 2]), batch(vec![3, 4])])
            .chain(stream::once(async { panic!("asked for more than needed") }))
            .boxed();
        let taken: Vec<usize> = first_rows(rows, 3)
            .map(|batch| batch.expect("no errors").num_rows())
            .collect()
            .await;
        assert_eq!(taken, [2, 1]);
    }

    #[test]
    fn an_interval_leaves_out_open_ends() {
        assert_eq!(interval(&(0..=i64::MAX)), "[1970-01-01T00:00:00, ]");
        assert_eq!(
            interval(&(i64::MIN..=1)),
            "[, 1970-01-01T00:00:00.000000001]"
        );
    }
}
