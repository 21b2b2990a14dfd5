//! One file per measurement.

pub(crate) mod compare;

pub(crate) mod generate;

pub(crate) mod idle;

pub(crate) mod parse;

pub(crate) mod load;

pub(crate) mod tiny;

pub(crate) mod mixed;

pub(crate) mod query;

pub(crate) mod report;

pub(crate) mod restart;

pub(crate) mod churn;

pub(crate) mod late;
