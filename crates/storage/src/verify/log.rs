//! The log's segments, frame by frame, and what their damage costs.
//!
//! Reading ([`read`]) comes before the manifest's last word, judging ([`judge`]) after it: what files cover needs the log no more.
//! Layout and what a crash leaves: docs/formats/wal.md. Segments are read whole, one at a time.

use std::collections::BTreeSet;

use catalog::{ColumnKind, Snapshot, TableId};
use runtime::Store;
use runtime::object_store::{ObjectStoreExt, Path, PutPayload, cas, store_error};

use super::leftovers::Sweep;
use super::{Finding, FindingKind, Findings, Repaired};
use crate::Error;
use crate::manifest::Manifest;
use crate::paths::{Paths, number_in_name};
use crate::schema::data_type;
use crate::series::decode_series_key;
use crate::wal::format::v1::{
    DecodedBatch, FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, decode_segment_header,
    encode_segment_header, next_frame,
};

/// All that is known of the log.
#[derive(Default)]
pub(super) struct LogRead {
    /// By number.
    pub(super) segments: Vec<Segment>,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    /// Tables that rows are for and that do not exist.
    strangers: BTreeSet<TableId>,
}

/// One segment.
pub(super) struct Segment {
    path: Path,
    number: u64,
    /// `None` when the header is damaged.
    epoch: Option<u64>,
    /// Of its sound frame headers, ascending; runs without gaps, both ends in them.
    runs: Vec<(u64, u64)>,
    faults: Vec<Fault>,
}

/// Something in a segment that cannot be read.
struct Fault {
    offset: usize,
    message: String,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The frame of this sequence; those behind it can be read.
    Frame(u64),
    /// Everything from here on.
    Rest,
    /// The last frame is not all there, as a crash in the middle of a flush leaves it.
    CutOff,
}

pub(super) async fn read(
    paths: &Paths,
    store: &Store,
    covered: u64,
    snapshot: Option<&Snapshot>,
) -> Result<LogRead, Error> {
    let mut log = LogRead::default();
    let in_name = |name: &str| number_in_name(name, "wal");
    let mut last_sequence = 0;
    for number in super::manifest_log::numbers(store, &paths.wal(), in_name).await? {
        let path = paths.wal_segment(number);
        // One that is gone is covered by now.
        let Some(bytes) = cas::read(store, &path).await? else {
            continue;
        };
        log.bytes += bytes.len() as u64;
        let mut segment = Segment {
            path,
            number,
            epoch: None,
            runs: Vec::new(),
            faults: Vec::new(),
        };
        log.frames += segment.read(
            &bytes,
            covered,
            &mut last_sequence,
            snapshot,
            &mut log.strangers,
        );
        log.segments.push(segment);
    }
    Ok(log)
}

impl Segment {
    /// Returns the number of frames.
    fn read(
        &mut self,
        bytes: &[u8],
        covered: u64,
        last_sequence: &mut u64,
        snapshot: Option<&Snapshot>,
        strangers: &mut BTreeSet<TableId>,
    ) -> u64 {
        match decode_segment_header(bytes) {
            Ok(header) if header.number == self.number => self.epoch = Some(header.epoch),
            Ok(header) => {
                let message = format!("its header says it is segment {}", header.number);
                self.fault(0, message, Place::Rest);
                return 0;
            }
            // A segment begins with its header; a crash may have come before that was whole.
            Err(_) if bytes.len() < SEGMENT_HEADER_BYTES => {
                self.fault(0, "the segment ends in its header", Place::CutOff);
                return 0;
            }
            Err(fault) => {
                self.fault(0, fault.to_string(), Place::Rest);
                return 0;
            }
        }
        let mut offset = SEGMENT_HEADER_BYTES;
        let mut frames = 0;
        loop {
            let frame = match next_frame(&bytes[offset..]) {
                Ok(Some(frame)) => frame,
                Ok(None) => return frames,
                Err(fault) => {
                    let place = match is_cut_off(&bytes[offset..]) {
                        true => Place::CutOff,
                        false => Place::Rest,
                    };
                    self.fault(offset, fault.to_string(), place);
                    return frames;
                }
            };
            frames += 1;
            let sequence = frame.sequence;
            if sequence <= *last_sequence {
                let message = format!(
                    "sequence {sequence} comes after {last_sequence}: the write is left out at a start"
                );
                self.fault(offset, message, Place::Frame(sequence));
            } else {
                *last_sequence = sequence;
                self.note(sequence);
                if sequence > covered {
                    let read = frame
                        .decode()
                        .and_then(|batches| check_batches(&batches, snapshot, strangers));
                    if let Err(fault) = read {
                        self.fault(offset, fault.to_string(), Place::Frame(sequence));
                    }
                }
            }
            offset += frame.bytes;
        }
    }

