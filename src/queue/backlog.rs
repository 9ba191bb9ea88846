//! Where the items wait: first in, first out, in blocks, each item with an implicit number.
//!
//! One `VecDeque` would copy every item each time it doubles, all under the queue's lock, and would keep its
//! largest size for ever. In a list of small blocks no push or pop costs more because the backlog is long,
//! and a block is freed once it has drained. Python's `collections.deque` is built alike.
//!
//! Small items can be *packed*: written into a block's bytes one behind the other. A million items that each
//! own a piece of the heap leave it in pieces when they are gone, and then the process stays as large as it
//! was (110 MB of 113 MB, measured with glibc). Blocks of this size the allocator maps and unmaps whole.

use std::collections::{LinkedList, VecDeque};

use super::log::Log;
use crate::memory::Buffer;

/// Loose items per block: the list's own cost per item is then well under a byte.
const BLOCK: usize = 128;

/// A block takes no more packed items beyond this many bytes. Above 128 KiB, where allocators begin to map
/// memory for one allocation alone.
const PACKED: usize = 256 * 1024;

/// Room, in bytes, for the last item that goes into a block.
const LAST: usize = 129 * 1024;

/// In place of a packed item's length: the item is the next loose one.
const LOOSE: u32 = u32::MAX;

/// How items are packed, if they are.
///
/// ```
/// use netq::queue::{BoundedQueue, Limits, Packing};
///
/// let texts = Packing {
///     pack: |text: &String, _, bytes| {
///         bytes.extend(text.as_bytes());
///         true
///     },
///     unpack: |bytes| String::from_utf8_lossy(bytes).into_owned(),
/// };
/// let limits = Limits { maxsize: 0, max_weight: None, weigh: String::len };
/// let queue = BoundedQueue::packed(limits, texts);
/// queue.try_put("hello".to_string()).unwrap();
/// assert_eq!(queue.try_get().unwrap(), "hello");
/// ```
pub struct Packing<T> {
    /// Appends an item, as at most 129 KiB, and says true; or says false, and the item is kept as it is. The
    /// number is that of the items before it: one that does not wait long is not worth a copy.
    pub pack: fn(&T, usize, &mut Vec<u8>) -> bool,
    /// The item that was packed as these bytes.
    pub unpack: fn(&[u8]) -> T,
}

/// The items that no getter has taken yet.
pub(super) struct Backlog<T> {
    blocks: LinkedList<Block<T>>,
    /// One drained block, for the next push that needs one: a steady flow then allocates no blocks.
    spare: Option<Block<T>>,
    packing: Option<Packing<T>>,
    len: usize,
    /// The number of the item at the front. Numbers are given in the order of the pushes and never again,
    /// so an item's number is `head` plus its position: nothing is stored for it.
    head: u64,
}

