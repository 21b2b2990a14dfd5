//! `GET` and `POST /query`: the statements that clients of version 1 send before they write. All others are told that they are not
//! implemented, as version 1 tells such things: inside of a 200.
//!
//! Where the statement comes from, the shape of answers and errors: spec/http-api.md §6. Answers are JSON whatever `Accept`
//! says. A permission that lacks is 401 here (spec/auth-tokens.md §4.1).

use std::sync::Arc;

use catalog::Action;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::statement::{self, Statement};
use crate::authorization::Permit;
use crate::http::Services;
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, empty, typed};
use crate::{Error, ErrorKind};

const NOT_IMPLEMENTED: &str =
    "not implemented: of InfluxQL, this version knows SHOW DATABASES and CREATE DATABASE";

/// What a request may say, in its URL or in a form.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
struct Fields {
    db: Option<String>,
    q: Option<String>,
    pretty: Option<String>,
}

impl Fields {
    /// Key by key, `self` where it says something.
    fn or(self, other: Self) -> Self {
        Self {
            db: self.db.or(other.db),
            q: self.q.or(other.q),
            pretty: self.pretty.or(other.pretty),
        }
    }
}

/// What became of the statement, as version 1 shows it.
#[derive(Debug, Default, Serialize)]
struct StatementResult {
    statement_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<[Series; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Series {
    name: &'static str,
    columns: [&'static str; 1],
    values: Vec<[String; 1]>,
}

/// Answers one statement.
pub(crate) async fn query(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    let fields = read(services, head, body)
        .await
        .map_err(Failure::into_json_error)?;
    let text = fields.q.unwrap_or_default();
    if text.is_empty() {
        return Ok(empty(StatusCode::OK));
    }
    let result = match statement::parse(&text) {
        Statement::ShowDatabases => show_databases(services, permit),
        Statement::CreateDatabase(_) if head.method != Method::POST => {
            Err(Error::invalid("CREATE DATABASE has to be sent with POST"))
        }
        Statement::CreateDatabase(name) => {
            let permit = permit.for_statement(&[Action::Create]);
            permit
                .database(&services.catalog.snapshot(), &name)
                .map_err(|_| unauthorized(services))?;
            create_database(services, name).await
        }
        Statement::Other => {
            if let Some(database) = fields.db.filter(|name| !name.is_empty()) {
                permit
                    .for_statement(&[Action::Read])
                    .database_or_tables(&services.catalog.snapshot(), &database)
                    .map_err(|_| unauthorized(services))?;
            }
            Err(Error::new(ErrorKind::Unsupported, NOT_IMPLEMENTED))
        }
    };
    let result = match result {
        Ok(result) => result,
        // Not the statement's fault: clients have to see it in the status, and come again.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Unavailable | ErrorKind::Corrupt | ErrorKind::Internal
            ) =>
        {
            return Err(Failure::from(error).into_json_error());
        }
        Err(error) => StatementResult {
            error: Some(error.to_string()),
            ..StatementResult::default()
        },
    };
    answer(result, fields.pretty.as_deref() == Some("true"))
}

/// A valid token without the permission that the statement needs.
pub(crate) fn unauthorized(services: &Services) -> Failure {
    services.metrics.forbidden();
    Failure::json_error(StatusCode::UNAUTHORIZED, "unauthorized access")
}

async fn read(services: &Services, head: &Parts, body: Incoming) -> Result<Fields, Failure> {
    let in_url = || match from_form(head.uri.query().unwrap_or_default()) {
        Ok(fields) => Ok(fields),
        Err(fault) => Err(Failure::bad_request(format!(
            "error decoding params from url: {fault}"
        ))),
    };
    if head.method != Method::POST {
        if head.uri.query().is_none() {
            return Err(Failure::bad_request(
                "missing query parameters 'db' and 'q'",
            ));
        }
        return required(in_url()?);
    }
    let declared = head.headers.get(CONTENT_TYPE);
    let declared = declared.map_or("", |value| value.to_str().unwrap_or("not text"));
    let essence = declared.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => {
            let body = services.read_body(head, body).await?;
            let form = from_form(text_of(&body)?).map_err(|fault| {
                Failure::bad_request(format!("error decoding query body: {fault}"))
            })?;
            required(form.or(in_url().unwrap_or_default()))
        }
        essence => {
            let fields = in_url()?;
            // Clients send bodies without a meaning, of any type, when the URL has it all.
            if fields.q.as_ref().is_some_and(|text| !text.is_empty()) {
                return Ok(fields);
            }
            if !matches!(essence, "" | "application/vnd.influxql") {
                return Err(Failure::bad_request(format!(
                    "invalid mime type ({declared})"
                )));
            }
            let body = services.read_body(head, body).await?;
            let text = text_of(&body)?;
            let q = (!text.is_empty()).then(|| text.to_string());
            let fields = Fields {
                q: q.or(fields.q),
                ..fields
            };
            required(fields)
        }
    }
}

/// A query that is empty is one; none at all is a mistake.
fn required(fields: Fields) -> Result<Fields, Failure> {
    match fields.q {
        Some(_) => Ok(fields),
        None => Err(Failure::bad_request(
            "expected a query to be provided in the query string or body",
        )),
    }
}

fn from_form(text: &str) -> Result<Fields, serde_urlencoded::de::Error> {
    serde_urlencoded::from_str(text)
}

fn text_of(body: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(body)
        .map_err(|fault| Failure::bad_request(format!("body content is not valid utf8: {fault}")))
}

/// The databases that the caller may know of, the oldest first.
fn show_databases(services: &Services, permit: Permit<'_>) -> Result<StatementResult, Error> {
    let permit = permit.for_statement(&[Action::Describe, Action::Read]);
    let mut databases = services.catalog.snapshot().databases();
    databases.retain(|database| !database.is_deleted() && permit.sees(database));
    databases.sort_unstable_by_key(|database| database.id);
    let names = databases.iter().map(|database| [database.name.to_string()]);
    let values: Vec<[String; 1]> = names.collect();
    let series = Series {
        name: "databases",
        columns: ["name"],
        values,
    };
    Ok(StatementResult {
        series: (!series.values.is_empty()).then_some([series]),
        ..StatementResult::default()
    })
}

/// One that exists already will do, as in version 1.
async fn create_database(services: &Services, name: String) -> Result<StatementResult, Error> {
    let done = StatementResult::default();
    if services.catalog.snapshot().database(&name).is_some() {
        return Ok(done);
    }
    let catalog = Arc::clone(&services.catalog);
    let wanted = name.clone();
    let created = services
        .shielded(async move { catalog.create_database(&wanted, None).await })
        .await?;
    match created {
        Ok(_) => Ok(done),
        // Made by another request meanwhile.
        Err(_) if services.catalog.snapshot().database(&name).is_some() => Ok(done),
        Err(error) => Err(error),
    }
}

fn answer(result: StatementResult, pretty: bool) -> Result<Response<ResponseBody>, Failure> {
    #[derive(Serialize)]
    struct Results {
        results: [StatementResult; 1],
    }
    let results = Results { results: [result] };
    let text = if pretty {
        serde_json::to_string_pretty(&results)
    } else {
        serde_json::to_string(&results)
    };
    let text =
        text.map_err(|fault| Error::internal("cannot encode the answer").with_source(fault))?;
    Ok(typed(
        StatusCode::OK,
        "application/json",
        ResponseBody::full(text),
    ))
}
