//! Looking at a node: scans as rows of the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt64Type,
};
use catalog::{ColumnKind, Database, Table};
use futures::TryStreamExt;
use storage::schema::columns_by_name;
use storage::{
    Asked, DeleteRequest, Error, ErrorKind, KnownRows, RowFilter, ScanRequest, SeriesFilter, Wanted,
};

use crate::model::{Delete, Fields, Key, Question, Rows, TableName, Tags};
use crate::node::Node;
use crate::points::quoted;

/// A table as the node knows it now; `None` when there is none.
pub(crate) fn find(node: &Node, name: &TableName) -> Option<(Arc<Database>, Arc<Table>)> {
    let snapshot = node.catalog.snapshot();
    let database = snapshot.database(&name.database)?;
    let table = database.table(&name.table)?;
    Some((Arc::clone(database), Arc::clone(table)))
}

/// The rows of a table that a question asks for. A row that comes twice is `Internal`, as is any other nonsense.
pub(crate) async fn ask(node: &Node, name: &TableName, question: &Question) -> Result<Rows, Error> {
    match ask_once(node, name, question).await {
        // A write that nobody waits for may come in between two scans.
        Err(fault) if fault.kind() == ErrorKind::Internal => ask_once(node, name, question).await,
        answer => answer,
    }
}

async fn ask_once(node: &Node, name: &TableName, question: &Question) -> Result<Rows, Error> {
    let Some((database, table)) = find(node, name) else {
        return Ok(Rows::new());
    };
    let mut projection: Vec<usize> = columns_by_name(&table)
        .iter()
        .enumerate()
        .filter(|(_, column)| !question.without.contains(column.name.as_ref()))
        .map(|(at, _)| at)
        .collect();
    let turned = question.rotation % projection.len().max(1);
    projection.rotate_left(turned);
    let request = ScanRequest {
        database: database.id,
        table: Arc::clone(&table),
        projection,
        time_range: question.times.clone(),
        series_filter: question
            .tag
            .clone()
            .map(|(tag, value)| filter(&table, tag, value)),
        partitions: question.partitions,
        row_filter: None,
        wanted: Wanted::All,
    };
    let mut rows = Rows::new();
    for batch in batches(node, request.clone()).await? {
        collect(&table, &batch, &mut rows)?;
    }
    if question.partitions.is_multiple_of(2) {
        check_newest(node, &table, request.clone(), &rows).await?;
        check_filtered(node, &table, request.clone(), &rows).await?;
        check_known(node, request.clone(), &rows).await?;
        check_count(node, request, rows.len()).await?;
    }
    Ok(rows)
}

async fn batches(node: &Node, request: ScanRequest) -> Result<Vec<RecordBatch>, Error> {
    let scan = node.engine.scan(request).await?;
    let mut all = Vec::new();
    for partition in 0..scan.partitions() {
        let batches: Vec<RecordBatch> = scan.stream(partition).try_collect().await?;
        if batches.iter().any(|batch| batch.schema() != *scan.schema()) {
            return Err(Error::internal("a batch has not the scan's schema"));
        }
        all.extend(batches);
    }
    Ok(all)
}

/// A scan for the newest rows must have those of `rows`, which are all, and nothing that is not in `rows`.
async fn check_newest(
    node: &Node,
    table: &Table,
    mut request: ScanRequest,
    rows: &Rows,
) -> Result<(), Error> {
    request.wanted = Wanted::NewestOfSeries;
    let mut found = Rows::new();
    for batch in batches(node, request).await? {
        collect(table, &batch, &mut found)?;
    }
    let nonsense = |key: &Key| Error::internal(format!("the newest rows are wrong at {key:?}"));
    if let Some((key, _)) = found.iter().find(|(key, row)| rows.get(*key) != Some(*row)) {
        return Err(nonsense(key));
    }
    let newest: BTreeMap<&Tags, &Key> = rows.keys().map(|key| (&key.0, key)).collect();
    match newest.into_values().find(|key| !found.contains_key(*key)) {
        Some(key) => Err(nonsense(key)),
        None => Ok(()),
    }
}

/// A scan that may leave out rows without a value in some field must have the others, and nothing that is not in `rows`, which are all.
async fn check_filtered(
    node: &Node,
    table: &Table,
    mut request: ScanRequest,
    rows: &Rows,
) -> Result<(), Error> {
    let columns = columns_by_name(table);
    let field = request
        .projection
        .iter()
        .find(|at| matches!(columns[**at].kind, ColumnKind::Field(_)));
    let Some(field) = field.copied() else {
        return Ok(());
    };
    request.row_filter = Some(RowFilter {
        columns: vec![field],
        matches: Arc::new(|rows: &RecordBatch| {
            let values = rows.column(0);
            Ok((0..values.len())
                .map(|row| Some(values.is_valid(row)))
                .collect())
        }),
    });
    let mut found = Rows::new();
    for batch in batches(node, request).await? {
        collect(table, &batch, &mut found)?;
    }
    let nonsense = |key: &Key| Error::internal(format!("filtered rows are wrong at {key:?}"));
    if let Some((key, _)) = found.iter().find(|(key, row)| rows.get(*key) != Some(*row)) {
        return Err(nonsense(key));
    }
    let name: &str = &columns[field].name;
    let has_value = |(_, fields): &(&Key, &Fields)| fields.contains_key(name);
    match rows
        .iter()
        .filter(has_value)
        .find(|(key, _)| !found.contains_key(*key))
    {
        Some((key, _)) => Err(nonsense(key)),
        None => Ok(()),
    }
}

