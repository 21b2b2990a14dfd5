//! The endpoints of version 3, one file per noun.

pub(crate) mod database;

pub(crate) mod influxql;

pub(crate) mod queries;

pub(crate) mod query;

pub(crate) mod query_concurrency_limit;

pub(crate) mod retention;

pub(crate) mod table;

pub(crate) mod token;

pub(crate) mod write;
