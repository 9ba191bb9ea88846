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
mod tests {
    use super::*;

    /// What is read, as Python's `repr` prints it; what is wrong else.
    fn read(text: &str) -> String {
        Value::from_literal(text).map_or_else(|error| error.to_string(), |value| value.to_string())
    }

    #[test]
    fn numbers_are_read_as_python_does() {
        for (text, repr) in [
            ("0", "0"),
            ("00_0", "0"),
            ("-1", "-1"),
            ("+ 1_000", "1000"),
            ("0xFf", "255"),
            ("0b_101", "5"),
            ("-0o17", "-15"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775808", "9223372036854775808"),
            ("-340282366920938463463374607431768211456", "-340282366920938463463374607431768211456"),
            ("0x100000000000000000000000000000000", "340282366920938463463374607431768211456"),
            ("1.", "1.0"),
            (".5", "0.5"),
            ("-0.0", "-0.0"),
            ("1_0.2_5e+0_2", "1025.0"),
            ("01.5", "1.5"),
            ("1e-5", "1e-05"),
            ("-1e999", "-inf"),
        ] {
            assert_eq!(read(text), repr, "{text}");
        }
        assert_eq!(Value::from_literal("-9223372036854775808"), Ok(Value::Int(i64::MIN)));
        assert_eq!(read(&"7".repeat(MAX_DIGITS)), "7".repeat(MAX_DIGITS));
    }

    #[test]
    fn texts_and_bytes_are_read_as_python_does() {
        for (text, value) in [
            (r#"'it\'s'"#, Value::from("it's")),
            (r#""a\\b\n\x41\101\0é漢\u20ac\U0001f980""#, "a\\b\nAA\0é漢€🦀".into()),
            (r"'\d\ '", r"\d\ ".into()),
            (r"r'\n\''", r"\n\'".into()),
            ("'a\\\nb'", "ab".into()),
            ("'''a\n'b\"'''", "a\n'b\"".into()),
            ("''", "".into()),
            ("''''''", "".into()),
            ("u'a' R\"b\" 'c'", "abc".into()),
            (r"'\777'", "\u{1ff}".into()),
            (r"b'\xff\377\777\u20ac\''", b"\xff\xff\xff\\u20ac'".to_vec().into()),
            (r"Br'\x' b'a'", b"\\xa".to_vec().into()),
        ] {
            assert_eq!(Value::from_literal(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn containers_are_read_as_python_does() {
        for (text, repr) in [
            (" None ", "None"),
            ("[True,False ,]", "[True, False]"),
            ("()", "()"),
            ("(1)", "1"),
            ("( 1 , )", "(1,)"),
            ("1,", "(1,)"),
            ("1, (2, 3)", "(1, (2, 3))"),
            ("\n[1, # one\n 2]\n", "[1, 2]"),
            ("{}", "{}"),
            ("{1: {'a': ()}, (1, 'b'): None,}", "{1: {'a': ()}, (1, 'b'): None}"),
            ("{1, 2,}", "{1, 2}"),
            ("{'a' 'b'}", "{'ab'}"),
            ("set()", "set()"),
            ("[frozenset(), frozenset({1})]", "[frozenset(), frozenset({1})]"),
        ] {
            assert_eq!(read(text), repr, "{text}");
        }
    }

    #[test]
    fn errors_say_the_column_and_what_is_wrong_there() {
        for (text, error) in [
            ("", "column 1: this is no Python literal (text needs quotes)"),
            ("é", "column 1: this is no Python literal (text needs quotes)"),
            ("['é', x]", "column 7: this is no Python literal (text needs quotes)"),
            ("nan", "column 1: this is no Python literal (text needs quotes)"),
            ("-True", "column 2: this is no number as Python writes it"),
            ("--1", "column 2: this is no number as Python writes it"),
            ("1__0", "column 1: this is no number as Python writes it"),
            ("1_", "column 1: this is no number as Python writes it"),
            ("0x", "column 1: this is no number as Python writes it"),
            ("0o8", "column 1: this is no number as Python writes it"),
            ("1._5", "column 1: this is no number as Python writes it"),
            ("...", "column 1: this is no number as Python writes it"),
            ("1١", "column 1: this is no number as Python writes it"),
            ("017", "column 1: a number does not begin with 0 (octal is 0o17)"),
            ("2j", "column 1: complex numbers have no counterpart here"),
            ("[1 2]", "column 4: a comma or the closing bracket was expected here"),
            ("[1", "column 3: a comma or the closing bracket was expected here"),
            ("[1,", "column 4: this is no Python literal (text needs quotes)"),
            ("(,)", "column 2: this is no Python literal (text needs quotes)"),
            ("{1: 2, 3}", "column 9: a colon was expected here"),
            ("{1, 2: 3}", "column 6: a comma or the closing bracket was expected here"),
            ("{(1, []): 2}", "column 2: Python cannot hash this: it is no key, and no element of a set"),
            ("1 2", "column 3: nothing more was expected here"),
            ("1\n2", "column 3: nothing more was expected here"),
            ("set([1])", "column 1: a call is no literal, but for set() and frozenset({...})"),
            ("'a", "column 1: the text that begins here has no end"),
            ("r'a\\'", "column 2: the text that begins here has no end"),
            ("'a\n'", "column 1: the text that begins here has no end"),
            ("'a' b'b'", "column 5: bytes and text cannot be joined"),
            ("b'é'", "column 3: bytes are written in ASCII and escapes"),
            ("f'a'", "column 1: this is no Python literal (text needs quotes)"),
            (r"'\x4'", "column 2: this escape is cut short or stands for no character"),
            (r"'\x+4'", "column 2: this escape is cut short or stands for no character"),
            (r"'\ud800'", "column 2: this escape is cut short or stands for no character"),
            (r"'\U00110000'", "column 2: this escape is cut short or stands for no character"),
            (r"'\N{DIGIT ONE}'", "column 2: names of characters are not known here"),
        ] {
            assert_eq!(read(text), error, "{text}");
        }
        let long = "7".repeat(MAX_DIGITS + 1);
        assert!(read(&long).starts_with("column 1: a number has at most 4300 digits"));
    }

    #[test]
    fn nesting_is_bounded_and_long_numbers_take_linear_time() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(read(&nested(64)), nested(64));
        assert_eq!(read(&nested(65)), "column 65: brackets are nested too deep here");
        assert_eq!(read(&"(".repeat(1_000_000)), "column 65: brackets are nested too deep here");
        assert_eq!(
            read(&"set(".repeat(1_000_000)),
            "column 257: this is no Python literal (text needs quotes)"
        );
        let text = format!("-0x1{}", "0".repeat(4_000_000));
        let Ok(Value::BigInt(number)) = Value::from_literal(&text) else { panic!() };
        assert_eq!(number.to_string().len(), text.len());
    }
}
