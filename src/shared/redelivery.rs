//! At-least-once delivery: who got what, and has not said that it is done.
//!
//! A plain queue forgets an item once its client has it; if the client dies at work, the item is gone. A
//! redelivering queue keeps each item until the connection that got it calls `task_done()`. Unmodified
//! Python workers do that already, for `join()`'s sake.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::pickle::Pickled;
use crate::queue::{BoundedQueue, Taken, Wait};

/// How a queue takes back what its clients did not finish. The default is: whenever a connection ends.
///
/// ```
/// use std::time::Duration;
/// use netq::{BoundedQueue, DeadLetters, QueueOptions, Redelivery, SharedQueue};
///
/// let dead = SharedQueue::new(0);
/// let tasks = SharedQueue::with_options(QueueOptions {
///     redelivery: Some(Redelivery {
///         lease: Some(Duration::from_secs(60)),
///         dead_letters: Some(DeadLetters { attempts: 3, queue: dead.queue().clone() }),
///     }),
///     ..QueueOptions::default()
/// });
/// # let _ = tasks;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Redelivery {
    /// Also take back an item that is not done after this time: from a client that hangs, or whose machine
    /// has lost its power, which no connection tells.
    pub lease: Option<Duration>,
    /// Where items go that came back too often. Without it they come back for ever.
    pub dead_letters: Option<DeadLetters>,
}

/// Where items go that may be what kills their workers.
#[derive(Clone)]
pub struct DeadLetters {
    /// How many times an item is delivered again before it is given up.
    pub attempts: u32,
    /// The queue that receives it. Should have no bound: while it is full, items come back all the same.
    pub queue: Arc<BoundedQueue<Pickled>>,
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("attempts", &self.attempts).finish_non_exhaustive()
    }
}

/// An item at a client.
struct Lent {
    /// `None` once the lease has ended: the client may still say that it is done, and must not be taken to
    /// mean the next one.
    item: Option<Taken<Pickled>>,
    since: Instant,
}

/// All items of one queue that are at clients.
pub(super) struct Ledger {
    state: Mutex<State>,
    policy: Redelivery,
}

#[derive(Default)]
struct State {
    /// By connection, the oldest first.
    lent: BTreeMap<u64, VecDeque<Lent>>,
    /// No lease began before this. With many clients, looking through all that they have for each item that
    /// somebody asks for would be slow.
    oldest: Option<Instant>,
}

impl Ledger {
    pub(super) fn new(policy: Redelivery) -> Self {
        Self { state: Mutex::default(), policy }
    }

