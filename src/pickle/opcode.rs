//! The opcodes: one table with each opcode's name, the shape of its argument and its effect on
//! the stack, and a [`Reader`] that steps from opcode to opcode.
//!
//! Everything that reads pickle code goes through the reader, so that this is the one place that
//! checks an announced length against the data. The facts are those of CPython's
//! `pickletools.opcodes`.

use super::error::PickleError;

/// How an opcode's argument is delimited.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arg {
    /// This many bytes (0: no argument).
    Fixed(u8),
    /// A little-endian length of this many bytes (1, 4 or 8), then as many bytes as it says.
    Counted(u8),
    /// Text up to a newline.
    Line,
    /// Two lines: a module and a name.
    TwoLines,
}

/// What an opcode makes: enough to know what the parts of an object are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tuple; its elements are its items.
    Tuple,
    /// A list; its elements are its items.
    List,
    /// A dict; its elements are keys and values by turns.
    Dict,
    /// A set; its elements are its items.
    Set,
    /// A frozenset; its elements are its items.
    FrozenSet,
    /// A global named by two strings: the module and the qualified name.
    Global,
    /// An instance: a callable, a tuple of arguments and, when there is one, a state.
    Instance,
    /// Like `Instance`, with keyword arguments after the positional ones.
    InstanceEx,
    /// Anything else. Its elements are not recorded.
    Other,
}

/// What an opcode does to the stack.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// Pushes a new object.
    Push(Kind),
    /// Pushes a mark.
    Mark,
    /// Replaces the top n objects by one.
    Take(u8, Kind),
    /// Replaces the last mark and all objects above it, at least n, by one.
    TakeMarked(u8, Kind),
    /// Puts the top n objects into the object below them, which is expected to be of that kind.
    Add(u8, Kind),
    /// Puts all objects above the last mark into the object below the mark.
    AddMarked(Kind),
    /// Pushes what the memo has under a number.
    Get,
    /// Files the top object in the memo under a number.
    Put,
    /// Files the top object in the memo under the next number.
    Memoize,
    /// Throws the top object (or mark) away.
    Pop,
    /// Throws the last mark and all above it away.
    PopMark,
    /// Announces the protocol.
    Proto,
    /// Announces how many bytes follow: means nothing once the message is in memory.
    Frame,
    /// Ends the pickle.
    Stop,
    /// Is not accepted, for this reason.
    Refuse(Reason),
}

impl Effect {
    /// Whether it leaves the objects on the stack as they are.
    pub fn only_files(self) -> bool {
        matches!(self, Effect::Put | Effect::Memoize | Effect::Frame | Effect::Proto)
    }
}

/// Why an opcode that exists is not accepted. Not its text, which would make each line of the table twice as long.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    Persistent,
    OutOfBand,
    NoPickler,
}

