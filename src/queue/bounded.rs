//! The queue itself: `queue.Queue`'s methods, each one lock, one wait, one step.

use std::fmt;
use std::sync::Arc;

use super::backlog::Packing;
use super::log::{Logged, Origin, Ticket};
use super::state::{GETTERS, Held, JOINERS, PUTTERS, State};
use super::{GaveUp, GetError, JoinError, Limits, Monitor, PutError, Stats, Taken, TooManyDone, Wait};

/// A first-in, first-out queue for many producers and many consumers. Python: `queue.Queue`.
///
/// Producers wait while it is full and consumers while it is empty, and first come is first served, which Python does
/// not promise; but light items may pass a heavy one that waits for room.
pub struct BoundedQueue<T> {
    pub(super) monitor: Monitor<State<T>>,
    pub(super) log: Logged<T>,
}

impl<T> BoundedQueue<T> {
    /// A queue for at most `maxsize` items, or for any number if `maxsize` is 0. Python: `Queue(maxsize)`.
    ///
    /// ```
    /// # use netq::queue::BoundedQueue;
    /// let queue = BoundedQueue::new(10);
    /// queue.try_put("job").unwrap();
    /// ```
    #[must_use]
    pub fn new(maxsize: usize) -> Arc<Self> {
        Self::with_limits(Limits { maxsize, max_weight: None, weigh: |_| 0 })
    }

    /// A queue bounded by the number of its items, by the sum of their weights, or both: see [`Limits`].
    #[must_use]
    pub fn with_limits(limits: Limits<T>) -> Arc<Self> {
        Self::with_state(State::new(limits, None), Logged::default())
    }

    /// As [`with_limits`](Self::with_limits), for small items of which there may be very many: see
    /// [`Packing`].
    #[must_use]
    pub fn packed(limits: Limits<T>, packing: Packing<T>) -> Arc<Self> {
        Self::logged(limits, packing, Logged::default())
    }

    /// As [`packed`](Self::packed), with a journal.
    pub(crate) fn logged(limits: Limits<T>, packing: Packing<T>, log: Logged<T>) -> Arc<Self> {
        Self::with_state(State::new(limits, Some(packing)), log)
    }

    /// Its journal.
    pub(crate) fn log(&self) -> &Logged<T> {
        &self.log
    }

    fn with_state(state: State<T>, log: Logged<T>) -> Arc<Self> {
        Arc::new(Self { monitor: Monitor::new(state), log })
    }

    /// Put an item at the end, as soon as there is a slot for it. Python: `put`.
    ///
    /// # Errors
    /// With the item in it: [`PutError::Full`] if the time is up, [`PutError::ShutDown`] at once after a
    /// shutdown, [`PutError::Gone`] if the wait's check says no, [`PutError::TooLarge`] if it can never fit.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, Wait};
    /// let queue = BoundedQueue::new(1);
    /// queue.put("job", Wait::forever()).unwrap();
    /// let full = queue.put("next", Wait::at_most(std::time::Duration::from_millis(1)));
    /// assert_eq!(full.unwrap_err().into_item(), "next");
    /// ```
    pub fn put(&self, item: T, wait: Wait<'_>) -> Result<(), PutError<T>> {
        self.put_noted(item, wait, Origin::Put).map(drop)
    }

    /// As [`put`](Self::put). Says what has to be waited for if the item is to be kept.
    pub(crate) fn put_noted(
        &self,
        item: T,
        wait: Wait<'_>,
        origin: Origin<'_>,
    ) -> Result<Ticket, PutError<T>> {
        let mut patience = wait.patience();
        let state = self.lock();
        let weight = state.weigh(&item);
        match self.room(state, weight, &mut patience) {
            Ok(mut state) => Ok(self.push(&mut state, item, weight, origin)),
            Err(reason) => Err(reason.with(item)),
        }
    }

