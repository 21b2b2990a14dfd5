//! What EXPLAIN tells of a scan: how much of what there is it reads.
//!
//! Files, segments and series are counted while planning ([`Pruned`]); row groups and pages only when somebody asks ([`Pages`]), from the
//! offset indexes of the files. Rows that a narrowing leaves out on the way are not known beforehand.

use std::collections::BTreeMap;
use std::fmt;

use super::plan::{Group, Source};
use crate::file::read::FileSelection;

/// How much of what there is a scan reads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pruned {
    /// Read, and there: so the other pairs.
    pub(super) files: (usize, usize),
    pub(super) segments: (usize, usize),
    pub(super) series: (usize, usize),
    pub(super) groups: usize,
    pub(super) largest_group: usize,
    /// Of these only the last rows.
    pub(super) last_rows: usize,
    /// Rows known without reading them.
    pub(super) counted: u64,
}

impl fmt::Display for Pruned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "files={}/{}, segments={}/{}, series={}/{}, groups={}, largest_group={}",
            self.files.0,
            self.files.1,
            self.segments.0,
            self.segments.1,
            self.series.0,
            self.series.1,
            self.groups,
            self.largest_group
        )?;
        if self.last_rows > 0 {
            write!(formatter, ", last_rows={}", self.last_rows)?;
        }
        if self.counted > 0 {
            write!(formatter, ", counted={}", self.counted)?;
        }
        Ok(())
    }
}

/// The first row, and the one behind the last.
type RowRanges = Vec<(u64, u64)>;

/// Row groups and data pages of the files that a scan reads: how many it reads of how many there are of the columns it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pages {
    row_groups: (usize, usize),
    pages: (usize, usize),
}

impl fmt::Display for Pages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "row_groups={}/{}, pages={}/{}",
            self.row_groups.0, self.row_groups.1, self.pages.0, self.pages.1
        )
    }
}

impl Pages {
    /// `None` when no file is read.
    pub(super) fn of<'a>(groups: impl Iterator<Item = &'a Group>) -> Option<Self> {
        let mut files: BTreeMap<u64, (&FileSelection, RowRanges)> = BTreeMap::new();
        for source in groups.flat_map(|group| &group.sources) {
            if let Source::File(selection, _) = source {
                let rows = selection.series.iter().map(|(_, from, to)| (*from, *to));
                let of_file = files.entry(selection.file.entry.id);
                let of_file = of_file.or_insert_with(|| (selection, Vec::new()));
                of_file.1.extend(rows);
            }
        }
        let mut pages = Self::default();
        for (selection, rows) in files.values_mut() {
            rows.sort_unstable();
            pages.add(selection, rows);
        }
        (!files.is_empty()).then_some(pages)
    }

    /// `rows` of a file are sorted and disjoint.
    fn add(&mut self, selection: &FileSelection, rows: &[(u64, u64)]) {
        let is_read = |first: u64, end: u64| {
            let at = rows.partition_point(|(_, to)| *to <= first);
            rows.get(at).is_some_and(|(from, _)| *from < end)
        };
        let metadata = selection.footer.metadata.metadata();
        let columns = selection.columns();
        let mut start = 0;
        for (at, group) in metadata.row_groups().iter().enumerate() {
            let end = start + group.num_rows().max(0) as u64;
            self.row_groups.0 += usize::from(is_read(start, end));
            self.row_groups.1 += 1;
            let indexes = metadata.offset_index().and_then(|groups| groups.get(at));
            for index in columns.iter().filter_map(|column| indexes?.get(*column)) {
                let firsts: Vec<u64> = index
                    .page_locations()
                    .iter()
                    .map(|page| start + page.first_row_index.max(0) as u64)
                    .collect();
                let ends = firsts.iter().skip(1).copied().chain([end]);
                let read = firsts.iter().zip(ends);
                self.pages.0 += read.filter(|(first, end)| is_read(**first, *end)).count();
                self.pages.1 += firsts.len();
            }
            start = end;
        }
    }
}
