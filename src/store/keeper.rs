//! What a queue is to the journal: it notes what the queue tells it, under the queue's number.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::journal::Journal;
use super::record::Record;
use super::spill::Spill;
use crate::pickle::Pickled;
use crate::queue::{Log, Origin, Place, Ticket};

/// A queue's part of a journal.
pub(super) struct Keeper {
    pub journal: Arc<Journal>,
    pub queue: u64,
    pub spill: Arc<Spill>,
    /// Whether the queue's unfinished tasks are its items: then nobody needs to count them.
    pub redelivers: bool,
    /// What was kept is in the queues: before that nothing can be put behind it.
    pub loaded: Arc<AtomicBool>,
}

impl Log<Pickled> for Keeper {
    fn place(&self) -> Place {
        (Arc::as_ptr(&self.journal) as usize, self.queue)
    }

    fn has_room(&self, weight: usize) -> bool {
        self.loaded.load(Ordering::Acquire) && self.journal.has_room(weight)
    }

    fn prepare(&self, weight: usize) -> bool {
        self.loaded.load(Ordering::Acquire) && self.journal.prepare(weight)
    }

    fn put(&self, number: u64, item: &Pickled, origin: Origin<'_>) -> Ticket {
        let also = match origin {
            Origin::Numbered { client, number, before } => Some(Record::Once {
                queue: self.queue,
                number: number as u64,
                items: before as u64 + 1,
                client: client.as_bytes(),
            }),
            Origin::Moved { from: (journal, queue), number } if journal == self.place().0 => {
                Some(Record::Done { queue, number, count: 1 })
            }
            Origin::Put | Origin::Moved { .. } => None,
        };
        self.journal.put(self.queue, number, (&item.head(), item.as_bytes()), also.as_ref())
    }

    fn wait(&self, ticket: Ticket) -> bool {
        self.journal.wait(ticket).is_ok()
    }

    fn spill(&self, bytes: &[u8]) -> Option<u32> {
        // If there is no room on the disk, the put waits for room in memory.
        self.spill.write(bytes).ok()
    }

    fn unspill(&self, place: u32, length: usize, bytes: Option<&mut Vec<u8>>) -> bool {
        let taken = self.spill.take(place, length, bytes);
        taken.inspect_err(|error| self.journal.fail(error)).is_ok()
    }

    fn left(&self, number: u64, item: &Pickled) {
        self.journal.done(self.queue, number, item.head().len() + item.len());
    }

    fn all_left(&self, first: u64, count: usize, weight: usize) {
        let payloads = (weight + count * Pickled::HEAD).saturating_sub(count * size_of::<Pickled>());
        if count > 0 {
            self.journal.all_done(self.queue, first, count as u64, payloads);
        }
    }

    fn failed(&self, number: u64, attempts: u32) {
        self.journal.back(self.queue, number, attempts);
    }

    fn tasks(&self, unfinished: usize) {
        if !self.redelivers {
            self.journal.tasks(self.queue, unfinished as u64);
        }
    }
}
