//! A map that does slowly and plainly what the engine must do, and the comparison of the two.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt64Type,
};
use catalog::{ColumnKind, Table};
use futures::TryStreamExt;
use storage::schema::columns_by_name;
use storage::{DeleteRequest, Error, RowFilter, ScanRequest, SeriesFilter};

use crate::setup::{DATABASE, Node};

pub(crate) type Tags = BTreeMap<String, String>;
/// Values as line protocol writes them.
pub(crate) type Fields = BTreeMap<String, String>;
pub(crate) type Rows = BTreeMap<(Tags, i64), Fields>;

/// A point of a write.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) table: String,
    pub(crate) tags: Tags,
    pub(crate) fields: Fields,
    pub(crate) time: i64,
}

impl Point {
    pub(crate) fn line(&self) -> String {
        let escape = |name: &str| {
            name.replace(',', "\\,")
                .replace('=', "\\=")
                .replace(' ', "\\ ")
        };
        let mut line = self.table.clone();
        for (key, value) in &self.tags {
            write!(line, ",{}={}", escape(key), escape(value)).expect("write");
        }
        let mut separator = ' ';
        for (key, value) in &self.fields {
            write!(line, "{separator}{}={value}", escape(key)).expect("write");
            separator = ',';
        }
        writeln!(line, " {}", self.time).expect("write");
        line
    }
}

/// A string value in line protocol.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// All that was written, newest values only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) tables: BTreeMap<String, Rows>,
}

impl Model {
    pub(crate) fn write(&mut self, points: &[Point]) -> String {
        let mut text = String::new();
        for point in points {
            text.push_str(&point.line());
            let rows = self.tables.entry(point.table.clone()).or_default();
            let row = rows.entry((point.tags.clone(), point.time)).or_default();
            row.extend(point.fields.clone());
        }
        text
    }
}

/// Which rows of a table to delete.
#[derive(Clone, Debug)]
pub(crate) struct Deletion {
    pub(crate) times: RangeInclusive<i64>,
    /// A tag and the value it must have.
    pub(crate) tag: Option<(String, String)>,
    /// A field that must have a value.
    pub(crate) field: Option<String>,
}

impl Deletion {
    pub(crate) fn between(times: RangeInclusive<i64>) -> Self {
        Self {
            times,
            tag: None,
            field: None,
        }
    }

    fn takes(&self, (tags, time): &(Tags, i64), fields: &Fields) -> bool {
        self.times.contains(time)
            && self
                .tag
                .as_ref()
                .is_none_or(|(tag, value)| tags.get(tag) == Some(value))
            && self
                .field
                .as_ref()
                .is_none_or(|field| fields.contains_key(field))
    }
}

impl Model {
    /// Deletes in the model; answers how many rows went.
    pub(crate) fn delete(&mut self, table: &str, deletion: &Deletion) -> u64 {
        let Some(rows) = self.tables.get_mut(table) else {
            return 0;
        };
        let before = rows.len();
        rows.retain(|key, fields| !deletion.takes(key, fields));
        (before - rows.len()) as u64
    }
}

/// Deletes in a node; answers how many rows it says went. A table that does not exist has none.
pub(crate) async fn delete(node: &Node, table: &str, deletion: &Deletion) -> Result<u64, Error> {
    let snapshot = node.catalog.snapshot();
    let Some(database) = snapshot.database(DATABASE) else {
        return Ok(0);
    };
    let Some(table) = database.table(table) else {
        return Ok(0);
    };
    let position = |name: &str| {
        columns_by_name(table)
            .iter()
            .position(|column| *column.name == *name)
    };
    let mut row_filter = None;
    if let Some(field) = &deletion.field {
        let Some(at) = position(field) else {
            return Ok(0);
        };
        row_filter = Some(RowFilter {
            columns: vec![at],
            matches: Arc::new(|rows: &RecordBatch| {
                let column = rows.column(0);
                Ok((0..rows.num_rows())
                    .map(|row| Some(column.is_valid(row)))
                    .collect())
            }),
        });
    }
    let request = DeleteRequest {
        database: database.id,
        table: Arc::clone(table),
        time_range: deletion.times.clone(),
        series_filter: deletion
            .tag
            .clone()
            .map(|(tag, value)| filter(table, tag, value)),
        row_filter,
    };
    node.engine
        .delete(request)
        .await
        .map(|deleted| deleted.rows)
}

/// What to ask of a table.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) partitions: usize,
    pub(crate) times: RangeInclusive<i64>,
    /// A tag and the value it must have.
    pub(crate) tag: Option<(String, String)>,
    /// Fields to leave out.
    pub(crate) without: BTreeSet<String>,
}

impl Question {
    pub(crate) fn all(partitions: usize) -> Self {
        Self {
            partitions,
            times: i64::MIN..=i64::MAX,
            tag: None,
            without: BTreeSet::new(),
        }
    }

    fn answer(&self, rows: &Rows) -> Rows {
        rows.iter()
            .filter(|((tags, time), _)| {
                self.times.contains(time)
                    && self
                        .tag
                        .as_ref()
                        .is_none_or(|(tag, value)| tags.get(tag) == Some(value))
            })
            .map(|(key, fields)| {
                let mut fields = fields.clone();
                fields.retain(|name, _| !self.without.contains(name));
                (key.clone(), fields)
            })
            .collect()
    }
}

