//! `GET` and `POST /api/v3/query_sql`: one SQL statement in, rows in any format out. A DELETE answers with the number of its rows.
//!
//! Parameters: spec/http-api.md §5.1, and `timeout`; statuses: spec/query-sql.md §1.4. Not here: planning and running (`query`), how rows
//! look (`encode`).

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use query::{Access, LoggedQuery, Origin, Parameter, Query};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::authorization::Permit;
use crate::http::body::from_json;
use crate::http::encode::Format;
use crate::http::encode::accept::choose;
use crate::http::encode::compression::Coding;
use crate::http::error::Failure;
use crate::http::response::ResponseBody;
use crate::http::{Services, parameters};
use crate::{Error, ErrorKind, origin};

/// What the query is called that an answer is of.
const QUERY_ID: HeaderName = HeaderName::from_static("query-id");

/// What it took until its first rows came.
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The fields of a request, from the query string.
#[derive(Deserialize)]
struct UrlFields {
    db: String,
    q: String,
    format: Option<Format>,
    /// JSON text.
    params: Option<String>,
    /// How long the query may take.
    timeout: Option<String>,
}

/// The fields of a request, from a JSON body.
#[derive(Deserialize)]
struct BodyFields {
    db: String,
    q: String,
    format: Option<Format>,
    params: Option<Map<String, Value>>,
    timeout: Option<String>,
}

