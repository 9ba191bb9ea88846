//! The ledger of a queue: who has which item, and has not said that it is done.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::auth::random_bytes;
use crate::pickle::Pickled;
use crate::queue::{BoundedQueue, Taken};
use crate::shared::tag::Tag;
use crate::shared::{Handover, Redelivery};

/// A year: the clock does not count up to any number of seconds.
const LONGEST_REST: Duration = Duration::from_secs(365 * 24 * 3600);

/// An item that is out of the queue and not finished.
struct Out {
    item: Taken<Pickled>,
    delivery: u64,
    at: At,
}

/// Where such an item is.
enum At {
    /// At a client.
    Client {
        connection: u64,
        since: Instant,
        /// Whether the client has surely begun with it: then, if it is not finished, that was an attempt.
        begun: bool,
    },
    /// It has failed, and is not given to anybody before this time.
    Rest(Instant),
}

impl At {
    fn is_at(&self, client: u64) -> bool {
        matches!(self, Self::Client { connection, .. } if *connection == client)
    }

    fn rests(&self) -> bool {
        matches!(self, Self::Rest(_))
    }

    /// The client's lease begins anew.
    fn renew(&mut self, now: Instant) {
        if let Self::Client { since, .. } = self {
            *since = now;
        }
    }
}

/// What a connection's latest call gave it and it has not finished, the oldest first: what a plain `task_done()`
/// means. Items of the calls before it are not among these, or the second item would be taken for done by a
/// worker that has failed with the first.
struct Latest {
    connection: u64,
    items: VecDeque<Tag>,
    /// The reply with them was written. Before that nobody can have begun.
    written: bool,
}

/// All items of one queue that are at clients, or rest.
pub(super) struct Ledger {
    queue: Arc<BoundedQueue<Pickled>>,
    state: Mutex<State>,
    /// `None` if the queue delivers again only what was taken with `lend()`.
    policy: Option<Redelivery>,
    /// Whether anything rests, so that those who look at the queue need not lock the ledger for that.
    rests: AtomicBool,
    /// Whether anything was ever lent, so that a queue that does not redeliver need not lock the ledger for a `get`.
    lends: AtomicBool,
    run: u32,
}

#[derive(Default)]
struct State {
    /// By the item's number.
    out: BTreeMap<u64, Out>,
    /// By the connections' numbers.
    latest: Vec<Latest>,
    /// How many deliveries there were: the next one's number.
    deliveries: u64,
    /// Nothing comes back by itself before this. With many clients, looking through all that they have for each
    /// item that somebody asks for would be slow.
    due: Option<Instant>,
}

impl State {
    /// Notes that a connection has begun with the first item that it has not finished.
    fn begin(&mut self, connection: u64) {
        let latest = self.latest(connection).filter(|latest| latest.written);
        let Some(tag) = latest.and_then(|latest| latest.items.front()).copied() else { return };
        // Its lease may have ended, and then somebody else has begun with it.
        if let Some(Out { at: At::Client { begun, .. }, .. }) = held(&mut self.out, tag) {
            *begun = true;
        }
    }

    /// Ends this delivery of the item, unless it has ended.
    fn end(&mut self, tag: Tag) -> Option<Out> {
        held(&mut self.out, tag)?;
        self.out.remove(&tag.item)
    }

    /// The connection has said what became of these: ends those of the deliveries that have not ended.
    fn end_all(&mut self, connection: u64, tags: &[Tag]) -> Vec<Out> {
        let mut ended = Vec::new();
        for &tag in tags {
            self.settle(connection, tag);
            ended.extend(self.end(tag));
        }
        ended
    }

    /// The connection has said what became of it: it is not among what a plain `task_done()` means any more.
    fn settle(&mut self, connection: u64, tag: Tag) {
        let Some(latest) = self.latest(connection) else { return };
        // They are in the order of their deliveries.
        if let Ok(index) = latest.items.binary_search_by_key(&tag.delivery, |known| known.delivery) {
            latest.items.remove(index);
        }
        if latest.items.is_empty() {
            self.forget(connection);
        }
    }

