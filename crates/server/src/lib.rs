//! One node on the network: HTTP, authentication, settings.
//!
//! [`Node::start`] opens catalog, storage and query engine and binds the port; [`Node::stop`] undoes it in order.
//! Not here: the command line (`cli`), what queries mean (`query`), what is stored (`storage`).

pub mod config;

pub mod node;

pub use config::{AuthorizationExempt, Config, ObjectStoreKind};
pub use node::Node;
pub use catalog::Limits;
pub use runtime::{Clock, Error, ErrorKind, SystemClock};
