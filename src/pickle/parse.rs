//! Reading a [`Value`] from a Python literal, as Python's `ast.literal_eval` does.

use std::fmt;

use super::bigint::BigInt;
use super::decode::MAX_DEPTH;
use super::value::Value;

/// Longer numbers are refused, as CPython does: reading decimal takes time that grows with the square of the length.
const MAX_DIGITS: usize = 4300;

/// What is wrong with a Python literal, and where.
///
/// ```
/// use netq::Value;
///
/// let error = Value::from_literal("[1, two]").unwrap_err();
/// assert_eq!(error.to_string(), "column 5: this is no Python literal (text needs quotes)");
/// assert_eq!(error.column(), 5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiteralError {
    column: usize,
    what: &'static str,
}

impl LiteralError {
    /// Where it is: the number of the character, from 1 on.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for LiteralError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.what)
    }
}

impl std::error::Error for LiteralError {}

impl Value {
    /// Reads a Python literal: `None`, `True`, `False`, an `int` of any size, a `float`, a `str` or `bytes` with its
    /// prefixes and escapes, and a tuple, list, dict or set of such. In Python: `ast.literal_eval`.
    ///
    /// As there, `set()` is the empty set, and `1, 2` is a tuple. Beyond it, `frozenset({1})` is read as it is
    /// printed. Not read are `complex` and `...`, which have no `Value`, names of characters (`\N{DIGIT ONE}`) and
    /// lone surrogates.
    ///
    /// # Errors
    /// [`LiteralError`], with the column: when it is no such literal, when lists, dicts and tuples are nested more
    /// than 64 deep, and for an `int` of more than 4,300 decimal digits.
    ///
    /// ```
    /// use netq::Value;
    ///
    /// let value = Value::from_literal(r"{'depth': 0x10, 'paths': ['a\tb', b'\xff'], 'limit': -1.5e3}")?;
    /// assert_eq!(value.to_string(), r"{'depth': 16, 'paths': ['a\tb', b'\xff'], 'limit': -1500.0}");
    /// # Ok::<(), netq::pickle::LiteralError>(())
    /// ```
    pub fn from_literal(text: &str) -> Result<Value, LiteralError> {
        let mut parser = Parser { text, pos: 0, depth: 0 };
        parser.skip(true);
        let (mut items, comma) = parser.items(None)?;
        parser.skip(true);
        match items.pop() {
            _ if parser.pos < text.len() => parser.fail("nothing more was expected here"),
            Some(only) if !comma => Ok(only),
            Some(last) => {
                items.push(last);
                Ok(Value::Tuple(items))
            }
            None => parser.fail(NO_LITERAL),
        }
    }
}

const NO_LITERAL: &str = "this is no Python literal (text needs quotes)";
const NO_NUMBER: &str = "this is no number as Python writes it";
const NO_END: &str = "the text that begins here has no end";
const BAD_ESCAPE: &str = "this escape is cut short or stands for no character";

struct Parser<'a> {
    text: &'a str,
    /// The byte where the next character begins.
    pos: usize,
    /// How many brackets are open.
    depth: u8,
}

