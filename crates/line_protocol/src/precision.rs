//! The unit of a request's timestamps.
//!
//! Not here: how a request spells its precision, and what the clock says.

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
    /// Version 1 knows these two as well.
    Minute,
    Hour,
}

impl Precision {
    /// `timestamp` in nanoseconds since the epoch, or `None` when out of range.
    pub fn to_ns(self, timestamp: i64) -> Option<i64> {
        let unit = match self {
            Self::Auto => Self::guess(timestamp),
            unit => unit,
        };
        timestamp.checked_mul(unit.length_ns())
    }

    /// `now_ns` cut towards zero to this unit, for lines without a timestamp.
    pub fn truncate_ns(self, now_ns: i64) -> i64 {
        now_ns - now_ns % self.length_ns()
    }

    /// The unit in which `timestamp` is a moment that people write about, before or after 1970 alike.
    fn guess(timestamp: i64) -> Self {
        match timestamp.unsigned_abs() {
            0..5_000_000_000 => Self::Second,
            5_000_000_000..5_000_000_000_000 => Self::Millisecond,
            5_000_000_000_000..5_000_000_000_000_000 => Self::Microsecond,
            _ => Self::Nanosecond,
        }
    }

    /// How long the unit is; without one, as fine as the clock.
    fn length_ns(self) -> i64 {
        match self {
            Self::Hour => 3_600_000_000_000,
            Self::Minute => 60_000_000_000,
            Self::Second => 1_000_000_000,
            Self::Millisecond => 1_000_000,
            Self::Microsecond => 1_000,
            Self::Nanosecond | Self::Auto => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Precision;

    #[test]
    fn auto_goes_by_magnitude() {
        for (timestamp, nanoseconds) in [
            (0, 0),
            (4_999_999_999, 4_999_999_999_000_000_000),
            (5_000_000_000, 5_000_000_000_000_000),
            (4_999_999_999_999, 4_999_999_999_999_000_000),
            (5_000_000_000_000, 5_000_000_000_000_000),
            (4_999_999_999_999_999, 4_999_999_999_999_999_000),
            (5_000_000_000_000_000, 5_000_000_000_000_000),
            (i64::MAX, i64::MAX),
        ] {
            assert_eq!(Precision::Auto.to_ns(timestamp), Some(nanoseconds));
            assert_eq!(Precision::Auto.to_ns(-timestamp), Some(-nanoseconds));
        }
        assert_eq!(Precision::Auto.to_ns(i64::MIN), Some(i64::MIN));
    }

    #[test]
    fn a_given_unit_is_taken_at_its_word_until_it_overflows() {
        assert_eq!(Precision::Nanosecond.to_ns(7), Some(7));
        assert_eq!(Precision::Microsecond.to_ns(-7), Some(-7_000));
        assert_eq!(Precision::Millisecond.to_ns(7), Some(7_000_000));
        assert_eq!(Precision::Second.to_ns(7), Some(7_000_000_000));
        assert_eq!(
            Precision::Second.to_ns(9_223_372_036),
            Some(9_223_372_036_000_000_000)
        );
        assert_eq!(Precision::Second.to_ns(9_223_372_037), None);
        assert_eq!(Precision::Second.to_ns(i64::MIN), None);
        assert_eq!(Precision::Minute.to_ns(-2), Some(-120_000_000_000));
        assert_eq!(Precision::Hour.to_ns(2), Some(7_200_000_000_000));
        assert_eq!(Precision::Hour.to_ns(2_562_048), None);
        assert_eq!(Precision::Nanosecond.to_ns(i64::MIN), Some(i64::MIN));
    }

    #[test]
    fn now_is_cut_towards_zero() {
        let now_ns = 1_999_999_999;
        assert_eq!(Precision::Auto.truncate_ns(now_ns), now_ns);
        assert_eq!(Precision::Nanosecond.truncate_ns(now_ns), now_ns);
        assert_eq!(Precision::Microsecond.truncate_ns(now_ns), 1_999_999_000);
        assert_eq!(Precision::Millisecond.truncate_ns(now_ns), 1_999_000_000);
        assert_eq!(Precision::Second.truncate_ns(now_ns), 1_000_000_000);
        assert_eq!(Precision::Second.truncate_ns(-now_ns), -1_000_000_000);
        assert_eq!(Precision::Minute.truncate_ns(now_ns), 0);
        assert_eq!(Precision::Hour.truncate_ns(now_ns), 0);
        assert_eq!(
            Precision::Second.truncate_ns(i64::MIN),
            -9_223_372_036_000_000_000
        );
    }
}