/// Asks every table of the model in every way given; the answers must be the model's.
pub(crate) async fn check(node: &Node, model: &Model, questions: &[Question]) {
    for (table, rows) in &model.tables {
        for question in questions {
            let found = ask(node, table, question).await;
            let expected = question.answer(rows);
            if found != expected {
                let missing = expected
                    .iter()
                    .find(|(key, fields)| found.get(key) != Some(*fields));
                let excess = found.iter().find(|(key, _)| !expected.contains_key(key));
                panic!(
                    "{table} {question:?}: {} rows, expected {}; expected {missing:?}, found {:?}; too much {excess:?}",
                    found.len(),
                    expected.len(),
                    missing.and_then(|(key, _)| found.get(key)),
                );
            }
        }
    }
}

pub(crate) async fn check_all(node: &Node, model: &Model) {
    check(node, model, &[Question::all(1), Question::all(4)]).await;
}

/// Scans a table; a row that comes twice is a failure.
pub(crate) async fn ask(node: &Node, table: &str, question: &Question) -> Rows {
    try_ask(node, table, question).await.expect("scan")
}

/// The same, where an error is an answer.
pub(crate) async fn try_ask(node: &Node, table: &str, question: &Question) -> Result<Rows, Error> {
    let (table, batches) = scan(node, table, question).await?;
    let mut rows = Rows::new();
    for batch in batches {
        collect(&table, &batch, &mut rows);
    }
    Ok(rows)
}

/// Everything a scan returns, unlooked at.
pub(crate) async fn scan(
    node: &Node,
    table: &str,
    question: &Question,
) -> Result<(Arc<Table>, Vec<RecordBatch>), Error> {
    let snapshot = node.catalog.snapshot();
    let database = snapshot.database(DATABASE).expect("database");
    let table = database.table(table).expect("table");
    let projection = columns_by_name(table)
        .iter()
        .enumerate()
        .filter(|(_, column)| !question.without.contains(column.name.as_ref()))
        .map(|(at, _)| at)
        .collect();
    let scan = node
        .engine
        .scan(ScanRequest {
            database: database.id,
            table: Arc::clone(table),
            projection,
            time_range: question.times.clone(),
            series_filter: question
                .tag
                .clone()
                .map(|(tag, value)| filter(table, tag, value)),
            partitions: question.partitions,
            row_filter: None,
            wanted: storage::Wanted::All,
        })
        .await?;
    assert!((1..=question.partitions).contains(&scan.partitions()));
    let mut all = Vec::new();
    for partition in 0..scan.partitions() {
        let batches: Vec<RecordBatch> = scan.stream(partition).try_collect().await?;
        for batch in &batches {
            assert_eq!(&batch.schema(), scan.schema());
        }
        all.extend(batches);
    }
    Ok((Arc::clone(table), all))
}

fn filter(table: &Table, tag: String, value: String) -> SeriesFilter {
    let columns = columns_by_name(table);
    let place = columns.iter().position(|column| *column.name == *tag);
    SeriesFilter {
        columns: place.into_iter().collect(),
        matches: Arc::new(move |series: &RecordBatch| {
            let Some(column) = series.column_by_name(&tag) else {
                return Ok(BooleanArray::from(vec![false; series.num_rows()]));
            };
            Ok((0..series.num_rows())
                .map(|row| text_at(column, row).map(|found| found == value))
                .collect())
        }),
    }
}

fn text_at(column: &dyn Array, row: usize) -> Option<String> {
    let tags = column.as_dictionary::<Int32Type>();
    let key = tags.keys().is_valid(row).then(|| tags.keys().value(row))?;
    Some(
        tags.values()
            .as_string::<i32>()
            .value(key as usize)
            .to_string(),
    )
}

fn collect(table: &Table, batch: &RecordBatch, rows: &mut Rows) {
    let schema = batch.schema();
    for row in 0..batch.num_rows() {
        let mut tags = Tags::new();
        let mut fields = Fields::new();
        let mut time = None;
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            let name = field.name();
            match table.column(name).expect("column").kind {
                ColumnKind::Time => {
                    time = Some(column.as_primitive::<TimestampNanosecondType>().value(row));
                }
                ColumnKind::Tag => {
                    tags.extend(text_at(column, row).map(|value| (name.clone(), value)));
                }
                ColumnKind::Field(_) if column.is_null(row) => {}
                ColumnKind::Field(_) => {
                    fields.insert(name.clone(), value_at(column, row));
                }
            }
        }
        let key = (tags, time.expect("a time"));
        assert!(!rows.contains_key(&key), "{key:?} comes twice");
        rows.insert(key, fields);
    }
}

fn value_at(column: &dyn Array, row: usize) -> String {
    match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Int64 => format!("{}i", column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => format!("{}u", column.as_primitive::<UInt64Type>().value(row)),
        DataType::Utf8 => quoted(column.as_string::<i32>().value(row)),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        other => panic!("unexpected type {other}"),
    }
}
