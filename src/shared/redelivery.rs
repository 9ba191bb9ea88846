//! At-least-once delivery: who got what, and has not said that it is done.
//!
//! A plain queue forgets an item once its client has it; if the client dies at work, the item is gone. A
//! redelivering queue keeps each item until the connection that got it calls `task_done()`. Unmodified
//! Python workers do that already, for `join()`'s sake.

use std::collections::{HashMap, VecDeque};
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
    /// The queue that receives it. Must have no bound: an item that is given up is not thrown away.
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

/// All items of one queue that are at clients, by connection, the oldest first.
pub(super) struct Ledger {
    lent: Mutex<HashMap<u64, VecDeque<Lent>>>,
    policy: Redelivery,
}

/// What `task_done()` was about.
#[derive(Debug, PartialEq)]
pub(super) enum Done {
    /// The oldest item of the connection, which is now gone for good.
    Item,
    /// An item whose lease had ended, and which somebody else has by now.
    TooLate,
    /// Nothing: the connection has no item.
    NoItem,
}

impl Ledger {
    pub(super) fn new(policy: Redelivery) -> Self {
        Self { lent: Mutex::default(), policy }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, VecDeque<Lent>>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a connection has these items now.
    pub(super) fn lend(&self, connection: u64, items: Vec<Taken<Pickled>>) {
        let since = Instant::now();
        let items = items.into_iter().map(|item| Lent { item: Some(item), since });
        self.lock().entry(connection).or_default().extend(items);
    }

    /// The connection is done with its oldest item.
    pub(super) fn done(&self, connection: u64) -> Done {
        let oldest = match self.lock().get_mut(&connection).and_then(VecDeque::pop_front) {
            None => return Done::NoItem,
            Some(oldest) => oldest.item,
        };
        match oldest {
            None => Done::TooLate,
            Some(item) => {
                drop(item.commit());
                Done::Item
            }
        }
    }

    /// The connection has ended: what it was not done with goes back.
    pub(super) fn ended(&self, connection: u64, queue: &BoundedQueue<Pickled>) {
        let lent = self.lock().remove(&connection).unwrap_or_default();
        self.take_back(lent.into_iter().filter_map(|lent| lent.item), queue);
    }

    /// Takes back the items whose lease has ended.
    ///
    /// Nobody needs them before somebody asks for an item, so whoever does calls this first, and again while
    /// it waits: no thread keeps watch.
    pub(super) fn expire(&self, queue: &BoundedQueue<Pickled>) {
        let Some(lease) = self.policy.lease else { return };
        let mut expired = Vec::new();
        for lent in self.lock().values_mut().flatten() {
            if lent.since.elapsed() >= lease {
                expired.extend(lent.item.take());
            }
        }
        self.take_back(expired.into_iter(), queue);
    }

    fn take_back(&self, items: impl Iterator<Item = Taken<Pickled>>, queue: &BoundedQueue<Pickled>) {
        for item in items {
            match &self.policy.dead_letters {
                Some(dead) if item.returns() >= dead.attempts => {
                    // An unbounded queue refuses only after a shutdown, and then nobody wants the item.
                    let _ = dead.queue.put(item.commit(), Wait::not_at_all());
                    // Nobody will report it done, and `join()` must not wait for it.
                    let _ = queue.task_done();
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
        assert_eq!(ledger.done(1), Done::Item); // 0
        ledger.ended(2, &queue);
        ledger.ended(1, &queue);
        assert_eq!(ledger.done(1), Done::NoItem);
        assert_eq!(rest(&queue), "1 2 3 4");
    }

    #[test]
    fn a_lease_that_ends_gives_the_item_to_somebody_else() {
        let policy = Redelivery { lease: Some(Duration::ZERO), ..Redelivery::default() };
        let (queue, ledger) = (queue_of(2), Ledger::new(policy));
        ledger.lend(1, take(&queue));
        ledger.expire(&queue);
        ledger.lend(2, take(&queue));
        assert_eq!(ledger.done(1), Done::TooLate);
        assert_eq!(ledger.done(1), Done::NoItem);
        assert_eq!(ledger.done(2), Done::Item);
        assert_eq!(rest(&queue), "1");
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
}
