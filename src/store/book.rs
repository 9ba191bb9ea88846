//! What the journal's records come to: the queues, and which of their items are there.

use super::live::Live;
use super::record::Record;

/// How many clients' latest puts a queue remembers.
const CLIENTS: usize = 1024;

/// A queue, as the journal knows it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub name: String,
    /// The number of the next item.
    pub next: u64,
    /// How many tasks are unfinished.
    pub unfinished: u64,
    pub live: Live,
    /// Items of which not all parts have come yet.
    parts: Vec<Parts>,
    /// Each client's latest put. Who put longest ago comes first.
    pub puts: Vec<LatestPut>,
}

/// A client's latest put.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LatestPut {
    pub client: Vec<u8>,
    pub number: u64,
    pub items: u64,
}

/// The parts of one item that have come.
#[derive(Debug)]
pub(super) struct Parts {
    number: u64,
    /// Where they begin. A part may come twice.
    at: Vec<u64>,
    bytes: u64,
}

/// All queues.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub queues: Vec<Queue>,
    /// Segments before this one are not needed.
    pub floor: u64,
    /// What no other store has; 0 in a new one.
    pub id: u64,
    /// What all items that are there take of the store, in bytes.
    pub size: u64,
}

impl Book {
    /// Does what the record says; false if it is about a queue that there is not.
    pub fn apply(&mut self, record: &Record<'_>) -> bool {
        let (Record::Queue { queue, .. }
        | Record::Put { queue, .. }
        | Record::Part { queue, .. }
        | Record::Done { queue, .. }
        | Record::Back { queue, .. }
        | Record::Tasks { queue, .. }
        | Record::Once { queue, .. }) = *record
        else {
            match *record {
                Record::Floor { segment } => self.floor = self.floor.max(segment),
                Record::Store { id } => self.id = id,
                _ => {}
            }
            return true;
        };
        let index = usize::try_from(queue).unwrap_or(usize::MAX);
        if matches!(record, Record::Queue { .. }) && index == self.queues.len() {
            self.queues.push(Queue::default());
        }
        match self.queues.get_mut(index) {
            Some(queue) => queue.apply(record),
            None => return false,
        }
        true
    }

    /// Whether that queue has an item of this number.
    pub fn has(&self, queue: u64, number: u64) -> bool {
        let queue = usize::try_from(queue).ok().and_then(|at| self.queues.get(at));
        queue.is_some_and(|queue| queue.live.get(number).is_some())
    }

    /// Whether the record says something that is still so, and that no other one says.
    pub fn needs(&self, record: &Record<'_>) -> bool {
        let queue = |queue: u64| self.queues.get(usize::try_from(queue).ok()?);
        match *record {
            Record::Put { queue: of, number, .. } | Record::Part { queue: of, number, .. } => {
                self.has(of, number)
            }
            Record::Once { queue: of, number, items, client } => {
                let is_it =
                    |put: &LatestPut| put.client == client && put.number == number && put.items == items;
                queue(of).is_some_and(|queue| queue.puts.iter().any(is_it))
            }
            _ => false,
        }
    }
}

impl Queue {
    fn apply(&mut self, record: &Record<'_>) {
        match *record {
            Record::Queue { next, unfinished, name, .. } => {
                self.name = String::from_utf8_lossy(name).into_owned();
                self.next = self.next.max(next);
                self.unfinished = unfinished;
            }
            Record::Put { number, attempts, again, .. } => self.put(number, attempts, again),
            // A copy of what is known already.
            Record::Part { number, again: true, .. } if self.live.get(number).is_some() => {}
            Record::Part { number, attempts, again, total, at, payload, .. } => {
                let known = self.parts.iter().position(|parts| parts.number == number);
                let known = known.unwrap_or_else(|| {
                    self.parts.push(Parts::new(number));
                    self.parts.len() - 1
                });
                if self.parts[known].add(at, payload.len(), total) {
                    self.parts.swap_remove(known);
                    self.put(number, attempts, again);
                }
            }
            Record::Done { number, count, .. } => {
                // A count may be any number in a file that was damaged with care.
                let end = number.saturating_add(count).min(self.next);
                self.live.remove_all(number..end);
                self.parts.retain(|parts| !(number..end).contains(&parts.number));
            }
            Record::Back { number, attempts, .. } => self.live.set_attempts(number, small(attempts)),
            Record::Tasks { unfinished, .. } => self.unfinished = unfinished,
            Record::Once { number, items, client, .. } => {
                self.puts.retain(|put| put.client != client);
                if self.puts.len() >= CLIENTS {
                    self.puts.remove(0);
                }
                self.puts.push(LatestPut { client: client.to_vec(), number, items });
            }
            Record::Floor { .. } | Record::Store { .. } => {}
        }
    }

