//! Any bytes are frames of the write-ahead log or an error, never a panic; and what was decoded can be written again.
//!
//! The first byte chooses how deep the rest goes: as a segment as it is, or as the payload of a frame whose checksums
//! hold, plain, compressed as it is, or compressed by us. Without that, no input would get past the checksums.
//! Not here: files and replay, which sit above the format.

#![no_main]

use libfuzzer_sys::fuzz_target;
use storage::batch::Batch;
use storage::series::{SeriesTable, decode_series_key, encode_series_key};
use storage::wal::format::v1::{
    DecodedBatch, Payload, SEGMENT_HEADER_BYTES, decode_segment_header, encode_segment_header,
    next_frame,
};

const CODEC_PLAIN: u8 = 0;
const CODEC_ZSTD: u8 = 1;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    match choice % 4 {
        0 => check_segment(rest),
        1 => check_frames(&frame(rest, CODEC_PLAIN)),
        2 => check_frames(&frame(rest, CODEC_ZSTD)),
        _ => {
            let compressed = zstd::bulk::compress(rest, 1).expect("any bytes can be compressed");
            check_frames(&frame(&compressed, CODEC_ZSTD));
        }
    }
});

/// A frame around `payload` whose checksums hold: docs/formats/wal.md.
fn frame(payload: &[u8], codec: u8) -> Vec<u8> {
    let sequence = 7_u64;
    let length = u32::try_from(payload.len()).expect("inputs are small");
    let mut frame = Vec::new();
    frame.extend(length.to_le_bytes());
    frame.extend(crc32fast::hash(payload).to_le_bytes());
    frame.extend(sequence.to_le_bytes());
    frame.extend([codec, 0, 0, 0]);
    frame.extend(crc32fast::hash(&frame).to_le_bytes());
    frame.extend(payload);
    frame
}

fn check_segment(bytes: &[u8]) {
    if let Ok(header) = decode_segment_header(bytes) {
        assert_eq!(encode_segment_header(header), bytes[..SEGMENT_HEADER_BYTES]);
        check_frames(&bytes[SEGMENT_HEADER_BYTES..]);
    }
    check_frames(bytes);
}

fn check_frames(mut bytes: &[u8]) {
    while let Ok(Some(frame)) = next_frame(bytes) {
        if let Ok(batches) = frame.decode() {
            for batch in &batches {
                check_batch(batch);
            }
            check_written_again(&batches);
        }
        // A frame lies within the bytes, and each is a step forward.
        assert!(frame.bytes > 0);
        bytes = &bytes[frame.bytes..];
    }
}

fn check_batch(batch: &DecodedBatch) {
    let rows = batch.times.len();
    assert_eq!(batch.series.len(), rows);
    let keys = batch.series_keys.len();
    assert!(batch.series.iter().all(|index| (*index as usize) < keys));
    assert!(batch.columns.is_sorted_by(|(id, _), (next, _)| id < next));
    for (_, values) in &batch.columns {
        assert_eq!(values.len(), rows);
        values
            .to_data()
            .validate_full()
            .expect("the array is sound");
    }
    let mut encoded = Vec::new();
    for key in &batch.series_keys {
        if let Some(values) = decode_series_key(key) {
            encode_series_key(values.iter().map(Option::as_deref), &mut encoded);
            assert_eq!(encoded, *key, "a series has one key");
        }
    }
    for pair in batch.series_keys.windows(2) {
        if let (Some(left), Some(right)) =
            (decode_series_key(&pair[0]), decode_series_key(&pair[1]))
        {
            assert_eq!(
                pair[0].cmp(&pair[1]),
                left.cmp(&right),
                "keys sort as their values do"
            );
        }
    }
}

/// More rows than this would only make the fuzzer slow.
const ROWS_WRITTEN_AGAIN_MAX: usize = 10_000;

/// Writing what was decoded, decoding that and writing it again must give the same bytes.
fn check_written_again(decoded: &[DecodedBatch]) {
    let rows: usize = decoded.iter().map(|batch| batch.times.len()).sum();
    if rows > ROWS_WRITTEN_AGAIN_MAX {
        return;
    }
    let Some(once) = write(decoded) else {
        return;
    };
    let frame = next_frame(&once)
        .expect("a written frame is sound")
        .expect("a written frame is there");
    let again = frame.decode().expect("a written frame can be decoded");
    assert_eq!(again.len(), decoded.len());
    for (again, decoded) in again.iter().zip(decoded) {
        check_batch(again);
        let key = |batch: &DecodedBatch, row: usize| {
            batch.series_keys[batch.series[row] as usize].clone()
        };
        for row in 0..decoded.times.len() {
            assert_eq!(key(again, row), key(decoded, row));
        }
        assert_eq!(again.times, decoded.times);
        assert_eq!(
            (again.database, again.table, again.columns.len()),
            (decoded.database, decoded.table, decoded.columns.len())
        );
    }
    assert_eq!(write(&again).as_deref(), Some(&once[..]));
}

/// The batches as a frame; `None` if a series key in them is none.
fn write(decoded: &[DecodedBatch]) -> Option<Vec<u8>> {
    let mut batches = Vec::new();
    for batch in decoded {
        let mut series = SeriesTable::default();
        let numbers = batch
            .series_keys
            .iter()
            .map(|key| series.intern(key))
            .collect::<Option<Vec<u32>>>()?;
        let rows = batch.series.iter().map(|index| numbers[*index as usize]);
        let batch = Batch {
            database: batch.database,
            table: batch.table,
            series: rows.collect::<Vec<u32>>().into(),
            times: batch.times.clone().into(),
            columns: batch.columns.clone(),
        };
        batches.push((batch, series));
    }
    let batches: Vec<(&Batch, &SeriesTable)> = batches
        .iter()
        .map(|(batch, series)| (batch, series))
        .collect();
    let payload = Payload::encode(&batches, false).expect("decoded batches can be encoded");
    let mut frame = Vec::new();
    payload.write_frame(7, &mut frame);
    Some(frame)
}
