//! How much may exist, and what is said when it would be too much (spec/write-and-storage.md §5.6).
//!
//! The defaults stop a client that has run wild, not one that has much (docs/adr/0013). Limits bind new changes only: a catalog that holds more already (made under larger limits) still opens.

use crate::{ColumnKind, Error};

/// How much may exist (spec/write-and-storage.md §5.6).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Without `_internal` and deleted ones.
    pub databases: usize,
    /// In all databases together, without deleted ones.
    pub tables: usize,
    /// Without `time`.
    pub columns_per_table: usize,
    pub tag_columns_per_table: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            databases: 10_000,
            tables: 100_000,
            columns_per_table: 10_000,
            tag_columns_per_table: 4096,
        }
    }
}

impl Limits {
    /// Whether one more database fits beside `live` ones ([`crate::Snapshot::live_databases`]); `Limit` otherwise.
    pub fn check_new_database(&self, live: usize) -> Result<(), Error> {
        if live < self.databases {
            return Ok(());
        }
        Err(Error::limit(format!(
            "Adding a new database would exceed limit of {} databases",
            self.databases
        )))
    }

    /// Whether one more table fits beside `live` ones ([`crate::Snapshot::live_tables`]); `Limit` otherwise.
    pub fn check_new_table(&self, live: usize) -> Result<(), Error> {
        if live < self.tables {
            return Ok(());
        }
        Err(Error::limit(format!(
            "Update to schema would exceed number of tables limit: attempted to create table but already have {live} table(s) (limit: {})",
            self.tables
        )))
    }

    /// Whether one more column of this kind fits into a table that has `columns` (without `time`), `tags` of them tags;
    /// `Limit` otherwise.
    pub fn check_new_column(
        &self,
        columns: usize,
        tags: usize,
        wanted: ColumnKind,
    ) -> Result<(), Error> {
        if wanted == ColumnKind::Time {
            return Ok(());
        }
        // Column ids are 16 bits wide and `time` takes one of them.
        let columns_limit = self.columns_per_table.min(usize::from(u16::MAX));
        if columns >= columns_limit {
            return Err(Error::limit(format!(
                "Update to schema would exceed number of columns per table limit of {columns_limit} columns"
            )));
        }
        if wanted == ColumnKind::Tag && tags >= self.tag_columns_per_table {
            return Err(Error::limit(format!(
                "Update to schema would exceed number of tag columns per table limit of {} columns",
                self.tag_columns_per_table
            )));
        }
        Ok(())
    }
}
