//! `DELETE /api/v3/queries/{id}`: stops a query that runs, for admins and for whoever asked it.
//!
//! Ids are those of `system.queries` and of the header `query-id`. To everybody else a query that runs is as one that does not
//! exist. Not here: stopping (`query`), how Arrow Flight asks for it (`flight/cancel`).

use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use uuid::Uuid;

use crate::Error;
use crate::authorization::Caller;
use crate::http::Services;
use crate::http::error::Failure;
use crate::http::response::{ResponseBody, empty};

/// 204 once the query has been told to stop.
pub(crate) fn cancel(
    services: &Services,
    head: &Parts,
    caller: &Caller,
) -> Result<Response<ResponseBody>, Failure> {
    let id = head.uri.path().rsplit('/').next().unwrap_or_default();
    let known = Uuid::parse_str(id)
        .map_err(|_| Failure::from(Error::not_found(format!("no query {id} is running"))))?;
    let token = caller.authenticated().map(|known| known.token.id);
    services.query.cancel(known, &caller.access(), token)?;
    Ok(empty(StatusCode::NO_CONTENT))
}
