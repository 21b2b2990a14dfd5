//! The binary, end to end: one module per command, several for the life of tokens, and three long ones.
//!
//! Commands that need no server, or only a fake one, prove texts, streams and exit codes; the others run a real server.
//! `crash`, `rotate` and `data` put the whole product under load.

#![allow(
    clippy::disallowed_methods,
    reason = "these tests stand outside the program, in the real world: they wait, kill and hurry"
)]

mod harness;

mod compat;

#[cfg(target_os = "linux")]
mod benchmark;

#[path = "../../../../compat/scenario.rs"]
mod scenario;

mod help;

mod usage;

mod transcripts;

mod profiles;

mod environment;

mod options;

mod connections;

mod quick_start;

mod serve;

mod create_token;

mod token_commands;

mod tokens;

mod tls;

mod token_rotation;

mod token_secrets;

mod recovery;

mod token_files;

mod token_events;

mod guide;

mod packaging;

mod database;

mod table;

mod write;

mod write_files;

mod write_restart;

mod client_libraries;

mod queries;

mod query;

#[cfg(target_os = "linux")]
mod prompt;

mod flight_clients;

mod debug_catalog;

mod debug_verify;

mod system;

mod memory;

mod crash;

mod rotate;

mod object_store;

mod data;
