//! The first rows in the order of time: reads the newest (or oldest) rows first, and stops when there are enough.
//!
//! A plan that sorts by `time`, or by a bin of it, and takes a few rows would read all there is. [`SliceByTime`] puts [`TimeSlices`] on
//! top of it, which runs the same plan over one slice of time after the other. A slice never cuts a bin in two, so what comes of a slice
//! is final, and later slices come behind it. Not here: which rows lie in a slice (`storage/scan`).

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch, TimestampNanosecondArray};
use datafusion::arrow::datatypes::{
    DataType, Field, Schema, SchemaRef, TimeUnit, TimestampNanosecondType,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{
    ReplaceChildrenOptions, execute_stream, reset_plan_states,
};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::TryStreamExt;
use futures::stream;

use crate::filter::TIME;
use crate::scan::SeriesScan;

/// More rows than this are no "few": all of it is read at once.
const ROWS_MAX: usize = 10_000;

/// How many times as many rows as are wanted the first slice should have, if rows are spread evenly.
const ROWS_AMPLE: i128 = 4;

/// How many times as long as the first slice the second is. The third is all that is left.
const SECOND_SLICE: i128 = 16;

/// The rule. Comes last but for rules that change what stands below.
#[derive(Debug, Default)]
pub(crate) struct SliceByTime;

impl PhysicalOptimizerRule for SliceByTime {
    fn name(&self) -> &str {
        "slice_by_time"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|plan| {
            Ok(match TimeSlices::of(&plan) {
                Some(sliced) => Transformed::new(Arc::new(sliced), true, TreeNodeRecursion::Jump),
                None => Transformed::no(plan),
            })
        })
        .map(|transformed| transformed.data)
    }
}

/// What the rows are sorted by: `time`, or a bin of it.
#[derive(Clone, Debug)]
enum Key {
    Time,
    /// Over a schema of `time` alone.
    Bin(Arc<dyn PhysicalExpr>),
}

impl Key {
    /// The start of the bin that `time` is in.
    fn start(&self, time: i64) -> Result<i64> {
        let Self::Bin(bin) = self else {
            return Ok(time);
        };
        let times = TimestampNanosecondArray::from(vec![time]);
        let batch = RecordBatch::try_new(time_schema(), vec![Arc::new(times)])?;
        let bins = bin.evaluate(&batch)?.into_array(1)?;
        match bins.as_primitive_opt::<TimestampNanosecondType>() {
            Some(bins) if bins.len() == 1 && bins.value(0) <= time => Ok(bins.value(0)),
            _ => internal_err!("{bin} does not put {time} into a bin"),
        }
    }
}

fn time_schema() -> SchemaRef {
    let kind = DataType::Timestamp(TimeUnit::Nanosecond, None);
    Arc::new(Schema::new(vec![Field::new(TIME, kind, false)]))
}

/// Runs a plan over one slice of time after the other, until it has given enough rows.
#[derive(Debug)]
pub(crate) struct TimeSlices {
    /// Sorted, and in one partition.
    plan: Arc<dyn ExecutionPlan>,
    key: Key,
    descending: bool,
    fetch: usize,
    times: RangeInclusive<i64>,
    /// Of the whole scan, about.
    rows: u64,
    properties: Arc<PlanProperties>,
}

impl TimeSlices {
    /// `None` when the plan is none that gains by it.
    fn of(plan: &Arc<dyn ExecutionPlan>) -> Option<Self> {
        let order = match (
            plan.downcast_ref::<SortExec>(),
            plan.downcast_ref::<SortPreservingMergeExec>(),
        ) {
            (Some(sort), _) if !sort.preserve_partitioning() => sort.expr(),
            (_, Some(merge)) => merge.expr(),
            _ => return None,
        };
        let fetch = plan
            .fetch()
            .filter(|fetch| (1..=ROWS_MAX).contains(fetch))?;
        if plan.output_partitioning().partition_count() != 1 {
            return None;
        }
        let first = order.first();
        let input = *plan.children().first()?;
        let (key, scan) = traced(input, &first.expr)?;
        let scan = scan.scan();
        let times = scan.times().filter(|_| scan.is_of_all_rows())?;
        let sliced = Self {
            plan: Arc::clone(plan),
            key,
            descending: first.options.descending,
            fetch,
            times,
            rows: scan.rows_max(),
            properties: Arc::clone(plan.properties()),
        };
        // A scan that is one slice anyway gains nothing.
        let first = sliced.first_slice().ok()?;
        (first != sliced.times).then_some(sliced)
    }

