//! Whole statements against a real engine on an in-memory store: rows go in as line protocol, answers come out as text.

mod access;

mod node;

mod script;

mod describe;

mod plans;

mod results;

mod sql;

mod function_names;

mod duckdb;
