//! Several items at a time, under as few locks as there are waits.

use std::collections::VecDeque;
use std::sync::Arc;

use super::log::{Origin, Ticket};
use super::{BoundedQueue, GetError, PutManyError, Taken, TooManyDone, Wait};

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
        self.put_many_noted(items, wait, Origin::Put).1
    }

    /// As [`put_many`](Self::put_many). Says too what has to be waited for if those that went in are to be kept.
    pub(crate) fn put_many_noted(
        &self,
        items: &mut VecDeque<T>,
        wait: Wait<'_>,
        mut origin: Origin<'_>,
    ) -> (Ticket, Result<usize, PutManyError>) {
        let mut patience = wait.patience();
        let (mut put, mut ticket) = (0, 0);
        let mut state = self.lock();
        while let Some(weight) = items.front().map(|item| state.weigh(item)) {
            state = match self.room(state, weight, &mut patience) {
                Ok(state) => state,
                Err(reason) => return (ticket, Err(PutManyError { put, reason })),
            };
            if let Some(item) = items.pop_front() {
                ticket = self.push(&mut state, item, weight, origin);
                origin = origin.next();
                put += 1;
            }
        }
        (ticket, Ok(put))
    }

    /// Take up to `max` items: wait for one, then take what is there, as long as all of them together weigh
    /// no more than `max_weight`; the first is taken whatever it weighs. Each has its own guard.
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
    /// let taken = queue.take_many(3, usize::MAX, Wait::forever()).unwrap();
    /// let items: Vec<i32> = taken.into_iter().map(Taken::commit).collect();
    /// assert_eq!(items, [0, 1, 2]);
    /// ```
    pub fn take_many(
        self: &Arc<Self>,
        max: usize,
        max_weight: usize,
        wait: Wait<'_>,
    ) -> Result<Vec<Taken<T>>, GetError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        let (mut state, first) = self.next(wait)?;
        let mut weight = state.weigh(&first.item);
        let mut taken = Vec::with_capacity(max.min(state.len() + 1));
        taken.push(Taken::new(Arc::clone(self), first));
        while taken.len() < max
            && let Some(next) = state.take(&self.log)
        {
            weight = weight.saturating_add(state.weigh(&next.item));
            if weight > max_weight {
                state.untake(next);
                break;
            }
            taken.push(Taken::new(Arc::clone(self), next));
        }
        Ok(taken)
    }

    /// So many items are done, as if [`task_done`](Self::task_done) had been called so often; or none, if
    /// that is too often.
    ///
    /// # Errors
    /// [`TooManyDone`] if there are not so many unfinished ones.
    ///
    /// ```
    /// # use netq::queue::{BoundedQueue, Wait};
    /// let queue = BoundedQueue::new(0);
    /// queue.put_many(&mut (0..3).collect(), Wait::forever()).unwrap();
    /// assert!(queue.task_done_many(4).is_err());
    /// queue.task_done_many(3).unwrap();
    /// queue.join(Wait::forever()).unwrap();
    /// ```
    pub fn task_done_many(&self, count: usize) -> Result<(), TooManyDone> {
        let mut state = self.lock();
        if !state.tasks_done(count) {
            return Err(TooManyDone);
        }
        self.note_tasks(&state);
        self.wake_joiners(&mut state);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::super::testing::{eventually, woken};
    use super::super::{Limits, PutError};
    use super::*;

    #[test]
    fn put_many_says_how_many_went_in_and_leaves_the_others() {
        let queue = BoundedQueue::new(3);
        let mut items: VecDeque<_> = (0..5).collect();
        let full = PutManyError { put: 3, reason: PutError::Full(()) };
        assert_eq!(queue.put_many(&mut items, Wait::at_most(Duration::from_millis(5))), Err(full));
        assert_eq!((queue.len(), queue.stats().unfinished), (3, 3));
        assert_eq!(items, [3, 4]);
        queue.shutdown(false);
        let shut_down = PutManyError { put: 0, reason: PutError::ShutDown(()) };
        assert_eq!(queue.put_many(&mut items, Wait::forever()), Err(shut_down));
        assert_eq!(queue.put_many(&mut VecDeque::new(), Wait::forever()), Ok(0));
    }

    #[test]
    fn put_many_stops_at_an_item_that_can_never_fit() {
        let limits = Limits { maxsize: 0, max_weight: Some(5), weigh: |n: &usize| *n };
        let queue = BoundedQueue::with_limits(limits);
        let mut items = [1, 2, 6, 1].into();
        let too_large = PutManyError { put: 2, reason: PutError::TooLarge(()) };
        assert_eq!(queue.put_many(&mut items, Wait::forever()), Err(too_large));
        assert_eq!(items, [6, 1]);
    }

    #[test]
    fn put_many_waits_for_room_for_the_rest() {
        let queue = BoundedQueue::new(2);
        thread::scope(|scope| {
            let putter = scope.spawn(|| woken(|wait| queue.put_many(&mut (0..10).collect(), wait)));
            (0..10).for_each(|n| assert_eq!(woken(|wait| queue.get(wait)), Ok(n)));
            assert_eq!(putter.join().unwrap(), Ok(10));
        });
    }

    #[test]
    fn put_many_for_a_client_that_vanishes_keeps_what_went_in_before() {
        let queue = BoundedQueue::new(2);
        let mut items = (0..3).collect();
        let wait = Wait::at_most(Duration::from_millis(5)).while_alive(&|| false);
        let gone = PutManyError { put: 2, reason: PutError::Gone(()) };
        assert_eq!(queue.put_many(&mut items, wait), Err(gone));
        assert_eq!((queue.len(), items.len()), (2, 1));
    }

    #[test]
    fn put_many_wakes_a_getter_for_each_item() {
        let queue = BoundedQueue::new(0);
        thread::scope(|scope| {
            let getters = [(); 3].map(|()| scope.spawn(|| woken(|wait| queue.get(wait))));
            eventually("asleep", || queue.stats().waiting_getters == 3);
            queue.put_many(&mut (0..3).collect(), Wait::not_at_all()).unwrap();
            let mut got = getters.map(|getter| getter.join().unwrap().unwrap());
            got.sort_unstable();
            assert_eq!(got, [0, 1, 2]);
        });
    }

    #[test]
    fn take_many_waits_for_one_and_takes_what_is_there() {
        let queue = BoundedQueue::new(0);
        thread::scope(|scope| {
            let taker = scope.spawn(|| woken(|wait| queue.take_many(5, usize::MAX, wait)).unwrap().len());
            eventually("asleep", || queue.stats().waiting_getters == 1);
            queue.put_many(&mut (0..3).collect(), Wait::not_at_all()).unwrap();
            assert_eq!(taker.join().unwrap(), 3);
        });
        assert_eq!(queue.take_many(2, usize::MAX, Wait::not_at_all()).unwrap().len(), 2);
        let items = queue.take_many(usize::MAX, usize::MAX, Wait::not_at_all()).unwrap();
        assert_eq!(items.into_iter().map(Taken::commit).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(queue.take_many(1, usize::MAX, Wait::not_at_all()).unwrap_err(), GetError::Empty);
        assert!(queue.take_many(0, usize::MAX, Wait::forever()).unwrap().is_empty());
    }

    #[test]
    fn take_many_stops_before_it_takes_too_much_weight() {
        let queue = BoundedQueue::with_limits(Limits { maxsize: 0, max_weight: None, weigh: |n: &usize| *n });
        queue.put_many(&mut [3, 3, 5, 20, 1].into(), Wait::not_at_all()).unwrap();
        let take = |max, weight| -> Vec<usize> {
            let taken = queue.take_many(max, weight, Wait::not_at_all()).unwrap();
            taken.into_iter().map(Taken::commit).collect()
        };
        assert_eq!(take(9, 10), [3, 3]);
        let stats = queue.stats();
        assert_eq!((stats.len, stats.out, stats.reserved, stats.returned), (3, 0, 0, 0));
        let five = queue.take(Wait::not_at_all()).unwrap();
        assert_eq!((*five, five.attempts()), (5, 0), "it was never handed out");
        drop(five);
        assert_eq!((take(9, 5), take(9, 10), take(1, 0)), (vec![5], vec![20], vec![1]));
    }

    #[test]
    fn the_guards_of_take_many_end_one_by_one() {
        let queue = BoundedQueue::new(3);
        queue.put_many(&mut (0..3).collect(), Wait::not_at_all()).unwrap();
        let mut taken = queue.take_many(3, usize::MAX, Wait::not_at_all()).unwrap();
        assert_eq!(taken.remove(1).commit(), 1);
        assert_eq!((queue.stats().out, queue.stats().reserved, queue.len()), (2, 2, 0));
        drop(taken);
        assert_eq!((queue.try_get(), queue.try_get()), (Ok(0), Ok(2)));
    }
}
