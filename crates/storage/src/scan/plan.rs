//! What a scan reads: which files, segments and series, in which groups, split how.
//!
//! Pruning is by time (file and segment bounds) and by series (the series index, each series judged once). Sources whose times
//! overlap form a group and are merged; groups are independent. A large group is split by series when there are partitions to spare.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use catalog::{Column, ColumnId, ColumnKind, Table};
use futures::stream::{self, StreamExt, TryStreamExt};
use runtime::object_store::Store;

use super::description::Pruned;
use super::known::{self, Asked, KnownRows};
use super::newest::Newest;
use super::{RowFilter, Scan, ScanRequest, Wanted};
use crate::Error;
use crate::buffer::TableBuffer;
use crate::buffer::segment::Segment;
use crate::delete::tombstone::{ExclusionSets, Exclusions};
use crate::file::narrow::FieldFilter;
use crate::file::read::{FileSelection, LastRowsSelection};
use crate::file::{DataFile, Footer};
use crate::merge::{Chunk, Output, Rows, Span};
use crate::schema::{columns_by_name, field, table_metadata};
use crate::series::{Ranking, SeriesTable};

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

/// Footers read at once.
const FOOTERS_AT_ONCE: usize = 16;

/// As often as this must the series of a table be in its files, on average, before they are not looked up file by file.
const REPEATED_SERIES: usize = 16;

/// Fewer than one in so many series of a file are searched for one by one.
const FEW_SERIES: usize = 16;

/// Rows below which a group is not worth splitting.
const SPLIT_ROWS_LEAST: u64 = 1 << 16;

/// Sources that are merged with each other, oldest first.
#[derive(Clone, Debug)]
pub struct Group {
    pub sources: Vec<Source>,
}

impl Group {
    pub fn rows(&self) -> u64 {
        self.sources.iter().map(Source::rows).sum()
    }

    /// What of it has times in this range.
    pub fn narrowed(&self, times: &RangeInclusive<i64>) -> Self {
        let sources = self.sources.iter();
        Self {
            sources: sources
                .filter_map(|source| source.narrowed(times))
                .collect(),
        }
    }
}

/// One source and which of its rows.
#[derive(Clone, Debug)]
pub enum Source {
    File(FileSelection, Option<Arc<Exclusions>>),
    /// The last rows of some series of a file.
    Last(LastRowsSelection),
    Segment {
        segment: Arc<Segment>,
        /// Deleted rows are not in them.
        spans: Vec<Span>,
        fields: Arc<[ColumnId]>,
        /// Rows it refuses may be left out.
        filter: Option<FieldFilter>,
    },
}

impl Source {
    /// The rows of a segment; `None` for what is read from a file.
    pub fn into_chunk(self) -> Option<Chunk> {
        let Self::Segment {
            segment,
            spans,
            fields,
            filter,
        } = self
        else {
            return None;
        };
        let rows = segment.positions();
        let spans = match &filter {
            Some(filter) => filter.spans(&segment.batch, &rows, spans),
            None => spans,
        };
        Some(Chunk {
            spans,
            rows,
            times: segment.batch.times.clone(),
            fields: fields
                .iter()
                .map(|id| segment.batch.column(*id).cloned())
                .collect(),
        })
    }

    pub fn rows(&self) -> u64 {
        match self {
            Self::File(selection, _) => selection.rows(),
            Self::Last(selection) => selection.series.len() as u64,
            Self::Segment { spans, .. } => spans
                .iter()
                .map(|span| u64::from(span.end - span.start))
                .sum(),
        }
    }

    /// The first and the last of its series, by rank.
    fn ranks(&self) -> (u32, u32) {
        let ends = match self {
            Self::File(selection, _) => {
                let series = &selection.series;
                series.first().zip(series.last()).map(|(a, b)| (a.0, b.0))
            }
            Self::Last(selection) => {
                let series = &selection.series;
                series.first().zip(series.last()).map(|(a, b)| (a.0, b.0))
            }
            Self::Segment { spans, .. } => spans
                .first()
                .zip(spans.last())
                .map(|(a, b)| (a.rank, b.rank)),
        };
        ends.unwrap_or((0, u32::MAX))
    }

