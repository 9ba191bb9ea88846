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
    item: Taken<Pickled>,
    connection: u64,
    since: Instant,
    /// Whether its client has surely begun with it: then, if it is not finished, that was an attempt.
    begun: bool,
}

/// All items of one queue that are at clients.
pub(super) struct Ledger {
    state: Mutex<State>,
    policy: Redelivery,
}

#[derive(Default)]
struct State {
    /// By the item's number.
    lent: BTreeMap<u64, Lent>,
    /// What each connection's latest `get` gave it and it has not finished, by number, the oldest first: what a
    /// plain `task_done()` means. Items of the gets before it are not among these, or the second item would be
    /// taken for done by a worker that has failed with the first.
    latest: BTreeMap<u64, VecDeque<u64>>,
    /// No lease began before this. With many clients, looking through all that they have for each item that
    /// somebody asks for would be slow.
    oldest: Option<Instant>,
}

impl State {
    /// Notes that a connection has begun with the first item that it has not finished.
    fn begin(&mut self, connection: u64) {
        let first = self.latest.get(&connection).and_then(VecDeque::front);
        if let Some(lent) = first.and_then(|number| self.lent.get_mut(number)) {
            // Its lease may have ended, and then somebody else has begun with it.
            lent.begun |= lent.connection == connection;
        }
    }

    /// Those of the lent items that are to go back, in the order of their numbers.
    fn take_out(&mut self, goes: impl Fn(&Lent) -> bool) -> Vec<Lent> {
        let numbers: Vec<u64> =
            self.lent.iter().filter(|(_, lent)| goes(lent)).map(|(&number, _)| number).collect();
        numbers.iter().filter_map(|number| self.lent.remove(number)).collect()
    }
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

    /// Notes that a connection has these items now, of its latest `get`.
    pub(super) fn lend(&self, connection: u64, items: Vec<Taken<Pickled>>) {
        let since = Instant::now();
        let mut state = self.lock();
        // What it skips now it has tried: nobody asks for more before that.
        state.begin(connection);
        state.latest.insert(connection, items.iter().map(Taken::number).collect());
        state.oldest.get_or_insert(since);
        for item in items {
            state.lent.insert(item.number(), Lent { item, connection, since, begun: false });
        }
    }

    /// The connection is done with the oldest items of its latest `get`, which are now gone for good, wherever they
    /// are: an item whose lease has ended, and that waits again or is at somebody else, was done all the same. Says
    /// how many this call has finished; `None` if it has not so many, and then nothing is done.
    pub(super) fn done(&self, connection: u64, count: usize, queue: &BoundedQueue<Pickled>) -> Option<usize> {
        if count == 0 {
            return Some(0);
        }
        let mut state = self.lock();
        let latest = state.latest.get_mut(&connection).filter(|latest| latest.len() >= count)?;
        let numbers: Vec<u64> = latest.drain(..count).collect();
        if latest.is_empty() {
            state.latest.remove(&connection);
        }
        let lent: Vec<_> = numbers.into_iter().map(|number| (number, state.lent.remove(&number))).collect();
        drop(state);
        let finish = |(number, lent): (u64, Option<Lent>)| match lent {
            Some(lent) => Some(lent.item.commit()),
            // `None` if somebody else has finished it meanwhile.
            None => queue.remove(number),
        };
        Some(lent.into_iter().filter_map(finish).count())
    }

    /// The connection has never read what its latest `get` was to give it: nothing of that was begun.
    pub(super) fn unread(&self, connection: u64) {
        self.lock().latest.remove(&connection);
    }

    /// The connection has ended: what it was not done with goes back. Says how many items these were.
    pub(super) fn ended(&self, connection: u64, queue: &BoundedQueue<Pickled>) -> usize {
        let mut state = self.lock();
        state.begin(connection);
        state.latest.remove(&connection);
        let back = state.take_out(|lent| lent.connection == connection);
        drop(state);
        let count = back.len();
        self.take_back(back, queue);
        count
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
        // The first that each of these clients has not finished is the one that it hangs with.
        let mut connections: Vec<u64> =
            state.lent.values().filter(|lent| has_ended(lent.since)).map(|lent| lent.connection).collect();
        connections.dedup();
        connections.into_iter().for_each(|connection| state.begin(connection));
        let expired = state.take_out(|lent| has_ended(lent.since));
        state.oldest = state.lent.values().map(|lent| lent.since).min();
        drop(state);
        self.take_back(expired, queue);
    }