    /// The slice that should have enough.
    fn first_slice(&self) -> Result<RangeInclusive<i64>> {
        let (first, last) = (*self.times.start(), *self.times.end());
        let length = match &self.key {
            Key::Time => {
                let rows = i128::from(self.rows.max(1));
                let wanted = self.fetch as i128 * ROWS_AMPLE;
                (i128::from(last) - i128::from(first)) * wanted / rows
            }
            Key::Bin(_) => {
                let newest = self.key.start(last)?;
                let before = self.key.start(newest.saturating_sub(1))?;
                (i128::from(newest) - i128::from(before)) * self.fetch as i128
            }
        };
        self.slice(&self.times, length)
    }

    /// The part of `left` that comes first, of about this length, with no bin cut in two.
    fn slice(&self, left: &RangeInclusive<i64>, length: i128) -> Result<RangeInclusive<i64>> {
        let (first, last) = (*left.start(), *left.end());
        let clamped = |time: i128| {
            let time = time.clamp(i128::from(first), i128::from(last));
            time as i64
        };
        if self.descending {
            let start = self.key.start(clamped(i128::from(last) - length))?;
            return Ok(start.max(first)..=last);
        }
        let beyond = clamped(i128::from(first) + length);
        if beyond == last {
            return Ok(left.clone());
        }
        let end = self.key.start(beyond)?.saturating_sub(1);
        Ok(if end < first {
            left.clone()
        } else {
            first..=end
        })
    }

    /// The slices, in the order in which they are read. Together they are all of the time.
    fn slices(&self) -> Result<Vec<RangeInclusive<i64>>> {
        let mut slices = Vec::new();
        let mut left = self.times.clone();
        let mut next = self.first_slice()?;
        let length = i128::from(*next.end()) - i128::from(*next.start()) + 1;
        let mut lengths = [Some(length * SECOND_SLICE), None].into_iter();
        loop {
            slices.push(next.clone());
            let rest = if self.descending {
                *left.start()..=next.start().saturating_sub(1)
            } else {
                next.end().saturating_add(1)..=*left.end()
            };
            let is_last = match self.descending {
                true => next.start() <= left.start(),
                false => next.end() >= left.end(),
            };
            if is_last {
                return Ok(slices);
            }
            left = rest;
            next = match lengths.next().flatten() {
                Some(length) => self.slice(&left, length)?,
                None => left.clone(),
            };
        }
    }
}

/// Where the values of `key`, a column of `plan`, come from: time, or a bin of it, of the one scan below.
fn traced<'a>(
    plan: &'a Arc<dyn ExecutionPlan>,
    key: &Arc<dyn PhysicalExpr>,
) -> Option<(Key, &'a SeriesScan)> {
    if let Some(scan) = plan.downcast_ref::<SeriesScan>() {
        return key_of_scan(key).map(|key| (key, scan));
    }
    let at = key.downcast_ref::<Column>()?.index();
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        return traced(projection.input(), &projection.expr().get(at)?.expr);
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let groups = aggregate.group_expr();
        let is_plain = groups.is_single() && aggregate.limit_options().is_none();
        let (group, _) = groups.expr().get(at).filter(|_| is_plain)?;
        return traced(aggregate.input(), group);
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let at = match filter.projection() {
            Some(projection) => *projection.get(at)?,
            None => at,
        };
        let schema = filter.input().schema();
        let column = Column::new(schema.field(at).name(), at);
        return traced(filter.input(), &(Arc::new(column) as _));
    }
    let keeps_columns = plan.is::<SortExec>()
        || plan.is::<SortPreservingMergeExec>()
        || plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.name() == "CooperativeExec";
    // A limit below would count the rows of each slice anew.
    let is_limited = plan.fetch().is_some() && !plan.is::<SortExec>();
    match plan.children().as_slice() {
        [input] if keeps_columns && !is_limited => traced(input, key),
        _ => None,
    }
}

