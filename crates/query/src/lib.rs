//! SQL to Arrow batches over `storage`'s tables, and rows to be deleted. The only crate that names DataFusion.
//!
//! ```text
//! engine ─> depth ─> session ─> database ─> table ─> filter     planning: what to read
//!    ├────> runner ─> admission, memory, spill, stopping          from the text to the last row
//!    │        └────> planning                                     in how many partitions
//!    ├────> queries                                               what runs and what ran
//!    │                  │           ├──────> access             what may be seen
//!    │                  │           │        └────> scan       execution: reading it
//!    │                  │           ├──────> system             the node's own tables
//!    │                  ├────> newest                           planning: one row of each series
//!    │                  ├────> time_slices                      ORDER BY time with a LIMIT
//!    │                  ├────> run_aggregate                    GROUP BY over rows as the scan sorts them
//!    │                  ├────> known_rows                       count(*), min(time), max(time) from indexes
//!    │                  └────> functions, gapfill ─> binning    what stock DataFusion lacks
//!    ├────> delete ─────────────────┘                           planning: what to delete
//!    ├────> describe ─> placeholders                              planning: what a statement asks for, which tables there are
//!    └────> error                                               DataFusion's faults as ours
//! ```
//! [`QueryEngine::sql`] plans a statement for one database and returns its schema and a stream of batches.
//! Not here: rendering (`server/http/encode`), reading files and merging duplicates (`storage/scan`).

pub mod engine;

mod runner;

mod planning;

mod admission;

mod memory;

mod spill;

mod stopping;

mod queries;

mod access;

mod describe;

mod placeholders;

mod depth;

mod session;

mod database;

mod table;

mod filter;

mod newest;

mod scan;

mod delete;

mod system;

mod functions;

mod run_aggregate;

mod known_rows;

mod time_slices;

mod binning;

mod gapfill;

mod error;

pub use access::Access;
pub use describe::{Description, ListedTable};
pub use engine::{Config, Parameter, Query, QueryEngine, QueryResult};
pub use error::{Blame, blame};
pub use placeholders::{number_placeholders, placeholder_names};
pub use queries::{Figures, LoggedQuery, Observer, Origin, QueryKind, QueryStatistics};
pub use runtime::{Error, ErrorKind};
pub use spill::SpillFolder;
pub use system::{NodeRow, TokenEventRow, TokenEventRows};
