//! `show retention`: how long each database keeps its rows (spec/cli.md §7.3).
//!
//! Not here: how that is changed (`database`, `table`).

use super::sql::literal;
use crate::client::{Client, ConnectionOptions};
use crate::output::{INTERNAL_DATABASE, OutputOptions};

/// Largest first; whatever is no whole number of them is told in seconds.
const UNITS: [(&str, u64); 3] = [("d", 86_400), ("h", 3_600), ("m", 60)];

const NS_PER_SECOND: u64 = 1_000_000_000;

#[derive(Debug, clap::Args)]
pub(crate) struct ShowOptions {
    #[command(flatten)]
    connection: ConnectionOptions,

    #[command(flatten)]
    output: OutputOptions,

    /// Show this database alone
    #[arg(long, value_name = "DATABASE_NAME")]
    database: Option<String>,
}

impl ShowOptions {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let client = Client::new(&self.connection, None)?;
        let sql = listing(self.database.as_deref());
        self.output.list(&client, INTERNAL_DATABASE, &sql).await
    }
}

fn listing(database: Option<&str>) -> String {
    let mut period = "CASE WHEN period IS NULL THEN 'infinite'".to_string();
    for (unit, seconds) in UNITS {
        let ns = seconds * NS_PER_SECOND;
        period.push_str(&format!(
            " WHEN period % {ns} = 0 THEN concat(period / {ns}, '{unit}')"
        ));
    }
    period.push_str(&format!(" ELSE concat(period / {NS_PER_SECOND}, 's') END"));
    let only = database.map_or_else(String::new, |name| {
        format!(" AND database_name = {}", literal(name))
    });
    // Dividing unsigned numbers gives fractions.
    format!(
        "SELECT database_name, {period} AS retention_period FROM (SELECT database_name, CAST(retention_period_ns AS BIGINT) AS period \
         FROM system.databases WHERE NOT deleted{only}) ORDER BY database_name"
    )
}