    /// Put an item if there is a slot for it now. Python: `put_nowait`.
    ///
    /// # Errors
    /// As [`put`](Self::put), except that nobody can be [`Gone`](PutError::Gone) without a wait.
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        self.put(item, Wait::not_at_all())
    }

    /// Get the item at the front, as soon as there is one: a [`take`](Self::take), committed. Python: `get`.
    ///
    /// # Errors
    /// [`GetError::Empty`] if the time is up, [`GetError::ShutDown`] if the queue is shut down and empty,
    /// [`GetError::Gone`] if the wait's check says no.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, Wait};
    /// let queue = BoundedQueue::new(0);
    /// queue.try_put("job").unwrap();
    /// assert_eq!(queue.get(Wait::forever()), Ok("job"));
    /// ```
    pub fn get(&self, wait: Wait<'_>) -> Result<T, GetError> {
        let (mut state, next) = self.next(wait)?;
        state.release(&next.item, Held { slot: true, weight: true, lent: false });
        state.commit();
        self.note_left(next.number, &next.item);
        self.wake_putters(&mut state);
        self.wake_getters_at_the_end(&mut state);
        Ok(next.item)
    }

    /// Get the item at the front if there is one now. Python: `get_nowait`.
    ///
    /// # Errors
    /// As [`get`](Self::get), except that nobody can be [`Gone`](GetError::Gone) without a wait.
    pub fn try_get(&self) -> Result<T, GetError> {
        self.get(Wait::not_at_all())
    }

    /// Take the item at the front, as soon as there is one, and keep its place until the guard is committed.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, Wait};
    /// let queue = BoundedQueue::new(0);
    /// queue.try_put("job").unwrap();
    /// drop(queue.take(Wait::forever()).unwrap()); // not committed: the item goes back
    /// assert_eq!(queue.len(), 1);
    /// assert_eq!(queue.take(Wait::forever()).unwrap().commit(), "job");
    /// assert!(queue.is_empty());
    /// ```
    pub fn take(self: &Arc<Self>, wait: Wait<'_>) -> Result<Taken<T>, GetError> {
        let (state, next) = self.next(wait)?;
        drop(state);
        Ok(Taken::new(Arc::clone(self), next))
    }

    /// Takes out an item that has come back and waits to be got again, wherever it stands: somebody has finished it
    /// after all. `None` if no item of this [number](Taken::number) has come back, or it is out again.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, Wait};
    /// let queue = BoundedQueue::new(0);
    /// queue.try_put("job").unwrap();
    /// let taken = queue.take(Wait::forever()).unwrap();
    /// let number = taken.number();
    /// assert_eq!(queue.remove(number), None);
    /// drop(taken);
    /// assert_eq!(queue.remove(number), Some("job"));
    /// assert!(queue.is_empty());
    /// ```
    pub fn remove(&self, number: u64) -> Option<T> {
        let mut state = self.lock();
        let removed = state.remove(number);
        removed.iter().for_each(|item| self.note_left(number, item));
        self.wake_putters(&mut state);
        self.wake_getters_at_the_end(&mut state);
        removed
    }

    /// One item that was put is done. At the last one, [`join`](Self::join) ends. Python: `task_done`.
    ///
    /// # Errors
    /// [`TooManyDone`] if no item is unfinished.
    pub fn task_done(&self) -> Result<(), TooManyDone> {
        self.task_done_many(1)
    }

    /// Wait until each item that was put has been reported done. Python: `join`.
    ///
    /// # Errors
    /// [`JoinError::TimedOut`] if the time is up, [`JoinError::Gone`] if the wait's check says no.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, Wait};
    /// let queue = BoundedQueue::new(0);
    /// queue.try_put("job").unwrap();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| (queue.try_get().unwrap(), queue.task_done().unwrap()));
    ///     queue.join(Wait::forever()).unwrap();
    /// });
    /// ```
    pub fn join(&self, wait: Wait<'_>) -> Result<(), JoinError> {
        let joined =
            self.lock().until(JOINERS, 0, &mut wait.patience(), &mut |state, _| state.unfinished() == 0);
        joined.map(drop).map_err(|gave_up| match gave_up {
            GaveUp::TimedOut => JoinError::TimedOut,
            GaveUp::Gone => JoinError::Gone,
        })
    }

    /// Take no more puts, and end gets once the queue is empty. Python 3.13: `shutdown(immediate)`.
    ///
    /// If `immediate`, the items in the queue are dropped and count as done, as does each item whose guard
    /// is dropped later. Whoever waits in a `put` or a `get` that can no longer succeed is woken.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, GetError, PutError};
    /// let queue = BoundedQueue::new(0);
    /// queue.try_put(1).unwrap();
    /// queue.shutdown(false);
    /// assert_eq!(queue.try_put(2), Err(PutError::ShutDown(2)));
    /// assert_eq!(queue.try_get(), Ok(1));
    /// assert_eq!(queue.try_get(), Err(GetError::ShutDown));
    /// ```
    pub fn shutdown(&self, immediate: bool) {
        let mut state = self.lock();
        let (count, before) = (state.backlog(), state.all_weight());
        let dropped = state.shut_down(immediate, &self.log);
        if let (Some(log), Some((returned, _))) = (self.log.get(), &dropped) {
            returned.iter().for_each(|(&number, (item, _))| log.left(number, item));
            let noted: usize = returned.values().map(|(item, _)| state.weigh(item)).sum();
            let weight = before.saturating_sub(state.all_weight() + noted);
            log.all_left(state.next_number() - count as u64, count, weight);
            self.note_tasks(&state);
        }
        self.wake_joiners(&mut state);
        state.wake(GETTERS, usize::MAX);
        state.wake(PUTTERS, usize::MAX);
        drop(state);
        drop(dropped);
    }

    /// How many items are in the queue now; taken ones are not. Python: `qsize`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether no item is in the queue now. Python: `empty`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a put would have to wait now, because of the number of items, reserved slots included, or of
    /// their weight. Python: `full`.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.lock().is_full(&self.log)
    }

    /// All counts, at one moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.lock();
        state.stats(state.waiting(GETTERS), state.waiting(PUTTERS))
    }
}

impl<T> fmt::Debug for BoundedQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoundedQueue").field(&self.stats()).finish()
    }
}
