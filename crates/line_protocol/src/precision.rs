//! The unit of a request's timestamps.

/// How the timestamps of a request are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// By magnitude, per line (spec/write-and-storage.md §4).
    #[default]
    Auto,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

impl Precision {
    /// `timestamp` in nanoseconds since the epoch, or `None` when out of range.
    pub fn to_ns(self, timestamp: i64) -> Option<i64> {
        let _ = timestamp;
        unimplemented!()
    }

    /// `now_ns` cut towards zero to this unit, for lines without a timestamp.
    pub fn truncate_ns(self, now_ns: i64) -> i64 {
        let _ = now_ns;
        unimplemented!()
    }
}
