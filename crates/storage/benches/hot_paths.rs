//! Microbenchmarks of what a row goes through from its line to a file and back. Run by `cargo xtask perf`.
//!
//! ```text
//! lines ─> ingest (with series lookup) ─> wal encode ─> buffer append ─> sort ─> merge ─> file write ─> file read
//! ```
//! The rows are ten minutes of a thousand hosts, which is what most files begin as; each stage takes what the one before made. Not
//! here: disks and object stores (the store is memory), threads, and whether it is right (tests).

#[expect(dead_code, reason = "other crates use the rest")]
#[path = "../../line_protocol/benches/cpu/mod.rs"]
mod cpu;

use std::hint::black_box;
use std::sync::Arc;

use catalog::{Catalog, Column, ColumnId, ColumnKind, Limits, Snapshot, Table};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use line_protocol::Precision;
use runtime::clock::SystemClock;
use runtime::object_store::{ObjectStoreExt, Path, PutPayload, Store, in_memory};
use runtime::{Random, Tasks, World};
use storage::WriteRequest;
use storage::batch::Batch;
use storage::buffer::segment::Segment;
use storage::buffer::{Buffer, TableBuffer};
use storage::file::cache::FileCache;
use storage::file::read::{FileReader, FileSelection};
use storage::file::write::{FileWriter, WrittenFile, file_columns, file_schema};
use storage::file::{DataFile, Footer};
use storage::ingest::known::{Expected, Known, KnownSeries, Texts};
use storage::ingest::{Context, Pass, pass};
use storage::manifest::FileEntry;
use storage::merge::{Merge, Merged, Output, Step};
use storage::series::{SeriesKey, SeriesTable};
use storage::wal::format::v1::{Payload, next_frame};
use tokio::runtime::Runtime;

use cpu::Cpu;

const HOSTS: usize = 1_000;

/// Ten minutes.
const EPOCHS: usize = 60;

/// What one request brings: 10 000 rows.
const EPOCHS_PER_REQUEST: usize = 10;

/// Rows of a merged batch, as persisting has it.
const BATCH_ROWS: usize = 1 << 14;

/// What lines are read with.
struct Ingest {
    catalog: Catalog,
    buffer: Buffer,
    known: KnownSeries,
}

impl Ingest {
    async fn new() -> Self {
        let world = World {
            clock: Arc::new(SystemClock::new()),
            random: Random::seeded(1),
            store: in_memory(),
            tasks: Tasks::new(),
        };
        let catalog = Catalog::open("node", &world, Limits::default()).await;
        Self {
            catalog: catalog.expect("an empty store opens"),
            buffer: Buffer::default(),
            known: KnownSeries::default(),
        }
    }

    fn pass(&self, snapshot: &Snapshot, text: &str) -> Pass {
        let request = WriteRequest {
            database: "db",
            text,
            precision: Precision::Nanosecond,
            accept_partial: false,
            no_sync: false,
        };
        let context = Context {
            snapshot,
            limits: self.catalog.limits(),
            buffer: &self.buffer,
            known: &self.known,
            now_ns: 0,
            cells_max: u64::MAX,
            series_bytes_max: u64::MAX,
        };
        pass(&request, &context).expect("sound lines")
    }

    /// The batch of a request; what the catalog lacks is added to it first.
    async fn batch(&self, text: &str) -> Batch {
        loop {
            match self.pass(&self.catalog.snapshot(), text) {
                Pass::Ready { mut batches, .. } => return batches.remove(0),
                Pass::NeedsSchema(additions) => {
                    let extended = self.catalog.extend_schema("db", &additions).await;
                    extended.expect("what a pass asks for is possible");
                }
            }
        }
    }
}

/// All rows at each stage.
struct Stages {
    rows: Cpu,
    /// One text for each request.
    requests: Vec<String>,
    ingest: Ingest,
    table: Arc<Table>,
    buffer: Arc<TableBuffer>,
    /// One for each request.
    batches: Vec<Batch>,
    runtime: Runtime,
}

