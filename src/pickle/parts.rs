//! Asking a [`Walker`] about the pickle that it has walked: what the object at a [`Span`] is, and
//! where its parts are.

use super::error::PickleError;
use super::opcode::{Effect, Instr, Kind, Reader, byte};
use super::walk::{Reference, Walker};

/// The code of one object: a range of bytes in the pickle that was walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    /// The number of bytes of code.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Never true: each object has code. (Here because `len` is.)
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether all of the other span is in this one.
    pub(super) fn holds(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// An object near the bottom of the stack whose elements are known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Container {
    pub span: Span,
    pub kind: Kind,
    pub from: u32,
    pub to: u32,
}

/// How many opcodes that only file an object may follow it until it is no longer taken for a plain string or
/// number. Picklers write one, and perhaps a FRAME; each look at the object passes over them.
const MAX_FILINGS: usize = 8;

impl Walker {
    /// What the object at `span` is and the spans of its parts, when it is a container or an
    /// instance near the root: the root itself, its elements and theirs. References are followed.
    pub fn elements(&self, bytes: &[u8], span: Span) -> Option<(Kind, &[Span])> {
        self.container(span).or_else(|| self.container(self.resolve(bytes, span)))
    }

    /// The elements of a tuple or a list, as [`elements`](Self::elements) finds them.
    pub fn sequence(&self, bytes: &[u8], span: Span) -> Option<&[Span]> {
        match self.elements(bytes, span)? {
            (Kind::Tuple | Kind::List, elements) => Some(elements),
            _ => None,
        }
    }

    /// The keys and values, alternating, of a dict, as [`elements`](Self::elements) finds them.
    pub fn pairs(&self, bytes: &[u8], span: Span) -> Option<&[Span]> {
        match self.elements(bytes, span)? {
            (Kind::Dict, pairs) if pairs.len() % 2 == 0 => Some(pairs),
            _ => None,
        }
    }

    fn container(&self, span: Span) -> Option<(Kind, &[Span])> {
        for (containers, elements) in self.containers.iter().zip(&self.elements) {
            if let Ok(index) = containers.binary_search_by_key(&span.end, |c| c.span.end)
                && containers[index].span == span
            {
                let Container { kind, from, to, .. } = containers[index];
                return Some((kind, elements.get(from as usize..to as usize)?));
            }
        }
        None
    }

    /// Where the object at `span` is defined: `span` itself, unless that code is (or ends as) a
    /// reference. In `q.put('put')` the item is a reference to the method name.
    pub fn resolve(&self, bytes: &[u8], span: Span) -> Span {
        match self.last_reference(bytes, span) {
            Some(last) => self.memo.definitions[last.definition as usize].span(),
            None => span,
        }
    }

    /// The reference that the code at `span` is, or ends as.
    pub(super) fn last_reference(&self, bytes: &[u8], span: Span) -> Option<Reference> {
        let behind = self.references.partition_point(|r| r.at < span.end);
        let last = *self.references[..behind].last()?;
        (last.at >= span.start && self.only_filed(bytes, last.at, span.end)).then_some(last)
    }

    /// Whether the opcode at `at` is the last but those that file its object or mean nothing.
    pub(super) fn only_filed(&self, bytes: &[u8], at: u32, end: u32) -> bool {
        let Some(code) = bytes.get(..end as usize) else {
            return false;
        };
        let mut reader = Reader::new(code, at as usize);
        let _ = reader.next();
        for _ in 0..=MAX_FILINGS {
            match reader.next() {
                Ok(None) => return true,
                Ok(Some(i)) if i.op.effect.only_files() => {}
                _ => return false,
            }
        }
        false
    }

    /// The one opcode that makes the object at `span`, when one alone does. References are
    /// followed.
    pub(super) fn atom<'a>(&self, bytes: &'a [u8], span: Span) -> Option<Instr<'a>> {
        let span = self.resolve(bytes, span);
        let code = bytes.get(..span.end as usize)?;
        let first = Reader::new(code, span.start as usize).next().ok()??;
        let single = matches!(first.op.effect, Effect::Push(_));
        let alone = || first.end == span.end as usize || self.only_filed(bytes, span.start, span.end);
        (single && alone()).then_some(first)
    }

    /// The text of a string, borrowed from the pickle; `None` when it is another object (or one
    /// of Python 2's strings, or no UTF-8). References are followed.
    pub fn text<'a>(&self, bytes: &'a [u8], span: Span) -> Option<&'a str> {
        let i = self.atom(bytes, span)?;
        let is_text = match i.byte {
            byte::SHORT_BINUNICODE | byte::BINUNICODE | byte::BINUNICODE8 => true,
            // Escapes start with a backslash, other bytes from 128 on are Latin-1.
            byte::UNICODE => i.data.is_ascii() && !i.data.contains(&b'\\'),
            _ => false,
        };
        is_text.then(|| std::str::from_utf8(i.data).ok())?
    }

    /// Decodes the object at `span`, for small arguments such as numbers, flags and names. What
    /// is no [`Value`](super::Value), and any container of more than 64 KiB of code, becomes
    /// [`Value::Opaque`](super::Value::Opaque).
    ///
    /// # Errors
    /// Those of [`extract`](Self::extract).
    pub fn decode_span(&self, bytes: &[u8], span: Span) -> Result<super::Value, PickleError> {
        if let Some(value) = self.atom(bytes, span).as_ref().and_then(super::decode::atom) {
            return Ok(value);
        }
        Ok(self.extract(bytes, span)?.decode_small())
    }

    /// Whether the object at `span` is `None`. References are followed.
    pub(crate) fn is_none(&self, bytes: &[u8], span: Span) -> bool {
        self.atom(bytes, span).is_some_and(|i| i.byte == byte::NONE)
    }
}
