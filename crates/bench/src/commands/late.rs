//! `influxdb3-bench late`: rows that come out of order, or from the newest to the oldest, and whether each of them is counted.
//!
//! A load whose rows are late unless told otherwise; everything else is that command's (`load`).

use crate::Error;
use crate::commands::load;
use crate::workload::late::Order;

pub(crate) async fn run(mut load: load::Options) -> Result<(), Error> {
    let order = match load.order.order {
        Order::Time | Order::Late => {
            load.order.order = Order::Late;
            "late"
        }
        Order::Backfill => "backfill",
    };
    let name = format!("{order} {}", load.workload.use_case);
    load::run_as("late", &name, load).await
}
