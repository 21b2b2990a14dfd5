//! Tickets: what a client hands in to get rows, in every form that clients know (spec/flight.md §3).
//!
//! The official clients write JSON; Flight SQL clients give back what they were given, which is a `ReadInfo` of ours, or the command
//! itself. All of it comes from outside. Not here: what prepared statements are called (`prepared`), running anything (`service`).

use arrow_flight::sql::{Any, Command};
use bytes::Bytes;
use prost::Message;
use query::Parameter;
use serde::Deserialize;
use serde_json::{Map, Value};
use tonic::Status;
use uuid::Uuid;

use super::headers::Language;
use super::status::invalid;
use crate::http::v3::query::scalar;

const READ_INFO: &str = "type.googleapis.com/influxdata.iox.querier.v1.ReadInfo";
const FLIGHT_SQL: &str = "type.googleapis.com/arrow.flight.protocol.sql.";

/// What a client wants.
#[derive(Debug)]
pub(super) enum Asked {
    Statement(Statement),
    /// Of the database in the ticket, if it names one, otherwise of that in the metadata.
    Command {
        database: Option<String>,
        command: Command,
        /// What its query is to be called, when it is a statement.
        query_id: Option<Uuid>,
    },
}

/// A statement of an official client.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) database: String,
    pub(super) text: String,
    pub(super) language: Language,
    pub(super) parameters: Vec<(String, Parameter)>,
}

/// The protobuf form of a ticket.
#[derive(Clone, PartialEq, Message)]
struct ReadInfo {
    #[prost(string, tag = "1")]
    database: String,
    #[prost(string, tag = "2")]
    sql_query: String,
    #[prost(enumeration = "QueryType", tag = "3")]
    query_type: i32,
    #[prost(bytes = "bytes", tag = "4")]
    flightsql_command: Bytes,
    #[prost(bool, tag = "5")]
    is_debug: bool,
    #[prost(message, repeated, tag = "6")]
    params: Vec<QueryParam>,
    /// Ours: what the query is to be called that this ticket leads to.
    #[prost(bytes = "bytes", tag = "100")]
    query_id: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum QueryType {
    Unspecified = 0,
    Sql = 1,
    InfluxQl = 2,
    FlightSqlMessage = 3,
}

#[derive(Clone, PartialEq, Message)]
struct QueryParam {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(oneof = "QueryParamValue", tags = "2, 3, 4, 5, 6, 7")]
    value: Option<QueryParamValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum QueryParamValue {
    #[prost(int32, tag = "2")]
    Null(i32),
    #[prost(bool, tag = "3")]
    Boolean(bool),
    #[prost(uint64, tag = "4")]
    Unsigned(u64),
    #[prost(int64, tag = "5")]
    Integer(i64),
    #[prost(double, tag = "6")]
    Float(f64),
    #[prost(string, tag = "7")]
    Text(String),
}

/// The JSON form of a ticket.
#[derive(Deserialize)]
struct JsonTicket {
    #[serde(alias = "namespace_name", alias = "bucket", alias = "bucket-name")]
    database: String,
    sql_query: String,
    #[serde(default)]
    query_type: Option<JsonLanguage>,
    #[serde(default)]
    params: Option<Map<String, Value>>,
    /// Read so that nonsense is refused; system tables are always there.
    #[serde(default, rename = "is_debug")]
    _is_debug: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum JsonLanguage {
    Sql,
    InfluxQl,
}

/// The ticket for the rows of a Flight SQL command on `database`, with the id of its query if it is a statement.
pub(super) fn for_command(database: &str, command: Any, query_id: Option<Uuid>) -> Bytes {
    let info = ReadInfo {
        database: database.to_string(),
        query_type: QueryType::FlightSqlMessage as i32,
        flightsql_command: command.encode_to_vec().into(),
        query_id: query_id.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes())),
        ..ReadInfo::default()
    };
    let any = Any {
        type_url: READ_INFO.to_string(),
        value: info.encode_to_vec().into(),
    };
    any.encode_to_vec().into()
}

