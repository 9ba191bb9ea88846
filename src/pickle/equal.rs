//! Equality as Python's `==` has it, and [`Key`]: what Python finds in a dict or a set.
//!
//! A key is reduced to bytes that are the same for whatever Python takes for the same key. So the rules are in one
//! place, and any map or set of the standard library does the rest.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::bigint::BigInt;
use super::opcode::byte;
use super::payload::Pickled;
use super::value::Value;
use super::walk::Walker;
use crate::number::Numbers;

/// NaN is equal to nothing, and so is a key that holds one.
static NANS: Numbers = Numbers::new();

/// Why two objects were not compared. `Display` is the message of the `TypeError` that a Python client should get.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompareError {
    /// A list, dict, set or bytearray is no key; the name of the type.
    Unhashable(String),
    /// An instance of a class says itself what it is equal to, by code that is not run here; the name of the type.
    Opaque(String),
}

impl fmt::Display for CompareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unhashable(name) => write!(f, "unhashable type: '{name}'"),
            Self::Opaque(name) => write!(
                f,
                "netq cannot compare a '{name}': it runs no code of classes, and looks no deeper than 64 levels"
            ),
        }
    }
}

impl std::error::Error for CompareError {}

/// A [`Value`] as a key: two keys are equal when a Python dict takes them for the same.
///
/// So `1`, `1.0` and `True` are one key, and `'a'` and `b'a'` are two; a key that holds NaN is equal to none. (In
/// Python it is equal to itself, the same object; here no two objects are the same.)
///
/// ```
/// use std::collections::HashMap;
/// use netq::Value;
/// use netq::pickle::Key;
///
/// let mut map = HashMap::new();
/// map.insert(Key::new(&Value::from((1, "a")))?, "first");
/// assert_eq!(map.get(&Key::new(&Value::from((1.0, "a")))?), Some(&"first"));
///
/// let error = Key::new(&Value::from(vec!["a"])).unwrap_err();
/// assert_eq!(error.to_string(), "unhashable type: 'list'");
/// # Ok::<(), netq::pickle::CompareError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<[u8]>);

impl Key {
    /// The key that a value is.
    ///
    /// # Errors
    /// [`CompareError::Unhashable`], as Python raises `TypeError`, and [`CompareError::Opaque`].
    pub fn new(value: &Value) -> Result<Self, CompareError> {
        let mut bytes = Vec::new();
        write(value, &mut bytes)?;
        Ok(Key(bytes.into()))
    }

    /// How many bytes of memory it has beside itself.
    pub fn memory(&self) -> usize {
        self.0.len()
    }
}

impl Value {
    /// Whether Python's `==` finds the two equal. (Rust's `==` asks whether they are the same tree.)
    ///
    /// Lists, tuples, sets and dicts are compared by what they hold, sets and dicts in any order. As in Python, what
    /// stands behind the first difference of two lists does not matter.
    ///
    /// # Errors
    /// [`CompareError::Opaque`] when it depends on an instance of a class; never a guess.
    ///
    /// ```
    /// use netq::Value;
    ///
    /// assert_ne!(Value::from(1), Value::from(1.0));
    /// assert!(Value::from(1).equals(&Value::from(1.0))?);
    /// assert!(!Value::from("a").equals(&Value::from(&b"a"[..]))?);
    /// # Ok::<(), netq::pickle::CompareError>(())
    /// ```
    pub fn equals(&self, other: &Value) -> Result<bool, CompareError> {
        match (self, other) {
            (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.iter().zip(b) {
                    if !a.equals(b)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Dict(a), Value::Dict(b)) => {
                let (a, b) = (entries(a)?, entries(b)?);
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (key, value) in &a {
                    match b.get(key) {
                        Some(other) if value.equals(other)? => {}
                        _ => return Ok(false),
                    }
                }
                Ok(true)
            }
            (Value::Set(a) | Value::FrozenSet(a), Value::Set(b) | Value::FrozenSet(b)) => {
                Ok(keys(a)? == keys(b)?)
            }
            _ => Ok(plain(self)? == plain(other)?),
        }
    }
}

fn keys(items: &[Value]) -> Result<HashSet<Key>, CompareError> {
    items.iter().map(Key::new).collect()
}

/// The later of two values of one key counts, as when Python builds the dict.
fn entries(pairs: &[(Value, Value)]) -> Result<HashMap<Key, &Value>, CompareError> {
    pairs.iter().map(|(key, value)| Ok((Key::new(key)?, value))).collect()
}

/// What is no container, as bytes that are the same for equal objects. All containers are alike here: they are
/// equal to nothing that is none, and two of one sort were compared before.
fn plain(value: &Value) -> Result<Vec<u8>, CompareError> {
    let mut bytes = Vec::new();
    match value {
        Value::List(_) => bytes.push(b'['),
        Value::Dict(_) => bytes.push(b'{'),
        Value::Set(_) | Value::FrozenSet(_) => bytes.push(b'<'),
        Value::Tuple(_) => bytes.push(b'('),
        Value::Opaque(payload) => match basic(payload) {
            Some(Basic::Bytearray(data)) => counted(b'b', &data, &mut bytes),
            _ => write(value, &mut bytes)?,
        },
        _ => write(value, &mut bytes)?,
    }
    Ok(bytes)
}

/// Writes a key: a letter for the type, then its parts. None is the beginning of another.
fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), CompareError> {
    match value {
        Value::None => out.push(b'N'),
        Value::Bool(value) => int((*value).into(), out),
        Value::Int(number) => int(*number, out),
        Value::BigInt(number) => big(number, out),
        Value::Float(number) => float(*number, out),
        Value::Str(text) => counted(b's', text.as_bytes(), out),
        Value::Bytes(data) => counted(b'b', data, out),
        Value::Tuple(items) => {
            out.push(b't');
            for item in items {
                out.push(b',');
                write(item, out)?;
            }
            out.push(b')');
        }
        Value::FrozenSet(items) => {
            let mut keys = items.iter().map(Key::new).collect::<Result<Vec<_>, _>>()?;
            keys.sort_unstable();
            keys.dedup();
            out.push(b'f');
            for Key(item) in &keys {
                out.push(b',');
                out.extend_from_slice(item);
            }
            out.push(b')');
        }
        Value::List(_) | Value::Dict(_) | Value::Set(_) => {
            return Err(CompareError::Unhashable(value.type_name()));
        }
        Value::Opaque(payload) => match basic(payload) {
            Some(Basic::Complex(real, 0.0)) => float(real, out),
            Some(Basic::Complex(real, imaginary)) => {
                out.push(b'c');
                float(real, out);
                float(imaginary, out);
            }
            Some(Basic::Text(text)) => counted(b's', &text, out),
            Some(Basic::Bytearray(_)) => return Err(CompareError::Unhashable(payload.type_name())),
            None => return Err(CompareError::Opaque(payload.type_name())),
        },
    }
    Ok(())
}

