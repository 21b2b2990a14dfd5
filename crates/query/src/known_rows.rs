//! Counting rows and finding the first and the last time from what indexes tell, reading only what they do not.
//!
//! `count(*)`, `min(time)` and `max(time)` without GROUP BY: an optimizer rule that takes the rows storage knows of out of the scan and
//! adds what they come to as one more partial state, which the last stage of the aggregation puts together with the rest. Runs on
//! plans whose distribution is settled. Not here: which rows are known (`storage/scan`).

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampNanosecondArray};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::union::UnionExec;
use storage::{Asked, KnownRows};

use crate::filter::TIME;
use crate::run_aggregate::with_aggregates_replaced;
use crate::scan::SeriesScan;

/// The rule.
#[derive(Debug)]
pub(crate) struct CountFromIndexes;

impl PhysicalOptimizerRule for CountFromIndexes {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        with_aggregates_replaced(plan, replacement)
    }

    fn name(&self) -> &'static str {
        "count_from_indexes"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What an aggregate asks of all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Count,
    First,
    Last,
}

/// The same answer with less to read; `None` when the aggregates ask for more, or nothing is known.
fn replacement(aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(questions) = questions(aggregate) else {
        return Ok(None);
    };
    let Some(scan) = scan_of(aggregate.input()) else {
        return Ok(None);
    };
    let asked = Asked {
        count: questions.contains(&Question::Count),
        times: questions.iter().any(|one| *one != Question::Count),
    };
    let Some((rest, known)) = scan.without_known(asked) else {
        return Ok(None);
    };
    let over = |mode, input| {
        AggregateExec::try_new(
            mode,
            aggregate.group_expr().clone(),
            aggregate.aggr_expr().to_vec(),
            aggregate.filter_expr().to_vec(),
            input,
            aggregate.input_schema(),
        )
    };
    let first: Arc<dyn ExecutionPlan> =
        Arc::new(over(AggregateMode::Partial, Arc::new(rest) as _)?);
    let Some(states) = states(&questions, &known, &first)? else {
        return Ok(None);
    };
    let both = UnionExec::try_new(vec![first, states])?;
    // Whatever stands above was planned for as many partitions as there were, or gathers them.
    let is_gathered = *aggregate.mode() == AggregateMode::Partial
        && scan.properties().output_partitioning().partition_count() > 1;
    let both = match is_gathered {
        true => both,
        false => Arc::new(CoalescePartitionsExec::new(both)),
    };
    match aggregate.mode() {
        AggregateMode::Partial => Ok(Some(both)),
        _ => Ok(Some(Arc::new(over(AggregateMode::Final, both)?))),
    }
}

/// What each aggregate asks, if it is one of ours, over all rows of a scan.
fn questions(aggregate: &AggregateExec) -> Option<Vec<Question>> {
    let is_first_stage = matches!(
        aggregate.mode(),
        AggregateMode::Partial | AggregateMode::Single
    );
    let is_plain = is_first_stage
        && aggregate.group_expr().is_empty()
        && aggregate.limit_options().is_none()
        && aggregate.filter_expr().iter().all(Option::is_none);
    let functions = aggregate.aggr_expr();
    if !is_plain || functions.is_empty() {
        return None;
    }
    functions
        .iter()
        .map(|function| question(function))
        .collect()
}

fn question(function: &AggregateFunctionExpr) -> Option<Question> {
    if function.is_distinct() || !function.order_bys().is_empty() {
        return None;
    }
    let arguments = function.expressions();
    let [argument] = arguments.as_slice() else {
        return None;
    };
    let is_time = |argument: &Arc<dyn PhysicalExpr>| {
        argument
            .downcast_ref::<Column>()
            .is_some_and(|column| column.name() == TIME)
    };
    let counts_rows = argument
        .downcast_ref::<Literal>()
        .is_some_and(|literal| !literal.value().is_null());
    match function.fun().name() {
        "count" if counts_rows || is_time(argument) => Some(Question::Count),
        "min" if is_time(argument) => Some(Question::First),
        "max" if is_time(argument) => Some(Question::Last),
        _ => None,
    }
}

/// The scan whose rows arrive as they were read, be it dealt out to more partitions.
fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&SeriesScan> {
    match plan.is::<CooperativeExec>() || plan.is::<RepartitionExec>() {
        true => scan_of(plan.children().first()?),
        false => plan.downcast_ref::<SeriesScan>(),
    }
}

/// What is known as a partial state of the aggregation; `None` where states have another form.
fn states(
    questions: &[Question],
    known: &KnownRows,
    first: &Arc<dyn ExecutionPlan>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let schema = first.schema();
    let time = |time: i64| Arc::new(TimestampNanosecondArray::from(vec![time])) as ArrayRef;
    let columns: Vec<ArrayRef> = questions
        .iter()
        .map(|question| match question {
            Question::Count => Arc::new(Int64Array::from(vec![known.rows as i64])) as ArrayRef,
            Question::First => time(known.first_time),
            Question::Last => time(known.last_time),
        })
        .collect();
    let have_this_form = columns.len() == schema.fields().len()
        && columns
            .iter()
            .zip(schema.fields())
            .all(|(column, field)| column.data_type() == field.data_type());
    if !have_this_form {
        return Ok(None);
    }
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let states = MemorySourceConfig::try_new_exec(&[vec![batch]], schema, None)?;
    Ok(Some(states))
}
