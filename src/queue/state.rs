//! What the queue's mutex protects: the items, the counts, and the steps that keep them consistent.
//!
//! No step here waits or wakes anybody, and none drops an item: an item's `Drop` is the user's code, which
//! must not run under the lock. Such items are handed out to be dropped by the caller.

use std::collections::{BTreeMap, VecDeque};

use super::Stats;
use super::backlog::{Backlog, Packing};
use super::log::Logged;

/// What a queue may hold at most.
///
/// ```
/// use netq::queue::{BoundedQueue, Limits};
///
/// // Any number of texts, but no more than 10 bytes of them.
/// let queue = BoundedQueue::with_limits(Limits { maxsize: 0, max_weight: Some(10), weigh: String::len });
/// queue.try_put("12345678".to_string()).unwrap();
/// assert!(queue.try_put("123".to_string()).is_err());
/// assert!(queue.try_put("12".to_string()).is_ok());
/// ```
pub struct Limits<T> {
    /// The largest number of items; 0 means any number. Python: `maxsize`.
    pub maxsize: usize,
    /// The largest sum of weights; `None` means any.
    pub max_weight: Option<usize>,
    /// The weight of an item, in bytes or whatever `max_weight` counts. It must answer the same for an item
    /// each time, and quickly: it is called with the queue locked, so it must not use the queue either.
    pub weigh: fn(&T) -> usize,
}

/// An item on its way: out of the queue, or back in it.
pub(super) struct Numbered<T> {
    /// Its place among all items: the numbers follow the order of the puts.
    pub number: u64,
    /// How often work on it was begun and not finished.
    pub attempts: u32,
    pub item: T,
}

/// What an item that is out still keeps of the queue's room.
#[derive(Clone, Copy)]
pub(super) struct Held {
    /// One of `maxsize`.
    pub slot: bool,
    /// Its weight, of `max_weight`.
    pub weight: bool,
    /// It is at a consumer who may never finish it: while the queue drains, getters wait for what becomes of it.
    pub lent: bool,
}

/// The lines in which threads wait: for an item, for room, and for the end of all tasks.
pub(super) const GETTERS: usize = 0;
pub(super) const PUTTERS: usize = 1;
pub(super) const JOINERS: usize = 2;

/// Items that nobody is to get any more: those that had come back, and the backlog.
pub(super) type Dropped<T> = (BTreeMap<u64, (T, u32)>, VecDeque<T>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// No more puts; gets until it is empty.
    Draining,
    /// No more puts, and what comes back is dropped.
    Closed,
}

pub(super) struct State<T> {
    limits: Limits<T>,
    backlog: Backlog<T>,
    /// Items that came back. They were taken before all of the backlog, so they go first.
    returned: BTreeMap<u64, (T, u32)>,
    phase: Phase,
    unfinished: usize,
    out: usize,
    lent: usize,
    reserved: usize,
    weight: usize,
    /// The weight of the items that are not in memory.
    spilled: usize,
    puts: u64,
    gets: u64,
    returns: u64,
    discarded: u64,
}