    fn latest(&mut self, connection: u64) -> Option<&mut Latest> {
        let at = find(&self.latest, connection).ok()?;
        Some(&mut self.latest[at])
    }

    fn forget(&mut self, connection: u64) -> Option<Latest> {
        let at = find(&self.latest, connection).ok()?;
        Some(self.latest.remove(at))
    }

    /// Those of the items that are to go back, in the order of their numbers.
    fn take_out(&mut self, goes: impl Fn(&At) -> bool) -> Vec<Out> {
        let numbers: Vec<u64> =
            self.out.iter().filter(|(_, out)| goes(&out.at)).map(|(&number, _)| number).collect();
        numbers.iter().filter_map(|number| self.out.remove(number)).collect()
    }

    /// Something comes back by itself then.
    fn is_due(&mut self, at: Option<Instant>) {
        self.due = self.due.into_iter().chain(at).min();
    }
}

/// Where a connection's is, or where it would be.
fn find(latest: &[Latest], connection: u64) -> Result<usize, usize> {
    latest.binary_search_by_key(&connection, |latest| latest.connection)
}

/// The item, if it is still at a client by this delivery.
fn held(out: &mut BTreeMap<u64, Out>, tag: Tag) -> Option<&mut Out> {
    out.get_mut(&tag.item).filter(|out| out.delivery == tag.delivery && !out.at.rests())
}

impl Ledger {
    pub(super) fn new(queue: Arc<BoundedQueue<Pickled>>, policy: Option<Redelivery>) -> Self {
        let mut run = [0; 4];
        random_bytes(&mut run);
        let (rests, lends) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { queue, state: Mutex::default(), policy, rests, lends, run: u32::from_be_bytes(run) }
    }

    /// Whether what a plain `get` took comes back too.
    pub(super) fn redelivers(&self) -> bool {
        self.policy.is_some()
    }

    pub(super) fn lease(&self) -> Option<Duration> {
        self.policy.as_ref()?.lease
    }

    /// How often an item may fail.
    pub(super) fn attempts(&self) -> Option<u32> {
        Some(self.policy.as_ref()?.dead_letters.as_ref()?.attempts)
    }

