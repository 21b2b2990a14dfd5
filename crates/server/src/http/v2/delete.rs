//! `POST /api/v2/delete`: deletes the rows of a bucket in a span of time that meet a predicate.
//!
//! Each table is one DELETE of its own, carried out by `query`; tables that the predicate cannot meet are left alone. Bounds are
//! both inclusive, as InfluxDB 2 has them. Not here: reading the predicate (`predicate`).

use catalog::{Snapshot, Table};
use chrono::{DateTime, SecondsFormat};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use query::{Access, Origin, Parameter, Query};
use serde::Deserialize;

use super::predicate::{self, Condition};
use crate::authorization::{Permit, Reach};
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, empty};
use crate::http::{Services, parameters};
use crate::{Error, ErrorKind, origin};

/// What the query string says. Any organisation will do.
#[derive(Deserialize)]
struct Parameters {
    bucket: Option<String>,
    #[serde(rename = "bucketID")]
    bucket_id: Option<String>,
}

/// What the body says.
#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    start: String,
    #[serde(default)]
    stop: String,
    #[serde(default)]
    predicate: String,
}

/// Bounds in nanoseconds, both inclusive; `None` where the bound lies beyond all times that can be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: Option<i64>,
    stop: Option<i64>,
}

/// Deletes what is asked for; 204 when it is gone.
pub(crate) async fn delete(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    match try_delete(services, head, permit, body).await {
        Ok(()) => Ok(empty(StatusCode::NO_CONTENT)),
        Err(failure) => Err(failure.into_coded()),
    }
}

