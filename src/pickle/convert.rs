//! From Rust's own types to [`Value`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::bigint::BigInt;
use super::payload::Pickled;
use super::value::Value;

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

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Value::Str(text.clone())
    }
}

impl From<Cow<'_, str>> for Value {
    fn from(text: Cow<'_, str>) -> Self {
        Value::Str(text.into_owned())
    }
}

impl From<char> for Value {
    fn from(c: char) -> Self {
        Value::Str(c.into())
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

/// To `bytes`.
impl<const N: usize> From<[u8; N]> for Value {
    fn from(data: [u8; N]) -> Self {
        Value::Bytes(data.into())
    }
}

/// To `bytes`.
impl<const N: usize> From<&[u8; N]> for Value {
    fn from(data: &[u8; N]) -> Self {
        Value::Bytes(data.to_vec())
    }
}

impl<const N: usize> From<[Value; N]> for Value {
    fn from(items: [Value; N]) -> Self {
        Value::List(items.into())
    }
}

/// One for all types would be one for `u8` as well.
macro_rules! from_list {
    ($($item:ty),*) => {$(
        impl From<Vec<$item>> for Value {
            fn from(items: Vec<$item>) -> Self {
                items.into_iter().collect()
            }
        }

        impl<const N: usize> From<[$item; N]> for Value {
            fn from(items: [$item; N]) -> Self {
                items.into_iter().collect()
            }
        }
    )*};
}

from_list!(
    bool,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    u16,
    u32,
    u64,
    u128,
    usize,
    f32,
    f64,
    char,
    String,
    &str,
    &String,
    Vec<u8>
);

/// To a list. (To a dict: [`Value::dict`].)
///
/// ```
/// use netq::Value;
///
/// let squares: Value = (1..4).map(|number| number * number).collect();
/// assert_eq!(squares.to_string(), "[1, 4, 9]");
/// ```
impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}

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
from_tuple!(A B C D E);
from_tuple!(A B C D E F);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_beyond_64_bits_become_big_ones() {
        assert_eq!(Value::from(i64::MAX as u64), Value::Int(i64::MAX));
        let big = Value::from(u64::MAX);
        assert_eq!(big, Value::BigInt(BigInt::from(u128::from(u64::MAX))));
        assert_eq!(Value::from(-1_i128), Value::Int(-1));
    }

    #[test]
    fn collections_become_the_python_ones() {
        let map = BTreeMap::from([("a", 1), ("b", 2)]);
        assert_eq!(Value::from(map).to_string(), "{'a': 1, 'b': 2}");
        assert_eq!(Value::from(BTreeSet::from([1, 2])).to_string(), "{1, 2}");
        assert_eq!(Value::from(vec!["a", "b"]).to_string(), "['a', 'b']");
        assert_eq!(Value::from([0.5, 1.0]).to_string(), "[0.5, 1.0]");
        assert_eq!(Value::from(b"ab").to_string(), "b'ab'");
        assert_eq!(Value::from(('c', &"d".to_owned())).to_string(), "('c', 'd')");
        assert_eq!(Value::from(vec![1_u8, 2]).to_string(), r"b'\x01\x02'");
        assert_eq!(Value::from(Some((1, None::<bool>))).to_string(), "(1, None)");
    }
}
