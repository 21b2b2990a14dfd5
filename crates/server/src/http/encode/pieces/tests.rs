//! What travels between threads: order, an end that is an end, no more pieces than are wanted, and nothing left behind.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use futures::TryStreamExt;
use http_body_util::BodyExt;
use tokio::sync::oneshot;

use super::*;

/// More than a piece of json lines.
const ROWS: i64 = 40_000;

fn workers() -> Arc<Workers> {
    Arc::new(Workers::start("test", 1).expect("threads"))
}

fn numbers(from: i64) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + ROWS));
    RecordBatch::try_from_iter([("n", column)]).expect("a batch")
}

fn lines(batches: Batches) -> Encoding {
    Encoding::new(batches, Format::JsonLines, Shape::JsonLines)
}

#[tokio::test]
async fn many_pieces_arrive_in_order_under_every_coding() {
    for coding in [None, Some(Coding::Gzip), Some(Coding::Zstd)] {
        let batches = (0..20).map(|number| Ok(numbers(number * ROWS)));
        let encoding = lines(stream::iter(batches).boxed());
        let (body, used) = encoding.respond(coding, workers()).await.expect("rows");
        assert_eq!(used, coding);
        let sent = body.collect().await.expect("a proper end").to_bytes();
        let text = match coding {
            None => sent.to_vec(),
            Some(Coding::Gzip) => {
                let mut text = Vec::new();
                std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&sent[..]), &mut text)
                    .expect("gzip");
                text
            }
            Some(Coding::Zstd) => zstd::decode_all(&sent[..]).expect("zstd"),
        };
        let expected: String = (0..20 * ROWS)
            .map(|number| format!("{{\"n\":{number}}}\n"))
            .collect();
        assert!(text == expected.as_bytes(), "{coding:?}");
    }
}

#[tokio::test]
async fn a_reader_that_rests_holds_the_rows_back() {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let (kept, mut gone) = oneshot::channel::<()>();
    let batches = stream::repeat_with(move || {
        let _kept = &kept;
        count.fetch_add(1, Ordering::SeqCst);
        Ok(numbers(0))
    });
    let encoding = lines(batches.boxed());
    let (body, _) = encoding.respond(None, workers()).await.expect("rows");
    let mut pieces = body.into_data_stream();
    let mut bytes = 0;
    for pieces_read in 1..50 {
        bytes += pieces
            .try_next()
            .await
            .expect("no fault")
            .expect("no end")
            .len();
        // Those that are read, those that wait, one with nobody to take it yet.
        let most = pieces_read + PIECES_AHEAD + 1;
        let taken = taken.load(Ordering::SeqCst);
        assert!(
            taken <= most,
            "{taken} batches for {pieces_read} pieces of {bytes} bytes"
        );
    }
    assert!(
        gone.try_recv()
            .is_err_and(|fault| fault == oneshot::error::TryRecvError::Empty)
    );
    drop(pieces);
    // Nobody sends: this waits until the rows are dropped.
    assert!(gone.await.is_err());
}

#[tokio::test]
async fn an_encoder_that_dies_leaves_no_proper_end() {
    let batches = (0..10).map(|number| {
        assert!(number < 5, "a panic in the middle of the rows");
        Ok(numbers(number * ROWS))
    });
    let encoding = lines(stream::iter(batches).boxed());
    let (body, _) = encoding.respond(None, workers()).await.expect("rows");
    let fault = body.collect().await.expect_err("no proper end");
    assert_eq!(fault.message(), "the encoder ended before the result did");
}

#[tokio::test]
async fn small_batches_leave_together_when_they_are_there() {
    let batches = (0..1_000).map(|number| {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![number]));
        Ok(RecordBatch::try_from_iter([("n", column)]).expect("a batch"))
    });
    let encoding = lines(stream::iter(batches).boxed());
    let (body, _) = encoding.respond(None, workers()).await.expect("rows");
    assert!(!body.is_streamed(), "one piece is all of it");
    let text = body.collect().await.expect("a proper end").to_bytes();
    assert_eq!(text.split(|byte| *byte == b'\n').count(), 1_001);
}

#[tokio::test]
async fn rows_that_are_there_do_not_wait_for_those_that_are_not() {
    let never =
        stream::once(std::future::ready(Ok(numbers(0).slice(0, 1)))).chain(stream::pending());
    let encoding = lines(never.boxed());
    let (body, _) = encoding.respond(None, workers()).await.expect("rows");
    let mut pieces = body.into_data_stream();
    let first = pieces.try_next().await.expect("no fault");
    assert_eq!(first.as_deref(), Some(&b"{\"n\":0}\n"[..]));
}
