//! Taking one object's code out of a message as a payload of its own.
//!
//! Most objects refer to nothing outside their own code. Their bytes are copied (or the message's
//! buffer is kept) and edited in place: FRAME goes, each PUT becomes a MEMOIZE, each GET gets the
//! number that its object now has.
//!
//! The others (in `put_many([{'a': 1}, {'a': 2}])` the second dict's key is a reference to the
//! first one's) are written piece by piece: where an object is referred to that the payload does
//! not hold yet, the code that defines it is written there. It may hold, or be, the code that is
//! just being written: then each object is still written once, and referred to after that.

use super::error::PickleError;
use super::memo::Definition;
use super::opcode::{Reader, byte};
use super::payload::Pickled;
use super::walk::{Span, Walker, reset};

/// How many bytes all payloads taken from one message may have beyond their own code, in
/// addition to the message's length: what copies of shared objects add. (`put_many` of one large
/// object again and again makes a copy for each item, as the items have to be independent.)
pub const MAX_EXPANSION: usize = 64 << 20;

/// From this size on a payload keeps the buffer of the message it came in.
const KEEP_BUFFER: usize = 16 << 10;

/// Bookkeeping for payloads that refer to objects outside of their code.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// For each definition: the payload for which it was numbered last, and its number there.
    numbers: Vec<(u32, u32)>,
    /// The definitions, by where they start, the outermost first.
    by_start: Vec<u32>,
    /// Counts the payloads.
    payload: u32,
    /// How many more bytes copies may add.
    allowance: usize,
    limit: usize,
}

impl Scratch {
    pub fn clear(&mut self) {
        reset(&mut self.numbers);
        reset(&mut self.by_start);
        self.payload = 0;
    }

    /// A message of `len` bytes was walked.
    pub fn allow(&mut self, len: usize) {
        self.limit = len.saturating_add(MAX_EXPANSION);
        self.allowance = self.limit;
    }
}

/// A change that the code of a payload needs.
enum Edit {
    Drop,
    Define(u32),
    Refer(u32),
    /// Here the code of this definition starts.
    Start(u32),
}

/// Where the next edit of each sort is.
#[derive(Clone, Copy)]
struct Cursors {
    skip: usize,
    definition: usize,
    reference: usize,
    start: usize,
}

/// A piece of the message that is being written: up to `pos` it has been.
struct Piece {
    pos: u32,
    end: u32,
    next: Cursors,
}

impl Walker {
    /// Takes the object at `span` out of the pickle that was walked last, which is `bytes`, into
    /// storage of exactly its size.
    ///
    /// # Errors
    /// [`PickleError::ForeignSpan`], or [`PickleError::Expansion`] when this message's payloads
    /// share too much.
    pub fn extract(&self, bytes: &[u8], span: Span) -> Result<Pickled, PickleError> {
        let code = self.checked(bytes, span)?;
        if self.self_contained(bytes, span) {
            let mut code = code.to_vec();
            let len = self.rewrite(&mut code, 0, span);
            code.truncate(len);
            Ok(self.finish(code, 0, span))
        } else {
            self.inline(bytes, span)
        }
    }

    /// Like [`extract`](Self::extract), but a large payload that is most of the message keeps the
    /// message's buffer, so that its bytes are not copied.
    ///
    /// # Errors
    /// Those of [`extract`](Self::extract).
    pub fn extract_owned(&self, mut bytes: Vec<u8>, span: Span) -> Result<Pickled, PickleError> {
        let len = self.checked(&bytes, span)?.len();
        let most = len >= KEEP_BUFFER && len > bytes.capacity() / 2;
        if !most || !self.self_contained(&bytes, span) {
            return self.extract(&bytes, span);
        }
        let len = self.rewrite(&mut bytes, span.start as usize, span);
        bytes.truncate(span.start as usize + len);
        Ok(self.finish(bytes, span.start, span))
    }

