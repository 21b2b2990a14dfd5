//! One node on the network: HTTP, authentication, settings.
//!
//! [`Node::start`] opens catalog, storage and query engine and binds the port; [`Node::stop`] undoes it in order.
//! Not here: the command line (`cli`), what queries mean (`query`), what is stored (`storage`).

pub mod config;

pub mod duration;

pub mod memory;

pub mod node;

pub mod verify;

pub mod catalog_objects;

pub mod offline_token;

pub mod store;

mod admission;

mod authenticator;

mod authorization;

mod bootstrap;

mod failed_attempts;

mod flight;

mod http;

mod origin;

mod recovery;

mod tls;

mod token_events;

mod token_files;

// What a caller needs to fill in a `Config` and to tell time.
pub use catalog::Limits;
pub use config::{
    AuthorizationExempt, ClientLimits, Config, ObjectStoreKind, QuerySettings, TlsSettings,
    TlsVersion, TokenSettings,
};
pub use memory::{AskedMemory, Memory};
pub use node::Node;
pub use runtime::object_store::{Secret, remote};
pub use runtime::{Clock, Error, ErrorKind, Random, SystemClock};