fn counted(letter: u8, data: &[u8], out: &mut Vec<u8>) {
    out.push(letter);
    out.extend_from_slice(&(data.len() as u64).to_le_bytes());
    out.extend_from_slice(data);
}

fn int(number: i64, out: &mut Vec<u8>) {
    out.push(b'i');
    out.extend_from_slice(&number.to_le_bytes());
}

fn big(number: &BigInt, out: &mut Vec<u8>) {
    match number.to_i128().map(i64::try_from) {
        Some(Ok(number)) => int(number, out),
        _ => counted(b'I', number.as_le_bytes(), out),
    }
}

/// A number without a fraction as the integer that it is, exactly, however large.
fn float(number: f64, out: &mut Vec<u8>) {
    // One bit less than 2^63, which is no i64.
    const RANGE: f64 = 9_223_372_036_854_775_808.0;
    if number.is_nan() {
        out.push(b'n');
        out.extend_from_slice(&NANS.next().to_le_bytes());
    } else if (-RANGE..RANGE).contains(&number) && number.trunc() == number {
        int(number as i64, out);
    } else if number.is_finite() && number.abs() >= RANGE {
        let bits = number.to_bits();
        // 53 bits of the number, the highest of which is not written, and how far they are shifted to the left.
        let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
        let shift = (bits >> 52 & 0x7ff) as usize - 1075;
        let mut bytes = vec![0; shift / 8];
        bytes.extend_from_slice(&(mantissa << (shift % 8)).to_le_bytes());
        big(&BigInt::from_magnitude(number < 0.0, bytes), out);
    } else {
        out.push(b'd');
        out.extend_from_slice(&number.to_bits().to_le_bytes());
    }
}

/// Objects that have no `Value`, and are compared without running code all the same.
enum Basic {
    Complex(f64, f64),
    Bytearray(Vec<u8>),
    /// A str with lone surrogates, as its pickle has it.
    Text(Vec<u8>),
}

