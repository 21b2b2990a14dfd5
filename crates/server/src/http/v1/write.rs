//! `POST /write`: line protocol as clients of InfluxDB 1 send it, all or nothing.
//!
//! Parameters and errors: spec/http-api.md §4.3 and §4.5; the bodies of failures are those of version 3. `u` and `p` were
//! read at the gate, `consistency` means nothing here. Not here: the write itself (`http/write`).

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde::Deserialize;

use crate::authorization::Permit;
use crate::http::Services;
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, empty};
use crate::http::write::{UnitName, Write, check_namespace, write};

/// Names of the retention policy that every database has.
const DEFAULT_POLICIES: [&str; 4] = ["", "''", "autogen", "default"];

#[derive(Deserialize)]
struct Parameters {
    db: String,
    #[serde(default)]
    rp: String,
    #[serde(default)]
    precision: UnitName,
}

/// Writes the body of a request; 204 when all of it is stored.
pub(crate) async fn write_lines(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    let asked = read(head.uri.query()).map_err(Failure::into_json_error)?;
    write(services, head, permit, body, asked).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn read(query: Option<&str>) -> Result<Write, Failure> {
    let query = query.ok_or_else(|| Failure::bad_request("no db destination provided"))?;
    let parameters: Parameters = serde_urlencoded::from_str(query).map_err(|fault| {
        Failure::bad_request(format!(
            "failed to deserialize db/rp/precision in request: {fault}"
        ))
    })?;
    let database = database_of(parameters.db, &parameters.rp);
    check_namespace(&database)?;
    Ok(Write::all_or_nothing(database, parameters.precision))
}

/// The database that a database and a retention policy of version 1 are here.
fn database_of(database: String, policy: &str) -> String {
    let policy = policy.to_lowercase();
    if DEFAULT_POLICIES.contains(&policy.as_str()) {
        database
    } else {
        format!("{database}/{policy}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(query: Option<&str>) -> Result<String, String> {
        let asked = read(query).map_err(|failure| {
            assert_eq!(failure.status(), StatusCode::BAD_REQUEST);
            failure.reason().to_string()
        })?;
        assert!(!asked.accept_partial && !asked.no_sync);
        Ok(format!("{} {:?}", asked.database, asked.precision))
    }

    #[test]
    fn parameters() {
        let cases = [
            ("db=d", "d Nanosecond"),
            ("db=d&rp=&precision=", "d Nanosecond"),
            ("db=d&rp=%27%27", "d Nanosecond"),
            ("db=d&rp=AutoGen", "d Nanosecond"),
            ("db=d&rp=DEFAULT", "d Nanosecond"),
            ("db=d&rp=Bar", "d/bar Nanosecond"),
            ("db=d%2Fbar", "d/bar Nanosecond"),
            (
                "consistency=all&u=x&p=y&p=z&db=d&precision=m&no_sync=maybe&accept_partial=true",
                "d Minute",
            ),
        ];
        for (query, expected) in cases {
            assert_eq!(outcome(Some(query)).as_deref(), Ok(expected), "{query}");
        }
    }

    #[test]
    fn bad_parameters() {
        let start = "failed to deserialize db/rp/precision in request: ";
        let cases = [
            (None, "no db destination provided".to_string()),
            (Some(""), format!("{start}missing field `db`")),
            (Some("p=SECRET"), format!("{start}missing field `db`")),
            (Some("db=d&db=e"), format!("{start}duplicate field `db`")),
            (
                Some("db="),
                "namespace name  length must be between 1 and 64 characters".to_string(),
            ),
            (
                Some("db=d%20e"),
                "namespace name 'd e' contains invalid character, character number 1 is not allowed"
                    .to_string(),
            ),
        ];
        for (query, expected) in cases {
            assert_eq!(outcome(query), Err(expected), "{query:?}");
        }
        for unit in ["auto", "invalid", "d"] {
            let refused = outcome(Some(&format!("db=d&precision={unit}"))).expect_err(unit);
            let expected = format!("{start}unknown variant `{unit}`, expected one of ");
            assert!(refused.starts_with(&expected), "{refused}");
        }
        // A policy counts into the length.
        let name = "a".repeat(63);
        assert!(outcome(Some(&format!("db={name}"))).is_ok());
        assert!(outcome(Some(&format!("db={name}&rp=b"))).is_err());
    }
}
