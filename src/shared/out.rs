//! What is out of a queue and not finished: which client has it, what its latest `get` was, and when it comes back by
//! itself.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::pickle::Pickled;
use crate::queue::Taken;
use crate::shared::tag::Tag;

/// An item that is out of the queue and not finished.
pub(super) struct Out {
    pub item: Taken<Pickled>,
    pub delivery: u64,
    pub at: At,
    /// When it comes back by itself, if it does. Changed by [`Outs::renew`] alone.
    due: Option<Instant>,
}

/// Where such an item is.
pub(super) enum At {
    /// At a client.
    Client {
        connection: u64,
        /// Whether the client has surely begun with it: then, if it is not finished, that was an attempt.
        begun: bool,
    },
    /// It has failed, and is not given to anybody before its time.
    Rest,
}

impl At {
    pub(super) fn is_at(&self, client: u64) -> bool {
        matches!(self, Self::Client { connection, .. } if *connection == client)
    }
}

/// What a connection's latest call gave it and it has not finished, the oldest first: what a plain `task_done()`
/// means. Items of the calls before it are not among these, or the second item would be taken for done by a
/// worker that has failed with the first.
pub(super) struct Latest {
    pub connection: u64,
    pub items: VecDeque<Tag>,
    /// The reply with them was written. Before that nobody can have begun.
    pub written: bool,
}

/// All items of one queue that are at clients, or rest.
#[derive(Default)]
pub(super) struct Outs {
    /// By the item's number.
    out: BTreeMap<u64, Out>,
    /// Those that come back by themselves, in the order in which they do: so that it takes as long as what comes back
    /// takes, and not as long as all that is out would.
    timed: VecDeque<Tag>,
    resting: usize,
    /// By the connections' numbers.
    latest: Vec<Latest>,
    /// How many deliveries there were: the next one's number.
    pub deliveries: u64,
}

impl Outs {
    /// Notes that an item is out by the delivery of this tag, until then if it comes back by itself.
    pub(super) fn insert(&mut self, item: Taken<Pickled>, tag: Tag, at: At, due: Option<Instant>) {
        self.resting += usize::from(matches!(at, At::Rest));
        self.out.insert(tag.item, Out { item, delivery: tag.delivery, at, due: None });
        self.renew(tag, due);
    }

    /// The item comes back then, and not when it was said before. Says whether it is out at a client, or rests, by this
    /// delivery.
    pub(super) fn renew(&mut self, tag: Tag, due: Option<Instant>) -> bool {
        let Some(out) = self.out.get(&tag.item).filter(|out| out.delivery == tag.delivery) else {
            return false;
        };
        if let Some(before) = out.due
            && let Ok(index) = self.when(before, tag.delivery)
        {
            self.timed.remove(index);
        }
        if let Some(due) = due {
            // Most come back in the order in which they went out.
            let last = self.timed.back().is_none_or(|last| self.key(last) <= (Some(due), tag.delivery));
            let index =
                if last { self.timed.len() } else { self.when(due, tag.delivery).unwrap_or_else(|at| at) };
            self.timed.insert(index, tag);
        }
        if let Some(out) = self.out.get_mut(&tag.item) {
            out.due = due;
        }
        true
    }

    /// Where in `timed` this delivery is, or would be.
    fn when(&self, due: Instant, delivery: u64) -> Result<usize, usize> {
        self.timed.binary_search_by(|tag| self.key(tag).cmp(&(Some(due), delivery)))
    }

    /// By which `timed` is sorted.
    fn key(&self, tag: &Tag) -> (Option<Instant>, u64) {
        (self.out.get(&tag.item).and_then(|out| out.due), tag.delivery)
    }

    /// The first that comes back by itself, if that is by now.
    pub(super) fn first_due(&self, now: Instant) -> Option<Tag> {
        self.timed.front().copied().filter(|first| self.key(first).0 <= Some(now))
    }

    /// The item is not out any more, by whatever delivery it was.
    pub(super) fn remove(&mut self, number: u64) -> Option<Out> {
        let delivery = self.out.get(&number)?.delivery;
        // Of `run` nothing depends.
        self.renew(Tag { item: number, delivery, run: 0 }, None);
        let out = self.out.remove(&number)?;
        self.resting -= usize::from(matches!(out.at, At::Rest));
        Some(out)
    }

