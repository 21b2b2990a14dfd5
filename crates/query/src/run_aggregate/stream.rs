//! One partition of a `RunAggregate` at work: batches in, partial states out.
//!
//! Holds at most about a batch of groups when tags are among the group expressions, otherwise all groups of the partition, as long
//! as there is memory. When runs turn out to be short, what is known so far goes out and the rest of the input goes through the
//! replaced `AggregateExec`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream::{self, StreamExt};

use super::grouping::Grouping;
use super::groups::Groups;
use super::reduction::{Aggregate, RunGroups};
use super::runs::Runs;

/// Rows that are looked at before runs are judged, and judged again.
const JUDGED_ROWS: usize = 32_768;

/// Rows per run that make it worth while when every run becomes a row for the final stage.
const ADJACENT_RUN_ROWS: usize = 4;

/// Rows per run that make it worth while when every run is looked up here.
const INTERNED_RUN_ROWS: usize = 2;

/// Starts a partition. `replaced` has mode `Partial`.
pub(super) fn start(
    replaced: &Arc<AggregateExec>,
    grouping: &Arc<Grouping>,
    metrics: &ExecutionPlanMetricsSet,
    partition: usize,
    context: Arc<TaskContext>,
) -> Result<SendableRecordBatchStream> {
    let input = replaced.input();
    let aggregates: Vec<Aggregate> = replaced
        .aggr_expr()
        .iter()
        .zip(replaced.filter_expr())
        .map(|(function, filter)| Aggregate::new(function, filter.clone(), &input.schema()))
        .collect::<Result<_>>()?;
    let groups = match grouping.has_tag {
        true => Groups::adjacent(),
        false => Groups::interned(replaced.group_expr().group_schema(&input.schema())?)?,
    };
    let aggregation = Aggregation {
        input: Some(input.execute(partition, Arc::clone(&context))?),
        replaced: Arc::clone(replaced),
        grouping: Arc::clone(grouping),
        batch_rows: context.session_config().batch_size(),
        runs: Runs::default(),
        groups,
        numbers: Vec::new(),
        row_groups: Vec::new(),
        asks_rows: aggregates.iter().any(Aggregate::asks_rows),
        aggregates,
        ready: VecDeque::new(),
        judgement: Judgement::default(),
        rest: None,
        reservation: MemoryConsumer::new(format!("RunAggregate[{partition}]"))
            .with_can_spill(true)
            .register(context.memory_pool()),
        baseline: BaselineMetrics::new(metrics, partition),
        handed_over: MetricBuilder::new(metrics).counter("handed_over", partition),
        context,
    };
    let schema = replaced.schema();
    let batches = stream::try_unfold(aggregation, |mut aggregation| async move {
        let batch = aggregation.next().await?;
        Ok(batch.map(|batch| (batch, aggregation)))
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
}

struct Aggregation {
    /// None after the end.
    input: Option<SendableRecordBatchStream>,
    replaced: Arc<AggregateExec>,
    grouping: Arc<Grouping>,
    context: Arc<TaskContext>,
    /// Most rows of an output batch.
    batch_rows: usize,
    runs: Runs,
    groups: Groups,
    /// The group of each run of the current batch.
    numbers: Vec<usize>,
    /// The group of each row of the current batch, if anyone asks.
    row_groups: Vec<usize>,
    asks_rows: bool,
    aggregates: Vec<Aggregate>,
    /// Output that nobody has taken yet.
    ready: VecDeque<RecordBatch>,
    judgement: Judgement,
    /// What the replaced operator makes of the rest of the input.
    rest: Option<SendableRecordBatchStream>,
    reservation: MemoryReservation,
    baseline: BaselineMetrics,
    /// Partitions whose runs were too short.
    handed_over: Count,
}

/// Rows and runs since the last judgement.
#[derive(Default)]
struct Judgement {
    rows: usize,
    runs: usize,
}

impl Judgement {
    /// Whether enough was seen to say that runs are too short.
    fn is_short(&mut self, rows: usize, runs: usize, has_tag: bool) -> bool {
        self.rows += rows;
        self.runs += runs;
        if self.rows < JUDGED_ROWS {
            return false;
        }
        let worthwhile = match has_tag {
            true => ADJACENT_RUN_ROWS,
            false => INTERNED_RUN_ROWS,
        };
        let seen = std::mem::take(self);
        seen.runs * worthwhile > seen.rows
    }
}

impl Aggregation {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                self.baseline.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            if let Some(rest) = &mut self.rest {
                let Some(batch) = rest.next().await.transpose()? else {
                    return Ok(None);
                };
                self.baseline.record_output(batch.num_rows());
                // Names in the schema may differ from those that the plan was made with.
                let schema = self.replaced.schema();
                return Ok(Some(RecordBatch::try_new(
                    schema,
                    batch.columns().to_vec(),
                )?));
            }
            let Some(input) = &mut self.input else {
                return Ok(None);
            };
            let batch = input.next().await.transpose()?;
            let time = self.baseline.elapsed_compute().clone();
            let _timer = time.timer();
            match batch {
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => self.add(&batch)?,
                None => {
                    self.input = None;
                    self.emit()?;
                }
            }
        }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.runs.find(&self.grouping, batch)?;
        let has_tag = self.grouping.has_tag;
        if has_tag && self.groups.len() + self.runs.len() > self.batch_rows {
            self.emit()?;
        }
        let values = self.grouping.values_at(batch, &self.runs.first_rows())?;
        self.groups.add(values, &mut self.numbers)?;
        let runs = RunGroups {
            starts: self.runs.starts(),
            numbers: &self.numbers,
            rows: self.runs.rows(),
            groups: self.groups.len(),
        };
        self.row_groups.clear();
        if self.asks_rows {
            runs.fill(&mut self.row_groups);
        }
        for aggregate in &mut self.aggregates {
            aggregate.update(batch, &runs, &self.row_groups)?;
        }
        self.account()?;
        let (rows, runs) = (self.runs.rows(), self.runs.len());
        if self.judgement.is_short(rows, runs, has_tag) {
            self.hand_over()?;
        }
        Ok(())
    }

    /// Asks for the memory in use; without it, lets go of what can go out.
    fn account(&mut self) -> Result<()> {
        if self.reservation.try_resize(self.bytes()).is_ok() {
            return Ok(());
        }
        self.emit()?;
        self.reservation.try_resize(self.bytes())
    }

    fn bytes(&self) -> usize {
        let scratch = (self.numbers.capacity() + self.row_groups.capacity()) * size_of::<usize>();
        let states: usize = self.aggregates.iter().map(Aggregate::bytes).sum();
        scratch + states + self.groups.bytes()
    }

    /// Puts all groups out, in batches of the usual size.
    fn emit(&mut self) -> Result<()> {
        if self.groups.len() == 0 {
            return Ok(());
        }
        let mut columns = self.groups.take()?;
        for aggregate in &mut self.aggregates {
            columns.extend(aggregate.take()?);
        }
        let batch = RecordBatch::try_new(self.replaced.schema(), columns)?;
        for first in (0..batch.num_rows()).step_by(self.batch_rows.max(1)) {
            let rows = self.batch_rows.min(batch.num_rows() - first);
            self.ready.push_back(batch.slice(first, rows));
        }
        Ok(())
    }

    /// Lets the replaced operator aggregate the rest of the input.
    fn hand_over(&mut self) -> Result<()> {
        self.emit()?;
        self.reservation.free();
        let Some(input) = self.input.take() else {
            return Ok(());
        };
        self.handed_over.add(1);
        let schema = input.schema();
        let rest: Arc<dyn PartitionStream> = Arc::new(Rest {
            schema: Arc::clone(&schema),
            input: Mutex::new(Some(input)),
        });
        let leaf = StreamingTableExec::try_new(schema, vec![rest], None, [], false, None)?;
        let aggregate = AggregateExec::try_new(
            *self.replaced.mode(),
            self.replaced.group_expr().clone(),
            self.replaced.aggr_expr().to_vec(),
            self.replaced.filter_expr().to_vec(),
            Arc::new(leaf),
            self.replaced.input_schema(),
        )?;
        self.rest = Some(aggregate.execute(0, Arc::clone(&self.context))?);
        Ok(())
    }
}

impl RunGroups<'_> {
    /// The group of every row.
    fn fill(&self, row_groups: &mut Vec<usize>) {
        let ends = self.starts.iter().skip(1).map(|start| *start as usize);
        for (end, group) in ends.chain([self.rows]).zip(self.numbers) {
            row_groups.resize(end, *group);
        }
    }
}

/// An input that is half read, as a table that can be read once.
struct Rest {
    schema: SchemaRef,
    input: Mutex<Option<SendableRecordBatchStream>>,
}

impl PartitionStream for Rest {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        match input.take() {
            Some(input) => input,
            None => {
                let fault = internal_datafusion_err!("the rest of an input can be read once");
                let schema = Arc::clone(&self.schema);
                let fault = stream::once(async { Err(fault) });
                Box::pin(RecordBatchStreamAdapter::new(schema, fault))
            }
        }
    }
}

impl fmt::Debug for Rest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Rest")
    }
}
