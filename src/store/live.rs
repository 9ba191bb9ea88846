//! Which items of a queue are there, by their numbers: a bit for each, and how often it has failed if it has.

use std::ops::Range;

/// How many numbers a chunk is for.
const CHUNK: u64 = 4096;

/// The numbers of a queue's items. Mostly they are in long rows, of which the first goes and a new one comes at the
/// end; where a straggler stays behind, it keeps one chunk alone.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// In the order of their numbers; none is empty.
    chunks: Vec<Chunk>,
}

#[derive(Debug)]
struct Chunk {
    /// The first number, divided by [`CHUNK`].
    index: u64,
    bits: Box<[u64; CHUNK as usize / 64]>,
    count: u32,
    /// Those that have failed, in the order of their numbers: the number, less the first one, and how often.
    attempts: Vec<(u16, u32)>,
}

impl Live {
    fn find(&self, number: u64) -> Result<usize, usize> {
        self.chunks.binary_search_by_key(&(number / CHUNK), |chunk| chunk.index)
    }

    /// Says false if it was there already.
    pub fn insert(&mut self, number: u64, attempts: u32) -> bool {
        let at = self.find(number).unwrap_or_else(|at| {
            let (index, bits) = (number / CHUNK, Box::new([0; CHUNK as usize / 64]));
            self.chunks.insert(at, Chunk { index, bits, count: 0, attempts: Vec::new() });
            at
        });
        let chunk = &mut self.chunks[at];
        let (word, bit) = place(number);
        let new = chunk.bits[word] & bit == 0;
        chunk.bits[word] |= bit;
        chunk.count += u32::from(new);
        if attempts > 0 {
            chunk.set_attempts(number, attempts);
        }
        new
    }

    /// Says false if it was not there.
    pub fn remove(&mut self, number: u64) -> bool {
        let Ok(at) = self.find(number) else { return false };
        let chunk = &mut self.chunks[at];
        let (word, bit) = place(number);
        if chunk.bits[word] & bit == 0 {
            return false;
        }
        chunk.bits[word] &= !bit;
        chunk.count -= 1;
        if let Ok(at) = chunk.find(number) {
            chunk.attempts.remove(at);
        }
        if chunk.count == 0 {
            self.chunks.remove(at);
        }
        true
    }

    /// None of these is there any more, however many numbers that are.
    pub fn remove_all(&mut self, numbers: Range<u64>) {
        let first = self.chunks.partition_point(|chunk| chunk.index < numbers.start / CHUNK);
        let chunks: Vec<u64> = self.chunks[first..].iter().map(|chunk| chunk.index * CHUNK).collect();
        for begin in chunks.into_iter().take_while(|&begin| begin < numbers.end) {
            // The last chunk of all may end where numbers do.
            let end = numbers.end.min(begin.saturating_add(CHUNK));
            for number in numbers.start.max(begin)..end {
                self.remove(number);
            }
        }
    }

    /// How often it has failed; `None` if it is not there.
    pub fn get(&self, number: u64) -> Option<u32> {
        let chunk = &self.chunks[self.find(number).ok()?];
        let (word, bit) = place(number);
        (chunk.bits[word] & bit != 0).then(|| chunk.find(number).map_or(0, |at| chunk.attempts[at].1))
    }

    /// It has failed so often, if it is there.
    pub fn set_attempts(&mut self, number: u64, attempts: u32) {
        if self.get(number).is_some()
            && let Ok(at) = self.find(number)
        {
            self.chunks[at].set_attempts(number, attempts);
        }
    }

    pub fn len(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(chunk.count)).sum()
    }
}

impl Chunk {
    fn find(&self, number: u64) -> Result<usize, usize> {
        self.attempts.binary_search_by_key(&((number % CHUNK) as u16), |&(place, _)| place)
    }

    fn set_attempts(&mut self, number: u64, attempts: u32) {
        match self.find(number) {
            Ok(at) => self.attempts[at].1 = attempts,
            Err(at) => self.attempts.insert(at, ((number % CHUNK) as u16, attempts)),
        }
    }
}

fn place(number: u64) -> (usize, u64) {
    let place = number % CHUNK;
    ((place / 64) as usize, 1 << (place % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_what_is_there_and_how_often_that_has_failed() {
        let mut live = Live::default();
        let numbers = [0, 63, 64, CHUNK - 1, CHUNK, 5 * CHUNK + 7, u64::MAX];
        for number in numbers.into_iter().rev() {
            assert_eq!(
                (live.get(number), live.insert(number, 0), live.insert(number, 0)),
                (None, true, false)
            );
        }
        live.set_attempts(64, 2);
        live.set_attempts(63, 1);
        live.set_attempts(65, 1);
        live.insert(64, 3);
        assert_eq!([63, 64, 65, 0].map(|number| live.get(number)), [Some(1), Some(3), None, Some(0)]);
        assert_eq!(live.len(), 7);
        for number in numbers {
            assert_eq!((live.remove(number), live.remove(number), live.get(number)), (true, false, None));
        }
        assert!(numbers[..6].iter().all(|&number| live.insert(number, 0)));
        live.remove_all(63..u64::MAX);
        assert_eq!((live.len(), live.get(0)), (1, Some(0)), "however many numbers those were");
        live.remove(0);
        live.insert(64, 0);
        assert_eq!(live.get(64), Some(0), "a new item has not failed");
        live.remove(64);
        assert!(live.chunks.is_empty(), "an empty chunk goes");
    }
}
