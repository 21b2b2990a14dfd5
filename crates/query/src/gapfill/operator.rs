//! The operator: reads rows sorted by series and bin, and lets each series out with its gaps filled.
//!
//! It holds the rows of one series, and accounts for them; nothing else grows with the input. How many rows it may make is
//! limited, because a small statement can ask for any number.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::arrow::array::{ArrayRef, RecordBatch, make_comparator};
use datafusion::arrow::compute::{BatchCoalescer, SortOptions, concat_batches, partition};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr,
    PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, Partitioning, PlanProperties,
};
use futures::StreamExt;
use futures::stream;

use super::group::Series;
use super::node::{Gaps, described};
use crate::binning::Cutter;
use crate::error::to_datafusion;
use crate::{Error, ErrorKind};

/// The most rows that are made for one query.
const MADE_ROWS_MAX: u64 = 100_000_000;

/// Bins are in this order, and so are the values of a series key: as ORDER BY has them without further words.
const ORDER: SortOptions = SortOptions {
    descending: false,
    nulls_first: false,
};

/// Fills gaps.
#[derive(Debug)]
pub(crate) struct GapFillExec {
    input: Arc<dyn ExecutionPlan>,
    gaps: Arc<Gaps>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// The rows made so far, in all partitions.
    made: Arc<AtomicU64>,
}

impl GapFillExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, gaps: Arc<Gaps>, schema: SchemaRef) -> Self {
        let ordering = ordering(&gaps, &schema);
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(Arc::clone(&schema), ordering),
            partitioning(input.as_ref(), &gaps),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            input,
            gaps,
            schema,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            made: Arc::default(),
        }
    }

    fn with_input(&self, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([input]) = <[Arc<dyn ExecutionPlan>; 1]>::try_from(children) else {
            return internal_err!("gap filling has one input");
        };
        let gaps = Arc::clone(&self.gaps);
        Ok(Arc::new(Self::new(input, gaps, Arc::clone(&self.schema))))
    }
}

/// The columns of the input are in the same places of the output, so this is the order of both.
fn ordering(gaps: &Gaps, schema: &SchemaRef) -> Option<LexOrdering> {
    let sorted = gaps
        .series
        .iter()
        .chain([&gaps.time])
        .map(|at| PhysicalSortExpr {
            expr: column(*at, schema),
            options: ORDER,
        });
    LexOrdering::new(sorted)
}

fn column(at: usize, schema: &SchemaRef) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(schema.field(at).name(), at))
}

/// Rows stay in their partition.
fn partitioning(input: &dyn ExecutionPlan, gaps: &Gaps) -> Partitioning {
    let is_series = |expression: &Arc<dyn PhysicalExpr>| {
        let column = expression.downcast_ref::<Column>();
        column.is_some_and(|column| gaps.series.contains(&column.index()))
    };
    match input.output_partitioning() {
        Partitioning::Hash(keys, count) if keys.iter().all(is_series) => {
            Partitioning::Hash(keys.clone(), *count)
        }
        other => Partitioning::UnknownPartitioning(other.partition_count()),
    }
}

