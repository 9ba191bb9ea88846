//! From pickle code to [`Value`], for payloads that hold nothing but basic types.
//!
//! There is no memo of values: where the code refers to an object, the code that defines it is
//! read once more. So a list that was memoized empty and filled later comes out filled, and what
//! nobody refers to costs nothing. How much is read again is bounded, as two references to two
//! references to ... grow without end.

use super::bigint::BigInt;
use super::opcode::{Instr, Reader, byte};
use super::payload::Pickled;
use super::value::Value;
use super::walk::Walker;

/// Deeper values stay opaque: they are freed by recursion, in threads with small stacks.
pub(super) const MAX_DEPTH: u8 = 64;

/// How many bytes of code may be read again for references. Each byte makes one [`Value`] at the
/// most: 128 MiB.
const MAX_AGAIN: usize = 4 << 20;

/// The same for arguments that are expected to be small, and the longest code of one that is: a hub decodes
/// them before it knows whether they are what it asks for, and each byte may take 70 of memory.
const SMALL: usize = 64 << 10;

impl Pickled {
    /// The object as a [`Value`]. Of a container, what is no basic type is an opaque part. It can be put again; if it
    /// shares an object with another part, each then has one of its own. (Without the feature `objects`, a container is
    /// opaque when a part is.)
    ///
    /// Opaque as a whole is what holds itself, is nested more than 64 levels deep (or 16, with an opaque part), or is
    /// much larger as a tree than with its shared references.
    ///
    /// ```
    /// use netq::pickle::{Pickled, Value};
    ///
    /// let decode = |pickle| Pickled::from_pickle(pickle).unwrap().decode();
    /// assert_eq!(decode(b"\x80\x04\x8c\x01a\x94h\0\x86."), Value::from(("a", "a")));
    /// let job = decode(b"(dVday\ncdatetime\ndate\n(K\x01K\x01K\x01tRsVurl\nVa\ns.");
    /// # #[cfg(feature = "objects")]
    /// assert_eq!(job.to_string(), "{'day': <datetime.date>, 'url': 'a'}");
    /// ```
    pub fn decode(&self) -> Value {
        self.value(MAX_AGAIN).unwrap_or_else(|| Value::Opaque(self.clone()))
    }

    /// As [`decode`](Self::decode), but what is not small stays opaque.
    pub(super) fn decode_small(self) -> Value {
        let value = if self.len() > SMALL { None } else { self.value(SMALL) };
        value.unwrap_or(Value::Opaque(self))
    }

    /// As [`decode`](Self::decode), for who has no more use for the payload: what stays opaque is not copied.
    pub(crate) fn into_value(self) -> Value {
        self.value(MAX_AGAIN).unwrap_or(Value::Opaque(self))
    }

    fn value(&self, allowance: usize) -> Option<Value> {
        let value = Decoder::new(allowance).run(self);
        #[cfg(feature = "objects")]
        let value = value.or_else(|| super::in_parts::value(self, allowance));
        value
    }
}

/// The value of code that is a single opcode, and perhaps the one that files its object.
pub(crate) fn decode_plain(code: &[u8]) -> Option<Value> {
    let first = Reader::new(code, 0).next().ok()??;
    matches!(code[first.end..], [] | [byte::MEMOIZE]).then(|| atom(&first))?
}

/// The value that one opcode makes alone.
pub(super) fn atom(i: &Instr<'_>) -> Option<Value> {
    Some(match i.byte {
        byte::NONE => Value::None,
        byte::NEWTRUE => Value::Bool(true),
        byte::NEWFALSE => Value::Bool(false),
        // Protocol 0 has no other way to write a bool.
        byte::INT if i.data == b"01" => Value::Bool(true),
        byte::INT if i.data == b"00" => Value::Bool(false),
        byte::INT => Value::Int(line(i)?.parse().ok()?),
        byte::LONG => long_line(line(i)?)?,
        byte::BININT1 | byte::BININT2 => Value::Int(little_endian(i.data)),
        byte::BININT => Value::Int(i32::from_le_bytes(i.data.try_into().ok()?).into()),
        byte::LONG1 | byte::LONG4 => long(i.data),
        byte::FLOAT => Value::Float(line(i)?.parse().ok()?),
        byte::BINFLOAT => Value::Float(f64::from_be_bytes(i.data.try_into().ok()?)),
        byte::SHORT_BINUNICODE | byte::BINUNICODE | byte::BINUNICODE8 => {
            Value::Str(String::from_utf8(i.data.to_vec()).ok()?)
        }
        byte::UNICODE => Value::Str(String::from_utf8(unescape(i.data)?).ok()?),
        byte::STRING => Value::Str(unquote(i.data)?),
        // Python 2's strings are ASCII to Python 3, unless told otherwise.
        byte::SHORT_BINSTRING | byte::BINSTRING if i.data.is_ascii() => {
            Value::Str(String::from_utf8(i.data.to_vec()).ok()?)
        }
        byte::SHORT_BINBYTES | byte::BINBYTES | byte::BINBYTES8 => Value::Bytes(i.data.to_vec()),
        byte::EMPTY_TUPLE => Value::Tuple(Vec::new()),
        byte::EMPTY_LIST => Value::List(Vec::new()),
        byte::EMPTY_DICT => Value::Dict(Vec::new()),
        byte::EMPTY_SET => Value::Set(Vec::new()),
        _ => return None,
    })
}