/// Reads a ticket.
///
/// Errors: `INVALID_ARGUMENT` with the message `Invalid ticket` for what is none.
pub(super) fn read(ticket: &Bytes) -> Result<Asked, Status> {
    if let Ok(any) = Any::decode(ticket.clone()) {
        if any.type_url == READ_INFO {
            let info = ReadInfo::decode(any.value).map_err(|_| not_a_ticket())?;
            return from_read_info(info);
        }
        if any.type_url.starts_with(FLIGHT_SQL) {
            return command(None, any, None);
        }
    }
    // No `ReadInfo` begins with a brace, which would be a group, and every JSON ticket does.
    if ticket.trim_ascii_start().starts_with(b"{") {
        return from_json(ticket);
    }
    from_read_info(ReadInfo::decode(ticket.clone()).map_err(|_| not_a_ticket())?)
}

/// What the query is to be called that a ticket leads to, if the ticket is one of ours and says so.
pub(super) fn query_id(ticket: &Bytes) -> Option<Uuid> {
    match read(ticket) {
        Ok(Asked::Command { query_id, .. }) => query_id,
        _ => None,
    }
}

/// Reads a command of Flight SQL.
pub(super) fn read_command(bytes: &Bytes) -> Result<Command, Status> {
    let any = Any::decode(bytes.clone())
        .map_err(|fault| invalid(format!("Unable to decode Flight SQL message: {fault}")))?;
    Command::try_from(any).map_err(|fault| invalid(fault.to_string()))
}

fn command(database: Option<String>, any: Any, query_id: Option<Uuid>) -> Result<Asked, Status> {
    let command = Command::try_from(any).map_err(|_| not_a_ticket())?;
    Ok(Asked::Command {
        database,
        command,
        query_id,
    })
}

fn from_read_info(info: ReadInfo) -> Result<Asked, Status> {
    let language = match QueryType::try_from(info.query_type) {
        Ok(QueryType::Unspecified | QueryType::Sql) => Language::Sql,
        Ok(QueryType::InfluxQl) => Language::InfluxQl,
        Ok(QueryType::FlightSqlMessage) => {
            let any = Any::decode(info.flightsql_command).map_err(|_| not_a_ticket())?;
            let database = Some(info.database).filter(|database| !database.is_empty());
            let query_id = Uuid::from_slice(&info.query_id).ok();
            return command(database, any, query_id);
        }
        Err(_) => return Err(not_a_ticket()),
    };
    if info.database.is_empty() {
        return Err(not_a_ticket());
    }
    let value = |value| match value {
        QueryParamValue::Null(_) => Parameter::Null,
        QueryParamValue::Boolean(value) => Parameter::Boolean(value),
        QueryParamValue::Unsigned(value) => Parameter::Unsigned(value),
        QueryParamValue::Integer(value) => Parameter::Integer(value),
        QueryParamValue::Float(value) => Parameter::Float(value),
        QueryParamValue::Text(value) => Parameter::String(value),
    };
    let parameters = info
        .params
        .into_iter()
        .map(|parameter| match parameter.value {
            Some(given) => Ok((parameter.name, value(given))),
            None => Err(not_a_ticket()),
        })
        .collect::<Result<_, _>>()?;
    Ok(Asked::Statement(Statement {
        database: info.database,
        text: info.sql_query,
        language,
        parameters,
    }))
}

fn from_json(ticket: &[u8]) -> Result<Asked, Status> {
    let ticket: JsonTicket = serde_json::from_slice(ticket).map_err(|_| not_a_ticket())?;
    let parameters = ticket
        .params
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| match scalar(value) {
            Some(value) => Ok((name, value)),
            None => Err(not_a_ticket()),
        })
        .collect::<Result<_, _>>()?;
    Ok(Asked::Statement(Statement {
        database: ticket.database,
        text: ticket.sql_query,
        language: match ticket.query_type {
            None | Some(JsonLanguage::Sql) => Language::Sql,
            Some(JsonLanguage::InfluxQl) => Language::InfluxQl,
        },
        parameters,
    }))
}

fn not_a_ticket() -> Status {
    invalid("Invalid ticket")
}

#[cfg(test)]
mod tests;
