//! What a shared queue can be told when it is made.

use crate::shared::redelivery::Redelivery;

/// What a queue holds at most, and how it delivers.
///
/// ```
/// use netq::{QueueOptions, SharedQueue};
/// let queue = SharedQueue::with_options(QueueOptions {
///     max_bytes: Some(32 << 20),
///     ..QueueOptions::default()
/// });
/// # let _ = queue;
/// ```
#[derive(Clone, Debug, Default)]
pub struct QueueOptions {
    /// The largest number of items; 0 means that there is no bound. Python's `maxsize`.
    pub maxsize: usize,
    /// The largest amount of memory for items, in bytes. A put that would pass it waits, as for a slot. Items
    /// that a redelivering queue keeps for its clients count too.
    pub max_bytes: Option<usize>,
    /// Keep what clients get until they are done with it. Python's queues do not.
    pub redelivery: Option<Redelivery>,
}
