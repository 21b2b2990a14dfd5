//! The endpoints of version 2 that have a meaning here. Its words stay in this folder: a bucket is a database, a measurement a
//! table, an organisation nothing at all.

pub(crate) mod delete;

mod predicate;

pub(crate) mod write;