    fn checked<'a>(&self, bytes: &'a [u8], span: Span) -> Result<&'a [u8], PickleError> {
        match bytes.get(span.range()) {
            Some(code) if bytes.len() == self.len && !code.is_empty() => Ok(code),
            _ => Err(PickleError::ForeignSpan),
        }
    }

    fn cursors(&self, pos: u32) -> Cursors {
        Cursors {
            skip: self.skips.partition_point(|&at| at < pos),
            definition: self.memo.definitions.partition_point(|d| d.at < pos),
            reference: self.references.partition_point(|r| r.at < pos),
            start: (self.inline.borrow().by_start)
                .partition_point(|&d| self.memo.definitions[d as usize].start < pos),
        }
    }

    /// The first edit from the cursors on that is before `end`, and where it is. Moves behind it.
    fn next_edit(&self, next: &mut Cursors, end: u32) -> Option<(u32, Edit)> {
        let skip = self.skips.get(next.skip).map_or(end, |&at| at);
        let definition = (self.memo.definitions.get(next.definition)).map_or(end, |d| d.at);
        let reference = self.references.get(next.reference).map_or(end, |r| r.at);
        let started = self.inline.borrow().by_start.get(next.start).copied();
        let start = started.map_or(end, |d| self.memo.definitions[d as usize].start);
        let at = skip.min(definition).min(reference).min(start);
        if at >= end {
            return None;
        }
        // An object starts before the opcode that is there does anything.
        let edit = match started {
            Some(started) if at == start => {
                next.start += 1;
                Edit::Start(started)
            }
            _ if at == skip => {
                next.skip += 1;
                Edit::Drop
            }
            _ if at == definition => {
                next.definition += 1;
                Edit::Define(next.definition as u32 - 1)
            }
            _ => {
                next.reference += 1;
                Edit::Refer(self.references[next.reference - 1].definition)
            }
        };
        Some((at, edit))
    }

    /// Whether all references in the span stay in it and none grows.
    fn self_contained(&self, bytes: &[u8], span: Span) -> bool {
        let from = self.cursors(span.start);
        let to = self.cursors(span.end);
        let definitions = from.definition as u32..to.definition as u32;
        self.references[from.reference..to.reference].iter().all(|r| {
            definitions.contains(&r.definition)
                && width(r.definition - definitions.start) <= opcode_end(bytes, r.at) - r.at
        })
    }

    /// Edits self-contained code in place. It is in `bytes` at `offset`, and its new length is
    /// returned.
    fn rewrite(&self, bytes: &mut [u8], offset: usize, span: Span) -> usize {
        let mut next = self.cursors(span.start);
        // Starts of objects are of no interest here.
        next.start = usize::MAX;
        let first = next.definition as u32;
        let shift = span.start as usize - offset;
        let (mut read, mut write) = (offset, offset);
        loop {
            let edit = self.next_edit(&mut next, span.end);
            let at = edit.as_ref().map_or(span.end, |&(at, _)| at) as usize - shift;
            if read != write {
                bytes.copy_within(read..at, write);
            }
            write += at - read;
            let Some((_, edit)) = edit else {
                return write - offset;
            };
            read = opcode_end(bytes, at as u32) as usize;
            let mut code = [0; 5];
            let code = match edit {
                Edit::Define(_) => &[byte::MEMOIZE],
                Edit::Refer(definition) => get(&mut code, definition - first),
                Edit::Drop | Edit::Start(_) => &[],
            };
            bytes[write..write + code.len()].copy_from_slice(code);
            write += code.len();
        }
    }

    fn finish(&self, code: Vec<u8>, start: u32, span: Span) -> Pickled {
        let (from, to) = (self.cursors(span.start), self.cursors(span.end));
        let memos = to.definition - from.definition;
        Pickled::new(code, start, memos as u32, from.reference < to.reference)
    }

    /// Extracts code that refers to objects outside of it.
    fn inline(&self, bytes: &[u8], span: Span) -> Result<Pickled, PickleError> {
        let definitions = &self.memo.definitions;
        let mut scratch = self.inline.borrow_mut();
        if scratch.by_start.is_empty() {
            scratch.numbers.resize(definitions.len(), (0, 0));
            scratch.by_start.extend(0..definitions.len() as u32);
            scratch.by_start.sort_unstable_by_key(|&d| {
                let Definition { start, end, at } = definitions[d as usize];
                (start, u32::MAX - end, at)
            });
        }
        scratch.payload += 1;
        drop(scratch);

        let mut out = Out {
            code: Vec::with_capacity(span.len()),
            memos: 0,
            limit: span.len() + self.inline.borrow().allowance,
        };
        let mut pieces = vec![self.piece(span.start, span.end)];
        while let Some(piece) = pieces.last_mut() {
            let edit = self.next_edit(&mut piece.next, piece.end);
            let at = edit.as_ref().map_or(piece.end, |&(at, _)| at);
            if !matches!(edit, Some((_, Edit::Start(_)))) {
                self.allow(&out, (at - piece.pos) as usize)?;
                out.code.extend_from_slice(&bytes[piece.pos as usize..at as usize]);
                piece.pos = at;
            }
            let Some((at, edit)) = edit else {
                pieces.pop();
                continue;
            };
            match edit {
                Edit::Drop => piece.pos = opcode_end(bytes, at),
                Edit::Start(index) => {
                    let end = self.memo.definitions[index as usize].end;
                    // An object that encloses this piece may start where it starts.
                    if let Some(number) = self.number(index)
                        && end <= piece.end
                    {
                        let from = piece.pos as usize;
                        self.allow(&out, at as usize - from)?;
                        out.code.extend_from_slice(&bytes[from..at as usize]);
                        out.get(number);
                        *piece = self.piece(end, piece.end);
                    }
                }
                Edit::Refer(index) => {
                    piece.pos = opcode_end(bytes, at);
                    if let Some(number) = self.number(index) {
                        out.get(number);
                    } else {
                        let Definition { start, end, .. } = self.memo.definitions[index as usize];
                        let piece = self.piece(start, end);
                        pieces.push(piece);
                    }
                }
                Edit::Define(index) => {
                    if let Some(number) = self.number(index) {
                        // Its parts referred to an object that holds it (a recursive tuple), so
                        // that it has been written meanwhile. Picklers do the same then: throw
                        // the second one away and refer to the first.
                        let end = self.memo.definitions[index as usize].end;
                        out.code.push(byte::POP);
                        out.get(number);
                        *piece = self.piece(end, piece.end);
                    } else {
                        let scratch = &mut *self.inline.borrow_mut();
                        scratch.numbers[index as usize] = (scratch.payload, out.memos);
                        out.memos += 1;
                        out.code.push(byte::MEMOIZE);
                        piece.pos = opcode_end(bytes, at);
                    }
                }
            }
        }
        self.allow(&out, 0)?;
        self.inline.borrow_mut().allowance -= out.code.len().saturating_sub(span.len());
        Ok(Pickled::new(out.code, 0, out.memos, true))
    }

    fn piece(&self, pos: u32, end: u32) -> Piece {
        let mut next = self.cursors(pos);
        // Objects that begin here and enclose the piece are not in it. There may be as many as the message
        // has bytes, and as many references to the innermost: passing over each of them takes minutes.
        next.start += self.inline.borrow().by_start[next.start..].partition_point(|&d| {
            let definition = self.memo.definitions[d as usize];
            definition.start == pos && definition.end > end
        });
        Piece { pos, end, next }
    }

    /// The number that a definition has in the payload that is being written.
    fn number(&self, definition: u32) -> Option<u32> {
        let scratch = self.inline.borrow();
        let (payload, number) = scratch.numbers[definition as usize];
        (payload == scratch.payload).then_some(number)
    }

    fn allow(&self, out: &Out, more: usize) -> Result<(), PickleError> {
        if out.code.len() + more > out.limit {
            return Err(PickleError::Expansion { limit: self.inline.borrow().limit });
        }
        Ok(())
    }
}

/// A payload that is being written.
struct Out {
    code: Vec<u8>,
    memos: u32,
    limit: usize,
}

impl Out {
    fn get(&mut self, number: u32) {
        self.code.extend_from_slice(get(&mut [0; 5], number));
    }
}

/// The shortest GET of a memo number.
pub(super) fn get(code: &mut [u8; 5], number: u32) -> &[u8] {
    code[1..].copy_from_slice(&number.to_le_bytes());
    code[0] = if number < 256 { byte::BINGET } else { byte::LONG_BINGET };
    &code[..width(number) as usize]
}

fn width(number: u32) -> u32 {
    if number < 256 { 2 } else { 5 }
}

/// Where the opcode at `at` ends. (The walker has read it: it is there.)
fn opcode_end(bytes: &[u8], at: u32) -> u32 {
    match Reader::new(bytes, at as usize).next() {
        Ok(Some(i)) => i.end as u32,
        _ => bytes.len() as u32,
    }
}
