//! Random numbers from a seed that a failing test prints, so that its choices can be repeated.

use std::time::{SystemTime, UNIX_EPOCH};

/// A small generator (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    /// Seeded by `GNOMON_SEED`, else by the time; prints the seed.
    pub(crate) fn announced(test: &str) -> Self {
        let given = std::env::var("GNOMON_SEED").ok();
        let seed = match given {
            Some(text) => text.parse().expect("GNOMON_SEED is a number"),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos() as u64),
        };
        println!("{test}: GNOMON_SEED={seed}");
        Self { state: seed }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `range`.
    pub(crate) fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// A generator of its own for another thread.
    pub(crate) fn fork(&mut self) -> Self {
        Self { state: self.next() }
    }
}
