//! What outlives the hub's process: a journal in a directory.
//!
//! The journal is a log of what happens to queues, in *segments* of a fixed size, each a file. A *batch* of records is
//! written at once, and counts as a whole or not at all. What is not needed any more goes with the oldest segment,
//! after whatever is left in it was copied to the end.
//!
//! Reading order: `record` and `batch` (what is in a file), `disk`, `live` and `book` (what the records come to),
//! `recover` (reading a store), `plan` (what is to be written where), `writer`, `journal` (who writes it, when).

mod batch;
mod book;
mod crc;
mod disk;
mod error;
mod journal;
mod live;
mod plan;
mod record;
mod recover;
#[cfg(test)]
mod sim;
mod writer;
