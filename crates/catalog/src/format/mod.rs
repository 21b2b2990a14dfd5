//! Frozen byte layouts of the catalog log.