impl Reason {
    pub fn text(self) -> &'static str {
        match self {
            Self::Persistent => "a persistent id means nothing outside the program that wrote it",
            Self::OutOfBand => "its data is out of band, in a buffer that is not here",
            Self::NoPickler => "no pickler writes it",
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    /// The name that CPython's `pickletools` gives it.
    pub name: &'static str,
    /// The shape of its argument.
    pub arg: Arg,
    /// What it does to the stack.
    pub effect: Effect,
    /// Whether whoever loads it may run code: imports a module or calls something.
    pub code: bool,
}

const fn op(name: &'static str, arg: Arg, effect: Effect) -> Option<Op> {
    Some(Op { name, arg, effect, code: false })
}

const fn code(name: &'static str, arg: Arg, effect: Effect) -> Option<Op> {
    Some(Op { name, arg, effect, code: true })
}

/// The opcodes that other modules write or look for.
pub(super) mod byte {
    pub const MARK: u8 = b'(';
    pub const STOP: u8 = b'.';
    pub const POP: u8 = b'0';
    pub const NONE: u8 = b'N';
    pub const INT: u8 = b'I';
    pub const BININT: u8 = b'J';
    pub const BININT1: u8 = b'K';
    pub const BININT2: u8 = b'M';
    pub const LONG: u8 = b'L';
    pub const LONG1: u8 = 0x8a;
    pub const LONG4: u8 = 0x8b;
    pub const FLOAT: u8 = b'F';
    pub const BINFLOAT: u8 = b'G';
    pub const NEWTRUE: u8 = 0x88;
    pub const NEWFALSE: u8 = 0x89;
    pub const STRING: u8 = b'S';
    pub const BINSTRING: u8 = b'T';
    pub const SHORT_BINSTRING: u8 = b'U';
    pub const UNICODE: u8 = b'V';
    pub const BINUNICODE: u8 = b'X';
    pub const SHORT_BINUNICODE: u8 = 0x8c;
    pub const BINUNICODE8: u8 = 0x8d;
    pub const BINBYTES: u8 = b'B';
    pub const SHORT_BINBYTES: u8 = b'C';
    pub const BINBYTES8: u8 = 0x8e;
    pub const BYTEARRAY8: u8 = 0x96;
    pub const EMPTY_TUPLE: u8 = b')';
    pub const TUPLE: u8 = b't';
    pub const TUPLE1: u8 = 0x85;
    pub const TUPLE2: u8 = 0x86;
    pub const TUPLE3: u8 = 0x87;
    pub const EMPTY_LIST: u8 = b']';
    pub const APPEND: u8 = b'a';
    pub const APPENDS: u8 = b'e';
    pub const EMPTY_DICT: u8 = b'}';
    pub const SETITEM: u8 = b's';
    pub const SETITEMS: u8 = b'u';
    pub const EMPTY_SET: u8 = 0x8f;
    pub const ADDITEMS: u8 = 0x90;
    pub const FROZENSET: u8 = 0x91;
    pub const GLOBAL: u8 = b'c';
    pub const STACK_GLOBAL: u8 = 0x93;
    pub const INST: u8 = b'i';
    pub const REDUCE: u8 = b'R';
    pub const BINGET: u8 = b'h';
    pub const LONG_BINGET: u8 = b'j';
    pub const MEMOIZE: u8 = 0x94;
    pub const PROTO: u8 = 0x80;
}

/// Behind the last opcode.
const END: usize = 0x99;

/// Indexed by the opcode's byte.
static TABLE: [Option<Op>; END] = table();

const fn table() -> [Option<Op>; END] {
    use Arg::{Counted, Fixed, Line, TwoLines};
    use Effect::*;
    use Kind::*;
    const NO: Arg = Fixed(0);

    let mut t: [Option<Op>; END] = [None; END];
    // Constants and numbers.
    t[b'N' as usize] = op("NONE", NO, Push(Other));
    t[0x88] = op("NEWTRUE", NO, Push(Other));
    t[0x89] = op("NEWFALSE", NO, Push(Other));
    t[b'I' as usize] = op("INT", Line, Push(Other));
    t[b'J' as usize] = op("BININT", Fixed(4), Push(Other));
    t[b'K' as usize] = op("BININT1", Fixed(1), Push(Other));
    t[b'M' as usize] = op("BININT2", Fixed(2), Push(Other));
    t[b'L' as usize] = op("LONG", Line, Push(Other));
    t[0x8a] = op("LONG1", Counted(1), Push(Other));
    t[0x8b] = op("LONG4", Counted(4), Push(Other));
    t[b'F' as usize] = op("FLOAT", Line, Push(Other));
    t[b'G' as usize] = op("BINFLOAT", Fixed(8), Push(Other));
    // Text and bytes.
    t[b'S' as usize] = op("STRING", Line, Push(Other));
    t[b'T' as usize] = op("BINSTRING", Counted(4), Push(Other));
    t[b'U' as usize] = op("SHORT_BINSTRING", Counted(1), Push(Other));
    t[b'V' as usize] = op("UNICODE", Line, Push(Other));
    t[b'X' as usize] = op("BINUNICODE", Counted(4), Push(Other));
    t[0x8c] = op("SHORT_BINUNICODE", Counted(1), Push(Other));
    t[0x8d] = op("BINUNICODE8", Counted(8), Push(Other));
    t[b'B' as usize] = op("BINBYTES", Counted(4), Push(Other));
    t[b'C' as usize] = op("SHORT_BINBYTES", Counted(1), Push(Other));
    t[0x8e] = op("BINBYTES8", Counted(8), Push(Other));
    t[0x96] = op("BYTEARRAY8", Counted(8), Push(Other));
    // Containers.
    t[b'(' as usize] = op("MARK", NO, Mark);
    t[b')' as usize] = op("EMPTY_TUPLE", NO, Push(Tuple));
    t[b't' as usize] = op("TUPLE", NO, TakeMarked(0, Tuple));
    t[0x85] = op("TUPLE1", NO, Take(1, Tuple));
    t[0x86] = op("TUPLE2", NO, Take(2, Tuple));
    t[0x87] = op("TUPLE3", NO, Take(3, Tuple));
    t[b']' as usize] = op("EMPTY_LIST", NO, Push(List));
    t[b'l' as usize] = op("LIST", NO, TakeMarked(0, List));
    t[b'a' as usize] = op("APPEND", NO, Add(1, List));
    t[b'e' as usize] = op("APPENDS", NO, AddMarked(List));
    t[b'}' as usize] = op("EMPTY_DICT", NO, Push(Dict));
    t[b'd' as usize] = op("DICT", NO, TakeMarked(0, Dict));
    t[b's' as usize] = op("SETITEM", NO, Add(2, Dict));
    t[b'u' as usize] = op("SETITEMS", NO, AddMarked(Dict));
    t[0x8f] = op("EMPTY_SET", NO, Push(Set));
    t[0x90] = op("ADDITEMS", NO, AddMarked(Set));
    t[0x91] = op("FROZENSET", NO, TakeMarked(0, FrozenSet));
    // Globals and instances.
    t[b'c' as usize] = code("GLOBAL", TwoLines, Push(Other));
    t[0x93] = code("STACK_GLOBAL", NO, Take(2, Global));
    t[b'i' as usize] = code("INST", TwoLines, TakeMarked(0, Other));
    t[b'o' as usize] = code("OBJ", NO, TakeMarked(1, Other));
    t[b'R' as usize] = code("REDUCE", NO, Take(2, Instance));
    t[0x81] = code("NEWOBJ", NO, Take(2, Instance));
    t[0x92] = code("NEWOBJ_EX", NO, Take(3, InstanceEx));
    t[b'b' as usize] = code("BUILD", NO, Add(1, Instance));
    t[0x82] = code("EXT1", Fixed(1), Push(Other));
    t[0x83] = code("EXT2", Fixed(2), Push(Other));
    t[0x84] = code("EXT4", Fixed(4), Push(Other));
    // The memo.
    t[b'g' as usize] = op("GET", Line, Get);
    t[b'h' as usize] = op("BINGET", Fixed(1), Get);
    t[b'j' as usize] = op("LONG_BINGET", Fixed(4), Get);
    t[b'p' as usize] = op("PUT", Line, Put);
    t[b'q' as usize] = op("BINPUT", Fixed(1), Put);
    t[b'r' as usize] = op("LONG_BINPUT", Fixed(4), Put);
    t[0x94] = op("MEMOIZE", NO, Memoize);
    // The stack and the stream.
    t[b'0' as usize] = op("POP", NO, Pop);
    t[b'1' as usize] = op("POP_MARK", NO, PopMark);
    t[b'.' as usize] = op("STOP", NO, Stop);
    t[0x80] = op("PROTO", Fixed(1), Proto);
    t[0x95] = op("FRAME", Fixed(8), Frame);
    // Not for us.
    t[b'2' as usize] = op("DUP", NO, Refuse(Reason::NoPickler));
    t[b'P' as usize] = op("PERSID", Line, Refuse(Reason::Persistent));
    t[b'Q' as usize] = op("BINPERSID", NO, Refuse(Reason::Persistent));
    t[0x97] = op("NEXT_BUFFER", NO, Refuse(Reason::OutOfBand));
    t[0x98] = op("READONLY_BUFFER", NO, Refuse(Reason::OutOfBand));
    t
}

/// One opcode as it was found in the code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instr<'a> {
    /// The offset of the opcode's byte.
    pub at: usize,
    /// The offset behind its argument.
    pub end: usize,
    /// The opcode's byte.
    pub byte: u8,
    /// Its line of the table.
    pub op: &'static Op,
    /// Its argument, without the length or the last newline.
    pub data: &'a [u8],
}

