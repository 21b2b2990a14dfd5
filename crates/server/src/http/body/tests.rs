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
        Ok(Some(bytes)) => String::from_utf8(bytes.to_vec()).expect("tests use text"),
        Ok(None) => "too large".to_string(),
        Err(failure) => format!("{} {}", failure.status().as_u16(), failure.reason()),
    };
    assert_eq!(plain(&gzip(b"0123456789")), "0123456789");
    assert_eq!(
        plain(&[gzip(b"01234"), gzip(b""), gzip(b"56789")].concat()),
        "0123456789"
    );
    assert_eq!(plain(&gzip(b"")), "");
    assert_eq!(plain(&gzip(b"0123456789a")), "too large");
    assert_eq!(plain(&gzip(&vec![b'x'; 1 << 24])), "too large");
    assert!(plain(b"no gzip").starts_with("400 error decoding gzip stream: "));
    let whole = gzip(b"0123");
    assert!(plain(&whole[..whole.len() - 3]).starts_with("400 error decoding gzip stream: "));
}

/// Reads a write of one frame with a cap of 1 MiB; the text's length and what it holds of the share.
async fn admitted(
    gzipped: bool,
    body: &[u8],
    admission: &Admission,
) -> Result<(usize, u64), String> {
    let mut headers = HeaderMap::new();
    if gzipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let body = http_body_util::Full::new(Bytes::copy_from_slice(body));
    match read_admitted(&headers, body, 1 << 20, &Tasks::new(), admission).await {
        Ok((text, _held)) => Ok((text.len(), admission.used_bytes())),
        Err(failure) => Err(format!(
            "{} {}",
            failure.status().as_u16(),
            failure.reason()
        )),
    }
}

#[tokio::test]
async fn a_write_holds_the_share_of_its_text() {
    let admission = Admission::new(64 << 20);
    let text = vec![b'x'; 1 << 16];
    let held = 3 << 16;
    assert_eq!(
        admitted(false, &text, &admission).await,
        Ok((1 << 16, held))
    );
    // It turns out far larger than was guessed, and waits again.
    let packed = gzip(&text);
    assert!(packed.len() * UNPACKED_GUESS < text.len());
    assert_eq!(
        admitted(true, &packed, &admission).await,
        Ok((1 << 16, held))
    );
    // As large as was guessed at most.
    let few = gzip(b"0123456789");
    assert_eq!(admitted(true, &few, &admission).await, Ok((10, 1024)));
    let too_large = Err("413 max request size (1048576 bytes) exceeded".to_string());
    let plain = vec![b'x'; (1 << 20) + 1];
    assert_eq!(admitted(false, &plain, &admission).await, too_large);
    assert_eq!(admitted(true, &gzip(&plain), &admission).await, too_large);
    assert_eq!(admission.used_bytes(), 0);
}

#[test]
fn guesses_never_exceed_the_cap() {
    let guess = |encoding, declared| text_bytes_guessed(encoding, declared, 1000);
    assert_eq!(guess(Encoding::Identity, Some(10)), 10);
    assert_eq!(guess(Encoding::Identity, Some(u64::MAX)), 1000);
    assert_eq!(guess(Encoding::Identity, None), 1000);
    assert_eq!(guess(Encoding::Gzip, Some(10)), 80);
    assert_eq!(guess(Encoding::Gzip, Some(900)), 1000);
    assert_eq!(guess(Encoding::Gzip, None), 1000);
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