    /// How many items rest.
    pub(super) fn resting(&self) -> usize {
        match self.rests.load(Ordering::Relaxed) {
            true => self.lock().out.values().filter(|out| out.at.rests()).count(),
            false => 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a connection is about to get these items. Their lease counts from now: a reply that nobody reads
    /// must not keep them for longer.
    pub(super) fn lend(self: &Arc<Self>, connection: u64, items: Vec<Taken<Pickled>>) -> (Vec<Tag>, Loan) {
        self.lends.store(true, Ordering::Relaxed);
        let since = Instant::now();
        let mut state = self.lock();
        // What it skips now it has tried: nobody asks for more before that.
        state.begin(connection);
        state.is_due(self.lease().and_then(|lease| since.checked_add(lease)));
        let mut tags = Vec::with_capacity(items.len());
        for item in items {
            let delivery = state.deliveries;
            state.deliveries += 1;
            tags.push(Tag { item: item.number(), delivery, run: self.run });
            let at = At::Client { connection, since, begun: false };
            state.out.insert(item.number(), Out { item, delivery, at });
        }
        let latest = Latest { connection, items: tags.iter().copied().collect(), written: false };
        match find(&state.latest, connection) {
            Ok(at) => state.latest[at] = latest,
            Err(at) => state.latest.insert(at, latest),
        }
        (tags, Loan { ledger: Arc::clone(self), connection, read: false })
    }

    /// Notes that a connection is about to get items for which the ledger is not needed: what it was lent before is not
    /// what a plain `task_done()` means now.
    pub(super) fn took(&self, connection: u64) {
        // Only the connection's own calls matter, and they come one after the other.
        if self.lends.load(Ordering::Relaxed) {
            let mut state = self.lock();
            state.begin(connection);
            state.forget(connection);
        }
    }

    /// The connection is done with the oldest items of its latest `get`, which are now gone for good. Says how many
    /// this call has finished; `None` if it has not so many, and then nothing is done.
    pub(super) fn done(&self, connection: u64, count: usize) -> Option<usize> {
        let mut state = self.lock();
        let tags = state.latest(connection).map_or(Vec::new(), |latest| {
            // Not `count`, which may be any number.
            latest.items.iter().take(count).copied().collect()
        });
        if tags.len() < count {
            return None;
        }
        Some(tags.into_iter().filter(|&tag| self.finish_one(&mut state, connection, tag)).count())
    }

    /// How many items of its latest `get` a connection has not finished.
    pub(super) fn unfinished(&self, connection: u64) -> usize {
        self.lock().latest(connection).map_or(0, |latest| latest.items.len())
    }

    /// The next item that a plain `task_failed()` of this connection means.
    pub(super) fn first(&self, connection: u64) -> Option<Tag> {
        self.lock().latest(connection)?.items.front().copied()
    }

    /// Whether this ledger has given such a tag.
    pub(super) fn check(&self, tag: Tag) -> bool {
        tag.run == self.run && tag.delivery < self.lock().deliveries
    }

    /// These items are done and gone for good, wherever they are: one whose lease has ended, and that waits again or
    /// is at somebody else, was done all the same. Says how many were not finished before.
    pub(super) fn finish(&self, connection: u64, tags: &[Tag]) -> usize {
        let mut state = self.lock();
        tags.iter().filter(|&&tag| self.finish_one(&mut state, connection, tag)).count()
    }

    fn finish_one(&self, state: &mut State, connection: u64, tag: Tag) -> bool {
        state.settle(connection, tag);
        // With the ledger locked: so nothing is on its way from there to the queue.
        let Some(out) = state.out.remove(&tag.item) else { return self.queue.remove(tag.item).is_some() };
        if out.at.is_at(connection) {
            // It got the item again since, and has now spoken of that delivery too.
            state.settle(connection, Tag { delivery: out.delivery, ..tag });
        }
        drop(out.item.commit());
        true
    }

    /// Work on these items has failed: each counts an attempt, and goes back after `delay`, or to the dead letters.
    /// Says how many were still out by these deliveries.
    pub(super) fn fail(&self, connection: u64, tags: &[Tag], delay: Duration) -> usize {
        let mut state = self.lock();
        let ended = state.end_all(connection, tags);
        let count = ended.len();
        ended.into_iter().for_each(|out| self.failed(&mut state, out, delay));
        count
    }

    /// These items were not tried, and go back to their places. Says how many were still out by these deliveries.
    pub(super) fn give_back(&self, connection: u64, tags: &[Tag]) -> usize {
        let mut state = self.lock();
        state.end_all(connection, tags).len()
    }

    /// The lease of these items begins anew. Says how many were still out by these deliveries.
    pub(super) fn touch(&self, tags: &[Tag]) -> usize {
        let (now, mut state) = (Instant::now(), self.lock());
        tags.iter().filter(|&&tag| held(&mut state.out, tag).map(|out| out.at.renew(now)).is_some()).count()
    }

    /// The lease of all that a connection has begins anew. Says how many items these are.
    pub(super) fn touch_all(&self, connection: u64) -> usize {
        let (now, mut state) = (Instant::now(), self.lock());
        let its = state.out.values_mut().filter(|out| out.at.is_at(connection));
        its.map(|out| out.at.renew(now)).count()
    }

    /// The connection has ended: what it was not done with goes back. Says how many items these were.
    pub(super) fn ended(&self, connection: u64) -> usize {
        let mut state = self.lock();
        state.begin(connection);
        state.forget(connection);
        let back = state.take_out(|at| at.is_at(connection));
        let count = back.len();
        self.take_back(&mut state, back);
        count
    }

    /// Takes back the items whose lease has ended, and those that have rested. No thread keeps watch: whoever looks
    /// at the queue does this first, and again while it waits.
    pub(super) fn expire(&self) {
        let lease = self.lease();
        let rests = self.rests.load(Ordering::Relaxed);
        if lease.is_none() && !rests {
            return;
        }
        let now = Instant::now();
        let mut state = self.lock();
        if state.due.is_none_or(|due| due > now) {
            return;
        }
        let goes = |at: &At| self.due(at).is_some_and(|due| due <= now);
        // The first that each of these clients has not finished is the one that it hangs with.
        let late = state.out.values().filter(|out| goes(&out.at)).filter_map(|out| match out.at {
            At::Client { connection, .. } => Some(connection),
            At::Rest(_) => None,
        });
        let mut connections: Vec<u64> = late.collect();
        connections.dedup();
        connections.into_iter().for_each(|connection| state.begin(connection));
        let back = state.take_out(goes);
        state.due = state.out.values().filter_map(|out| self.due(&out.at)).min();
        self.rests.store(state.out.values().any(|out| out.at.rests()), Ordering::Relaxed);
        self.take_back(&mut state, back);
    }

    /// When such an item comes back by itself. A lease may be longer than any clock runs.
    fn due(&self, at: &At) -> Option<Instant> {
        match at {
            At::Client { since, .. } => since.checked_add(self.lease()?),
            At::Rest(until) => Some(*until),
        }
    }

    /// Nothing rests any longer.
    pub(super) fn wake_all(&self) {
        let mut state = self.lock();
        let back = state.take_out(At::rests);
        self.rests.store(false, Ordering::Relaxed);
        self.take_back(&mut state, back);
    }

    fn take_back(&self, state: &mut State, items: Vec<Out>) {
        for out in items {
            match out.at {
                At::Client { begun: true, .. } => self.failed(state, out, Duration::ZERO),
                At::Client { begun: false, .. } => drop(out.item),
                At::Rest(_) => out.item.fail(),
            }
        }
    }

    fn failed(&self, state: &mut State, out: Out, delay: Duration) {
        let Out { mut item, delivery, .. } = out;
        let dead_letters = self.policy.as_ref().and_then(|policy| policy.dead_letters.as_ref());
        if let Some(dead) = dead_letters.filter(|dead| item.attempts() >= dead.attempts) {
            // A queue that was shut down, or has a bound, may refuse: then the item comes back again.
            match item.move_to(&dead.queue) {
                Ok(()) => {
                    // Nobody will report it done, and `join()` must not wait for it.
                    let _ = self.queue.task_done();
                    return;
                }
                Err(kept) => item = kept,
            }
        }
        if delay.is_zero() {
            return item.fail();
        }
        item.note_failure();
        let until = Instant::now() + delay.min(LONGEST_REST);
        state.is_due(Some(until));
        state.out.insert(item.number(), Out { item, delivery, at: At::Rest(until) });
        self.rests.store(true, Ordering::Relaxed);
    }

    fn written(&self, connection: u64) {
        let mut state = self.lock();
        let State { out, latest, .. } = &mut *state;
        let Ok(at) = find(latest, connection) else { return };
        latest[at].written = true;
        for &tag in &latest[at].items {
            if let Some(out) = held(out, tag) {
                out.item.lend();
            }
        }
    }

    /// The connection has never read what its latest call was to give it: nothing of that was begun.
    fn unread(&self, connection: u64) {
        let mut state = self.lock();
        let Some(latest) = state.forget(connection) else { return };
        for tag in latest.items {
            drop(state.end(tag));
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// What a connection's latest call lent it: on its way to a client that may be gone.
pub(super) struct Loan {
    ledger: Arc<Ledger>,
    connection: u64,
    read: bool,
}

impl Handover for Loan {
    /// As in Python, who has got an item leaves room for another; but this one stays in memory.
    fn written(&mut self) {
        self.ledger.written(self.connection);
    }

    /// The items stay in the ledger until they are done.
    fn commit(mut self: Box<Self>) -> std::io::Result<()> {
        self.read = true;
        Ok(())
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if !self.read {
            self.ledger.unread(self.connection);
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
