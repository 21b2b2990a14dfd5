//! Tickets in all three forms, whole and broken.

use arrow_flight::sql::{CommandGetCatalogs, CommandStatementQuery, ProstMessageExt};

use super::*;

/// What a ticket says, on one line.
fn shown(ticket: impl Into<Bytes>) -> String {
    match read(&ticket.into()) {
        Ok(Asked::Statement(statement)) => format!(
            "{} {:?} {} {:?}",
            statement.database, statement.language, statement.text, statement.parameters
        ),
        Ok(Asked::Command {
            database, command, ..
        }) => format!(
            "{database:?} {}",
            command.type_url().trim_start_matches(FLIGHT_SQL)
        ),
        Err(status) => format!("{:?} {}", status.code(), status.message()),
    }
}

const INVALID: &str = "InvalidArgument Invalid ticket";

#[test]
fn json() {
    assert_eq!(
        shown(
            r#"{"database":"d","sql_query":"SELECT 1","query_type":"sql","params":{"min":20.5},"is_debug":false}"#
        ),
        r#"d Sql SELECT 1 [("min", Float(20.5))]"#
    );
    for alias in ["namespace_name", "bucket", "bucket-name"] {
        let ticket = format!(r#" {{"{alias}":"d","sql_query":"SELECT 1"}}"#);
        assert_eq!(shown(ticket), "d Sql SELECT 1 []");
    }
    assert_eq!(
        shown(
            r#"{"database":"d","sql_query":"SHOW DATABASES","query_type":"influxql","params":null,"more":[]}"#
        ),
        "d InfluxQl SHOW DATABASES []"
    );
    assert_eq!(
        shown(
            r#"{"database":"d","sql_query":"q","query_type":null,"params":{"a":null,"b":true,"c":-1,"d":18446744073709551615,"e":"x"}}"#
        ),
        r#"d Sql q [("a", Null), ("b", Boolean(true)), ("c", Integer(-1)), ("d", Unsigned(18446744073709551615)), ("e", String("x"))]"#
    );
    for broken in [
        r#"{"sql_query":"q"}"#,
        r#"{"database":"d"}"#,
        r#"{"database":"d","sql_query":"q","query_type":"flux"}"#,
        r#"{"database":"d","sql_query":"q","params":{"a":[1]}}"#,
        r#"{"database":"d","sql_query":"q","is_debug":1}"#,
        r#"{"database":"d","bucket":"d","sql_query":"q"}"#,
        r#"{"database":"d","sql_query":"q""#,
        r#"{"database":"d","sql_query":"q"} x"#,
    ] {
        assert_eq!(shown(broken), INVALID, "{broken}");
    }
}

#[test]
fn protobuf_with_and_without_its_envelope() {
    let parameter = |name: &str, value| QueryParam {
        name: name.to_string(),
        value: Some(value),
    };
    let info = ReadInfo {
        database: "d".to_string(),
        sql_query: "SELECT 1".to_string(),
        params: vec![
            parameter("a", QueryParamValue::Null(0)),
            parameter("b", QueryParamValue::Unsigned(u64::MAX)),
            parameter("c", QueryParamValue::Integer(-1)),
            parameter("d", QueryParamValue::Float(0.5)),
            parameter("e", QueryParamValue::Text("x".to_string())),
        ],
        ..ReadInfo::default()
    };
    let expected = r#"d Sql SELECT 1 [("a", Null), ("b", Unsigned(18446744073709551615)), ("c", Integer(-1)), ("d", Float(0.5)), ("e", String("x"))]"#;
    assert_eq!(shown(info.encode_to_vec()), expected);
    let envelope = |info: &ReadInfo| Any {
        type_url: READ_INFO.to_string(),
        value: info.encode_to_vec().into(),
    };
    assert_eq!(shown(envelope(&info).encode_to_vec()), expected);
    let influxql = ReadInfo {
        query_type: QueryType::InfluxQl as i32,
        params: Vec::new(),
        ..info.clone()
    };
    assert_eq!(shown(influxql.encode_to_vec()), "d InfluxQl SELECT 1 []");
    for broken in [
        ReadInfo::default(),
        ReadInfo {
            query_type: 9,
            ..info.clone()
        },
        ReadInfo {
            params: vec![QueryParam::default()],
            ..info.clone()
        },
        ReadInfo {
            query_type: QueryType::FlightSqlMessage as i32,
            flightsql_command: Bytes::from_static(b"\xff"),
            ..info
        },
    ] {
        assert_eq!(shown(broken.encode_to_vec()), INVALID);
        assert_eq!(shown(envelope(&broken).encode_to_vec()), INVALID);
    }
}

#[test]
fn commands_by_their_ticket_and_by_themselves() {
    let command = CommandGetCatalogs {};
    assert_eq!(
        shown(for_command("d", command.as_any(), None)),
        r#"Some("d") CommandGetCatalogs"#
    );
    assert_eq!(
        shown(for_command("", command.as_any(), None)),
        "None CommandGetCatalogs"
    );
    let query = CommandStatementQuery {
        query: "SELECT 1".to_string(),
        transaction_id: None,
    };
    assert_eq!(
        shown(query.as_any().encode_to_vec()),
        "None CommandStatementQuery"
    );
    let id = Uuid::from_u128(7);
    let ticket = for_command("d", query.as_any(), Some(id));
    assert_eq!(query_id(&ticket), Some(id));
    assert_eq!(shown(ticket), r#"Some("d") CommandStatementQuery"#);
    assert_eq!(query_id(&for_command("d", query.as_any(), None)), None);
}

#[test]
fn other_bytes() {
    for broken in [&b""[..], b"x", b"\xff\xff\xff\xff", b"[]", b"{", b"null"] {
        assert_eq!(shown(broken.to_vec()), INVALID);
    }
}
