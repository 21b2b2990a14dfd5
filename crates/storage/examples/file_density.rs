//! Measures data files: bytes per column, time to write, time to read one series. Prints a table; docs/formats/parquet.md has it.
//!
//! `cargo run --release -p storage --example file_density -- [hosts] [folder]` writes TSBS-like rows and a table of awkward
//! columns; with a folder the files are left there. Not here: loading a server (`bench`), what is right (tests).

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a measuring program, not part of the product"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::compute::concat;
use catalog::{Catalog, Column, ColumnKind, DatabaseId, FieldType, Limits, Table, TableAdditions};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use runtime::clock::SystemClock;
use runtime::object_store::{ObjectStoreExt, Path, PutPayload, Store, in_memory};
use runtime::{Random, Tasks, World};
use storage::buffer::{Buffer, TableBuffer};
use storage::file::DataFile;
use storage::file::cache::FileCache;
use storage::file::read::{FileReader, FileSelection};
use storage::file::write::{FileWriter, WrittenFile, file_columns, file_schema};
use storage::manifest::FileEntry;
use storage::merge::Merged;
use storage::series::encode_series_key;

const BATCH_ROWS: usize = 1 << 14;
const START_NS: i64 = 1_451_606_400_000_000_000;
const STEP_NS: i64 = 10_000_000_000;
const DAY_ROWS: usize = 8640;

/// xorshift64*: enough for shapes.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// Tags by series, and what the fields of one series are.
struct Workload {
    table: Arc<Table>,
    /// For each series in order: its tag values.
    tags: Vec<Vec<String>>,
    rows_per_series: usize,
    fields: fn(&mut Dice, &str, usize, usize) -> ArrayRef,
}

async fn table(name: &str, tags: &[&str], fields: &[(&str, FieldType)]) -> Arc<Table> {
    let world = World {
        clock: Arc::new(SystemClock::new()),
        random: Random::seeded(1),
        store: in_memory(),
        tasks: Tasks::new(),
    };
    let catalog = Catalog::open("node", &world, Limits::default())
        .await
        .unwrap();
    let tags = tags.iter().map(|tag| (tag.to_string(), ColumnKind::Tag));
    let fields = fields
        .iter()
        .map(|(field, kind)| (field.to_string(), ColumnKind::Field(*kind)));
    let additions = TableAdditions {
        table: name.to_string(),
        columns: tags.chain(fields).collect(),
    };
    catalog.extend_schema("db", &[additions]).await.unwrap();
    let snapshot = catalog.snapshot();
    let database = snapshot.database_named("db").unwrap();
    Arc::clone(database.table_named(name).unwrap())
}

const TSBS_FIELDS: [&str; 10] = [
    "usage_user",
    "usage_system",
    "usage_idle",
    "usage_nice",
    "usage_iowait",
    "usage_irq",
    "usage_softirq",
    "usage_steal",
    "usage_guest",
    "usage_guest_nice",
];

const TSBS_TAGS: [&str; 10] = [
    "hostname",
    "region",
    "datacenter",
    "rack",
    "os",
    "arch",
    "team",
    "service",
    "service_version",
    "service_environment",
];

async fn tsbs(hosts: usize) -> Workload {
    let mut dice = Dice(1);
    let mut tags: Vec<Vec<String>> = (0..hosts)
        .map(|host| {
            let region =
                ["us-east-1", "us-west-1", "eu-west-1", "sa-east-1"][dice.below(4) as usize];
            let zone = ["a", "b", "c"][dice.below(3) as usize];
            let mut pick = |end: u64| dice.below(end).to_string();
            vec![
                format!("host_{host}"),
                region.to_string(),
                format!("{region}{zone}"),
                pick(100),
                format!("Ubuntu1{}", pick(3)),
                format!("x{}", pick(2)),
                format!("team{}", pick(4)),
                pick(20),
                pick(2),
                format!("environment{}", pick(3)),
            ]
        })
        .collect();
    tags.sort();
    Workload {
        table: table(
            "cpu",
            &TSBS_TAGS,
            &TSBS_FIELDS.map(|field| (field, FieldType::Integer)),
        )
        .await,
        tags,
        rows_per_series: DAY_ROWS,
        fields: |dice, _, _, rows| {
            let mut state = dice.unit() * 100.0;
            let values = (0..rows).map(|_| {
                let value = state as i64;
                state = (state + dice.normal()).clamp(0.0, 100.0);
                value
            });
            Arc::new(Int64Array::from_iter_values(values))
        },
    }
}

const MIXED_FIELDS: [(&str, FieldType); 18] = [
    ("float_noise", FieldType::Float),
    ("float_tenths", FieldType::Float),
    ("float_whole", FieldType::Float),
    ("float_states", FieldType::Float),
    ("float_constant", FieldType::Float),
    ("integer_counter", FieldType::Integer),
    ("integer_bytes", FieldType::Integer),
    ("integer_noise", FieldType::Integer),
    ("integer_status", FieldType::Integer),
    ("integer_sparse", FieldType::Integer),
    ("integer_constant", FieldType::Integer),
    ("integer_epoch_ms", FieldType::Integer),
    ("boolean_flips", FieldType::Boolean),
    ("text_level", FieldType::String),
    ("text_message", FieldType::String),
    ("text_unique", FieldType::String),
    ("text_path", FieldType::String),
    ("text_empty", FieldType::String),
];

