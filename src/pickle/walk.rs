//! One pass over a pickle that finds where each object's code is, without building any object.
//!
//! The stack holds offsets in place of objects. It is Python's unpickler with the values left
//! out: the same opcodes take and give the same number of entries.

use std::cell::RefCell;

use super::error::PickleError;
use super::memo::Memo;
use super::opcode::{Effect, Instr, Kind, Reader, byte};
use super::parts::{Container, Span};
use super::stack::{Entry, LEVELS, MARK, MAX_NOTES, NOT_IN_MEMO, Open, underflow};

/// The most references to the memo (128 MiB of bookkeeping), as many as the memo has entries.
const MAX_REFERENCES: usize = super::memo::MAX_MEMO;

/// Scratch above this size is given back by [`Walker::clear`].
const KEEP_BYTES: usize = 64 << 10;

/// A GET.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    pub at: u32,
    /// The index of the definition it refers to.
    pub definition: u32,
}

/// The first opcode by which loading the pickle would import or call something.
#[derive(Clone, Copy, Debug)]
pub(super) struct FirstCode {
    pub at: u32,
    /// The two strings of a STACK_GLOBAL.
    pub names: Option<(Span, Span)>,
}

/// Finds the parts of a pickle. Made once for each connection and used for request after request:
/// its scratch memory is kept, so that a small request allocates nothing.
///
/// ```
/// use netq::pickle::{Kind, Walker};
///
/// // pickle.dumps(('put', [7, 8]), 4)
/// let request = b"\x80\x04\x95\x11\0\0\0\0\0\0\0\x8c\x03put\x94]\x94(K\x07K\x08e\x86\x94.";
/// let mut walker = Walker::new();
/// let root = walker.walk(request)?;
/// let (kind, parts) = walker.elements(request, root).unwrap();
/// assert_eq!(kind, Kind::Tuple);
/// assert_eq!(walker.text(request, parts[0]), Some("put"));
/// let list = parts[1];
/// assert_eq!(walker.extract(request, list)?.decode().to_string(), "[7, 8]");
/// # Ok::<(), netq::pickle::PickleError>(())
/// ```
#[derive(Debug)]
pub struct Walker {
    pub(super) stack: Vec<Entry>,
    /// The stack indexes of the marks.
    pub(super) marks: Vec<u32>,
    /// Where the code of entries that were thrown away starts, if it belongs to the next object.
    pub(super) junk: Option<u32>,
    /// Where the last tuple was made, and the definition of its first item.
    pub(super) last_tuple: Option<(u32, u32)>,
    pub(super) memo: Memo,
    pub(super) references: Vec<Reference>,
    /// Where opcodes are that a payload leaves out: FRAME, PROTO, and what files an object for a
    /// second time.
    pub(super) skips: Vec<u32>,
    /// Elements, by the stack index of their container: those of one container are contiguous, as
    /// at one index there is one container at a time.
    pub(super) elements: [Vec<Span>; LEVELS],
    pub(super) open: [Open; LEVELS],
    /// By their stack index, in ascending order of their ends: one that is complete later may end before others do.
    pub(super) containers: [Vec<Container>; LEVELS],
    /// How many containers there are.
    pub(super) noted: usize,
    pub(super) first_code: Option<FirstCode>,
    /// The length of the pickle that was walked.
    pub(super) len: usize,
    /// Whether nothing of a pickle is here.
    is_clear: bool,
    /// Bookkeeping of `extract`, which changes nothing that a caller sees.
    pub(super) inline: RefCell<super::inline::Scratch>,
}

impl Default for Walker {
    fn default() -> Self {
        Self::new()
    }
}

impl Walker {
    /// A walker without scratch memory.
    pub fn new() -> Self {
        Walker {
            stack: Vec::new(),
            marks: Vec::new(),
            junk: None,
            last_tuple: None,
            memo: Memo::default(),
            references: Vec::new(),
            skips: Vec::new(),
            elements: Default::default(),
            open: [Open { kind: Kind::Other, from: 0 }; LEVELS],
            containers: Default::default(),
            noted: 0,
            first_code: None,
            len: 0,
            is_clear: true,
            inline: Default::default(),
        }
    }

    /// Forgets the pickle, and gives back the memory that only a large one needed. Call it when a
    /// connection goes idle; [`walk`](Self::walk) begins with it.
    pub fn clear(&mut self) {
        if self.is_clear {
            return;
        }
        self.is_clear = true;
        reset(&mut self.stack);
        reset(&mut self.marks);
        self.junk = None;
        self.last_tuple = None;
        self.memo.clear();
        reset(&mut self.references);
        reset(&mut self.skips);
        self.elements.iter_mut().for_each(reset);
        self.containers.iter_mut().for_each(reset);
        self.noted = 0;
        self.first_code = None;
        self.len = 0;
        self.inline.get_mut().clear();
    }

    /// Walks one complete pickle of protocol 0 to 5 and returns the span of its object.
    ///
    /// Takes time and scratch memory in proportion to the length: next to nothing for large
    /// strings, and some 20 times the length for a pickle that is made of one-byte objects only.
    ///
    /// # Errors
    /// All but [`PickleError::Expansion`] and [`PickleError::ForeignSpan`]. Trailing bytes are an
    /// error, too, though Python's `pickle.loads` ignores them: a message is exactly one pickle.
    pub fn walk(&mut self, bytes: &[u8]) -> Result<Span, PickleError> {
        self.run(bytes, true)
    }

    /// Walks a payload's code, which has no STOP.
    pub(super) fn walk_code(&mut self, bytes: &[u8]) -> Result<Span, PickleError> {
        self.run(bytes, false)
    }