impl<T> Backlog<T> {
    pub fn new(packing: Option<Packing<T>>) -> Self {
        Self { blocks: LinkedList::new(), spare: None, packing, len: 0, head: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Puts an item at the end, of which a queue says the weight if blocks may be spilled.
    pub fn push(&mut self, item: T, weight: usize) {
        let ahead = self.len;
        self.len += 1;
        if self.blocks.back().is_none_or(Block::is_full) {
            let block = self.spare.take().unwrap_or_else(|| Block::new(self.packing.is_some()));
            self.blocks.push_back(block);
        }
        if let Some(block) = self.blocks.back_mut() {
            block.push(item, ahead, self.packing.as_ref());
            block.weight = block.weight.saturating_add(weight);
        }
    }

    /// Moves a block of the middle to where the log keeps bytes: the last that is full and in memory. Says what the
    /// items in it weigh.
    pub fn spill(&mut self, log: &dyn Log<T>) -> Option<usize> {
        let middle = self.blocks.len().saturating_sub(1);
        // Those before them are spilled already, or few.
        let mut last = self.blocks.iter_mut().rev().take(middle.min(3));
        let block =
            last.find(|block| block.is_full() && block.spilled.is_none() && block.loose.is_empty())?;
        block.spilled = Some((log.spill(&block.packed)?, block.packed.len()));
        block.packed = Buffer::default();
        Some(block.weight)
    }

    /// Has the block at the front in memory. Says what the items weigh that have come.
    pub fn unspill(&mut self, log: &dyn Log<T>) -> usize {
        let Some(block) = self.blocks.front_mut() else { return 0 };
        let Some((place, length)) = block.spilled.take() else { return 0 };
        block.packed = Buffer::with_capacity(PACKED + LAST);
        if !log.unspill(place, length, Some(&mut block.packed)) {
            // The log has said so, and ends the process. Without it there is nothing to be got.
            block.packed.clear();
        }
        block.weight
    }

    /// The item at the front, with its number.
    pub fn pop(&mut self) -> Option<(u64, T)> {
        let block = self.blocks.front_mut()?;
        let item = block.pop(self.packing.as_ref())?;
        if block.len == 0 {
            block.reset();
            if self.blocks.len() > 1 {
                self.spare = self.blocks.pop_front();
            }
        }
        let number = self.head;
        self.head += 1;
        self.len -= 1;
        Some((number, item))
    }

    /// The number of the next item that is pushed.
    pub fn next(&self) -> u64 {
        self.head + self.len as u64
    }

    /// Nothing is in it: the next item has this number.
    #[cfg(feature = "journal")]
    pub fn skip_to(&mut self, number: u64) {
        self.head = number;
    }

    /// All items at once that are in memory, and those that are not are forgotten; the numbers of those to come do not
    /// start again.
    pub fn drain(&mut self, log: Option<&dyn Log<T>>) -> VecDeque<T> {
        let mut items = VecDeque::new();
        while let Some(block) = self.blocks.front_mut() {
            match block.spilled.take().zip(log) {
                Some(((place, length), log)) => {
                    log.unspill(place, length, None);
                    self.head += block.len as u64;
                    self.len -= block.len;
                    self.blocks.pop_front();
                }
                None => match self.pop() {
                    Some((_, item)) => items.push_back(item),
                    None => break,
                },
            }
        }
        items
    }
}

struct Block<T> {
    /// Items that are not packed, in a ring: as long as one block is enough, they go round in it.
    loose: VecDeque<T>,
    /// Records: a length in 4 bytes, and an item of that length.
    packed: Buffer,
    /// Where in `packed` the first item's record is.
    read: usize,
    len: usize,
    /// What all items that were put in it weigh.
    weight: usize,
    /// `packed` is elsewhere, and so long.
    spilled: Option<(u32, usize)>,
}

impl<T> Block<T> {
    fn new(packs: bool) -> Self {
        let (loose, packed) = if packs { (0, PACKED + LAST) } else { (BLOCK, 0) };
        let (loose, packed) = (VecDeque::with_capacity(loose), Buffer::with_capacity(packed));
        Self { loose, packed, read: 0, len: 0, weight: 0, spilled: None }
    }

    fn is_full(&self) -> bool {
        self.loose.len() >= BLOCK || self.packed.len() >= PACKED || self.spilled.is_some()
    }

    fn push(&mut self, item: T, ahead: usize, packing: Option<&Packing<T>>) {
        self.len += 1;
        let Some(packing) = packing else { return self.loose.push_back(item) };
        let start = self.packed.len();
        self.packed.extend(LOOSE.to_le_bytes());
        if (packing.pack)(&item, ahead, &mut self.packed) {
            // Fits: see `Packing`.
            let length = (self.packed.len() - start - 4) as u32;
            self.packed[start..start + 4].copy_from_slice(&length.to_le_bytes());
        } else {
            self.packed.truncate(start + 4);
            self.loose.push_back(item);
        }
    }

    fn pop(&mut self, packing: Option<&Packing<T>>) -> Option<T> {
        let item = match packing {
            None => self.loose.pop_front()?,
            Some(packing) => {
                let (length, rest) = self.packed[self.read..].split_first_chunk::<4>()?;
                self.read += 4;
                match u32::from_le_bytes(*length) {
                    LOOSE => self.loose.pop_front()?,
                    length => {
                        self.read += length as usize;
                        (packing.unpack)(&rest[..length as usize])
                    }
                }
            }
        };
        self.len -= 1;
        Some(item)
    }

    /// Begins again with an empty block's memory.
    fn reset(&mut self) {
        self.packed.clear();
        (self.read, self.weight) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity<T>(backlog: &Backlog<T>) -> usize {
        backlog.blocks.iter().chain(&backlog.spare).map(|block| block.loose.capacity()).sum()
    }

    #[test]
    fn items_come_out_in_order_and_numbered_across_blocks() {
        let mut backlog = Backlog::new(None);
        let (mut pushed, mut popped) = (0u64, 0u64);
        for round in 0..50 {
            for _ in 0..(round * 37 % 301) {
                backlog.push(pushed, 0);
                pushed += 1;
            }
            for _ in 0..(round * 53 % 299) {
                let expected = (popped < pushed).then_some((popped, popped));
                assert_eq!(backlog.pop(), expected);
                popped += u64::from(expected.is_some());
            }
            assert_eq!(backlog.len() as u64, pushed - popped);
        }
    }

    #[test]
    fn memory_goes_back_as_the_backlog_drains() {
        let mut backlog = Backlog::new(None);
        (0..100_000).for_each(|n| backlog.push(n, 0));
        assert!(capacity(&backlog) >= 100_000);
        for left in (0..100_000).rev() {
            backlog.pop();
            assert!(capacity(&backlog) <= left + 3 * BLOCK, "{} slots for {left} items", capacity(&backlog));
        }
        assert!(capacity(&backlog) <= 2 * BLOCK);
    }

    #[test]
    fn no_block_ever_grows() {
        let mut backlog = Backlog::new(None);
        for n in 0..10_000 {
            backlog.push(n, 0);
            if n % 3 == 0 {
                backlog.pop();
            }
            assert!(
                backlog
                    .blocks
                    .iter()
                    .all(|block| block.loose.capacity() == VecDeque::<i32>::with_capacity(BLOCK).capacity())
            );
        }
    }

    #[test]
    fn a_flow_over_a_block_boundary_reuses_the_spare_block() {
        let mut backlog = Backlog::new(None);
        (0..3 * BLOCK).for_each(|n| backlog.push(n, 0));
        for _ in 0..BLOCK {
            backlog.pop();
        }
        let held = capacity(&backlog);
        for n in 0..10 * BLOCK {
            backlog.push(n, 0);
            backlog.pop();
            assert!(capacity(&backlog) <= held + BLOCK);
        }
    }

    #[test]
    fn numbers_go_on_after_a_drain() {
        let mut backlog = Backlog::new(None);
        (0..5).for_each(|n| backlog.push(n, 0));
        backlog.pop();
        assert_eq!(backlog.drain(None).len(), 4);
        assert_eq!(backlog.len(), 0);
        backlog.push(9, 0);
        assert_eq!(backlog.pop(), Some((5, 9)));
    }

    /// Packs numbers below 1000 as so many zeros; others stay loose.
    const NUMBERS: Packing<usize> = Packing {
        pack: |&number, _, bytes| {
            bytes.resize(bytes.len() + if number < 1000 { number } else { 7 }, 0);
            number < 1000
        },
        unpack: |bytes| bytes.len(),
    };

    #[test]
    fn packed_and_loose_items_come_out_in_order() {
        let mut backlog = Backlog::new(Some(NUMBERS));
        let mut expected = VecDeque::new();
        for round in 0..20_000 {
            let number = round * 7919 % 1100;
            backlog.push(number, 0);
            expected.push_back(number);
            if round % 5 == 0 {
                assert_eq!(backlog.pop().map(|(_, number)| number), expected.pop_front());
            }
        }
        assert_eq!(backlog.drain(None), expected);
    }

    #[test]
    fn packed_blocks_are_freed_as_they_drain_and_never_grow() {
        let mut backlog = Backlog::new(Some(NUMBERS));
        let blocks = |backlog: &Backlog<usize>| backlog.blocks.len() + usize::from(backlog.spare.is_some());
        (0..10_000).for_each(|_| backlog.push(999, 0));
        // What a block was made with may be a larger buffer's memory, but it is enough for all of its life.
        let sizes = |backlog: &Backlog<usize>| -> Vec<usize> {
            backlog.blocks.iter().map(|block| block.packed.capacity()).collect()
        };
        assert!(sizes(&backlog).iter().all(|&size| size >= PACKED + LAST));
        for left in (0..10_000).rev() {
            let most = left * 1003 / PACKED + 3;
            assert!(blocks(&backlog) <= most, "{} blocks for {left} items", blocks(&backlog));
            backlog.pop();
        }
        let size = sizes(&backlog);
        (0..100_000).for_each(|_| {
            backlog.push(999, 0);
            backlog.pop();
        });
        assert_eq!((blocks(&backlog) <= 2, sizes(&backlog)), (true, size));
    }
}
