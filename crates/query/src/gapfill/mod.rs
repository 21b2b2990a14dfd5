//! Gap filling: rows for the bins of time in which a series has none, and values for the nulls in them (spec/query-sql.md §7).
//!
//! ```text
//! plan ─> rule ─────────> node ─> planner ─> operator ─> group ─> rows
//!           └─> bounds: which bins there should be          └─> binning: where each starts
//! ```
//! `rule` takes the marker functions (`functions/gap_markers`) out of a plan and puts a [`node`] above the aggregate they were in;
//! [`operator`] runs it over rows sorted by series and bin, one series at a time. InfluxQL's `fill()` is the same node.

mod bounds;

mod group;

mod node;

mod operator;

mod planner;

mod rule;

pub(crate) use planner::GapFillPlanner;
pub(crate) use rule::GapFillRule;
