//! Round trips of every kind of column, and what damage does: an error or a missing frame, never a panic or a wrong row.

use super::*;
use crate::series::encode_series_key;
use crate::wal::replay::{Damage, read_segment};

/// Series with one tag each, numbered in this order.
fn series_table(tags: &[&str]) -> SeriesTable {
    let mut table = SeriesTable::default();
    let mut key = Vec::new();
    for tag in tags {
        encode_series_key([Some(*tag)].into_iter(), &mut key);
        table.intern(&key).expect("a key");
    }
    table
}

fn batch(series: &[u32], times: &[i64], columns: Vec<(u16, ArrayRef)>) -> Batch {
    Batch {
        database: DatabaseId(u32::MAX),
        table: TableId(7),
        series: series.to_vec().into(),
        times: times.to_vec().into(),
        columns: columns
            .into_iter()
            .map(|(id, values)| (ColumnId(id), values))
            .collect(),
    }
}

/// A segment of these payloads under sequences 1, 2 and so on.
fn segment(payloads: &[Payload]) -> Vec<u8> {
    let header = SegmentHeader {
        epoch: 3,
        number: 9,
    };
    let mut bytes = encode_segment_header(header).to_vec();
    for (payload, sequence) in payloads.iter().zip(1..) {
        payload.write_frame(sequence, &mut bytes);
    }
    bytes
}

/// The writes in a segment and what is damaged in it.
fn read(bytes: &[u8]) -> (Vec<(u64, Vec<DecodedBatch>)>, Vec<Damage>) {
    let mut writes = Vec::new();
    let read = read_segment(bytes, 0, |sequence, batches| {
        writes.push((sequence, batches));
        Ok(())
    });
    (writes, read.expect("nothing refuses").damage)
}

fn check_round_trip(batches: &[Batch], series: &SeriesTable) {
    let parts: Vec<_> = batches.iter().map(|batch| (batch, series)).collect();
    for compress in [false, true] {
        let payload = Payload::encode(&parts, compress).expect("encode");
        let (writes, damage) = read(&segment(&[payload]));
        assert!(damage.is_empty(), "{damage:?}");
        let [(1, decoded)] = writes.as_slice() else {
            panic!("not one write: {writes:?}");
        };
        assert_eq!(decoded.len(), batches.len());
        for (decoded, batch) in decoded.iter().zip(batches) {
            assert_eq!(decoded.database, batch.database);
            assert_eq!(decoded.table, batch.table);
            assert_eq!(decoded.times, batch.times.to_vec());
            for (at, number) in decoded.series.iter().zip(&batch.series) {
                let key = &decoded.series_keys[*at as usize];
                assert_eq!(key.as_slice(), series.key(*number).as_ref());
            }
            assert_eq!(decoded.columns.len(), batch.columns.len());
            for ((id, values), (expected_id, expected)) in
                decoded.columns.iter().zip(&batch.columns)
            {
                assert_eq!(id, expected_id);
                assert_same(values, expected);
            }
        }
    }
}

/// Equal to the last bit, which for floats is more than `==`.
fn assert_same(values: &ArrayRef, expected: &ArrayRef) {
    assert_eq!(values.data_type(), expected.data_type());
    assert_eq!(values.len(), expected.len());
    let (Some(values), Some(expected)) = (
        values.as_primitive_opt::<Float64Type>(),
        expected.as_primitive_opt::<Float64Type>(),
    ) else {
        assert_eq!(values, expected);
        return;
    };
    let bits = |floats: &Float64Array| -> Vec<Option<u64>> {
        floats.iter().map(|float| float.map(f64::to_bits)).collect()
    };
    assert_eq!(bits(values), bits(expected));
}