    /// The lease, and the number of attempts.
    pub(super) fn limits(&self) -> (Option<Duration>, Option<u32>) {
        (self.policy.lease, self.policy.dead_letters.as_ref().map(|dead| dead.attempts))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a connection has these items now.
    pub(super) fn lend(&self, connection: u64, items: Vec<Taken<Pickled>>) {
        let since = Instant::now();
        let items = items.into_iter().map(|item| Lent { item: Some(item), since });
        let mut state = self.lock();
        state.oldest.get_or_insert(since);
        state.lent.entry(connection).or_default().extend(items);
    }

    /// The connection is done with its oldest items, which are now gone for good. Says how many they were: those
    /// whose lease had ended are somebody else's to finish. `None` if it has not so many, and then nothing is done.
    pub(super) fn done(&self, connection: u64, count: usize) -> Option<usize> {
        if count == 0 {
            return Some(0);
        }
        let done: Vec<Lent> = {
            let mut state = self.lock();
            let lent = state.lent.get_mut(&connection).filter(|lent| lent.len() >= count)?;
            lent.drain(..count).collect()
        };
        Some(done.into_iter().filter_map(|lent| lent.item).map(Taken::commit).count())
    }

    /// The connection has ended: what it was not done with goes back.
    pub(super) fn ended(&self, connection: u64, queue: &BoundedQueue<Pickled>) {
        let lent = self.lock().lent.remove(&connection).unwrap_or_default();
        self.take_back(lent.into_iter().filter_map(|lent| lent.item), queue);
    }

    /// Takes back the items whose lease has ended.
    pub(super) fn expire(&self, queue: &BoundedQueue<Pickled>) {
        let Some(lease) = self.policy.lease else { return };
        let mut state = self.lock();
        let now = Instant::now();
        let has_ended = |since: Instant| now.saturating_duration_since(since) >= lease;
        if !state.oldest.is_some_and(has_ended) {
            return;
        }
        let (mut expired, mut oldest) = (Vec::new(), None);
        for lent in state.lent.values_mut().flatten() {
            if has_ended(lent.since) {
                expired.extend(lent.item.take());
            } else if lent.item.is_some() {
                oldest = Some(oldest.map_or(lent.since, |oldest| lent.since.min(oldest)));
            }
        }
        state.oldest = oldest;
        drop(state);
        self.take_back(expired.into_iter(), queue);
    }

    fn take_back(&self, items: impl Iterator<Item = Taken<Pickled>>, queue: &BoundedQueue<Pickled>) {
        for item in items {
            match &self.policy.dead_letters {
                Some(dead) if item.returns() >= dead.attempts => {
                    // A queue that was shut down, or has a bound, may refuse: then the item comes back again.
                    if dead.queue.put(item.clone(), Wait::not_at_all()).is_ok() {
                        drop(item.commit());
                        // Nobody will report it done, and `join()` must not wait for it.
                        let _ = queue.task_done();
                    }
                }
                // A guard that is dropped puts its item back, in its old place.
                _ => drop(item),
            }
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue_of(count: i64) -> Arc<BoundedQueue<Pickled>> {
        let queue = BoundedQueue::new(0);
        for number in 0..count {
            queue.try_put(Pickled::from(crate::Value::from(number))).unwrap();
        }
        queue
    }

    fn take(queue: &Arc<BoundedQueue<Pickled>>) -> Vec<Taken<Pickled>> {
        vec![queue.take(Wait::not_at_all()).unwrap()]
    }

    fn rest(queue: &BoundedQueue<Pickled>) -> String {
        let mut items = Vec::new();
        while let Ok(item) = queue.try_get() {
            items.push(item.decode().to_string());
        }
        items.join(" ")
    }

    #[test]
    fn what_is_not_done_when_its_connection_ends_goes_back_in_its_old_order() {
        let (queue, ledger) = (queue_of(5), Ledger::new(Redelivery::default()));
        for connection in [1, 2, 1, 2] {
            ledger.lend(connection, take(&queue));
        }
        assert_eq!(ledger.done(1, 1), Some(1)); // 0
        ledger.ended(2, &queue);
        ledger.ended(1, &queue);
        assert_eq!(ledger.done(1, 1), None);
        assert_eq!(rest(&queue), "1 2 3 4");
    }

    #[test]
    fn a_lease_that_ends_gives_the_item_to_somebody_else() {
        let policy = Redelivery { lease: Some(Duration::ZERO), ..Redelivery::default() };
        let (queue, ledger) = (queue_of(2), Ledger::new(policy));
        ledger.lend(1, take(&queue));
        ledger.expire(&queue);
        ledger.lend(2, take(&queue));
        assert_eq!(ledger.done(1, 1), Some(0), "too late");
        assert_eq!(ledger.done(1, 1), None);
        assert_eq!(ledger.done(2, 1), Some(1));
        assert_eq!(rest(&queue), "1");
    }

    #[test]
    fn leases_end_one_after_the_other_and_not_before_their_time() {
        let lease = Duration::from_millis(40);
        let policy = Redelivery { lease: Some(lease), ..Redelivery::default() };
        let (queue, ledger) = (queue_of(3), Ledger::new(policy));
        let start = Instant::now();
        for connection in 1..=3 {
            ledger.lend(connection, take(&queue));
            std::thread::sleep(lease / 4);
        }
        ledger.done(1, 1);
        for left in (0..2).rev() {
            while queue.stats().out > left {
                ledger.expire(&queue);
                assert!(start.elapsed() < Duration::from_secs(20), "{left} left");
            }
            assert!(start.elapsed() >= lease + lease / 4);
        }
        assert_eq!(rest(&queue), "1 2");
        assert_eq!(ledger.lock().oldest, None);
    }

    #[test]
    fn several_are_done_at_once_or_none() {
        let (queue, ledger) = (queue_of(3), Ledger::new(Redelivery::default()));
        ledger.lend(1, queue.take_many(3, usize::MAX, Wait::not_at_all()).unwrap());
        assert_eq!((ledger.done(1, 4), ledger.done(1, usize::MAX), ledger.done(2, 1)), (None, None, None));
        assert_eq!((ledger.done(1, 2), ledger.done(1, 0), ledger.done(9, 0)), (Some(2), Some(0), Some(0)));
        ledger.ended(1, &queue);
        assert_eq!(rest(&queue), "2");
    }

    #[test]
    fn an_item_that_comes_back_too_often_becomes_a_dead_letter() {
        let dead = BoundedQueue::new(0);
        let dead_letters = Some(DeadLetters { attempts: 2, queue: dead.clone() });
        let (queue, ledger) = (queue_of(1), Ledger::new(Redelivery { lease: None, dead_letters }));
        for connection in 0..3 {
            assert!(dead.is_empty());
            ledger.lend(connection, take(&queue));
            ledger.ended(connection, &queue);
        }
        assert_eq!((rest(&queue), rest(&dead)), (String::new(), "0".into()));
        assert_eq!(queue.stats().unfinished, 0);
    }

    #[test]
    fn an_item_that_the_dead_letter_queue_refuses_is_not_lost() {
        let dead = BoundedQueue::new(0);
        dead.shutdown(false);
        let dead_letters = Some(DeadLetters { attempts: 1, queue: dead });
        let (queue, ledger) = (queue_of(1), Ledger::new(Redelivery { lease: None, dead_letters }));
        for connection in 0..5 {
            ledger.lend(connection, take(&queue));
            ledger.ended(connection, &queue);
        }
        assert_eq!((rest(&queue), queue.stats().unfinished), ("0".into(), 1));
    }
}
