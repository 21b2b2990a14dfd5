//! How much compaction may take, and what it aims at.

use std::time::Duration;

/// Shortest quiet after which a window is merged whole.
const QUIET_LEAST: Duration = Duration::from_secs(1);

/// Settings of compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of neighbouring windows up to which they are put together.
    pub join_bytes: u64,
    /// Bytes of a window above which it is taken apart again.
    pub split_bytes: u64,
    /// Encoded bytes after which a further file is begun.
    pub file_bytes_max: u64,
    /// Bytes that the inputs of one job may hold at once.
    pub inputs_bytes_max: u64,
    /// How long nothing must come to a window before it is merged whole, at least; milliseconds.
    pub quiet_ms: i64,
}

impl Settings {
    /// For compaction that may hold `bytes_max` in memory, with rows that become files every `persist_age`.
    pub fn new(bytes_max: usize, persist_age: Duration) -> Self {
        let bytes_max = bytes_max as u64;
        let quiet = (3 * persist_age).max(QUIET_LEAST);
        Self {
            join_bytes: 16 << 20,
            split_bytes: 64 << 20,
            file_bytes_max: (bytes_max / 4).clamp(8 << 20, 128 << 20),
            inputs_bytes_max: bytes_max / 2,
            quiet_ms: i64::try_from(quiet.as_millis()).unwrap_or(i64::MAX),
        }
    }

    /// Bytes that an input of `bytes` holds at most while it is read.
    pub fn input_bytes(&self, bytes: u64) -> u64 {
        (bytes + (128 << 10)).min(self.inputs_bytes_max / 4)
    }
}