async fn mixed() -> Workload {
    let tags = (0..20)
        .map(|number| vec![format!("sensor_{number:03}")])
        .collect();
    Workload {
        table: table("mixed", &["sensor"], &MIXED_FIELDS).await,
        tags,
        rows_per_series: DAY_ROWS,
        fields: |dice, name, series, rows| {
            let mut state = 20.0 + dice.unit();
            let mut count = series as i64 * 1000;
            match name {
                name if name.starts_with("float") => {
                    Arc::new(Float64Array::from_iter_values((0..rows).map(|_| {
                        state += dice.normal() / 10.0;
                        match name {
                            "float_noise" => state,
                            "float_tenths" => (state * 10.0).round() / 10.0,
                            "float_whole" => state.round(),
                            "float_states" => [0.0, 0.5, 1.0, 99.75][dice.below(4) as usize],
                            _ => 230.0,
                        }
                    })))
                }
                name if name.starts_with("integer") => {
                    let values = (0..rows).map(|row| match name {
                        "integer_counter" => {
                            count += 50 + dice.normal() as i64;
                            Some(count)
                        }
                        "integer_bytes" => {
                            count += dice.below(1 << 28) as i64;
                            Some(count)
                        }
                        "integer_noise" => Some(dice.next() as i64 >> 20),
                        "integer_status" => {
                            Some([200, 200, 200, 200, 404, 500, 70_000_000][dice.below(7) as usize])
                        }
                        "integer_sparse" => (dice.below(5) == 0).then(|| dice.below(100) as i64),
                        "integer_constant" => Some(42),
                        _ => Some(1_600_000_000_000 + row as i64 * 10_000 + dice.below(20) as i64),
                    });
                    Arc::new(values.collect::<Int64Array>())
                }
                "boolean_flips" => {
                    let values: Vec<bool> = (0..rows).map(|_| dice.below(10) == 0).collect();
                    Arc::new(BooleanArray::from(values))
                }
                _ => Arc::new(StringArray::from_iter_values((0..rows).map(
                    |row| match name {
                        "text_level" => {
                            ["info", "warning", "error"][dice.below(3) as usize].to_string()
                        }
                        "text_message" => format!(
                            "request {} took {} ms",
                            ["GET /a", "POST /b", "GET /index"][dice.below(3) as usize],
                            dice.below(1000)
                        ),
                        "text_unique" => format!("{:016x}", dice.next()),
                        "text_path" => format!("/var/log/series/{series}/{row:08}.log"),
                        _ => String::new(),
                    },
                ))),
            }
        },
    }
}

/// The workload's rows in order, in batches as merging gives them.
fn batches(workload: &Workload, columns: &[&Column]) -> Vec<Merged> {
    let mut dice = Dice(7);
    let schema = file_schema(&workload.table, columns);
    let rows = workload.rows_per_series;
    let series_at_once = (BATCH_ROWS / rows).max(1);
    let mut merged = Vec::new();
    for (number, tags) in workload.tags.chunks(series_at_once).enumerate() {
        let first = number * series_at_once;
        let mut position = 0;
        let values: Vec<ArrayRef> = columns
            .iter()
            .map(|column| match column.kind {
                ColumnKind::Tag => {
                    let values: Vec<&str> =
                        tags.iter().map(|tags| tags[position].as_str()).collect();
                    position += 1;
                    let codes = (0..tags.len()).flat_map(|tag| vec![tag as i32; rows]);
                    let codes = Int32Array::from_iter_values(codes);
                    let values = StringArray::from(values);
                    Arc::new(DictionaryArray::new(codes, Arc::new(values))) as ArrayRef
                }
                ColumnKind::Time => {
                    let times = (0..tags.len()).flat_map(|_| times(rows));
                    Arc::new(TimestampNanosecondArray::from_iter_values(times))
                }
                ColumnKind::Field(_) => {
                    let parts: Vec<ArrayRef> = (0..tags.len())
                        .map(|at| (workload.fields)(&mut dice, &column.name, first + at, rows))
                        .collect();
                    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
                    concat(&parts).unwrap()
                }
            })
            .collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), values).unwrap();
        merged.push(Merged {
            ranks: (0..tags.len())
                .flat_map(|at| vec![(first + at) as u32; rows])
                .collect(),
            times: (0..tags.len()).flat_map(|_| times(rows)).collect(),
            batch,
        });
    }
    merged
}

fn times(rows: usize) -> impl Iterator<Item = i64> {
    (0..rows as i64).map(|row| START_NS + row * STEP_NS)
}

fn keys(workload: &Workload) -> Vec<Vec<u8>> {
    let key = |tags: &Vec<String>| {
        let mut key = Vec::new();
        encode_series_key(tags.iter().map(|tag| Some(tag.as_str())), &mut key);
        key
    };
    workload.tags.iter().map(key).collect()
}

