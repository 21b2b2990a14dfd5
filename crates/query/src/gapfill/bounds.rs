//! From when to when a query's rows can be: the tightest bounds that its conditions set on a column of times. Pure.
//!
//! The search follows the column down the plan: through subqueries, joins, unions and aggregates as long as its values stay what
//! they are. Conditions need not be exact, only never narrower than the rows that meet them. Expirations count as conditions, but
//! never as the only one.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::default_table_source::DefaultTableSource;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Column, DFSchema, JoinType, Result, ScalarValue};
use datafusion::logical_expr::expr::{Cast, InList, TryCast};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Between, BinaryExpr, Distinct, Expr, ExprSchemable, Join, LogicalPlan, Operator, TableScan,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use crate::binning::is_utc;
use crate::filter::TIME;
use crate::table::StoredTable;

/// From when to when, in nanoseconds; inclusive. An end that is not there is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) from_ns: Option<i64>,
    pub(crate) to_ns: Option<i64>,
    /// No row is older, whatever the conditions say.
    pub(crate) oldest_ns: Option<i64>,
}

impl Bounds {
    const NEVER: Self = Self {
        from_ns: Some(i64::MAX),
        to_ns: Some(i64::MIN),
        oldest_ns: None,
    };

    /// Where the rows begin; not known when only their age says so.
    pub(crate) fn start_ns(self) -> Option<i64> {
        self.from_ns
            .map(|from| from.max(self.oldest_ns.unwrap_or(i64::MIN)))
    }

    /// The times in both.
    fn and(self, other: Self) -> Self {
        Self {
            from_ns: self.from_ns.max(other.from_ns),
            to_ns: match (self.to_ns, other.to_ns) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
            oldest_ns: self.oldest_ns.max(other.oldest_ns),
        }
    }

    /// A range that holds the times of both.
    fn or(self, other: Self) -> Self {
        Self {
            from_ns: self.from_ns.zip(other.from_ns).map(|(a, b)| a.min(b)),
            to_ns: self.to_ns.zip(other.to_ns).map(|(a, b)| a.max(b)),
            oldest_ns: self.oldest_ns.zip(other.oldest_ns).map(|(a, b)| a.min(b)),
        }
    }
}

/// What a query is planned with, as far as constants depend on it.
pub(crate) struct Constants {
    pub(crate) options: Arc<ConfigOptions>,
    pub(crate) started_at: Option<DateTime<Utc>>,
}

impl Constants {
    /// Works out what can be worked out of an expression before any row is read.
    pub(crate) fn simplify(&self, expression: Expr, schema: &DFSchema) -> Result<Expr> {
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(Arc::clone(&self.options))
            .with_query_execution_start_time(self.started_at)
            .build();
        ExprSimplifier::new(context).simplify(expression)
    }

    /// The bounds of `column` of `plan`.
    pub(crate) fn bounds(&self, plan: &LogicalPlan, column: &Column) -> Result<Bounds> {
        let Ok(index) = plan.schema().index_of_column(column) else {
            return Ok(Bounds::default());
        };
        match plan {
            LogicalPlan::Filter(filter) => {
                let mut found = self.bounds(&filter.input, column)?;
                for same in std::iter::once(column).chain(&equals(&filter.input, column)) {
                    let one = self.of_condition(&filter.predicate, filter.input.schema(), same)?;
                    found = found.and(one);
                }
                Ok(found)
            }
            LogicalPlan::TableScan(scan) => self.of_scan(scan, column),
            LogicalPlan::SubqueryAlias(alias) => self.at(&alias.input, index),
            LogicalPlan::Projection(projection) => {
                match projection.expr.get(index).and_then(source) {
                    Some(source) => self.bounds(&projection.input, source),
                    None => Ok(Bounds::default()),
                }
            }
            LogicalPlan::Aggregate(aggregate) => {
                match aggregate.group_expr.get(index).and_then(source) {
                    Some(source) => self.bounds(&aggregate.input, source),
                    None => Ok(Bounds::default()),
                }
            }
            LogicalPlan::Sort(sort) => self.bounds(&sort.input, column),
            LogicalPlan::Limit(limit) => self.bounds(&limit.input, column),
            LogicalPlan::Window(window) => self.bounds(&window.input, column),
            LogicalPlan::Repartition(repartition) => self.bounds(&repartition.input, column),
            LogicalPlan::Distinct(Distinct::All(input)) => self.bounds(input, column),
            LogicalPlan::Union(union) => {
                let mut found: Option<Bounds> = None;
                for input in &union.inputs {
                    let one = self.at(input, index)?;
                    found = Some(found.map_or(one, |others| others.or(one)));
                }
                Ok(found.unwrap_or_default())
            }
            LogicalPlan::Join(join) => self.of_join(join, column),
            _ => Ok(Bounds::default()),
        }
    }

