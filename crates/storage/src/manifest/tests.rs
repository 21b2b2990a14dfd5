//! What the manifest refuses, what it keeps through faults, and who may change it.

use std::sync::Arc;

use runtime::clock::SystemClock;
use runtime::object_store::PutPayload;
use runtime::sim::FaultyStore;
use runtime::{ErrorKind, Random, Tasks};

use super::*;

fn file(id: u64) -> FileEntry {
    FileEntry {
        id,
        database: DatabaseId(1),
        table: TableId(2),
        min_time: i64::MIN,
        max_time: i64::MAX - id as i64,
        rows: 1 + id,
        series: 1,
        bytes: u64::MAX - id,
        first_sequence: id,
        last_sequence: u64::MAX,
        crc32: u32::MAX,
        footer_bytes: u64::MAX - id,
        footer_crc32: u32::MAX,
        deletes_applied: id,
        created_ms: 7,
    }
}

fn tombstone(id: u64) -> TombstoneEntry {
    TombstoneEntry {
        id,
        database: DatabaseId(1),
        table: TableId(2),
        sequence: 4,
        min_time: -3,
        max_time: 8,
        created_ms: 9,
        scope: TombstoneScope::Listed { bytes: 5, crc32: 6 },
    }
}

fn added(ids: impl IntoIterator<Item = u64>) -> Change {
    Change {
        added: ids.into_iter().map(file).collect(),
        ..Change::default()
    }
}

fn world(store: &Arc<FaultyStore>, seed: u64) -> World {
    World {
        clock: Arc::new(SystemClock::new()),
        random: Random::seeded(seed),
        store: Arc::clone(store) as Store,
        tasks: Tasks::new(),
    }
}

async fn open(store: &Arc<FaultyStore>, seed: u64) -> ManifestLog {
    ManifestLog::open(Paths::new("node"), world(store, seed))
        .await
        .expect("open")
}

fn ids(log: &ManifestLog) -> Vec<u64> {
    log.manifest().files.keys().copied().collect()
}

#[test]
fn a_change_that_breaks_an_invariant_is_refused_whole() {
    let mut manifest = Manifest::default();
    manifest
        .apply(&Change {
            number: 1,
            epoch: 5,
            covered_sequence: Some(10),
            ..added([3, 4])
        })
        .expect("first");
    let next = || Change {
        number: 2,
        epoch: 5,
        ..Change::default()
    };
    let with_file = |change: fn(&mut FileEntry)| {
        let mut entry = file(9);
        change(&mut entry);
        Change {
            removed: vec![3],
            added: vec![entry],
            ..next()
        }
    };
    for (change, reason) in [
        (
            Change {
                number: 3,
                ..next()
            },
            "manifest change 3 does not follow 1",
        ),
        (
            Change {
                number: 1,
                ..next()
            },
            "manifest change 1 does not follow 1",
        ),
        (
            Change { epoch: 4, ..next() },
            "manifest change 2 has epoch 4 after 5",
        ),
        (
            Change {
                covered_sequence: Some(9),
                ..next()
            },
            "manifest change 2 covers sequence 9 after 10",
        ),
        (
            Change {
                removed: vec![5],
                ..next()
            },
            "manifest change 2 removes file 5, which is not live",
        ),
        (
            with_file(|file| file.id = 3),
            "manifest change 2 adds file 3, which is live already",
        ),
        (
            with_file(|file| file.min_time = i64::MAX),
            "manifest change 2 adds file 9 with impossible bounds",
        ),
        (
            with_file(|file| file.last_sequence = 0),
            "manifest change 2 adds file 9 with impossible bounds",
        ),
        (
            with_file(|file| file.rows = 0),
            "manifest change 2 adds file 9 with impossible bounds",
        ),
        (
            Change {
                number: 2,
                epoch: 5,
                ..added([9, 9])
            },
            "manifest change 2 adds file 9, which is live already",
        ),
        (
            Change {
                removed: vec![3, 3],
                ..next()
            },
            "manifest change 2 removes file 3, which is not live",
        ),
        (
            Change {
                tombstones_removed: vec![8],
                ..next()
            },
            "manifest change 2 removes tombstone 8, which is not live",
        ),
        (
            Change {
                tombstones_added: vec![tombstone(8), tombstone(8)],
                ..next()
            },
            "manifest change 2 adds tombstone 8 behind a later one",
        ),
        (
            Change {
                tombstones_added: vec![TombstoneEntry {
                    min_time: 9,
                    ..tombstone(8)
                }],
                ..next()
            },
            "manifest change 2 adds tombstone 8 with impossible bounds",
        ),
    ] {
        let before = manifest.clone();
        let refusal = manifest.apply(&change).expect_err(reason);
        assert_eq!(
            (refusal.kind(), refusal.message()),
            (ErrorKind::Corrupt, reason)
        );
        assert_eq!(manifest, before);
    }
    manifest.apply(&next()).expect("an empty change");
    assert_eq!((manifest.number, manifest.next_file), (2, 5));
}

