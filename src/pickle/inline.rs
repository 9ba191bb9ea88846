//! Taking out an object that refers to others outside of its own code.
//!
//! In `put_many([{'a': 1}, {'a': 2}])` the second dict's key is a reference to the first one's.
//! Where the payload does not hold yet what is referred to, the code that defines it is written
//! in place of the reference. It may hold, or be, the code that is just being written, as objects
//! may hold themselves. Three rules keep each object one object then:
//!
//! 1. What has been written once is referred to, also where its code comes by again.
//! 2. A list is in the memo before its items are written, so that they can refer to it. A tuple
//!    or an instance is not before its parts are complete. If a part of it needs an object that
//!    holds it, then what was written of it is taken back, and the larger object is written first.
//! 3. Of that one only the part is wanted: POP throws it away, and GET fetches the part.

use std::collections::BTreeMap;

use super::error::PickleError;
use super::extract::{Cursors, Edit, get, opcode_end};
use super::memo::Definition;
use super::opcode::byte;
use super::payload::Pickled;
use super::walk::{Span, Walker, reset};

/// How many bytes all payloads taken from one message may have beyond their own code, in
/// addition to the message's length: what copies of shared objects add. (`put_many` of one large
/// object again and again makes a copy for each item, as items are independent.)
pub const MAX_EXPANSION: usize = 64 << 20;

/// Bookkeeping that serves all payloads of one message.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// For each definition its number in the payload, if `Out::written` agrees.
    numbers: Vec<u32>,
    /// The definitions, by where they start, the outermost first.
    pub by_start: Vec<u32>,
    /// How many more bytes copies may add.
    allowance: usize,
    limit: usize,
}

impl Scratch {
    pub fn clear(&mut self) {
        reset(&mut self.numbers);
        reset(&mut self.by_start);
    }

    /// A message of `len` bytes was walked.
    pub fn allow(&mut self, len: usize) {
        self.limit = len.saturating_add(MAX_EXPANSION);
        self.allowance = self.limit;
    }

    fn prepare(&mut self, definitions: &[Definition]) {
        if self.by_start.is_empty() {
            self.numbers.resize(definitions.len(), 0);
            self.by_start.extend(0..definitions.len() as u32);
            self.by_start.sort_unstable_by_key(|&index| {
                let Definition { start, end, at } = definitions[index as usize];
                (start, u32::MAX - end, at)
            });
        }
    }
}

/// A piece of the message that is being written: up to `pos` it has been.
struct Piece {
    pos: u32,
    end: u32,
    next: Cursors,
    /// The opcode that files the object, if any.
    filed_at: Option<u32>,
    /// The payload's length in bytes and memo entries when the piece was begun.
    before: (usize, usize),
    /// The piece is written for the sake of this part of it.
    part: Option<u32>,
}

/// A payload that is being written.
struct Out<'a> {
    bytes: &'a [u8],
    code: Vec<u8>,
    /// The memo entries, by number: indexes of definitions.
    written: Vec<u32>,
    /// The pieces that are being written, each for a reference in the one before it.
    pieces: Vec<Piece>,
    /// Those whose object is not in the memo yet: from its `filed_at` to the index of the piece.
    unfiled: BTreeMap<u32, usize>,
    /// Bytes that were written and taken back.
    wasted: usize,
}

impl Walker {
    /// Extracts code that refers to objects outside of it.
    pub(super) fn write_inlined(&self, bytes: &[u8], span: Span) -> Result<Pickled, PickleError> {
        self.inline.borrow_mut().prepare(&self.memo.definitions);
        let mut out = Out {
            bytes,
            code: Vec::with_capacity(span.len()),
            written: Vec::new(),
            pieces: Vec::new(),
            unfiled: BTreeMap::new(),
            wasted: 0,
        };
        self.begin(&mut out, span, None);
        while let Some(piece) = out.pieces.last_mut() {
            let edit = self.next_edit(&mut piece.next, piece.end);
            let at = edit.as_ref().map_or(piece.end, |&(at, _)| at);
            let copy = &bytes[piece.pos as usize..at as usize];
            piece.pos = at;
            out.code.extend_from_slice(copy);
            if out.code.len() + out.wasted > span.len() + self.inline.borrow().allowance {
                return Err(PickleError::Expansion { limit: self.inline.borrow().limit });
            }
            match edit {
                Some((_, edit)) => self.apply(&mut out, edit),
                None => self.end(&mut out),
            }
        }
        let added = (out.code.len() + out.wasted).saturating_sub(span.len());
        self.inline.borrow_mut().allowance -= added;
        Ok(Pickled::new(out.code, 0, out.written.len() as u32, true))
    }

