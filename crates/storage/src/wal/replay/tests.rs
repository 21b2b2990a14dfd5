//! Replaying folders of segments: order, what is covered, damage.

use std::fs;
use std::sync::Arc;

use arrow::array::Int64Array;
use catalog::{ColumnId, DatabaseId, TableId};
use runtime::object_store::{ObjectStoreExt, in_memory};

use super::super::format::v1::{FRAME_HEADER_BYTES, Payload, SegmentHeader, encode_segment_header};
use super::*;
use crate::ErrorKind;
use crate::batch::Batch;
use crate::series::SeriesTable;

/// A segment with one row per sequence, whose time is the sequence.
fn segment(sequences: &[u64]) -> Vec<u8> {
    let mut series = SeriesTable::default();
    series.intern(&[]).expect("a key");
    let header = SegmentHeader {
        epoch: 1,
        number: 1,
    };
    let mut bytes = encode_segment_header(header).to_vec();
    for sequence in sequences {
        let batch = Batch {
            database: DatabaseId(1),
            table: TableId(1),
            series: vec![0].into(),
            times: vec![*sequence as i64].into(),
            columns: vec![(ColumnId(1), Arc::new(Int64Array::from(vec![1])))],
        };
        let payload = Payload::encode(&[(&batch, &series)], false).expect("encode");
        payload.write_frame(*sequence, &mut bytes);
    }
    bytes
}

fn rules(covered: u64) -> Rules {
    let bundling = Bundling {
        cuts: Arc::from([]),
        bytes_max: 1 << 20,
    };
    Rules { covered, bundling }
}

/// Replays with two segments read ahead; gives the sequences met, which are the times of their rows, too.
async fn replayed(
    source: Source,
    covered: u64,
    fail_on_damage: bool,
) -> Result<(Sealed, u64, Vec<u64>), Error> {
    let settings = LogSettings {
        fail_on_damage,
        read_ahead: 2,
        ..LogSettings::default()
    };
    let mut replay = Replay::new(source, 1, rules(covered), settings);
    let mut met = Vec::new();
    let mut apply = async |bundle: Bundle| {
        let rows = &bundle.tables[0].segment;
        let sequences = rows.batch.times.iter().map(|time| *time as u64);
        let first = met.len();
        met.extend(sequences);
        let ends = (bundle.first_sequence, bundle.last_sequence);
        assert_eq!((met[first], met[met.len() - 1]), ends);
        Ok(())
    };
    replay.all(&Tasks::new(), &mut apply).await?;
    Ok((replay.sealed, replay.highest_sequence, met))
}

fn folder_source(folder: &tempfile::TempDir) -> Source {
    Source::Folder(folder.path().into())
}

#[tokio::test]
async fn segments_are_read_by_number_and_only_above_what_is_covered() {
    let folder = tempfile::tempdir().expect("folder");
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("write");
    put("00000000010.wal", &segment(&[5, 6]));
    put("00000000009.wal", &segment(&[1, 2, 4]));
    put("00000000011.wal", &segment(&[]));
    put("00000000001.wal.damaged", b"not read");
    put("lock", b"");
    put("x.wal", b"not read");
    let (sealed, highest, met) = replayed(folder_source(&folder), 2, true)
        .await
        .expect("replay");
    assert_eq!((highest, met), (6, vec![4, 5, 6]));
    let lasts: Vec<_> = sealed
        .segments
        .iter()
        .map(|(number, segment)| (*number, segment.last_sequence, segment.damaged))
        .collect();
    assert_eq!(lasts, [(9, 4, false), (10, 6, false), (11, 0, false)]);

    let empty = tempfile::tempdir().expect("folder");
    let (_, highest, met) = replayed(folder_source(&empty), 17, true)
        .await
        .expect("replay");
    assert_eq!((highest, met), (17, Vec::new()));
}