    fn take_back(&self, items: Vec<Lent>, queue: &BoundedQueue<Pickled>) {
        for Lent { item, begun, .. } in items {
            match &self.policy.dead_letters {
                _ if !begun => drop(item),
                Some(dead) if item.attempts() >= dead.attempts => {
                    // A queue that was shut down, or has a bound, may refuse: then the item comes back again.
                    match dead.queue.put(Pickled::clone(&item), Wait::not_at_all()) {
                        Ok(()) => {
                            drop(item.commit());
                            // Nobody will report it done, and `join()` must not wait for it.
                            let _ = queue.task_done();
                        }
                        Err(_) => item.fail(),
                    }
                }
                _ => item.fail(),
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
        assert_eq!(ledger.done(1, 1, &queue), Some(1)); // 2
        assert_eq!(ledger.ended(2, &queue), 2);
        assert_eq!(ledger.ended(1, &queue), 1);
        assert_eq!(ledger.done(1, 1, &queue), None);
        assert_eq!(rest(&queue), "0 1 3 4");
    }

    #[test]
    fn an_item_that_was_skipped_is_not_taken_for_done_and_comes_back_when_its_connection_ends() {
        let (queue, ledger) = (queue_of(3), Ledger::new(Redelivery::default()));
        ledger.lend(1, take(&queue)); // failed: no task_done()
        ledger.lend(1, take(&queue));
        assert_eq!(ledger.done(1, 1, &queue), Some(1));
        assert_eq!(ledger.done(1, 1, &queue), None, "it is not of the latest get");
        assert_eq!(ledger.ended(1, &queue), 1);
        assert_eq!(rest(&queue), "0 2");
    }

    #[test]
    fn an_item_that_is_done_after_its_lease_is_done_wherever_it_is() {
        let policy = Redelivery { lease: Some(Duration::ZERO), ..Redelivery::default() };
        let (queue, ledger) = (queue_of(3), Ledger::new(policy));
        ledger.lend(1, take(&queue));
        ledger.expire(&queue);
        assert_eq!(ledger.done(1, 1, &queue), Some(1), "it waits again");
        ledger.lend(1, take(&queue));
        ledger.expire(&queue);
        ledger.lend(2, take(&queue));
        assert_eq!(ledger.done(1, 1, &queue), Some(1), "it is at another client");
        assert_eq!(ledger.done(2, 1, &queue), Some(0), "who is late, and is not told so");
        assert_eq!((ledger.done(1, 1, &queue), ledger.done(2, 1, &queue)), (None, None));
        assert_eq!((ledger.ended(2, &queue), rest(&queue).as_str()), (0, "2"));
    }

    #[test]
    fn what_a_client_has_skipped_or_lost_by_its_lease_leaves_nothing_behind() {
        let policy = Redelivery { lease: Some(Duration::ZERO), ..Redelivery::default() };
        let (queue, ledger) = (queue_of(1), Ledger::new(policy));
        for _ in 0..100 {
            ledger.lend(1, take(&queue));
            ledger.expire(&queue);
        }
        let state = ledger.lock();
        assert_eq!((state.lent.len(), state.latest.len(), state.latest[&1].len()), (0, 1, 1));
    }

    #[test]
    fn of_a_batch_only_the_item_that_was_begun_counts_an_attempt() {
        let dead = BoundedQueue::new(0);
        let dead_letters = Some(DeadLetters { attempts: 1, queue: dead.clone() });
        let (queue, ledger) = (queue_of(4), Ledger::new(Redelivery { lease: None, dead_letters }));
        let take_all = |connection| {
            ledger.lend(connection, queue.take_many(9, usize::MAX, Wait::not_at_all()).unwrap());
        };
        take_all(1);
        ledger.ended(1, &queue); // 0 was begun
        take_all(2);
        assert_eq!(ledger.done(2, 1, &queue), Some(1)); // 0
        ledger.ended(2, &queue); // 1 was begun
        take_all(3);
        ledger.ended(3, &queue); // 1 was begun again
        assert_eq!((rest(&queue), rest(&dead)), ("2 3".into(), "1".into()));
    }

    #[test]
    fn a_reply_that_was_never_read_counts_no_attempt() {
        let dead = BoundedQueue::new(0);
        let dead_letters = Some(DeadLetters { attempts: 0, queue: dead.clone() });
        let (queue, ledger) = (queue_of(2), Ledger::new(Redelivery { lease: None, dead_letters }));
        ledger.lend(1, take(&queue));
        ledger.lend(1, take(&queue));
        ledger.unread(1);
        assert_eq!(ledger.ended(1, &queue), 2);
        assert_eq!((rest(&queue), rest(&dead)), ("1".into(), "0".into()), "0 was read, and skipped");
    }

    #[test]
    fn what_a_worker_skips_counts_an_attempt() {
        let dead = BoundedQueue::new(0);
        let dead_letters = Some(DeadLetters { attempts: 0, queue: dead.clone() });
        let (queue, ledger) = (queue_of(2), Ledger::new(Redelivery { lease: None, dead_letters }));
        ledger.lend(1, take(&queue));
        ledger.lend(1, take(&queue));
        ledger.done(1, 1, &queue);
        ledger.ended(1, &queue);
        assert_eq!((rest(&queue), rest(&dead)), (String::new(), "0".into()));
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
        ledger.done(1, 1, &queue);
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
        assert_eq!(
            (ledger.done(1, 4, &queue), ledger.done(1, usize::MAX, &queue), ledger.done(2, 1, &queue)),
            (None, None, None)
        );
        assert_eq!(
            (ledger.done(1, 2, &queue), ledger.done(1, 0, &queue), ledger.done(9, 0, &queue)),
            (Some(2), Some(0), Some(0))
        );
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