fn write(workload: &Workload) -> (WrittenFile, Duration) {
    let columns = file_columns(&workload.table, |_| true);
    let merged = batches(workload, &columns);
    let keys = keys(workload);
    let schema = file_schema(&workload.table, &columns);
    let rows = merged.iter().map(|rows| rows.times.len() as u64).sum();
    let started = Instant::now();
    let mut writer = FileWriter::new(&columns, schema, rows).unwrap();
    for merged in &merged {
        writer.write(merged).unwrap();
    }
    let file = writer.finish(|rank| &keys[rank as usize]).unwrap();
    (file, started.elapsed())
}

fn describe(name: &str, file: &WrittenFile, took: Duration) {
    let rows = file.rows as f64;
    println!(
        "{name}: {} rows, {} bytes, {:.4} bytes per row, {:.0} ns per row to write",
        file.rows,
        file.bytes.len(),
        file.bytes.len() as f64 / rows,
        took.as_nanos() as f64 / rows,
    );
    let reader = SerializedFileReader::new(bytes::Bytes::from(file.bytes.clone())).unwrap();
    let groups = reader.metadata().row_groups();
    println!(
        "  {:22} {:.4} bytes per row",
        "footer",
        file.footer_bytes as f64 / rows
    );
    for column in 0..groups[0].num_columns() {
        let bytes: i64 = groups
            .iter()
            .map(|group| group.column(column).compressed_size())
            .sum();
        let chunk = groups[0].column(column);
        let encodings: Vec<_> = chunk.encodings().collect();
        println!(
            "  {:22} {:.4} bytes per row, {encodings:?}",
            chunk.column_descr().name(),
            bytes as f64 / rows,
        );
    }
}

/// Opens the file and reads one series and everything, as queries do.
async fn look_up(workload: &Workload, file: &WrittenFile) {
    let store: Store = in_memory();
    let path = Path::from("file");
    let payload = PutPayload::from(file.bytes.clone());
    store.put(&path, payload).await.unwrap();
    let buffer = Buffer::default();
    let table: Arc<TableBuffer> = buffer.table(DatabaseId(1), workload.table.id);
    let footers = Arc::new(FileCache::new(256 << 20));
    let data_file = Arc::new(DataFile::new(entry(workload, file), path, footers));
    let started = Instant::now();
    let footer = data_file.footer(&store, &table).await.unwrap();
    println!(
        "  footer of {} series read in {:?}, {} bytes kept",
        footer.series.len(),
        started.elapsed(),
        footer.memory_bytes
    );
    let chosen = footer.series.len() / 2;
    let first = chosen
        .checked_sub(1)
        .map_or(0, |before| footer.ends[before]);
    for fields in [1, 10] {
        let names: Arc<[String]> = workload
            .table
            .columns()
            .iter()
            .filter(|column| matches!(column.kind, ColumnKind::Field(_)))
            .take(fields)
            .map(|column| column.name.to_string())
            .collect();
        for what in ["one series", "everything"] {
            let series = if what == "one series" {
                vec![(0, first, footer.ends[chosen])]
            } else {
                vec![(0, 0, file.rows)]
            };
            let selection = FileSelection {
                file: Arc::clone(&data_file),
                footer: Arc::clone(&footer),
                series: Arc::new(series),
                fields: Arc::clone(&names),
                time_range: i64::MIN..=i64::MAX,
                filter: None,
                keeps: false,
                batch_rows: 8192,
            };
            let started = Instant::now();
            let mut reader = FileReader::open(selection, &store).unwrap();
            let mut rows = 0;
            while let Some(chunk) = reader.next().await.unwrap() {
                rows += chunk.times.len();
            }
            println!(
                "  {what}, {fields} fields: {rows} rows in {:?}",
                started.elapsed()
            );
        }
    }
}

fn entry(workload: &Workload, file: &WrittenFile) -> FileEntry {
    FileEntry {
        id: 1,
        database: DatabaseId(1),
        table: workload.table.id,
        min_time: file.min_time,
        max_time: file.max_time,
        rows: file.rows,
        series: file.series,
        bytes: file.bytes.len() as u64,
        first_sequence: 1,
        last_sequence: 1,
        crc32: crc32fast::hash(&file.bytes),
        footer_bytes: file.footer_bytes,
        footer_crc32: file.footer_crc32,
        deletes_applied: 0,
        created_ms: 0,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let hosts: usize = arguments.next().map_or(100, |hosts| hosts.parse().unwrap());
    let folder = arguments.next().map(PathBuf::from);
    let mut workloads = vec![("tsbs", tsbs(hosts).await), ("mixed", mixed().await)];
    let mut many = tsbs(1_000_000).await;
    many.rows_per_series = 1;
    workloads.push(("tsbs, a million series", many));
    for (name, workload) in workloads {
        let (file, took) = write(&workload);
        describe(name, &file, took);
        look_up(&workload, &file).await;
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{name}.parquet")), &file.bytes).unwrap();
        }
    }
}
