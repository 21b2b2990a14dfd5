//! Rows to Flight messages: one batch at a time, with a sign of life while there is none.
//!
//! The schema goes first, also when no row follows. Memory is bounded by a batch and the messages it is split into; whoever
//! drops the stream ends the query. Not here: which types are sent (`wire`), compression of messages (`mod`).

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::FlightData;
use arrow_flight::encode::{DictionaryHandling, FlightDataEncoderBuilder};
use arrow_flight::error::FlightError;
use futures::stream::{self, BoxStream, StreamExt};
use tonic::Status;

use super::headers::Shape;
use super::status::{internal, invalid, status_of};
use super::wire::{wire_batch, wire_schema};
use crate::Error;

/// Silence after which an empty batch is sent: proxies cut streams that say nothing (spec/flight.md §1).
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Roughly the largest message. Clients take 4 MiB by default; less keeps a compressed message from holding a thread for long.
const MESSAGE_BYTES: usize = 1 << 20;

/// What a call answers with.
pub(super) type Messages = BoxStream<'static, Result<FlightData, Status>>;

/// Rows on their way out of the query engine.
pub(super) type Batches = BoxStream<'static, Result<RecordBatch, Error>>;

/// Encodes `batches` of `schema`, with an empty batch after every `silence_max` without any.
///
/// The stream ends with the first error, which is its last item.
pub(super) fn messages(
    schema: &SchemaRef,
    batches: Batches,
    shape: Shape,
    silence_max: Duration,
) -> Result<Messages, Status> {
    let schema = wire_schema(schema, shape.keeps_dictionaries);
    let sent = Arc::clone(&schema);
    let sign_of_life = empty_batch(&schema)?;
    let batches = batches.map(move |batch| match batch {
        Ok(batch) => wire_batch(&batch, &schema)
            .map_err(|fault| invalid(format!("the result cannot be sent: {fault}")).into()),
        Err(error) => Err(FlightError::from(status_of(&error))),
    });
    let messages = encoder(shape)?
        .with_schema(sent)
        .build(batches)
        .map(|message| message.map_err(Status::from));
    Ok(with_signs_of_life(
        messages.boxed(),
        sign_of_life,
        silence_max,
    ))
}

/// Encodes one batch that is there already.
pub(super) fn whole(batch: RecordBatch, shape: Shape) -> Result<Messages, Status> {
    let messages = encoder(shape)?
        .with_schema(batch.schema())
        .build(stream::iter([Ok(batch)]))
        .map(|message| message.map_err(Status::from));
    Ok(messages.boxed())
}

fn encoder(shape: Shape) -> Result<FlightDataEncoderBuilder, Status> {
    let options = IpcWriteOptions::default()
        .try_with_compression(shape.compression)
        .map_err(|fault| internal("a stream", &fault))?;
    let dictionaries = match shape.keeps_dictionaries {
        true => DictionaryHandling::Resend,
        false => DictionaryHandling::Hydrate,
    };
    Ok(FlightDataEncoderBuilder::new()
        .with_max_flight_data_size(MESSAGE_BYTES)
        .with_options(options)
        .with_dictionary_handling(dictionaries))
}

/// The messages of a batch without rows, which the encoder would leave out.
fn empty_batch(schema: &SchemaRef) -> Result<Vec<FlightData>, Status> {
    let empty = RecordBatch::new_empty(Arc::clone(schema));
    let generator = IpcDataGenerator::default();
    let options = IpcWriteOptions::default();
    // Numbers dictionaries as the encoder does.
    let mut dictionaries = DictionaryTracker::new(false);
    generator.schema_to_bytes_with_dictionary_tracker(schema, &mut dictionaries, &options);
    let mut context = IpcWriteContext::default();
    let (dictionaries, batch) = generator
        .encode(&empty, &mut dictionaries, &options, &mut context)
        .map_err(|fault| internal("an empty batch", &fault))?;
    let messages = dictionaries.into_iter().chain([batch]);
    Ok(messages.map(FlightData::from).collect())
}

