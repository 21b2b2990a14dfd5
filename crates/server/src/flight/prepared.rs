//! Prepared statements: handles, and the values bound to them (spec/flight.md §5.3).
//!
//! A handle holds the statement and its values, and binding gives a new one. Handles and values come from outside and may be
//! anything. Not here: planning (`query`), the calls themselves (`service`), clients that keep their first handle (`bindings`).

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::root_as_message;
use arrow_flight::FlightData;
use arrow_flight::sql::Any;
use bytes::Bytes;
use prost::Message;
use query::{Parameter, number_placeholders, placeholder_names};
use tonic::Status;

use super::bindings::{Bindings, Number};
use super::status::{invalid, status_of};

const HANDLE: &str =
    "type.googleapis.com/influxdata.iox.querier.v1.FlightSqlPreparedStatementHandle";

/// The most rows of values that one statement is run with.
const ROWS_MAX: usize = 1_000;

/// The most bytes of values in a handle, which travels with every call.
const VALUES_BYTES_MAX: usize = 1 << 20;

/// What an IPC message begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];
const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// A statement with the values bound to it so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Prepared {
    /// Without `?`.
    pub(super) text: String,
    /// An Arrow IPC stream; empty before anything is bound.
    values: Bytes,
    /// Tells it from others with the same text; empty for one that the client made itself.
    pub(super) number: Number,
}

#[derive(Clone, PartialEq, Message)]
struct Handle {
    #[prost(string, tag = "1")]
    query: String,
    #[prost(bytes = "bytes", tag = "2")]
    params: Bytes,
    /// Ours.
    #[prost(bytes = "bytes", tag = "15")]
    number: Bytes,
}

/// The values of one run, by name.
pub(super) type Values = Vec<(String, Parameter)>;

impl Prepared {
    /// A statement as its author wrote it.
    pub(super) fn new(text: &str) -> Result<Self, Status> {
        let text = number_placeholders(text).map_err(|error| status_of(&error))?;
        Ok(Self {
            text: text.into_owned(),
            values: Bytes::new(),
            number: Number::new(),
        })
    }

    /// Reads a handle: one of ours, or the text of a statement.
    pub(super) fn from_handle(handle: &Bytes) -> Result<Self, Status> {
        if let Ok(any) = Any::decode(handle.clone())
            && any.type_url == HANDLE
        {
            let handle = Handle::decode(any.value).map_err(|_| not_a_handle())?;
            return Ok(Self {
                values: handle.params,
                number: handle.number,
                ..Self::new(&handle.query)?
            });
        }
        Self::new(std::str::from_utf8(handle).map_err(|_| not_a_handle())?)
    }

    pub(super) fn to_handle(&self) -> Bytes {
        let handle = Handle {
            query: self.text.clone(),
            params: self.values.clone(),
            number: self.number.clone(),
        };
        let any = Any {
            type_url: HANDLE.to_string(),
            value: handle.encode_to_vec().into(),
        };
        any.encode_to_vec().into()
    }

    /// The same statement with other values. Whether they suit it is said by [`Self::runs`].
    pub(super) fn bind(mut self, messages: &[FlightData]) -> Result<Self, Status> {
        self.values = stream_of(messages)?;
        rows_of(&self.values)?;
        Ok(self)
    }

    /// Remembers its values for clients that will come with the handle from before.
    pub(super) fn remember_in(&self, bindings: &Bindings) {
        bindings.remember(&self.number, &self.values);
    }

    /// The same statement, with the values that were bound to it last if its handle has none.
    pub(super) fn recalled_from(mut self, bindings: &Bindings) -> Self {
        if self.values.is_empty()
            && let Some(values) = bindings.recall(&self.number)
        {
            self.values = values;
        }
        self
    }

    /// The values of each run of the statement: one without any when nothing is bound.
    pub(super) fn runs(&self) -> Result<Vec<Values>, Status> {
        match self.values.is_empty() {
            true => Ok(vec![Vec::new()]),
            false => self.runs_of(&placeholder_names(&self.text)),
        }
    }

    /// The runs of a statement whose placeholders are called `names`.
    fn runs_of(&self, names: &[String]) -> Result<Vec<Values>, Status> {
        let batches = rows_of(&self.values)?;
        if names.is_empty() {
            return Ok(vec![Vec::new()]);
        }
        let mut runs = Vec::new();
        for batch in &batches {
            if let Some(run) = values_as_rows(batch, names) {
                runs.push(run);
                continue;
            }
            let columns = columns_for(&batch.schema(), names)?;
            for row in 0..batch.num_rows() {
                let value = |column: &usize| Parameter::Arrow(batch.column(*column).slice(row, 1));
                let values = columns.iter().map(value);
                runs.push(names.iter().cloned().zip(values).collect());
            }
        }
        match runs.is_empty() {
            true => Err(invalid("no values are bound: the parameters have no row")),
            false => Ok(runs),
        }
    }
}

/// The schema of parameters as clients are told it.
pub(super) fn parameter_schema(parameters: &[(String, DataType)]) -> Schema {
    let field =
        |(name, kind): &(String, DataType)| Field::new(format!("${name}"), kind.clone(), true);
    Schema::new(parameters.iter().map(field).collect::<Vec<_>>())
}

