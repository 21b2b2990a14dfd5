//! Files as wholes: what is written is read, only what is needed is read, and damage is found where it is read.

use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::compute::concat;
use arrow::datatypes::Int64Type;
use catalog::{Catalog, ColumnKind, DatabaseId, FieldType, Limits, Table, TableAdditions};
use runtime::clock::SystemClock;
use runtime::object_store::{ObjectStoreExt, PutPayload, in_memory};
use runtime::{ErrorKind, Random, Tasks, World};

use super::read::{FileReader, FileSelection};
use super::write::{FileWriter, PAGE_ROWS, WrittenFile, file_columns, file_schema};
use super::*;
use crate::buffer::Buffer;
use crate::merge::Merged;
use crate::series::encode_series_key;

const FIELDS: [(&str, FieldType); 7] = [
    ("boolean", FieldType::Boolean),
    ("float", FieldType::Float),
    ("integer", FieldType::Integer),
    ("sparse", FieldType::Integer),
    ("text", FieldType::String),
    ("unsigned", FieldType::Unsigned),
    ("walk", FieldType::Integer),
];

async fn table() -> Arc<Table> {
    let world = World {
        clock: Arc::new(SystemClock::new()),
        random: Random::seeded(1),
        store: in_memory(),
        tasks: Tasks::new(),
    };
    let catalog = Catalog::open("node", &world, Limits::default())
        .await
        .expect("catalog");
    let tag = ("tag".to_string(), ColumnKind::Tag);
    let fields = FIELDS.map(|(name, kind)| (name.to_string(), ColumnKind::Field(kind)));
    let additions = TableAdditions {
        table: "m".to_string(),
        columns: [tag].into_iter().chain(fields).collect(),
    };
    catalog
        .extend_schema("db", &[additions])
        .await
        .expect("table");
    let snapshot = catalog.snapshot();
    let database = snapshot.database_named("db").expect("database");
    Arc::clone(database.table_named("m").expect("table"))
}

/// A mixture that depends on the row alone.
fn noise(row: usize) -> u64 {
    (row as u64 + 1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
        ^ row as u64
}

fn values(name: &str, rows: std::ops::Range<usize>) -> ArrayRef {
    match name {
        "boolean" => Arc::new(
            rows.map(|row| (row % 11 > 0).then_some(row % 3 == 0))
                .collect::<BooleanArray>(),
        ),
        "float" => Arc::new(
            rows.map(|row| (row % 13 > 0).then_some(noise(row) as f64 / 7.0))
                .collect::<Float64Array>(),
        ),
        "integer" => Arc::new(
            rows.map(|row| Some(noise(row) as i64))
                .collect::<Int64Array>(),
        ),
        // Long stretches without, long ones with, and some that alternate.
        "sparse" => Arc::new(
            rows.map(|row| match row / 1000 % 3 {
                0 => None,
                1 => Some(row as i64 / 10),
                _ => noise(row)
                    .is_multiple_of(3)
                    .then_some(i64::MIN + row as i64),
            })
            .collect::<Int64Array>(),
        ),
        "text" => Arc::new(
            rows.map(|row| (row % 5 > 0).then(|| format!("text {}", noise(row) % 900)))
                .collect::<StringArray>(),
        ),
        "unsigned" => Arc::new(
            rows.map(|row| Some(u64::MAX - noise(row) % 1000))
                .collect::<UInt64Array>(),
        ),
        _ => Arc::new(
            rows.map(|row| Some(noise(row) as i64 % 3 + row as i64 / 9))
                .collect::<Int64Array>(),
        ),
    }
}

/// Where a column of nulls should be.
fn all_null(name: &str, rows: std::ops::Range<usize>) -> ArrayRef {
    arrow::array::new_null_array(values(name, 0..1).data_type(), rows.len())
}

fn key(series: usize) -> Vec<u8> {
    let mut key = Vec::new();
    encode_series_key(
        [Some(format!("s{series:04}").as_str())].into_iter(),
        &mut key,
    );
    key
}

/// A file of series of equal length in its store, and everything to read it.
struct Stored {
    store: Store,
    file: Arc<DataFile>,
    table: Arc<TableBuffer>,
    footers: Arc<FileCache>,
    bytes: Vec<u8>,
    rows_per_series: usize,
}

fn write(
    table: &Table,
    series: usize,
    rows_per_series: usize,
    batch_rows: usize,
    values: fn(&str, std::ops::Range<usize>) -> ArrayRef,
) -> WrittenFile {
    let columns = file_columns(table, |_| true);
    let schema = file_schema(table, &columns);
    let rows = series * rows_per_series;
    let mut writer = FileWriter::new(&columns, Arc::clone(&schema), rows as u64).expect("writer");
    let names: Vec<String> = (0..series).map(|series| format!("s{series:04}")).collect();
    let names: ArrayRef = Arc::new(StringArray::from(names));
    for start in (0..rows).step_by(batch_rows) {
        let range = start..rows.min(start + batch_rows);
        let ranks: Vec<u32> = range
            .clone()
            .map(|row| (row / rows_per_series) as u32)
            .collect();
        let times: Vec<i64> = range
            .clone()
            .map(|row| (row % rows_per_series) as i64 * 10)
            .collect();
        let arrays: Vec<ArrayRef> = columns
            .iter()
            .map(|column| match column.kind {
                ColumnKind::Tag => {
                    let codes: Int32Array = ranks.iter().map(|rank| *rank as i32).collect();
                    Arc::new(DictionaryArray::new(codes, Arc::clone(&names))) as ArrayRef
                }
                ColumnKind::Time => Arc::new(TimestampNanosecondArray::from(times.clone())),
                ColumnKind::Field(_) => values(&column.name, range.clone()),
            })
            .collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).expect("batch");
        writer
            .write(&Merged {
                batch,
                ranks,
                times,
            })
            .expect("write");
    }
    assert!(writer.encoded_bytes() > 0);
    let keys: Vec<Vec<u8>> = (0..series).map(key).collect();
    writer.finish(|rank| &keys[rank as usize]).expect("finish")
}