    fn at(&self, plan: &LogicalPlan, index: usize) -> Result<Bounds> {
        let column = Column::from(plan.schema().qualified_field(index));
        self.bounds(plan, &column)
    }

    fn of_scan(&self, scan: &TableScan, column: &Column) -> Result<Bounds> {
        let mut found = Bounds::default();
        for filter in &scan.filters {
            found = found.and(self.of_condition(filter, &scan.projected_schema, column)?);
        }
        let stored = scan
            .source
            .downcast_ref::<DefaultTableSource>()
            .and_then(|source| source.table_provider.downcast_ref::<StoredTable>());
        if let Some(stored) = stored
            && column.name == TIME
        {
            found.oldest_ns = Some(*stored.visible().start());
        }
        Ok(found)
    }

    /// A side whose rows are missing has no times, so what holds for its rows holds for those of the join.
    fn of_join(&self, join: &Join, column: &Column) -> Result<Bounds> {
        let of_side = |side: &Column| match join.left.schema().has_column(side) {
            true => self.bounds(&join.left, side),
            false => self.bounds(&join.right, side),
        };
        let mut found = of_side(column)?;
        if join.join_type != JoinType::Inner {
            return Ok(found);
        }
        for same in equals_of_join(join, column) {
            found = found.and(of_side(&same)?);
        }
        if let Some(condition) = &join.filter {
            found = found.and(self.of_condition(condition, &join.schema, column)?);
        }
        Ok(found)
    }

    fn of_condition(&self, condition: &Expr, schema: &DFSchema, column: &Column) -> Result<Bounds> {
        let simple = self.simplify(condition.clone(), schema)?;
        Ok(of_term(&simple, schema, column))
    }
}

/// The columns that have the same values as `column` in every row, because rows were joined by them.
fn equals(plan: &LogicalPlan, column: &Column) -> Vec<Column> {
    match plan {
        LogicalPlan::Filter(filter) => equals(&filter.input, column),
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            equals_of_join(join, column)
        }
        _ => Vec::new(),
    }
}

fn equals_of_join(join: &Join, column: &Column) -> Vec<Column> {
    let compared = join.filter.iter().flat_map(split_conjunction);
    let compared = compared.filter_map(|term| match term {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Eq,
            right,
        }) => Some((left.as_ref(), right.as_ref())),
        _ => None,
    });
    let pairs = join.on.iter().map(|(left, right)| (left, right));
    pairs
        .chain(compared)
        .filter_map(|pair| match pair {
            (Expr::Column(left), Expr::Column(right)) if left == column => Some(right.clone()),
            (Expr::Column(left), Expr::Column(right)) if right == column => Some(left.clone()),
            _ => None,
        })
        .collect()
}

fn of_term(term: &Expr, schema: &DFSchema, column: &Column) -> Bounds {
    let grain = |side: &Expr| grain_ns(side, schema, column);
    match term {
        Expr::Alias(alias) => of_term(&alias.expr, schema, column),
        Expr::Literal(ScalarValue::Boolean(Some(true)), _) => Bounds::default(),
        Expr::Literal(ScalarValue::Boolean(_) | ScalarValue::Null, _) => Bounds::NEVER,
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => of_term(left, schema, column).and(of_term(right, schema, column)),
            Operator::Or => of_term(left, schema, column).or(of_term(right, schema, column)),
            _ => match (grain(left), grain(right)) {
                (Some(grain), None) => compared(grain, *op, right),
                (None, Some(grain)) => match op.swap() {
                    Some(op) => compared(grain, op, left),
                    None => Bounds::default(),
                },
                _ => Bounds::default(),
            },
        },
        Expr::Between(Between {
            expr,
            negated: false,
            low,
            high,
        }) => match grain(expr) {
            Some(grain) => {
                compared(grain, Operator::GtEq, low).and(compared(grain, Operator::LtEq, high))
            }
            None => Bounds::default(),
        },
        Expr::InList(InList {
            expr,
            list,
            negated: false,
        }) => match grain(expr) {
            Some(grain) => list
                .iter()
                .map(|value| compared(grain, Operator::Eq, value))
                .reduce(Bounds::or)
                .unwrap_or_default(),
            None => Bounds::default(),
        },
        _ => Bounds::default(),
    }
}

