//! The walker's stack: places in the code instead of objects, and notes about what lies near its bottom.

use super::error::PickleError;
use super::opcode::{Effect, Instr, Kind, Reader, byte};
use super::parts::{Container, Span};
use super::walk::Walker;

/// The most objects and marks that may wait on the stack at once (32 MiB of bookkeeping).
/// Picklers write list items in batches of 1,000; only a tuple puts all its items there first.
pub const MAX_PENDING: usize = 4 << 20;

/// How far from the bottom of the stack a container may start for its elements to be recorded:
/// the request tuple, its arguments, and what those hold directly.
pub(super) const LEVELS: usize = 5;

/// The most containers near the bottom of the stack (80 MiB of bookkeeping), the most elements on each level
/// of them (32 MiB), and the most opcodes that a payload leaves out, of which picklers write one for every
/// 64 KiB. Each can be had for a byte of code.
pub(super) const MAX_NOTES: usize = MAX_PENDING;

/// A pending object or mark. The end of its code is where the next entry starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub start: u32,
    /// The index of its definition in the memo, or `NOT_IN_MEMO`, or `MARK`. A GET pushes an
    /// entry that has the definition of the object it refers to.
    pub memo: u32,
}

pub(super) const MARK: u32 = u32::MAX;
pub(super) const NOT_IN_MEMO: u32 = u32::MAX - 1;

/// A container that is not consumed yet, and so may still get elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub kind: Kind,
    pub from: u32,
}

impl Walker {
    #[inline]
    pub(super) fn push(&mut self, i: &Instr<'_>, memo: u32, kind: Kind) -> Result<(), PickleError> {
        let index = self.stack.len();
        if index >= MAX_PENDING {
            return Err(PickleError::TooManyPending { at: i.at });
        }
        self.stack.push(Entry { start: self.junk.take().unwrap_or(i.at as u32), memo });
        self.open_container(index, kind);
        Ok(())
    }

    #[inline]
    fn open_container(&mut self, index: usize, kind: Kind) {
        if index < LEVELS {
            self.open[index] = Open { kind, from: self.elements[index].len() as u32 };
        }
    }

    /// The lowest stack index that an opcode may touch: the one above the last mark.
    pub(super) fn fence(&self) -> usize {
        self.marks.last().map_or(0, |&mark| mark as usize + 1)
    }

    /// The stack index of the first of the top `n` objects. The code that was thrown away since
    /// becomes the last one's.
    #[inline]
    pub(super) fn operands(&mut self, n: usize, i: &Instr<'_>) -> Result<usize, PickleError> {
        self.junk = None;
        match self.stack.len().checked_sub(n) {
            Some(first) if first >= self.fence() => Ok(first),
            _ => Err(underflow(i)),
        }
    }

    pub(super) fn pop_mark(&mut self, i: &Instr<'_>) -> Result<usize, PickleError> {
        self.junk = None;
        match self.marks.pop() {
            Some(mark) => Ok(mark as usize),
            None => Err(underflow(i)),
        }
    }

    /// The entries from `first` on become one object, which has the code from `base` on.
    pub(super) fn take(&mut self, base: usize, first: usize, i: &Instr<'_>, kind: Kind) {
        let start = self.stack[base].start;
        if kind == Kind::Tuple {
            self.last_tuple = self.stack.get(first).map(|entry| (i.at as u32, entry.memo));
        }
        let known = kind != Kind::Other && self.has_room(base, first);
        let kind = if known { kind } else { Kind::Other };
        let from = self.elements.get(base).map_or(0, Vec::len) as u32;
        self.consume(first, i.at, known.then_some(base));
        self.stack.truncate(base);
        self.stack.push(Entry { start, memo: NOT_IN_MEMO });
        if base < LEVELS {
            self.open[base] = Open { kind, from };
        }
    }

    /// The entries from `first` on go into the container at stack index `container`.
    pub(super) fn add(&mut self, container: usize, first: usize, i: &Instr<'_>, kind: Kind) {
        let mut known = container < LEVELS && self.open[container].kind == kind;
        if known && !self.has_room(container, first) {
            // What has too many elements is taken for an object whose elements are not known.
            self.open[container].kind = Kind::Other;
            known = false;
        }
        self.consume(first, i.at, known.then_some(container));
        self.stack.truncate(container + 1);
    }

