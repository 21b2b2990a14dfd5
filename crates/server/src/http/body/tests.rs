//! Caps, encodings and content types of request bodies.

use std::convert::Infallible;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::header::HeaderValue;

use super::*;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

const PACE: Pace = Pace {
    window: Duration::from_secs(3_600),
    total: Duration::from_secs(3_600),
};

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
    match read(&headers, body, 10, PACE, &Tasks::new()).await {
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
    let plain = |compressed: &[u8]| match decode(Encoding::Gzip, compressed, 10) {
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

#[tokio::test]
async fn zstd_and_deflate_with_and_without_its_frame() {
    let plain = |encoding, packed: &[u8]| match decode(encoding, packed, 10) {
        Ok(Some(bytes)) => String::from_utf8(bytes.to_vec()).expect("tests use text"),
        Ok(None) => "too large".to_string(),
        Err(failure) => format!("{} {}", failure.status().as_u16(), failure.reason()),
    };
    let zstd = |text: &[u8]| zstd::bulk::compress(text, 3).expect("packs");
    let two_frames = [zstd(b"01234"), zstd(b"56789")].concat();
    assert_eq!(plain(Encoding::Zstd, &two_frames), "0123456789");
    assert_eq!(plain(Encoding::Zstd, &zstd(&[b'x'; 11])), "too large");
    let cut = &two_frames[..two_frames.len() - 3];
    assert!(plain(Encoding::Zstd, cut).starts_with("400 error decoding zstd stream: "));
    // A frame that asks its reader to remember 128 MiB.
    let mut greedy = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("an encoder");
    greedy.window_log(27).expect("a window");
    greedy.write_all(b"x").expect("packs");
    let greedy = greedy.finish().expect("packs");
    assert!(plain(Encoding::Zstd, &greedy).starts_with("400 error decoding zstd stream: "));

    let mut framed = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
    framed.write_all(b"0123456789").expect("packs");
    let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
    bare.write_all(b"0123456789").expect("packs");
    for packed in [framed.finish(), bare.finish()] {
        let packed = packed.expect("packs");
        assert_eq!(plain(Encoding::Deflate, &packed), "0123456789");
    }
    assert!(
        plain(Encoding::Deflate, b"\xff\xff").starts_with("400 error decoding deflate stream: ")
    );
}

/// A body of the given pieces with a pause before each, read with short limits.
async fn paced(pieces: Vec<Bytes>, pause: Duration, pace: Pace) -> String {
    let frames = stream::iter(pieces).then(move |piece| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, Infallible>(Frame::data(piece))
    });
    let body = StreamBody::new(Box::pin(frames));
    match read(&HeaderMap::new(), body, 1 << 20, pace, &Tasks::new()).await {
        Ok(bytes) => format!("{} bytes", bytes.len()),
        Err(failure) => format!("{} {}", failure.status().as_u16(), failure.reason()),
    }
}

#[tokio::test]
async fn bodies_have_to_come_at_some_pace() {
    let short = Duration::from_millis(30);
    let in_windows = Pace {
        window: short,
        ..PACE
    };
    let pause = Duration::from_millis(4);
    let trickle = paced(vec![Bytes::from_static(b"x"); 1_000], pause, in_windows).await;
    assert!(
        trickle.starts_with("408 the request body comes too slowly: "),
        "{trickle}"
    );
    // A window that has brought enough is followed by another one.
    let pieces = vec![Bytes::from(vec![b'x'; 4 << 10]); 20];
    assert_eq!(paced(pieces, pause, in_windows).await, "81920 bytes");
    let at_all = Pace {
        total: short,
        ..PACE
    };
    let pieces = vec![Bytes::from(vec![b'x'; 4 << 10]); 1_000];
    let late = paced(pieces, pause, at_all).await;
    assert_eq!(
        late,
        "408 the request body did not come within 0.03 seconds"
    );
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
    match read_admitted(&headers, body, 1 << 20, PACE, &Tasks::new(), admission).await {
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
        (b"br", "400 unacceptable content-encoding: br"),
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
