//! One node: what it is made of, in which order it starts and stops.

use std::net::SocketAddr;

use crate::{Config, Error};

/// A running node.
#[derive(Debug)]
pub struct Node {}

impl Node {
    /// Opens everything, binds the port, writes the listener file, serves in the background.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let _ = config;
        unimplemented!()
    }

    /// The address actually bound.
    pub fn address(&self) -> SocketAddr {
        unimplemented!()
    }

    /// Resolves when the node can no longer serve (lost its log, for example), with the reason.
    pub async fn failed(&self) -> Error {
        std::future::pending().await
    }

    /// Stops accepting, drains connections up to the timeout, flushes and closes storage.
    pub async fn stop(self) -> Result<(), Error> {
        unimplemented!()
    }
}