    fn put(&mut self, number: u64, attempts: u64, again: bool) {
        self.live.insert(number, small(attempts));
        self.next = self.next.max(number.saturating_add(1));
        if !again {
            self.unfinished = self.unfinished.saturating_add(1);
        }
    }
}

impl Parts {
    pub fn new(number: u64) -> Self {
        Self { number, at: Vec::new(), bytes: 0 }
    }

    /// Notes a part; true if it was the last one that was missing.
    pub fn add(&mut self, at: u64, length: usize, total: u64) -> bool {
        if !self.at.contains(&at) {
            self.at.push(at);
            self.bytes += length as u64;
        }
        self.bytes >= total
    }

    pub fn is_of(&self, number: u64) -> bool {
        self.number == number
    }
}

/// How much of the store an item takes, in bytes, once it is written together with others.
pub(super) fn item_size(payload: usize) -> u64 {
    payload as u64 + 16
}

fn small(attempts: u64) -> u32 {
    u32::try_from(attempts).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(queue: u64, number: u64, again: bool) -> Record<'static> {
        Record::Put { queue, number, attempts: 0, again, payload: b"x" }
    }

    fn book() -> Book {
        let mut book = Book::default();
        assert!(book.apply(&Record::Queue { queue: 0, next: 5, unfinished: 2, name: b"a" }));
        book
    }

    #[test]
    fn records_come_to_what_is_there() {
        let mut book = book();
        assert!(!book.apply(&put(1, 0, false)), "no such queue");
        for record in [put(0, 5, false), put(0, 6, false), put(0, 3, true), put(0, 9, false)] {
            assert!(book.apply(&record) && book.needs(&record));
        }
        book.apply(&Record::Back { queue: 0, number: 6, attempts: 2 });
        book.apply(&Record::Done { queue: 0, number: 3, count: 3 });
        let queue = &book.queues[0];
        assert_eq!([3, 5, 6, 9].map(|number| queue.live.get(number)), [None, None, Some(2), Some(0)]);
        assert_eq!((queue.next, queue.unfinished), (10, 5));
        assert!(!book.needs(&put(0, 5, false)));
        book.apply(&Record::Done { queue: 0, number: 0, count: u64::MAX });
        book.apply(&Record::Tasks { queue: 0, unfinished: 1 });
        book.apply(&Record::Floor { segment: 8 });
        assert_eq!((book.queues[0].live.len(), book.queues[0].unfinished, book.floor), (0, 1, 8));
    }

    #[test]
    fn an_item_in_parts_is_there_once_all_have_come_in_any_order() {
        let mut book = book();
        let part = |at, payload| Record::Part {
            queue: 0,
            number: 7,
            attempts: 1,
            again: true,
            total: 5,
            at,
            payload,
        };
        for (at, payload) in [(4, &b"e"[..]), (0, b"ab"), (0, b"ab"), (4, b"e")] {
            book.apply(&part(at, payload));
            assert_eq!(book.queues[0].live.get(7), None);
        }
        book.apply(&part(2, b"cd"));
        assert_eq!((book.queues[0].live.get(7), book.queues[0].next), (Some(1), 8));
    }

    #[test]
    fn the_latest_put_of_each_client_is_known() {
        let mut book = book();
        let once = |client, number| Record::Once { queue: 0, number, items: 1, client };
        let names: Vec<String> = (0..=CLIENTS).map(|n| n.to_string()).collect();
        assert!(names.iter().all(|name| book.apply(&once(name.as_bytes(), 1))));
        assert!(!book.needs(&once(b"0", 1)) && book.needs(&once(b"1", 1)), "the oldest is forgotten");
        book.apply(&once(b"5", 2));
        assert!(!book.needs(&once(b"5", 1)) && book.needs(&once(b"5", 2)));
        assert_eq!(book.queues[0].puts.len(), CLIENTS);
    }
}
