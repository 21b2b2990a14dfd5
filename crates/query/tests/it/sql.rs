//! Every script in `testdata/sql`, with rows in the buffer, in fresh files, in compacted files, and half and half.

use crate::script::{Persist, check};

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            use super::*;

            #[tokio::test]
            async fn in_the_buffer() {
                check(concat!(stringify!($name), ".txt"), Persist::Never).await;
            }

            #[tokio::test]
            async fn in_files() {
                check(concat!(stringify!($name), ".txt"), Persist::AfterEveryWrite).await;
            }

            #[tokio::test]
            async fn in_compacted_files() {
                check(concat!(stringify!($name), ".txt"), Persist::CompactedAfterEveryWrite).await;
            }

            #[tokio::test]
            async fn in_both() {
                check(concat!(stringify!($name), ".txt"), Persist::AfterEveryOtherWrite).await;
            }
        })*
    };
}

scripts!(
    select,
    time,
    schema,
    system,
    parameters,
    refused,
    functions,
    retention,
    delete,
    lifecycle,
    gap_fill,
    wall_clock,
    newest,
    narrowing,
    selectors,
    differences,
    influx_regex,
    inventory,
    tags
);