/// What is known without reading and the rest of a scan must have as many rows as there are, from the first to the last time.
async fn check_known(node: &Node, mut request: ScanRequest, rows: &Rows) -> Result<(), Error> {
    let columns = columns_by_name(&request.table);
    request.projection = (0..columns.len())
        .filter(|at| columns[*at].kind == ColumnKind::Time)
        .collect();
    for count in [false, true] {
        let mut scan = node.engine.scan(request.clone()).await?;
        let mut known = KnownRows::default();
        let asked = Asked { count, times: true };
        if let Some((rest, found)) = scan.without_known(asked) {
            (scan, known) = (rest, found);
        }
        for partition in 0..scan.partitions() {
            let batches: Vec<RecordBatch> = scan.stream(partition).try_collect().await?;
            for batch in batches {
                let times = batch.column(0).as_primitive::<TimestampNanosecondType>();
                known.rows += times.len() as u64;
                for time in times.values() {
                    known.first_time = known.first_time.min(*time);
                    known.last_time = known.last_time.max(*time);
                }
            }
        }
        let times = || rows.keys().map(|(_, time)| *time);
        let expected = KnownRows {
            rows: if count { rows.len() as u64 } else { known.rows },
            first_time: times().min().unwrap_or(i64::MAX),
            last_time: times().max().unwrap_or(i64::MIN),
        };
        if known != expected {
            return Err(Error::internal(format!(
                "{known:?} instead of {expected:?}"
            )));
        }
    }
    Ok(())
}

/// A scan that only counts must count `expected` rows.
async fn check_count(node: &Node, mut request: ScanRequest, expected: usize) -> Result<(), Error> {
    request.wanted = Wanted::Count;
    request.projection.clear();
    let batches = batches(node, request).await?;
    let counted: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if counted == expected {
        return Ok(());
    }
    Err(Error::internal(format!(
        "{counted} rows are counted of {expected}"
    )))
}

/// The request for a delete; `None` when there is no such table.
pub(crate) fn delete_request(node: &Node, delete: &Delete) -> Option<DeleteRequest> {
    let (database, table) = find(node, &delete.table)?;
    let row_filter = match &delete.field {
        None => None,
        Some((field, least)) => {
            let columns = columns_by_name(&table);
            let at = columns.iter().position(|column| *column.name == **field)?;
            let least = *least;
            Some(RowFilter {
                columns: vec![at],
                matches: Arc::new(move |rows: &RecordBatch| {
                    let values =
                        rows.column(0)
                            .as_primitive_opt::<Int64Type>()
                            .ok_or_else(|| {
                                Error::internal("a row filter got a column of another type")
                            })?;
                    Ok(values
                        .iter()
                        .map(|value| value.map(|value| value >= least))
                        .collect())
                }),
            })
        }
    };
    let series_filter = delete.tag.clone();
    Some(DeleteRequest {
        database: database.id,
        time_range: delete.times.clone(),
        series_filter: series_filter.map(|(tag, value)| filter(&table, tag, value)),
        table,
        row_filter,
    })
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
    let values = tags.values().as_string::<i32>();
    Some(values.value(key as usize).to_string())
}

fn collect(table: &Table, batch: &RecordBatch, rows: &mut Rows) -> Result<(), Error> {
    let nonsense = |what: String| Error::new(ErrorKind::Internal, what);
    let schema = batch.schema();
    for row in 0..batch.num_rows() {
        let mut tags = Tags::new();
        let mut fields = Fields::new();
        let mut time = None;
        for (field, column) in schema.fields().iter().zip(batch.columns()) {
            let name = field.name();
            let known = table.column(name);
            match known.map(|column| column.kind) {
                None => return Err(nonsense(format!("column {name} is not in the table"))),
                Some(ColumnKind::Time) => {
                    time = Some(column.as_primitive::<TimestampNanosecondType>().value(row));
                }
                Some(ColumnKind::Tag) => {
                    tags.extend(text_at(column, row).map(|value| (name.clone(), value)));
                }
                Some(ColumnKind::Field(_)) if column.is_null(row) => {}
                Some(ColumnKind::Field(_)) => {
                    fields.insert(name.clone(), value_at(column, row)?);
                }
            }
        }
        let time = time.ok_or_else(|| nonsense("a row without a time".to_string()))?;
        let key = (tags, time);
        if rows.contains_key(&key) {
            return Err(nonsense(format!("{key:?} comes twice in {}", table.name)));
        }
        rows.insert(key, fields);
    }
    Ok(())
}

fn value_at(column: &dyn Array, row: usize) -> Result<String, Error> {
    Ok(match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Int64 => format!("{}i", column.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => format!("{}u", column.as_primitive::<UInt64Type>().value(row)),
        DataType::Utf8 => quoted(column.as_string::<i32>().value(row)),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        other => return Err(Error::internal(format!("unexpected type {other}"))),
    })
}