    fn narrowed(&self, times: &RangeInclusive<i64>) -> Option<Self> {
        let overlaps = |first: i64, last: i64| first <= *times.end() && *times.start() <= last;
        let (first, last) = self.times();
        if !overlaps(first, last) {
            return None;
        }
        match self {
            Self::File(selection, exclusions) => {
                let mut selection = selection.clone();
                let footer = Arc::clone(&selection.footer);
                selection.retain(|(_, _, end)| {
                    let of_series = footer.ends.binary_search(end).ok();
                    let of_series = of_series.and_then(|at| footer.times.get(at));
                    of_series.is_none_or(|(first, last)| overlaps(*first, *last))
                });
                selection.time_range = times.clone();
                (!selection.series.is_empty())
                    .then(|| Self::File(selection, exclusions.as_ref().map(Arc::clone)))
            }
            Self::Last(_) => Some(self.clone()),
            Self::Segment {
                segment,
                spans,
                fields,
                filter,
            } => {
                let mut chunk = Chunk {
                    spans: spans.clone(),
                    rows: segment.positions(),
                    times: segment.batch.times.clone(),
                    fields: Vec::new(),
                };
                chunk.clip(times);
                (!chunk.spans.is_empty()).then(|| Self::Segment {
                    segment: Arc::clone(segment),
                    spans: chunk.spans,
                    fields: Arc::clone(fields),
                    filter: filter.clone(),
                })
            }
        }
    }

    /// Bounds of its times, nanoseconds.
    pub fn times(&self) -> (i64, i64) {
        match self {
            Self::File(selection, _) => {
                (selection.file.entry.min_time, selection.file.entry.max_time)
            }
            Self::Last(selection) => (selection.file.entry.min_time, selection.file.entry.max_time),
            Self::Segment { segment, .. } => (segment.min_time, segment.max_time),
        }
    }

    /// The part of it with these ranks; `None` when there is none.
    fn with_ranks(&self, ranks: &std::ops::Range<u32>) -> Option<Self> {
        match self {
            Self::File(selection, exclusions) => {
                let mut selection = selection.clone();
                selection.retain(|(rank, _, _)| ranks.contains(rank));
                (!selection.series.is_empty())
                    .then(|| Self::File(selection, exclusions.as_ref().map(Arc::clone)))
            }
            Self::Last(selection) => {
                let mut selection = selection.clone();
                selection.series.retain(|(rank, _)| ranks.contains(rank));
                (!selection.series.is_empty()).then(|| Self::Last(selection))
            }
            Self::Segment {
                segment,
                spans,
                fields,
                filter,
            } => {
                let spans: Vec<Span> = spans
                    .iter()
                    .filter(|span| ranks.contains(&span.rank))
                    .copied()
                    .collect();
                (!spans.is_empty()).then(|| Self::Segment {
                    segment: Arc::clone(segment),
                    spans,
                    fields: Arc::clone(fields),
                    filter: filter.clone(),
                })
            }
        }
    }
}

