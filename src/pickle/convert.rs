//! Between [`Value`] and Rust's own types.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use super::bigint::BigInt;
use super::payload::Pickled;
use super::value::Value;

/// A [`Value`] is not of the type that was asked for (or not in its range).
///
/// ```
/// use netq::pickle::Value;
///
/// let error = String::try_from(Value::from(7)).unwrap_err();
/// assert_eq!(error.to_string(), "expected str, got int");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongType {
    expected: &'static str,
    got: String,
}

impl fmt::Display for WrongType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, got {}", self.expected, self.got)
    }
}

impl std::error::Error for WrongType {}

fn wrong<T>(expected: &'static str, value: &Value) -> Result<T, WrongType> {
    let got = match value {
        // The type may be right and the number too large: then it says more than the type.
        Value::Int(_) | Value::BigInt(_) if expected.starts_with("int") => format!("int {value}"),
        other => other.type_name(),
    };
    Err(WrongType { expected, got })
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Value::None
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

macro_rules! from_small_int {
    ($($int:ty),*) => {$(
        impl From<$int> for Value {
            fn from(number: $int) -> Self {
                Value::Int(number.into())
            }
        }
    )*};
}

from_small_int!(i8, i16, i32, i64, u8, u16, u32);

macro_rules! from_large_int {
    ($($int:ty as $wide:ty),*) => {$(
        impl From<$int> for Value {
            fn from(number: $int) -> Self {
                match i64::try_from(number) {
                    Ok(number) => Value::Int(number),
                    // No integer has more than 128 bits.
                    Err(_) => Value::BigInt(BigInt::from(number as $wide)),
                }
            }
        }
    )*};
}

from_large_int!(u64 as u128, usize as u128, isize as i128, i128 as i128, u128 as u128);

impl From<f32> for Value {
    fn from(number: f32) -> Self {
        Value::Float(number.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Float(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Str(text)
    }
}

impl From<&[u8]> for Value {
    fn from(data: &[u8]) -> Self {
        Value::Bytes(data.to_vec())
    }
}

/// To `bytes`. (For a list of small integers collect `Value`s.)
impl From<Vec<u8>> for Value {
    fn from(data: Vec<u8>) -> Self {
        Value::Bytes(data)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::List(items)
    }
}

macro_rules! from_vec {
    ($($item:ty),*) => {$(
        impl From<Vec<$item>> for Value {
            fn from(items: Vec<$item>) -> Self {
                Value::List(items.into_iter().map(Into::into).collect())
            }
        }
    )*};
}

from_vec!(i64, f64, String, &str);

macro_rules! from_tuple {
    ($($name:ident)*) => {
        impl<$($name: Into<Value>),*> From<($($name,)*)> for Value {
            #[allow(non_snake_case, reason = "the fields are named like their types")]
            fn from(($($name,)*): ($($name,)*)) -> Self {
                Value::Tuple(vec![$($name.into()),*])
            }
        }
    };
}

from_tuple!(A);
from_tuple!(A B);
from_tuple!(A B C);
from_tuple!(A B C D);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::None, Into::into)
    }
}

