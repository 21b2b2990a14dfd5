//! One file per measurement.

pub(crate) mod generate;

pub(crate) mod idle;

pub(crate) mod parse;

pub(crate) mod load;

pub(crate) mod tiny;

pub(crate) mod query;

pub(crate) mod restart;