/// Plans a scan of the table's state at this moment, of writes up to `last_sequence` only.
pub async fn plan(
    request: &ScanRequest,
    buffer: &TableBuffer,
    last_sequence: u64,
    store: &Store,
) -> Result<Scan, Error> {
    let view = buffer.view();
    let range = &request.time_range;
    let overlaps = |first: i64, last: i64| first <= *range.end() && *range.start() <= last;
    let mut overlapping: Vec<Arc<DataFile>> = Vec::new();
    for file in view.files.iter() {
        if overlaps(file.entry.min_time, file.entry.max_time) {
            overlapping.push(Arc::clone(file));
        }
    }
    let files = read_footers(overlapping, buffer, store).await?;
    let segments: Vec<&Arc<Segment>> = view
        .segments()
        .filter(|segment| segment.last_sequence <= last_sequence)
        .filter(|segment| overlaps(segment.min_time, segment.max_time))
        .collect();
    let (columns, schema) = projected(request)?;
    let series = SeriesTable::ranked(&buffer.series);
    let known = &*series;
    let of_files: usize = files.iter().map(|(_, footer)| footer.series.len()).sum();
    let all = if of_files / REPEATED_SERIES > known.len() {
        // Looking through the same series in file after file takes longer than taking those in that no file has.
        known.ranking(0..known.len() as u32)
    } else {
        let in_files = files.iter().flat_map(|(_, footer)| &footer.series).copied();
        let in_segments = segments
            .iter()
            .flat_map(|segment| segment.order().spans.iter().map(|span| span.series));
        known.ranking(in_files.chain(in_segments))
    };
    let candidates = all.by_rank.len();
    let (ranking, all) = match &request.series_filter {
        None => (all, None),
        Some(_) => {
            let matching = matching_series(request, known, &all.by_rank)?;
            (known.ranking(matching.into_iter()), Some(all))
        }
    };
    let (output, fields) = Output::of_columns(
        &request.table,
        &columns,
        schema,
        known,
        &ranking,
        BATCH_ROWS,
    );
    let mut exclusions = ExclusionSets::new(&view.tombstones, known, &ranking);
    let files: Vec<_> = files
        .into_iter()
        .map(|(file, footer)| {
            let entry = &file.entry;
            let times = (entry.min_time, entry.max_time);
            let excluded = exclusions.of(entry.last_sequence, entry.deletes_applied, times);
            (file, footer, excluded)
        })
        .collect();
    let segments: Vec<_> = segments
        .into_iter()
        .map(|segment| {
            let times = (segment.min_time, segment.max_time);
            (segment, exclusions.of(segment.last_sequence, 0, times))
        })
        .collect();
    drop(series);

    let names: Arc<[String]> = fields
        .iter()
        .map(|column| column.name.to_string())
        .collect();
    let ids: Arc<[ColumnId]> = fields.iter().map(|column| column.id).collect();
    let mut pruned = Pruned {
        files: (0, view.files.len()),
        segments: (0, view.segments().count()),
        series: (ranking.by_rank.len(), candidates),
        ..Pruned::default()
    };
    let mut sources: Vec<Source> = Vec::new();
    let chunks: Vec<(&Arc<Segment>, Chunk)> = segments
        .into_iter()
        .map(|(segment, excluded)| {
            let mut chunk = segment.chunk(&ranking, &[]);
            if !range.contains(&segment.min_time) || !range.contains(&segment.max_time) {
                chunk.clip(range);
            }
            if let Some(excluded) = &excluded {
                excluded.clip(&mut chunk);
            }
            (segment, chunk)
        })
        .collect();
    let newest = (request.wanted == Wanted::NewestOfSeries).then(|| {
        let mut newest = Newest::new(ranking.by_rank.len(), range);
        for (_, footer, excluded) in &files {
            newest.note_file(footer, &ranking, excluded.as_deref());
        }
        for (_, chunk) in &chunks {
            newest.note_chunk(chunk);
        }
        newest
    });
    for (file, footer, excluded) in files {
        let (mut series, last) = match &newest {
            None => {
                let series = match &all {
                    Some(all) => chosen_series(&footer, &ranking, all, range),
                    None => file_series(&footer, &ranking, range),
                };
                (series, Vec::new())
            }
            Some(newest) => newest.of_file(&file, &footer, &ranking, excluded.as_deref()),
        };
        if let Some(excluded) = &excluded {
            let (first, last) = (file.entry.min_time, file.entry.max_time);
            series.retain(|(rank, _, _)| !excluded.cover(*rank, first, last));
        }
        pruned.files.0 += usize::from(!series.is_empty() || !last.is_empty());
        if let (Some(section), false) = (footer.last_rows, last.is_empty()) {
            pruned.last_rows += 1;
            sources.push(Source::Last(LastRowsSelection {
                file: Arc::clone(&file),
                section,
                series: last,
                fields: Arc::clone(&names),
            }));
        }
        if !series.is_empty() {
            let selection = FileSelection {
                file,
                footer,
                series: Arc::new(series),
                fields: Arc::clone(&names),
                time_range: range.clone(),
                filter: None,
                keeps: true,
                batch_rows: BATCH_ROWS,
            };
            sources.push(Source::File(selection, excluded));
        }
    }
    for (segment, mut chunk) in chunks {
        if let Some(newest) = &newest {
            chunk.cut_before(newest.times());
        }
        if !chunk.spans.is_empty() {
            pruned.segments.0 += 1;
            sources.push(Source::Segment {
                segment: Arc::clone(segment),
                spans: chunk.spans,
                fields: Arc::clone(&ids),
                filter: None,
            });
        }
    }
    let mut groups = group(sources);
    if let Some(filter) = &request.row_filter {
        narrow(&mut groups, &field_filter(&request.table, filter)?);
    }
    if request.wanted == Wanted::Count && output.columns.is_empty() {
        let mut rows = KnownRows::default();
        let asked = Asked {
            count: true,
            times: false,
        };
        known::take(&mut groups, range, asked, &mut rows);
        pruned.counted = rows.rows;
    }
    pruned.groups = groups.len();
    pruned.largest_group = groups
        .iter()
        .map(|group| group.sources.len())
        .max()
        .unwrap_or(0);
    let groups = split(groups, request.partitions, ranking.by_rank.len() as u32);
    Ok(Scan {
        store: Store::clone(store),
        output,
        partitions: distribute(groups, request.partitions),
        time_range: range.clone(),
        not_before: newest.map(Newest::into_times),
        counted: pruned.counted,
        series: ranking.by_rank,
        pruned,
        busy: None,
    })
}

