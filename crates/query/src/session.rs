//! The settings, memory and functions that every query shares, and one session per query made from them.
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
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::optimizer::optimizer::{Optimizer, OptimizerRule};
use datafusion::prelude::SessionConfig;

use crate::gapfill::{GapFillPlanner, GapFillRule};
use crate::known_rows::CountFromIndexes;
use crate::newest::NewestOfSeries;
use crate::run_aggregate::RunAggregation;
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

/// Makes sessions that share one memory pool, one spill folder and one set of functions.
pub(crate) struct Sessions {
    prototype: SessionState,
}

impl Sessions {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let mut prototype = SessionStateBuilder::new()
            .with_config(session_config(config))
            .with_runtime_env(runtime_env(config)?)
            .with_default_features()
            .with_optimizer_rules(optimizer_rules())
            .with_physical_optimizer_rule(Arc::new(SliceByTime))
            .with_physical_optimizer_rule(Arc::new(RunAggregation))
            .with_physical_optimizer_rule(Arc::new(CountFromIndexes))
            .with_query_planner(Arc::new(GapFillPlanner))
            .build();
        functions::register(&mut prototype)?;
        Ok(Self { prototype })
    }

    /// What all sessions have taken of the memory pool.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.prototype.runtime_env().memory_pool.reserved()
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

fn session_config(config: &Config) -> SessionConfig {
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
    session
}

fn runtime_env(config: &Config) -> Result<Arc<RuntimeEnv>> {
    let pool = TrackConsumersPool::new(FairSpillPool::new(config.memory_bytes), CONSUMERS_NAMED);
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::OsTmpDirectory);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(disk)
        .build_arc()
}