    fn fault(&mut self, offset: usize, message: impl Into<String>, place: Place) {
        self.faults.push(Fault {
            offset,
            message: message.into(),
            place,
        });
    }

    fn note(&mut self, sequence: u64) {
        match self.runs.last_mut() {
            Some((_, last)) if *last + 1 == sequence => *last = sequence,
            _ => self.runs.push((sequence, sequence)),
        }
    }

    fn last_sequence(&self) -> u64 {
        self.runs.last().map_or(0, |(_, last)| *last)
    }
}

/// Whether these bytes are the beginning of a frame, or what a file system shows of bytes it never got.
fn is_cut_off(rest: &[u8]) -> bool {
    let Some(header) = rest.get(..FRAME_HEADER_BYTES) else {
        return true;
    };
    let (covered, checksum) = header.split_at(FRAME_HEADER_BYTES - 4);
    crc32fast::hash(covered).to_le_bytes() == checksum || rest.iter().all(|byte| *byte == 0)
}

fn check_batches(
    batches: &[DecodedBatch],
    snapshot: Option<&Snapshot>,
    strangers: &mut BTreeSet<TableId>,
) -> Result<(), Error> {
    for batch in batches {
        if let Some(key) = batch
            .series_keys
            .iter()
            .find(|key| decode_series_key(key).is_none())
        {
            return Err(Error::corrupt(format!(
                "{} bytes of a series key are none",
                key.len()
            )));
        }
        let Some(snapshot) = snapshot else { continue };
        let Some((_, table)) = snapshot.table_by_id(batch.table) else {
            strangers.insert(batch.table);
            continue;
        };
        for (id, values) in &batch.columns {
            let kind = table.column_by_id(*id).map(|column| column.kind);
            let fits = matches!(kind, Some(kind @ ColumnKind::Field(_)) if data_type(kind) == *values.data_type());
            if !fits {
                return Err(Error::corrupt(format!(
                    "column {} of table '{}' has values of type {}, which the catalog does not know",
                    id.0,
                    table.name,
                    values.data_type()
                )));
            }
        }
    }
    Ok(())
}

/// Tells what the log's faults cost, given what files cover; sets segments aside that are damaged and hold nothing any more, and
/// answers the names they have then.
pub(super) async fn judge(
    log: &LogRead,
    manifest: &Manifest,
    sweep: &Sweep<'_>,
    findings: &mut Findings<'_>,
) -> Result<Vec<Path>, Error> {
    let covered = manifest.covered_sequence;
    let mut aside = Vec::new();
    let mut last_epoch = 0;
    for (at, segment) in log.segments.iter().enumerate() {
        let next = log.segments.get(at + 1);
        if let Some(epoch) = segment.epoch
            && epoch > manifest.epoch
        {
            let message = format!(
                "it was written in epoch {epoch}, the manifest is in {}",
                manifest.epoch
            );
            findings.add(Finding::damaged(&segment.path, message));
        }
        // Segments without frames are marks, which a later process may have put there.
        if let Some(epoch) = segment.epoch
            && !segment.runs.is_empty()
        {
            if epoch < last_epoch {
                let message =
                    format!("it was written in epoch {epoch}, the one before it in {last_epoch}");
                findings.add(Finding::damaged(&segment.path, message));
            }
            last_epoch = epoch;
        }
        let set_aside = sweep.may_repair
            && !segment.faults.is_empty()
            && next.is_some()
            && segment.last_sequence() <= covered
            && costs(segment, next, covered) == Cost::Nothing;
        if set_aside {
            aside.push(sweep.set_aside(segment).await?);
        }
        for fault in &segment.faults {
            let mut finding = found(segment, fault, next, covered);
            if set_aside {
                finding.repaired = Repaired::SetAside;
            }
            findings.add(finding);
        }
    }
    report_gaps(log, covered, sweep.paths, findings);
    for table in &log.strangers {
        let message = format!(
            "the log has rows of table {}, which does not exist any more",
            table.0
        );
        findings.add(Finding::new(FindingKind::Note, sweep.paths.wal(), message));
    }
    Ok(aside)
}

