//! The ledger of a queue: who has which item, and has not said that it is done.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::auth::random_bytes;
use crate::pickle::Pickled;
use crate::queue::{BoundedQueue, Taken};
use crate::shared::out::{At, Latest, Out, Outs};
use crate::shared::tag::Tag;
use crate::shared::{Handover, Redelivery};

/// A year: the clock does not count up to any number of seconds.
const LONGEST_REST: Duration = Duration::from_secs(365 * 24 * 3600);

/// All items of one queue that are at clients, or rest.
pub(super) struct Ledger {
    queue: Arc<BoundedQueue<Pickled>>,
    state: Mutex<Outs>,
    /// `None` if the queue delivers again only what was taken with `lend()`.
    policy: Option<Redelivery>,
    /// Whether anything rests, so that those who look at the queue need not lock the ledger for that.
    rests: AtomicBool,
    /// Whether anything was ever lent, so that a queue that does not redeliver need not lock the ledger for a `get`.
    lends: AtomicBool,
    run: u32,
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
            true => self.lock().resting(),
            false => 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Outs> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a connection is about to get these items. Their lease counts from now: a reply that nobody reads
    /// must not keep them for longer.
    pub(super) fn lend(self: &Arc<Self>, connection: u64, items: Vec<Taken<Pickled>>) -> (Vec<Tag>, Loan) {
        self.lends.store(true, Ordering::Relaxed);
        let due = self.next_due();
        let mut state = self.lock();
        // What it skips now it has tried: nobody asks for more before that.
        state.begin(connection);
        let mut tags = Vec::with_capacity(items.len());
        for item in items {
            let delivery = state.deliveries;
            state.deliveries += 1;
            let tag = Tag { item: item.number(), delivery, run: self.run };
            tags.push(tag);
            state.insert(item, tag, At::Client { connection, begun: false }, due);
        }
        state.set_latest(Latest { connection, items: tags.iter().copied().collect(), written: false });
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

    fn finish_one(&self, state: &mut Outs, connection: u64, tag: Tag) -> bool {
        state.settle(connection, tag);
        // With the ledger locked: so nothing is on its way from there to the queue.
        let Some(out) = state.remove(tag.item) else { return self.queue.remove(tag.item).is_some() };
        if out.at.is_at(connection) {
            // It got the item again since, and has now spoken of that delivery too.
            state.settle(connection, Tag { delivery: out.delivery, ..tag });
        }
        drop(out.item.commit());
        true
    }

    /// Work on these items has failed: each counts an attempt, and goes back after `delay`, by default the queue's own,
    /// or to the dead letters. Says how many were still out by these deliveries.
    pub(super) fn fail(&self, connection: u64, tags: &[Tag], delay: Option<Duration>) -> usize {
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
        let (due, mut state) = (self.next_due(), self.lock());
        tags.iter().filter(|&&tag| state.held(tag).is_some() && state.renew(tag, due)).count()
    }

    /// The lease of all that a connection has begins anew. Says how many items these are.
    pub(super) fn touch_all(&self, connection: u64) -> usize {
        let its = self.lock().at(connection, self.run);
        self.touch(&its)
    }

    /// When a lease ends that begins now. It may be longer than any clock runs.
    fn next_due(&self) -> Option<Instant> {
        Instant::now().checked_add(self.lease()?)
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
        let mut back = Vec::new();
        while let Some(tag) = state.first_due(now) {
            // The first that each of these clients has not finished is the one that it hangs with.
            if let Some(&mut Out { at: At::Client { connection, .. }, .. }) = state.held(tag) {
                state.begin(connection);
            }
            back.extend(state.remove(tag.item));
        }
        self.note_rests(&state);
        self.take_back(&mut state, back);
    }

    /// Nothing rests any longer.
    pub(super) fn wake_all(&self) {
        let mut state = self.lock();
        let back = state.take_out(|at| matches!(at, At::Rest));
        self.note_rests(&state);
        self.take_back(&mut state, back);
    }

    fn take_back(&self, state: &mut Outs, items: Vec<Out>) {
        for out in items {
            match out.at {
                At::Client { begun: true, .. } => self.failed(state, out, None),
                At::Client { begun: false, .. } => drop(out.item),
                At::Rest => out.item.fail(),
            }
        }
    }

    /// One that is not told otherwise rests for as long as the queue has it.
    fn failed(&self, state: &mut Outs, out: Out, delay: Option<Duration>) {
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
        let usual = || self.policy.as_ref().map(|policy| policy.rest(item.number(), item.attempts()));
        let delay = delay.or_else(usual).unwrap_or_default();
        if delay.is_zero() {
            return item.fail();
        }
        item.note_failure();
        let until = Instant::now() + delay.min(LONGEST_REST);
        let tag = Tag { item: item.number(), delivery, run: self.run };
        state.insert(item, tag, At::Rest, Some(until));
        self.note_rests(state);
    }

    fn note_rests(&self, state: &Outs) {
        self.rests.store(state.resting() > 0, Ordering::Relaxed);
    }

    fn written(&self, connection: u64) {
        self.lock().written(connection);
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
