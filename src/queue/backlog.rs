//! Where the items wait: first in, first out, in blocks, each item with an implicit number.
//!
//! One `VecDeque` would copy every item each time it doubles, all under the queue's lock, and would keep its
//! largest size for ever. In a list of small rings no push or pop costs more because the backlog is long,
//! and a block is freed once it has drained. Python's `collections.deque` is built alike.

use std::collections::{LinkedList, VecDeque};

/// Items per block: the list's own cost per item is then well under a byte.
const BLOCK: usize = 128;

/// The items that no getter has taken yet.
pub(super) struct Backlog<T> {
    blocks: LinkedList<VecDeque<T>>,
    /// One drained block, for the next push that needs one: a steady flow then allocates no blocks.
    spare: Option<VecDeque<T>>,
    len: usize,
    /// The number of the item at the front. Numbers are given in the order of the pushes and never again,
    /// so an item's number is `head` plus its position: nothing is stored for it.
    head: u64,
}

impl<T> Backlog<T> {
    pub fn new() -> Self {
        Self { blocks: LinkedList::new(), spare: None, len: 0, head: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten()
    }

    pub fn push(&mut self, item: T) {
        self.len += 1;
        match self.blocks.back_mut() {
            // A block is a ring: as long as one is enough, items go round in it.
            Some(block) if block.len() < BLOCK => block.push_back(item),
            _ => {
                let mut block = self.spare.take().unwrap_or_else(|| VecDeque::with_capacity(BLOCK));
                block.push_back(item);
                self.blocks.push_back(block);
            }
        }
    }

    /// The item at the front, with its number.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        let block = self.blocks.front_mut()?;
        let item = block.pop_front()?;
        if block.is_empty() && self.blocks.len() > 1 {
            self.spare = self.blocks.pop_front();
        }
        let number = self.head;
        self.head += 1;
        self.len -= 1;
        Some((number, item))
    }

    /// All items at once; the numbers of those to come do not start again.
    pub fn drain(&mut self) -> Self {
        let rest = Self { head: self.head + self.len as u64, ..Self::new() };
        std::mem::replace(self, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity<T>(backlog: &Backlog<T>) -> usize {
        backlog.blocks.iter().chain(&backlog.spare).map(VecDeque::capacity).sum()
    }

    #[test]
    fn items_come_out_in_order_and_numbered_across_blocks() {
        let mut backlog = Backlog::new();
        let (mut pushed, mut popped) = (0u64, 0u64);
        for round in 0..50 {
            for _ in 0..(round * 37 % 301) {
                backlog.push(pushed);
                pushed += 1;
            }
            for _ in 0..(round * 53 % 299) {
                let expected = (popped < pushed).then_some((popped, popped));
                assert_eq!(backlog.pop(), expected);
                popped += u64::from(expected.is_some());
            }
            assert_eq!(backlog.len() as u64, pushed - popped);
            assert!(backlog.iter().copied().eq(popped..pushed));
        }
    }

    #[test]
    fn memory_goes_back_as_the_backlog_drains() {
        let mut backlog = Backlog::new();
        (0..100_000).for_each(|n| backlog.push(n));
        assert!(capacity(&backlog) >= 100_000);
        for left in (0..100_000).rev() {
            backlog.pop();
            assert!(capacity(&backlog) <= left + 3 * BLOCK, "{} slots for {left} items", capacity(&backlog));
        }
        assert!(capacity(&backlog) <= 2 * BLOCK);
    }

    #[test]
    fn no_block_ever_grows() {
        let mut backlog = Backlog::new();
        for n in 0..10_000 {
            backlog.push(n);
            if n % 3 == 0 {
                backlog.pop();
            }
            assert!(
                backlog
                    .blocks
                    .iter()
                    .all(|block| block.capacity() == VecDeque::<i32>::with_capacity(BLOCK).capacity())
            );
        }
    }

    #[test]
    fn a_flow_over_a_block_boundary_reuses_the_spare_block() {
        let mut backlog = Backlog::new();
        (0..3 * BLOCK).for_each(|n| backlog.push(n));
        for _ in 0..BLOCK {
            backlog.pop();
        }
        let held = capacity(&backlog);
        for n in 0..10 * BLOCK {
            backlog.push(n);
            backlog.pop();
            assert!(capacity(&backlog) <= held + BLOCK);
        }
    }

    #[test]
    fn numbers_go_on_after_a_drain() {
        let mut backlog = Backlog::new();
        (0..5).for_each(|n| backlog.push(n));
        backlog.pop();
        assert_eq!(backlog.drain().len(), 4);
        assert_eq!(backlog.len(), 0);
        backlog.push(9);
        assert_eq!(backlog.pop(), Some((5, 9)));
    }
}