#[test]
fn a_checkpoint_and_later_changes_equal_all_changes() {
    let mut state = 11_u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut manifest = Manifest::default();
    let mut changes = Vec::new();
    let mut checkpoints = vec![v1::encode_checkpoint(&manifest).expect("encode")];
    for number in 1..=60 {
        let first = manifest.next_file + random(3);
        let change = Change {
            number,
            epoch: 1 + number / 20,
            nonce: random(1 << 30),
            removed: manifest
                .files
                .keys()
                .copied()
                .filter(|_| random(4) == 0)
                .collect(),
            covered_sequence: (random(2) == 0).then_some(number * 3),
            ..added(first..first + random(4))
        };
        let encoded = v1::encode_change(&change).expect("encode");
        assert_eq!(v1::decode_change(&encoded).expect("decode"), change);
        manifest.apply(&change).expect("apply");
        changes.push(change);
        checkpoints.push(v1::encode_checkpoint(&manifest).expect("encode"));
    }
    for (number, checkpoint) in checkpoints.iter().enumerate() {
        let mut caught_up = v1::decode_checkpoint(checkpoint).expect("decode");
        for change in &changes[number..] {
            caught_up.apply(change).expect("apply");
        }
        assert_eq!(caught_up, manifest, "from checkpoint {number}");
    }
}

#[test]
fn every_truncation_and_every_flipped_bit_is_corrupt() {
    let change = v1::encode_change(&added([1])).expect("encode");
    let mut manifest = Manifest::default();
    manifest
        .apply(&Change {
            number: 1,
            ..added([1])
        })
        .expect("apply");
    let checkpoint = v1::encode_checkpoint(&manifest).expect("encode");
    let check = |bytes: &[u8], what: &str| {
        for fault in [
            v1::decode_change(bytes).err(),
            v1::decode_checkpoint(bytes).err(),
        ] {
            assert_eq!(
                fault.map(|fault| fault.kind()),
                Some(ErrorKind::Corrupt),
                "{what}"
            );
        }
    };
    for sound in [&change, &checkpoint] {
        for length in 0..sound.len() {
            check(&sound[..length], &format!("{length} bytes"));
        }
        for bit in 0..sound.len() * 8 {
            let mut hit = sound.clone();
            hit[bit / 8] ^= 1 << (bit % 8);
            check(&hit, &format!("bit {bit}"));
        }
        check(&[sound.as_slice(), b" "].concat(), "longer");
    }
    // Each is refused where the other is expected.
    assert!(v1::decode_checkpoint(&change).is_err());
    assert!(v1::decode_change(&checkpoint).is_err());
}