fn line<'a>(i: &Instr<'a>) -> Option<&'a str> {
    Some(std::str::from_utf8(i.data).ok()?.trim_ascii())
}

/// Protocol 0's integers beyond 32 bits. (Of those beyond 128 bits nobody had need yet.)
fn long_line(text: &str) -> Option<Value> {
    let text = text.strip_suffix('L').unwrap_or(text);
    let digits = text.strip_prefix('-');
    let magnitude: u128 = digits.unwrap_or(text).parse().ok()?;
    Some(BigInt::from_magnitude(digits.is_some(), magnitude.to_le_bytes().into()).into())
}

fn little_endian(data: &[u8]) -> i64 {
    (data.iter().rev()).fold(0, |number, &b| number << 8 | i64::from(b))
}

fn long(data: &[u8]) -> Value {
    if data.len() > 8 {
        return Value::from(BigInt::from_le_bytes(data));
    }
    let negative = data.last().is_some_and(|&b| b >= 0x80);
    let mut bytes = [if negative { 0xff } else { 0 }; 8];
    bytes[..data.len()].copy_from_slice(data);
    Value::Int(i64::from_le_bytes(bytes))
}

/// Protocol 0's text, which is Latin-1 with `\uXXXX` and `\UXXXXXXXX`, in UTF-8; and surrogates as if they were
/// characters.
pub(super) fn unescape(data: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let digits = match (first, tail.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => 0,
        };
        let mut code = u32::from(first);
        if digits > 0 {
            let hex = tail.get(1..=digits)?;
            code =
                hex.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))?;
            rest = &tail[digits + 1..];
        }
        match char::from_u32(code) {
            Some(c) => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None if code > 0xffff => return None,
            None => text.extend_from_slice(&[
                0xe0 | (code >> 12) as u8,
                0x80 | (code >> 6 & 0x3f) as u8,
                0x80 | (code & 0x3f) as u8,
            ]),
        }
    }
    Some(text)
}

/// Python 2's string literal, when it holds no escapes.
fn unquote(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok()?.trim_ascii();
    let inner = ['\'', '"'].iter().find_map(|&quote| text.strip_prefix(quote)?.strip_suffix(quote))?;
    (inner.is_ascii() && !inner.contains('\\')).then(|| inner.to_owned())
}

/// Keys and values by turns, as pairs.
pub(super) fn pairs(items: Vec<Value>) -> Option<Vec<(Value, Value)>> {
    if !items.len().is_multiple_of(2) {
        return None;
    }
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    Some(pairs)
}

/// A pending object.
enum Slot {
    /// With how many levels of containers it has.
    Value(Value, u8),
    Mark,
    /// The classes `set` and `frozenset`, which protocol 3 calls.
    Set,
    FrozenSet,
}

/// A piece of code: where to go on, and where it ends.
struct Piece {
    pos: usize,
    end: usize,
}

pub(super) struct Decoder {
    stack: Vec<Slot>,
    /// How many more bytes of code may be read again.
    pub allowance: usize,
}

impl Decoder {
    pub fn new(allowance: usize) -> Self {
        Self { stack: Vec::new(), allowance }
    }

    /// `None` when the object is to stay opaque.
    pub fn run(&mut self, payload: &Pickled) -> Option<Value> {
        let code = payload.as_bytes();
        let mut walker = Walker::new();
        if payload.refers() {
            walker.walk_code(code).ok()?;
        }
        let definitions = &walker.memo.definitions;
        // What refers to an object from within it has no end.
        if (walker.references.iter()).any(|r| r.at < definitions[r.definition as usize].end) {
            return None;
        }

        let mut pieces = vec![Piece { pos: 0, end: code.len() }];
        while let Some(piece) = pieces.last_mut() {
            let Some(i) = Reader::new(&code[..piece.end], piece.pos).next().ok()? else {
                pieces.pop();
                continue;
            };
            piece.pos = i.end;
            if let byte::BINGET | byte::LONG_BINGET = i.byte {
                let definition = definitions.get(i.number().ok()? as usize)?;
                let (pos, end) = (definition.start as usize, definition.end as usize);
                // An object that holds itself gets here over and over.
                self.allowance = self.allowance.checked_sub(end - pos)?;
                if pieces.len() > MAX_DEPTH.into() {
                    return None;
                }
                pieces.push(Piece { pos, end });
            } else {
                self.step(&i)?;
            }
        }
        match self.stack.pop()? {
            Slot::Value(value, _) if self.stack.is_empty() => Some(value),
            _ => None,
        }
    }

