//! The steps that the queue's methods share: how they wait, and who is woken when.

use super::log::{Origin, Ticket};
use super::monitor::Locked;
use super::state::{GETTERS, Held, JOINERS, Numbered, PUTTERS, State};
use super::wait::Patience;
use super::{BoundedQueue, GaveUp, GetError, PutError, Wait};

impl<T> BoundedQueue<T> {
    /// The lock under which there is room for an item of this weight: for `push`, at once.
    pub(super) fn room<'q>(
        &'q self,
        mut state: Locked<'q, State<T>>,
        weight: usize,
        patience: &mut Patience<'_>,
    ) -> Result<Locked<'q, State<T>>, PutError<()>> {
        let mut disk_is_full = false;
        loop {
            state = state
                .until(PUTTERS, weight, patience, &mut |state, called| {
                    if std::mem::take(&mut disk_is_full) {
                        return false;
                    }
                    if state.is_shut_down() || state.can_never_fit(weight) {
                        return true;
                    }
                    state.spill(weight, &self.log);
                    let has_room = called == 0 && state.has_room(weight);
                    if !has_room {
                        // It may have been called for room that another one can use.
                        self.wake_putters(state);
                    }
                    has_room
                })
                .map_err(|gave_up| match gave_up {
                    GaveUp::TimedOut => PutError::Full(()),
                    GaveUp::Gone => PutError::Gone(()),
                })?;
            if state.is_shut_down() {
                return Err(PutError::ShutDown(()));
            }
            if state.can_never_fit(weight) {
                return Err(PutError::TooLarge(()));
            }
            let Some(log) = self.log.get().filter(|log| !log.has_room(weight)) else { return Ok(state) };
            // To make room there takes a while. If the disk is full, so is the queue.
            drop(state);
            disk_is_full = !log.prepare(weight);
            state = self.lock();
        }
    }

    pub(super) fn push(
        &self,
        state: &mut Locked<'_, State<T>>,
        item: T,
        weight: usize,
        origin: Origin<'_>,
    ) -> Ticket {
        let ticket = self.log.get().map_or(0, |log| log.put(state.next_number(), &item, origin));
        state.push(item, weight);
        state.wake(GETTERS, 1);
        self.wake_putters(state);
        ticket
    }

    /// The item has left for good, and the queue is still locked.
    pub(super) fn note_left(&self, number: u64, item: &T) {
        if let Some(log) = self.log.get() {
            log.left(number, item);
        }
    }

    /// The number of unfinished tasks has changed.
    pub(super) fn note_tasks(&self, state: &State<T>) {
        if let Some(log) = self.log.get() {
            log.tasks(state.unfinished());
        }
    }

    /// The next item, and the lock under which it was taken.
    pub(super) fn next(&self, wait: Wait<'_>) -> Result<(Locked<'_, State<T>>, Numbered<T>), GetError> {
        let mut next = None;
        let locked = self
            .lock()
            .until(GETTERS, 0, &mut wait.patience(), &mut |state, called| {
                if state.len() > called {
                    next = state.take(&self.log);
                }
                next.is_some() || state.is_exhausted()
            })
            .map_err(|gave_up| match gave_up {
                GaveUp::TimedOut => GetError::Empty,
                GaveUp::Gone => GetError::Gone,
            })?;
        next.map(|next| (locked, next)).ok_or(GetError::ShutDown)
    }

    /// The state. Only a user's `weigh` can panic under the lock, and it is called before a step changes
    /// the state, so that what a poisoned mutex protects is sound.
    pub(super) fn lock(&self) -> Locked<'_, State<T>> {
        self.monitor.lock()
    }

    /// There may be room now, or room left: wake the putters that can use it, and nobody else.
    pub(super) fn wake_putters(&self, state: &mut Locked<'_, State<T>>) {
        let (mut slots, mut weight) = (1, 0_usize);
        state.wake_fitting(PUTTERS, |state, need| {
            if !state.has_slots(slots) {
                return None;
            }
            let sum = weight.saturating_add(need);
            let fits = state.can_bear(sum);
            if fits {
                (slots, weight) = (slots + 1, sum);
            }
            Some(fits)
        });
    }

    /// A step after which there may be room for others, or nothing more to come.
    pub(super) fn lock_and_wake_putters(&self, step: impl FnOnce(&mut State<T>)) {
        let mut state = self.lock();
        step(&mut state);
        self.wake_putters(&mut state);
        self.wake_getters_at_the_end(&mut state);
    }

    /// The last item that could have come back is gone for good: getters need not wait for it any more.
    pub(super) fn wake_getters_at_the_end(&self, state: &mut Locked<'_, State<T>>) {
        if state.is_exhausted() {
            state.wake(GETTERS, usize::MAX);
        }
    }

    /// An item came back: to a getter, or out of a closed queue for good.
    pub(super) fn put_back(&self, back: Numbered<T>, held: Held) {
        let mut state = self.lock();
        let (number, attempts) = (back.number, back.attempts);
        let discarded = state.put_back(back, held);
        if let Some(item) = &discarded {
            self.note_left(number, item);
            self.note_tasks(&state);
            self.wake_joiners(&mut state);
            self.wake_getters_at_the_end(&mut state);
        } else {
            if let Some(log) = self.log.get().filter(|_| attempts > 0) {
                log.failed(number, attempts);
            }
            state.wake(GETTERS, 1);
        }
        drop(state);
        drop(discarded);
    }

    /// Some item was done: if it was the last one, every `join` ends.
    pub(super) fn wake_joiners(&self, state: &mut Locked<'_, State<T>>) {
        if state.unfinished() == 0 {
            state.wake(JOINERS, usize::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
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
    fn a_heavy_putter_that_waits_leaves_the_others_asleep_until_there_is_room_for_them() {
        let limits = Limits { maxsize: 0, max_weight: Some(100), weigh: |n: &usize| *n };
        let queue = BoundedQueue::with_limits(limits);
        queue.put_many(&mut [1; 100].into(), Wait::not_at_all()).unwrap();
        let asked = AtomicUsize::new(0);
        let alive = || asked.fetch_add(1, Ordering::Relaxed) < usize::MAX;
        thread::scope(|scope| {
            let start = |weight, before| {
                let (queue, alive) = (&queue, &alive);
                let putter = scope.spawn(move || queue.put(weight, Wait::forever().while_alive(alive)));
                eventually("asleep", || queue.stats().waiting_putters > before);
                putter
            };
            let heavy = start(90, 0);
            let middle = [(); 8].map(|()| start(40, queue.stats().waiting_putters));
            let (began, looks) = (Instant::now(), asked.load(Ordering::Relaxed));
            (0..39).for_each(|_| assert_eq!(queue.try_get(), Ok(1)));
            assert_eq!((queue.stats().weight, queue.stats().waiting_putters), (61, 9));
            // A waiter asks when it was woken, or each 750 ms.
            let slices = 9 * (1 + began.elapsed().as_millis() as usize / 750);
            let woken = asked.load(Ordering::Relaxed) - looks;
            assert!(woken <= slices, "{woken} wake-ups for nothing");
            assert_eq!(queue.try_get(), Ok(1));
            eventually("one of the middle ones has put", || queue.stats().weight == 100);
            assert_eq!(queue.stats().waiting_putters, 8);
            while queue.stats().waiting_putters > 0 {
                let _ = woken_get(&queue);
            }
            assert_eq!(heavy.join().unwrap(), Ok(()));
            middle.into_iter().for_each(|putter| assert_eq!(putter.join().unwrap(), Ok(())));
        });
    }

    fn woken_get(queue: &BoundedQueue<usize>) -> Result<usize, GetError> {
        queue.get(Wait::at_most(Duration::from_millis(1)))
    }

    #[test]
    fn who_waits_longest_gets_the_next_item_and_nobody_passes_who_was_called() {
        let queue = BoundedQueue::new(0);
        let (sender, receiver) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            for n in 0..4 {
                let (queue, sender) = (&queue, sender.clone());
                scope.spawn(move || {
                    let item = woken(|wait| queue.get(wait.while_alive(&|| true))).unwrap();
                    sender.send((n, item)).unwrap();
                });
                eventually("asleep", || queue.stats().waiting_getters > n);
            }
            for n in 0..4 {
                queue.try_put(n).unwrap();
                assert_eq!(receiver.recv_timeout(LONG), Ok((n, n)));
            }
        });
        // One was called, and asks for a while whether its client is there: its item is not another one's.
        let (asking, asked) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        let alive = || {
            asking.wait();
            asked.wait();
            true
        };
        thread::scope(|scope| {
            let first = scope.spawn(|| queue.get(Wait::at_most(LONG).while_alive(&alive)));
            eventually("asleep", || queue.stats().waiting_getters == 1);
            queue.try_put(7).unwrap();
            asking.wait();
            assert_eq!((queue.len(), queue.try_get()), (1, Err(GetError::Empty)));
            queue.try_put(8).unwrap();
            assert_eq!(queue.try_get(), Ok(7), "two are there");
            asked.wait();
            assert_eq!(first.join().unwrap(), Ok(8));
        });
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