#[tokio::test]
async fn a_manifest_is_found_again_with_and_without_checkpoints() {
    let store = Arc::new(FaultyStore::new());
    let shared: Store = Arc::clone(&store) as Store;
    let paths = Paths::new("node");
    let mut log = open(&store, 1).await;
    assert_eq!((log.manifest().number, log.manifest().epoch), (1, 1));
    let mut most = 0;
    for round in 1..=40_u64 {
        let mut change = added(round * 100..round * 100 + 20);
        change.covered_sequence = Some(round);
        if round > 2 {
            change.removed = vec![(round - 2) * 100];
        }
        log.commit(change).await.expect("commit");
        let changes = list_numbers(&shared, &paths.manifest_log())
            .await
            .expect("list");
        most = most.max(changes.len());
        if round % 7 == 0 {
            let before = log.manifest().clone();
            log = open(&store, round).await;
            assert_eq!(log.manifest().files, before.files);
            assert_eq!(log.manifest().next_file, before.next_file);
            assert_eq!(log.manifest().covered_sequence, round);
            assert_eq!(log.manifest().epoch, before.epoch + 1);
        }
    }
    let checkpoints = list_numbers(&shared, &paths.manifest_checkpoints()).await;
    assert_eq!(
        checkpoints.expect("list").len(),
        1,
        "older checkpoints are removed"
    );
    assert!(most < 40, "changes behind a checkpoint are removed");
}

#[tokio::test]
async fn who_opens_later_fences_who_opened_before() {
    let store = Arc::new(FaultyStore::new());
    let mut older = open(&store, 1).await;
    older.commit(added([1])).await.expect("commit");
    let mut newer = open(&store, 2).await;
    let before = older.manifest().clone();
    for _ in 0..2 {
        let refusal = older.commit(added([2])).await.expect_err("fenced");
        assert_eq!(refusal.kind(), ErrorKind::Conflict);
        assert_eq!(older.manifest(), &before);
    }
    newer.commit(added([3])).await.expect("commit");
    assert_eq!(ids(&newer), [1, 3]);
    assert_eq!(ids(&open(&store, 3).await), [1, 3]);
}

/// The change that fences is gone by the time the older process wakes up: its number is free again.
#[tokio::test]
async fn a_process_that_slept_through_a_checkpoint_stays_fenced() {
    let store = Arc::new(FaultyStore::new());
    let shared: Store = Arc::clone(&store) as Store;
    let paths = Paths::new("node");
    let mut older = open(&store, 1).await;
    older.commit(added([1])).await.expect("commit");
    let next = older.manifest().number + 1;
    let mut newer = open(&store, 2).await;
    let mut first = 1000;
    while list_numbers(&shared, &paths.manifest_log())
        .await
        .expect("list")
        .contains(&next)
    {
        newer
            .commit(added(first..first + 50))
            .await
            .expect("commit");
        first += 50;
    }
    let before = older.manifest().clone();
    for _ in 0..2 {
        let refusal = older.commit(added([2])).await.expect_err("fenced");
        assert_eq!(refusal.kind(), ErrorKind::Conflict);
    }
    assert_eq!(older.manifest(), &before);
    newer.commit(added([first])).await.expect("commit");
    let found = open(&store, 3).await;
    assert_eq!(found.manifest().files, newer.manifest().files);
    assert!(!found.manifest().files.contains_key(&2));
}

#[tokio::test]
async fn refused_puts_and_lost_answers_lose_no_change_and_double_none() {
    for refused in 0..4 {
        for lost in 0..3 {
            let store = Arc::new(FaultyStore::new());
            let mut log = open(&store, 1).await;
            log.commit(added([1])).await.expect("commit");
            store.refuse_next_puts(refused);
            store.lose_next_answers(lost);
            let outcome = log.commit(added([2])).await;
            store.refuse_next_puts(0);
            store.lose_next_answers(0);
            if let Err(fault) = &outcome {
                assert_eq!(fault.kind(), ErrorKind::Unavailable);
                assert_eq!(ids(&log), [1]);
            }
            let case = format!("refused {refused}, lost {lost}: {outcome:?}");
            log.commit(added([3])).await.expect(&case);
            log.commit(added([4])).await.expect(&case);
            let known = ids(&log);
            assert_eq!(
                known.contains(&2),
                outcome.is_ok() || known.len() == 4,
                "{case}"
            );
            for id in [1, 3, 4] {
                assert!(known.contains(&id), "{case}");
            }
            assert_eq!(ids(&open(&store, 2).await), known, "{case}");
        }
    }
}

