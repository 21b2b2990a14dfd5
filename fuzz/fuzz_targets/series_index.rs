//! Any bytes are a series index or an error, never a panic; and what was decoded can be written again.
//!
//! The first byte chooses whether the rest is taken as it is or compressed first: without that, hardly an input would be a frame.
//! Not here: the rest of a data file, which the Parquet library reads.

#![no_main]

use libfuzzer_sys::fuzz_target;
use storage::file::index::{SeriesIndex, SeriesRows, encode};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    if choice % 2 == 0 {
        check(rest);
    } else {
        check(&zstd::bulk::compress(rest, 1).expect("any bytes can be compressed"));
    }
});

fn check(packed: &[u8]) {
    let Some((series, times)) = decode(packed) else {
        return;
    };
    assert!(series.is_sorted_by(|(key, _), (next, _)| key < next));
    assert!(series.iter().all(|(_, of_key)| of_key.rows > 0));
    let entries = series.iter().map(|(key, of_key)| (key.as_slice(), *of_key));
    let again = encode(entries).expect("what was decoded can be encoded");
    let (again, again_times) = decode(&again).expect("what was encoded can be decoded");
    assert_eq!(again.len(), series.len());
    for ((key, of_key), (again_key, again_of_key)) in series.iter().zip(&again) {
        assert_eq!((key, of_key.rows), (again_key, again_of_key.rows));
        // Whether times are worth their bytes is the writer's choice.
        if times && again_times {
            assert_eq!(of_key, again_of_key);
        }
    }
}

/// All series, and whether their times are known; `None` when the bytes are no index.
fn decode(packed: &[u8]) -> Option<(Vec<(Vec<u8>, SeriesRows)>, bool)> {
    let mut index = SeriesIndex::decode(packed).ok()?;
    let times = index.has_times();
    let mut series = Vec::new();
    while let Some((key, of_key)) = index.next_series().ok()? {
        series.push((key.to_vec(), of_key));
    }
    Some((series, times))
}
