//! One consistent look at a queue, for people and for monitoring.

/// What [`BoundedQueue::stats`](super::BoundedQueue::stats) saw, all at one moment.
///
/// Always `puts == gets + len + out + discarded`.
///
/// ```
/// use netq::queue::{BoundedQueue, Wait};
///
/// let queue = BoundedQueue::new(3);
/// queue.try_put("a").unwrap();
/// queue.try_put("b").unwrap();
/// let taken = queue.take(Wait::not_at_all()).unwrap();
/// let stats = queue.stats();
/// assert_eq!((stats.len, stats.out, stats.reserved, stats.maxsize), (1, 1, 1, 3));
/// assert_eq!((stats.puts, stats.gets, stats.unfinished), (2, 0, 2));
/// # drop(taken);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Items in the queue, those that came back included.
    pub len: usize,
    /// Sum of the weights of the items in the queue, and of those that are out and still hold theirs.
    pub weight: usize,
    /// Sum of the weights of those items in the queue that are not in memory: see `Store`.
    pub spilled: usize,
    /// The bound on `len + reserved`; 0 means that there is none.
    pub maxsize: usize,
    /// The bound on `weight`.
    pub max_weight: Option<usize>,
    /// Items put since the queue was made.
    pub puts: u64,
    /// Items that left for good: got, or taken and committed.
    pub gets: u64,
    /// How often an item came back because its guard was dropped.
    pub returned: u64,
    /// Items dropped by an immediate shutdown.
    pub discarded: u64,
    /// Items taken whose guards are neither committed nor dropped.
    pub out: usize,
    /// How many of those still hold their slot.
    pub reserved: usize,
    /// Threads asleep in `get`, `take` or `take_many`.
    pub waiting_getters: usize,
    /// Threads asleep in `put` or `put_many`.
    pub waiting_putters: usize,
    /// Items put and not yet reported with `task_done`.
    pub unfinished: usize,
}