/// The times for which `time operator value` holds, when times are compared in whole steps of `grain_ns`.
fn compared(grain_ns: i64, operator: Operator, value: &Expr) -> Bounds {
    let value = match value {
        Expr::Literal(value, _) if value.is_null() => return Bounds::NEVER,
        Expr::Literal(value, _) => instant(value),
        _ => None,
    };
    let Some(value) = value else {
        return Bounds::default();
    };
    let grain = i128::from(grain_ns);
    let down = value.div_euclid(grain) * grain;
    let up = if down == value { value } else { down + grain };
    let from = |from: i128| match from.cmp(&i128::from(i64::MAX)) {
        std::cmp::Ordering::Greater => Bounds::NEVER,
        _ => Bounds {
            from_ns: Some(i64::try_from(from).unwrap_or(i64::MIN)),
            ..Bounds::default()
        },
    };
    let to = |to: i128| match to.cmp(&i128::from(i64::MIN)) {
        std::cmp::Ordering::Less => Bounds::NEVER,
        _ => Bounds {
            to_ns: Some(i64::try_from(to).unwrap_or(i64::MAX)),
            ..Bounds::default()
        },
    };
    match operator {
        Operator::GtEq => from(up),
        Operator::Gt => from(down + grain),
        Operator::LtEq => to(down + grain - 1),
        Operator::Lt => to(up - 1),
        Operator::Eq | Operator::IsNotDistinctFrom => from(up).and(to(down + grain - 1)),
        _ => Bounds::default(),
    }
}

/// The steps in which an expression gives the times of `column`, if it does.
fn grain_ns(expression: &Expr, schema: &DFSchema, column: &Column) -> Option<i64> {
    match expression {
        Expr::Column(named) => (named == column).then_some(1),
        Expr::Alias(alias) => grain_ns(&alias.expr, schema, column),
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
            let inner = grain_ns(expr, schema, column)?;
            let is_zoned = match expr.get_type(schema).ok()? {
                DataType::Timestamp(_, zone) => zone.is_some_and(|zone| !is_utc(&zone)),
                _ => false,
            };
            let outer = match field.data_type() {
                // A time without a zone is read as one of the zone, and so becomes another.
                DataType::Timestamp(_, Some(zone)) if !is_utc(zone) && !is_zoned => return None,
                DataType::Timestamp(_, None) | DataType::Date32 if is_zoned => return None,
                DataType::Timestamp(unit, _) => ns_per(*unit),
                DataType::Date32 => 86_400_000_000_000,
                _ => return None,
            };
            Some(inner.max(outer))
        }
        Expr::ScalarFunction(call) if call.func.name() == "tz" => {
            grain_ns(call.args.first()?, schema, column)
        }
        _ => None,
    }
}

/// The column that an expression is, give or take a cast or a zone (spec/query-sql.md §7.1).
pub(crate) fn source(expression: &Expr) -> Option<&Column> {
    match expression {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => source(&alias.expr),
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field })
            if matches!(field.data_type(), DataType::Timestamp(..)) =>
        {
            source(expr)
        }
        Expr::ScalarFunction(call) if call.func.name() == "tz" => source(call.args.first()?),
        _ => None,
    }
}

fn instant(value: &ScalarValue) -> Option<i128> {
    let (count, unit_ns) = match value {
        ScalarValue::TimestampSecond(Some(count), _) => (*count, ns_per(TimeUnit::Second)),
        ScalarValue::TimestampMillisecond(Some(count), _) => {
            (*count, ns_per(TimeUnit::Millisecond))
        }
        ScalarValue::TimestampMicrosecond(Some(count), _) => {
            (*count, ns_per(TimeUnit::Microsecond))
        }
        ScalarValue::TimestampNanosecond(Some(count), _) => (*count, 1),
        ScalarValue::Date32(Some(days)) => (i64::from(*days), 86_400_000_000_000),
        ScalarValue::Date64(Some(count_ms)) => (*count_ms, ns_per(TimeUnit::Millisecond)),
        _ => return None,
    };
    Some(i128::from(count) * i128::from(unit_ns))
}

fn ns_per(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}
