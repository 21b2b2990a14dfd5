//! `GET` and `POST /api/v3/query_influxql`: requests are read and permissions asked as for SQL (spec/http-api.md §5.1), but this
//! version of the server has no InfluxQL, and says so.

use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Response};
use serde::Deserialize;

use crate::authorization::Permit;
use crate::http::body::from_json;
use crate::http::error::Failure;
use crate::http::response::ResponseBody;
use crate::http::{Services, parameters};
use crate::{Error, ErrorKind};

/// What has to be there, and what says whose data it is about.
#[derive(Deserialize)]
struct Fields {
    db: Option<String>,
    #[serde(rename = "q")]
    _text: String,
}

/// Refuses one InfluxQL statement.
pub(crate) async fn query_influxql(
    services: &Services,
    head: &Parts,
    permit: Permit<'_>,
    body: Incoming,
) -> Result<Response<ResponseBody>, Failure> {
    let fields: Fields = if head.method == Method::POST {
        from_json(&services.read_body(head, body).await?)?
    } else if head.uri.query().is_none() {
        return Err(Failure::bad_request(
            "missing query parameters 'db' and 'q'",
        ));
    } else {
        parameters::decode(head.uri.query())?
    };
    if let Some(database) = fields.db {
        permit.database_or_tables(&services.catalog.snapshot(), &database)?;
    }
    let message = "This feature is not implemented: InfluxQL";
    Err(Error::new(ErrorKind::Unsupported, message).into())
}
