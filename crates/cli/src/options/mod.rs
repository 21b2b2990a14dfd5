//! The options of the server: one table, and all that is made from it.
//!
//! ```text
//! table ─┬─ given      flags and variables, as clap takes them
//!        ├─ file       the same keys in a file
//!        ├─ settings   what is in force, and where it comes from
//!        └─ page, reference, template   what people read about them
//! ```
//!
//! Strongest first: the command line, the environment, `.env`, the file, the default (spec/server-config.md §1). What the
//! options do is told where the server is started (`commands::serve`).

pub(crate) mod setting;

pub(crate) mod table;

pub(crate) mod given;

pub(crate) mod file;

pub(crate) mod settings;

pub(crate) mod page;

pub(crate) mod reference;

pub(crate) mod template;