/// Which column has the value of each name: by name, with or without `$`, or else by position.
fn columns_for(schema: &SchemaRef, names: &[String]) -> Result<Vec<usize>, Status> {
    let named = |name: &String| {
        schema
            .fields()
            .iter()
            .position(|field| field.name().strip_prefix('$').unwrap_or(field.name()) == name)
    };
    let by_name: Option<Vec<usize>> = names.iter().map(named).collect();
    if let Some(columns) = by_name {
        return Ok(columns);
    }
    if schema.fields().len() == names.len() {
        return Ok((0..names.len()).collect());
    }
    let missing = names.iter().find(|name| named(name).is_none());
    Err(invalid(format!(
        "No value found for placeholder with name ${}: {} values for {} parameters",
        missing.map_or("", String::as_str),
        schema.fields().len(),
        names.len()
    )))
}

/// One column of values of any type, each row of which is the value of the next parameter, as some clients bind.
fn values_as_rows(batch: &RecordBatch, names: &[String]) -> Option<Values> {
    let is_union = |column: &ArrayRef| matches!(column.data_type(), DataType::Union(..));
    let [column] = batch.columns() else {
        return None;
    };
    if names.len() < 2 || column.len() != names.len() || !is_union(column) {
        return None;
    }
    let values = (0..column.len()).map(|row| Parameter::Arrow(column.as_union().value(row)));
    Some(names.iter().cloned().zip(values).collect())
}

/// The messages of a client as one IPC stream.
fn stream_of(messages: &[FlightData]) -> Result<Bytes, Status> {
    let mut stream = Vec::new();
    for message in messages
        .iter()
        .filter(|message| !message.data_header.is_empty())
    {
        let header = &message.data_header;
        let padded = header.len().next_multiple_of(8);
        let length = i32::try_from(padded).map_err(|_| too_large())?;
        stream.extend_from_slice(&CONTINUATION);
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(header);
        stream.resize(stream.len() + padded - header.len(), 0);
        stream.extend_from_slice(&message.data_body);
        if stream.len() > VALUES_BYTES_MAX {
            return Err(too_large());
        }
    }
    stream.extend_from_slice(&END_OF_STREAM);
    Ok(stream.into())
}

/// The rows of an IPC stream from outside.
fn rows_of(stream: &Bytes) -> Result<Vec<RecordBatch>, Status> {
    if stream.len() > VALUES_BYTES_MAX + END_OF_STREAM.len() {
        return Err(too_large());
    }
    refuse_compression(stream)?;
    // The decoder checks what it reads, but a buffer that reaches beyond its message makes it panic.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(stream)))
        .map_err(|_| not_values("a buffer reaches beyond its message"))?;
    let batches = decoded.map_err(|fault| not_values(&fault.to_string()))?;
    let rows = batches
        .iter()
        .map(RecordBatch::num_rows)
        .fold(0, usize::saturating_add);
    match rows > ROWS_MAX {
        true => Err(invalid(format!(
            "{rows} rows of parameters are too many, {ROWS_MAX} are the most"
        ))),
        false => Ok(batches),
    }
}

fn decode(stream: &Bytes) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut rest = Buffer::from(stream.clone());
    let mut decoder = StreamDecoder::new();
    let mut batches = Vec::new();
    while !rest.is_empty() {
        match decoder.decode(&mut rest)? {
            Some(batch) => batches.push(batch),
            None => break,
        }
    }
    decoder.finish()?;
    Ok(batches)
}

/// Compressed buffers say themselves how large they are, which nobody should believe.
fn refuse_compression(stream: &[u8]) -> Result<(), Status> {
    let mut rest = stream;
    loop {
        rest = rest.strip_prefix(&CONTINUATION).unwrap_or(rest);
        let Some((length, after)) = rest.split_first_chunk::<4>() else {
            return Ok(());
        };
        let length = usize::try_from(i32::from_le_bytes(*length)).unwrap_or(0);
        if length == 0 {
            return Ok(());
        }
        let (header, body) = after
            .split_at_checked(length)
            .ok_or_else(|| not_values("the stream ends within a message"))?;
        let message = root_as_message(header).map_err(|fault| not_values(&fault.to_string()))?;
        let batch = message.header_as_record_batch().or_else(|| {
            message
                .header_as_dictionary_batch()
                .and_then(|dictionary| dictionary.data())
        });
        if batch.is_some_and(|batch| batch.compression().is_some()) {
            return Err(not_values("compressed buffers are not supported"));
        }
        let body_length = usize::try_from(message.bodyLength())
            .map_err(|_| not_values("the stream ends within a message"))?;
        rest = body
            .get(body_length..)
            .ok_or_else(|| not_values("the stream ends within a message"))?;
    }
}

fn not_a_handle() -> Status {
    invalid("Invalid prepared statement handle")
}

fn not_values(why: &str) -> Status {
    invalid(format!("parameters cannot be read: {why}"))
}

fn too_large() -> Status {
    invalid(format!(
        "parameters are larger than {VALUES_BYTES_MAX} bytes"
    ))
}

#[cfg(test)]
mod tests;