    /// Whether the entries from `first` on can be recorded as elements of the container at `level`.
    fn has_room(&self, level: usize, first: usize) -> bool {
        let count = self.stack.len() - first;
        self.elements.get(level).is_some_and(|elements| elements.len() + count <= MAX_NOTES)
    }

    /// Throws away the entry at `index` and what is above it. Their code stays, as it may define what others refer
    /// to, or change what is there. Picklers throw away two things:
    ///
    /// - The items of a tuple that they have made already, because one of them holds it; or the parts of an instance,
    ///   likewise. This code belongs to the next object, which is a GET of the tuple.
    /// - What a function returns that is called for what it does to an object: a state setter of `__reduce__`. This
    ///   code belongs to the object, which is the one below.
    #[inline(never)]
    pub(super) fn throw_away(&mut self, index: usize, bytes: &[u8], i: &Instr<'_>) {
        // What was thrown away just before is not part of what goes now.
        let end = self.junk.unwrap_or(i.at as u32);
        self.consume(index, end as usize, None);
        let start = self.stack[index].start;
        let for_below = self.junk.is_none() && self.changes_below(index, Span { start, end }, bytes, i.end);
        self.junk = (!for_below).then_some(start);
        self.stack.truncate(index);
    }

    /// Whether `code`, of the entry at `index`, is a call whose first argument is the object below, or a part of it.
    fn changes_below(&self, index: usize, code: Span, bytes: &[u8], next: usize) -> bool {
        let Some((made, receiver)) = self.last_tuple else {
            return false;
        };
        let call = code.end.saturating_sub(1);
        if index <= self.fence()
            || bytes.get(call as usize) != Some(&byte::REDUCE)
            || !self.only_filed(bytes, made, call)
        {
            return false;
        }
        let below = self.stack[index - 1].start;
        let starts_in = |definition: u32, start: u32, end: u32| {
            let definition = self.memo.definitions.get(definition as usize);
            definition.is_some_and(|definition| start <= definition.start && definition.start < end)
        };
        // A string is changed by nobody, but it may be a part of what is made again.
        if !starts_in(receiver, below, code.start) || self.only_filed(bytes, below, code.start) {
            return false;
        }
        // The arguments of an instance that is made again are filed, and it is what is fetched next.
        let fetched = match Reader::new(bytes, next).next() {
            Ok(Some(i)) if matches!(i.op.effect, Effect::Get) => {
                i.number().ok().and_then(|n| self.memo.get(n))
            }
            _ => None,
        };
        made + 1 == call || !fetched.is_some_and(|definition| starts_in(definition, code.start, code.end))
    }

    /// The objects from stack index `first` on are complete. Their spans become elements of the
    /// container that is at `level`.
    pub(super) fn consume(&mut self, first: usize, at: usize, level: Option<usize>) {
        for index in first..self.stack.len() {
            let Entry { start, memo } = self.stack[index];
            // An object's code goes on until the next one's starts.
            let end = self.stack.get(index + 1).map_or(at as u32, |next| next.start);
            // (A mark has no definition, and its kind is `Other`.)
            if memo < NOT_IN_MEMO {
                let definition = &mut self.memo.definitions[memo as usize];
                // Not when this entry only refers to it.
                if definition.start == start && definition.end == start {
                    definition.end = end;
                }
            }
            let span = Span { start, end };
            if let Some(open) = self.open.get_mut(index)
                && open.kind != Kind::Other
            {
                let to = self.elements[index].len() as u32;
                self.containers[index].push(Container { span, kind: open.kind, from: open.from, to });
                self.noted += 1;
                open.kind = Kind::Other;
            }
            if let Some(level) = level {
                self.elements[level].push(span);
            }
        }
    }
}

pub(super) fn underflow(i: &Instr<'_>) -> PickleError {
    PickleError::Underflow { at: i.at, opcode: i.op.name }
}
