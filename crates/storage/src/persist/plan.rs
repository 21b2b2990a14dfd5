//! How buffered rows are cut into files: by windows of time as short as the number of rows is worth. Pure.

use std::collections::BTreeSet;

const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// Lengths of windows, nanoseconds; each holds a whole number of the one before.
const WINDOW_LENGTHS_NS: [i64; 4] = [DAY_NS, 7 * DAY_NS, 28 * DAY_NS, 364 * DAY_NS];

/// Rows that a file should have at least, on average.
const ROWS_PER_WINDOW_LEAST: u64 = 4096;

/// A stretch of time, nanoseconds, both ends in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    pub first: i64,
    pub last: i64,
}

/// The windows that rows with these times fall into, in order; every row in exactly one. Linear in the rows, however far
/// apart their times are.
pub fn plan(times: impl Iterator<Item = i64> + Clone) -> Vec<Window> {
    let rows = times.clone().count() as u64;
    let windows_max = (rows / ROWS_PER_WINDOW_LEAST).max(1);
    for length in WINDOW_LENGTHS_NS {
        if let Some(numbers) = window_numbers(times.clone(), length, windows_max) {
            return numbers
                .into_iter()
                .map(|number| window(number, length))
                .collect();
        }
    }
    vec![Window {
        first: i64::MIN,
        last: i64::MAX,
    }]
}

/// The windows in use; `None` as soon as there are more than `most`.
fn window_numbers(
    times: impl Iterator<Item = i64>,
    length: i64,
    most: u64,
) -> Option<BTreeSet<i64>> {
    let mut numbers = BTreeSet::new();
    let mut last = None;
    for time in times {
        let number = time.div_euclid(length);
        if last.replace(number) == Some(number) {
            continue;
        }
        numbers.insert(number);
        if numbers.len() as u64 > most {
            return None;
        }
    }
    Some(numbers)
}

fn window(number: i64, length: i64) -> Window {
    let first = i128::from(number) * i128::from(length);
    let last = first + i128::from(length) - 1;
    let clamp = |time: i128| time.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    Window {
        first: clamp(first),
        last: clamp(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(windows: &[Window]) -> Vec<(i64, i64)> {
        let day = |time: i64| time.div_euclid(DAY_NS);
        windows
            .iter()
            .map(|window| (day(window.first), day(window.last)))
            .collect()
    }

    #[test]
    fn few_rows_share_a_long_window_and_many_get_days() {
        assert_eq!(days(&plan([0, 1].into_iter())), [(0, 0)]);
        assert_eq!(days(&plan([-1].into_iter())), [(-1, -1)]);
        assert_eq!(days(&plan([0, 2 * DAY_NS].into_iter())), [(0, 6)]);
        assert_eq!(days(&plan([0, 20 * DAY_NS].into_iter())), [(0, 27)]);
        let far = plan([0, 4000 * DAY_NS].into_iter());
        assert_eq!(
            far,
            [Window {
                first: i64::MIN,
                last: i64::MAX
            }]
        );
        let dense = (0..10_000).map(|row| row % 2 * DAY_NS + row);
        assert_eq!(days(&plan(dense)), [(0, 0), (1, 1)]);
    }

    #[test]
    fn extreme_times_have_a_window() {
        for time in [i64::MIN, i64::MAX] {
            let windows = plan([time].into_iter());
            assert!(windows[0].first <= time && time <= windows[0].last);
        }
    }

    #[test]
    fn scattered_times_cost_no_more_than_others() {
        // Two hundred thousand rows all over the range: tens of thousands of days.
        let times = (0..200_000_u64).map(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64);
        let windows = plan(times.clone());
        assert!(windows.len() as u64 <= 200_000 / ROWS_PER_WINDOW_LEAST);
        assert!(windows.is_sorted());
        for time in times.step_by(1000) {
            let holders = windows.iter().filter(|w| w.first <= time && time <= w.last);
            assert_eq!(holders.count(), 1);
        }
    }
}
