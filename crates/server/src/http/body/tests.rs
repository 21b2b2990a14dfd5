//! Caps, encodings and content types of request bodies.

use std::convert::Infallible;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::header::HeaderValue;

use super::*;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// Reads `chunks` with a cap of 10 bytes; says what came out.
async fn read_chunks(encoding: Option<&[u8]>, chunks: &[&[u8]]) -> String {
    let mut headers = HeaderMap::new();
    if let Some(encoding) = encoding {
        let value = HeaderValue::from_bytes(encoding).expect("a header value");
        headers.insert(CONTENT_ENCODING, value);
    }
    let frames: Vec<Result<Frame<Bytes>, Infallible>> = chunks
        .iter()
        .map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk))))
        .collect();
    let body = StreamBody::new(stream::iter(frames));
    match read(&headers, body, 10, &Tasks::new()).await {
        Ok(bytes) => String::from_utf8(bytes.to_vec()).expect("tests use text"),
        Err(failure) => format!("{} {}", failure.status().as_u16(), failure.reason()),
    }
}

#[tokio::test]
async fn bodies_are_capped_exactly() {
    let cases: &[(&[&[u8]], &str)] = &[
        (&[], ""),
        (&[b"0123456789"], "0123456789"),
        (&[b"01234", b"", b"56789"], "0123456789"),
        (&[b"", b"01", b"2"], "012"),
        (
            &[b"0123456789a"],
            "413 max request size (10 bytes) exceeded",
        ),
        (
            &[b"01234", b"56789", b"a", b"b"],
            "413 max request size (10 bytes) exceeded",
        ),
    ];
    for (chunks, expected) in cases {
        assert_eq!(&read_chunks(None, chunks).await, expected);
        assert_eq!(&read_chunks(Some(b"identity"), chunks).await, expected);
    }
}

#[tokio::test]
async fn gzip_members_are_joined_and_capped() {
    // The cap counts compressed bytes too, and no gzip member is shorter than 20, so these call the decoder itself.
    let plain = |compressed: &[u8]| match gunzip(compressed, 10) {
        Ok(bytes) => String::from_utf8(bytes.to_vec()).expect("tests use text"),
        Err(failure) => format!("{} {}", failure.status().as_u16(), failure.reason()),
    };
    assert_eq!(plain(&gzip(b"0123456789")), "0123456789");
    assert_eq!(
        plain(&[gzip(b"01234"), gzip(b""), gzip(b"56789")].concat()),
        "0123456789"
    );
    assert_eq!(plain(&gzip(b"")), "");
    let too_large = "413 max request size (10 bytes) exceeded";
    assert_eq!(plain(&gzip(b"0123456789a")), too_large);
    assert_eq!(plain(&gzip(&vec![b'x'; 1 << 24])), too_large);
    assert!(plain(b"no gzip").starts_with("400 error decoding gzip stream: "));
    let whole = gzip(b"0123");
    assert!(plain(&whole[..whole.len() - 3]).starts_with("400 error decoding gzip stream: "));
}

#[tokio::test]
async fn other_encodings_are_refused() {
    let cases: &[(&[u8], &str)] = &[
        (b"deflate", "400 unacceptable content-encoding: deflate"),
        (
            b"gzip, gzip",
            "400 unacceptable content-encoding: gzip, gzip",
        ),
        (b"", "400 unacceptable content-encoding: "),
        (
            b"\xff",
            "400 invalid content-encoding header: failed to convert header to a str",
        ),
    ];
    for (encoding, expected) in cases {
        assert_eq!(&read_chunks(Some(encoding), &[b"x"]).await, expected);
    }
}

#[test]
fn json_content_types() {
    let cases = [
        ("application/json", true),
        ("application/json; charset=utf-8", true),
        ("Application/JSON", true),
        ("application/vnd.api+json", true),
        ("application/+json", false),
        ("text/json", false),
        ("application/jsonl", false),
        ("", false),
    ];
    for (content_type, expected) in cases {
        assert_eq!(is_json(content_type), expected, "{content_type}");
    }
}
