//! A look at the objects of a catalog as they lie in the store, for people who search for a fault: which there are, and what stands in one,
//! whether it can be trusted or not.
//!
//! Changes nothing and believes nothing: invariants are not checked here (`format`, `change`). Digests of tokens are left out.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use futures::TryStreamExt;
use runtime::Store;
use runtime::object_store::{ObjectStore, Path, cas, store_error};
use serde_json::Value;

use crate::format::{self, Frame};
use crate::log::number_of;
use crate::{Error, ErrorKind};

/// What takes the place of a digest.
const MASK: &str = "*******";

/// What an object is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// Everything after the record of its number.
    Checkpoint,
    /// One record of changes.
    Record,
}

impl ObjectKind {
    fn folder(self, prefix: &str) -> Path {
        let catalog = Path::from(prefix).join("catalog");
        match self {
            Self::Checkpoint => catalog.join("checkpoint"),
            Self::Record => catalog.join("log"),
        }
    }
}

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub kind: ObjectKind,
    pub sequence: u64,
    pub path: String,
    pub size_bytes: u64,
    /// As the store tells it, RFC 3339.
    pub last_modified: String,
    /// Whether a checkpoint has taken its place.
    pub is_covered: bool,
}

/// What stands in an object.
#[derive(Clone, Debug)]
pub struct Content {
    pub path: String,
    pub frame: Frame,
    pub document: Value,
}

impl Content {
    /// How many there are of each kind of change, or of each kind of thing.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        match self.document.get("changes").and_then(Value::as_array) {
            Some(changes) => {
                for change in changes {
                    let kind = change.get("kind").and_then(Value::as_str);
                    *counts
                        .entry(kind.unwrap_or("unknown").to_string())
                        .or_default() += 1;
                }
            }
            None => count_lists(&self.document, &mut counts),
        }
        counts
    }
}

/// The objects of the catalog below `prefix`, checkpoints first, by number.
///
/// Errors: `NotFound` when there is none; the store's.
pub async fn objects(store: &Store, prefix: &str) -> Result<Vec<Object>, Error> {
    let mut objects = Vec::new();
    for kind in [ObjectKind::Checkpoint, ObjectKind::Record] {
        let folder = kind.folder(prefix);
        let listed: Vec<_> = store
            .list(Some(&folder))
            .try_collect()
            .await
            .map_err(|cause| store_error("list", &folder, cause))?;
        for meta in listed {
            let Some(sequence) = number_of(&meta.location) else {
                continue;
            };
            objects.push(Object {
                kind,
                sequence,
                path: meta.location.to_string(),
                size_bytes: meta.size,
                last_modified: told(meta.last_modified.timestamp_millis()),
                is_covered: false,
            });
        }
    }
    if objects.is_empty() {
        let catalog = Path::from(prefix).join("catalog");
        return Err(Error::not_found(format!("no catalog below {catalog}")));
    }
    objects.sort_by_key(|object| (object.kind, object.sequence));
    let checkpoints = objects
        .iter()
        .filter(|object| object.kind == ObjectKind::Checkpoint);
    let newest = checkpoints.map(|object| object.sequence).max();
    for object in &mut objects {
        object.is_covered = match object.kind {
            ObjectKind::Checkpoint => Some(object.sequence) < newest,
            ObjectKind::Record => Some(object.sequence) <= newest,
        };
    }
    Ok(objects)
}

/// What stands in the object of that number; the newest when none is given.
///
/// Errors: `NotFound` without such an object; `Corrupt` when it is no catalog object of a known version, or its checksum is wrong and
/// `skips_checksum` is not set.
pub async fn content(
    store: &Store,
    prefix: &str,
    kind: ObjectKind,
    sequence: Option<u64>,
    skips_checksum: bool,
) -> Result<Content, Error> {
    let objects = objects(store, prefix).await?;
    let mut of_kind = objects.into_iter().filter(|object| object.kind == kind);
    let found = match sequence {
        Some(sequence) => of_kind.find(|object| object.sequence == sequence),
        None => of_kind.next_back(),
    };
    let object = found.ok_or_else(|| match (kind, sequence) {
        (_, Some(sequence)) => {
            Error::not_found(format!("no object {sequence} in {}", kind.folder(prefix)))
        }
        (ObjectKind::Record, None) => Error::not_found("no catalog log files present"),
        (ObjectKind::Checkpoint, None) => Error::not_found("no catalog snapshot present"),
    })?;
    let path = Path::from(object.path.as_str());
    let bytes = cas::read(store, &path)
        .await?
        .ok_or_else(|| Error::not_found(format!("{path} went away meanwhile")))?;
    let damaged = |cause: &Error| {
        Error::new(
            ErrorKind::Corrupt,
            format!("{path} is damaged {}", cause.message()),
        )
    };
    let (frame, payload) = format::look(&bytes).map_err(|cause| damaged(&cause))?;
    if !frame.is_sound() && !skips_checksum {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "{path} is damaged: the checksum should be {:08x} and is {:08x}",
                frame.checksum, frame.computed
            ),
        ));
    }
    let mut document: Value = serde_json::from_slice(payload)
        .map_err(|cause| damaged(&Error::new(ErrorKind::Corrupt, cause.to_string())))?;
    mask_digests(&mut document);
    Ok(Content {
        path: object.path,
        frame,
        document,
    })
}

