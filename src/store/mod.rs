//! What outlives the hub's process: a journal in a directory.
//!
//! The journal is a log of what happens to queues, in *segments* of a fixed size, each a file. A *batch* of records is
//! written at once, and counts as a whole or not at all. What is not needed any more goes with the oldest segment,
//! after whatever is left in it was copied to the end.
//!
//! What is in the files, byte by byte, is in `format.md`. Reading order: `record` and `batch` (what is in a file),
//! `disk`, `live` and `book` (what the records come to), `recover` (reading a store), `plan` (what is to be written
//! where), `writer`, `journal`, `commit`, `waiters` and `chores` (who writes it, when), `keeper` and `open` (the queues), `spill` (backlogs larger than memory).

mod batch;
mod book;
mod chores;
mod commit;
mod crc;
mod disk;
mod error;
mod journal;
mod keeper;
mod live;
mod open;
mod plan;
mod record;
mod recover;
#[cfg(test)]
mod sim;
mod spill;
mod waiters;
mod writer;

pub use error::StoreError;
pub use open::{Store, StoreOptions};