    fn apply(&self, out: &mut Out<'_>, edit: Edit) {
        let number = match edit {
            Edit::Start(index) | Edit::Define(index) | Edit::Refer(index) => self.number(out, index),
            Edit::Drop => None,
        };
        let Some(piece) = out.pieces.last_mut() else {
            return;
        };
        match edit {
            Edit::Drop => piece.pos = opcode_end(out.bytes, piece.pos),
            Edit::Start(index) => {
                let end = self.memo.definitions[index as usize].end;
                if let Some(number) = number {
                    piece.pos = end;
                    piece.next = self.cursors(end, piece.end);
                    out.get(number);
                }
            }
            Edit::Define(index) => {
                out.unfiled.remove(&piece.pos);
                piece.pos = opcode_end(out.bytes, piece.pos);
                self.inline.borrow_mut().numbers[index as usize] = out.written.len() as u32;
                out.written.push(index);
                out.code.push(byte::MEMOIZE);
            }
            Edit::Refer(index) => {
                piece.pos = opcode_end(out.bytes, piece.pos);
                self.refer(out, index);
            }
        }
    }

    /// Writes a reference, or the object where there is none yet.
    fn refer(&self, out: &mut Out<'_>, index: u32) {
        if let Some(number) = self.number(out, index) {
            return out.get(number);
        }
        let Definition { start, end, .. } = self.memo.definitions[index as usize];
        let holds = out.unfiled.range(start..end);
        let part = holds.map(|(&at, &piece)| (piece, at)).min().map(|(piece, at)| {
            out.take_back(piece);
            // The opcode at `at` files an object: there is a definition.
            self.memo.definitions.partition_point(|d| d.at < at) as u32
        });
        self.begin(out, Span { start, end }, part);
    }

    fn begin(&self, out: &mut Out<'_>, span: Span, part: Option<u32>) {
        let Span { start, end } = span;
        let next = self.cursors(start, end);
        // The first object from there on, if it is exactly this one.
        let filed_at = (self.inline.borrow().by_start.get(next.start))
            .map(|&index| self.memo.definitions[index as usize])
            .filter(|d| d.start == start && d.end == end)
            .map(|d| d.at);
        if let Some(at) = filed_at {
            out.unfiled.insert(at, out.pieces.len());
        }
        out.pieces.push(Piece {
            pos: start,
            end,
            next,
            filed_at,
            before: (out.code.len(), out.written.len()),
            part,
        });
    }

    fn end(&self, out: &mut Out<'_>) {
        if let Some(part) = out.pieces.pop().and_then(|piece| piece.part) {
            out.code.push(byte::POP);
            self.refer(out, part);
        }
    }

    /// The number of a definition, when the payload has it.
    fn number(&self, out: &Out<'_>, index: u32) -> Option<u32> {
        let number = self.inline.borrow().numbers[index as usize];
        (out.written.get(number as usize) == Some(&index)).then_some(number)
    }
}

impl Out<'_> {
    fn get(&mut self, number: u32) {
        self.code.extend_from_slice(get(&mut [0; 5], number));
    }

    /// Takes back what was written since that piece was begun.
    fn take_back(&mut self, piece: usize) {
        let before = self.pieces[piece].before;
        self.wasted += self.code.len() - before.0;
        self.code.truncate(before.0);
        self.written.truncate(before.1);
        for piece in self.pieces.drain(piece..) {
            if let Some(at) = piece.filed_at {
                self.unfiled.remove(&at);
            }
        }
    }
}
