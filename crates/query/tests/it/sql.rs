//! Every script in `testdata/sql`, with rows in the buffer, in files, and in both.

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
            async fn in_both() {
                check(concat!(stringify!($name), ".txt"), Persist::AfterEveryOtherWrite).await;
            }
        })*
    };
}

scripts!(
    select, time, schema, parameters, refused, functions, retention, delete, lifecycle
);
