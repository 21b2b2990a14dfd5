//! A node over real sockets: the API's promises as scenarios, and what no scenario can say.

mod authorization;

mod client;

mod compat;

mod connections;

mod encoding;

mod flight;

mod flight_queries;

mod grafana;

mod hostile;

mod inventory;

mod lifecycle;

mod load;

mod logs;

mod metrics_reference;

mod queries;

#[path = "../../../../compat/scenario.rs"]
mod scenario;
