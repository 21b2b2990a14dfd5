//! The settings and functions that every query shares, and one session per query made from them, with memory of its own.
//!
//! Building DataFusion's registry of functions and rules costs more than most queries, so it is built once and cloned;
//! what differs between queries is the database they see and the time they call `now()`. Settings: spec/query-sql.md §4.2.

use std::num::NonZeroUsize;
use std::sync::Arc;

use chrono::DateTime;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemoryCatalogProviderList};
use datafusion::common::Result;
use datafusion::execution::SessionState;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::TrackConsumersPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::optimizer::optimizer::{Optimizer, OptimizerRule};
use datafusion::prelude::SessionConfig;

use crate::gapfill::{GapFillPlanner, GapFillRule};
use crate::known_rows::CountFromIndexes;
use crate::memory::{Budget, QueryMemory};
use crate::newest::NewestOfSeries;
use crate::run_aggregate::RunAggregation;
use crate::spill::SpillFolder;
use crate::stopping::PauseJoins;
use crate::time_slices::SliceByTime;
use crate::{Config, functions};

/// The one catalog of every session; different databases never meet in one statement.
pub(crate) const CATALOG: &str = "public";

/// The schema that holds the user's tables.
pub(crate) const SCHEMA: &str = "iox";

/// Rows per batch.
const BATCH_ROWS: usize = 8192;

/// Memory consumers that an out-of-memory message names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(5).expect("five is not zero");

/// What a sort keeps to be able to go on on disk, at most; and the part of a query's memory that each of its sorts keeps.
const SORT_RESERVE_BYTES_MAX: usize = 10 << 20;
const SORT_RESERVE_PART: usize = 8;

/// Makes sessions that share one budget of memory, one folder for what exceeds it and one set of functions.
pub(crate) struct Sessions {
    prototype: SessionState,
    budget: Arc<Budget>,
    _spill: Option<SpillFolder>,
}

impl Sessions {
    pub(crate) fn new(config: &Config, spill: Option<SpillFolder>) -> Result<Self> {
        let budget = Budget::new(config.memory_bytes, config.query_memory_bytes);
        let mut prototype = SessionStateBuilder::new()
            .with_config(session_config(config, budget.query_bytes_max()))
            .with_runtime_env(runtime_env(spill.as_ref())?)
            .with_default_features()
            .with_optimizer_rules(optimizer_rules())
            .with_physical_optimizer_rule(Arc::new(SliceByTime))
            .with_physical_optimizer_rule(Arc::new(RunAggregation))
            .with_physical_optimizer_rule(Arc::new(CountFromIndexes))
            .with_physical_optimizer_rule(Arc::new(PauseJoins))
            .with_query_planner(Arc::new(GapFillPlanner))
            .build();
        functions::register(&mut prototype)?;
        Ok(Self {
            prototype,
            budget: Arc::new(budget),
            _spill: spill,
        })
    }

    /// What all queries hold of the memory there is for them.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.budget.used_bytes()
    }

    /// The memory of a query that begins to run.
    pub(crate) fn begin_memory(&self) -> QueryMemory {
        self.budget.begin()
    }

    /// Where a query runs that has this memory.
    pub(crate) fn runtime_of(&self, memory: QueryMemory) -> Arc<RuntimeEnv> {
        let mut runtime = self.prototype.runtime_env().as_ref().clone();
        runtime.memory_pool = Arc::new(TrackConsumersPool::new(memory, CONSUMERS_NAMED));
        Arc::new(runtime)
    }

    /// A session that sees `database` as its only catalog and reads the clock as `now_ns`.
    pub(crate) fn session(&self, database: Arc<dyn CatalogProvider>, now_ns: i64) -> SessionState {
        let mut session = self.prototype.clone();
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(CATALOG.to_string(), database);
        session.register_catalog_list(Arc::new(catalogs));
        // Fresh properties also restart the numbering of generated names, which clones would otherwise share.
        let mut properties = ExecutionProps::new()
            .with_query_execution_start_time(DateTime::from_timestamp_nanos(now_ns));
        properties.config_options = Some(Arc::clone(session.config_options()));
        *session.execution_props_mut() = properties;
        session
    }
}

/// Filling gaps comes first, while a plan still has the shape of its statement; the newest rows last, when conditions have gone down.
fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![Arc::new(GapFillRule)];
    rules.extend(Optimizer::new().rules);
    rules.push(Arc::new(NewestOfSeries));
    rules
}

fn session_config(config: &Config, query_memory_bytes: usize) -> SessionConfig {
    let mut session = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(config.threads.max(1))
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_information_schema(true);
    let options = session.options_mut();
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    // Several clients cannot decode view types (spec/query-sql.md §3).
    options.execution.parquet.schema_force_view_types = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.optimizer.expand_views_at_output = true;
    options.optimizer.prefer_existing_sort = true;
    options.optimizer.prefer_existing_union = true;
    options.optimizer.repartition_sorts = true;
    let sorts = config.threads.max(1).saturating_mul(SORT_RESERVE_PART);
    options.execution.sort_spill_reservation_bytes =
        SORT_RESERVE_BYTES_MAX.min(query_memory_bytes / sorts);
    session
}

/// Memory is added for each query.
fn runtime_env(spill: Option<&SpillFolder>) -> Result<Arc<RuntimeEnv>> {
    let mode = match spill {
        Some(folder) => DiskManagerMode::Directories(vec![folder.path().to_path_buf()]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    RuntimeEnvBuilder::new()
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(mode))
        .build_arc()
}
