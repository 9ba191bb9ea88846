//! The guard of an item that is out of the queue and not yet handed over.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::log::Origin;
use super::state::{Held, Numbered};
use super::{BoundedQueue, Wait};

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
    held: Held,
}

impl<T> Taken<T> {
    pub(super) fn new(queue: Arc<BoundedQueue<T>>, item: Numbered<T>) -> Self {
        Self { queue, item: Some(item), held: Held { slot: true, weight: true, lent: false } }
    }

    fn item(&self) -> &Numbered<T> {
        // Cannot fail: see the field.
        self.item.as_ref().expect("a guard has its item until it ends")
    }

    /// The item has been handed over: it leaves the queue for good, and its slot is free.
    #[must_use = "the item is nowhere else"]
    pub fn commit(mut self) -> T {
        let mut state = self.queue.lock();
        state.release(&self.item().item, self.held);
        state.commit();
        self.queue.note_left(self.number(), &self.item().item);
        self.queue.wake_putters(&mut state);
        self.queue.wake_getters_at_the_end(&mut state);
        drop(state);
        // Cannot fail: see the field.
        self.item.take().expect("a guard has its item until it ends").item
    }

    /// Work on it has failed, and it stays out for a while before it goes back: a journal learns of the attempt now.
    pub(crate) fn note_failure(&self) {
        if let Some(log) = self.queue.log.get() {
            let _locked = self.queue.lock();
            log.failed(self.number(), self.attempts().saturating_add(1));
        }
    }

    /// Puts the item at the end of another queue, for good, and as one step for a journal that has both. If that
    /// queue refuses it, it stays as it is.
    pub(crate) fn move_to(self, other: &BoundedQueue<T>) -> Result<(), Self>
    where
        T: Clone,
    {
        let origin = match self.queue.log.get() {
            Some(log) => Origin::Moved { from: log.place(), number: self.number() },
            None => Origin::Put,
        };
        match other.put_noted(self.item().item.clone(), Wait::not_at_all(), origin) {
            Ok(_) => {
                drop(self.commit());
                Ok(())
            }
            Err(_) => Err(self),
        }
    }

