//! What a queue tells whoever keeps a journal of it.
//!
//! It tells while it is locked, so that the journal has everything in the order in which it happened. Without the
//! feature `journal` there is never anybody to tell, and the compiler leaves all of it out.

use std::sync::Arc;

/// What [`Log::wait`] is for; 0: for nothing.
pub(crate) type Ticket = u64;

/// Where an item comes from.
#[derive(Clone, Copy)]
#[cfg_attr(not(feature = "journal"), allow(dead_code, reason = "there is nobody to tell"))]
pub(crate) enum Origin<'a> {
    Put,
    /// A client has numbered this put, of which so many items were put before this one.
    Numbered {
        client: &'a str,
        number: i64,
        before: usize,
    },
    /// It leaves another queue thereby: that one's place, and its number there.
    Moved {
        from: Place,
        number: u64,
    },
}

/// A queue of a journal: where the journal is in memory, and the queue's number in it.
pub(crate) type Place = (usize, u64);

/// A journal of one queue. All but `prepare` and `wait` are called with the queue locked, and must be quick.
pub(crate) trait Log<T>: Send + Sync {
    fn place(&self) -> Place;

    /// Whether there is room for an item of such a weight.
    fn has_room(&self, weight: usize) -> bool;

    /// Makes room for one, if there can be; says whether there is.
    fn prepare(&self, weight: usize) -> bool;

    /// The item was put. Its number is given once, and they grow.
    fn put(&self, number: u64, item: &T, origin: Origin<'_>) -> Ticket;

    /// Waits until what was put is kept; false if that will never be known.
    fn wait(&self, ticket: Ticket) -> bool;

    /// Keeps bytes elsewhere than in memory, if there is room: says where.
    fn spill(&self, bytes: &[u8]) -> Option<u32>;

    /// Appends bytes that were kept there, if they are wanted, and forgets them; false if they cannot be read.
    fn unspill(&self, place: u32, length: usize, bytes: Option<&mut Vec<u8>>) -> bool;

    /// It has left for good.
    fn left(&self, number: u64, item: &T);

    /// So many items from this number on, of such a weight altogether, have left for good.
    fn all_left(&self, first: u64, count: usize, weight: usize);

    /// Work on it has failed so often.
    fn failed(&self, number: u64, attempts: u32);

    /// So many tasks are unfinished.
    fn tasks(&self, unfinished: usize);
}

/// The journal of a queue, if it has one.
pub(crate) struct Logged<T> {
    #[cfg(feature = "journal")]
    log: Option<Arc<dyn Log<T>>>,
    #[cfg(not(feature = "journal"))]
    log: std::marker::PhantomData<fn() -> T>,
}

impl<T> Logged<T> {
    #[cfg(feature = "journal")]
    pub(crate) fn by(log: Arc<dyn Log<T>>) -> Self {
        Self { log: Some(log) }
    }

    pub(crate) fn get(&self) -> Option<&Arc<dyn Log<T>>> {
        #[cfg(feature = "journal")]
        return self.log.as_ref();
        #[cfg(not(feature = "journal"))]
        return None;
    }
}

impl<T> Default for Logged<T> {
    fn default() -> Self {
        Self { log: Default::default() }
    }
}

impl Origin<'_> {
    /// As the origin of the next item of the same put.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Numbered { client, number, before } => {
                Self::Numbered { client, number, before: before + 1 }
            }
            other => other,
        }
    }
}
