//! Types on the wire: what clients cannot read becomes what they can (spec/flight.md §5.4).
//!
//! Strings are plain, tags are hydrated unless asked otherwise, times are nanoseconds: some clients take them for that without
//! looking. Metadata of columns stays, for clients tell tags from fields by it. Not here: the encoding of batches (`rows`).

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

/// The schema in which rows of `schema` are sent.
pub(super) fn wire_schema(schema: &Schema, keeps_dictionaries: bool) -> SchemaRef {
    let fields: Fields = schema
        .fields()
        .iter()
        .map(|field| wire_field(field, keeps_dictionaries))
        .collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// `batch` in a schema of [`wire_schema`].
///
/// Errors: a time that is no 64-bit number of nanoseconds, or text beyond two gigabytes in one batch.
pub(super) fn wire_batch(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let options = CastOptions {
        // A value that does not fit is an error, never a null.
        safe: false,
        ..CastOptions::default()
    };
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(
            |(column, field)| match column.data_type() == field.data_type() {
                true => Ok(Arc::clone(column)),
                false => cast_with_options(column, field.data_type(), &options),
            },
        )
        .collect::<Result<_, _>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)
}

fn wire_field(field: &FieldRef, keeps_dictionaries: bool) -> FieldRef {
    let kind = wire_type(field.data_type(), keeps_dictionaries);
    match kind == *field.data_type() {
        true => Arc::clone(field),
        false => Arc::new(
            Field::new(field.name(), kind, field.is_nullable())
                .with_metadata(field.metadata().clone()),
        ),
    }
}

fn wire_type(kind: &DataType, keeps_dictionaries: bool) -> DataType {
    let inner = |field: &FieldRef| wire_field(field, keeps_dictionaries);
    match kind {
        DataType::Dictionary(_, _) if keeps_dictionaries => kind.clone(),
        DataType::Dictionary(_, values) => wire_type(values, keeps_dictionaries),
        DataType::RunEndEncoded(_, values) => wire_type(values.data_type(), keeps_dictionaries),
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
        DataType::Duration(_) => DataType::Duration(TimeUnit::Nanosecond),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => DataType::List(inner(field)),
        DataType::FixedSizeList(field, length) => DataType::FixedSizeList(inner(field), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array, ArrayRef, AsArray, DictionaryArray, Int32Array, ListArray, StringArray,
        StringViewArray, StructArray, TimestampSecondArray,
    };
    use arrow::datatypes::{Int32Type, TimestampNanosecondType};

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| {
                Field::new(*name, column.data_type().clone(), true)
                    .with_metadata([("kind".to_string(), (*name).to_string())].into())
            })
            .collect();
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch")
    }

    fn tags() -> ArrayRef {
        let tags: DictionaryArray<Int32Type> = [Some("a"), None, Some("a")].into_iter().collect();
        Arc::new(tags)
    }

    #[test]
    fn strings_are_plain_and_times_nanoseconds() {
        let inner: Fields = vec![Field::new("t", tags().data_type().clone(), true)].into();
        let lists = {
            let mut builder =
                arrow::array::ListBuilder::new(arrow::array::StringViewBuilder::new());
            builder.append_value([Some("x")]);
            builder.append_null();
            builder.append_value([Some("y"), None]);
            builder.finish()
        };
        let given = batch(vec![
            ("tag", tags()),
            ("view", Arc::new(StringViewArray::from(vec!["x", "y", "z"]))),
            (
                "seconds",
                Arc::new(
                    TimestampSecondArray::from(vec![Some(-1), None, Some(2)]).with_timezone("UTC"),
                ),
            ),
            (
                "nested",
                Arc::new(StructArray::new(inner, vec![tags()], None)),
            ),
            ("lists", Arc::new(lists)),
            ("small", Arc::new(Int32Array::from(vec![1, 2, 3]))),
        ]);
        let schema = wire_schema(&given.schema(), false);
        let sent = wire_batch(&given, &schema).expect("all of it can be sent");
        let strings = |index: usize| -> Vec<Option<String>> {
            let column: &StringArray = sent.column(index).as_string();
            column
                .iter()
                .map(|value| value.map(str::to_string))
                .collect()
        };
        let text = |value: &str| Some(value.to_string());
        assert_eq!(strings(0), [text("a"), None, text("a")]);
        assert_eq!(strings(1), [text("x"), text("y"), text("z")]);
        let times = sent.column(2).as_primitive::<TimestampNanosecondType>();
        assert_eq!((times.value(0), times.is_null(1)), (-1_000_000_000, true));
        assert_eq!(times.timezone(), Some("UTC"));
        assert_eq!(
            sent.column(3).as_struct().column(0).data_type(),
            &DataType::Utf8
        );
        let lists: &ListArray = sent.column(4).as_list();
        assert_eq!(lists.value(2).data_type(), &DataType::Utf8);
        assert_eq!(sent.column(5).data_type(), &DataType::Int32);
        for field in schema.fields() {
            assert_eq!(field.metadata().get("kind"), Some(field.name()));
        }
    }

    #[test]
    fn dictionaries_are_kept_on_request_and_nothing_is_lost_in_silence() {
        let given = batch(vec![("tag", tags())]);
        let schema = wire_schema(&given.schema(), true);
        assert_eq!(schema, given.schema());

        let given = batch(vec![(
            "far",
            Arc::new(TimestampSecondArray::from(vec![i64::MAX / 2])),
        )]);
        let schema = wire_schema(&given.schema(), false);
        assert!(wire_batch(&given, &schema).is_err());
    }

    #[test]
    fn rows_without_columns_stay_rows() {
        let rows = RecordBatchOptions::new().with_row_count(Some(3));
        let none = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &rows)
            .expect("a batch");
        let schema = wire_schema(&none.schema(), false);
        assert_eq!(wire_batch(&none, &schema).expect("sent").num_rows(), 3);
    }
}