#[test]
fn every_type_round_trips_with_and_without_nulls() {
    let floats = [
        0.0,
        -0.0,
        f64::from_bits(0x7ff8_0000_0000_0001),
        f64::from_bits(0xfff0_0000_0000_0003),
        f64::INFINITY,
        f64::MIN,
        f64::MAX,
        5e-324,
        1.5,
    ];
    let integers = [i64::MIN, i64::MAX, 0, -1, 1, 255, 256, -65_536, 7];
    let unsigned = [0, u64::MAX, 1 << 63, (1 << 63) - 1, 1, 2, 3, 4, 5];
    let long = "x".repeat(300);
    let strings = ["", "a", "ü\n\0", "\"\\", &long, "", "b", "c", "d"];
    let booleans = [true, false, true, true, false, false, true, false, true];
    let rows = floats.len();
    let series: Vec<u32> = (0..rows as u32).map(|row| row % 3).collect();
    let times: Vec<i64> = integers.to_vec();
    let table = series_table(&["a", "", "ö\0"]);
    // Bit `row` of a pattern says whether the row is null: none, all, the ends, every other.
    for pattern in [0_u16, 0x1ff, 0x101, 0x0aa] {
        let valid = |row: &usize| pattern & (1 << row) == 0;
        let keep = |row: usize| valid(&row).then_some(row);
        let columns: Vec<(u16, ArrayRef)> = vec![
            (
                0,
                Arc::new(Float64Array::from_iter(
                    (0..rows).map(|row| keep(row).map(|row| floats[row])),
                )),
            ),
            (
                2,
                Arc::new(Int64Array::from_iter(
                    (0..rows).map(|row| keep(row).map(|row| integers[row])),
                )),
            ),
            (
                3,
                Arc::new(UInt64Array::from_iter(
                    (0..rows).map(|row| keep(row).map(|row| unsigned[row])),
                )),
            ),
            (
                300,
                Arc::new(StringArray::from_iter(
                    (0..rows).map(|row| keep(row).map(|row| strings[row])),
                )),
            ),
            (
                u16::MAX,
                Arc::new(BooleanArray::from_iter(
                    (0..rows).map(|row| keep(row).map(|row| booleans[row])),
                )),
            ),
        ];
        check_round_trip(&[batch(&series, &times, columns)], &table);
    }
}

#[test]
fn integers_round_trip_at_every_width() {
    let table = series_table(&["a"]);
    for range in [
        0,
        1,
        0xff,
        0x100,
        0xffff,
        0x1_0000,
        0xffff_ffff,
        0x1_0000_0000,
        u64::MAX,
    ] {
        for lowest in [i64::MIN, -1, 0] {
            let highest = lowest.wrapping_add(range as i64);
            let Some(values) = (highest >= lowest).then(|| vec![lowest, highest, lowest]) else {
                continue;
            };
            let column: ArrayRef = Arc::new(Int64Array::from(values.clone()));
            check_round_trip(&[batch(&[0; 3], &values, vec![(1, column)])], &table);
        }
    }
}

