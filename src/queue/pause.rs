//! How a thread waits in a queue, and who is woken when: all that touches the mutex and the conditions.

use std::sync::{MutexGuard, PoisonError};

use super::state::{Numbered, State};
use super::wait::{GaveUp, Patience};
use super::{BoundedQueue, GetError, PutError, Wait};

/// What a thread sleeps for.
#[derive(Clone, Copy)]
pub(super) enum Until {
    NotEmpty,
    /// Full for an item of this weight.
    NotFull {
        weight: usize,
    },
    AllTasksDone,
}

impl<T> BoundedQueue<T> {
    /// The lock under which there is room for an item of this weight: for `push`, at once.
    pub(super) fn room<'q>(
        &'q self,
        mut state: MutexGuard<'q, State<T>>,
        weight: usize,
        patience: &mut Patience<'_>,
    ) -> Result<MutexGuard<'q, State<T>>, PutError<()>> {
        loop {
            if state.is_shut_down() {
                return Err(PutError::ShutDown(()));
            }
            if state.can_never_fit(weight) {
                return Err(PutError::TooLarge(()));
            }
            if state.has_room(weight) {
                return Ok(state);
            }
            state = match self.pause(state, Until::NotFull { weight }, patience) {
                Ok(state) => state,
                Err(GaveUp::TimedOut) => return Err(PutError::Full(())),
                Err(GaveUp::Gone) => return Err(PutError::Gone(())),
            };
        }
    }

    pub(super) fn push(&self, state: &mut State<T>, item: T, weight: usize) {
        state.push(item, weight);
        state.getters.wake(1, &self.not_empty);
        self.wake_putters(state);
    }

    /// The next item, and the lock under which it was taken.
    pub(super) fn next(&self, wait: Wait<'_>) -> Result<(MutexGuard<'_, State<T>>, Numbered<T>), GetError> {
        let mut patience = wait.patience();
        let mut state = self.lock();
        loop {
            if let Some(next) = state.take() {
                return Ok((state, next));
            }
            if state.is_shut_down() {
                return Err(GetError::ShutDown);
            }
            state = match self.pause(state, Until::NotEmpty, &mut patience) {
                Ok(state) => state,
                Err(GaveUp::TimedOut) => return Err(GetError::Empty),
                Err(GaveUp::Gone) => return Err(GetError::Gone),
            };
        }
    }

    /// The state. A thread that panicked under the lock does not take the queue down: only a `weigh` that
    /// panics can do that, and it is called before a step changes anything.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleep until woken, for one nap at most, and ask the wait's check. Whoever calls this looks again
    /// whether it can go on, before it calls it again.
    pub(super) fn pause<'q>(
        &'q self,
        mut state: MutexGuard<'q, State<T>>,
        until: Until,
        patience: &mut Patience<'_>,
    ) -> Result<MutexGuard<'q, State<T>>, GaveUp> {
        let nap = patience.nap().ok_or(GaveUp::TimedOut)?;
        let condition = match until {
            Until::NotEmpty => &self.not_empty,
            Until::NotFull { .. } => &self.not_full,
            Until::AllTasksDone => &self.all_tasks_done,
        };
        state.enter(until);
        (state, _) = condition.wait_timeout(state, nap).unwrap_or_else(PoisonError::into_inner);
        state.leave(until);

        let Some(alive) = patience.alive() else {
            return Ok(state);
        };
        drop(state);
        let baton = Baton { queue: self, until };
        if !alive() {
            return Err(GaveUp::Gone);
        }
        std::mem::forget(baton);
        Ok(self.lock())
    }

    /// There may be room now, or room left: wake the putters that can use it.
    pub(super) fn wake_putters(&self, state: &mut State<T>) {
        let count = state.putters_to_wake();
        state.putters.wake(count, &self.not_full);
    }

    /// An item came back: to a getter, or out of a closed queue for good.
    pub(super) fn put_back(&self, back: Numbered<T>, has_slot: bool) {
        let mut state = self.lock();
        let discarded = state.put_back(back, has_slot);
        if discarded.is_some() {
            self.wake_joiners(&mut state);
        } else {
            state.getters.wake(1, &self.not_empty);
        }
        drop(state);
        drop(discarded);
    }

    /// Some item was done: if it was the last one, every `join` ends.
    pub(super) fn wake_joiners(&self, state: &mut State<T>) {
        if state.unfinished() == 0 {
            state.joiners.wake_all(&self.all_tasks_done);
        }
    }
}

/// The wake-up that a thread may have consumed before it asks whether its client is still there. Dropped,
/// because the client is gone or the check panicked, it goes on to the next waiter: nobody else would tell
/// that one of the item or the room there is.
struct Baton<'q, T> {
    queue: &'q BoundedQueue<T>,
    until: Until,
}

impl<T> Drop for Baton<'_, T> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        match self.until {
            Until::NotEmpty if state.len() > 0 => state.getters.wake(1, &self.queue.not_empty),
            Until::NotFull { .. } => self.queue.wake_putters(&mut state),
            // Nothing to get; or everything is done, which wakes all.
            Until::NotEmpty | Until::AllTasksDone => {}
        }
    }
}
