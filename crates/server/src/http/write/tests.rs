//! What each refusal of a write looks like, and which names versions 1 and 2 take.

use http_body_util::BodyExt;

use super::*;

async fn shown(failure: Failure) -> (u16, String) {
    let response = failure.into_response();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body");
    let text = String::from_utf8(body.to_bytes().to_vec()).expect("text");
    (status, text)
}

fn bad_line(message: &str) -> LineError {
    LineError {
        error_message: message.to_string(),
        line_number: 2,
        original_line: "t v=\"".to_string(),
    }
}

#[tokio::test]
async fn refused_writes() {
    let failed = WriteError::Failed;
    let cases = [
        (WriteError::Empty, 400, "incoming write was empty"),
        (
            WriteError::Line(bad_line("No fields were provided")),
            400,
            r#"{"error":"line protocol parsing error","data":{"error_message":"No fields were provided","line_number":2,"original_line":"t v=\""}}"#,
        ),
        (
            failed(Error::invalid("db name cannot be empty")),
            400,
            r#"{"error":"db name cannot be empty"}"#,
        ),
        (
            failed(Error::limit(
                "Adding a new database would exceed limit of 5 databases",
            )),
            422,
            r#"{"error":"Adding a new database would exceed limit of 5 databases"}"#,
        ),
        (
            failed(Error::unavailable("shutting down")),
            503,
            "shutting down",
        ),
        (
            failed(Error::internal("error from wal: no space")),
            500,
            "write buffer error: error from wal: no space",
        ),
    ];
    for (error, status, body) in cases {
        assert_eq!(
            shown(Failure::from(Refusal::Write(error))).await,
            (status, body.to_string())
        );
    }
}

#[test]
fn names_for_versions_1_and_2() {
    let refused =
        |name: &str| check_namespace(name).map_err(|failure| failure.reason().to_string());
    let longest = "ä".repeat(64);
    for name in ["a", "_a", "foo/bar-1", longest.as_str()] {
        assert_eq!(refused(name), Ok(()), "{name}");
    }
    let too_long = "a".repeat(65);
    for name in ["", &too_long] {
        let message = format!("namespace name {name} length must be between 1 and 64 characters");
        assert_eq!(refused(name), Err(message));
    }
    for (name, at) in [("?", 0), ("a b", 1), ("äö@c", 2)] {
        let message = format!(
            "namespace name '{name}' contains invalid character, character number {at} is not allowed"
        );
        assert_eq!(refused(name), Err(message));
    }
}

#[test]
fn units_of_versions_1_and_2() {
    #[derive(Deserialize)]
    struct Parameters {
        #[serde(default)]
        precision: UnitName,
    }
    let unit = |query: &str| {
        let decoded: Result<Parameters, _> = serde_urlencoded::from_str(query);
        decoded
            .ok()
            .map(|decoded| Precision::from(decoded.precision))
    };
    let cases: [(Precision, &[&str]); 6] = [
        (Precision::Nanosecond, &["ns", "n", "nanosecond", ""]),
        (Precision::Microsecond, &["us", "u", "microsecond"]),
        (Precision::Millisecond, &["ms", "millisecond"]),
        (Precision::Second, &["s", "second"]),
        (Precision::Minute, &["m", "minute"]),
        (Precision::Hour, &["h", "hour"]),
    ];
    assert_eq!(unit("db=d"), Some(Precision::Nanosecond));
    for (expected, names) in cases {
        for name in names {
            assert_eq!(unit(&format!("precision={name}")), Some(expected), "{name}");
        }
    }
    for name in ["auto", "S", "d", "invalid"] {
        assert_eq!(unit(&format!("precision={name}")), None, "{name}");
    }
}
