//! Aggregation over runs: rows of one group that stand next to each other are found by comparing neighbours, not by hashing.
//!
//! ```text
//! rule ─> operator ─> stream ─┬─> grouping ─> runs     which rows belong together
//!                             ├─> groups               what each group is called
//!                             └─> reduction            what each group adds up to
//! ```
//! A scan delivers rows sorted by (series, time), batch by batch, so the rows of one (tags, time bin) form runs. Each run costs one
//! look at its tags and its bin, however long it is. What comes out are partial states, as those of DataFusion's own first stage;
//! its final stage puts groups together that come again in another batch or partition. Not here: that final stage, aggregates
//! without groups, and input whose runs turn out to be short, which DataFusion's hashing gets instead.

mod rule;

mod operator;

mod stream;

mod grouping;

mod runs;

mod groups;

mod reduction;

#[cfg(test)]
mod tests;

pub(crate) use rule::{RunAggregation, with_aggregates_replaced};
