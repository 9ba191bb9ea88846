//! What can be wrong with a pickle, said with the offset and the opcode's name.

use std::fmt;

/// Why a pickle was not accepted.
///
/// Offsets count bytes from the start of the pickle that was read.
///
/// ```
/// use netq::pickle::Pickled;
///
/// let error = Pickled::from_pickle(b"\x80\x04K").unwrap_err();
/// assert_eq!(error.to_string(), "the pickle is cut off in BININT1 at offset 2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PickleError {
    /// The data ends inside the argument of an opcode.
    Truncated {
        /// Where the opcode is.
        at: usize,
        /// The opcode's name.
        opcode: &'static str,
    },
    /// The data ends before `STOP`.
    NoStop {
        /// Where the data ends.
        at: usize,
    },
    /// The byte is no opcode.
    UnknownOpcode {
        /// Where the byte is.
        at: usize,
        /// The byte.
        byte: u8,
    },
    /// The opcode exists and is not accepted here.
    Refused {
        /// Where the opcode is.
        at: usize,
        /// The opcode's name.
        opcode: &'static str,
        /// Why it is refused.
        why: &'static str,
    },
    /// `PROTO` announces a protocol newer than 5.
    UnknownProtocol {
        /// Where the opcode is.
        at: usize,
        /// The version it announces.
        version: u8,
    },
    /// The opcode needs more objects than are on the stack above the last mark, or needs a mark
    /// and there is none.
    Underflow {
        /// Where the opcode is.
        at: usize,
        /// The opcode's name.
        opcode: &'static str,
    },
    /// The argument of an opcode cannot be read (a number that is none).
    BadArgument {
        /// Where the opcode is.
        at: usize,
        /// The opcode's name.
        opcode: &'static str,
    },
    /// A `GET` names a memo entry that nothing defined.
    NoSuchMemo {
        /// Where the opcode is.
        at: usize,
        /// The number it names.
        number: u32,
    },
    /// More objects wait on the stack than [`MAX_PENDING`](super::MAX_PENDING).
    TooManyPending {
        /// Where the one too many is.
        at: usize,
    },
    /// More objects are memoized than [`MAX_MEMO`](super::MAX_MEMO), or a million and not in order.
    TooManyMemos {
        /// Where the one too many is.
        at: usize,
    },
    /// The pickle has more references, small containers or empty opcodes than any pickler writes.
    TooManyParts {
        /// Where the one too many is.
        at: usize,
    },
    /// The pickle is longer than 4 GiB - 1, the range of the offsets.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// At `STOP` more than the one result is on the stack.
    Unfinished {
        /// Where `STOP` is.
        at: usize,
        /// How many objects and marks are on the stack.
        pending: usize,
    },
    /// Bytes follow `STOP`.
    TrailingBytes {
        /// Where they start.
        at: usize,
        /// How many there are.
        count: usize,
    },
    /// Taking payloads out of the message would copy its shared objects too often: see
    /// [`MAX_EXPANSION`](super::MAX_EXPANSION).
    Expansion {
        /// How many bytes the copies may have in all.
        limit: usize,
    },
    /// The span does not belong to the pickle that was walked last.
    ForeignSpan,
}

impl fmt::Display for PickleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { at, opcode } => {
                write!(f, "the pickle is cut off in {opcode} at offset {at}")
            }
            Self::NoStop { at } => write!(f, "the pickle ends at offset {at} without STOP"),
            Self::UnknownOpcode { at, byte } => {
                write!(f, "unknown opcode 0x{byte:02x} at offset {at}")
            }
            Self::Refused { at, opcode, why } => {
                write!(f, "opcode {opcode} at offset {at} is refused: {why}")
            }
            Self::UnknownProtocol { at, version } => {
                write!(f, "pickle protocol {version} at offset {at} is unknown (0 to 5 are known)")
            }
            Self::Underflow { at, opcode } => {
                write!(f, "{opcode} at offset {at} finds too little on the stack")
            }
            Self::BadArgument { at, opcode } => {
                write!(f, "{opcode} at offset {at} has an argument that cannot be read")
            }
            Self::NoSuchMemo { at, number } => {
                write!(f, "memo entry {number}, wanted at offset {at}, is not defined")
            }
            Self::TooManyPending { at } => {
                write!(f, "more than {} objects are pending on the stack at offset {at}", super::MAX_PENDING)
            }
            Self::TooManyMemos { at } => {
                write!(
                    f,
                    "too many objects are memoized at offset {at} ({} at most, in order)",
                    super::MAX_MEMO
                )
            }
            Self::TooManyParts { at } => {
                write!(f, "the pickle has too many references or tiny parts, at offset {at}")
            }
            Self::TooLong { len } => {
                write!(f, "a pickle of {len} bytes is too long ({} at most)", u32::MAX)
            }
            Self::Unfinished { at, pending } => {
                write!(f, "STOP at offset {at} finds {pending} objects on the stack, not one")
            }
            Self::TrailingBytes { at, count } => {
                write!(f, "{count} bytes follow the pickle's STOP, from offset {at}")
            }
            Self::Expansion { limit } => {
                write!(f, "the message's shared objects would be copied to more than {limit} bytes")
            }
            Self::ForeignSpan => f.write_str("the span is not one of the pickle that was walked"),
        }
    }
}

impl std::error::Error for PickleError {}