    /// Give the slot, and the weight too, to whoever waits to put, and keep the guard.
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
        let what = Held { lent: false, ..self.held };
        if what.slot || what.weight {
            let item = &self.item().item;
            self.queue.lock_and_wake_putters(|state| state.release(item, what));
            self.held = Held { slot: false, weight: false, ..self.held };
        }
    }

    /// The item is at somebody who may take long, or never finish it: gives its slot to whoever waits to put, but
    /// not the weight, because it stays in memory, where the bound on weight is one on memory. While it is lent, a
    /// queue that was shut down lets its getters wait: it may come back. Does nothing the second time.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, GetError, Limits, Wait};
    /// let queue = BoundedQueue::with_limits(Limits { maxsize: 1, max_weight: Some(9), weigh: |n| *n });
    /// queue.try_put(5).unwrap();
    /// let mut taken = queue.take(Wait::forever()).unwrap();
    /// taken.lend();
    /// assert!(queue.try_put(5).is_err());
    /// assert!(queue.try_put(4).is_ok());
    /// queue.shutdown(false);
    /// assert_eq!(queue.try_get(), Ok(4));
    /// assert_eq!(queue.try_get(), Err(GetError::Empty));
    /// drop(taken);
    /// assert_eq!(queue.try_get(), Ok(5));
    /// assert_eq!(queue.try_get(), Err(GetError::ShutDown));
    /// ```
    pub fn lend(&mut self) {
        self.queue.lock_and_wake_putters(|state| state.lend(&mut self.held));
    }

    /// The work on it was begun and not finished: puts it back in its place, and counts the attempt.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, Wait};
    /// # let queue = BoundedQueue::new(0);
    /// # queue.try_put("job").unwrap();
    /// let taken = queue.take(Wait::forever()).unwrap();
    /// assert_eq!(taken.attempts(), 0);
    /// taken.fail();
    /// assert_eq!(queue.take(Wait::forever()).unwrap().attempts(), 1);
    /// ```
    pub fn fail(mut self) {
        if let Some(item) = &mut self.item {
            item.attempts = item.attempts.saturating_add(1);
        }
    }

    /// Its number among the items of its queue: they are counted from 0 in the order of the puts, and no number is
    /// given twice.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, Wait};
    /// # let queue = BoundedQueue::new(0);
    /// queue.put_many(&mut ["a", "b"].into(), Wait::forever()).unwrap();
    /// assert_eq!(queue.take(Wait::forever()).unwrap().commit(), "a");
    /// assert_eq!(queue.take(Wait::forever()).unwrap().number(), 1);
    /// ```
    #[must_use]
    pub fn number(&self) -> u64 {
        self.item().number
    }

    /// How often work on this item was begun and not finished, as far as [`fail`](Self::fail) has told. An item
    /// that keeps failing may be what kills its consumers.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.item().attempts
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
            self.queue.put_back(item, self.held);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Taken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taken")
            .field("item", &**self)
            .field("number", &self.number())
            .field("attempts", &self.attempts())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::super::testing::{eventually, woken};
    use super::super::{GetError, Limits, PutError};
    use super::*;

    fn full_of(items: impl IntoIterator<Item = i32>) -> Arc<BoundedQueue<i32>> {
        let queue = BoundedQueue::new(0);
        queue.put_many(&mut items.into_iter().collect(), Wait::not_at_all()).unwrap();
        queue
    }

    fn take(queue: &Arc<BoundedQueue<i32>>) -> Taken<i32> {
        queue.take(Wait::not_at_all()).unwrap()
    }

    fn drain(queue: &BoundedQueue<i32>) -> Vec<i32> {
        std::iter::from_fn(|| queue.try_get().ok()).collect()
    }

    #[test]
    fn guards_dropped_in_any_order_come_back_in_the_order_of_the_puts() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
            let queue = full_of(0..6);
            let mut taken = [(); 4].map(|()| Some(take(&queue)));
            order.into_iter().for_each(|n| drop(taken[n].take()));
            assert_eq!(drain(&queue), [0, 1, 2, 3, 4, 5], "dropped in the order {order:?}");
        }
    }

    #[test]
    fn a_late_return_goes_before_earlier_returns_with_higher_numbers() {
        let queue = full_of(0..4);
        let (zero, one, two) = (take(&queue), take(&queue), take(&queue));
        drop(two);
        let two = take(&queue);
        assert_eq!((*two, two.number()), (2, 2));
        drop(one);
        drop(two);
        assert_eq!(take(&queue).commit(), 1);
        drop(zero);
        assert_eq!(drain(&queue), [0, 2, 3]);
    }

    #[test]
    fn an_item_knows_how_often_it_failed_and_what_was_only_given_back_does_not_count() {
        let queue = full_of([7]);
        drop(take(&queue));
        for n in 0..4 {
            let taken = take(&queue);
            assert_eq!((taken.number(), taken.attempts()), (0, n));
            taken.fail();
        }
        assert_eq!((queue.stats().returned, queue.stats().gets), (5, 0));
    }

    #[test]
    fn a_taken_item_keeps_its_slot_and_weight_until_it_is_committed() {
        let limits = Limits { maxsize: 2, max_weight: Some(10), weigh: |n: &i32| *n as usize };
        let queue = BoundedQueue::with_limits(limits);
        queue.try_put(6).unwrap();
        let taken = queue.take(Wait::not_at_all()).unwrap();
        assert_eq!((queue.len(), queue.stats().weight), (0, 6));
        assert_eq!(queue.try_put(5), Err(PutError::Full(5)));
        queue.try_put(1).unwrap();
        assert!(queue.is_full());
        assert_eq!(queue.try_put(1), Err(PutError::Full(1)));
        assert_eq!(taken.commit(), 6);
        assert_eq!(queue.stats().weight, 1);
        queue.try_put(5).unwrap();
    }

    #[test]
    fn a_guard_without_its_slot_can_take_the_queue_over_its_bounds() {
        let limits = Limits { maxsize: 1, max_weight: Some(6), weigh: |n: &i32| *n as usize };
        let queue = BoundedQueue::with_limits(limits);
        queue.try_put(6).unwrap();
        let mut taken = queue.take(Wait::not_at_all()).unwrap();
        taken.release_slot();
        taken.release_slot();
        assert_eq!((queue.stats().weight, queue.stats().reserved, queue.stats().out), (0, 0, 1));
        queue.try_put(5).unwrap();
        drop(taken);
        assert_eq!((queue.len(), queue.stats().weight), (2, 11));
        assert_eq!(queue.try_get(), Ok(6));
        assert_eq!(queue.try_put(1), Err(PutError::Full(1)));
        assert_eq!(queue.try_get(), Ok(5));
        assert_eq!(queue.stats().weight, 0);
        queue.try_put(6).unwrap();
    }

    #[test]
    fn a_guard_that_keeps_its_weight_never_takes_the_queue_over_that_bound() {
        let limits = Limits { maxsize: 1, max_weight: Some(6), weigh: |n: &i32| *n as usize };
        let queue = BoundedQueue::with_limits(limits);
        queue.try_put(4).unwrap();
        for _ in 0..2 {
            let mut taken = queue.take(Wait::not_at_all()).unwrap();
            taken.lend();
            taken.lend();
            assert_eq!((queue.stats().weight, queue.stats().reserved), (4, 0));
            assert_eq!(queue.try_put(3), Err(PutError::Full(3)));
            drop(taken);
            assert_eq!((queue.len(), queue.stats().weight), (1, 4));
        }
        let mut taken = queue.take(Wait::not_at_all()).unwrap();
        taken.lend();
        queue.try_put(2).unwrap();
        assert_eq!((queue.stats().weight, taken.commit(), queue.stats().weight), (6, 4, 2));
        let mut taken = queue.take(Wait::not_at_all()).unwrap();
        taken.lend();
        taken.release_slot();
        assert_eq!((queue.stats().weight, taken.commit(), queue.stats().weight), (0, 2, 0));
    }

    #[test]
    fn a_guard_without_its_slot_can_be_committed() {
        let queue = full_of([1]);
        let mut taken = take(&queue);
        taken.release_slot();
        assert_eq!(taken.commit(), 1);
        let stats = queue.stats();
        assert_eq!((stats.out, stats.reserved, stats.gets, stats.returned), (0, 0, 1, 0));
    }

    #[test]
    fn a_commit_wakes_a_putter() {
        let queue = BoundedQueue::new(1);
        queue.try_put(1).unwrap();
        let taken = take(&queue);
        thread::scope(|scope| {
            let putter = scope.spawn(|| woken(|wait| queue.put(2, wait)));
            eventually("asleep", || queue.stats().waiting_putters == 1);
            assert_eq!(taken.commit(), 1);
            assert_eq!(putter.join().unwrap(), Ok(()));
        });
    }

    #[test]
    fn after_a_shutdown_a_dropped_guard_still_returns_its_item() {
        let queue = full_of([1]);
        let taken = take(&queue);
        queue.shutdown(false);
        assert_eq!(queue.try_get(), Err(GetError::Empty), "it may come back");
        drop(taken);
        assert_eq!(drain(&queue), [1]);
        assert_eq!(queue.try_get(), Err(GetError::ShutDown));
    }

    #[test]
    fn getters_of_a_queue_that_was_shut_down_wait_for_what_is_lent() {
        let queue = full_of([1, 2]);
        let (mut one, mut two) = (take(&queue), take(&queue));
        one.lend();
        two.lend();
        queue.shutdown(false);
        thread::scope(|scope| {
            let getters = [(); 2].map(|()| scope.spawn(|| woken(|wait| queue.get(wait))));
            eventually("asleep", || queue.stats().waiting_getters == 2);
            drop(one);
            eventually("it is got", || queue.stats().gets == 1);
            assert_eq!(two.commit(), 2);
            let mut got = getters.map(|getter| getter.join().unwrap());
            got.sort_unstable_by_key(|got| got.is_err());
            assert_eq!(got, [Ok(1), Err(GetError::ShutDown)]);
        });
    }

    #[test]
    fn an_item_that_came_back_can_be_finished_where_it_waits() {
        let limits = Limits { maxsize: 0, max_weight: Some(10), weigh: |n: &i32| *n as usize };
        let queue = BoundedQueue::with_limits(limits);
        queue.put_many(&mut [4, 6].into(), Wait::not_at_all()).unwrap();
        let taken = queue.take(Wait::not_at_all()).unwrap();
        assert_eq!(queue.remove(0), None, "it is out");
        drop(taken);
        thread::scope(|scope| {
            let putter = scope.spawn(|| woken(|wait| queue.put(3, wait)));
            eventually("asleep", || queue.stats().waiting_putters == 1);
            assert_eq!(queue.remove(0), Some(4));
            assert_eq!(putter.join().unwrap(), Ok(()));
        });
        assert_eq!((queue.remove(0), queue.remove(1)), (None, None), "gone; and still in the backlog");
        assert_eq!(drain(&queue), [6, 3]);
    }

    #[test]
    fn after_an_immediate_shutdown_a_dropped_guard_discards_its_item_and_counts_it_done() {
        for has_slot in [true, false] {
            let limits = Limits { maxsize: 0, max_weight: None, weigh: |_: &i32| 5 };
            let queue = BoundedQueue::with_limits(limits);
            queue.put_many(&mut [1, 2, 3].into(), Wait::not_at_all()).unwrap();
            let (mut dropped, committed) = (take(&queue), take(&queue));
            if !has_slot {
                dropped.release_slot();
            }
            queue.shutdown(true);
            assert_eq!((queue.stats().discarded, queue.stats().unfinished), (1, 2));
            drop(dropped);
            assert_eq!((queue.stats().discarded, queue.stats().unfinished), (2, 1));
            assert_eq!(committed.commit(), 2);
            queue.task_done().unwrap();
            assert_eq!(queue.join(Wait::not_at_all()), Ok(()));
            let stats = queue.stats();
            assert_eq!((stats.len, stats.out, stats.reserved, stats.weight), (0, 0, 0, 0));
        }
    }

    #[test]
    fn a_discarded_item_may_use_the_queue_as_it_is_dropped() {
        struct Item(Arc<BoundedQueue<Item>>);
        impl Drop for Item {
            fn drop(&mut self) {
                assert!(self.0.is_empty());
            }
        }
        let queue = BoundedQueue::new(0);
        queue.try_put(Item(Arc::clone(&queue))).ok().unwrap();
        queue.try_put(Item(Arc::clone(&queue))).ok().unwrap();
        let taken = queue.take(Wait::not_at_all()).ok().unwrap();
        queue.shutdown(true);
        drop(taken);
        assert_eq!(queue.stats().discarded, 2);
    }
}
