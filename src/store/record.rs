//! What the journal's records say, and how they are written: a kind, numbers of as few bytes as they need, and, in
//! some, bytes behind their length.

/// One step of a queue's life. `queue` is a number that a [`Queue`](Self::Queue) record has given a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Record<'a> {
    /// At the head of each segment, for each queue: its name, the number of its next item, and how many tasks are
    /// unfinished. So what the segments before it said is not needed any more.
    Queue { queue: u64, next: u64, unfinished: u64, name: &'a [u8] },
    /// Segments before this one are not needed any more.
    Floor { segment: u64 },
    /// An item; `again` if it is a copy of a record in a segment that is about to go.
    Put { queue: u64, number: u64, attempts: u64, again: bool, payload: &'a [u8] },
    /// A part of an item that is too large for one batch. Until all parts are there the item has not been put.
    Part { queue: u64, number: u64, attempts: u64, again: bool, total: u64, at: u64, payload: &'a [u8] },
    /// So many items, from this number on, have left for good.
    Done { queue: u64, number: u64, count: u64 },
    /// Work on an item has failed so often.
    Back { queue: u64, number: u64, attempts: u64 },
    /// So many tasks are unfinished.
    Tasks { queue: u64, unfinished: u64 },
    /// At the head of each segment too: what no other store has.
    Store { id: u64 },
    /// A client's latest put: its number for it, and how many of its items are in the queue.
    Once { queue: u64, number: u64, items: u64, client: &'a [u8] },
}

/// The largest room, in bytes, that a record takes beside its payload, name or client.
pub(super) const MOST: usize = 64;

impl Record<'_> {
    /// How many bytes of it are a payload, or a name.
    pub fn payload(&self) -> usize {
        match self {
            Self::Queue { name: bytes, .. }
            | Self::Put { payload: bytes, .. }
            | Self::Part { payload: bytes, .. }
            | Self::Once { client: bytes, .. } => bytes.len(),
            _ => 0,
        }
    }

    /// Appends the record.
    pub fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Queue { queue, next, unfinished, name } => {
                write(out, 1, &[queue, next, unfinished, name.len() as u64], name)
            }
            Self::Floor { segment } => write(out, 2, &[segment], &[]),
            Self::Put { queue, number, attempts, again, payload } => {
                let kind = 3 + u8::from(again);
                write(out, kind, &[queue, number, attempts, payload.len() as u64], payload)
            }
            Self::Part { queue, number, attempts, again, total, at, payload } => {
                let fields = [queue, number, attempts, total, at, payload.len() as u64];
                write(out, 5 + u8::from(again), &fields, payload)
            }
            Self::Done { queue, number, count } => write(out, 7, &[queue, number, count], &[]),
            Self::Back { queue, number, attempts } => write(out, 8, &[queue, number, attempts], &[]),
            Self::Tasks { queue, unfinished } => write(out, 9, &[queue, unfinished], &[]),
            Self::Store { id } => write(out, 11, &[id], &[]),
            Self::Once { queue, number, items, client } => {
                write(out, 10, &[queue, number, items, client.len() as u64], client)
            }
        }
    }
}

fn write(out: &mut Vec<u8>, kind: u8, numbers: &[u64], bytes: &[u8]) {
    out.push(kind);
    for &number in numbers {
        let mut left = number;
        // Seven bits in each byte, the lowest first; the eighth says that there are more.
        while left > 0x7f {
            out.push(left as u8 | 0x80);
            left >>= 7;
        }
        out.push(left as u8);
    }
    out.extend(bytes);
}

/// The records of a batch.
pub(super) struct Records<'a>(pub &'a [u8]);

/// A record that this version does not know: the batch is whole, but somebody else has written it.
#[derive(Debug, PartialEq)]
pub(super) struct NotUnderstood;

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, NotUnderstood>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&kind, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(self.record(kind).ok_or_else(|| {
            self.0 = &[];
            NotUnderstood
        }))
    }
}

impl<'a> Records<'a> {
    fn record(&mut self, kind: u8) -> Option<Record<'a>> {
        Some(match kind {
            1 => {
                let [queue, next, unfinished] = self.numbers()?;
                Record::Queue { queue, next, unfinished, name: self.bytes()? }
            }
            2 => {
                let [segment] = self.numbers()?;
                Record::Floor { segment }
            }
            3 | 4 => {
                let [queue, number, attempts] = self.numbers()?;
                Record::Put { queue, number, attempts, again: kind == 4, payload: self.bytes()? }
            }
            5 | 6 => {
                let [queue, number, attempts, total, at] = self.numbers()?;
                Record::Part { queue, number, attempts, again: kind == 6, total, at, payload: self.bytes()? }
            }
            7 => {
                let [queue, number, count] = self.numbers()?;
                Record::Done { queue, number, count }
            }
            8 => {
                let [queue, number, attempts] = self.numbers()?;
                Record::Back { queue, number, attempts }
            }
            9 => {
                let [queue, unfinished] = self.numbers()?;
                Record::Tasks { queue, unfinished }
            }
            10 => {
                let [queue, number, items] = self.numbers()?;
                Record::Once { queue, number, items, client: self.bytes()? }
            }
            11 => {
                let [id] = self.numbers()?;
                Record::Store { id }
            }
            _ => return None,
        })
    }

    fn numbers<const N: usize>(&mut self) -> Option<[u64; N]> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = self.number()?;
        }
        Some(numbers)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written() {
        let big = u64::MAX;
        let records = [
            Record::Queue { queue: 0, next: big, unfinished: 128, name: b"tasks" },
            Record::Floor { segment: 127 },
            Record::Put { queue: 1, number: 300, attempts: 0, again: false, payload: b"item" },
            Record::Put { queue: big, number: big, attempts: big, again: true, payload: b"" },
            Record::Part {
                queue: 1,
                number: 2,
                attempts: 3,
                again: false,
                total: 9,
                at: 4,
                payload: b"part",
            },
            Record::Part { queue: 1, number: 2, attempts: 3, again: true, total: 9, at: 4, payload: b"part" },
            Record::Done { queue: 1, number: 2, count: 1 << 40 },
            Record::Back { queue: 1, number: 2, attempts: 3 },
            Record::Tasks { queue: 1, unfinished: 16384 },
            Record::Once { queue: 1, number: big, items: 7, client: b"me" },
            Record::Store { id: 9 },
        ];
        let mut bytes = Vec::new();
        for record in &records {
            let before = bytes.len();
            record.write(&mut bytes);
            assert!(bytes.len() - before <= MOST + 5, "{record:?}");
        }
        let read: Result<Vec<_>, _> = Records(&bytes).collect();
        assert_eq!(read.unwrap(), records);
        for length in 0..bytes.len() {
            // Cut anywhere: whole records, and at most one that is not understood.
            let read: Vec<_> = Records(&bytes[..length]).collect();
            let whole = read.iter().filter(|record| record.is_ok()).count();
            assert!(read.len() - whole <= 1 && read[..whole].iter().zip(&records).all(|(a, b)| a == &Ok(*b)));
        }
    }

    #[test]
    fn what_is_not_understood_is_said_once() {
        let read: Vec<_> = Records(&[2, 5, 99, 1, 2, 3]).collect();
        assert_eq!(read, [Ok(Record::Floor { segment: 5 }), Err(NotUnderstood)]);
        assert_eq!(
            Records(&[2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]).last(),
            Some(Err(NotUnderstood))
        );
    }
}