impl Stages {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime starts");
        let rows = Cpu::new(HOSTS, EPOCHS);
        let requests: Vec<String> = (0..EPOCHS)
            .step_by(EPOCHS_PER_REQUEST)
            .map(|first| rows.lines(first..first + EPOCHS_PER_REQUEST))
            .collect();
        let (ingest, batches) = runtime.block_on(async {
            let ingest = Ingest::new().await;
            let mut batches = Vec::new();
            for text in &requests {
                batches.push(ingest.batch(text).await);
            }
            (ingest, batches)
        });
        let snapshot = ingest.catalog.snapshot();
        let database = snapshot.database_named("db").expect("the database");
        let table = Arc::clone(database.table_named("cpu").expect("the table"));
        let buffer = ingest.buffer.table(database.id, table.id);
        Self {
            rows,
            requests,
            ingest,
            table,
            buffer,
            batches,
            runtime,
        }
    }

    fn all_rows(&self) -> Throughput {
        Throughput::Elements(self.rows.rows() as u64)
    }

    fn rows_of_request(&self) -> Throughput {
        Throughput::Elements(self.batches[0].rows() as u64)
    }

    fn parts(&self) -> Vec<&Batch> {
        self.batches.iter().collect()
    }

    /// A segment for each request, in order.
    fn segments(&self) -> Vec<Segment> {
        let sorted = |batch| Segment::sorted(&[batch], 1, 1).expect("batches sort");
        self.batches.iter().filter_map(sorted).collect()
    }

    fn columns(&self) -> Vec<&Column> {
        file_columns(&self.table, |_| true)
    }
}

fn series_lookup(criterion: &mut Criterion, stages: &Stages) {
    let series: Vec<String> = (0..HOSTS).map(|host| stages.rows.series(host)).collect();
    let mut texts = Texts::default();
    for (number, text) in series.iter().enumerate() {
        let known = Known {
            table: stages.table.id,
            series: number as u32,
        };
        texts.insert(text, known);
    }
    // Far from its neighbour, so that none is where it is expected.
    let strewn: Vec<&String> = (0..HOSTS).map(|host| &series[host * 387 % HOSTS]).collect();
    let mut group = criterion.benchmark_group("storage");
    group.throughput(Throughput::Elements(HOSTS as u64));
    group.bench_function("series_in_order", |bencher| {
        bencher.iter(|| {
            let mut expected = Expected::default();
            for text in &series {
                black_box(texts.get(text, &mut expected)).expect("a known series");
            }
        });
    });
    group.bench_function("series_strewn", |bencher| {
        bencher.iter(|| {
            let mut expected = Expected::default();
            for text in &strewn {
                black_box(texts.get(text, &mut expected)).expect("a known series");
            }
        });
    });
    group.finish();
}

fn ingest(criterion: &mut Criterion, stages: &Stages) {
    let snapshot = stages.ingest.catalog.snapshot();
    let mut group = criterion.benchmark_group("storage");
    group.throughput(stages.rows_of_request());
    group.bench_function("ingest", |bencher| {
        bencher.iter(|| stages.ingest.pass(&snapshot, &stages.requests[1]));
    });
    group.finish();
}

fn log(criterion: &mut Criterion, stages: &Stages) {
    let series = stages.buffer.series.read();
    let batch = &stages.batches[0];
    let mut group = criterion.benchmark_group("storage");
    group.throughput(stages.rows_of_request());
    // Folders take payloads as they are, object stores compressed ones.
    for (suffix, compress) in [("", false), ("_compressed", true)] {
        let encode = |frames: &mut Vec<u8>| {
            let payload = Payload::encode(&[(batch, &series)], compress);
            payload.expect("a batch fits").write_frame(1, frames);
        };
        let mut frames = Vec::new();
        group.bench_function(format!("wal_encode{suffix}"), |bencher| {
            bencher.iter(|| {
                frames.clear();
                encode(&mut frames);
                black_box(&frames);
            });
        });
        frames.clear();
        encode(&mut frames);
        group.bench_function(format!("wal_decode{suffix}"), |bencher| {
            bencher.iter(|| {
                let frame = next_frame(&frames).expect("a sound frame");
                frame.expect("a frame").decode().expect("a sound payload")
            });
        });
    }
    group.finish();
}

