//! The memo: which number stands for which object, and where that object's code is.
//!
//! Python's memo holds objects; this one holds the places where they are defined. Picklers number
//! objects from 0 on without gaps, and then the number is the index. The numbers themselves are
//! never trusted with memory: `LONG_BINPUT 4000000000` costs one entry in a hash map.

use std::collections::HashMap;

use super::error::PickleError;
use super::parts::Span;
use super::walk::reset;

/// The most memo entries that one pickle may define (192 MiB of bookkeeping).
pub const MAX_MEMO: usize = 16 << 20;

/// The most numbers of a memo that is not numbered as picklers do it, from 0 on without gaps (20 MiB of
/// bookkeeping). What takes more is no pickler's work: filing one object again takes one byte of code.
const MAX_SPARSE: usize = 1 << 20;

/// An object that is in the memo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition {
    /// The offset of the opcode that files it.
    pub at: u32,
    /// Where its code starts.
    pub start: u32,
    /// Where its code ends. That is behind `at` for whatever is filled after it was memoized, and
    /// known only when the object has been consumed.
    pub end: u32,
}

impl Definition {
    /// The object's code.
    pub fn span(&self) -> Span {
        Span { start: self.start, end: self.end }
    }
}

/// The definitions in the order of their opcodes, and what the numbers stand for.
#[derive(Debug, Default)]
pub(super) struct Memo {
    pub definitions: Vec<Definition>,
    /// Number to index of the definition. `None` as long as each number equals the index.
    sparse: Option<HashMap<u32, u32>>,
}

impl Memo {
    pub fn clear(&mut self) {
        reset(&mut self.definitions);
        self.sparse = None;
    }

    /// Files an object that starts at `start` under a number (`None`: the next one). `known` is
    /// the index of its definition when the object is in the memo already.
    ///
    /// Returns the index of its definition.
    #[inline]
    pub fn put(
        &mut self,
        number: Option<u32>,
        known: Option<u32>,
        at: usize,
        start: u32,
    ) -> Result<u32, PickleError> {
        let count = self.definitions.len();
        if count >= MAX_MEMO {
            return Err(PickleError::TooManyMemos { at });
        }
        let index = known.unwrap_or(count as u32);
        if known.is_none() {
            self.definitions.push(Definition { at: at as u32, start, end: start });
        }
        match &mut self.sparse {
            None if known.is_none() && number.is_none_or(|n| n == index) => {}
            sparse => {
                if sparse.as_ref().map_or(count, HashMap::len) >= MAX_SPARSE {
                    return Err(PickleError::TooManyMemos { at });
                }
                let map = sparse.get_or_insert_with(|| (0..count as u32).map(|n| (n, n)).collect());
                // MEMOIZE takes the count of numbers in use, as CPython's unpickler does.
                map.insert(number.unwrap_or(map.len() as u32), index);
            }
        }
        Ok(index)
    }

    /// The index of the definition that a number stands for now.
    #[inline]
    pub fn get(&self, number: u32) -> Option<u32> {
        match &self.sparse {
            None => ((number as usize) < self.definitions.len()).then_some(number),
            Some(map) => map.get(&number).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_number_costs_one_entry() {
        let mut memo = Memo::default();
        assert_eq!(memo.put(Some(4_000_000_000), None, 3, 2), Ok(0));
        assert_eq!(memo.get(4_000_000_000), Some(0));
        assert_eq!(memo.get(0), None);
        assert!(memo.definitions.capacity() < 100);
    }

    #[test]
    fn memoize_after_a_gap_takes_the_count_of_numbers_in_use() {
        let mut memo = Memo::default();
        memo.put(None, None, 1, 0).unwrap();
        memo.put(Some(7), None, 2, 0).unwrap();
        memo.put(None, None, 3, 0).unwrap();
        assert_eq!((memo.get(0), memo.get(7), memo.get(2)), (Some(0), Some(1), Some(2)));
    }

    #[test]
    fn latest_definition_of_a_number_counts() {
        let mut memo = Memo::default();
        memo.put(Some(0), None, 1, 0).unwrap();
        memo.put(Some(0), None, 5, 4).unwrap();
        assert_eq!(memo.get(0), Some(1));
    }
}