#[tokio::test]
async fn damage_costs_what_it_hit_and_is_told_apart() {
    let store = in_memory();
    let paths = Paths::new("node");
    let sound = segment(&[1, 2, 3]);
    let frame = (sound.len() - SEGMENT_HEADER_BYTES) / 3;
    let mut in_payload = sound.clone();
    in_payload[SEGMENT_HEADER_BYTES + frame + FRAME_HEADER_BYTES] ^= 1;
    let torn = segment(&[4, 5]);
    let torn = &torn[..torn.len() - 1];
    for (number, bytes) in [
        (1, in_payload.as_slice()),
        (2, torn),
        (3, b""),
        (4, &segment(&[5])),
    ] {
        let path = paths.wal_segment(number);
        store.put(&path, bytes.to_vec().into()).await.expect("put");
    }
    let source = Source::Objects(store, paths);
    let (sealed, highest, met) = replayed(source.clone(), 0, false).await.expect("replay");
    assert_eq!((highest, met), (5, vec![1, 3, 4, 5]));
    let damaged: Vec<bool> = sealed.segments.values().map(|s| s.damaged).collect();
    assert_eq!(damaged, [true, true, true, false]);

    let refusal = replayed(source, 0, true).await.expect_err("damage");
    assert_eq!(refusal.kind(), ErrorKind::Corrupt);
    let offset = SEGMENT_HEADER_BYTES + frame;
    assert_eq!(
        refusal.message(),
        format!(
            "log segment node/wal/00000000001.wal is damaged at offset {offset}: checksum of the frame does not match"
        )
    );
    // What files cover already is not even decoded: its damage is past.
    let read = read_segment(&in_payload, 2, |_, _| Ok(())).expect("nothing refuses");
    assert!(read.damage.is_empty());
}

#[tokio::test]
async fn a_refusal_of_a_write_stops_the_replay() {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("00000000001.wal"), segment(&[1, 2])).expect("write");
    let settings = LogSettings::default();
    let mut replay = Replay::new(folder_source(&folder), 1, rules(0), settings);
    let mut refuse = async |_| Err(Error::unavailable("no room"));
    let outcome = replay.all(&Tasks::new(), &mut refuse).await;
    assert_eq!(outcome.expect_err("refused").kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_write_that_comes_again_later_is_left_out() {
    let folder = tempfile::tempdir().expect("folder");
    for (name, sequences) in [
        ("00000000001.wal", &[1, 2][..]),
        ("00000000002.wal", &[3, 3, 4]),
        ("00000000003.wal", &[1, 2]),
        ("00000000004.wal", &[5]),
        ("00000000005.wal", &[5, 6]),
    ] {
        fs::write(folder.path().join(name), segment(sequences)).expect("write");
    }
    let source = folder_source(&folder);
    let (sealed, highest, met) = replayed(source.clone(), 0, false).await.expect("replay");
    assert_eq!((highest, met), (6, vec![1, 2, 3, 4, 5, 6]));
    let damaged: Vec<bool> = sealed.segments.values().map(|s| s.damaged).collect();
    assert_eq!(damaged, [false, true, true, false, true]);
    let refusal = replayed(source, 0, true).await.expect_err("again");
    assert_eq!(refusal.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_segment_of_a_newer_process_stops_the_replay_and_marks_are_not_read() {
    let store = in_memory();
    let paths = Paths::new("node");
    let mark = |epoch, number| encode_segment_header(SegmentHeader { epoch, number }).to_vec();
    for (number, bytes) in [
        (1, mark(1, 1)),
        (2, segment(&[3])),
        // As long as a mark, so taken for one wherever it is not the newest.
        (3, vec![0; SEGMENT_HEADER_BYTES]),
        (4, segment(&[4])),
        (5, mark(1, 5)),
    ] {
        let path = paths.wal_segment(number);
        store.put(&path, bytes.into()).await.expect("put");
    }
    let source = Source::Objects(Store::clone(&store), paths.clone());
    let (sealed, highest, met) = replayed(source.clone(), 0, true).await.expect("replay");
    assert_eq!((highest, met), (4, vec![3, 4]));
    let lasts: Vec<u64> = sealed.segments.values().map(|s| s.last_sequence).collect();
    assert_eq!(lasts, [0, 3, 0, 4, 0]);

    let newest = paths.wal_segment(6);
    store.put(&newest, mark(2, 6).into()).await.expect("put");
    let refusal = replayed(source, 0, true).await.expect_err("taken over");
    assert_eq!(refusal.kind(), ErrorKind::Conflict);
}