fn basic(payload: &Pickled) -> Option<Basic> {
    let code = payload.as_bytes();
    let mut walker = Walker::new();
    let root = walker.walk_code(code).ok()?;
    if let Some(i) = walker.atom(code, root) {
        return match i.byte {
            byte::SHORT_BINUNICODE | byte::BINUNICODE | byte::BINUNICODE8 => {
                Some(Basic::Text(i.data.to_vec()))
            }
            byte::BYTEARRAY8 => Some(Basic::Bytearray(i.data.to_vec())),
            _ => None,
        };
    }
    let made = payload.decode_instance()?;
    match (&*made.module, &*made.name, &*made.args, made.state) {
        ("builtins", "complex", [Value::Float(real), Value::Float(imaginary)], None) => {
            Some(Basic::Complex(*real, *imaginary))
        }
        ("builtins", "bytearray", [Value::Bytes(data)], None) => Some(Basic::Bytearray(data.clone())),
        ("builtins", "bytearray", [], None) => Some(Basic::Bytearray(Vec::new())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(literal: &str) -> Value {
        Value::from_literal(literal).unwrap()
    }

    /// Whether they are equal, and whether they are one key.
    fn compare(a: &str, b: &str) -> (bool, bool) {
        let (a, b) = (read(a), read(b));
        let keys = Key::new(&a).is_ok_and(|key| Key::new(&b) == Ok(key));
        assert_eq!(a.equals(&b), b.equals(&a));
        (a.equals(&b).unwrap(), keys)
    }

    #[test]
    fn numbers_are_one_key_when_they_are_exactly_equal() {
        for (a, b) in [
            ("1", "1.0"),
            ("1", "True"),
            ("0", "-0.0"),
            ("0.0", "False"),
            ("-9223372036854775808", "-9223372036854775808.0"),
            ("9223372036854775808", "9223372036854775808.0"),
            ("-0x1000000000000000000000000000000000000000000000000", "-6.277101735386681e+57"),
            (
                "0xfffffffffffff800000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
                "1.7976931348623157e308",
            ),
        ] {
            assert_eq!(compare(a, b), (true, true), "{a} {b}");
        }
        for (a, b) in [
            ("9007199254740993", "9007199254740992.0"),
            ("9223372036854775807", "9223372036854775808.0"),
            ("0x8000000000000000000000000001", "170141183460469231731687303715884105728.0"),
            ("1e999", "-1e999"),
            ("0.1", "0"),
        ] {
            assert_eq!(compare(a, b), (false, false), "{a} {b}");
        }
        assert_eq!(Value::from(f64::NAN).equals(&Value::from(f64::NAN)), Ok(false));
        let nan = Value::from((1, f64::NAN));
        assert_ne!(Key::new(&nan), Key::new(&nan));
        assert_eq!(Value::BigInt(BigInt::from(7_i128)).equals(&7.into()), Ok(true));
    }

    #[test]
    fn keys_of_different_types_are_different() {
        let keys = [
            "None",
            "0",
            "'0'",
            "b'0'",
            "''",
            "b''",
            "()",
            "(0,)",
            "((),)",
            "frozenset()",
            "('a', 'b')",
            "('ab',)",
        ];
        for (i, a) in keys.iter().enumerate() {
            for (j, b) in keys.iter().enumerate() {
                assert_eq!(compare(a, b), (i == j, i == j), "{a} {b}");
            }
        }
        assert_eq!(compare("frozenset({1, (2, 'a')})", "frozenset({(2.0, 'a'), True, 1})"), (true, true));
    }

    #[test]
    fn containers_are_equal_when_what_they_hold_is() {
        for (a, b, equal) in [
            ("[1, [2.0, 'a']]", "[True, [2, 'a']]", true),
            ("[1]", "(1,)", false),
            ("[]", "{}", false),
            ("{}", "set()", false),
            ("[1, 2]", "[1]", false),
            ("{1: [2], 'a': {}}", "{'a': {}, 1.0: [2]}", true),
            ("{1: 2}", "{1: 3}", false),
            ("{1: 2}", "{2: 2}", false),
            ("{1: 'x', True: 2}", "{1: 2}", true),
            ("{1, 2}", "frozenset({2.0, 1})", true),
            ("{1}", "{2}", false),
        ] {
            assert_eq!(compare(a, b).0, equal, "{a} {b}");
        }
    }

    #[test]
    fn what_python_cannot_hash_is_no_key() {
        for (literal, name) in [("[]", "list"), ("({},)", "dict"), ("(1, {2})", "set")] {
            assert_eq!(Key::new(&read(literal)), Err(CompareError::Unhashable(name.to_owned())));
        }
    }

    #[test]
    fn an_instance_is_an_error_only_where_it_matters() {
        let instance = Value::from(Pickled::from_pickle(b"cdecimal\nDecimal\nX\x01\0\0\x007\x85R.").unwrap());
        let error = instance.equals(&7.into()).unwrap_err();
        assert!(error.to_string().starts_with("netq cannot compare a 'decimal.Decimal': "), "{error}");
        assert!(Key::new(&instance).is_err() && instance.equals(&instance.clone()).is_err());
        let with = |first| Value::List(vec![first, instance.clone()]);
        assert_eq!(with(Value::from(1)).equals(&with(2.into())), Ok(false));
        assert_eq!(with(Value::from(1)).equals(&Value::from(vec![Value::None])), Ok(false));
        assert!(with(Value::from(1)).equals(&with(1.into())).is_err());
    }
}