#[test]
fn rows_without_fields_and_writes_of_many_tables_round_trip() {
    let tags: Vec<String> = (0..300).map(|number| format!("host {number}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let table = series_table(&tags);
    check_round_trip(&[batch(&[5], &[-1], Vec::new())], &table);
    let many: Vec<Batch> = (0..300)
        .map(|number| {
            let column: ArrayRef = Arc::new(Int64Array::from(vec![i64::from(number), 4]));
            Batch {
                table: TableId(number),
                ..batch(&[number, 299 - number], &[1, 2], vec![(1, column)])
            }
        })
        .collect();
    check_round_trip(&many, &table);
}

/// Three small writes with a bit of everything, and where each frame begins.
fn small_segment(compress: bool) -> (Vec<u8>, Vec<usize>) {
    let table = series_table(&["a", "b"]);
    let payloads: Vec<Payload> = (0..3_i64)
        .map(|write| {
            let columns: Vec<(u16, ArrayRef)> = vec![
                (
                    1,
                    Arc::new(Float64Array::from(vec![Some(write as f64), None])),
                ),
                (
                    2,
                    Arc::new(Int64Array::from(vec![write * 1000, write + 70])),
                ),
                (
                    3,
                    Arc::new(StringArray::from(vec![None, Some("some text")])),
                ),
                (4, Arc::new(BooleanArray::from(vec![true, false]))),
            ];
            let batch = batch(&[0, 1], &[write, write * 3000], columns);
            Payload::encode(&[(&batch, &table)], compress).expect("encode")
        })
        .collect();
    let mut starts = vec![SEGMENT_HEADER_BYTES];
    for payload in &payloads {
        starts.push(starts[starts.len() - 1] + payload.frame_bytes());
    }
    (segment(&payloads), starts)
}

fn writes(bytes: &[u8]) -> Vec<String> {
    let (writes, _) = read(bytes);
    writes.iter().map(|write| format!("{write:?}")).collect()
}

#[test]
fn every_truncation_keeps_the_whole_frames_before_it() {
    for compress in [false, true] {
        let (bytes, starts) = small_segment(compress);
        let all = writes(&bytes);
        assert_eq!(all.len(), 3);
        for length in 0..=bytes.len() {
            let cut = &bytes[..length];
            let whole = starts[1..].iter().filter(|end| **end <= length).count();
            assert_eq!(writes(cut), all[..whole], "{length} bytes");
            let (_, damage) = read(cut);
            if starts.contains(&length) {
                assert!(damage.is_empty(), "{length} bytes: {damage:?}");
                continue;
            }
            let [damage] = damage.as_slice() else {
                panic!("{length} bytes: {damage:?}");
            };
            let offset = if length < SEGMENT_HEADER_BYTES {
                0
            } else {
                starts[whole]
            };
            assert_eq!((damage.offset, damage.ends_segment), (offset, true));
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed_and_costs_what_it_hit() {
    for compress in [false, true] {
        let (bytes, starts) = small_segment(compress);
        let all = writes(&bytes);
        for bit in 0..bytes.len() * 8 {
            let mut hit = bytes.clone();
            let at = bit / 8;
            hit[at] ^= 1 << (bit % 8);
            let (_, damage) = read(&hit);
            let [damage] = damage.as_slice() else {
                panic!("bit {bit}: {damage:?}");
            };
            if at < SEGMENT_HEADER_BYTES {
                assert_eq!((damage.offset, damage.ends_segment), (0, true));
                assert!(writes(&hit).is_empty());
                continue;
            }
            let frame = starts.iter().filter(|start| **start <= at).count() - 1;
            let in_header = at < starts[frame] + FRAME_HEADER_BYTES;
            assert_eq!(
                (damage.offset, damage.ends_segment),
                (starts[frame], in_header)
            );
            let mut kept = all.clone();
            if in_header {
                kept.truncate(frame);
            } else {
                kept.remove(frame);
            }
            assert_eq!(writes(&hit), kept, "bit {bit}");
        }
    }
}

/// Bytes that are wrong although every checksum is right: from a bug, or from malice.
#[test]
fn a_payload_of_nonsense_never_panics() {
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for compress in [false, true] {
        let (bytes, starts) = small_segment(compress);
        let sound = &bytes[starts[0] + FRAME_HEADER_BYTES..starts[1]];
        for _ in 0..20_000 {
            let mut payload = sound.to_vec();
            for _ in 0..=random(3) {
                let at = random(payload.len());
                payload[at] = random(256) as u8;
            }
            payload.truncate(payload.len() - random(3));
            let frame = Frame {
                sequence: 1,
                codec: u8::from(compress) + u8::from(random(50) == 0),
                bytes: 0,
                payload: &payload,
                payload_is_sound: true,
            };
            // Either way is fine, as long as it comes back and the columns are as long as the rows.
            for batch in frame.decode().into_iter().flatten() {
                assert_eq!(batch.times.len(), batch.series.len());
                for (_, values) in &batch.columns {
                    assert_eq!(values.len(), batch.times.len());
                }
            }
        }
    }
}

/// The example of docs/formats/wal.md: these bytes never change.
#[test]
fn the_bytes_are_those_of_the_format_page() {
    let columns: Vec<(u16, ArrayRef)> = vec![
        (1, Arc::new(Float64Array::from(vec![Some(1.5), None]))),
        (2, Arc::new(StringArray::from(vec!["x", "yz"]))),
    ];
    let batch = Batch {
        database: DatabaseId(1),
        table: TableId(2),
        ..batch(&[0, 0], &[10, 11], columns)
    };
    let payload = Payload::encode(&[(&batch, &series_table(&["a"]))], false).expect("encode");
    let header = SegmentHeader {
        epoch: 1,
        number: 1,
    };
    let mut bytes = encode_segment_header(header).to_vec();
    payload.write_frame(1, &mut bytes);
    let found: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = concat!(
        "474e4f4d57414c3101000000000000000100000000000000daee2ac2",
        "3c000000b966388f0100000000000000000000005f8cb3b2",
        "010102020104026100010000000000000000000a00000000000000010001",
        "0201010101000000000000f83f020400010000000000000001000178797a",
    );
    assert_eq!(found, expected);
}
