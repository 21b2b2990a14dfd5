//! The engine as a whole, over stores in memory, in a folder, and one that fails: what was acknowledged is what is read.

mod compaction;

mod concurrency;

mod deletes;

mod durability;

mod faults;

mod fencing;

mod model;

mod parquet_readers;

mod random;

mod setup;

mod verify;

mod workload;