impl Instr<'_> {
    /// The memo number of a GET or PUT, of whatever width.
    #[inline]
    pub fn number(&self) -> Result<u32, PickleError> {
        let text = match *self.data {
            [a] if self.byte == byte::BINGET || self.byte == b'q' => return Ok(a.into()),
            [a, b, c, d] if self.byte == byte::LONG_BINGET || self.byte == b'r' => {
                return Ok(u32::from_le_bytes([a, b, c, d]));
            }
            _ => std::str::from_utf8(self.data).ok(),
        };
        text.and_then(|t| t.trim_ascii().parse().ok())
            .ok_or(PickleError::BadArgument { at: self.at, opcode: self.op.name })
    }

    /// The module and the name of a GLOBAL or INST.
    pub fn two_lines(&self) -> Option<(&str, &str)> {
        std::str::from_utf8(self.data).ok()?.split_once('\n')
    }
}

/// Steps through pickle code, one opcode at a time.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from offset `pos` on.
    pub fn new(bytes: &'a [u8], pos: usize) -> Self {
        Reader { bytes, pos }
    }

    /// The next opcode with its argument; `None` at the end of the bytes.
    // Always inlined: otherwise each opcode goes through memory on its way to the walker, and a
    // walk takes twice as long.
    #[inline(always)]
    pub fn next(&mut self) -> Result<Option<Instr<'a>>, PickleError> {
        let at = self.pos;
        let Some(&byte) = self.bytes.get(at) else {
            return Ok(None);
        };
        let Some(Some(op)) = TABLE.get(usize::from(byte)) else {
            return Err(PickleError::UnknownOpcode { at, byte });
        };
        let rest = &self.bytes[at + 1..];
        let data = match op.arg {
            Arg::Fixed(n) => rest.get(..n.into()),
            Arg::Counted(width) => counted(rest, width),
            Arg::Line => newline(rest).map(|n| &rest[..n]),
            Arg::TwoLines => newline(rest)
                .and_then(|first| Some(first + 1 + newline(&rest[first + 1..])?))
                .map(|n| &rest[..n]),
        };
        let Some(data) = data else {
            return Err(PickleError::Truncated { at, opcode: op.name });
        };
        let end = at
            + 1
            + data.len()
            + match op.arg {
                Arg::Fixed(_) => 0,
                Arg::Counted(width) => usize::from(width),
                Arg::Line | Arg::TwoLines => 1,
            };
        self.pos = end;
        Ok(Some(Instr { at, end, byte, op, data }))
    }
}

/// The data behind a little-endian length of 1, 4 or 8 bytes, when it is all there.
#[inline(always)]
fn counted(rest: &[u8], width: u8) -> Option<&[u8]> {
    let (len, data) = match width {
        1 => rest.split_first().map(|(&len, data)| (len.into(), data))?,
        4 => (rest.split_first_chunk()).map(|(&len, data)| (u32::from_le_bytes(len).into(), data))?,
        _ => (rest.split_first_chunk()).map(|(&len, data)| (u64::from_le_bytes(len), data))?,
    };
    // A length beyond the address space is beyond the data, too.
    data.get(..usize::try_from(len).ok()?)
}

fn newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&b| b == b'\n')
}
