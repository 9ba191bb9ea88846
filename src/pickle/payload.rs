//! [`Pickled`]: one Python object as pickle code that stands on its own.

use std::fmt;
use std::sync::Arc;

use super::error::PickleError;
use super::extract::{KEEP_BUFFER, get};
use super::opcode::{Reader, byte};
use super::walk::Walker;
use crate::memory::Buffer;

/// A Python object as it was pickled: opaque, and passed on as it came.
///
/// The code is in a normal form, which is the same for pickle protocols 0 to 5 as far as the
/// objects are: no PROTO, FRAME and STOP, and the memo entries are numbered in the order in which
/// they are defined (by MEMOIZE). So payloads can be put together into one pickle.
///
/// Equality is that of the code: equal payloads are equal objects, but not the other way round. A clone shares
/// the code: it costs next to nothing, however large the object is.
///
/// ```
/// use netq::pickle::{Pickled, Value};
///
/// let payload = Pickled::from_pickle(b"\x80\x03]q\x00K\x01a.")?; // pickle.dumps([1], 3)
/// assert_eq!(payload.as_bytes(), b"]\x94K\x01a");
/// assert_eq!(payload.to_pickle(), b"\x80\x04]\x94K\x01a.");
/// assert_eq!(payload.decode(), Value::List(vec![Value::Int(1)]));
/// # Ok::<(), netq::pickle::PickleError>(())
/// ```
#[derive(Clone)]
pub struct Pickled {
    /// The code, and before and behind it what remains of the message that it came in. Shared, because an item
    /// that is being sent to a client is kept for the case that the client never reads it.
    buffer: Arc<Buffer>,
    before: u32,
    behind: u32,
    memos: u32,
    refers: bool,
}

impl Pickled {
    /// Code in normal form, with the number of its memo entries and whether it refers to them.
    pub(super) fn new(code: Vec<u8>, memos: u32, refers: bool) -> Self {
        Self::within(code.into(), (0, 0), memos, refers)
    }

    /// Likewise, in a buffer that has so many more bytes before and behind it.
    pub(super) fn within(buffer: Buffer, (before, behind): (u32, u32), memos: u32, refers: bool) -> Self {
        Pickled { buffer: Arc::new(buffer), before, behind, memos, refers }
    }

    /// Takes a complete pickle, of any protocol from 0 to 5.
    ///
    /// # Errors
    /// When it is no complete pickle, or holds what cannot be passed on: see [`PickleError`].
    pub fn from_pickle(pickle: &[u8]) -> Result<Self, PickleError> {
        Self::read(pickle, true)
    }

    /// Likewise; or takes code that has no STOP, and is not in normal form.
    pub(super) fn read(bytes: &[u8], stop: bool) -> Result<Self, PickleError> {
        let mut walker = Walker::new();
        let root = walker.run(bytes, stop)?;
        walker.extract(bytes, root)
    }

