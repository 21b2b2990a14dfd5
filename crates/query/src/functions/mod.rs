//! Functions that differ from stock DataFusion or that it lacks (spec/query-sql.md §5 and §6), one file each.
//!
//! `now()` is stock: a session fixes its time at planning and it carries no zone. `mean` and `version` are stock, too.

mod to_timestamp;

mod tz;

mod date_bin_wallclock;

mod gap_markers;

mod selector;

mod differences;

mod influx_regex;

mod approx_distinct;

mod database;

mod zero_stride;

mod date_bin;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub(crate) use date_bin_wallclock::stride_of;
pub(crate) use gap_markers::{GapFunction, GapMarker};

/// Adds the functions to a session; one with a stock name replaces the stock one.
pub(crate) fn register(session: &mut SessionState) -> Result<()> {
    let scalars = [
        ScalarUDF::from(to_timestamp::ToTimestamp::new()),
        ScalarUDF::from(tz::Tz::new()),
        ScalarUDF::from(date_bin::DateBin::new()),
        ScalarUDF::from(date_bin_wallclock::DateBinWallclock::new()),
        ScalarUDF::from(influx_regex::InfluxRegex::new(true)),
        ScalarUDF::from(influx_regex::InfluxRegex::new(false)),
        ScalarUDF::from(database::DatabaseFunction::new()),
    ];
    let markers = GapMarker::ALL.map(|marker| ScalarUDF::from(GapFunction::new(marker)));
    for function in scalars.into_iter().chain(markers) {
        session.register_udf(Arc::new(function))?;
    }
    for pick in selector::Pick::ALL {
        let function = AggregateUDF::from(selector::Selector::new(pick));
        session.register_udaf(Arc::new(function))?;
    }
    let of_tags = AggregateUDF::from(approx_distinct::ApproxDistinctOfTags::new());
    session.register_udaf(Arc::new(of_tags))?;
    for change in differences::Change::ALL {
        let function = WindowUDF::from(differences::ChangeFunction::new(change));
        session.register_udwf(Arc::new(function))?;
    }
    session.register_function_rewrite(Arc::new(zero_stride::ZeroStride))
}

/// The function `date_bin`.
pub(crate) fn date_bin() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(date_bin::DateBin::new()))
}

/// The function `date_bin_wallclock`.
pub(crate) fn date_bin_wallclock() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(date_bin_wallclock::DateBinWallclock::new()))
}
