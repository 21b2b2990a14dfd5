//! The bytes of token events: what is written is read, and nothing else is.

use super::*;
use crate::ErrorKind;
use crate::token_events::event::{Event, EventKind, Outcome, Protocol, Subject};

fn content() -> Content {
    let full = Recorded {
        id: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        time_ms: 1_770_091_506_789,
        last_time_ms: 1_770_091_506_790,
        count: 3,
        event: Event {
            token: Some(Subject::new(1, "ci")),
            changed_at_ms: Some(-5),
            by: Some(Subject::new(0, "_admin")),
            address: Some("192.0.2.1".to_string()),
            protocol: Protocol::Http,
            words: "ümlaut".to_string(),
            ..Event::plain(EventKind::Rotate, Outcome::Done)
        },
    };
    let every_word = EventKind::ALL.into_iter().flat_map(|kind| {
        Outcome::ALL.into_iter().flat_map(move |outcome| {
            Protocol::ALL.into_iter().map(move |protocol| Recorded {
                id: 7,
                time_ms: 0,
                last_time_ms: 0,
                count: 1,
                event: Event {
                    protocol,
                    ..Event::plain(kind, outcome)
                },
            })
        })
    });
    Content {
        replaces: vec!["00000000000000000001-00000000000000ff".to_string()],
        forgotten_until_ms: Some(4),
        events: std::iter::once(full).chain(every_word).collect(),
    }
}

#[test]
fn what_is_written_is_read() {
    for content in [content(), Content::default()] {
        let bytes = encode(&content).expect("bytes");
        assert_eq!(decode(&bytes).expect("content"), content);
    }
}

#[test]
fn the_bytes_of_version_1() {
    let mut content = content();
    content.events.truncate(1);
    let bytes = encode(&content).expect("bytes");
    assert_eq!(&bytes[..12], b"GNOMTKEV\x01\0\0\0");
    assert_eq!(bytes[16..24], (bytes.len() as u64 - 24).to_le_bytes());
    let text = std::str::from_utf8(&bytes[24..]).expect("text");
    let expected = concat!(
        r#"{"replaces":["00000000000000000001-00000000000000ff"],"forgotten_until_ms":4,"events":[{"#,
        r#""id":"0123456789abcdef0123456789abcdef","time_ms":1770091506789,"last_time_ms":1770091506790,"count":3,"#,
        r#""kind":"rotate","outcome":"done","protocol":"http","token":{"id":1,"name":"ci"},"changed_at_ms":-5,"#,
        r#""by":{"id":0,"name":"_admin"},"address":"192.0.2.1","words":"ümlaut"}]}"#
    );
    assert_eq!(text, expected);
}

#[test]
fn damage_is_found_wherever_it_is() {
    let bytes = encode(&content()).expect("bytes").to_vec();
    for length in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        let fault = decode(&bytes[..length]).expect_err("cut");
        assert_eq!(fault.kind(), ErrorKind::Corrupt, "{length}");
    }
    for at in (0..bytes.len()).step_by(5) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x11;
        let fault = decode(&damaged).expect_err("changed");
        assert_eq!(fault.kind(), ErrorKind::Corrupt, "{at}");
    }
}

#[test]
fn words_of_a_later_version_are_refused() {
    let bytes = encode(&content()).expect("bytes").to_vec();
    let text = String::from_utf8_lossy(&bytes[24..]).into_owned();
    for (from, to) in [
        ("\"rotate\"", "\"rotatE\""),
        ("\"done\"", "\"donE\""),
        ("\"http\"", "\"httP\""),
        ("0123456789abcdef0", "0123456789abcdeg0"),
        ("\"count\"", "\"counT\""),
    ] {
        let payload = text.replacen(from, to, 1).into_bytes();
        let mut framed = bytes[..12].to_vec();
        let mut checked = (payload.len() as u64).to_le_bytes().to_vec();
        checked.extend_from_slice(&payload);
        framed.extend_from_slice(&crc32fast::hash(&checked).to_le_bytes());
        framed.extend_from_slice(&checked);
        let fault = decode(&framed).expect_err(from);
        assert_eq!(fault.kind(), ErrorKind::Corrupt, "{from}");
    }
}
