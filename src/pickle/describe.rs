//! What a payload is, for messages and for the rule that it must not hold code.

use std::fmt;

use super::opcode::{Instr, Kind, Reader, byte};
use super::parts::Span;
use super::payload::Pickled;
use super::walk::Walker;

/// The first opcode of a payload that makes Python import or call something.
///
/// ```
/// use netq::pickle::Pickled;
///
/// let payload = Pickled::from_pickle(b"cos\nsystem\nX\x02\0\0\0ls\x85R.")?;
/// let code = payload.code().unwrap();
/// assert_eq!(code.to_string(), "GLOBAL os.system");
/// assert_eq!(Pickled::from_pickle(b"]K\x01a.")?.code(), None);
/// # Ok::<(), netq::pickle::PickleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The opcode's name.
    pub opcode: &'static str,
    /// What it imports, as `module.name`, where the code says so.
    pub global: Option<String>,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.global {
            Some(global) => write!(f, "{} {global}", self.opcode),
            None => f.write_str(self.opcode),
        }
    }
}

impl Pickled {
    /// The first opcode that makes whoever loads the payload import or call something: one of
    /// GLOBAL, STACK_GLOBAL, REDUCE, NEWOBJ, NEWOBJ_EX, BUILD, INST, OBJ, EXT1, EXT2 and EXT4.
    /// A payload without any is plain data: whoever loads it runs nothing. It may still be made to keep Python busy (a
    /// tuple of two references to a tuple of two references, and so on, as a key: it takes 2^60 hashes) or to exhaust
    /// its stack (tuples nested a million deep).
    ///
    /// The payload is walked for it.
    // Inlined, its walker would be part of the frame of whatever handles a put.
    #[inline(never)]
    pub fn code(&self) -> Option<Code> {
        let bytes = self.as_bytes();
        let mut walker = Walker::new();
        // It has been walked before.
        walker.walk_code(bytes).ok()?;
        let first = walker.first_code?;
        let i = Reader::new(bytes, first.at as usize).next().ok()??;
        let global = match first.names {
            Some((module, name)) => walker
                .text(bytes, module)
                .zip(walker.text(bytes, name))
                .map(|(module, name)| format!("{module}.{name}")),
            None => i.two_lines().map(|(module, name)| format!("{module}.{name}")),
        };
        Some(Code { opcode: i.op.name, global })
    }

    /// The name of the object's type: `str`, `list`, or of an instance what makes it, which is
    /// its class in most cases: `datetime.datetime`, `collections.OrderedDict`. Python's builtins
    /// come without a module.
    ///
    /// The payload is walked for it.
    ///
    /// ```
    /// use netq::pickle::{Pickled, Value};
    ///
    /// assert_eq!(Value::from((1, 2)).to_pickled().type_name(), "tuple");
    /// let payload = Pickled::from_pickle(b"cdecimal\nDecimal\nX\x01\0\0\x007\x85R.")?;
    /// assert_eq!(payload.type_name(), "decimal.Decimal");
    /// # Ok::<(), netq::pickle::PickleError>(())
    /// ```
    pub fn type_name(&self) -> String {
        let bytes = self.as_bytes();
        let mut walker = Walker::new();
        walker
            .walk_code(bytes)
            .ok()
            .and_then(|root| type_name(&walker, bytes, root))
            .unwrap_or_else(|| "object".to_owned())
    }
}

fn type_name(walker: &Walker, bytes: &[u8], root: Span) -> Option<String> {
    if let Some(i) = walker.atom(bytes, root) {
        return atom(&i).map(str::to_owned);
    }
    let (kind, parts) = match walker.elements(bytes, root) {
        Some(found) => found,
        None => return last_made(bytes, walker.resolve(bytes, root)),
    };
    let name = match kind {
        Kind::Tuple => "tuple",
        Kind::List => "list",
        Kind::Dict => "dict",
        Kind::Set => "set",
        Kind::FrozenSet => "frozenset",
        Kind::Global | Kind::Other => return None,
        Kind::Instance | Kind::InstanceEx => {
            let (module, name) = global(walker, bytes, *parts.first()?)?;
            // Old protocols make any object by a function that gets the class.
            if let ("copyreg" | "copy_reg", "_reconstructor") = (module, name) {
                let (_, arguments) = walker.elements(bytes, *parts.get(1)?)?;
                let (module, name) = global(walker, bytes, *arguments.first()?)?;
                return Some(qualified(module, name));
            }
            return Some(qualified(module, name));
        }
    };
    Some(name.to_owned())
}

/// Module and name of the global at `span`.
pub(super) fn global<'a>(walker: &Walker, bytes: &'a [u8], span: Span) -> Option<(&'a str, &'a str)> {
    if let Some(i) = walker.atom(bytes, span) {
        return (i.byte == byte::GLOBAL).then(|| std::str::from_utf8(i.data).ok()?.split_once('\n'))?;
    }
    match walker.elements(bytes, span)? {
        (Kind::Global, &[module, name]) => Some((walker.text(bytes, module)?, walker.text(bytes, name)?)),
        _ => None,
    }
}

fn qualified(module: &str, name: &str) -> String {
    match module {
        "builtins" | "__builtin__" => name.to_owned(),
        _ => format!("{module}.{name}"),
    }
}

/// What the last opcode makes, not counting those of the memo. This is for objects that hold
/// themselves: they are a reference to something far up the stack.
fn last_made(bytes: &[u8], span: Span) -> Option<String> {
    let mut reader = Reader::new(&bytes[..span.range().end], span.range().start);
    let mut last = None;
    while let Ok(Some(i)) = reader.next() {
        if !i.op.effect.only_files() {
            last = Some(i);
        }
    }
    let last = last?;
    Some(match last.byte {
        byte::TUPLE | byte::TUPLE1 | byte::TUPLE2 | byte::TUPLE3 => "tuple".to_owned(),
        byte::FROZENSET => "frozenset".to_owned(),
        byte::INST => {
            let (module, name) = last.two_lines()?;
            qualified(module, name)
        }
        _ => return None,
    })
}

fn atom(i: &Instr<'_>) -> Option<&'static str> {
    Some(match i.byte {
        byte::NONE => "NoneType",
        byte::NEWTRUE | byte::NEWFALSE => "bool",
        byte::INT if matches!(i.data, b"00" | b"01") => "bool",
        byte::INT | byte::BININT | byte::BININT1 | byte::BININT2 => "int",
        byte::LONG | byte::LONG1 | byte::LONG4 => "int",
        byte::FLOAT | byte::BINFLOAT => "float",
        byte::SHORT_BINUNICODE | byte::BINUNICODE | byte::BINUNICODE8 | byte::UNICODE => "str",
        byte::STRING | byte::BINSTRING | byte::SHORT_BINSTRING => "str",
        byte::SHORT_BINBYTES | byte::BINBYTES | byte::BINBYTES8 => "bytes",
        byte::BYTEARRAY8 => "bytearray",
        byte::EMPTY_TUPLE => "tuple",
        byte::EMPTY_LIST => "list",
        byte::EMPTY_DICT => "dict",
        byte::EMPTY_SET => "set",
        _ => return None,
    })
}
