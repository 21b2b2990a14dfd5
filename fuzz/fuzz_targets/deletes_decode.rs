//! Any bytes are a list of deletes or an error, never a panic; and what was decoded gives the same list when it is written again.
//!
//! The first byte chooses whether the rest is taken as it is or compressed behind the list's first bytes: without that, hardly an input
//! would be a frame. Not here: what a list takes from a scan.

#![no_main]

use libfuzzer_sys::fuzz_target;
use storage::delete::format::v1::{MAGIC, decode, encode};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else {
        return;
    };
    if choice % 2 == 0 {
        check(rest);
    } else {
        let packed = zstd::bulk::compress(rest, 1).expect("any bytes can be compressed");
        check(&[MAGIC.as_slice(), &packed].concat());
    }
});

fn check(packed: &[u8]) {
    let Ok(series) = decode(packed) else {
        return;
    };
    assert!(series.is_sorted_by(|one, next| one.key < next.key));
    for one in &series {
        assert!(one.spans.iter().all(|span| span.first <= span.last));
        assert!(one.spans.is_sorted_by(|span, next| span.last < next.first));
    }
    let again = encode(&series).expect("what was decoded can be encoded");
    assert_eq!(decode(&again).expect("what was encoded can be decoded"), series);
}
