//! The rows of one table that a request adds up, column by column.
//!
//! A row is pushed field by field and either finished or taken back whole. Columns that a row does not mention are
//! filled up only when they are next touched, so a row costs what its own fields cost.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_buffer::NullBufferBuilder;
use catalog::{ColumnId, ColumnKind, FieldType, Table, check_column};
use hashbrown::HashMap;
use line_protocol::{Field, Line, Value};

use crate::batch::Batch;
use crate::buffer::TableBuffer;
use crate::{Error, ErrorKind};

/// No column of the request has this place.
const NOWHERE: u32 = u32::MAX;

/// Rows of one table under construction.
#[derive(Debug)]
pub struct Rows {
    pub table: Arc<Table>,
    pub buffer: Arc<TableBuffer>,
    series: Vec<u32>,
    times: Vec<i64>,
    columns: Vec<Column>,
    /// By column id: its place in `columns`.
    places: Vec<u32>,
    /// By field key as written: its place in `columns`.
    by_key: HashMap<Box<str>, u32>,
    /// The places of the fields of the line before, in its order: the next line most likely has the same.
    expected: Vec<u32>,
    /// What the parser said of the keys of the row before ([`Line::keys`]), and for how many of `expected` that stands.
    keys: u64,
    keys_known: usize,
}

#[derive(Debug)]
struct Column {
    id: ColumnId,
    /// The key as last written, escapes and all.
    key: Box<str>,
    values: Values,
    nulls: NullBufferBuilder,
}

#[derive(Debug)]
enum Values {
    Float(Vec<f64>),
    Integer(Vec<i64>),
    Unsigned(Vec<u64>),
    String { ends: Vec<i32>, bytes: Vec<u8> },
    Boolean(Vec<bool>),
}

/// What became of a row.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    Yes,
    /// A field has no column yet; nothing was kept.
    NeedsColumn,
}

impl Rows {
    pub fn new(table: Arc<Table>, buffer: Arc<TableBuffer>) -> Self {
        Self {
            places: vec![NOWHERE; table.columns().len()],
            table,
            buffer,
            series: Vec::new(),
            times: Vec::new(),
            columns: Vec::new(),
            by_key: HashMap::new(),
            expected: Vec::new(),
            keys: 0,
            keys_known: 0,
        }
    }

    /// Values that the rows unfold into.
    pub fn cells(&self) -> u64 {
        self.times.len() as u64 * (self.columns.len() as u64 + 2)
    }