    fn step(&mut self, i: &Instr<'_>) -> Option<()> {
        if let Some(value) = atom(i) {
            self.stack.push(Slot::Value(value, 0));
            return Some(());
        }
        match i.byte {
            byte::MEMOIZE => {}
            byte::MARK => self.stack.push(Slot::Mark),
            byte::TUPLE1 => self.wrap(1)?,
            byte::TUPLE2 => self.wrap(2)?,
            byte::TUPLE3 => self.wrap(3)?,
            byte::TUPLE => {
                let (items, depth) = self.marked()?;
                self.push(Value::Tuple(items), depth)?;
            }
            byte::FROZENSET => {
                let (items, depth) = self.marked()?;
                self.push(Value::FrozenSet(items), depth)?;
            }
            b'l' => {
                let (items, depth) = self.marked()?;
                self.push(Value::List(items), depth)?;
            }
            b'd' => {
                let (items, depth) = self.marked()?;
                self.stack.push(Slot::Value(Value::Dict(Vec::new()), 0));
                self.add(items, depth)?;
            }
            byte::APPEND => {
                let (items, depth) = self.top(1)?;
                self.add(items, depth)?;
            }
            byte::SETITEM => {
                let (items, depth) = self.top(2)?;
                self.add(items, depth)?;
            }
            byte::APPENDS | byte::SETITEMS | byte::ADDITEMS => {
                let (items, depth) = self.marked()?;
                self.add(items, depth)?;
            }
            byte::GLOBAL => self.stack.push(match i.two_lines()? {
                ("builtins" | "__builtin__", "set") => Slot::Set,
                ("builtins" | "__builtin__", "frozenset") => Slot::FrozenSet,
                _ => return None,
            }),
            byte::REDUCE => self.call()?,
            _ => return None,
        }
        Some(())
    }

    /// Calls `set` or `frozenset` with one list.
    fn call(&mut self) -> Option<()> {
        let Slot::Value(Value::Tuple(mut arguments), depth) = self.stack.pop()? else {
            return None;
        };
        let (Some(Value::List(items)), true) = (arguments.pop(), arguments.is_empty()) else {
            return None;
        };
        let set = match self.stack.pop()? {
            Slot::Set => Value::Set(items),
            Slot::FrozenSet => Value::FrozenSet(items),
            _ => return None,
        };
        self.stack.push(Slot::Value(set, depth - 1));
        Some(())
    }

    fn wrap(&mut self, count: usize) -> Option<()> {
        let (items, depth) = self.top(count)?;
        self.push(Value::Tuple(items), depth)
    }

    /// Pushes a container whose items have up to `depth` levels.
    fn push(&mut self, value: Value, depth: u8) -> Option<()> {
        if depth >= MAX_DEPTH {
            return None;
        }
        self.stack.push(Slot::Value(value, depth + 1));
        Some(())
    }

    fn add(&mut self, items: Vec<Value>, depth: u8) -> Option<()> {
        let Slot::Value(container, level) = self.stack.last_mut()? else {
            return None;
        };
        if depth >= MAX_DEPTH {
            return None;
        }
        *level = (*level).max(depth + 1);
        match container {
            Value::List(list) | Value::Set(list) if list.is_empty() => *list = items,
            Value::List(list) | Value::Set(list) => list.extend(items),
            Value::Dict(dict) => dict.extend(pairs(items)?),
            _ => return None,
        }
        Some(())
    }

    /// Takes the items above the last mark, and the mark.
    fn marked(&mut self) -> Option<(Vec<Value>, u8)> {
        let mark = (self.stack.iter()).rposition(|slot| matches!(slot, Slot::Mark))?;
        let items = self.top(self.stack.len() - mark - 1)?;
        self.stack.pop();
        Some(items)
    }

    /// Takes the top objects, and tells how many levels the deepest has.
    fn top(&mut self, count: usize) -> Option<(Vec<Value>, u8)> {
        let first = self.stack.len().checked_sub(count)?;
        let mut deepest = 0;
        let items = (self.stack.drain(first..))
            .map(|slot| match slot {
                Slot::Value(value, depth) => {
                    deepest = deepest.max(depth);
                    Some(value)
                }
                _ => None,
            })
            .collect::<Option<_>>()?;
        Some((items, deepest))
    }
}
