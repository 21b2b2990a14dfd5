//! Deleting rows: gone from every answer at once, gone from disk when their files are next rewritten.
//!
//! A delete is worked out when it is asked for, not when it is read: what it matches becomes a [`Tombstone`], a list of series
//! with stretches of time, made durable by the manifest under the sequence of the last write it covers. Scans and rewrites
//! leave out what a tombstone covers of every source that is not newer. Not here: SQL (`query`), dropping whole tables (`compact`).

pub mod format;

pub mod tombstone;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::Array;
use catalog::{DatabaseId, Table};
use futures::TryStreamExt;
use runtime::object_store::{ObjectStoreExt, PutPayload, store_error};

use crate::buffer::TableBuffer;
use crate::live::Live;
use crate::manifest::{Change, TombstoneEntry, TombstoneScope};
use crate::scan::{self, GroupRows, RowFilter};
use crate::window::TimeSpan;
use crate::{Error, ErrorKind, ScanRequest, SeriesFilter};
use tombstone::{SeriesTimes, Tombstone};

/// Which rows of a table to delete: those that every part accepts.
#[derive(Clone)]
pub struct DeleteRequest {
    pub database: DatabaseId,
    pub table: Arc<Table>,
    /// Nanoseconds.
    pub time_range: RangeInclusive<i64>,
    pub series_filter: Option<SeriesFilter>,
    pub row_filter: Option<RowFilter>,
}

impl fmt::Debug for DeleteRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DeleteRequest")
            .field("database", &self.database)
            .field("table", &self.table.name)
            .field("time_range", &self.time_range)
            .finish_non_exhaustive()
    }
}

/// What a delete did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deleted {
    /// Rows that were visible before and are not any more.
    pub rows: u64,
}

/// Stretches of rows that one delete may list.
const SPANS_MAX: usize = 4 << 20;

/// Deletes what the request matches of writes up to `sequence`, which is a barrier of the table.
pub(crate) async fn run(
    live: &Live,
    table: &TableBuffer,
    sequence: u64,
    request: DeleteRequest,
) -> Result<Deleted, Error> {
    let found = find(live, table, sequence, &request).await?;
    let Some(times) = found.times else {
        return Ok(Deleted { rows: 0 });
    };
    let id = live.new_id();
    let mut entry = TombstoneEntry {
        id,
        database: request.database,
        table: request.table.id,
        sequence,
        min_time: times.first,
        max_time: times.last,
        created_ms: live.world.clock.now_ms(),
        scope: TombstoneScope::AllSeries,
    };
    if let Some(series) = &found.series {
        let bytes = format::v1::encode(series)?;
        entry.scope = TombstoneScope::Listed {
            bytes: bytes.len() as u64,
            crc32: crc32fast::hash(&bytes),
        };
        let path = live.paths.tombstone(id);
        live.world
            .store
            .put(&path, PutPayload::from(bytes))
            .await
            .map_err(|cause| store_error("write", &path, cause))?;
    }
    live.expect(Arc::new(Tombstone {
        entry: entry.clone(),
        series: found.series,
    }));
    let change = Change {
        tombstones_added: vec![entry],
        ..Change::default()
    };
    live.commit(change).await?;
    tracing::info!(
        table = %request.table.name,
        rows = found.rows,
        sequence,
        "rows deleted"
    );
    Ok(Deleted { rows: found.rows })
}

/// The rows that a delete takes.
#[derive(Default)]
struct Found {
    rows: u64,
    /// From the first to the last of them.
    times: Option<TimeSpan>,
    /// Sorted by key; `None` when all series between those times are taken.
    series: Option<Vec<SeriesTimes>>,
}

impl Found {
    fn add(&mut self, time: i64) {
        self.rows += 1;
        let times = self.times.get_or_insert(TimeSpan {
            first: time,
            last: time,
        });
        times.first = times.first.min(time);
        times.last = times.last.max(time);
    }
}

async fn find(
    live: &Live,
    table: &TableBuffer,
    sequence: u64,
    request: &DeleteRequest,
) -> Result<Found, Error> {
    let columns = request.row_filter.as_ref().map(|filter| &filter.columns);
    let scan = scan::plan::plan(
        &ScanRequest {
            database: request.database,
            table: Arc::clone(&request.table),
            projection: columns.cloned().unwrap_or_default(),
            time_range: request.time_range.clone(),
            series_filter: request.series_filter.clone(),
            partitions: 1,
            row_filter: None,
            wanted: crate::scan::Wanted::All,
        },
        table,
        sequence,
        &live.world.store,
    )
    .await?;
    let mut found = Found::default();
    // By rank, when not whole series are taken.
    let mut spans: Vec<Vec<TimeSpan>> = Vec::new();
    let mut count = 0;
    if request.row_filter.is_some() {
        spans.resize_with(scan.series().len(), Vec::new);
    }
    // The row before: its group, its series, and whether it was taken.
    let mut before: Option<(usize, u32, bool)> = None;
    let mut rows = scan.rows(0);
    while let Some(GroupRows { group, merged }) = rows.try_next().await? {
        let Some(filter) = &request.row_filter else {
            merged.times.iter().for_each(|time| found.add(*time));
            continue;
        };
        let verdict = (filter.matches)(&merged.batch)?;
        if verdict.len() != merged.times.len() {
            return Err(Error::internal("a row filter did not judge every row"));
        }
        for (at, (rank, time)) in merged.ranks.iter().zip(&merged.times).enumerate() {
            let is_taken = verdict.is_valid(at) && verdict.value(at);
            if is_taken {
                found.add(*time);
                let spans = &mut spans[*rank as usize];
                match spans.last_mut() {
                    // Nothing that stays lies between this row and the one before.
                    Some(last) if before == Some((group, *rank, true)) => last.last = *time,
                    _ => {
                        count += 1;
                        spans.push(TimeSpan {
                            first: *time,
                            last: *time,
                        });
                    }
                }
                if count > SPANS_MAX {
                    return Err(Error::new(
                        ErrorKind::TooLarge,
                        format!(
                            "the delete takes more than {SPANS_MAX} separate stretches of rows: narrow it by time or tags"
                        ),
                    ));
                }
            }
            before = Some((group, *rank, is_taken));
        }
    }
    let Some(times) = found.times else {
        return Ok(found);
    };
    if request.row_filter.is_none() && request.series_filter.is_none() {
        return Ok(found);
    }
    if request.row_filter.is_none() {
        spans.resize(scan.series().len(), vec![times]);
    }
    let known = table.series.read();
    let listed = scan.series().iter().zip(spans);
    let listed = listed.filter_map(|(number, mut spans)| {
        spans.sort_unstable();
        (!spans.is_empty()).then(|| SeriesTimes {
            key: Arc::clone(known.key(*number)),
            spans,
        })
    });
    found.series = Some(listed.collect());
    Ok(found)
}
