//! Waits until what was acknowledged is in the answers too.
//!
//! Rows are counted in the language that each kind of server speaks. Only use cases of which every row is a row of its own are counted:
//! in the others a row may have lost the tags that tell it from another.

use crate::Error;
use crate::client::{Client, ServerKind};
use crate::workload::{UseCase, WorkloadOptions};
use std::time::Duration;
use tokio::time::Instant;

/// When nothing has come for so long, nothing will.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How many rows there were before.
#[derive(Clone, Debug)]
pub(crate) struct Count {
    use_case: UseCase,
    before: usize,
}

impl Count {
    pub(crate) async fn start(client: &Client, workload: &WorkloadOptions) -> Result<Self, Error> {
        let use_case = workload.use_case;
        // A database or table that is not there yet has none.
        let before = rows(client, use_case).await.unwrap_or(0);
        Ok(Self { use_case, before })
    }

    /// Waits until so many rows more are counted, or until no more come; `None` when rows of this use case cannot be told apart.
    pub(crate) async fn wait_for(
        &self,
        client: &Client,
        written: usize,
    ) -> Result<Option<Seen>, Error> {
        if self.use_case.tables().is_empty() {
            return Ok(None);
        }
        let expected = self.before + written;
        let started = Instant::now();
        let (mut seen, mut seen_at) = (0, started);
        loop {
            let counted = rows(client, self.use_case).await?;
            if counted != seen {
                (seen, seen_at) = (counted, Instant::now());
            }
            if seen == expected || seen_at.elapsed() > PATIENCE {
                return Ok(Some(Seen {
                    after: seen_at - started,
                    missing: expected as f64 - seen as f64,
                }));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The same where all of them have to come; an error if they do not.
    pub(crate) async fn wait_for_all(
        &self,
        client: &Client,
        written: usize,
    ) -> Result<Option<Duration>, Error> {
        match self.wait_for(client, written).await? {
            Some(seen) if seen.missing != 0.0 => Err(format!(
                "{written} rows were acknowledged, and {} of them are not counted",
                seen.missing
            )
            .into()),
            seen => Ok(seen.map(|seen| seen.after)),
        }
    }
}

/// What came of rows that were acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Until the count last changed.
    pub(crate) after: Duration,
    /// Rows that are not counted; below zero if there are too many.
    pub(crate) missing: f64,
}

/// All rows there are of a use case.
async fn rows(client: &Client, use_case: UseCase) -> Result<usize, Error> {
    let mut sum = 0;
    for (table, field) in use_case.tables() {
        sum += match client.server() {
            ServerKind::Influxdb3 => {
                let sql = format!("SELECT count(*) AS n FROM {table}");
                let (answer, _) = client.query(&sql, "json").await?;
                let answer: serde_json::Value = serde_json::from_slice(&answer)?;
                number(&answer[0]["n"], &sql)?
            }
            ServerKind::Influxdb1 => {
                let text = format!("SELECT count({field}) FROM {table}");
                let parameters = [("db", client.database()), ("q", &text)];
                let answer: serde_json::Value =
                    serde_json::from_slice(&client.get("/query", &parameters).await?)?;
                number(&answer["results"][0]["series"][0]["values"][0][1], &text)?
            }
            ServerKind::Victoriametrics => {
                let text = format!("sum(count_over_time({table}_{field}[20y]))");
                let parameters = [("query", text.as_str()), ("nocache", "1")];
                let answer: serde_json::Value =
                    serde_json::from_slice(&client.get("/api/v1/query", &parameters).await?)?;
                number(&answer["data"]["result"][0]["value"][1], &text)?
            }
        };
    }
    Ok(sum)
}

/// Where there is nothing to count, some servers answer with nothing.
fn number(value: &serde_json::Value, asked: &str) -> Result<usize, Error> {
    let number = match value {
        serde_json::Value::Null => Some(0),
        serde_json::Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    };
    number
        .and_then(|number: u64| usize::try_from(number).ok())
        .ok_or_else(|| format!("no number came for {asked}: {value}").into())
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_come_in_either_form() {
        assert_eq!(number(&serde_json::json!(7), "q").unwrap(), 7);
        assert_eq!(number(&serde_json::json!("7"), "q").unwrap(), 7);
        assert_eq!(number(&serde_json::json!(null), "q").unwrap(), 0);
        let told = number(&serde_json::json!("many"), "count").unwrap_err();
        assert!(told.to_string().contains("for count: \"many\""), "{told}");
    }
}
