//! What tells the groups of a query apart, sorted by how cheaply a change from one row to the next is found.
//!
//! Made once per plan from the group expressions; `runs` asks it about batches.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::logical_expr::sort_properties::SortProperties;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::PhysicalExpr;

use super::rule::Origin;

/// The group expressions of an aggregation whose rows may come in runs.
#[derive(Debug)]
pub(super) struct Grouping {
    /// The columns of the input that any group expression reads.
    columns: Vec<usize>,
    /// Those columns.
    schema: SchemaRef,
    /// Every group expression, over [`Self::schema`].
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    /// Columns of the input; whenever one changes, a run ends.
    pub(super) marks: Vec<usize>,
    /// Functions of time that only ever go one way as time goes on; a change of one ends a run.
    pub(super) steps: Vec<Step>,
    /// Expressions over [`Self::schema`]; whenever one changes, a run ends.
    pub(super) others: Vec<Arc<dyn PhysicalExpr>>,
    /// Whether a tag is among the group expressions.
    pub(super) has_tag: bool,
}

/// A monotone function of time.
#[derive(Debug)]
pub(super) struct Step {
    /// Time, as a column of the input.
    pub(super) time: usize,
    /// Time alone.
    pub(super) schema: SchemaRef,
    /// Over [`Self::schema`].
    pub(super) expression: Arc<dyn PhysicalExpr>,
}

impl Grouping {
    /// `origins` tells of each column of `input`. `None` when an expression may change with every row.
    pub(super) fn new(
        expressions: &[Arc<dyn PhysicalExpr>],
        origins: &[Origin],
        input: &SchemaRef,
    ) -> Result<Option<Self>> {
        let mut columns: Vec<usize> = Vec::new();
        let mut marks = Vec::new();
        let mut steps = Vec::new();
        let mut others = Vec::new();
        let mut has_tag = false;
        for expression in expressions {
            let read = column_indices(expression);
            let origin = |column: usize| origins.get(column).copied().unwrap_or(Origin::Other);
            let data_type = expression.data_type(input)?;
            if is_volatile(expression)
                || data_type.is_nested()
                || read.iter().any(|column| origin(*column) == Origin::Other)
            {
                return Ok(None);
            }
            has_tag |= matches!(data_type, DataType::Dictionary(..));
            columns.extend(&read);
            if expression.downcast_ref::<Column>().is_some() {
                if read.iter().any(|column| origin(*column) == Origin::Time) {
                    return Ok(None);
                }
                marks.extend(read);
            } else if read.iter().all(|column| origin(*column) == Origin::Tag) {
                marks.extend(read);
            } else if let Some(step) = step(expression, &read, origins, input)? {
                steps.push(step);
            } else {
                others.push(Arc::clone(expression));
            }
        }
        columns.sort_unstable();
        columns.dedup();
        marks.sort_unstable();
        marks.dedup();
        let moved = |expressions: &[Arc<dyn PhysicalExpr>]| {
            let moved = expressions.iter().map(|one| over_columns(one, &columns));
            moved.collect::<Result<Vec<_>>>()
        };
        Ok(Some(Self {
            schema: Arc::new(input.project(&columns)?),
            expressions: moved(expressions)?,
            others: moved(&others)?,
            columns,
            marks,
            steps,
            has_tag,
        }))
    }

    /// The columns of `batch` that group expressions read.
    pub(super) fn columns_of(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        Ok(batch.project(&self.columns)?)
    }

    /// The values of the group expressions in some rows of `batch`, one array per expression.
    pub(super) fn values_at(
        &self,
        batch: &RecordBatch,
        rows: &UInt32Array,
    ) -> Result<Vec<ArrayRef>> {
        let taken: Vec<ArrayRef> = self
            .columns
            .iter()
            .map(|column| take(batch.column(*column), rows, None))
            .collect::<Result<_, _>>()?;
        let options =
            datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let taken = RecordBatch::try_new_with_options(Arc::clone(&self.schema), taken, &options)?;
        self.expressions
            .iter()
            .map(|expression| expression.evaluate(&taken)?.into_array(rows.len()))
            .collect()
    }
}

/// Whether an expression may answer differently when asked again.
pub(super) fn is_volatile(expression: &Arc<dyn PhysicalExpr>) -> bool {
    expression.is_volatile_node() || expression.children().into_iter().any(is_volatile)
}

/// The expression as a function of time that never turns back, if it is one.
fn step(
    expression: &Arc<dyn PhysicalExpr>,
    read: &[usize],
    origins: &[Origin],
    input: &SchemaRef,
) -> Result<Option<Step>> {
    let &[time] = read else {
        return Ok(None);
    };
    if origins.get(time) != Some(&Origin::Time) {
        return Ok(None);
    }
    let schema = Arc::new(Schema::new(vec![Arc::clone(&input.fields()[time])]));
    let expression = over_columns(expression, &[time])?;
    let column = Arc::new(Column::new(input.field(time).name(), 0));
    let order = LexOrdering::new([PhysicalSortExpr::new_default(column)]);
    let properties = EquivalenceProperties::new_with_orderings(Arc::clone(&schema), order);
    let sorted = properties.get_expr_properties(Arc::clone(&expression));
    let is_monotone = matches!(sorted.sort_properties, SortProperties::Ordered(_));
    Ok(is_monotone.then_some(Step {
        time,
        schema,
        expression,
    }))
}

/// Sorted, each once.
fn column_indices(expression: &Arc<dyn PhysicalExpr>) -> Vec<usize> {
    let mut indices: Vec<usize> = collect_columns(expression)
        .iter()
        .map(Column::index)
        .collect();
    indices.sort_unstable();
    indices.dedup();
    indices
}

/// The same expression over a batch of nothing but `columns`, in that order.
fn over_columns(
    expression: &Arc<dyn PhysicalExpr>,
    columns: &[usize],
) -> Result<Arc<dyn PhysicalExpr>> {
    Arc::clone(expression)
        .transform_up(|node| {
            let Some(column) = node.downcast_ref::<Column>() else {
                return Ok(Transformed::no(node));
            };
            let place = columns.iter().position(|index| *index == column.index());
            let place = place
                .ok_or_else(|| internal_datafusion_err!("no group expression reads {column}"))?;
            let moved = Column::new(column.name(), place);
            Ok(Transformed::yes(Arc::new(moved) as Arc<dyn PhysicalExpr>))
        })
        .data()
}
