//! Taking one object's code out of a message as a payload of its own.
//!
//! Most objects refer to nothing outside their own code. Their bytes are copied (or the message's
//! buffer is kept) and edited in place: FRAME goes, each PUT becomes a MEMOIZE, each GET gets the
//! number that its object now has. The others are a matter of `inline`.

use crate::memory::Buffer;

use super::error::PickleError;
use super::opcode::{Reader, byte};
use super::parts::Span;
use super::payload::Pickled;
use super::walk::Walker;

/// From this size on a payload keeps the buffer of the message it came in.
pub(super) const KEEP_BUFFER: usize = 16 << 10;

/// A change that the code of a payload needs.
pub(super) enum Edit {
    Drop,
    Define(u32),
    Refer(u32),
    /// Here the code of this definition starts.
    Start(u32),
}

/// Where the next edit of each sort is.
#[derive(Clone, Copy)]
pub(super) struct Cursors {
    skip: usize,
    definition: usize,
    reference: usize,
    pub start: usize,
}

impl Walker {
    /// Takes the object at `span` out of the pickle that was walked last, which is `bytes`, into
    /// storage of exactly its size.
    ///
    /// # Errors
    /// [`PickleError::ForeignSpan`], or [`PickleError::Expansion`] when this message's payloads
    /// share too much.
    pub fn extract(&self, bytes: &[u8], span: Span) -> Result<Pickled, PickleError> {
        self.checked(bytes, span)?;
        let source = self.follow(bytes, span);
        self.inline.borrow_mut().spend(source.len().saturating_sub(span.len()))?;
        let (from, to) = self.edits(source);
        if !self.self_contained(bytes, &from, &to) {
            return self.write_inlined(bytes, source);
        }
        let mut code = bytes[source.range()].to_vec();
        let len = self.rewrite(&mut code, 0, source, &from);
        code.truncate(len);
        let memos = to.definition - from.definition;
        Ok(Pickled::new(code, memos as u32, from.reference < to.reference))
    }

    /// The span itself or, when it is nothing but a reference, that of the definition.
    fn follow(&self, bytes: &[u8], span: Span) -> Span {
        let first = self.references.partition_point(|r| r.at < span.start);
        match self.references.get(first) {
            Some(r) if r.at == span.start && self.only_filed(bytes, r.at, span.end) => {
                self.memo.definitions[r.definition as usize].span()
            }
            _ => span,
        }
    }

    /// Like [`extract`](Self::extract), but a large payload that is most of the message keeps the
    /// message's buffer, so that its bytes are not copied. The pickle that was walked is what is in the
    /// buffer from `start` on.
    ///
    /// # Errors
    /// Those of [`extract`](Self::extract).
    pub fn extract_owned(
        &self,
        mut buffer: Buffer,
        start: usize,
        span: Span,
    ) -> Result<Pickled, PickleError> {
        let bytes = &buffer[start..];
        let len = self.checked(bytes, span)?.len();
        let most = len >= KEEP_BUFFER && len > buffer.capacity() / 2;
        let (from, to) = self.edits(span);
        if !most || !self.self_contained(bytes, &from, &to) {
            return self.extract(bytes, span);
        }
        let len = self.rewrite(&mut buffer[start..], span.start as usize, span, &from);
        let start = start + span.start as usize;
        let behind = (buffer.len() - start - len) as u32;
        let memos = (to.definition - from.definition) as u32;
        let refers = from.reference < to.reference;
        if len <= buffer.capacity() / 2 {
            // Most of it was dropped. Kept, it would be memory that nobody counts.
            return Ok(Pickled::new(buffer[start..start + len].to_vec(), memos, refers));
        }
        Ok(Pickled::within(buffer, (start as u32, behind), memos, refers))
    }

    fn checked<'a>(&self, bytes: &'a [u8], span: Span) -> Result<&'a [u8], PickleError> {
        match bytes.get(span.range()) {
            Some(code) if bytes.len() == self.len && !code.is_empty() => Ok(code),
            _ => Err(PickleError::ForeignSpan),
        }
    }

    /// Where the edits from `pos` on begin. Of the objects that start at `pos` those count that
    /// end at `end` or before.
    pub(super) fn cursors(&self, pos: u32, end: u32) -> Cursors {
        let definitions = &self.memo.definitions;
        Cursors {
            skip: self.skips.partition_point(|&at| at < pos),
            definition: definitions.partition_point(|d| d.at < pos),
            reference: self.references.partition_point(|r| r.at < pos),
            start: (self.inline.borrow().by_start).partition_point(|&index| {
                let d = definitions[index as usize];
                (d.start, u32::MAX - d.end) < (pos, u32::MAX - end)
            }),
        }
    }

    /// The first edit from the cursors on that is before `end`, and where it is. Moves behind it.
    pub(super) fn next_edit(&self, next: &mut Cursors, end: u32) -> Option<(u32, Edit)> {
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

    /// The cursors at both ends of a span.
    fn edits(&self, span: Span) -> (Cursors, Cursors) {
        let Span { start, end } = span;
        (self.cursors(start, end), self.cursors(end, end))
    }

    /// Whether all references between the cursors stay there and none grows.
    fn self_contained(&self, bytes: &[u8], from: &Cursors, to: &Cursors) -> bool {
        let definitions = from.definition as u32..to.definition as u32;
        self.references[from.reference..to.reference].iter().all(|r| {
            definitions.contains(&r.definition)
                && width(r.definition - definitions.start) <= opcode_end(bytes, r.at) - r.at
        })
    }

    /// Edits self-contained code in place. It is in `bytes` at `offset`, and its new length is
    /// returned.
    fn rewrite(&self, bytes: &mut [u8], offset: usize, span: Span, from: &Cursors) -> usize {
        let mut next = *from;
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
pub(super) fn opcode_end(bytes: &[u8], at: u32) -> u32 {
    match Reader::new(bytes, at as usize).next() {
        Ok(Some(i)) => i.end as u32,
        _ => bytes.len() as u32,
    }
}
