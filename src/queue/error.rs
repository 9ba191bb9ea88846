//! Why a call on a queue did not do what was asked: Python's `Full`, `Empty` and `ShutDown`, and two more.

use std::error::Error;
use std::fmt;

/// Why an item was not put. Each variant hands the item back. Python: `queue.Full`, `queue.ShutDown`.
///
/// ```
/// use netq::queue::{BoundedQueue, PutError};
///
/// let queue = BoundedQueue::new(1);
/// queue.try_put("first").unwrap();
/// assert_eq!(queue.try_put("second"), Err(PutError::Full("second")));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutError<T> {
    /// No slot was free within the time given.
    Full(T),
    /// The queue has been shut down and takes no more items.
    ShutDown(T),
    /// The check given with [`Wait::while_alive`](super::Wait::while_alive) said no during the wait.
    Gone(T),
    /// The item alone weighs more than the queue's `max_weight`, so that no wait could help.
    TooLarge(T),
}

impl<T> PutError<T> {
    /// The item that was not put.
    ///
    /// ```
    /// # use netq::queue::PutError;
    /// assert_eq!(PutError::Full(7).into_item(), 7);
    /// ```
    pub fn into_item(self) -> T {
        match self {
            Self::Full(item) | Self::ShutDown(item) | Self::Gone(item) | Self::TooLarge(item) => item,
        }
    }

    /// The same reason, with this item in it.
    pub(super) fn with<U>(self, item: U) -> PutError<U> {
        match self {
            Self::Full(_) => PutError::Full(item),
            Self::ShutDown(_) => PutError::ShutDown(item),
            Self::Gone(_) => PutError::Gone(item),
            Self::TooLarge(_) => PutError::TooLarge(item),
        }
    }
}

/// Shows the variant and not the item, so that `unwrap` works for items that have no `Debug`.
impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::ShutDown(_) => "ShutDown(..)",
            Self::Gone(_) => "Gone(..)",
            Self::TooLarge(_) => "TooLarge(..)",
        })
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full: wait longer, or get items from it",
            Self::ShutDown(_) => "the queue has been shut down: it takes no more items",
            Self::Gone(_) => "nothing was put: who asked for it is gone",
            Self::TooLarge(_) => {
                "the item alone is over the queue's max_weight: split it, or raise the bound"
            }
        })
    }
}

impl<T> Error for PutError<T> {}

/// Why [`put_many`](super::BoundedQueue::put_many) stopped early.
///
/// ```
/// use netq::queue::{BoundedQueue, PutError, PutManyError, Wait};
///
/// let queue = BoundedQueue::new(2);
/// let stopped = queue.put_many(&mut [1, 2, 3].into(), Wait::not_at_all());
/// assert_eq!(stopped, Err(PutManyError { put: 2, reason: PutError::Full(()) }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutManyError {
    /// How many items went in before it stopped.
    pub put: usize,
    /// What stopped it; the items that did not go in are still where the caller keeps them.
    pub reason: PutError<()>,
}

impl fmt::Display for PutManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped after {} items: {}", self.put, self.reason)
    }
}

impl Error for PutManyError {}

/// Why no item was got. Python: `queue.Empty`, `queue.ShutDown`.
///
/// ```
/// use netq::queue::{BoundedQueue, GetError};
///
/// let queue = BoundedQueue::<i32>::new(0);
/// assert_eq!(queue.try_get(), Err(GetError::Empty));
/// queue.shutdown(false);
/// assert_eq!(queue.try_get(), Err(GetError::ShutDown));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GetError {
    /// No item was there within the time given.
    Empty,
    /// The queue has been shut down and holds no more items.
    ShutDown,
    /// The check given with [`Wait::while_alive`](super::Wait::while_alive) said no during the wait.
    Gone,
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the queue is empty: wait longer, or put items into it",
            Self::ShutDown => "the queue has been shut down and is empty",
            Self::Gone => "nothing was taken: who asked for it is gone",
        })
    }
}

impl Error for GetError {}

/// Why [`join`](super::BoundedQueue::join) ended before all items were done. Python's `join` knows neither.
///
/// ```
/// use netq::queue::{BoundedQueue, JoinError, Wait};
///
/// let queue = BoundedQueue::new(0);
/// queue.try_put("job").unwrap();
/// assert_eq!(queue.join(Wait::not_at_all()), Err(JoinError::TimedOut));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinError {
    /// Items were unfinished for all of the time given.
    TimedOut,
    /// The check given with [`Wait::while_alive`](super::Wait::while_alive) said no during the wait.
    Gone,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "items are still unfinished: call task_done() for each, or wait longer",
            Self::Gone => "the join was given up: who asked for it is gone",
        })
    }
}

impl Error for JoinError {}

/// [`task_done`](super::BoundedQueue::task_done) was called more often than items were put. Python: the
/// `ValueError` with the same text.
///
/// ```
/// use netq::queue::{BoundedQueue, TooManyDone};
///
/// assert_eq!(BoundedQueue::<i32>::new(0).task_done(), Err(TooManyDone));
/// assert_eq!(TooManyDone.to_string(), "task_done() called too many times");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyDone;

impl fmt::Display for TooManyDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task_done() called too many times")
    }
}

impl Error for TooManyDone {}