/// The create is stored and every answer is lost: the change happened although the commit failed.
#[tokio::test]
async fn a_change_that_happened_after_all_is_found_by_the_next_commit() {
    let store = Arc::new(FaultyStore::new());
    let mut log = open(&store, 1).await;
    for first in [10, 20] {
        // The first put is refused, the second one stored without an answer.
        store.refuse_next_puts(1);
        store.lose_next_answers(1);
        let fault = log.commit(added([first])).await.expect_err("no answer");
        assert_eq!(fault.kind(), ErrorKind::Unavailable);
        assert!(!log.manifest().files.contains_key(&first));
        log.commit(added([first + 1])).await.expect("commit");
    }
    assert_eq!(ids(&log), [10, 11, 20, 21]);
    assert_eq!(ids(&open(&store, 2).await), [10, 11, 20, 21]);
}

#[tokio::test]
async fn a_damaged_manifest_is_named_and_never_guessed_at() {
    let store = Arc::new(FaultyStore::new());
    let shared: Store = Arc::clone(&store) as Store;
    let mut log = open(&store, 1).await;
    log.commit(added([1])).await.expect("commit");
    log.commit(added([2])).await.expect("commit");
    let path = Paths::new("node").manifest_change(2);
    let bytes = cas::read(&shared, &path)
        .await
        .expect("read")
        .expect("object");
    for damaged in [&bytes[..bytes.len() - 1], b""] {
        let payload = PutPayload::from(damaged.to_vec());
        store.put(&path, payload).await.expect("put");
        let fault = ManifestLog::open(Paths::new("node"), world(&store, 2))
            .await
            .expect_err("damaged");
        assert_eq!(fault.kind(), ErrorKind::Corrupt);
        assert_eq!(
            fault.message(),
            "manifest object node/snapshots/00000000000000000002.manifest is damaged"
        );
    }
    store.delete(&path).await.expect("delete");
    let fault = ManifestLog::open(Paths::new("node"), world(&store, 2))
        .await
        .expect_err("a gap");
    assert_eq!(fault.kind(), ErrorKind::Corrupt);
}

/// The example of docs/formats/manifest.md: these bytes never change.
#[test]
fn the_bytes_are_those_of_the_format_page() {
    let change = Change {
        number: 2,
        epoch: 1,
        nonce: 5,
        added: vec![FileEntry {
            id: 1 << 32,
            min_time: -5,
            max_time: 7,
            rows: 3,
            bytes: 900,
            first_sequence: 1,
            last_sequence: 6,
            crc32: 9,
            footer_bytes: 0,
            footer_crc32: 0,
            created_ms: 0,
            ..file(0)
        }],
        covered_sequence: Some(7),
        ..Change::default()
    };
    let json = concat!(
        r#"{"number":2,"epoch":1,"nonce":5,"added":[{"id":4294967296,"database":1,"table":2,"min_time":-5,"max_time":7,"#,
        r#""rows":3,"series":1,"bytes":900,"first_sequence":1,"last_sequence":6,"crc32":9}],"covered_sequence":7}"#,
    );
    let envelope = b"GNOMMAN1\xd2\0\0\0\x57\x02\x94\x2e";
    let expected = [envelope.as_slice(), json.as_bytes()].concat();
    assert_eq!(v1::encode_change(&change).expect("encode"), expected);
    assert_eq!(v1::decode_change(&expected).expect("decode"), change);
}

#[test]
fn deletes_are_kept_in_changes_and_checkpoints() {
    let change = Change {
        number: 1,
        epoch: 1,
        added: vec![file(3)],
        tombstones_added: vec![
            tombstone(5),
            TombstoneEntry {
                scope: TombstoneScope::AllSeries,
                ..tombstone(6)
            },
        ],
        ..Change::default()
    };
    let encoded = v1::encode_change(&change).expect("encode");
    assert_eq!(v1::decode_change(&encoded).expect("decode"), change);
    let mut manifest = Manifest::default();
    manifest.apply(&change).expect("apply");
    assert_eq!(manifest.next_file, 7);
    let encoded = v1::encode_checkpoint(&manifest).expect("encode");
    assert_eq!(v1::decode_checkpoint(&encoded).expect("decode"), manifest);
    let removal = Change {
        number: 2,
        epoch: 1,
        tombstones_removed: vec![5],
        ..Change::default()
    };
    manifest.apply(&removal).expect("apply");
    assert_eq!(manifest.tombstones.len(), 1);
}
