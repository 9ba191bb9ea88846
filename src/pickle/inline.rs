//! Taking out an object that refers to others outside of its own code.
//!
//! In `put_many([{'a': 1}, {'a': 2}])` the second dict's key is a reference to the first one's.
//! Where the payload does not hold yet what is referred to, the code that defines it is written
//! in place of the reference. Two rules keep each object one object, complete when it is used:
//!
//! 1. What has been written once is referred to, also where its code comes by again.
//! 2. If a piece of code refers to an object that holds it (objects may hold themselves), then
//!    what was written of the piece is taken back, and the larger object is written first, in the
//!    order that its pickler chose. Only the piece is wanted of it: POP throws the object away, and
//!    GET fetches the part. (If its pickler has not filed the part, MEMOIZE does so where it is complete.)
//!
//! References go backwards. So, by the second rule, each piece that is begun within another ends
//! before the other starts: no object is ever met half written.
//!
//! An object's code is taken to be all that fills it. That is how picklers write; a pickle made by
//! hand may fetch a list with GET and append to it elsewhere, which its payload then lacks.

use super::error::PickleError;
use super::extract::{Cursors, Edit, get, opcode_end};
use super::memo::Definition;
use super::opcode::byte;
use super::parts::Span;
use super::payload::Pickled;
use super::walk::{Walker, reset};

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

    fn check(&self, added: usize) -> Result<(), PickleError> {
        if added > self.allowance {
            return Err(PickleError::Expansion { limit: self.limit });
        }
        Ok(())
    }

    /// A payload was made that has `added` bytes beyond its own code.
    pub fn spend(&mut self, added: usize) -> Result<(), PickleError> {
        self.check(added)?;
        self.allowance -= added;
        Ok(())
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
    span: Span,
    pos: u32,
    next: Cursors,
    /// The payload's length in bytes and memo entries when the piece was begun.
    before: (usize, usize),
    /// The piece is written for the sake of a part of it.
    part: Option<Part>,
}

/// What is wanted of a piece.
#[derive(Clone, Copy)]
struct Part {
    span: Span,
    /// Its number in the payload, as soon as it is complete there.
    number: Option<u32>,
}

/// Stands in for the index of a definition where a part was filed.
const PART: u32 = u32::MAX;

/// A payload that is being written.
struct Out<'a> {
    bytes: &'a [u8],
    code: Vec<u8>,
    /// The memo entries, by number: indexes of definitions.
    written: Vec<u32>,
    /// The pieces that are being written, each for a reference in the one before it.
    pieces: Vec<Piece>,
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
            wasted: 0,
        };
        let added = |out: &Out<'_>| (out.code.len() + out.wasted).saturating_sub(span.len());
        self.begin(&mut out, span, None);
        while let Some(piece) = out.pieces.last_mut() {
            let stop = piece.stop();
            let edit = self.next_edit(&mut piece.next, stop);
            let at = edit.as_ref().map_or(stop, |&(at, _)| at);
            let copy = &bytes[piece.pos as usize..at as usize];
            piece.pos = at;
            out.code.extend_from_slice(copy);
            self.inline.borrow().check(added(&out))?;
            match edit {
                Some((_, edit)) => self.apply(&mut out, edit),
                None => self.end(&mut out),
            }
        }
        self.inline.borrow_mut().spend(added(&out))?;
        if out.written.contains(&PART) {
            // Perhaps it is filed twice now: what was fetched and changed cannot be told from what was made.
            return Pickled::read(&out.code, false);
        }
        Ok(Pickled::new(out.code, out.written.len() as u32, true))
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
                    piece.next = self.cursors(end, piece.span.end);
                    out.get(number);
                }
            }
            Edit::Define(index) => {
                debug_assert_eq!(number, None, "an object is written once");
                piece.pos = opcode_end(out.bytes, piece.pos);
                self.inline.borrow_mut().numbers[index as usize] = out.file(index);
            }
            Edit::Refer(index) => {
                piece.pos = opcode_end(out.bytes, piece.pos);
                if let Some(number) = number {
                    return out.get(number);
                }
                let span = self.memo.definitions[index as usize].span();
                let part = out.take_back(span);
                self.begin(out, span, part);
            }
        }
    }

    /// The last piece was copied up to the end of its part, or to its own.
    fn end(&self, out: &mut Out<'_>) {
        let part = out.pieces.last().and_then(|piece| piece.part);
        match part {
            None => drop(out.pieces.pop()),
            Some(Part { number: Some(number), .. }) => {
                out.pieces.pop();
                out.code.push(byte::POP);
                out.get(number);
            }
            Some(Part { span, number: None }) => {
                let filed = self.definition_of(out.bytes, span).and_then(|index| self.number(out, index));
                let number = filed.unwrap_or_else(|| out.file(PART));
                if let Some(piece) = out.pieces.last_mut() {
                    piece.part = Some(Part { span, number: Some(number) });
                }
            }
        }
    }

    /// The index of the definition that the object at `span` has.
    fn definition_of(&self, bytes: &[u8], span: Span) -> Option<u32> {
        if let Some(reference) = self.last_reference(bytes, span) {
            return Some(reference.definition);
        }
        let first = self.cursors(span.start, span.end).start;
        let index = *self.inline.borrow().by_start.get(first)?;
        (self.memo.definitions[index as usize].span() == span).then_some(index)
    }

    fn begin(&self, out: &mut Out<'_>, span: Span, part: Option<Part>) {
        out.pieces.push(Piece {
            span,
            pos: span.start,
            next: self.cursors(span.start, span.end),
            before: (out.code.len(), out.written.len()),
            part,
        });
    }

    /// The number of a definition, when the payload has it.
    fn number(&self, out: &Out<'_>, index: u32) -> Option<u32> {
        let number = self.inline.borrow().numbers[index as usize];
        (out.written.get(number as usize) == Some(&index)).then_some(number)
    }
}

impl Piece {
    /// Up to where it can be copied at once.
    fn stop(&self) -> u32 {
        match &self.part {
            Some(Part { span, number: None }) => span.end.max(self.pos),
            _ => self.span.end,
        }
    }
}

impl Out<'_> {
    fn get(&mut self, number: u32) {
        self.code.extend_from_slice(get(&mut [0; 5], number));
    }

    /// Files the object that was just made. Returns its number.
    fn file(&mut self, index: u32) -> u32 {
        let number = self.written.len() as u32;
        self.written.push(index);
        self.code.push(byte::MEMOIZE);
        number
    }

    /// Takes back the pieces that the object at `span` holds. Returns the one that is wanted.
    fn take_back(&mut self, span: Span) -> Option<Part> {
        let mut wanted = None;
        while let Some(piece) = self.pieces.pop_if(|piece| span.holds(piece.span)) {
            wanted = Some(Part { span: piece.part.map_or(piece.span, |part| part.span), number: None });
            let (len, memos) = piece.before;
            self.wasted += self.code.len() - len;
            self.code.truncate(len);
            self.written.truncate(memos);
        }
        wanted
    }
}
