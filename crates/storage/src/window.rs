//! Windows of time: into which stretches rows are put together in files. Pure.
//!
//! Five levels, each window a whole number of those one level below: a day, a week, four weeks, 52 weeks, all of time.

/// One day, nanoseconds.
pub const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// Lengths by level, nanoseconds; the level above them all is [`EVER`].
const LENGTHS_NS: [i64; 4] = [DAY_NS, 7 * DAY_NS, 28 * DAY_NS, 364 * DAY_NS];

/// The level of days.
pub const DAY: usize = 0;

/// The level whose one window is all of time.
pub const EVER: usize = LENGTHS_NS.len();

/// A stretch of time, nanoseconds, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan {
    pub first: i64,
    pub last: i64,
}

/// A stretch of one of the levels.
pub type Window = TimeSpan;

impl TimeSpan {
    /// The window of a level that a time is in.
    pub fn of(level: usize, time: i64) -> Self {
        let Some(length) = LENGTHS_NS.get(level) else {
            return Self {
                first: i64::MIN,
                last: i64::MAX,
            };
        };
        let first = i128::from(time.div_euclid(*length)) * i128::from(*length);
        let last = first + i128::from(*length) - 1;
        let clamp = |time: i128| time.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Self {
            first: clamp(first),
            last: clamp(last),
        }
    }

    /// Whether a time is in it.
    pub fn contains(&self, time: i64) -> bool {
        self.first <= time && time <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_nest_and_extreme_times_have_windows() {
        for time in [i64::MIN, -DAY_NS - 1, -1, 0, 1, 40 * DAY_NS, i64::MAX] {
            for level in DAY..EVER {
                let (inner, outer) = (Window::of(level, time), Window::of(level + 1, time));
                assert!(inner.contains(time));
                assert!(outer.first <= inner.first && inner.last <= outer.last);
            }
        }
        assert_eq!(
            Window::of(DAY, -1),
            Window {
                first: -DAY_NS,
                last: -1
            }
        );
    }
}