    /// Those of the items that are to go back, in the order of their numbers.
    pub(super) fn take_out(&mut self, goes: impl Fn(&At) -> bool) -> Vec<Out> {
        let numbers: Vec<u64> =
            self.out.iter().filter(|(_, out)| goes(&out.at)).map(|(&number, _)| number).collect();
        numbers.iter().filter_map(|&number| self.remove(number)).collect()
    }

    /// The item, if it is still at a client by this delivery.
    pub(super) fn held(&mut self, tag: Tag) -> Option<&mut Out> {
        self.out
            .get_mut(&tag.item)
            .filter(|out| out.delivery == tag.delivery && matches!(out.at, At::Client { .. }))
    }

    /// What a connection has, as tags of this run.
    pub(super) fn at(&self, connection: u64, run: u32) -> Vec<Tag> {
        let its = self.out.iter().filter(|(_, out)| out.at.is_at(connection));
        its.map(|(&item, out)| Tag { item, delivery: out.delivery, run }).collect()
    }

    /// How many items rest.
    pub(super) fn resting(&self) -> usize {
        self.resting
    }

    /// Notes that a connection has begun with the first item that it has not finished.
    pub(super) fn begin(&mut self, connection: u64) {
        let latest = self.latest(connection).filter(|latest| latest.written);
        let Some(tag) = latest.and_then(|latest| latest.items.front()).copied() else { return };
        // Its lease may have ended, and then somebody else has begun with it.
        if let Some(Out { at: At::Client { begun, .. }, .. }) = self.held(tag) {
            *begun = true;
        }
    }

    /// The reply with what is a connection's latest was written: these items stay out for longer.
    pub(super) fn written(&mut self, connection: u64) {
        let Ok(at) = self.find(connection) else { return };
        self.latest[at].written = true;
        for index in 0..self.latest[at].items.len() {
            let tag = self.latest[at].items[index];
            if let Some(out) = self.held(tag) {
                out.item.lend();
            }
        }
    }

    /// Ends this delivery of the item, unless it has ended.
    pub(super) fn end(&mut self, tag: Tag) -> Option<Out> {
        self.held(tag)?;
        self.remove(tag.item)
    }

    /// The connection has said what became of these: ends those of the deliveries that have not ended.
    pub(super) fn end_all(&mut self, connection: u64, tags: &[Tag]) -> Vec<Out> {
        let mut ended = Vec::new();
        for &tag in tags {
            self.settle(connection, tag);
            ended.extend(self.end(tag));
        }
        ended
    }

    /// The connection has said what became of it: it is not among what a plain `task_done()` means any more.
    pub(super) fn settle(&mut self, connection: u64, tag: Tag) {
        let Some(latest) = self.latest(connection) else { return };
        // They are in the order of their deliveries.
        if let Ok(index) = latest.items.binary_search_by_key(&tag.delivery, |known| known.delivery) {
            latest.items.remove(index);
        }
        if latest.items.is_empty() {
            self.forget(connection);
        }
    }

    pub(super) fn latest(&mut self, connection: u64) -> Option<&mut Latest> {
        let at = self.find(connection).ok()?;
        Some(&mut self.latest[at])
    }

    /// What a plain `task_done()` of this connection means from now on.
    pub(super) fn set_latest(&mut self, latest: Latest) {
        match self.find(latest.connection) {
            Ok(at) => self.latest[at] = latest,
            Err(at) => self.latest.insert(at, latest),
        }
    }

    pub(super) fn forget(&mut self, connection: u64) -> Option<Latest> {
        let at = self.find(connection).ok()?;
        Some(self.latest.remove(at))
    }

    /// Where a connection's latest is, or where it would be.
    fn find(&self, connection: u64) -> Result<usize, usize> {
        self.latest.binary_search_by_key(&connection, |latest| latest.connection)
    }

    /// Of how many items, resting or not, and of how many connections anything is known; and how many come back by
    /// themselves.
    #[cfg(test)]
    pub(super) fn counts(&self) -> [usize; 3] {
        [self.out.len(), self.latest.len(), self.timed.len()]
    }
}