async fn try_delete(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
) -> Result<(), Failure> {
    let parameters: Parameters = parameters::decode(head.uri.query())?;
    let bucket = parameters
        .bucket
        .or(parameters.bucket_id)
        .ok_or_else(|| Failure::bad_request("Please provide either bucketID or bucket"))?;
    let reach = |snapshot: &Snapshot| {
        let reach = permit.database_or_tables(snapshot, &bucket);
        reach.map_err(|_| insufficient())
    };
    reach(&services.catalog.snapshot())?;
    let body = services.read_body(head, body).await?;
    // Again: while a slow body came in, the name may have become that of another database.
    let snapshot = services.catalog.snapshot();
    let reach = reach(&snapshot)?;
    let (span, condition) = read(&body)?;
    let database = snapshot.database(&bucket).ok_or_else(|| {
        Failure::text(
            StatusCode::NOT_FOUND,
            format!("bucket {bucket:?} not found"),
        )
    })?;
    if database.is_internal() {
        return Err(Failure::text(
            StatusCode::FORBIDDEN,
            "rows of the internal database cannot be deleted",
        ));
    }
    let Some(span) = span else {
        return Ok(());
    };
    let origin = origin::read(&head.headers, permit.caller())?;
    let mut queries = Vec::new();
    for table in database.tables() {
        if table.is_deleted() {
            continue;
        }
        let Some(query) = statement(&bucket, &table, span, &condition) else {
            continue;
        };
        if reach == Reach::Tables {
            // Before any of them is touched: the predicate has to keep to the tables that the token is for.
            permit
                .table(&snapshot, &bucket, &table.name)
                .map_err(|_| insufficient())?;
        }
        queries.push(Query {
            origin: origin.clone(),
            ..query
        });
    }
    for query in queries {
        match services.query.sql(query).await {
            Ok(_) => {}
            // Deleted meanwhile: its rows are gone all the same.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn insufficient() -> Failure {
    Failure::text(StatusCode::FORBIDDEN, "insufficient permissions to delete")
}

/// The span and the predicate; no span when it holds no time at all.
fn read(body: &[u8]) -> Result<(Option<Span>, Condition), Failure> {
    let wrong = |why: String| {
        Failure::bad_request(format!(
            "invalid request; error parsing request json: {why}"
        ))
    };
    let fields: Fields = serde_json::from_slice(body).map_err(|fault| wrong(fault.to_string()))?;
    let start = instant("start", &fields.start).map_err(|fault| wrong(fault.to_string()))?;
    let stop = instant("stop", &fields.stop).map_err(|fault| wrong(fault.to_string()))?;
    let condition =
        predicate::parse(&fields.predicate).map_err(|fault| wrong(fault.to_string()))?;
    let in_range = |at: DateTime<chrono::FixedOffset>| at.timestamp_nanos_opt();
    let beyond_the_first = start.timestamp() > 0 && in_range(start).is_none();
    let before_all = stop.timestamp() < 0 && in_range(stop).is_none();
    let span = (!beyond_the_first && !before_all && start <= stop).then(|| Span {
        start: in_range(start),
        stop: in_range(stop),
    });
    Ok((span, condition))
}

fn instant(field: &str, text: &str) -> Result<DateTime<chrono::FixedOffset>, Error> {
    DateTime::parse_from_rfc3339(text).map_err(|_| {
        Error::invalid(format!(
            "invalid RFC3339Nano for field {field}, please format your time with RFC3339Nano format, example: 2009-01-02T23:00:00Z"
        ))
    })
}

/// The DELETE for one table; `None` when the predicate holds for none of its rows.
fn statement(bucket: &str, table: &Table, span: Span, condition: &Condition) -> Option<Query> {
    let mut parameters = Vec::new();
    let condition = condition.for_table(table, &mut |value| {
        let name = format!("p{}", parameters.len());
        let placeholder = format!("${name}");
        parameters.push((name, Parameter::String(value.to_string())));
        placeholder
    });
    let mut terms = match condition {
        predicate::Rendered::Never => return None,
        predicate::Rendered::Always => Vec::new(),
        predicate::Rendered::Sql(sql) => vec![sql],
    };
    let bound = |operator: &str, at: i64| {
        let at = DateTime::from_timestamp_nanos(at);
        let at = at.to_rfc3339_opts(SecondsFormat::Nanos, true);
        format!("time {operator} '{at}'")
    };
    terms.extend(span.start.map(|at| bound(">=", at)));
    terms.extend(span.stop.map(|at| bound("<=", at)));
    let mut text = format!("DELETE FROM {}", predicate::quoted(&table.name));
    if !terms.is_empty() {
        text.push_str(" WHERE ");
        text.push_str(&terms.join(" AND "));
    }
    Some(Query {
        database: bucket.to_string(),
        text,
        parameters,
        may_delete: true,
        // Asked for already, table by table where need be.
        access: Access::Everything,
        origin: Origin::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: &str, stop: &str) -> Result<Option<Span>, String> {
        let body = format!(r#"{{"start":"{start}","stop":"{stop}"}}"#);
        match read(body.as_bytes()) {
            Ok((span, _)) => Ok(span),
            Err(failure) => Err(failure.reason().to_string()),
        }
    }

    #[test]
    fn spans() {
        let both = |start, stop| Ok(Some(Span { start, stop }));
        assert_eq!(
            span(
                "1970-01-01T00:00:01Z",
                "1970-01-01T01:00:02.000000003+01:00"
            ),
            both(Some(1_000_000_000), Some(2_000_000_003))
        );
        assert_eq!(
            span("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
            both(None, None)
        );
        assert_eq!(
            span("1970-01-01T00:00:02Z", "1970-01-01T00:00:01Z"),
            Ok(None)
        );
        assert_eq!(
            span("0001-01-01T00:00:00Z", "0002-01-01T00:00:00Z"),
            Ok(None)
        );
        assert_eq!(
            span("9998-01-01T00:00:00Z", "9999-01-01T00:00:00Z"),
            Ok(None)
        );
        let refused = span("1970-01-01", "1970-01-01T00:00:01Z").expect_err("no time");
        assert_eq!(
            refused,
            "invalid request; error parsing request json: invalid RFC3339Nano for field start, please format your time with RFC3339Nano format, example: 2009-01-02T23:00:00Z"
        );
    }
}