fn key_of_scan(key: &Arc<dyn PhysicalExpr>) -> Option<Key> {
    let is_time = |key: &Arc<dyn PhysicalExpr>| {
        key.downcast_ref::<Column>()
            .is_some_and(|column| column.name() == TIME)
    };
    if is_time(key) {
        return Some(Key::Time);
    }
    let call = key.downcast_ref::<ScalarFunctionExpr>()?;
    let rounds_down = matches!(call.name(), "date_bin" | "date_trunc");
    let times = call.args().iter().filter(|argument| is_time(argument));
    let others = call.args().iter().filter(|argument| !is_time(argument));
    let is_plain = times.count() == 1 && others.into_iter().all(|other| other.is::<Literal>());
    if !rounds_down || !is_plain {
        return None;
    }
    let alone = Arc::clone(key).transform(|node| {
        Ok(if is_time(&node) {
            Transformed::yes(Arc::new(Column::new(TIME, 0)) as _)
        } else {
            Transformed::no(node)
        })
    });
    let bin = alone.ok()?.data;
    let kind = DataType::Timestamp(TimeUnit::Nanosecond, None);
    (bin.data_type(&time_schema()).ok()? == kind).then_some(Key::Bin(bin))
}

/// The plan over a slice of its scan.
fn over(
    plan: &Arc<dyn ExecutionPlan>,
    times: &RangeInclusive<i64>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let narrowed = Arc::clone(plan).transform_up(|plan| {
        Ok(match plan.downcast_ref::<SeriesScan>() {
            Some(scan) => Transformed::yes(Arc::new(scan.narrowed(times)) as _),
            None => Transformed::no(plan),
        })
    })?;
    // No slice may see what an earlier one has left in a plan.
    reset_plan_states(narrowed.data)
}

impl ExecutionPlan for TimeSlices {
    fn name(&self) -> &'static str {
        "TimeSlices"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.plan]
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
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(plan), true) => Ok(Arc::new(Self {
                properties: Arc::clone(plan.properties()),
                plan,
                key: self.key.clone(),
                times: self.times.clone(),
                descending: self.descending,
                fetch: self.fetch,
                rows: self.rows,
            })),
            _ => internal_err!("time slices are of one plan"),
        }
    }

    /// The older name of [`ExecutionPlan::replace_children`], still without a default.
    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let recompute =
            datafusion::physical_plan::execution_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(recompute))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("time slices have one partition, not {partition}");
        }
        let reading = Reading {
            plan: Arc::clone(&self.plan),
            slices: self.slices()?.into_iter(),
            current: None,
            left: self.fetch,
            context,
        };
        let rows = stream::try_unfold(reading, |mut reading| async move {
            Ok(reading.next().await?.map(|rows| (rows, reading)))
        });
        let schema = self.plan.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// Slices being read.
struct Reading {
    plan: Arc<dyn ExecutionPlan>,
    slices: std::vec::IntoIter<RangeInclusive<i64>>,
    current: Option<SendableRecordBatchStream>,
    /// Rows still wanted.
    left: usize,
    context: Arc<TaskContext>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.left > 0 {
            let Some(current) = &mut self.current else {
                let Some(slice) = self.slices.next() else {
                    break;
                };
                let plan = over(&self.plan, &slice)?;
                self.current = Some(execute_stream(plan, Arc::clone(&self.context))?);
                continue;
            };
            match current.try_next().await? {
                Some(rows) if rows.num_rows() > 0 => {
                    let rows = rows.slice(0, rows.num_rows().min(self.left));
                    self.left -= rows.num_rows();
                    return Ok(Some(rows));
                }
                Some(_) => {}
                None => self.current = None,
            }
        }
        Ok(None)
    }
}

impl DisplayAs for TimeSlices {
    fn fmt_as(&self, _: DisplayFormatType, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = if self.descending { "newest" } else { "oldest" };
        write!(out, "TimeSlices: from={from}, fetch={}", self.fetch)?;
        if let Key::Bin(bin) = &self.key {
            write!(out, ", by={bin}")?;
        }
        Ok(())
    }
}
