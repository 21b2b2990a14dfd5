//! Functions that differ from stock DataFusion or that it lacks (spec/query-sql.md §5 and §6), one file each.
//!
//! `now()` is stock: a session fixes its time at planning and it carries no zone. `mean` and `version` are stock, too.

mod to_timestamp;

mod tz;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::ScalarUDF;

/// Adds the functions to a session; one with a stock name replaces the stock one.
pub(crate) fn register(session: &mut SessionState) -> Result<()> {
    session.register_udf(Arc::new(ScalarUDF::from(to_timestamp::ToTimestamp::new())))?;
    session.register_udf(Arc::new(ScalarUDF::from(tz::Tz::new())))?;
    Ok(())
}