type Parsed<T> = Result<T, LiteralError>;

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.pos..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.pos += next.len_utf8();
        Some(next)
    }

    /// Passes over the text when it is next.
    fn eat(&mut self, text: &str) -> bool {
        let found = self.text[self.pos..].starts_with(text);
        self.pos += if found { text.len() } else { 0 };
        found
    }

    fn fail<T>(&self, what: &'static str) -> Parsed<T> {
        self.fail_at(self.pos, what)
    }

    fn fail_at<T>(&self, pos: usize, what: &'static str) -> Parsed<T> {
        Err(LiteralError { column: self.text[..pos].chars().count() + 1, what })
    }

    /// Passes over blanks and comments; over the ends of lines as well between brackets, or where they `may` be.
    fn skip(&mut self, may: bool) {
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' | '\x0c' => self.pos += 1,
                '\n' | '\r' if may || self.depth > 0 => self.pos += 1,
                '#' => self.pos += self.text[self.pos..].find('\n').unwrap_or(self.text.len() - self.pos),
                _ => return,
            }
        }
    }

    /// Values with commas between them up to the bracket that closes them, or as long as a comma follows. Also
    /// whether there is any comma.
    fn items(&mut self, close: Option<&str>) -> Parsed<(Vec<Value>, bool)> {
        let (mut items, mut comma) = (Vec::new(), false);
        loop {
            self.skip(false);
            match close {
                Some(close) if self.eat(close) => break,
                None if comma && matches!(self.peek(), None | Some('\n' | '\r')) => break,
                _ => items.push(self.value()?),
            }
            self.skip(false);
            if self.eat(",") {
                comma = true;
                continue;
            }
            match close {
                None => break,
                Some(close) if self.eat(close) => break,
                Some(_) => return self.fail("a comma or the closing bracket was expected here"),
            }
        }
        Ok((items, comma))
    }

    fn value(&mut self) -> Parsed<Value> {
        let start = self.pos;
        match self.peek() {
            Some('(' | '[' | '{') => {
                if self.depth >= MAX_DEPTH {
                    return self.fail("brackets are nested too deep here");
                }
                self.depth += 1;
                let value = self.bracket()?;
                self.depth -= 1;
                Ok(value)
            }
            Some('+' | '-') => {
                let negative = self.next() == Some('-');
                self.skip(false);
                self.number(negative)
            }
            Some('0'..='9' | '.') => self.number(false),
            _ => match self.strings()? {
                Some(value) => Ok(value),
                None => self.word(start),
            },
        }
    }

    fn bracket(&mut self) -> Parsed<Value> {
        match self.next() {
            Some('[') => Ok(Value::List(self.items(Some("]"))?.0)),
            Some('(') => {
                let (mut items, comma) = self.items(Some(")"))?;
                match items.pop() {
                    Some(only) if !comma => Ok(only),
                    last => {
                        items.extend(last);
                        Ok(Value::Tuple(items))
                    }
                }
            }
            _ => self.braces(),
        }
    }

    /// A dict or a set, behind its `{`.
    fn braces(&mut self) -> Parsed<Value> {
        let (mut keys, mut pairs) = (Vec::new(), Vec::new());
        loop {
            self.skip(false);
            if self.eat("}") {
                break;
            }
            let start = self.pos;
            let key = self.value()?;
            if !hashable(&key) {
                return self.fail_at(start, "Python cannot hash this: it is no key, and no element of a set");
            }
            self.skip(false);
            if keys.is_empty() && self.eat(":") {
                self.skip(false);
                pairs.push((key, self.value()?));
            } else if pairs.is_empty() {
                keys.push(key);
            } else {
                return self.fail("a colon was expected here");
            }
            self.skip(false);
            if !self.eat(",") && self.peek() != Some('}') {
                return self.fail("a comma or the closing bracket was expected here");
            }
        }
        Ok(if keys.is_empty() { Value::Dict(pairs) } else { Value::Set(keys) })
    }

    /// `None`, `True`, `False`, `set()`, `frozenset(...)`.
    fn word(&mut self, start: usize) -> Parsed<Value> {
        let rest = &self.text[start..];
        let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.pos += len;
        match &rest[..len] {
            "None" => return Ok(Value::None),
            "True" => return Ok(Value::Bool(true)),
            "False" => return Ok(Value::Bool(false)),
            "set" | "frozenset" => {}
            _ => return self.fail_at(start, NO_LITERAL),
        }
        self.skip(false);
        if self.peek() != Some('(') || self.depth >= MAX_DEPTH {
            return self.fail_at(start, NO_LITERAL);
        }
        self.pos += 1;
        self.depth += 1;
        let (mut items, comma) = self.items(Some(")"))?;
        self.depth -= 1;
        match (items.pop(), &rest[..len]) {
            (None, "set") if !comma => Ok(Value::Set(Vec::new())),
            (None, _) if !comma => Ok(Value::FrozenSet(Vec::new())),
            (Some(Value::Set(set)), "frozenset") if items.is_empty() => Ok(Value::FrozenSet(set)),
            _ => self.fail_at(start, "a call is no literal, but for set() and frozenset({...})"),
        }
    }

    fn number(&mut self, negative: bool) -> Parsed<Value> {
        let start = self.pos;
        let rest = &self.text[start..];
        let radix = match rest.as_bytes() {
            [b'0', b'x' | b'X', ..] => 16,
            [b'0', b'o' | b'O', ..] => 8,
            [b'0', b'b' | b'B', ..] => 2,
            _ => 10,
        };
        let mut last = ' ';
        let len = rest.find(|c: char| {
            let sign = matches!(c, '+' | '-') && matches!(last, 'e' | 'E') && radix == 10;
            last = c;
            !c.is_alphanumeric() && !matches!(c, '_' | '.') && !sign
        });
        let token = &rest[..len.unwrap_or(rest.len())];
        self.pos += token.len();
        if token.ends_with(['j', 'J']) && radix == 10 {
            return self.fail_at(start, "complex numbers have no counterpart here");
        }
        let Some(digits) = without_underscores(token, radix) else {
            return self.fail_at(start, NO_NUMBER);
        };
        if radix == 10 && !digits.bytes().all(|b| b.is_ascii_digit()) {
            return match digits.parse::<f64>() {
                Ok(number) => Ok(Value::Float(if negative { -number } else { number })),
                Err(_) => self.fail_at(start, NO_NUMBER),
            };
        }
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            return self.fail_at(start, NO_NUMBER);
        }
        if radix == 10 && digits.starts_with('0') && digits.bytes().any(|b| b != b'0') {
            return self.fail_at(start, "a number does not begin with 0 (octal is 0o17)");
        }
        if radix == 10 && digits.len() > MAX_DIGITS {
            return self.fail_at(start, "a number has at most 4300 digits (in hexadecimal it may have more)");
        }
        Ok(Value::from(BigInt::from_digits(negative, &digits, radix)))
    }

    /// One or more texts or bytes side by side, which are one; `None` when there is none.
    fn strings(&mut self) -> Parsed<Option<Value>> {
        let mut whole: Option<(Vec<u8>, bool)> = None;
        loop {
            let start = self.pos;
            let rest = &self.text[start..];
            let quote = rest.bytes().take(3).position(|b| matches!(b, b'\'' | b'"'));
            let prefix = quote.and_then(|len| rest.get(..len)).map(str::to_ascii_lowercase);
            let (raw, bytes) = match prefix.as_deref() {
                Some("" | "u") => (false, false),
                Some("r") => (true, false),
                Some("b") => (false, true),
                Some("br" | "rb") => (true, true),
                _ => break,
            };
            self.pos += quote.unwrap_or(0);
            let (data, was_bytes) = whole.get_or_insert((Vec::new(), bytes));
            if *was_bytes != bytes {
                return self.fail_at(start, "bytes and text cannot be joined");
            }
            self.string(raw, bytes, data)?;
            self.skip(false);
        }
        Ok(match whole {
            None => None,
            Some((data, true)) => Some(Value::Bytes(data)),
            // Nothing but whole characters were written to it.
            Some((data, false)) => Some(Value::Str(String::from_utf8_lossy(&data).into_owned())),
        })
    }

    /// One text from its quote on.
    fn string(&mut self, raw: bool, bytes: bool, data: &mut Vec<u8>) -> Parsed<()> {
        let start = self.pos;
        let quote = if self.text[start..].starts_with('"') { ["\"\"\"", "\""] } else { ["'''", "'"] };
        let long = self.eat(quote[0]);
        let end = if long { quote[0] } else { quote[1] };
        self.pos += if long { 0 } else { 1 };
        while !self.eat(end) {
            let at = self.pos;
            match self.next() {
                None => return self.fail_at(start, NO_END),
                Some('\n' | '\r') if !long => return self.fail_at(start, NO_END),
                Some('\\') if raw => {
                    data.push(b'\\');
                    // A quote behind it is no end.
                    match self.next() {
                        Some(next) => push(next, data),
                        None => return self.fail_at(start, NO_END),
                    }
                }
                Some('\\') => self.escape(at, bytes, data)?,
                Some(next) if bytes && !next.is_ascii() => {
                    return self.fail_at(at, "bytes are written in ASCII and escapes");
                }
                Some(next) => push(next, data),
            }
        }
        Ok(())
    }

    /// What an escape stands for, behind the backslash, which is `at`.
    fn escape(&mut self, at: usize, bytes: bool, data: &mut Vec<u8>) -> Parsed<()> {
        let code = match self.next() {
            Some('\n') => return Ok(()),
            Some(c @ ('\\' | '\'' | '"')) => c.into(),
            Some('a') => 7,
            Some('b') => 8,
            Some('f') => 12,
            Some('n') => 10,
            Some('r') => 13,
            Some('t') => 9,
            Some('v') => 11,
            Some('0'..='7') => {
                self.pos -= 1;
                let rest = self.text[self.pos..].bytes();
                self.hex(rest.take(3).take_while(|b| matches!(b, b'0'..=b'7')).count(), 8)
            }
            Some('x') => self.hex(2, 16),
            Some('u') if !bytes => self.hex(4, 16),
            Some('U') if !bytes => self.hex(8, 16),
            Some('N') if !bytes => return self.fail_at(at, "names of characters are not known here"),
            Some(other) if !bytes || other.is_ascii() => {
                // Python keeps the backslash of what is no escape.
                data.push(b'\\');
                other.into()
            }
            _ => u32::MAX,
        };
        match char::from_u32(code) {
            // Three octal digits may be one bit too many, which CPython drops.
            Some(_) if bytes => data.push(code as u8),
            Some(c) => push(c, data),
            None => return self.fail_at(at, BAD_ESCAPE),
        }
        Ok(())
    }

    /// The number that so many digits mean, or one that is no character.
    fn hex(&mut self, len: usize, radix: u32) -> u32 {
        let digits = self.text.get(self.pos..self.pos + len).unwrap_or_default();
        self.pos += digits.len();
        // `from_str_radix` would take a sign as well.
        let plain = digits.chars().all(|c| c.is_digit(radix));
        if plain { u32::from_str_radix(digits, radix).unwrap_or(u32::MAX) } else { u32::MAX }
    }
}

fn push(c: char, data: &mut Vec<u8>) {
    data.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The number without `0x` and the like and without underscores, which stand between two digits (or behind `0x`).
fn without_underscores(token: &str, radix: u32) -> Option<String> {
    let mut digits = String::with_capacity(token.len());
    let mut before = radix != 10;
    let mut rest = token[if before { 2 } else { 0 }..].chars().peekable();
    while let Some(c) = rest.next() {
        if c != '_' {
            digits.push(c);
        } else if !before || !rest.peek().is_some_and(|next| next.is_digit(radix)) {
            return None;
        }
        before = c.is_digit(radix);
    }
    Some(digits)
}

fn hashable(value: &Value) -> bool {
    match value {
        Value::List(_) | Value::Dict(_) | Value::Set(_) => false,
        Value::Tuple(items) => items.iter().all(hashable),
        _ => true,
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