    pub(super) fn run(&mut self, bytes: &[u8], stop: bool) -> Result<Span, PickleError> {
        self.clear();
        self.is_clear = false;
        if u32::try_from(bytes.len()).is_err() {
            return Err(PickleError::TooLong { len: bytes.len() });
        }
        let mut reader = Reader::new(bytes, 0);
        let end = loop {
            match reader.next()? {
                Some(i) if i.byte == byte::STOP && stop => {
                    let count = bytes.len() - i.end;
                    if count > 0 {
                        return Err(PickleError::TrailingBytes { at: i.end, count });
                    }
                    break i.at;
                }
                Some(i) => self.step(bytes, &i)?,
                None if stop => return Err(PickleError::NoStop { at: bytes.len() }),
                None => break bytes.len(),
            }
        };
        if self.stack.len() != 1 || !self.marks.is_empty() {
            return Err(PickleError::Unfinished { at: end, pending: self.stack.len() });
        }
        let root = Span { start: self.stack[0].start, end: end as u32 };
        self.consume(0, end, None);
        self.len = bytes.len();
        self.inline.get_mut().allow(bytes.len());
        Ok(root)
    }

    #[inline(always)]
    fn step(&mut self, bytes: &[u8], i: &Instr<'_>) -> Result<(), PickleError> {
        if i.op.code && self.first_code.is_none() {
            self.note_code(i);
        }
        if self.noted >= MAX_NOTES {
            return Err(PickleError::TooManyParts { at: i.at });
        }
        match i.op.effect {
            Effect::Push(kind) => self.push(i, NOT_IN_MEMO, kind)?,
            Effect::Get => {
                let number = i.number()?;
                let Some(definition) = self.memo.get(number) else {
                    return Err(PickleError::NoSuchMemo { at: i.at, number });
                };
                if self.references.len() >= MAX_REFERENCES {
                    return Err(PickleError::TooManyParts { at: i.at });
                }
                self.references.push(Reference { at: i.at as u32, definition });
                self.push(i, definition, Kind::Other)?;
            }
            // The code that was thrown away goes to the next object, whatever stands between.
            Effect::Frame => self.skip(i)?,
            Effect::Proto => {
                if i.data[0] > 5 {
                    return Err(PickleError::UnknownProtocol { at: i.at, version: i.data[0] });
                }
                self.skip(i)?;
            }
            Effect::Mark => {
                self.marks.push(self.stack.len() as u32);
                self.push(i, MARK, Kind::Other)?;
            }
            Effect::Pop => {
                let index = self.stack.len().checked_sub(1).ok_or(underflow(i))?;
                if self.marks.last() == Some(&(index as u32)) {
                    self.marks.pop();
                }
                self.throw_away(index, bytes, i);
            }
            Effect::PopMark => {
                let junk = self.junk;
                let mark = self.pop_mark(i)?;
                self.junk = junk;
                self.throw_away(mark, bytes, i);
            }
            Effect::Stop => {
                return Err(PickleError::Refused {
                    at: i.at,
                    opcode: i.op.name,
                    why: "it ends a pickle, and this is the code of a payload",
                });
            }
            Effect::Refuse(reason) => {
                return Err(PickleError::Refused { at: i.at, opcode: i.op.name, why: reason.text() });
            }
            Effect::Memoize => self.put(i, None)?,
            Effect::Put => self.put(i, Some(i.number()?))?,
            Effect::Take(n, kind) => {
                let first = self.operands(n.into(), i)?;
                self.take(first, first, i, kind);
            }
            Effect::TakeMarked(least, kind) => {
                let mark = self.pop_mark(i)?;
                if self.stack.len() - mark <= usize::from(least) {
                    return Err(underflow(i));
                }
                self.take(mark, mark + 1, i, kind);
            }
            Effect::Add(n, kind) => {
                let container = self.operands(usize::from(n) + 1, i)?;
                self.add(container, container + 1, i, kind);
            }
            Effect::AddMarked(kind) => {
                let mark = self.pop_mark(i)?;
                if mark <= self.fence() {
                    return Err(underflow(i));
                }
                self.add(mark - 1, mark + 1, i, kind);
            }
        }
        Ok(())
    }

    fn skip(&mut self, i: &Instr<'_>) -> Result<(), PickleError> {
        if self.skips.len() >= MAX_NOTES {
            return Err(PickleError::TooManyParts { at: i.at });
        }
        self.skips.push(i.at as u32);
        Ok(())
    }

    #[inline]
    fn put(&mut self, i: &Instr<'_>, number: Option<u32>) -> Result<(), PickleError> {
        let top = self.operands(1, i)?;
        let Entry { start, memo } = self.stack[top];
        let known = (memo != NOT_IN_MEMO).then_some(memo);
        self.stack[top].memo = self.memo.put(number, known, i.at, start)?;
        if known.is_some() {
            self.skip(i)?;
        }
        Ok(())
    }

    fn note_code(&mut self, i: &Instr<'_>) {
        let mut names = None;
        if i.byte == byte::STACK_GLOBAL
            && let [.., module, name] = *self.stack
        {
            let (start, middle, end) = (module.start, name.start, i.at as u32);
            names = Some((Span { start, end: middle }, Span { start: middle, end }));
        }
        self.first_code = Some(FirstCode { at: i.at as u32, names });
    }
}

/// Empties scratch memory, and gives back what only a large message needed.
pub(super) fn reset<T>(scratch: &mut Vec<T>) {
    scratch.clear();
    if scratch.capacity() * size_of::<T>() > KEEP_BYTES {
        scratch.shrink_to(KEEP_BYTES / size_of::<T>());
    }
}
