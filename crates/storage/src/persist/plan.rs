//! How buffered rows are cut into files: by windows of time as short as the number of rows is worth. Pure.

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

/// The windows that rows with these times fall into, in order; every row in exactly one.
pub fn plan(times: impl Iterator<Item = i64> + Clone) -> Vec<Window> {
    for length in WINDOW_LENGTHS_NS {
        let mut numbers: Vec<i64> = Vec::new();
        let mut rows = 0u64;
        for time in times.clone() {
            rows += 1;
            let number = time.div_euclid(length);
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
            // Rows that jump between windows would let this grow as large as they are.
            if numbers.len() > 1 << 16 {
                numbers.sort_unstable();
                numbers.dedup();
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() as u64 * ROWS_PER_WINDOW_LEAST <= rows.max(ROWS_PER_WINDOW_LEAST) {
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
}