fn told(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms)
        .map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
        .unwrap_or_default()
}

fn mask_digests(value: &mut Value) {
    match value {
        Value::Object(keys) => {
            for (key, value) in keys {
                match key.as_str() {
                    "digest" => *value = Value::from(MASK),
                    _ => mask_digests(value),
                }
            }
        }
        Value::Array(parts) => parts.iter_mut().for_each(mask_digests),
        _ => {}
    }
}

/// Adds up the lengths of all lists by their keys.
fn count_lists(value: &Value, counts: &mut BTreeMap<String, usize>) {
    match value {
        Value::Object(keys) => {
            for (key, value) in keys {
                if let Value::Array(parts) = value {
                    *counts.entry(key.clone()).or_default() += parts.len();
                }
                count_lists(value, counts);
            }
        }
        Value::Array(parts) => parts.iter().for_each(|part| count_lists(part, counts)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use runtime::object_store::{ObjectStoreExt, PutPayload, in_memory};

    use super::*;

    async fn store() -> Store {
        let store = in_memory();
        let put = async |path: &str, json: &str, magic: &[u8; 8]| {
            let mut bytes = magic.to_vec();
            bytes.extend(1_u32.to_le_bytes());
            let mut covered = (json.len() as u64).to_le_bytes().to_vec();
            covered.extend(json.as_bytes());
            bytes.extend(crc32fast::hash(&covered).to_le_bytes());
            bytes.extend(covered);
            let path = Path::from(path);
            store
                .put(&path, PutPayload::from(bytes))
                .await
                .expect("a store takes it");
        };
        let log = b"GNOMCLOG";
        for number in 1..=3 {
            let path = format!("n/catalog/log/{number:020}");
            let json = format!(
                r#"{{"sequence":{number},"nonce":"","changes":[{{"kind":"delete_token","id":1}},{{"kind":"rotate_token","digest":"ab"}}]}}"#
            );
            put(&path, &json, log).await;
        }
        let json = r#"{"sequence":2,"databases":[{"tables":[{"columns":[1,2]}]},{"tables":[]}],"tokens":[]}"#;
        put(
            "n/catalog/checkpoint/00000000000000000002",
            json,
            b"GNOMCCHK",
        )
        .await;
        put("n/catalog/log/notes.txt", "{}", log).await;
        store
    }

    #[tokio::test]
    async fn what_is_there() {
        let listed = objects(&store().await, "n").await.expect("a catalog");
        let listed: Vec<_> = listed
            .iter()
            .map(|object| (object.kind, object.sequence, object.is_covered))
            .collect();
        use ObjectKind::{Checkpoint, Record};
        assert_eq!(
            listed,
            [
                (Checkpoint, 2, false),
                (Record, 1, true),
                (Record, 2, true),
                (Record, 3, false)
            ]
        );
        let error = objects(&store().await, "m").await.expect_err("nothing");
        assert_eq!(error.to_string(), "no catalog below m/catalog");
    }

    #[tokio::test]
    async fn what_stands_in_one() {
        let store = store().await;
        let newest = content(&store, "n", ObjectKind::Record, None, false)
            .await
            .expect("a record");
        assert_eq!(newest.document["sequence"], 3);
        assert_eq!(newest.document["changes"][1]["digest"], MASK);
        let counts: Vec<_> = newest.counts().into_iter().collect();
        assert_eq!(
            counts,
            [
                ("delete_token".to_string(), 1),
                ("rotate_token".to_string(), 1)
            ]
        );
        let snapshot = content(&store, "n", ObjectKind::Checkpoint, None, false)
            .await
            .expect("one");
        let counts = snapshot.counts();
        assert_eq!(
            (
                counts["databases"],
                counts["tables"],
                counts["columns"],
                counts["tokens"]
            ),
            (2, 1, 2, 0)
        );
        let error = content(&store, "n", ObjectKind::Record, Some(9), false)
            .await
            .expect_err("none");
        assert_eq!(error.to_string(), "no object 9 in n/catalog/log");
    }

    #[tokio::test]
    async fn a_wrong_checksum_is_told_or_passed_over() {
        let store = store().await;
        let path = Path::from("n/catalog/log/00000000000000000003");
        let mut bytes = cas::read(&store, &path)
            .await
            .expect("read")
            .expect("there")
            .to_vec();
        // `"id":1` is another number now.
        let at = bytes
            .iter()
            .rposition(|&byte| byte == b'1')
            .expect("a digit");
        bytes[at] = b'2';
        store
            .put(&path, PutPayload::from(bytes))
            .await
            .expect("a store takes it");
        let look = async |skips| content(&store, "n", ObjectKind::Record, None, skips).await;
        let error = look(false).await.expect_err("damaged").to_string();
        assert!(
            error.contains("is damaged: the checksum should be "),
            "{error}"
        );
        let shown = look(true).await.expect("passed over");
        assert!(!shown.frame.is_sound());
        assert_eq!(shown.document["changes"][0]["id"], 2);
    }
}
