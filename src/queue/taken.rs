//! The guard of an item that is out of the queue and not yet handed over.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::BoundedQueue;
use super::state::Numbered;

/// An item taken from a queue: commit it once it has been handed over; dropped, it goes back.
///
/// It goes back to the front, in the order in which the items were put, whatever the order in which their
/// guards are dropped. Until then its slot stays reserved, so that the queue cannot fill up behind it, unless
/// [`release_slot`](Self::release_slot) gives the slot away. After an immediate shutdown a dropped guard's
/// item is dropped too, and counts as done. Python's queues have no such thing: there a `get` is final.
///
/// ```
/// use netq::queue::{BoundedQueue, Wait};
///
/// let queue = BoundedQueue::new(0);
/// queue.put_many(&mut ["a", "b", "c"].into(), Wait::forever()).unwrap();
/// let a = queue.take(Wait::forever()).unwrap();
/// let b = queue.take(Wait::forever()).unwrap();
/// assert_eq!((*a, a.len()), ("a", 1));
/// drop(b);
/// drop(a);
/// assert_eq!(queue.try_get(), Ok("a"));
/// ```
#[must_use = "dropping the guard puts the item back"]
pub struct Taken<T> {
    queue: Arc<BoundedQueue<T>>,
    /// `Some` until `commit` or `drop`, which both end the guard, moves it out.
    item: Option<Numbered<T>>,
    has_slot: bool,
}

impl<T> Taken<T> {
    pub(super) fn new(queue: Arc<BoundedQueue<T>>, item: Numbered<T>) -> Self {
        Self { queue, item: Some(item), has_slot: true }
    }

    fn item(&self) -> &Numbered<T> {
        // Cannot fail: see the field.
        self.item.as_ref().expect("a guard has its item until it ends")
    }

    /// The item has been handed over: it leaves the queue for good, and its slot is free.
    #[must_use = "the item is nowhere else"]
    pub fn commit(mut self) -> T {
        self.release_slot();
        self.queue.lock().commit();
        // Cannot fail: see the field.
        self.item.take().expect("a guard has its item until it ends").item
    }

    /// Give the slot to whoever waits to put, and keep the guard.
    ///
    /// For an item that stays out for long: it can still come back, which then takes the queue over its
    /// `maxsize` or `max_weight` until enough items have left. Does nothing the second time.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, Wait};
    /// let queue = BoundedQueue::new(1);
    /// queue.try_put(1).unwrap();
    /// let mut taken = queue.take(Wait::forever()).unwrap();
    /// assert!(queue.try_put(2).is_err());
    /// taken.release_slot();
    /// assert!(queue.try_put(2).is_ok());
    /// drop(taken);
    /// assert_eq!(queue.len(), 2);
    /// ```
    pub fn release_slot(&mut self) {
        if self.has_slot {
            let mut state = self.queue.lock();
            state.release_slot(&self.item().item);
            self.queue.wake_putters(&mut state);
            drop(state);
            self.has_slot = false;
        }
    }

    /// How often this item has come back before: 0 for one that is out for the first time. An item that
    /// keeps coming back may be what kills its consumers.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, Wait};
    /// # let queue = BoundedQueue::new(0);
    /// # queue.try_put("job").unwrap();
    /// let taken = queue.take(Wait::forever()).unwrap();
    /// assert_eq!(taken.returns(), 0);
    /// drop(taken);
    /// assert_eq!(queue.take(Wait::forever()).unwrap().returns(), 1);
    /// ```
    #[must_use]
    pub fn returns(&self) -> u32 {
        self.item().returns
    }
}

impl<T> Deref for Taken<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item().item
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        if let Some(item) = self.item.take() {
            self.queue.put_back(item, self.has_slot);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Taken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken")
            .field("item", &**self)
            .field("returns", &self.returns())
            .finish_non_exhaustive()
    }
}