impl<K: Into<Value>, V: Into<Value>, S> From<HashMap<K, V, S>> for Value {
    fn from(map: HashMap<K, V, S>) -> Self {
        Value::Dict(map.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl<K: Into<Value>, V: Into<Value>> From<BTreeMap<K, V>> for Value {
    fn from(map: BTreeMap<K, V>) -> Self {
        Value::Dict(map.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

impl<T: Into<Value>, S> From<HashSet<T, S>> for Value {
    fn from(set: HashSet<T, S>) -> Self {
        Value::Set(set.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<BTreeSet<T>> for Value {
    fn from(set: BTreeSet<T>) -> Self {
        Value::Set(set.into_iter().map(Into::into).collect())
    }
}

impl From<BigInt> for Value {
    fn from(number: BigInt) -> Self {
        match number.to_i128().map(i64::try_from) {
            Some(Ok(number)) => Value::Int(number),
            _ => Value::BigInt(number),
        }
    }
}

impl From<Pickled> for Value {
    fn from(payload: Pickled) -> Self {
        Value::Opaque(payload)
    }
}

impl TryFrom<Value> for bool {
    type Error = WrongType;

    fn try_from(value: Value) -> Result<Self, WrongType> {
        match value {
            Value::Bool(value) => Ok(value),
            other => wrong("bool", &other),
        }
    }
}

impl TryFrom<Value> for i64 {
    type Error = WrongType;

    fn try_from(value: Value) -> Result<Self, WrongType> {
        match value {
            Value::Int(number) => Ok(number),
            other => wrong("int in the range of i64", &other),
        }
    }
}

impl TryFrom<Value> for u64 {
    type Error = WrongType;

    fn try_from(value: Value) -> Result<Self, WrongType> {
        let number = match &value {
            Value::Int(number) => u64::try_from(*number).ok(),
            Value::BigInt(number) => number.to_i128().and_then(|n| n.try_into().ok()),
            _ => None,
        };
        number.map_or_else(|| wrong("int in the range of u64", &value), Ok)
    }
}

impl TryFrom<Value> for usize {
    type Error = WrongType;

    fn try_from(value: Value) -> Result<Self, WrongType> {
        match u64::try_from(value.clone()).map(usize::try_from) {
            Ok(Ok(number)) => Ok(number),
            _ => wrong("int in the range of usize", &value),
        }
    }
}

/// An `int` is accepted, too, as nearly everywhere in Python.
impl TryFrom<Value> for f64 {
    type Error = WrongType;

    fn try_from(value: Value) -> Result<Self, WrongType> {
        match value {
            Value::Float(number) => Ok(number),
            Value::Int(number) => Ok(number as f64),
            other => wrong("float", &other),
        }
    }
}

impl TryFrom<Value> for String {
    type Error = WrongType;

    fn try_from(value: Value) -> Result<Self, WrongType> {
        match value {
            Value::Str(text) => Ok(text),
            other => wrong("str", &other),
        }
    }
}

impl TryFrom<Value> for Vec<u8> {
    type Error = WrongType;

    fn try_from(value: Value) -> Result<Self, WrongType> {
        match value {
            Value::Bytes(data) => Ok(data),
            other => wrong("bytes", &other),
        }
    }
}

/// The items of a list or tuple.
impl TryFrom<Value> for Vec<Value> {
    type Error = WrongType;

    fn try_from(value: Value) -> Result<Self, WrongType> {
        match value {
            Value::List(items) | Value::Tuple(items) => Ok(items),
            other => wrong("list or tuple", &other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_beyond_64_bits_become_big_ones() {
        assert_eq!(Value::from(i64::MAX as u64), Value::Int(i64::MAX));
        let big = Value::from(u64::MAX);
        assert_eq!(big, Value::BigInt(BigInt::from(u128::from(u64::MAX))));
        assert_eq!(u64::try_from(big), Ok(u64::MAX));
        assert_eq!(Value::from(-1_i128), Value::Int(-1));
    }

    #[test]
    fn error_names_both_types() {
        let error = |e: WrongType| e.to_string();
        let text = error(bool::try_from(Value::None).unwrap_err());
        assert_eq!(text, "expected bool, got NoneType");
        let text = error(u64::try_from(Value::Int(-1)).unwrap_err());
        assert_eq!(text, "expected int in the range of u64, got int -1");
    }

    #[test]
    fn collections_become_the_python_ones() {
        let map = BTreeMap::from([("a", 1), ("b", 2)]);
        assert_eq!(Value::from(map).to_string(), "{'a': 1, 'b': 2}");
        assert_eq!(Value::from(BTreeSet::from([1, 2])).to_string(), "{1, 2}");
        assert_eq!(Value::from(vec!["a", "b"]).to_string(), "['a', 'b']");
        assert_eq!(Value::from(vec![1_u8, 2]).to_string(), r"b'\x01\x02'");
        assert_eq!(Value::from(Some((1, None::<bool>))).to_string(), "(1, None)");
    }
}