/// `messages`, and `sign` whenever there is none for `silence_max`.
fn with_signs_of_life(
    messages: Messages,
    sign: Vec<FlightData>,
    silence_max: Duration,
) -> Messages {
    let state = (messages, sign);
    stream::unfold(state, move |(mut messages, sign)| async move {
        let next = match tokio::time::timeout(silence_max, messages.next()).await {
            Ok(message) => vec![message?],
            Err(_) => sign.iter().cloned().map(Ok).collect(),
        };
        Some((stream::iter(next), (messages, sign)))
    })
    .flatten()
    .boxed()
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, DictionaryArray, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Int32Type};
    use arrow_flight::decode::FlightRecordBatchStream;
    use futures::TryStreamExt;

    use super::*;

    fn numbers(values: Vec<i64>) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(values));
        RecordBatch::try_from_iter([("n", column)]).expect("a batch")
    }

    async fn decoded(messages: Messages) -> Result<(SchemaRef, Vec<RecordBatch>), FlightError> {
        let mut rows =
            FlightRecordBatchStream::new_from_flight_data(messages.map_err(FlightError::from));
        let mut batches = Vec::new();
        while let Some(batch) = rows.try_next().await? {
            batches.push(batch);
        }
        let schema = rows.schema().cloned().expect("a schema comes first");
        Ok((schema, batches))
    }

    #[tokio::test]
    async fn no_rows_have_a_schema() {
        let schema = numbers(vec![]).schema();
        let sent = messages(
            &schema,
            stream::empty().boxed(),
            Shape::default(),
            SILENCE_MAX,
        )
        .expect("encodes");
        let (found, batches) = decoded(sent).await.expect("decodes");
        assert_eq!((found, batches.len()), (schema, 0));
    }

    #[tokio::test]
    async fn silence_is_filled_until_rows_come() {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let batches = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|batch| (Ok(batch), receiver))
        });
        let schema = numbers(vec![]).schema();
        let mut sent = messages(
            &schema,
            batches.boxed(),
            Shape::default(),
            Duration::from_millis(5),
        )
        .expect("encodes");
        let first = sent.next().await.expect("the schema").expect("no error");
        let mut all = vec![Ok(first)];
        for _ in 0..2 {
            all.push(Ok(sent
                .next()
                .await
                .expect("an empty batch")
                .expect("no error")));
        }
        sender
            .send(numbers(vec![1, 2]))
            .await
            .expect("somebody reads");
        drop(sender);
        let rest: Vec<Result<FlightData, Status>> = sent.collect().await;
        all.extend(rest);
        let (_, batches) = decoded(stream::iter(all).boxed()).await.expect("decodes");
        let rows: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(rows[..2], [0, 0]);
        assert_eq!(rows.iter().sum::<usize>(), 2);
    }

    #[tokio::test]
    async fn large_batches_are_split_and_errors_end_the_stream() {
        let text = "x".repeat(1_000);
        let column: ArrayRef = Arc::new(StringArray::from(vec![text.as_str(); 10_000]));
        let large = RecordBatch::try_from_iter([("s", column)]).expect("a batch");
        let items = vec![
            Ok(large.clone()),
            Err(Error::internal("fault")),
            Ok(large.clone()),
        ];
        let sent = messages(
            &large.schema(),
            stream::iter(items).boxed(),
            Shape::default(),
            SILENCE_MAX,
        )
        .expect("encodes");
        let sent: Vec<Result<FlightData, Status>> = sent.collect().await;
        let (last, before) = sent.split_last().expect("messages");
        assert_eq!(
            last.as_ref().expect_err("the fault").code(),
            tonic::Code::Internal
        );
        assert!(before.len() > 8);
        for message in before {
            let message = message.as_ref().expect("rows");
            assert!(message.data_body.len() < 2 * MESSAGE_BYTES);
        }
    }

    #[tokio::test]
    async fn dictionaries_and_compression_are_there_on_request() {
        let tags: DictionaryArray<Int32Type> = ["a"; 1_000].into_iter().collect();
        let tags: ArrayRef = Arc::new(tags);
        let batch = RecordBatch::try_from_iter([("t", tags)]).expect("a batch");
        let mut sizes = Vec::new();
        for (keeps_dictionaries, compression) in [
            (false, None),
            (true, None),
            (false, Some(arrow::ipc::CompressionType::LZ4_FRAME)),
            (false, Some(arrow::ipc::CompressionType::ZSTD)),
        ] {
            let shape = Shape {
                keeps_dictionaries,
                compression,
            };
            let rows = stream::iter([Ok(batch.clone())]).boxed();
            let sent = messages(&batch.schema(), rows, shape, SILENCE_MAX).expect("encodes");
            let sent: Vec<FlightData> = sent.try_collect().await.expect("no error");
            sizes.push(
                sent.iter()
                    .map(|message| message.data_body.len())
                    .sum::<usize>(),
            );
            let (schema, batches) = decoded(stream::iter(sent.into_iter().map(Ok)).boxed())
                .await
                .expect("decodes");
            let is_dictionary = matches!(schema.field(0).data_type(), DataType::Dictionary(..));
            assert_eq!(is_dictionary, keeps_dictionaries);
            assert_eq!(
                batches.iter().map(RecordBatch::num_rows).sum::<usize>(),
                1_000
            );
        }
        assert!(sizes[2] < sizes[0] && sizes[3] < sizes[0], "{sizes:?}");
    }
}
