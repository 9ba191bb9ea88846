//! Printing a [`Value`] as Python's `repr` does.

use std::fmt::{self, Write};

use super::value::Value;

/// Prints the value as Python's `repr` does; an opaque one as `<type name>`.
///
/// Which characters are printable is taken from the standard library's tables, which may belong to
/// another version of Unicode than Python's.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::None => f.write_str("None"),
            Value::Bool(true) => f.write_str("True"),
            Value::Bool(false) => f.write_str("False"),
            Value::Int(number) => write!(f, "{number}"),
            Value::BigInt(number) => write!(f, "{number}"),
            Value::Float(number) => float(*number, f),
            Value::Str(s) => text(s, f),
            Value::Bytes(data) => bytes(data, f),
            Value::List(items) => sequence("[", items, "]", f),
            Value::Tuple(items) if items.len() == 1 => sequence("(", items, ",)", f),
            Value::Tuple(items) => sequence("(", items, ")", f),
            Value::Dict(items) => {
                f.write_str("{")?;
                for (index, (key, value)) in items.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{key}: {value}")?;
                }
                f.write_str("}")
            }
            Value::Set(items) if items.is_empty() => f.write_str("set()"),
            Value::Set(items) => sequence("{", items, "}", f),
            Value::FrozenSet(items) if items.is_empty() => f.write_str("frozenset()"),
            Value::FrozenSet(items) => sequence("frozenset({", items, "})", f),
            Value::Opaque(payload) => write!(f, "<{}>", payload.type_name()),
        }
    }
}

fn sequence(open: &str, items: &[Value], close: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(open)?;
    for (index, item) in items.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        write!(f, "{comma}{item}")?;
    }
    f.write_str(close)
}

/// The shortest digits that mean the same number (in which Rust and Python agree), with an exponent
/// below 1e-4 and from 1e16 on.
fn float(number: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if number.is_nan() {
        return f.write_str("nan");
    }
    if number.is_infinite() {
        return f.write_str(if number > 0.0 { "inf" } else { "-inf" });
    }
    let size = number.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        return write!(f, "{number:?}");
    }
    let scientific = format!("{number:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => write!(f, "{digits}e-{exponent:0>2}"),
            None => write!(f, "{digits}e+{exponent:0>2}"),
        },
        None => f.write_str(&scientific),
    }
}

/// The quote that Python chooses: double quotes only to save escaping single ones.
fn quote(single: bool, double: bool) -> char {
    if single && !double { '"' } else { '\'' }
}

fn text(s: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let quote = quote(s.contains('\''), s.contains('"'));
    f.write_char(quote)?;
    for c in s.chars() {
        match c {
            _ if c == quote || c == '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            ' '..='~' => f.write_char(c)?,
            _ if printable(c) => f.write_char(c)?,
            ..='\u{ff}' => write!(f, "\\x{:02x}", u32::from(c))?,
            ..='\u{ffff}' => write!(f, "\\u{:04x}", u32::from(c))?,
            _ => write!(f, "\\U{:08x}", u32::from(c))?,
        }
    }
    f.write_char(quote)
}

/// Whether `escape_debug` would print the character as it is behind a letter (where it does so with
/// combining characters as well, like Python).
fn printable(c: char) -> bool {
    let mut buffer = [b'a'; 5];
    let len = 1 + c.encode_utf8(&mut buffer[1..]).len();
    let s = std::str::from_utf8(&buffer[..len]).unwrap_or_default();
    s.escape_debug().nth(1) == Some(c)
}

fn bytes(data: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let quote = quote(data.contains(&b'\''), data.contains(&b'"'));
    write!(f, "b{quote}")?;
    for &b in data {
        let c = char::from(b);
        match b {
            b'\\' => f.write_str("\\\\")?,
            _ if c == quote => write!(f, "\\{c}")?,
            b'\n' => f.write_str("\\n")?,
            b'\r' => f.write_str("\\r")?,
            b'\t' => f.write_str("\\t")?,
            b' '..=b'~' => f.write_char(c)?,
            _ => write!(f, "\\x{b:02x}")?,
        }
    }
    f.write_char(quote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pickle::Value::*;

    fn repr(value: impl Into<Value>) -> String {
        value.into().to_string()
    }

    #[test]
    fn floats_print_as_in_python() {
        for (number, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123456789.125, "123456789.125"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(repr(number), text);
        }
    }

    #[test]
    fn text_is_quoted_and_escaped_as_in_python() {
        for (s, text) in [
            ("a", "'a'"),
            ("it's", r#""it's""#),
            ("\"'", r#"'"\''"#),
            ("\\\n\r\t\0\x7f", r"'\\\n\r\t\x00\x7f'"),
            ("é\u{301}漢🦀", "'é\u{301}漢🦀'"),
            ("\u{a0}\u{ad}\u{2028}\u{e000}\u{f0000}", r"'\xa0\xad\u2028\ue000\U000f0000'"),
        ] {
            assert_eq!(repr(s), text);
        }
    }

    #[test]
    fn bytes_are_escaped_as_in_python() {
        assert_eq!(repr(b"a'\n\xff\\".to_vec()), r#"b"a'\n\xff\\""#);
        assert_eq!(repr(b"'\"".to_vec()), r#"b'\'"'"#);
    }

    #[test]
    fn containers_print_as_in_python() {
        for (value, text) in [
            (Tuple(vec![]), "()"),
            (Tuple(vec![Int(1)]), "(1,)"),
            (Tuple(vec![Int(1), None]), "(1, None)"),
            (List(vec![Bool(true)]), "[True]"),
            (Dict(vec![(Str("a".into()), Int(1)), (Int(2), List(vec![]))]), "{'a': 1, 2: []}"),
            (Set(vec![]), "set()"),
            (Set(vec![Int(1), Int(2)]), "{1, 2}"),
            (FrozenSet(vec![]), "frozenset()"),
            (FrozenSet(vec![Int(1)]), "frozenset({1})"),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }
}