fn buffer_append(criterion: &mut Criterion, stages: &Stages) {
    let mut group = criterion.benchmark_group("storage");
    group.throughput(stages.all_rows());
    group.bench_function("buffer_append", |bencher| {
        bencher.iter_batched(
            || (Buffer::default(), stages.batches.clone()),
            |(buffer, batches)| {
                for (batch, sequence) in batches.into_iter().zip(1..) {
                    let applied = buffer.apply(sequence, vec![batch]);
                    applied.expect("types are the same");
                }
                buffer
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn sort(criterion: &mut Criterion, stages: &Stages) {
    let parts = stages.parts();
    let mut group = criterion.benchmark_group("storage");
    group.throughput(stages.all_rows());
    group.bench_function("sort", |bencher| {
        bencher.iter(|| Segment::sorted(&parts, 1, 1).expect("batches sort"));
    });
    group.finish();
}

/// What merging segments takes besides them.
struct Merging<'a> {
    segments: Vec<&'a Segment>,
    ranking: storage::series::Ranking,
    keys: Vec<SeriesKey>,
    output: Output,
    fields: Vec<ColumnId>,
}

impl<'a> Merging<'a> {
    fn new(stages: &Stages, segments: Vec<&'a Segment>) -> Self {
        let columns = stages.columns();
        let schema = file_schema(&stages.table, &columns);
        let series = SeriesTable::ranked(&stages.buffer.series);
        let numbers = segments
            .iter()
            .flat_map(|segment| segment.batch.series.iter());
        let ranking = series.ranking(numbers.copied());
        let keys = ranking.by_rank.iter();
        let keys = keys.map(|number| Arc::clone(series.key(*number))).collect();
        let (output, fields) = Output::of_columns(
            &stages.table,
            &columns,
            schema,
            &series,
            &ranking,
            BATCH_ROWS,
        );
        Self {
            fields: fields.iter().map(|column| column.id).collect(),
            segments,
            ranking,
            keys,
            output,
        }
    }

    fn run(&self) -> Vec<Merged> {
        let mut merge = Merge::new(self.output.clone(), self.segments.len());
        let mut given = vec![false; self.segments.len()];
        let mut all = Vec::new();
        loop {
            match merge.step().expect("segments merge") {
                Step::Need(source) => {
                    let is_first = !std::mem::replace(&mut given[source], true);
                    let segment = self.segments[source];
                    let chunk = is_first.then(|| segment.chunk(&self.ranking, &self.fields));
                    merge.supply(source, chunk);
                }
                Step::Rows(merged) => all.push(merged),
                Step::Done => return all,
            }
        }
    }
}

fn merge(criterion: &mut Criterion, stages: &Stages) {
    let segments = stages.segments();
    let mut group = criterion.benchmark_group("storage");
    let all: Vec<&Segment> = segments.iter().collect();
    let following = Merging::new(stages, all);
    group.throughput(stages.all_rows());
    group.bench_function("merge", |bencher| {
        bencher.iter(|| following.run());
    });
    // The same rows written twice.
    let repeated = Merging::new(stages, vec![&segments[0], &segments[0]]);
    group.throughput(Throughput::Elements(2 * segments[0].rows() as u64));
    group.bench_function("merge_versions", |bencher| {
        bencher.iter(|| repeated.run());
    });
    group.finish();
}

fn write(columns: &[&Column], table: &Table, merged: &[Merged], keys: &[SeriesKey]) -> WrittenFile {
    let rows = merged.iter().map(|merged| merged.times.len() as u64).sum();
    let schema = file_schema(table, columns);
    let mut writer = FileWriter::new(columns, schema, rows).expect("the schema can be written");
    for merged in merged {
        writer.write(merged).expect("rows can be written");
    }
    let written = writer.finish(|rank| &keys[rank as usize]);
    written.expect("the file can be ended")
}

/// A written file and what reading it takes.
struct Stored {
    file: Arc<DataFile>,
    footer: Arc<Footer>,
    store: Store,
}

impl Stored {
    async fn new(stages: &Stages, written: &WrittenFile) -> Self {
        let store = in_memory();
        let path = Path::from("file");
        let payload = PutPayload::from(written.bytes.clone());
        store.put(&path, payload).await.expect("memory takes it");
        let entry = FileEntry {
            id: 1,
            database: stages.buffer.database,
            table: stages.buffer.table,
            min_time: written.min_time,
            max_time: written.max_time,
            rows: written.rows,
            series: written.series,
            bytes: written.bytes.len() as u64,
            first_sequence: 1,
            last_sequence: 1,
            crc32: crc32fast::hash(&written.bytes),
            footer_bytes: written.footer_bytes,
            footer_crc32: written.footer_crc32,
            deletes_applied: 0,
            created_ms: 0,
        };
        let file = Arc::new(DataFile::new(
            entry,
            path,
            Arc::new(FileCache::new(64 << 20)),
        ));
        let footer = file.footer(&store, &stages.buffer).await;
        Self {
            footer: footer.expect("a sound footer"),
            file,
            store,
        }
    }

    /// Reads rows `first..end` without keeping pages; how many there were.
    async fn read(&self, fields: &Arc<[String]>, first: u64, end: u64) -> usize {
        let selection = FileSelection {
            file: Arc::clone(&self.file),
            footer: Arc::clone(&self.footer),
            series: Arc::new(vec![(0, first, end)]),
            fields: Arc::clone(fields),
            time_range: i64::MIN..=i64::MAX,
            filter: None,
            keeps: false,
            batch_rows: 8192,
        };
        let mut reader = FileReader::open(selection, &self.store).expect("the file opens");
        let mut rows = 0;
        while let Some(chunk) = reader.next().await.expect("the file is sound") {
            rows += black_box(chunk).times.len();
        }
        rows
    }
}

fn file(criterion: &mut Criterion, stages: &Stages) {
    let sorted = Segment::sorted(&stages.parts(), 1, 1).expect("batches sort");
    let merging = Merging::new(stages, sorted.iter().collect());
    let merged = merging.run();
    let columns = stages.columns();
    let mut group = criterion.benchmark_group("storage");
    group.throughput(stages.all_rows());
    let write = || write(&columns, &stages.table, &merged, &merging.keys);
    group.bench_function("file_write", |bencher| bencher.iter(write));

    let written = write();
    let stored = stages.runtime.block_on(Stored::new(stages, &written));
    let is_field = |column: &&&Column| matches!(column.kind, ColumnKind::Field(_));
    let fields = columns.iter().filter(is_field);
    let fields: Vec<String> = fields.map(|column| column.name.to_string()).collect();
    let (all, one): (Arc<[String]>, Arc<[String]>) =
        (fields.clone().into(), fields[..1].to_vec().into());
    let middle = HOSTS / 2;
    let series = (stored.footer.ends[middle - 1], stored.footer.ends[middle]);
    for (name, fields, (first, end)) in [
        ("file_read", &all, (0, written.rows)),
        ("file_read_one_field", &one, (0, written.rows)),
        ("file_read_one_series", &all, series),
    ] {
        group.throughput(Throughput::Elements(end - first));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let read = stages.runtime.block_on(stored.read(fields, first, end));
                assert_eq!(read as u64, end - first, "all rows are there");
            });
        });
    }
    group.finish();
}

fn all(criterion: &mut Criterion) {
    let stages = Stages::new();
    series_lookup(criterion, &stages);
    ingest(criterion, &stages);
    log(criterion, &stages);
    buffer_append(criterion, &stages);
    sort(criterion, &stages);
    merge(criterion, &stages);
    file(criterion, &stages);
}

criterion_group!(benches, all);
criterion_main!(benches);
