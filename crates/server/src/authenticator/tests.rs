//! The credential grammar and the exempt paths, as tables.

use hyper::header::HeaderValue;

use super::*;

fn presented(path: &str, query: Option<&str>, authorization: Option<&[u8]>) -> String {
    let mut headers = HeaderMap::new();
    if let Some(value) = authorization {
        let value = HeaderValue::from_bytes(value).expect("a header value");
        headers.insert(AUTHORIZATION, value);
    }
    let outcome = take_credential(path, query, &mut headers);
    assert!(
        !headers.contains_key(AUTHORIZATION),
        "the header stays behind"
    );
    match outcome {
        Ok(Some(secret)) => String::from_utf8(secret.0).expect("tests use text"),
        Ok(None) => "(none)".to_string(),
        Err(CredentialFault::Malformed) => "(malformed)".to_string(),
        Err(CredentialFault::NotText) => "(not text)".to_string(),
    }
}

#[test]
fn authorization_header_grammar() {
    let cases: &[(&[u8], &str)] = &[
        (b"Bearer T", "T"),
        (b"Token T", "T"),
        (b"bearer T", "(malformed)"),
        (b"BEARER T", "(malformed)"),
        (b"Bearer", "(malformed)"),
        (b"Bearer ", ""),
        (b"Bearer  T", "(malformed)"),
        (b"Bearer T extra", "(malformed)"),
        (b"Bearer\tT", "(malformed)"),
        (b"Digest T", "(malformed)"),
        (b"", "(malformed)"),
        (b"T", "(malformed)"),
        // `:T`, `user:T`, `user:`, `a:b:T`, `userT`, and bytes that are no UTF-8.
        (b"Basic OlQ=", "T"),
        (b"Basic dXNlcjpU", "T"),
        (b"Basic dXNlcjo=", ""),
        (b"Basic YTpiOlQ=", "(malformed)"),
        (b"Basic dXNlclQ=", "(malformed)"),
        (b"Basic //8=", "(malformed)"),
        // Unpadded, URL-safe, not base64 at all.
        (b"Basic OlQ", "(malformed)"),
        (b"Basic x y", "(malformed)"),
        (b"Basic !!!!", "(malformed)"),
        (b"Bearer \xff", "(not text)"),
    ];
    for (header, expected) in cases {
        let found = presented("/ping", None, Some(header));
        assert_eq!(&found, expected, "{}", String::from_utf8_lossy(header));
    }
    assert_eq!(presented("/ping", None, None), "(none)");
}

#[test]
fn query_string_credential_counts_on_version_1_paths_only() {
    let bearer: Option<&[u8]> = Some(b"Bearer H");
    let bad: Option<&[u8]> = Some(b"nonsense");
    let cases: &[(&str, &str, Option<&[u8]>, &str)] = &[
        ("/query", "u=x&p=T", None, "T"),
        ("/write", "p=T", None, "T"),
        ("/write", "p=T", bearer, "T"),
        ("/write", "p=T", bad, "T"),
        ("/write", "p=a+b%2Bc", None, "a b+c"),
        ("/write", "p=", bearer, ""),
        ("/write", "db=d", bearer, "H"),
        ("/write", "p=T&p=T", bearer, "H"),
        ("/write", "p=T&p=T", None, "(none)"),
        ("/write", "P=T", None, "(none)"),
        ("/api/v3/write_lp", "p=T", None, "(none)"),
        ("/api/v3/write_lp", "p=T", bearer, "H"),
        ("/write/", "p=T", None, "(none)"),
    ];
    for (path, query, header, expected) in cases {
        assert_eq!(
            &presented(path, Some(query), *header),
            expected,
            "{path}?{query}"
        );
    }
}

#[test]
fn only_listed_paths_are_exempt() {
    let gate = Gate::new(
        false,
        vec![AuthorizationExempt::Health, AuthorizationExempt::Ping],
    );
    let open = ["/health", "/api/v1/health", "/ping"];
    let closed = [
        "/api/v3/configure/token/admin",
        "/metrics",
        "/ready",
        "/health/",
        "/Health",
        "/api/v3/configure/token",
        "/api/v3/configure/token/admin/regenerate",
        "/api/v3/enterprise/configure/token/admin/regenerate",
        "/api/v3/query_sql",
    ];
    for path in open {
        assert!(gate.is_exempt(path), "{path}");
    }
    for path in closed {
        assert!(!gate.is_exempt(path), "{path}");
    }
}

#[test]
fn token_paths_are_known_by_prefix() {
    let cases = [
        ("/api/v3/configure/token", true),
        ("/api/v3/configure/token/admin", true),
        ("/api/v3/configure/token/named_admin", true),
        ("/api/v3/enterprise/configure/token/admin", true),
        ("/api/v3/enterprise/configure/token/admin/regenerate", true),
        ("/api/v3/enterprise/configure/token", true),
        ("/api/v3/configure/database", false),
    ];
    for (path, expected) in cases {
        assert_eq!(is_token_path(path), expected, "{path}");
    }
}