    /// The code, without PROTO and STOP.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.before as usize..self.buffer.len() - self.behind as usize]
    }

    /// The number of bytes of code.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Never true: each object has code. (Here because `len` is.)
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// How much memory it occupies, in bytes, itself included.
    pub fn memory(&self) -> usize {
        self.len() + size_of::<Self>()
    }

    /// Appends it to others that a queue keeps side by side, behind `ahead` of them. The largest say no, and keep
    /// the memory that they came in.
    pub(crate) fn pack(&self, ahead: usize, bytes: &mut Vec<u8>) -> bool {
        // A copy of less than that costs little beside the system calls that move it. A larger one is worth it
        // where many wait; the largest have mapped memory of their own, which goes back whole.
        let most = if ahead < 16 { KEEP_BUFFER } else { 128 * 1024 };
        if self.len() >= most {
            return false;
        }
        bytes.extend(self.head());
        bytes.extend(self.as_bytes());
        true
    }

    /// The length of what [`pack`](Self::pack) writes before the code.
    #[cfg(feature = "journal")]
    pub(crate) const HEAD: usize = 5;

    /// What [`pack`](Self::pack) writes before the code.
    pub(crate) fn head(&self) -> [u8; 5] {
        let [a, b, c, d] = self.memos.to_le_bytes();
        [a, b, c, d, self.refers.into()]
    }

    /// What [`pack`](Self::pack) has written.
    pub(crate) fn unpack(bytes: &[u8]) -> Self {
        let (memos, rest) = bytes.split_first_chunk().unwrap_or((&[0; 4], &[]));
        let (refers, code) = rest.split_first().unwrap_or((&0, &[]));
        Self::new(code.to_vec(), u32::from_le_bytes(*memos), *refers != 0)
    }

    /// The elements of a list or a tuple, each as a payload of its own; `None` for other objects.
    ///
    /// ```
    /// use netq::pickle::{Pickled, Value};
    ///
    /// let list = Pickled::from(Value::from(vec![Value::from(1), Value::from("a")]));
    /// let elements: Vec<Value> = list.elements().unwrap().iter().map(Pickled::decode).collect();
    /// assert_eq!(elements, [1.into(), "a".into()]);
    /// ```
    pub fn elements(&self) -> Option<Vec<Pickled>> {
        let mut walker = Walker::new();
        let root = walker.walk_code(self.as_bytes()).ok()?;
        let elements = walker.sequence(self.as_bytes(), root)?;
        elements.iter().map(|&element| walker.extract(self.as_bytes(), element).ok()).collect()
    }

    /// The complete pickle, for Python's `pickle.loads`. It is one of protocol 4, whichever the
    /// object came in; BYTEARRAY8 alone is younger, and Python 3.8 and later take it there.
    /// Protocols 0 to 2 name classes as Python 2 did (`__builtin__.set`), and such names are not
    /// translated: `multiprocessing` writes protocol 3 and later.
    pub fn to_pickle(&self) -> Vec<u8> {
        let mut pickle = Vec::with_capacity(self.len() + 3);
        pickle.extend_from_slice(&[byte::PROTO, 4]);
        pickle.extend_from_slice(self.as_bytes());
        pickle.push(byte::STOP);
        pickle
    }

    /// Appends the code to a pickle that has `memo_base` memo entries before it, and returns how
    /// many it adds.
    ///
    /// ```
    /// use netq::pickle::{Pickled, Value};
    ///
    /// let payload = Pickled::from_pickle(b"\x80\x04]\x94h\0a.")?; // holds itself
    /// let mut list = b"(".to_vec();
    /// let mut memo = 0;
    /// for _ in 0..2 {
    ///     memo += payload.append_to(&mut list, memo);
    /// }
    /// assert_eq!(list, b"(]\x94h\0a]\x94h\x01a");
    /// # Ok::<(), netq::pickle::PickleError>(())
    /// ```
    pub fn append_to(&self, out: &mut Vec<u8>, memo_base: usize) -> usize {
        let code = self.as_bytes();
        if memo_base == 0 || !self.refers {
            out.extend_from_slice(code);
            return self.memos as usize;
        }
        // Each memo entry is a byte of code at least: there cannot be 2^32 of them in practice.
        let base = u32::try_from(memo_base).unwrap_or(u32::MAX);
        let mut copied = 0;
        let mut reader = Reader::new(code, 0);
        while let Ok(Some(i)) = reader.next() {
            if let (byte::BINGET | byte::LONG_BINGET, Ok(number)) = (i.byte, i.number()) {
                out.extend_from_slice(&code[copied..i.at]);
                out.extend_from_slice(get(&mut [0; 5], number.saturating_add(base)));
                copied = i.end;
            }
        }
        out.extend_from_slice(&code[copied..]);
        self.memos as usize
    }

    /// Whether the code refers to its memo entries.
    pub(super) fn refers(&self) -> bool {
        self.refers
    }
}

impl PartialEq for Pickled {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Pickled {}

impl fmt::Debug for Pickled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payloads may be large and their content private: a log gets what it is and how long.
        write!(f, "Pickled({}, {} bytes)", self.type_name(), self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_keeps_no_more_of_its_message_than_it_has_code() {
        // A bytes object of 20,000 bytes in a list, behind so many FRAMEs, which payloads drop.
        for frames in [0, 100, 100_000] {
            let mut message = b"\x80\x04](".to_vec();
            message.extend(b"\x95\0\0\0\0\0\0\0\0".repeat(frames));
            message.extend(b"B\x20\x4e\0\0");
            message.extend([b'x'; 20_000]);
            message.extend(b"e.");
            let mut walker = Walker::new();
            let root = walker.walk(&message).unwrap();
            let payload = walker.extract_owned(message.into(), 0, root).unwrap();
            assert_eq!(payload.len(), 20_008);
            let kept = payload.buffer.capacity();
            assert!(kept <= 2 * 20_008, "{kept} bytes for {frames} frames");
        }
    }
}