    /// Adds a row: a line of one parser, as all are. On an error, and when a column is missing, nothing of it is kept.
    ///
    /// `time` is asked for last, so that an error of a field comes before one of the timestamp.
    pub fn push(
        &mut self,
        series: u32,
        line: &Line<'_>,
        fields: &[Field<'_>],
        time: impl FnOnce() -> Result<i64, Error>,
    ) -> Result<Pushed, Error> {
        let row = self.times.len();
        let outcome = self.push_fields(row, line, fields).and_then(|pushed| {
            if pushed == Pushed::Yes {
                self.times.push(time()?);
                self.series.push(series);
            }
            Ok(pushed)
        });
        if !matches!(outcome, Ok(Pushed::Yes)) {
            for column in &mut self.columns {
                column.truncate(row);
            }
        }
        outcome
    }

    fn push_fields(
        &mut self,
        row: usize,
        line: &Line<'_>,
        fields: &[Field<'_>],
    ) -> Result<Pushed, Error> {
        if self.keys != line.keys {
            self.keys_known = 0;
        }
        let known = self.keys_known.min(fields.len());
        for (place, field) in self.expected[..known].iter().zip(fields) {
            // Keys that were found different for one row are so for all.
            let column = &mut self.columns[*place as usize];
            column.fill(row);
            column.push(field)?;
        }
        for (at, field) in fields.iter().enumerate().skip(known) {
            let place = match self.expected.get(at) {
                Some(place) if *self.columns[*place as usize].key == *field.key.raw => *place,
                _ => {
                    let Some(place) = self.find(field)? else {
                        return Ok(Pushed::NeedsColumn);
                    };
                    match self.expected.get_mut(at) {
                        Some(expected) => *expected = place,
                        None => self.expected.push(place),
                    }
                    place
                }
            };
            let column = &mut self.columns[place as usize];
            if column.len() > row {
                return Err(repeated_field(&field.key.unescape()));
            }
            column.fill(row);
            column.push(field)?;
        }
        self.keys = line.keys;
        self.keys_known = self.keys_known.max(fields.len());
        Ok(Pushed::Yes)
    }

    /// The place of a field's column; `None` when the table does not have it.
    fn find(&mut self, field: &Field<'_>) -> Result<Option<u32>, Error> {
        if let Some(place) = self.by_key.get(field.key.raw) {
            return Ok(Some(*place));
        }
        let name = field.key.unescape();
        let Some(found) = self.table.column(&name) else {
            return Ok(None);
        };
        let ColumnKind::Field(kind) = found.kind else {
            check_column(Some(found.kind), &name, kind_of(&field.value))?;
            return Err(Error::internal(format!("column '{name}' is not a field")));
        };
        let id = found.id;
        let known = &mut self.places[usize::from(id.0)];
        if *known == NOWHERE {
            *known = self.columns.len() as u32;
            self.columns.push(Column {
                id,
                key: field.key.raw.into(),
                values: Values::new(kind),
                nulls: NullBufferBuilder::new(0),
            });
        }
        let place = *known;
        self.by_key.insert(field.key.raw.into(), place);
        Ok(Some(place))
    }

    /// The rows as a batch; `None` when there are none.
    pub fn finish(mut self) -> Option<Batch> {
        let rows = self.times.len();
        if rows == 0 {
            return None;
        }
        self.columns.sort_unstable_by_key(|column| column.id);
        let columns = self
            .columns
            .into_iter()
            .map(|column| (column.id, column.finish(rows)))
            .collect();
        Some(Batch {
            database: self.buffer.database,
            table: self.table.id,
            series: self.series.into(),
            times: self.times.into(),
            columns,
        })
    }
}

impl Column {
    fn len(&self) -> usize {
        self.nulls.len()
    }

    /// Puts nulls into rows before `row` that did not mention the column.
    #[inline]
    fn fill(&mut self, row: usize) {
        let missing = row - self.len();
        if missing > 0 {
            self.nulls.append_n_nulls(missing);
            self.values.pad(row);
        }
    }

    #[inline]
    fn push(&mut self, field: &Field<'_>) -> Result<(), Error> {
        match (&mut self.values, field.value) {
            (Values::Float(values), Value::Float(value)) => values.push(value),
            (Values::Integer(values), Value::Integer(value)) => values.push(value),
            (Values::Unsigned(values), Value::Unsigned(value)) => values.push(value),
            (Values::Boolean(values), Value::Boolean(value)) => values.push(value),
            (Values::String { ends, bytes }, Value::String(raw)) => {
                let text = Value::unescape_string(raw);
                let end = i32::try_from(bytes.len() + text.len()).map_err(|_| {
                    Error::new(
                        ErrorKind::TooLarge,
                        format!("strings of field '{}' exceed 2 GiB", field.key.raw),
                    )
                })?;
                bytes.extend_from_slice(text.as_bytes());
                ends.push(end);
            }
            (values, value) => {
                let name = field.key.unescape();
                check_column(
                    Some(ColumnKind::Field(values.field_type())),
                    &name,
                    kind_of(&value),
                )?;
                return Err(Error::internal(format!(
                    "field '{name}' does not fit its column"
                )));
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    fn truncate(&mut self, row: usize) {
        if self.len() > row {
            self.nulls.truncate(row);
            self.values.truncate(row);
        }
    }

    fn finish(mut self, rows: usize) -> ArrayRef {
        self.fill(rows);
        let nulls = self.nulls.finish();
        self.values.finish(nulls)
    }
}

impl Values {
    fn new(kind: FieldType) -> Self {
        match kind {
            FieldType::Float => Self::Float(Vec::new()),
            FieldType::Integer => Self::Integer(Vec::new()),
            FieldType::Unsigned => Self::Unsigned(Vec::new()),
            FieldType::String => Self::String {
                ends: vec![0],
                bytes: Vec::new(),
            },
            FieldType::Boolean => Self::Boolean(Vec::new()),
        }
    }

    fn field_type(&self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float,
            Self::Integer(_) => FieldType::Integer,
            Self::Unsigned(_) => FieldType::Unsigned,
            Self::String { .. } => FieldType::String,
            Self::Boolean(_) => FieldType::Boolean,
        }
    }

    fn pad(&mut self, rows: usize) {
        match self {
            Self::Float(values) => values.resize(rows, 0.0),
            Self::Integer(values) => values.resize(rows, 0),
            Self::Unsigned(values) => values.resize(rows, 0),
            Self::String { ends, bytes } => ends.resize(rows + 1, bytes.len() as i32),
            Self::Boolean(values) => values.resize(rows, false),
        }
    }

    fn truncate(&mut self, rows: usize) {
        match self {
            Self::Float(values) => values.truncate(rows),
            Self::Integer(values) => values.truncate(rows),
            Self::Unsigned(values) => values.truncate(rows),
            Self::String { ends, bytes } => {
                ends.truncate(rows + 1);
                bytes.truncate(ends.last().copied().unwrap_or(0) as usize);
            }
            Self::Boolean(values) => values.truncate(rows),
        }
    }

    fn finish(self, nulls: Option<NullBuffer>) -> ArrayRef {
        match self {
            Self::Float(values) => Arc::new(Float64Array::new(values.into(), nulls)),
            Self::Integer(values) => Arc::new(Int64Array::new(values.into(), nulls)),
            Self::Unsigned(values) => Arc::new(UInt64Array::new(values.into(), nulls)),
            Self::String { ends, bytes } => Arc::new(StringArray::new(
                OffsetBuffer::new(ScalarBuffer::from(ends)),
                Buffer::from_vec(bytes),
                nulls,
            )),
            Self::Boolean(values) => Arc::new(BooleanArray::new(values.into(), nulls)),
        }
    }
}

/// The kind of column a value needs.
pub fn kind_of(value: &Value<'_>) -> ColumnKind {
    ColumnKind::Field(match value {
        Value::Float(_) => FieldType::Float,
        Value::Integer(_) => FieldType::Integer,
        Value::Unsigned(_) => FieldType::Unsigned,
        Value::String(_) => FieldType::String,
        Value::Boolean(_) => FieldType::Boolean,
    })
}

/// The rule of spec/write-and-storage.md §5.4 for a field that a line has twice.
pub fn repeated_field(name: &str) -> Error {
    Error::invalid(format!(
        "invalid line protocol - multiple instances of '{name}' field found"
    ))
}
