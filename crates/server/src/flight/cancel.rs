//! The actions that stop a query: `CancelFlightInfo`, and `CancelQuery` of older clients (spec/flight.md §7).
//!
//! What `GetFlightInfo` gives for a statement has the id of its query-to-be, in its metadata and in its ticket; the query that the ticket
//! leads to is called so. Not here: who may stop what (`query`), `DELETE /api/v3/queries/{id}` (`http/v3/queries`).

use arrow_flight::sql::{ActionCancelQueryRequest, ActionCancelQueryResult, ProstMessageExt};
use arrow_flight::{CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo};
use bytes::Bytes;
use prost::Message;
use tonic::Status;
use uuid::Uuid;

use super::status::{invalid, status_of};
use super::ticket;
use crate::authorization::Caller;
use crate::http::Services;

pub(super) const CANCEL_FLIGHT_INFO: &str = "CancelFlightInfo";
pub(super) const CANCEL_QUERY: &str = "CancelQuery";

/// `CancelFlightInfo`: takes and gives its message as it is.
///
/// Errors: `NOT_FOUND` when the query does not run, as not yet and not any more.
pub(super) fn flight_info(
    services: &Services,
    caller: &Caller,
    body: &Bytes,
) -> Result<Bytes, Status> {
    let request = CancelFlightInfoRequest::decode(body.clone())
        .map_err(|fault| invalid(format!("Unable to decode action: {fault}")))?;
    let info = request
        .info
        .ok_or_else(|| invalid("the action has no flight info"))?;
    cancel(services, caller, &info)?;
    let status = CancelStatus::Cancelled as i32;
    Ok(CancelFlightInfoResult { status }.encode_to_vec().into())
}

/// `CancelQuery`: both messages are wrapped.
pub(super) fn query(
    services: &Services,
    caller: &Caller,
    request: &ActionCancelQueryRequest,
) -> Result<Bytes, Status> {
    let info = FlightInfo::decode(request.info.clone())
        .map_err(|fault| invalid(format!("Unable to decode flight info: {fault}")))?;
    cancel(services, caller, &info)?;
    // The older message counts as the newer one does.
    let result = CancelStatus::Cancelled as i32;
    let result = ActionCancelQueryResult { result };
    Ok(result.as_any().encode_to_vec().into())
}

fn cancel(services: &Services, caller: &Caller, info: &FlightInfo) -> Result<(), Status> {
    let id = id_of(info).ok_or_else(|| invalid("the flight info is of no query"))?;
    let token = caller.authenticated().map(|known| known.token.id);
    let cancelled = services.query.cancel(id, &caller.access(), token);
    cancelled.map_err(|error| status_of(&error))
}

fn id_of(info: &FlightInfo) -> Option<Uuid> {
    let in_metadata = std::str::from_utf8(&info.app_metadata).ok();
    let in_metadata = in_metadata.and_then(|text| Uuid::parse_str(text).ok());
    in_metadata.or_else(|| {
        let tickets = info.endpoint.iter().filter_map(|part| part.ticket.as_ref());
        tickets
            .filter_map(|ticket| ticket::query_id(&ticket.ticket))
            .next()
    })
}