/// Answers one SQL statement.
pub(crate) async fn query_sql(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    let is_post = head.method == Method::POST;
    let (mut query, format) = if is_post {
        from_body(&services.read_body(head, body).await?)?
    } else {
        from_url(head.uri.query())?
    };
    permit.database_or_tables(&services.catalog.snapshot(), &query.database)?;
    let format = choose(format, &head.headers)?;
    query.may_delete = is_post;
    query.access = permit.access();
    let asked = query.origin.timeout;
    query.origin = origin::read(&head.headers, permit.caller())?;
    query.origin.timeout = query.origin.timeout.into_iter().chain(asked).min();
    let planned = services.query.sql(query).await;
    let result = planned.map_err(|error| match error.kind() {
        // A GET changes nothing: browsers and proxies repeat it as they like, and any page can make them send one.
        ErrorKind::Denied if !is_post => Failure::text(
            StatusCode::METHOD_NOT_ALLOWED,
            "a DELETE has to be sent with POST",
        ),
        _ => planning_failure(error),
    })?;
    let coding = Coding::of(&head.headers);
    let mut response = services
        .encoders
        .respond(result.batches, format, coding)
        .await?;
    let told = [
        (QUERY_ID, result.query.id().to_string()),
        (SERVER_TIMING, server_timing(&result.query)),
    ];
    for (name, value) in told {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// In milliseconds, as browsers show it.
fn server_timing(query: &LoggedQuery) -> String {
    let figures = query.figures();
    let parts = [("plan", figures.planning), ("queue", figures.queue)];
    let parts = parts.into_iter().filter_map(|(name, took)| {
        let took_ms = took?.as_secs_f64() * 1e3;
        Some(format!("{name};dur={took_ms:.3}"))
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn from_url(url_query: Option<&str>) -> Result<(Query, Option<Format>), Failure> {
    if url_query.is_none() {
        return Err(Failure::bad_request(
            "missing query parameters 'db' and 'q'",
        ));
    }
    let fields: UrlFields = parameters::decode(url_query)?;
    let params = match &fields.params {
        Some(text) => from_json(text.as_bytes())?,
        None => None,
    };
    let query = query_of(fields.db, fields.q, params, fields.timeout)?;
    Ok((query, fields.format))
}

fn from_body(body: &[u8]) -> Result<(Query, Option<Format>), Failure> {
    let fields: BodyFields = from_json(body)?;
    let query = query_of(fields.db, fields.q, fields.params, fields.timeout)?;
    Ok((query, fields.format))
}

fn query_of(
    database: String,
    text: String,
    params: Option<Map<String, Value>>,
    timeout: Option<String>,
) -> Result<Query, Failure> {
    let parameters = params
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| match scalar(value) {
            Some(value) => Ok((name, value)),
            None => Err(Failure::bad_request(format!(
                "serde json error: parameter `{name}` must be a string, a number, a boolean or null"
            ))),
        })
        .collect::<Result<_, _>>()?;
    Ok(Query {
        database,
        text,
        parameters,
        may_delete: false,
        access: Access::Everything,
        origin: Origin {
            timeout: timeout.as_deref().map(origin::timeout).transpose()?,
            ..Origin::default()
        },
    })
}

/// A parameter from JSON; `None` for what has parts.
pub(crate) fn scalar(value: Value) -> Option<Parameter> {
    match value {
        Value::Null => Some(Parameter::Null),
        Value::Bool(boolean) => Some(Parameter::Boolean(boolean)),
        Value::String(text) => Some(Parameter::String(text)),
        Value::Number(number) => number
            .as_i64()
            .map(Parameter::Integer)
            .or_else(|| number.as_u64().map(Parameter::Unsigned))
            .or_else(|| number.as_f64().map(Parameter::Float)),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn planning_failure(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => {
            Failure::json_error(StatusCode::NOT_FOUND, format!("query error: {error}"))
        }
        ErrorKind::Denied => Failure::unauthorized_action(),
        _ => Failure::from(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason<T>(outcome: Result<T, Failure>) -> String {
        match outcome {
            Ok(_) => "no failure".to_string(),
            Err(failure) => format!("{} {}", failure.status().as_u16(), failure.reason()),
        }
    }

    #[test]
    fn fields_from_the_url() {
        let url = "q=SELECT+1%3B&db=d&format=json_lines&epoch=s&params=%7B%22a%22%3A1%7D";
        let (query, format) = from_url(Some(url)).expect("decodes");
        assert_eq!(query.database, "d");
        assert_eq!(query.text, "SELECT 1;");
        assert_eq!(query.parameters, [("a".to_string(), Parameter::Integer(1))]);
        assert_eq!(format, Some(Format::JsonLines));
    }

    #[test]
    fn fields_from_a_body() {
        let body = br#"{"q":"SELECT $a","db":"d","other":1,"params":{"a":null,"b":true,"c":-1,"d":18446744073709551615,"e":1.5,"f":"x"}}"#;
        let (query, format) = from_body(body).expect("decodes");
        let parameter = |name: &str| {
            let found = query.parameters.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone()).expect(name)
        };
        assert_eq!(parameter("a"), Parameter::Null);
        assert_eq!(parameter("b"), Parameter::Boolean(true));
        assert_eq!(parameter("c"), Parameter::Integer(-1));
        assert_eq!(parameter("d"), Parameter::Unsigned(u64::MAX));
        assert_eq!(parameter("e"), Parameter::Float(1.5));
        assert_eq!(parameter("f"), Parameter::String("x".to_string()));
        assert_eq!(format, None);
        let (query, _) = from_body(br#"{"q":"","db":"","params":{}}"#).expect("decodes");
        assert!(query.parameters.is_empty());
    }

    #[test]
    fn bad_requests() {
        let url = |query| reason(from_url(query));
        assert_eq!(url(None), "400 missing query parameters 'db' and 'q'");
        assert_eq!(url(Some("")), "400 serde error: missing field `db`");
        assert_eq!(url(Some("db=d")), "400 serde error: missing field `q`");
        assert_eq!(
            url(Some("db=d&q=x&q=y")),
            "400 serde error: duplicate field `q`"
        );
        assert!(
            url(Some("db=d&q=x&format=xml")).starts_with("400 serde error: unknown variant `xml`")
        );
        assert!(url(Some("db=d&q=x&params=a")).starts_with("400 serde json error: "));
        assert!(url(Some("db=d&q=x&params=1")).starts_with("400 serde json error: "));

        let body = |text: &str| reason(from_body(text.as_bytes()));
        assert_eq!(
            body("{}"),
            "400 serde json error: missing field `db` at line 1 column 2"
        );
        assert!(body("db=d&q=x").starts_with("400 serde json error: "));
        assert!(body("").starts_with("400 serde json error: "));
        assert_eq!(
            body(r#"{"db":"d","q":"x","params":{"a":[1]}}"#),
            "400 serde json error: parameter `a` must be a string, a number, a boolean or null"
        );
    }

    #[test]
    fn faults_of_a_query() {
        let missing = planning_failure(Error::not_found("database not found: foo"));
        assert_eq!(
            reason::<()>(Err(missing)),
            "404 query error: database not found: foo"
        );
        let unsupported = Error::new(ErrorKind::Unsupported, "This feature is not implemented: x");
        assert_eq!(
            reason::<()>(Err(planning_failure(unsupported))),
            "405 This feature is not implemented: x"
        );
    }
}