impl<T> State<T> {
    pub fn new(limits: Limits<T>, packing: Option<Packing<T>>) -> Self {
        Self {
            limits,
            backlog: Backlog::new(packing),
            returned: BTreeMap::new(),
            phase: Phase::Open,
            unfinished: 0,
            out: 0,
            lent: 0,
            reserved: 0,
            weight: 0,
            spilled: 0,
            puts: 0,
            gets: 0,
            returns: 0,
            discarded: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.returned.len() + self.backlog.len()
    }

    pub fn is_shut_down(&self) -> bool {
        self.phase != Phase::Open
    }

    /// Whether no item can be got any more. What is lent, or not handed over yet, may come back, and then somebody
    /// must be there for it.
    pub fn is_exhausted(&self) -> bool {
        match self.phase {
            Phase::Open => false,
            Phase::Draining => self.len() == 0 && self.lent == 0 && self.reserved == 0,
            Phase::Closed => true,
        }
    }

    pub fn unfinished(&self) -> usize {
        self.unfinished
    }

    pub fn weigh(&self, item: &T) -> usize {
        (self.limits.weigh)(item)
    }

    pub fn can_never_fit(&self, weight: usize) -> bool {
        self.limits.max_weight.is_some_and(|max| weight > max)
    }

    pub fn has_room(&self, weight: usize) -> bool {
        self.has_slots(1) && self.can_bear(weight)
    }

    pub fn has_slots(&self, count: usize) -> bool {
        self.limits.maxsize == 0 || self.len() + self.reserved + count <= self.limits.maxsize
    }

    /// Whether there is room for so much weight, slots aside.
    pub fn can_bear(&self, weight: usize) -> bool {
        let sum = self.weight.saturating_add(weight);
        self.limits.max_weight.is_none_or(|max| sum <= max)
    }

    pub fn is_full(&self, log: &Logged<T>) -> bool {
        // With a log, blocks can go from memory.
        let spills = log.get().is_some();
        !self.has_slots(1) || (!spills && self.limits.max_weight.is_some_and(|max| self.weight >= max))
    }

    pub fn push(&mut self, item: T, weight: usize) {
        self.backlog.push(item, weight);
        self.weight = self.weight.saturating_add(weight);
        self.puts += 1;
        self.unfinished += 1;
    }

    /// The weight of all items, in memory or not.
    pub fn all_weight(&self) -> usize {
        self.weight.saturating_add(self.spilled)
    }

    /// How many items are in the backlog.
    pub fn backlog(&self) -> usize {
        self.backlog.len()
    }

    /// The number of the next item that is pushed.
    pub fn next_number(&self) -> u64 {
        self.backlog.next()
    }

    /// The next item, out of the queue with its slot reserved.
    pub fn take(&mut self, log: &Logged<T>) -> Option<Numbered<T>> {
        let next = match self.returned.pop_first() {
            Some((number, (item, attempts))) => Numbered { number, attempts, item },
            None => self.pop(log).map(|(number, item)| Numbered { number, attempts: 0, item })?,
        };
        self.out += 1;
        self.reserved += 1;
        Some(next)
    }

    /// The next item of the backlog, which has been spilled perhaps.
    fn pop(&mut self, log: &Logged<T>) -> Option<(u64, T)> {
        if let Some(log) = log.get() {
            let weight = self.backlog.unspill(&**log);
            self.spilled -= weight;
            self.weight = self.weight.saturating_add(weight);
        }
        self.backlog.pop()
    }

    /// Makes room for an item of this weight in memory, as far as that can be done.
    pub fn spill(&mut self, weight: usize, log: &Logged<T>) {
        let Some(log) = log.get() else { return };
        while !self.can_never_fit(weight)
            && self.has_slots(1)
            && !self.has_room(weight)
            && let Some(weight) = self.backlog.spill(&**log)
        {
            self.spilled += weight;
            self.weight = self.weight.saturating_sub(weight);
        }
    }

    /// Undoes a `take`, as if it had not been.
    pub fn untake(&mut self, next: Numbered<T>) {
        self.out -= 1;
        self.reserved -= 1;
        self.returned.insert(next.number, (next.item, next.attempts));
    }

    /// An item that has come back and waits again leaves for good: the one with this number.
    pub fn remove(&mut self, number: u64) -> Option<T> {
        let (item, _) = self.returned.remove(&number)?;
        self.weight = self.weight.saturating_sub(self.weigh(&item));
        self.gets += 1;
        Some(item)
    }

    /// An item that is out stays there for longer, and keeps its weight but no slot.
    pub fn lend(&mut self, held: &mut Held) {
        self.reserved -= usize::from(held.slot);
        self.lent += usize::from(!held.lent);
        *held = Held { slot: false, lent: true, ..*held };
    }

    /// An item that is out gives up what it still holds.
    pub fn release(&mut self, item: &T, held: Held) {
        if held.slot {
            self.reserved -= 1;
        }
        if held.weight {
            self.weight = self.weight.saturating_sub(self.weigh(item));
        }
        if held.lent {
            self.lent -= 1;
        }
    }

    /// An item that is out, and holds nothing any more, has left for good.
    pub fn commit(&mut self) {
        self.out -= 1;
        self.gets += 1;
    }

    /// An item that is out comes back to its old place, or out again if the queue wants no more items.
    pub fn put_back(&mut self, back: Numbered<T>, held: Held) -> Option<T> {
        if self.phase == Phase::Closed {
            self.release(&back.item, held);
            self.out -= 1;
            self.discard(1);
            return Some(back.item);
        }
        if held.slot {
            self.reserved -= 1;
        }
        if !held.weight {
            self.weight = self.weight.saturating_add(self.weigh(&back.item));
        }
        if held.lent {
            self.lent -= 1;
        }
        self.out -= 1;
        self.returns += 1;
        self.returned.insert(back.number, (back.item, back.attempts));
        None
    }

    fn discard(&mut self, count: usize) {
        self.discarded += count as u64;
        self.unfinished = self.unfinished.saturating_sub(count);
    }

    /// So many tasks fewer are unfinished; false, and no change, if there were not so many.
    pub fn tasks_done(&mut self, count: usize) -> bool {
        match self.unfinished.checked_sub(count) {
            Some(left) => self.unfinished = left,
            None => return false,
        }
        true
    }

    /// No more puts. If `immediate`, no more items either: they are handed out to be dropped.
    pub fn shut_down(&mut self, immediate: bool, log: &Logged<T>) -> Option<Dropped<T>> {
        self.phase = self.phase.max(if immediate { Phase::Closed } else { Phase::Draining });
        if !immediate {
            return None;
        }
        self.discard(self.len());
        let returned = std::mem::take(&mut self.returned);
        let backlog = self.backlog.drain(log.get().map(|log| &**log));
        self.spilled = 0;
        let items = returned.values().map(|(item, _)| item).chain(&backlog);
        let weight = items.fold(0, |sum: usize, item| sum.saturating_add(self.weigh(item)));
        self.weight = self.weight.saturating_sub(weight);
        Some((returned, backlog))
    }

    pub fn stats(&self, waiting_getters: usize, waiting_putters: usize) -> Stats {
        Stats {
            len: self.len(),
            weight: self.weight,
            spilled: self.spilled,
            maxsize: self.limits.maxsize,
            max_weight: self.limits.max_weight,
            puts: self.puts,
            gets: self.gets,
            returned: self.returns,
            discarded: self.discarded,
            out: self.out,
            reserved: self.reserved,
            waiting_getters,
            waiting_putters,
            unfinished: self.unfinished,
        }
    }
}

/// Filling an empty queue with what was kept of it.
#[cfg(feature = "journal")]
impl<T> State<T> {
    /// The next item of the backlog has this number.
    pub fn skip_to(&mut self, number: u64) {
        self.backlog.skip_to(number);
    }

    /// The next item of the backlog.
    pub fn restore_next(&mut self, item: T, log: &Logged<T>) {
        let weight = self.weigh(&item);
        self.spill(weight, log);
        self.weight = self.weight.saturating_add(weight);
        self.puts += 1;
        self.backlog.push(item, weight);
    }

    /// An item that comes before the backlog.
    pub fn restore(&mut self, number: u64, attempts: u32, item: T) {
        self.weight = self.weight.saturating_add(self.weigh(&item));
        self.puts += 1;
        self.returned.insert(number, (item, attempts));
    }

    /// That was all.
    pub fn end_restore(&mut self, next: u64, unfinished: Option<u64>, log: &Logged<T>) {
        if self.next_number() != next {
            while let Some((number, item)) = self.pop(log) {
                self.returned.insert(number, (item, 0));
            }
            self.backlog.skip_to(next);
        }
        let unfinished = unfinished.map_or(0, |count| usize::try_from(count).unwrap_or(usize::MAX));
        self.unfinished = unfinished.max(self.len());
    }
}
