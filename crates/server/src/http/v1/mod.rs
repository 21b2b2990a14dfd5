//! The endpoints of version 1 that have a meaning here. Its words stay in this folder: a measurement is a table, and a retention
//! policy that is not the default one is part of a database's name.

pub(crate) mod query;

mod statement;

pub(crate) mod write;