impl Sweep<'_> {
    /// Gives a segment a name that nothing reads. In an object store an empty one takes its place: another process that was replaced
    /// long ago must go on finding its number taken.
    async fn set_aside(&self, segment: &Segment) -> Result<Path, Error> {
        let (store, path) = (&self.world.store, &segment.path);
        let fault = |cause| store_error("set aside", path, cause);
        let aside = Path::from(format!("{path}.damaged"));
        let Some(bytes) = cas::read(store, path).await? else {
            return Ok(aside);
        };
        store.put(&aside, bytes.into()).await.map_err(fault)?;
        if self.options.local_folder.is_some() {
            store.delete(path).await.map_err(fault)?;
            return Ok(aside);
        }
        let header = SegmentHeader {
            epoch: segment.epoch.unwrap_or(self.manifest.epoch),
            number: segment.number,
        };
        let mark = PutPayload::from(encode_segment_header(header).to_vec());
        store.put(path, mark).await.map_err(fault)?;
        Ok(aside)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    Nothing,
    /// Writes that were acknowledged may be among what is lost.
    Writes,
}

/// What a segment's faults cost together.
fn costs(segment: &Segment, next: Option<&Segment>, covered: u64) -> Cost {
    let faults = segment.faults.iter();
    faults
        .map(|fault| cost(segment, fault, next, covered))
        .max()
        .unwrap_or(Cost::Nothing)
}

fn cost(segment: &Segment, fault: &Fault, next: Option<&Segment>, covered: u64) -> Cost {
    let lost_through = match fault.place {
        Place::Frame(sequence) => Some(sequence),
        // What was to follow ends before the next segment begins.
        Place::Rest | Place::CutOff => next
            .and_then(|next| next.runs.first())
            .map(|(first, _)| first - 1),
    };
    let crashed_here = match (segment.epoch, next) {
        (_, None) => true,
        (Some(epoch), Some(next)) => next.epoch.is_some_and(|after| after > epoch),
        // Without a header there was never a frame.
        (None, Some(_)) => fault.offset == 0,
    };
    match lost_through {
        Some(last) if last <= covered => Cost::Nothing,
        _ if fault.place == Place::CutOff && crashed_here => Cost::Nothing,
        _ => Cost::Writes,
    }
}

fn found(segment: &Segment, fault: &Fault, next: Option<&Segment>, covered: u64) -> Finding {
    let behind = match fault.place {
        Place::Frame(sequence) => format!("the write {sequence}"),
        Place::Rest => "everything behind it".to_string(),
        Place::CutOff => "a flush that was not acknowledged".to_string(),
    };
    let at = format!("at offset {}: {}", fault.offset, fault.message);
    match (cost(segment, fault, next, covered), fault.place) {
        (Cost::Writes, _) => Finding::damaged(&segment.path, format!("{at}; lost: {behind}")),
        (Cost::Nothing, Place::CutOff) => Finding::new(
            FindingKind::Note,
            &segment.path,
            format!("{at}; cut off: {behind}"),
        ),
        (Cost::Nothing, _) => Finding::damaged(
            &segment.path,
            format!("{at}; nothing is lost, files cover it"),
        ),
    }
}

/// Sequences above the covered one that no frame has.
fn report_gaps(log: &LogRead, covered: u64, paths: &Paths, findings: &mut Findings<'_>) {
    let mut expected = covered.saturating_add(1);
    for segment in &log.segments {
        for (first, last) in &segment.runs {
            if *first > expected {
                findings.add(Finding::new(
                    FindingKind::Gap,
                    paths.wal(),
                    format!(
                        "writes {expected} to {} are not there, but {first} is (in {}): a segment is gone, or a flush failed and was answered so",
                        first - 1,
                        segment.path
                    ),
                ));
            }
            expected = expected.max(last.saturating_add(1));
        }
    }
}
