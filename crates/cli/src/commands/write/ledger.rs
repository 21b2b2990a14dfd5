//! Which pieces are under way and which are written, and so up to where each source is written without a gap.
//!
//! Pieces are given out in order and come back in any. Not here: keeping that on disk (`checkpoint`).

use std::collections::VecDeque;

use super::pieces::Position;

#[derive(Debug)]
enum Entry {
    Piece {
        ticket: u64,
        source: usize,
        end: Position,
        is_written: bool,
    },
    SourceEnd(usize),
}

/// How far a source is written without a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) position: Position,
    pub(crate) is_done: bool,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    reached: Vec<Reached>,
    entries: VecDeque<Entry>,
    next_ticket: u64,
}

impl Ledger {
    pub(crate) fn new(reached: Vec<Reached>) -> Self {
        Self {
            reached,
            entries: VecDeque::new(),
            next_ticket: 0,
        }
    }

    /// A piece that is sent now, known by its ticket.
    pub(crate) fn begin(&mut self, source: usize, end: Position) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.entries.push_back(Entry::Piece {
            ticket,
            source,
            end,
            is_written: false,
        });
        ticket
    }

    /// No more pieces of this source will come.
    pub(crate) fn end_source(&mut self, source: usize) {
        self.entries.push_back(Entry::SourceEnd(source));
        self.advance();
    }

    pub(crate) fn written(&mut self, ticket: u64) {
        for entry in &mut self.entries {
            if let Entry::Piece {
                ticket: of,
                is_written,
                ..
            } = entry
                && *of == ticket
            {
                *is_written = true;
                break;
            }
        }
        self.advance();
    }

    pub(crate) fn reached(&self) -> &[Reached] {
        &self.reached
    }

    pub(crate) fn sources_done(&self) -> usize {
        self.reached
            .iter()
            .filter(|reached| reached.is_done)
            .count()
    }

    fn advance(&mut self) {
        while let Some(entry) = self.entries.front() {
            match *entry {
                Entry::Piece {
                    is_written: false, ..
                } => return,
                Entry::Piece { source, end, .. } => self.reached[source].position = end,
                Entry::SourceEnd(source) => self.reached[source].is_done = true,
            }
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_no_gap_before_it_is_reached() {
        let at = |offset_bytes| Position {
            offset_bytes,
            lines: 0,
        };
        let mut ledger = Ledger::new(vec![Reached::default(); 2]);
        let offsets = |ledger: &Ledger| -> Vec<(u64, bool)> {
            let told = ledger.reached().iter();
            told.map(|reached| (reached.position.offset_bytes, reached.is_done))
                .collect()
        };
        let first = ledger.begin(0, at(10));
        let second = ledger.begin(0, at(20));
        ledger.end_source(0);
        let third = ledger.begin(1, at(5));
        ledger.written(third);
        ledger.written(second);
        assert_eq!(offsets(&ledger), [(0, false), (0, false)]);
        ledger.written(first);
        assert_eq!(offsets(&ledger), [(20, true), (5, false)]);
        ledger.end_source(1);
        assert_eq!(offsets(&ledger), [(20, true), (5, true)]);
        assert_eq!(ledger.sources_done(), 2);
    }
}
