//! How a thread waits in a queue, and who is woken when: all that touches the mutex and the conditions.

use std::sync::{MutexGuard, PoisonError};

use super::log::{Origin, Ticket};
use super::state::{Held, Numbered, State, Until};
use super::wait::{GaveUp, Patience};
use super::{BoundedQueue, GetError, PutError, Wait};

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
            state.spill(weight, &self.log);
            if state.has_room(weight) {
                let Some(log) = self.log.get().filter(|log| !log.has_room(weight)) else { return Ok(state) };
                // To make room there takes a while.
                drop(state);
                let prepared = log.prepare(weight);
                state = self.lock();
                if prepared {
                    continue;
                }
                // The disk is full, and so is the queue.
            }
            state = match self.pause(state, Until::NotFull { weight }, patience) {
                Ok(state) => state,
                Err(GaveUp::TimedOut) => return Err(PutError::Full(())),
                Err(GaveUp::Gone) => return Err(PutError::Gone(())),
            };
        }
    }

    pub(super) fn push(&self, state: &mut State<T>, item: T, weight: usize, origin: Origin<'_>) -> Ticket {
        let ticket = self.log.get().map_or(0, |log| log.put(state.next_number(), &item, origin));
        state.push(item, weight);
        state.getters.wake(1, &self.not_empty);
        self.wake_putters(state);
        ticket
    }

    /// The item has left for good, and the queue is still locked.
    pub(super) fn note_left(&self, number: u64, item: &T) {
        if let Some(log) = self.log.get() {
            log.left(number, item);
        }
    }

    /// The next item, and the lock under which it was taken.
    pub(super) fn next(&self, wait: Wait<'_>) -> Result<(MutexGuard<'_, State<T>>, Numbered<T>), GetError> {
        let mut patience = wait.patience();
        let mut state = self.lock();
        loop {
            if let Some(next) = state.take(&self.log) {
                return Ok((state, next));
            }
            if state.is_exhausted() {
                return Err(GetError::ShutDown);
            }
            state = match self.pause(state, Until::NotEmpty, &mut patience) {
                Ok(state) => state,
                Err(GaveUp::TimedOut) => return Err(GetError::Empty),
                Err(GaveUp::Gone) => return Err(GetError::Gone),
            };
        }
    }

    /// The state. Only a user's `weigh` can panic under the lock, and it is called before a step changes
    /// the state, so that what a poisoned mutex protects is sound.
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

    /// A step after which there may be room for others, or nothing more to come.
    pub(super) fn lock_and_wake_putters(&self, step: impl FnOnce(&mut State<T>)) {
        let mut state = self.lock();
        step(&mut state);
        self.wake_putters(&mut state);
        self.wake_getters_at_the_end(&mut state);
    }

    /// The last item that could have come back is gone for good: getters need not wait for it any more.
    pub(super) fn wake_getters_at_the_end(&self, state: &mut State<T>) {
        if state.is_exhausted() {
            state.getters.wake_all(&self.not_empty);
        }
    }

    /// An item came back: to a getter, or out of a closed queue for good.
    pub(super) fn put_back(&self, back: Numbered<T>, held: Held) {
        let mut state = self.lock();
        let (number, attempts) = (back.number, back.attempts);
        let discarded = state.put_back(back, held);
        if let Some(item) = &discarded {
            self.note_left(number, item);
            if let Some(log) = self.log.get() {
                log.tasks(state.unfinished());
            }
            self.wake_joiners(&mut state);
            self.wake_getters_at_the_end(&mut state);
        } else {
            if let Some(log) = self.log.get().filter(|_| attempts > 0) {
                log.failed(number, attempts);
            }
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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::super::testing::{LONG, eventually, woken};
    use super::super::{Limits, Taken};
    use super::*;

    #[test]
    fn a_call_that_need_not_wait_does_not_ask_whether_its_client_is_there() {
        let queue = BoundedQueue::new(1);
        let wait = Wait::forever().while_alive(&|| panic!("asked"));
        queue.put(1, wait).unwrap();
        assert_eq!(queue.get(wait), Ok(1));
        queue.task_done().unwrap();
        assert_eq!(queue.join(wait), Ok(()));
    }

    #[test]
    fn the_check_is_asked_with_no_lock_held_and_again_before_an_item_is_taken() {
        let queue = BoundedQueue::new(0);
        let asked = Cell::new(0);
        let alive = || {
            asked.set(asked.get() + 1);
            // Would deadlock if the lock were held; and what it puts must not be taken if it says no.
            queue.try_put(asked.get()).unwrap();
            false
        };
        let wait = Wait::at_most(Duration::from_millis(5)).while_alive(&alive);
        assert_eq!(queue.get(wait), Err(GetError::Gone));
        assert_eq!((asked.get(), queue.len()), (1, 1));
    }

    #[test]
    fn a_waiter_whose_client_vanishes_gives_up_within_a_slice_or_two() {
        let queue = BoundedQueue::<i32>::new(0);
        let (start, asked) = (Instant::now(), Cell::new(0));
        let alive = || asked.replace(asked.get() + 1) == 0;
        assert_eq!(queue.get(Wait::forever().while_alive(&alive)), Err(GetError::Gone));
        assert_eq!(asked.get(), 2);
        assert!(start.elapsed() < LONG);
    }

    #[test]
    fn gone_getters_take_nothing_and_pass_the_wake_up_on() {
        let queue = BoundedQueue::new(0);
        thread::scope(|scope| {
            let gone: Vec<_> = (0..3)
                .map(|n| {
                    let getter = scope.spawn(|| queue.get(Wait::forever().while_alive(&|| false)));
                    eventually("asleep", || queue.stats().waiting_getters > n);
                    getter
                })
                .collect();
            let there = scope.spawn(|| woken(|wait| queue.get(wait)));
            eventually("asleep", || queue.stats().waiting_getters == 4);
            queue.try_put("item").unwrap();
            assert_eq!(there.join().unwrap(), Ok("item"));
            for getter in gone {
                assert_eq!(getter.join().unwrap(), Err(GetError::Gone));
            }
        });
        assert_eq!(queue.stats().gets, 1);
    }

    #[test]
    fn a_check_that_panics_passes_the_wake_up_on() {
        let queue = BoundedQueue::new(0);
        thread::scope(|scope| {
            let broken = scope.spawn(|| queue.get(Wait::forever().while_alive(&|| panic!("on purpose"))));
            eventually("asleep", || queue.stats().waiting_getters == 1);
            let there = scope.spawn(|| woken(|wait| queue.get(wait)));
            eventually("asleep", || queue.stats().waiting_getters == 2);
            queue.try_put("item").unwrap();
            assert_eq!(there.join().unwrap(), Ok("item"));
            assert!(broken.join().is_err());
        });
    }

    #[test]
    fn gone_putters_put_nothing_and_pass_the_wake_up_on() {
        let queue = BoundedQueue::new(1);
        queue.try_put(0).unwrap();
        thread::scope(|scope| {
            let gone: Vec<_> = (1..4)
                .map(|n| {
                    let queue = &queue;
                    let putter = scope.spawn(move || queue.put(n, Wait::forever().while_alive(&|| false)));
                    eventually("asleep", || queue.stats().waiting_putters == n);
                    putter
                })
                .collect();
            let there = scope.spawn(|| woken(|wait| queue.put(9, wait)));
            eventually("asleep", || queue.stats().waiting_putters == 4);
            assert_eq!(queue.try_get(), Ok(0));
            assert_eq!(there.join().unwrap(), Ok(()));
            for (n, putter) in (1..).zip(gone) {
                assert_eq!(putter.join().unwrap(), Err(PutError::Gone(n)));
            }
        });
        assert_eq!((queue.try_get(), queue.stats().puts), (Ok(9), 2));
    }

    #[test]
    fn room_for_a_light_item_wakes_its_putter_behind_a_heavy_one() {
        let limits = Limits { maxsize: 0, max_weight: Some(10), weigh: |n: &usize| *n };
        let queue = BoundedQueue::with_limits(limits);
        queue.put_many(&mut [7, 3].into(), Wait::not_at_all()).unwrap();
        thread::scope(|scope| {
            let heavy = scope.spawn(|| woken(|wait| queue.put(10, wait)));
            eventually("asleep", || queue.stats().waiting_putters == 1);
            let light = [2, 1].map(|n| {
                let queue = &queue;
                let putter = scope.spawn(move || woken(|wait| queue.put(n, wait)));
                eventually("asleep", || queue.stats().waiting_putters > 3 - n);
                putter
            });
            assert_eq!(queue.try_get(), Ok(7));
            assert!(light.into_iter().all(|putter| putter.join().unwrap().is_ok()));
            assert_eq!(queue.stats().weight, 6);
            assert_eq!((0..3).map(|_| queue.try_get().unwrap()).sum::<usize>(), 6);
            assert_eq!(heavy.join().unwrap(), Ok(()));
        });
        assert_eq!(queue.stats().weight, 10);
    }

    #[test]
    fn room_for_two_items_wakes_two_putters() {
        let limits = Limits { maxsize: 0, max_weight: Some(10), weigh: |n: &usize| *n };
        let queue = BoundedQueue::with_limits(limits);
        queue.try_put(10).unwrap();
        thread::scope(|scope| {
            let putters = [(); 2].map(|()| scope.spawn(|| woken(|wait| queue.put(5, wait))));
            eventually("asleep", || queue.stats().waiting_putters == 2);
            assert_eq!(queue.try_get(), Ok(10));
            assert!(putters.into_iter().all(|putter| putter.join().unwrap().is_ok()));
        });
    }

    #[test]
    fn a_slot_that_is_released_wakes_a_putter_and_a_returned_item_a_getter() {
        let queue = BoundedQueue::new(1);
        queue.try_put(1).unwrap();
        let mut taken = queue.take(Wait::not_at_all()).unwrap();
        thread::scope(|scope| {
            let putter = scope.spawn(|| woken(|wait| queue.put(2, wait)));
            eventually("asleep", || queue.stats().waiting_putters == 1);
            taken.release_slot();
            assert_eq!(putter.join().unwrap(), Ok(()));
            assert_eq!(queue.try_get(), Ok(2));
            let getter = scope.spawn(|| woken(|wait| queue.take(wait)).map(Taken::commit));
            eventually("asleep", || queue.stats().waiting_getters == 1);
            drop(taken);
            assert_eq!(getter.join().unwrap(), Ok(1));
        });
    }

    #[test]
    fn no_wake_up_is_lost_among_many_threads_on_one_slot() {
        let queue = BoundedQueue::new(1);
        let (threads, each) = (8, 300);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| (0..each).for_each(|n| woken(|wait| queue.put(n, wait)).unwrap()));
                scope.spawn(|| (0..each).for_each(|_| assert!(woken(|wait| queue.get(wait)).is_ok())));
            }
        });
        assert_eq!(queue.stats().gets, threads * each);
    }

    #[test]
    fn a_panic_in_weigh_leaves_the_queue_usable() {
        let weigh = |n: &i32| if *n < 0 { panic!("on purpose") } else { 1 };
        let queue = BoundedQueue::with_limits(Limits { maxsize: 0, max_weight: Some(5), weigh });
        let broken = Arc::clone(&queue);
        assert!(thread::spawn(move || broken.try_put(-1)).join().is_err());
        queue.try_put(1).unwrap();
        assert_eq!((queue.try_get(), queue.stats().puts), (Ok(1), 1));
    }
}
