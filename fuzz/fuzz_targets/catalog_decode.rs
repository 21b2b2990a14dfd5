//! Any bytes are a record or checkpoint of the catalog or an error, never a panic; and what was decoded is what would
//! be written.
//!
//! Bytes are read as they are, and once more with length and checksum put right. Without that, no changed input would
//! get past the checksum.
//! Not here: applying records, which sits above the format.

#![no_main]

use catalog::format::{decode_checkpoint, decode_log, encode_checkpoint, encode_log};
use libfuzzer_sys::fuzz_target;

const VERSION: u32 = 1;
const LOG_MAGIC: &[u8; 8] = b"GNOMCLOG";
const CHECKPOINT_MAGIC: &[u8; 8] = b"GNOMCCHK";
/// Magic, version, checksum, length.
const HEADER_BYTES: usize = 8 + 4 + 4 + 8;

fuzz_target!(|bytes: &[u8]| {
    check_log(bytes);
    check_checkpoint(bytes);
    if let Some((header, payload)) = bytes.split_at_checked(HEADER_BYTES) {
        if header.starts_with(LOG_MAGIC) {
            check_log(&object(LOG_MAGIC, payload));
        } else {
            check_checkpoint(&object(CHECKPOINT_MAGIC, payload));
        }
    }
});

/// An object around `payload` whose checksum holds: docs/formats/catalog.md.
fn object(magic: &[u8; 8], payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let checksum = crc32fast::hash(&[&length[..], payload].concat());
    let (version, checksum) = (VERSION.to_le_bytes(), checksum.to_le_bytes());
    [&magic[..], &version, &checksum, &length, payload].concat()
}

fn check_log(bytes: &[u8]) {
    if let Ok(record) = decode_log(bytes) {
        let written = encode_log(&record).expect("a decoded record can be written");
        assert_eq!(decode_log(&written).as_ref().ok(), Some(&record));
    }
}

fn check_checkpoint(bytes: &[u8]) {
    if let Ok(snapshot) = decode_checkpoint(bytes) {
        let written = encode_checkpoint(&snapshot).expect("a decoded snapshot can be written");
        let again = decode_checkpoint(&written).expect("a written snapshot can be decoded");
        let written_again = encode_checkpoint(&again).expect("a decoded snapshot can be written");
        assert_eq!(written_again, written);
    }
}