/// The footers of files, read some at a time.
pub async fn read_footers(
    files: Vec<Arc<DataFile>>,
    buffer: &TableBuffer,
    store: &Store,
) -> Result<Vec<(Arc<DataFile>, Arc<Footer>)>, Error> {
    stream::iter(files)
        .map(async |file: Arc<DataFile>| {
            let footer = file.footer(store, buffer).await?;
            Ok((file, footer))
        })
        .buffered(FOOTERS_AT_ONCE)
        .try_collect()
        .await
}

fn projected(request: &ScanRequest) -> Result<(Vec<&Column>, SchemaRef), Error> {
    let by_name = columns_by_name(&request.table);
    let columns = request
        .projection
        .iter()
        .map(|at| {
            by_name
                .get(*at)
                .copied()
                .ok_or_else(|| Error::internal(format!("column {at} is not in the table")))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let fields: Vec<_> = columns.iter().map(|column| field(column)).collect();
    let schema = Schema::new_with_metadata(fields, table_metadata(&request.table));
    Ok((columns, Arc::new(schema)))
}

/// The series that the filter does not refuse.
fn matching_series(
    request: &ScanRequest,
    known: &SeriesTable,
    candidates: &[u32],
) -> Result<Vec<u32>, Error> {
    let Some(filter) = &request.series_filter else {
        return Ok(candidates.to_vec());
    };
    let by_name = columns_by_name(&request.table);
    let tags = filter.columns.iter().map(|at| match by_name.get(*at) {
        Some(column) if column.kind == ColumnKind::Tag => Ok(*column),
        _ => Err(Error::internal(format!(
            "a series filter looks at column {at}"
        ))),
    });
    let tags: Vec<&Column> = tags.collect::<Result<_, Error>>()?;
    let columns: Vec<ArrayRef> = tags
        .iter()
        .map(|tag| {
            let position = request
                .table
                .series_key_position(tag.id)
                .unwrap_or(usize::MAX);
            Arc::new(known.tag_column(position, candidates)) as ArrayRef
        })
        .collect();
    let schema: Schema = Schema::new(tags.iter().map(|tag| field(tag)).collect::<Vec<_>>());
    let options = RecordBatchOptions::new().with_row_count(Some(candidates.len()));
    let batch = RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)
        .map_err(|cause| Error::internal("cannot show series to a filter").with_source(cause))?;
    let verdict = (filter.matches)(&batch)?;
    if verdict.len() != candidates.len() {
        return Err(Error::internal(
            "a series filter did not judge every series",
        ));
    }
    Ok(candidates
        .iter()
        .enumerate()
        .filter(|(at, _)| verdict.is_valid(*at) && verdict.value(*at))
        .map(|(_, number)| *number)
        .collect())
}

/// Where the series of a ranking that have rows in a time range are in a file: rank, first row, row behind the last.
pub fn file_series(
    footer: &Footer,
    ranking: &Ranking,
    range: &RangeInclusive<i64>,
) -> Vec<(u32, u64, u64)> {
    let mut start = 0;
    let mut series = Vec::with_capacity(footer.series.len().min(ranking.by_rank.len()));
    for (at, (number, end)) in footer.series.iter().zip(&footer.ends).enumerate() {
        if is_in_range(footer, at, range)
            && let Some(rank) = ranking.rank(*number)
        {
            series.push((rank, start, *end));
        }
        start = *end;
    }
    series
}

/// What [`file_series`] gives, sooner when the ranking has few of the file's series. All of these are in `all`.
fn chosen_series(
    footer: &Footer,
    ranking: &Ranking,
    all: &Ranking,
    range: &RangeInclusive<i64>,
) -> Vec<(u32, u64, u64)> {
    if ranking.by_rank.len() * FEW_SERIES > footer.series.len() {
        return file_series(footer, ranking, range);
    }
    let mut series = Vec::new();
    for (rank, number) in ranking.by_rank.iter().enumerate() {
        let wanted = all.rank(*number);
        // Files have their series in the order of keys, as rankings do.
        let found = footer
            .series
            .binary_search_by_key(&wanted, |number| all.rank(*number));
        if let Ok(at) = found {
            let start = at.checked_sub(1).map_or(0, |before| footer.ends[before]);
            if is_in_range(footer, at, range) {
                series.push((rank as u32, start, footer.ends[at]));
            }
        }
    }
    series
}

/// Whether the series at a place of a file may have rows in a range of times. Files of older versions do not tell the times.
fn is_in_range(footer: &Footer, at: usize, range: &RangeInclusive<i64>) -> bool {
    let times = footer.times.get(at);
    times.is_none_or(|(first, last)| first <= range.end() && range.start() <= last)
}

/// Puts sources together that may have rows of the same series and time: their times overlap, and so do their series. Keeps their order
/// within a group.
fn group(sources: Vec<Source>) -> Vec<Group> {
    let sources = sources.into_iter().enumerate().collect();
    let by_times = connected(sources, Source::times);
    let by_ranks = by_times.into_iter().flat_map(|group| match group.len() {
        1 => vec![group],
        _ => connected(group, Source::ranks),
    });
    by_ranks
        .map(|mut group| {
            group.sort_by_key(|(age, _)| *age);
            Group {
                sources: group.into_iter().map(|(_, source)| source).collect(),
            }
        })
        .collect()
}

/// Puts sources whose intervals overlap, be it through others, together.
fn connected<T: Ord + Copy>(
    mut sources: Vec<(usize, Source)>,
    interval: impl Fn(&Source) -> (T, T),
) -> Vec<Vec<(usize, Source)>> {
    sources.sort_by_key(|(_, source)| interval(source).0);
    let mut groups: Vec<Vec<(usize, Source)>> = Vec::new();
    let mut reaches: Option<T> = None;
    for (age, source) in sources {
        let (first, last) = interval(&source);
        match groups.last_mut() {
            Some(group) if reaches.is_some_and(|end| first <= end) => group.push((age, source)),
            _ => groups.push(vec![(age, source)]),
        }
        reaches = reaches.max(Some(last));
    }
    groups
}

/// The filter as files need it.
fn field_filter(table: &Table, filter: &RowFilter) -> Result<FieldFilter, Error> {
    let by_name = columns_by_name(table);
    let columns = filter.columns.iter().map(|at| match by_name.get(*at) {
        Some(column) if column.kind != ColumnKind::Tag => Ok(*column),
        _ => Err(Error::internal(format!(
            "a row filter looks at column {at}"
        ))),
    });
    let columns: Vec<&Column> = columns.collect::<Result<_, Error>>()?;
    let fields: Vec<_> = columns.iter().map(|column| field(column)).collect();
    Ok(FieldFilter {
        schema: Arc::new(Schema::new(fields)),
        ids: columns.iter().map(|column| column.id).collect(),
        matches: Arc::clone(&filter.matches),
    })
}

/// Leaves out rows that the filter refuses where no other source can have a newer version of them.
fn narrow(groups: &mut [Group], filter: &FieldFilter) {
    for group in groups {
        match group.sources.as_mut_slice() {
            [Source::File(selection, _)] => selection.filter = Some(filter.clone()),
            // Otherwise one row may be a version of another.
            [
                Source::Segment {
                    segment,
                    filter: of,
                    ..
                },
            ] if matches!(segment.positions(), Rows::Sorted) => *of = Some(filter.clone()),
            _ => {}
        }
    }
}

/// Splits large groups by series until there is work for every partition.
fn split(groups: Vec<Group>, partitions: usize, ranks: u32) -> Vec<Group> {
    if groups.is_empty() || groups.len() >= partitions {
        return groups;
    }
    let parts = partitions.div_ceil(groups.len()).min(ranks as usize) as u32;
    groups
        .into_iter()
        .flat_map(|group| {
            let rows: u64 = group.rows();
            if parts < 2 || rows < SPLIT_ROWS_LEAST {
                return vec![group];
            }
            let bound = |part: u32| (u64::from(ranks) * u64::from(part) / u64::from(parts)) as u32;
            (0..parts)
                .map(|part| bound(part)..bound(part + 1))
                .map(|ranks| Group {
                    sources: group
                        .sources
                        .iter()
                        .filter_map(|source| source.with_ranks(&ranks))
                        .collect(),
                })
                .filter(|group| !group.sources.is_empty())
                .collect()
        })
        .collect()
}

/// Deals groups out to partitions, largest first, each to the partition with the fewest rows.
fn distribute(groups: Vec<Group>, partitions: usize) -> Vec<Vec<Group>> {
    let count = partitions.clamp(1, groups.len().max(1));
    let mut weighed: Vec<(u64, Group)> = groups
        .into_iter()
        .map(|group| (group.rows(), group))
        .collect();
    weighed.sort_by_key(|(rows, _)| std::cmp::Reverse(*rows));
    let mut dealt: Vec<(u64, Vec<Group>)> = vec![(0, Vec::new()); count];
    for (rows, group) in weighed {
        if let Some(least) = dealt.iter_mut().min_by_key(|(rows, _)| *rows) {
            least.0 += rows;
            least.1.push(group);
        }
    }
    dealt.into_iter().map(|(_, groups)| groups).collect()
}
