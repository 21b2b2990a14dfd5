//! One database as DataFusion sees it: the catalog `public` with the schema `iox` of user tables, and `system`.
//!
//! Made per query from one catalog snapshot, so a statement never sees a table appear or vanish half-way.
//! Not here: `information_schema`, which DataFusion derives from these lists, reading (`table`), what the node tells of itself (`system`).

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::TableType;

use catalog::{Database, Table};

use crate::session::SCHEMA;
use crate::system::{SYSTEM_SCHEMA, SystemTables};
use crate::table::{Source, StoredTable};

/// The catalog of a session.
#[derive(Debug)]
pub(crate) struct DatabaseCatalog {
    tables: Arc<UserTables>,
    system: Arc<SystemTables>,
}

impl DatabaseCatalog {
    pub(crate) fn new(database: Arc<Database>, source: Source) -> Self {
        Self {
            system: Arc::new(SystemTables::new(Arc::clone(&database), source.clone())),
            tables: Arc::new(UserTables { database, source }),
        }
    }
}

impl CatalogProvider for DatabaseCatalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_string(), SYSTEM_SCHEMA.to_string()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            SCHEMA => Some(Arc::clone(&self.tables) as _),
            SYSTEM_SCHEMA => Some(Arc::clone(&self.system) as _),
            _ => None,
        }
    }
}

/// The tables of a database, by their names; deleted ones by those they were given then, until the catalog forgets them.
#[derive(Debug)]
struct UserTables {
    database: Arc<Database>,
    source: Source,
}

#[async_trait]
impl SchemaProvider for UserTables {
    /// Sorted: `SHOW TABLES` lists them in this order.
    fn table_names(&self) -> Vec<String> {
        self.database
            .tables()
            .iter()
            .filter(|table| self.source.access.may_read(&self.database, table))
            .map(|table| table.name.to_string())
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let Some(table) = self.visible(name) else {
            return Ok(None);
        };
        let database = Arc::clone(&self.database);
        let table = StoredTable::new(database, Arc::clone(table), self.source.clone());
        Ok(Some(Arc::new(table)))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.visible(name).is_some()
    }
}

impl UserTables {
    /// A table that may not be read is as one that is not there.
    fn visible(&self, name: &str) -> Option<&Arc<Table>> {
        let table = self.database.table_named(name)?;
        self.source
            .access
            .may_read(&self.database, table)
            .then_some(table)
    }
}