async fn store(written: WrittenFile, rows_per_series: usize) -> Stored {
    let entry = FileEntry {
        id: 7,
        database: DatabaseId(1),
        table: catalog::TableId(1),
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
    let footers = Arc::new(FileCache::new(64 << 20));
    let path = Path::from("node/dbs/1/1/7.parquet");
    let stored = Stored {
        store: in_memory(),
        table: Buffer::default().table(entry.database, entry.table),
        file: Arc::new(DataFile::new(entry, path, Arc::clone(&footers))),
        footers,
        bytes: written.bytes,
        rows_per_series,
    };
    stored.put(stored.bytes.clone()).await;
    stored
}

impl Stored {
    async fn put(&self, bytes: Vec<u8>) {
        let payload = PutPayload::from(bytes);
        self.store.put(&self.file.path, payload).await.expect("put");
    }

    /// The time column and these fields of these series.
    async fn read(
        &self,
        series: std::ops::Range<usize>,
        fields: &[&str],
    ) -> Result<(Vec<i64>, Vec<ArrayRef>), Error> {
        let footer = self.file.footer(&self.store, &self.table).await?;
        let rows = |series: usize| (series * self.rows_per_series) as u64;
        let selection = FileSelection {
            file: Arc::clone(&self.file),
            footer,
            series: Arc::new(
                series
                    .map(|series| (series as u32, rows(series), rows(series + 1)))
                    .collect(),
            ),
            fields: fields.iter().map(|field| field.to_string()).collect(),
            time_range: i64::MIN..=i64::MAX,
            filter: None,
            keeps: false,
            batch_rows: 1000,
        };
        let mut reader = FileReader::open(selection, &self.store)?;
        let mut times = Vec::new();
        let mut arrays: Vec<Vec<ArrayRef>> = vec![Vec::new(); fields.len()];
        while let Some(chunk) = reader.next().await? {
            times.extend_from_slice(&chunk.times);
            for (arrays, values) in arrays.iter_mut().zip(chunk.fields) {
                arrays.push(values.expect("the file has the field"));
            }
        }
        let arrays = arrays.iter().map(|arrays| {
            let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
            concat(&arrays).expect("one type")
        });
        Ok((times, arrays.collect()))
    }

    /// Where the first data page of a column that has this row lies.
    async fn page(&self, name: &str, row: i64) -> std::ops::Range<usize> {
        let footer = self
            .file
            .footer(&self.store, &self.table)
            .await
            .expect("footer");
        let metadata = footer.metadata.metadata();
        let columns = metadata.file_metadata().schema_descr().columns();
        let at = columns
            .iter()
            .position(|column| column.name() == name)
            .expect("column");
        let pages = metadata.offset_index().expect("offset index")[0][at].page_locations();
        let page = pages
            .iter()
            .rfind(|page| page.first_row_index <= row)
            .expect("page");
        let start = page.offset as usize;
        start..start + page.compressed_page_size as usize
    }
}

#[tokio::test]
async fn what_is_written_is_read() {
    let table = table().await;
    let names = FIELDS.map(|(name, _)| name);
    // Batches that are smaller and larger than pages, that fit and that straddle; a group of nothing but a sample.
    for (series, rows_per_series, batch_rows) in
        [(1, 1, 1), (3, 5, 15), (40, 1000, 777), (5, 9001, 20_000)]
    {
        for make in [values, all_null] {
            let written = write(&table, series, rows_per_series, batch_rows, make);
            let stored = store(written, rows_per_series).await;
            for part in [0..series, series / 2..series / 2 + 1] {
                let (times, arrays) = stored.read(part.clone(), &names).await.expect("read");
                let rows = part.start * rows_per_series..part.end * rows_per_series;
                let expected: Vec<i64> = rows
                    .clone()
                    .map(|row| (row % rows_per_series) as i64 * 10)
                    .collect();
                assert_eq!(times, expected);
                for (name, array) in names.iter().zip(arrays) {
                    assert_eq!(array.as_ref(), make(name, rows.clone()).as_ref(), "{name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_footer_knows_series_rows_and_times() {
    let table = table().await;
    let stored = store(write(&table, 3, 100, 64, values), 100).await;
    let footer = stored
        .file
        .footer(&stored.store, &stored.table)
        .await
        .expect("footer");
    assert_eq!(footer.ends, [100, 200, 300]);
    assert_eq!(footer.times, [(0, 990); 3]);
    let known = stored.table.series.read();
    for (at, number) in footer.series.iter().enumerate() {
        assert_eq!(known.key(*number).as_ref(), key(at));
    }
}

#[tokio::test]
async fn of_a_large_file_only_what_is_needed_is_read_and_that_is_checked() {
    let table = table().await;
    let rows = 5 * PAGE_ROWS;
    let stored = store(write(&table, 2, rows, 10_000, values), rows).await;
    assert!(stored.bytes.len() > 256 << 10);
    let (_, whole) = stored.read(0..2, &["integer"]).await.expect("read");
    let second = whole[0].slice(rows, rows);
    // All but one page of one column, the times beside it, and the footer.
    let footer = stored.bytes.len() - stored.file.entry.footer_bytes as usize;
    for column in ["integer", "time"] {
        for row in [0, PAGE_ROWS, rows, rows + PAGE_ROWS] {
            let page = stored.page(column, row as i64).await;
            assert!(page.end <= footer);
            for at in [page.start, page.start + 20, page.end - 1] {
                let mut hit = stored.bytes.clone();
                hit[at] ^= 4;
                stored.put(hit).await;
                let outcome = stored.read(1..2, &["integer"]).await;
                if row < rows {
                    let (_, arrays) = outcome.expect("the damage is elsewhere");
                    assert_eq!(
                        arrays[0].as_primitive::<Int64Type>(),
                        second.as_primitive::<Int64Type>()
                    );
                } else {
                    let fault = outcome.expect_err("damage");
                    assert_eq!(fault.kind(), ErrorKind::Corrupt);
                    assert!(
                        fault.message().starts_with("file node/dbs/1/1/7.parquet"),
                        "{fault}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn damage_in_the_footer_of_a_large_file_is_found() {
    let table = table().await;
    let stored = store(write(&table, 40, 1000, 8192, values), 1000).await;
    let bytes = stored.bytes.len();
    assert!(bytes > 256 << 10);
    let footer = bytes - stored.file.entry.footer_bytes as usize;
    for at in [
        footer,
        footer + 9,
        footer + 200,
        (footer + bytes) / 2,
        bytes - 9,
        bytes - 6,
        bytes - 1,
    ] {
        let mut hit = stored.bytes.clone();
        hit[at] ^= 1;
        stored.put(hit).await;
        let fault = stored.read(0..1, &["float"]).await.expect_err("damage");
        assert_eq!(fault.kind(), ErrorKind::Corrupt, "{fault}");
    }
    for shorter in [0, 1, footer, bytes - 1] {
        stored.put(stored.bytes[..shorter].to_vec()).await;
        let fault = stored.read(0..1, &["float"]).await.expect_err("too short");
        assert_eq!(fault.kind(), ErrorKind::Corrupt, "{fault}");
    }
    assert_eq!(stored.footers.statistics().footers, 0);
    stored.put(stored.bytes.clone()).await;
    stored.read(0..1, &["float"]).await.expect("whole again");
}

#[tokio::test]
async fn footers_are_read_once_kept_within_bounds_and_go_with_their_file() {
    let table = table().await;
    let stored = store(write(&table, 3, 100, 64, values), 100).await;
    let reads = AtomicU64::new(0);
    let slowly = || async {
        reads.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        read::read_footer(
            &stored.store,
            &stored.file.path,
            &stored.file.entry,
            &stored.table,
        )
        .await
    };
    let (first, second) = tokio::join!(
        stored.footers.get(7, slowly()),
        stored.footers.get(7, slowly())
    );
    let first = first.expect("footer");
    assert!(Arc::ptr_eq(&first, &second.expect("footer")));
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    let third = stored
        .file
        .footer(&stored.store, &stored.table)
        .await
        .expect("footer");
    assert!(Arc::ptr_eq(&first, &third));
    let statistics = stored.footers.statistics();
    assert_eq!(
        (statistics.footers, statistics.hits, statistics.misses),
        (1, 1, 2)
    );
    assert_eq!(statistics.footer_bytes, first.memory_bytes as u64);
    assert!(
        first.memory_bytes > stored.bytes.len(),
        "a small file is kept whole"
    );

    // One that is larger than the cache is used all the same.
    let small = Arc::new(FileCache::new(2 * first.memory_bytes - 2));
    let file = DataFile::new(
        stored.file.entry.clone(),
        stored.file.path.clone(),
        Arc::clone(&small),
    );
    for _ in 0..2 {
        let footer = file
            .footer(&stored.store, &stored.table)
            .await
            .expect("footer");
        assert_eq!(footer.ends, first.ends);
    }
    assert_eq!(
        (small.statistics().footer_bytes, small.statistics().misses),
        (0, 2)
    );

    let footers = Arc::clone(&stored.footers);
    drop(stored);
    assert_eq!(footers.statistics().footer_bytes, 0);
}
