//! Several items at a time, under as few locks as there are waits.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{BoundedQueue, GetError, PutManyError, Taken, Wait};

impl<T> BoundedQueue<T> {
    /// Put the items of `items`, from its front, and wait for room for those that do not fit at once. Says
    /// how many went in: all of them.
    ///
    /// Other producers' items may come between those before and after a wait. Python has no such method.
    ///
    /// # Errors
    /// If it stopped early, how many went in and why, as [`put`](Self::put) would say; the others are still
    /// in `items`. The time given is for all of them together.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, Wait};
    /// let queue = BoundedQueue::new(3);
    /// let mut items = (0..5).collect();
    /// let stopped = queue.put_many(&mut items, Wait::not_at_all()).unwrap_err();
    /// assert_eq!(stopped.put, 3);
    /// assert_eq!(items, [3, 4]);
    /// ```
    pub fn put_many(&self, items: &mut VecDeque<T>, wait: Wait<'_>) -> Result<usize, PutManyError> {
        let mut patience = wait.patience();
        let mut put = 0;
        let mut state = self.lock();
        while let Some(weight) = items.front().map(|item| state.weigh(item)) {
            state = self.room(state, weight, &mut patience).map_err(|reason| PutManyError { put, reason })?;
            if let Some(item) = items.pop_front() {
                self.push(&mut state, item, weight);
                put += 1;
            }
        }
        Ok(put)
    }

    /// Take up to `max` items: wait for one, then take what is there. Each has its own guard.
    ///
    /// `max` 0 takes none and does not wait. Python has no such method.
    ///
    /// # Errors
    /// As [`take`](Self::take), if there was not even one.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, Taken, Wait};
    /// let queue = BoundedQueue::new(0);
    /// queue.put_many(&mut (0..5).collect(), Wait::forever()).unwrap();
    /// let taken = queue.take_many(3, Wait::forever()).unwrap();
    /// let items: Vec<i32> = taken.into_iter().map(Taken::commit).collect();
    /// assert_eq!(items, [0, 1, 2]);
    /// ```
    pub fn take_many(self: &Arc<Self>, max: usize, wait: Wait<'_>) -> Result<Vec<Taken<T>>, GetError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let (mut state, first) = self.next(wait)?;
        let mut taken = Vec::with_capacity(max.min(state.len() + 1));
        taken.push(Taken::new(Arc::clone(self), first));
        while taken.len() < max
            && let Some(next) = state.take()
        {
            taken.push(Taken::new(Arc::clone(self), next));
        }
        Ok(taken)
    }
}
