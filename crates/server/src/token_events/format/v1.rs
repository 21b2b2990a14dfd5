//! Version 1: a fixed header, then one JSON document. Frozen.
//!
//! The types here are the bytes: they exist only to be (de)serialised, and no other type of token events is. JSON keys and their
//! meaning: docs/formats/token_events.md.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Content;
use crate::Error;
use crate::token_events::event::{Event, EventKind, Outcome, Protocol, Recorded, Subject};

const MAGIC: [u8; 8] = *b"GNOMTKEV";
const VERSION: u32 = 1;

const VERSION_AT: usize = 8;
const CHECKSUM_AT: usize = 12;
const LENGTH_AT: usize = 16;
const PAYLOAD_AT: usize = 24;

/// The bytes of an object; the same content always gives the same bytes.
pub(in crate::token_events) fn encode(content: &Content) -> Result<Bytes, Error> {
    let payload = serde_json::to_vec(&ContentV1::from(content))
        .map_err(|cause| Error::internal("cannot write token events as JSON").with_source(cause))?;
    let length = (payload.len() as u64).to_le_bytes();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&length);
    checksum.update(&payload);
    let mut framed = Vec::with_capacity(PAYLOAD_AT + payload.len());
    framed.extend_from_slice(&MAGIC);
    framed.extend_from_slice(&VERSION.to_le_bytes());
    framed.extend_from_slice(&checksum.finalize().to_le_bytes());
    framed.extend_from_slice(&length);
    framed.extend_from_slice(&payload);
    Ok(framed.into())
}

/// The content of `bytes`. Errors: `Corrupt`, with the offset.
pub(in crate::token_events) fn decode(bytes: &[u8]) -> Result<Content, Error> {
    if field::<8>(bytes, 0)? != MAGIC {
        return Err(corrupt(0, "it does not begin with GNOMTKEV"));
    }
    let version = u32::from_le_bytes(field(bytes, VERSION_AT)?);
    if version != VERSION {
        let what = format!("version {version} is unknown");
        return Err(corrupt(VERSION_AT, &what));
    }
    let checksum = u32::from_le_bytes(field(bytes, CHECKSUM_AT)?);
    let length = u64::from_le_bytes(field(bytes, LENGTH_AT)?);
    let payload = bytes.get(PAYLOAD_AT..).unwrap_or_default();
    if payload.len() as u64 != length {
        let found = payload.len();
        let what = format!("the payload should have {length} bytes and has {found}");
        return Err(corrupt(LENGTH_AT, &what));
    }
    let computed = crc32fast::hash(bytes.get(LENGTH_AT..).unwrap_or_default());
    if computed != checksum {
        let what = format!("the checksum should be {checksum:08x} and is {computed:08x}");
        return Err(corrupt(CHECKSUM_AT, &what));
    }
    let content: ContentV1 = serde_json::from_slice(payload)
        .map_err(|cause| corrupt(PAYLOAD_AT, &format!("the JSON is wrong: {cause}")))?;
    content.into_content()
}

fn field<const SIZE: usize>(bytes: &[u8], at: usize) -> Result<[u8; SIZE], Error> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<SIZE>())
        .copied()
        .ok_or_else(|| {
            let wanted = at + SIZE;
            corrupt(
                bytes.len(),
                &format!("it ends inside its first {wanted} bytes"),
            )
        })
}

fn corrupt(offset: usize, what: &str) -> Error {
    Error::corrupt(format!("at offset {offset}: {what}"))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContentV1 {
    replaces: Vec<String>,
    forgotten_until_ms: Option<i64>,
    events: Vec<EventV1>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventV1 {
    id: String,
    time_ms: i64,
    last_time_ms: i64,
    count: u64,
    kind: String,
    outcome: String,
    protocol: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<SubjectV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed_at_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<SubjectV1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    words: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectV1 {
    id: u64,
    name: String,
}

impl From<&Content> for ContentV1 {
    fn from(content: &Content) -> Self {
        Self {
            replaces: content.replaces.clone(),
            forgotten_until_ms: content.forgotten_until_ms,
            events: content.events.iter().map(EventV1::from).collect(),
        }
    }
}

impl From<&Recorded> for EventV1 {
    fn from(recorded: &Recorded) -> Self {
        let subject = |subject: &Subject| SubjectV1 {
            id: subject.id,
            name: subject.name.clone(),
        };
        let event = &recorded.event;
        Self {
            id: format!("{:032x}", recorded.id),
            time_ms: recorded.time_ms,
            last_time_ms: recorded.last_time_ms,
            count: recorded.count,
            kind: event.kind.name().to_string(),
            outcome: event.outcome.name().to_string(),
            protocol: event.protocol.name().to_string(),
            token: event.token.as_ref().map(subject),
            changed_at_ms: event.changed_at_ms,
            by: event.by.as_ref().map(subject),
            address: event.address.clone(),
            words: event.words.clone(),
        }
    }
}

impl ContentV1 {
    fn into_content(self) -> Result<Content, Error> {
        let events: Result<Vec<Recorded>, Error> = self
            .events
            .into_iter()
            .map(EventV1::into_recorded)
            .collect();
        Ok(Content {
            replaces: self.replaces,
            forgotten_until_ms: self.forgotten_until_ms,
            events: events?,
        })
    }
}

impl EventV1 {
    fn into_recorded(self) -> Result<Recorded, Error> {
        let unknown =
            |what: &str, name: &str| corrupt(PAYLOAD_AT, &format!("{what} `{name}` is unknown"));
        let is_id = self.id.len() == 32 && self.id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = match u128::from_str_radix(&self.id, 16) {
            Ok(id) if is_id => id,
            _ => return Err(unknown("the event id", &self.id)),
        };
        let kind = EventKind::ALL
            .into_iter()
            .find(|kind| kind.name() == self.kind)
            .ok_or_else(|| unknown("the kind", &self.kind))?;
        let outcome = Outcome::ALL
            .into_iter()
            .find(|outcome| outcome.name() == self.outcome)
            .ok_or_else(|| unknown("the outcome", &self.outcome))?;
        let protocol = Protocol::ALL
            .into_iter()
            .find(|protocol| protocol.name() == self.protocol)
            .ok_or_else(|| unknown("the protocol", &self.protocol))?;
        let subject = |subject: SubjectV1| Subject {
            id: subject.id,
            name: subject.name,
        };
        Ok(Recorded {
            id,
            time_ms: self.time_ms,
            last_time_ms: self.last_time_ms,
            count: self.count,
            event: Event {
                kind,
                outcome,
                token: self.token.map(subject),
                changed_at_ms: self.changed_at_ms,
                by: self.by.map(subject),
                address: self.address,
                protocol,
                words: self.words,
            },
        })
    }
}