impl ExecutionPlan for GapFillExec {
    fn name(&self) -> &'static str {
        "GapFillExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    /// All rows of a series are in one partition.
    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let schema = self.input.schema();
        let keys: Vec<_> = self
            .gaps
            .series
            .iter()
            .map(|at| column(*at, &schema))
            .collect();
        InputDistributionRequirements::new(vec![if keys.is_empty() {
            Distribution::SinglePartition
        } else {
            Distribution::KeyPartitioned(keys)
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let ordering = ordering(&self.gaps, &self.input.schema());
        vec![ordering.map(OrderingRequirements::from)]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
        self.with_input(children)
    }

    /// The older name of [`ExecutionPlan::replace_children`], still without a default.
    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.with_input(children)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batch_rows = context.session_config().batch_size();
        let cutter = self
            .gaps
            .binning
            .cutter()
            .map_err(|what| to_datafusion(Error::invalid(what)))?;
        let filling = Filling {
            input: self.input.execute(partition, Arc::clone(&context))?,
            gaps: Arc::clone(&self.gaps),
            cutter,
            schema: Arc::clone(&self.schema),
            batch_rows,
            pieces: VecDeque::new(),
            series: Vec::new(),
            leaving: None,
            filled: BatchCoalescer::new(Arc::clone(&self.schema), batch_rows),
            has_input: true,
            reservation: MemoryConsumer::new(format!("GapFillExec[{partition}]"))
                .register(context.memory_pool()),
            made: Arc::clone(&self.made),
        };
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let rows = stream::try_unfold(filling, move |mut filling| {
            let metrics = metrics.clone();
            async move {
                let batch = filling.next(&metrics).await?;
                Ok(batch.map(|batch| {
                    metrics.record_output(batch.num_rows());
                    (batch, filling)
                }))
            }
        });
        let schema = Arc::clone(&self.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

impl DisplayAs for GapFillExec {
    fn fmt_as(&self, format: DisplayFormatType, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = described(&self.gaps, |at| self.schema.field(at).name());
        match format {
            DisplayFormatType::TreeRender => out.write_str(&told),
            _ => write!(out, "GapFillExec: {told}"),
        }
    }
}

/// One partition at work.
struct Filling {
    input: SendableRecordBatchStream,
    gaps: Arc<Gaps>,
    cutter: Cutter,
    schema: SchemaRef,
    batch_rows: usize,
    /// What the last batch read still has, cut where the series changes.
    pieces: VecDeque<RecordBatch>,
    /// The rows of one series, as far as they have been read.
    series: Vec<RecordBatch>,
    /// A series that is complete.
    leaving: Option<Series>,
    filled: BatchCoalescer,
    has_input: bool,
    reservation: MemoryReservation,
    made: Arc<AtomicU64>,
}

impl Filling {
    async fn next(&mut self, metrics: &BaselineMetrics) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.filled.next_completed_batch() {
                return Ok(Some(batch));
            }
            let working = metrics.elapsed_compute().timer();
            if let Some(series) = &mut self.leaving {
                match series.next_batch(self.batch_rows)? {
                    Some((batch, made)) => {
                        count(&self.made, made)?;
                        self.filled.push_batch(batch)?;
                    }
                    None => {
                        self.leaving = None;
                        self.reservation.free();
                    }
                }
                continue;
            }
            if let Some(piece) = self.pieces.pop_front() {
                if self.goes_on(&piece)? {
                    self.reservation.try_grow(bytes(&piece)?)?;
                    self.series.push(piece);
                } else {
                    self.pieces.push_front(piece);
                    self.complete()?;
                }
                continue;
            }
            if !self.has_input {
                if !self.series.is_empty() {
                    self.complete()?;
                    continue;
                }
                self.filled.finish_buffered_batch()?;
                return Ok(self.filled.next_completed_batch());
            }
            drop(working);
            match self.input.next().await {
                Some(batch) => self.pieces = self.cut(&batch?)?,
                None => self.has_input = false,
            }
        }
    }

    /// A batch in pieces of one series each.
    fn cut(&self, batch: &RecordBatch) -> Result<VecDeque<RecordBatch>> {
        if batch.num_rows() == 0 {
            return Ok(VecDeque::new());
        }
        let keys = self.keys(batch);
        if keys.is_empty() {
            return Ok(VecDeque::from([batch.clone()]));
        }
        let ranges = partition(&keys)?.ranges();
        Ok(ranges
            .into_iter()
            .map(|range| batch.slice(range.start, range.len()))
            .collect())
    }

    fn keys(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        let series = self.gaps.series.iter();
        series.map(|at| Arc::clone(batch.column(*at))).collect()
    }

    /// Whether `piece` is of the series being read.
    fn goes_on(&self, piece: &RecordBatch) -> Result<bool> {
        let Some(before) = self.series.last() else {
            return Ok(true);
        };
        for (one, other) in self.keys(before).iter().zip(&self.keys(piece)) {
            let comparator = make_comparator(one, other, ORDER)?;
            if comparator(0, 0).is_ne() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn complete(&mut self) -> Result<()> {
        let pieces = std::mem::take(&mut self.series);
        let rows = match pieces.as_slice() {
            [rows] => rows.clone(),
            several => concat_batches(&self.input.schema(), several)?,
        };
        self.leaving = Some(Series::new(rows, &self.gaps, &self.cutter, &self.schema)?);
        Ok(())
    }
}

/// The memory of the rows of a piece, without that of the batch it is cut from.
fn bytes(piece: &RecordBatch) -> Result<usize> {
    let mut bytes = 0;
    for column in piece.columns() {
        bytes += column.to_data().get_slice_memory_size()?;
    }
    Ok(bytes)
}

fn count(made: &AtomicU64, rows: usize) -> Result<()> {
    let rows = u64::try_from(rows).unwrap_or(u64::MAX);
    let before = made.fetch_add(rows, Ordering::Relaxed);
    if before.saturating_add(rows) > MADE_ROWS_MAX {
        return Err(to_datafusion(Error::new(
            ErrorKind::Limit,
            format!(
                "gap filling has made more than {MADE_ROWS_MAX} rows: ask for longer bins, fewer series or a shorter time"
            ),
        )));
    }
    Ok(())
}
