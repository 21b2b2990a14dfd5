//! How buffered rows are cut into files: by windows of time as short as the number of rows is worth. Pure.

use hashbrown::HashMap;

use crate::window::{DAY, EVER, Window};

/// Rows that a file should have at least, unless there are few files anyway.
const ROWS_LEAST: u64 = 4096;

/// Files that rows may be cut into however few rows those have.
const PIECES_FREE: usize = 8;

/// The rows of one file: those in a window that are not in one of its holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub window: Window,
    /// Windows that are pieces of their own; sorted.
    pub holes: Vec<Window>,
}

/// The pieces that rows with these times are cut into; every row is in exactly one. Linear in the rows, however far apart
/// their times are.
///
/// Days become pieces of their own while there are few or they have rows enough. What is left of the others is put
/// together by weeks, and so on: many rows of today and one of each of many old days make two files, not a hundred.
pub fn plan(times: impl Iterator<Item = i64>) -> Vec<Piece> {
    let mut left: HashMap<Window, u64> = HashMap::new();
    let mut current: Option<(Window, u64)> = None;
    for time in times {
        match &mut current {
            Some((window, rows)) if window.contains(time) => *rows += 1,
            _ => {
                if let Some((window, rows)) = current.replace((Window::of(DAY, time), 1)) {
                    *left.entry(window).or_default() += rows;
                }
            }
        }
    }
    if let Some((window, rows)) = current {
        *left.entry(window).or_default() += rows;
    }
    let mut windows: Vec<Window> = Vec::new();
    for level in DAY..=EVER {
        let are_few = windows.len() + left.len() <= PIECES_FREE;
        let mut above: HashMap<Window, u64> = HashMap::new();
        for (window, rows) in left {
            if are_few || level == EVER || rows >= ROWS_LEAST {
                windows.push(window);
            } else {
                *above
                    .entry(Window::of(level + 1, window.first))
                    .or_default() += rows;
            }
        }
        left = above;
    }
    windows.sort_unstable_by_key(|window| (window.first, std::cmp::Reverse(window.last)));
    with_holes(windows)
}

/// Windows sorted by start, outer before inner, each with the outermost of those inside it.
fn with_holes(windows: Vec<Window>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(windows.len());
    // Indices into `pieces` of the windows that the current one lies in, innermost last.
    let mut around: Vec<usize> = Vec::new();
    for window in windows {
        while around
            .last()
            .is_some_and(|outer| pieces[*outer].window.last < window.first)
        {
            around.pop();
        }
        if let Some(outer) = around.last() {
            pieces[*outer].holes.push(window);
        }
        around.push(pieces.len());
        pieces.push(Piece {
            window,
            holes: Vec::new(),
        });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::DAY_NS;

    /// The number of the first and the last day of each piece, and of its holes.
    fn days(pieces: &[Piece]) -> Vec<(i64, i64, Vec<i64>)> {
        let day = |time: i64| time.div_euclid(DAY_NS);
        pieces
            .iter()
            .map(|piece| {
                let holes = piece.holes.iter().map(|hole| day(hole.first)).collect();
                (day(piece.window.first), day(piece.window.last), holes)
            })
            .collect()
    }

    fn day_starts(days: impl Iterator<Item = i64>) -> impl Iterator<Item = i64> {
        days.map(|day| day * DAY_NS)
    }

    #[test]
    fn a_few_days_have_files_of_their_own() {
        assert_eq!(days(&plan([0, 1].into_iter())), [(0, 0, vec![])]);
        assert_eq!(days(&plan([-1].into_iter())), [(-1, -1, vec![])]);
        assert_eq!(
            days(&plan([0, 4000 * DAY_NS, 1].into_iter())),
            [(0, 0, vec![]), (4000, 4000, vec![])]
        );
    }

    #[test]
    fn many_thin_days_share_longer_windows() {
        let weeks = days(&plan(day_starts(0..40)));
        assert_eq!(
            weeks,
            [
                (0, 6, vec![]),
                (7, 13, vec![]),
                (14, 20, vec![]),
                (21, 27, vec![]),
                (28, 34, vec![]),
                (35, 41, vec![])
            ]
        );
        let ever = plan(day_starts((0..200).map(|year| year * 364)));
        assert_eq!(ever.len(), 1);
        assert_eq!(ever[0].window, Window::of(EVER, 0));
    }

    #[test]
    fn a_full_day_keeps_its_file_among_thin_ones() {
        let full = (0..ROWS_LEAST as i64).map(|row| 3 * DAY_NS + row);
        let pieces = plan(day_starts(0..7).chain(full).chain(day_starts(364..371)));
        assert_eq!(
            days(&pieces),
            [(0, 6, vec![3]), (3, 3, vec![]), (364, 370, vec![])]
        );
    }

    #[test]
    fn scattered_times_cost_no_more_than_others() {
        // Two hundred thousand rows all over the range: tens of thousands of days.
        let times = (0..200_000_u64).map(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15) as i64);
        let pieces = plan(times.clone());
        assert!(pieces.len() <= 200_000 / ROWS_LEAST as usize + PIECES_FREE);
        for time in times.step_by(1000) {
            let holders = pieces.iter().filter(|piece| {
                piece.window.contains(time) && !piece.holes.iter().any(|hole| hole.contains(time))
            });
            assert_eq!(holders.count(), 1);
        }
    }
}
