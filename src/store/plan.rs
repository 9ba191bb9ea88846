//! What is to be written, and where. It is decided as the records come, under the journal's lock, so that what stands
//! at the head of a segment is what the records before it come to.

use std::collections::VecDeque;
use std::mem;

use super::batch::{BATCH, HEADER, SEGMENT};
use super::book::Book;
use super::record::{MOST, Record, Records};

/// The longest payload of one record, in bytes. Larger items are written in parts.
pub(super) const PART: usize = BATCH / 2;

/// How many files without a segment there are to be.
pub(super) const SPARES: usize = 3;

/// Of those, how many are not for items: one is for records of what has left, one for copies of what is to stay. So a
/// store on a full disk can drain.
const RESERVE: usize = 2;

/// A batch that is to be written.
pub(super) struct Planned {
    pub segment: u64,
    pub number: u64,
    /// Where in the segment.
    pub at: usize,
    /// Room for the header, and the records.
    pub bytes: Vec<u8>,
}

/// What is to be written.
pub(super) struct Plan {
    pub book: Book,
    /// In the order in which they are written. The last one still takes records.
    pub batches: VecDeque<Planned>,
    /// The segment and the place in it where the next batch goes.
    segment: u64,
    at: usize,
    /// The next batch's number.
    number: u64,
    /// Files with no segment in them, for segments to come.
    pub spares: VecDeque<String>,
    /// The segments, and their files, the oldest first. The newest may not have one yet.
    pub files: VecDeque<(u64, String)>,
    /// Where in the last batch the last record begins, if that is about a client's latest put: the next one of the
    /// same client says more.
    once: Option<usize>,
}

impl Plan {
    pub fn new(mut book: Book, files: VecDeque<(u64, String)>, at: usize, number: u64) -> Self {
        let segment = files.back().map_or(0, |(id, _)| *id);
        // In a store with no segment the first record begins one.
        let at = if segment == 0 { SEGMENT } else { at };
        book.floor = book.floor.max(1);
        Self {
            book,
            batches: VecDeque::new(),
            segment,
            at,
            number,
            spares: VecDeque::new(),
            files,
            once: None,
        }
    }

    /// The number of the next batch: all records until now are in batches before it.
    pub fn next(&self) -> u64 {
        self.number
    }

    /// Leaves the rest of the segment as it is.
    pub fn begin_segment(&mut self) {
        self.at = SEGMENT;
    }

    /// Notes a record, and says which batch it is in.
    pub fn append(&mut self, record: &Record<'_>) -> u64 {
        self.make_room(MOST + record.payload());
        self.write(record)
    }

    /// Notes an item, and what else happens with it, such as what its client's latest put has thereby come to: in one
    /// batch, or a put that is repeated could be done twice, or not at all.
    pub fn append_with(&mut self, item: &Record<'_>, put: &Record<'_>) -> u64 {
        let most = item.payload() + put.payload() + 2 * MOST;
        if let (Some(at), Some(last), Record::Once { queue, number, client, .. }) =
            (self.once, self.batches.back_mut(), put)
            && let Some(Ok(Record::Once { queue: its, number: latest, client: who, .. })) =
                Records(last.bytes.get(at..).unwrap_or_default()).next()
            && (its, latest, who) == (*queue, *number, client)
            && last.bytes.len() + most <= BATCH
            && self.at + most <= SEGMENT
        {
            // What was said of the same put before is not needed any more.
            self.at -= last.bytes.len() - at;
            last.bytes.truncate(at);
        }
        self.make_room(most);
        self.write(item);
        let at = self.batches.back().map(|last| last.bytes.len());
        let number = self.write(put);
        self.once = at;
        number
    }

    /// The last batch is one with room for so many more bytes.
    fn make_room(&mut self, most: usize) {
        let fits = |last: &Planned| {
            last.segment == self.segment && self.at + most <= SEGMENT && last.bytes.len() + most <= BATCH
        };
        if !self.batches.back().is_some_and(fits) {
            self.begin_batch(most);
        }
    }

    fn write(&mut self, record: &Record<'_>) -> u64 {
        if let Some(last) = self.batches.back_mut() {
            let before = last.bytes.len();
            record.write(&mut last.bytes);
            self.at += last.bytes.len() - before;
        }
        self.once = None;
        self.book.apply(record);
        self.number - 1
    }

    fn begin_batch(&mut self, most: usize) {
        let mut bytes = Vec::with_capacity(HEADER + most);
        bytes.resize(HEADER, 0);
        if self.at + HEADER + most > SEGMENT {
            self.segment += 1;
            self.at = 0;
            self.head(&mut bytes);
        }
        self.batches.push_back(Planned { segment: self.segment, number: self.number, at: self.at, bytes });
        self.at += self.batches.back().map_or(0, |batch| batch.bytes.len());
        self.number += 1;
    }

    /// What all records until now come to, but for the items.
    fn head(&self, bytes: &mut Vec<u8>) {
        Record::Floor { segment: self.book.floor }.write(bytes);
        Record::Store { id: self.book.id }.write(bytes);
        for (index, queue) in self.book.queues.iter().enumerate() {
            let (next, unfinished, name) = (queue.next, queue.unfinished, queue.name.as_bytes());
            Record::Queue { queue: index as u64, next, unfinished, name }.write(bytes);
        }
    }

    /// Takes all batches, to write them.
    pub fn take(&mut self) -> VecDeque<Planned> {
        self.once = None;
        mem::take(&mut self.batches)
    }

    /// Takes back what could not be written.
    pub fn give_back(&mut self, batches: VecDeque<Planned>) {
        batches.into_iter().rev().for_each(|batch| self.batches.push_front(batch));
    }

    /// How many segments are planned that have no file yet.
    fn without_file(&self) -> u64 {
        self.segment - self.files.back().map_or(0, |(id, _)| *id)
    }

    /// Files that no planned segment will take.
    fn free(&self) -> u64 {
        (self.spares.len() as u64).saturating_sub(self.without_file())
    }

    /// Whether there should be more files without a segment: for so many bytes of items.
    pub fn wants_spare(&self, room: usize) -> bool {
        (self.spares.len() as u64) < self.without_file() + SPARES as u64 || (room > 0 && !self.has_room(room))
    }

    /// Whether there is room for an item of so many bytes beside what is kept for other records.
    pub fn has_room(&self, payload: usize) -> bool {
        let most = payload + (payload / PART + 1) * (MOST + HEADER);
        let usable = (SEGMENT - BATCH) as u64;
        self.at + HEADER + most <= SEGMENT
            || most as u64 <= self.free().saturating_sub(RESERVE as u64).saturating_mul(usable)
    }

    /// Whether a record that could be done without would take the last file.
    pub fn is_scarce(&self) -> bool {
        self.at + HEADER + MOST > SEGMENT && self.free() < RESERVE as u64
    }

    /// Whether the oldest segment should go. On a full disk sooner than otherwise.
    pub fn is_wasteful(&self, full: bool) -> bool {
        let total = (self.files.len() * SEGMENT) as u64;
        let puts = self.book.queues.iter().map(|queue| queue.puts.len() as u64 * 100).sum::<u64>();
        let live = self.book.size + puts;
        let most = if full && self.free() < SPARES as u64 {
            // What is lost at the ends of segments is no waste: without this part copying could go on for ever.
            live + live / 8 + SEGMENT as u64
        } else {
            2 * live + 2 * SEGMENT as u64
        };
        self.files.len() > 1 && self.without_file() == 0 && total > most
    }
}
