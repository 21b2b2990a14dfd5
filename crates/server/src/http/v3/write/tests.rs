//! Parameters of a write, and what each outcome looks like.

use http_body_util::BodyExt;
use storage::LineError;

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

#[test]
fn parameters_and_their_defaults() {
    let plain = decode_parameters(Some("db=d")).expect("decodes");
    let expected = Parameters {
        db: "d".to_string(),
        precision: PrecisionName::Auto,
        accept_partial: true,
        no_sync: false,
    };
    assert_eq!(plain, expected);
    let all = "org=x&db=a+b%2F&precision=ms&accept_partial=false&no_sync=true&org=y";
    let expected = Parameters {
        db: "a b/".to_string(),
        precision: PrecisionName::Millisecond,
        accept_partial: false,
        no_sync: true,
    };
    assert_eq!(decode_parameters(Some(all)).expect("decodes"), expected);
}

#[test]
fn precision_names() {
    let cases = [
        ("auto", PrecisionName::Auto),
        ("s", PrecisionName::Second),
        ("second", PrecisionName::Second),
        ("ms", PrecisionName::Millisecond),
        ("millisecond", PrecisionName::Millisecond),
        ("us", PrecisionName::Microsecond),
        ("u", PrecisionName::Microsecond),
        ("microsecond", PrecisionName::Microsecond),
        ("ns", PrecisionName::Nanosecond),
        ("n", PrecisionName::Nanosecond),
        ("nanosecond", PrecisionName::Nanosecond),
    ];
    for (name, expected) in cases {
        let query = format!("db=d&precision={name}");
        let decoded = decode_parameters(Some(&query)).expect(name);
        assert_eq!(decoded.precision, expected, "{name}");
    }
}

#[test]
fn bad_parameters() {
    let cases = [
        (None, "missing query parameter 'db'"),
        (Some(""), "serde error: missing field `db`"),
        (Some("bucket=d"), "serde error: missing field `db`"),
        (Some("db=d&db=e"), "serde error: duplicate field `db`"),
        (
            Some("db=d&no_sync=True"),
            "serde error: provided string was not `true` or `false`",
        ),
        (
            Some("db=d&accept_partial="),
            "serde error: provided string was not `true` or `false`",
        ),
    ];
    for (query, expected) in cases {
        let failure = decode_parameters(query).expect_err(expected);
        assert_eq!(failure.status(), StatusCode::BAD_REQUEST);
        assert_eq!(failure.reason(), expected, "{query:?}");
    }
    for unit in ["h", "m", "", "NS"] {
        let query = format!("db=d&precision={unit}");
        let failure = decode_parameters(Some(&query)).expect_err(unit);
        let start = format!("serde error: unknown variant `{unit}`, expected one of `auto`, ");
        assert!(failure.reason().starts_with(&start), "{}", failure.reason());
    }
}

#[tokio::test]
async fn partial_writes_list_their_bad_lines() {
    assert!(report(&WriteOutcome::default()).is_ok());
    let outcome = WriteOutcome {
        lines: 0,
        rejected: vec![bad_line("No fields were provided"); 150],
    };
    let (status, body) = shown(report(&outcome).expect_err("partial")).await;
    assert_eq!(status, 400);
    let start = r#"{"error":"partial write of line protocol occurred","data":[{"error_message":"No fields were provided","line_number":2,"original_line":"t v=\""},{"#;
    assert!(body.starts_with(start), "{body}");
    assert_eq!(body.matches("line_number").count(), LISTED_LINES_MAX);
}

#[tokio::test]
async fn limits_turn_a_partial_write_into_422_even_beyond_the_listed_lines() {
    for message in [
        "Update to schema would exceed number of columns per table limit of 500 columns",
        "Adding a new database would exceed limit of 5 databases",
    ] {
        let mut rejected = vec![bad_line("No fields were provided"); 120];
        rejected.push(bad_line(message));
        let outcome = WriteOutcome { lines: 1, rejected };
        let (status, _) = shown(report(&outcome).expect_err("partial")).await;
        assert_eq!(status, 422, "{message}");
    }
}
