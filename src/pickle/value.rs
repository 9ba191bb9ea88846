//! [`Value`]: the Python objects that have a counterpart in Rust.

use super::bigint::BigInt;
use super::payload::Pickled;

/// A Python object of one of the basic types, or an opaque one.
///
/// `Display` prints it as Python's `repr` does. Two values are equal when they are the same tree:
/// other than in Python, `1 != 1.0 != True`, NaN is never equal, and the order of dicts and sets
/// (that in which Python wrote them) counts.
///
/// Values are trees, freed by recursion: do not nest them some thousands of levels deep. What is
/// decoded from a pickle never is.
///
/// ```
/// use netq::pickle::Value;
///
/// let value = Value::from(("job", 7, Some(0.5), ()));
/// assert_eq!(value.to_string(), "('job', 7, 0.5, None)");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `None`
    #[default]
    None,
    /// `True` or `False`
    Bool(bool),
    /// An `int` in the range of 64 bits.
    Int(i64),
    /// An `int` beyond that.
    BigInt(BigInt),
    /// A `float`
    Float(f64),
    /// A `str`
    Str(String),
    /// A `bytes`
    Bytes(Vec<u8>),
    /// A `list`
    List(Vec<Value>),
    /// A `tuple`
    Tuple(Vec<Value>),
    /// A `dict`: its keys and values in order.
    Dict(Vec<(Value, Value)>),
    /// A `set`
    Set(Vec<Value>),
    /// A `frozenset`
    FrozenSet(Vec<Value>),
    /// Any other object: it can be sent on, and Python can load it.
    Opaque(Pickled),
}

impl Value {
    /// The name of the type, as Python's `type(x).__name__` for the basic types. For an opaque
    /// value it is [`Pickled::type_name`].
    ///
    /// ```
    /// # use netq::pickle::Value;
    /// assert_eq!(Value::from("text").type_name(), "str");
    /// assert_eq!(Value::None.type_name(), "NoneType");
    /// ```
    pub fn type_name(&self) -> String {
        match self {
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::BigInt(_) => "int",
            Value::Float(_) => "float",
            Value::Str(_) => "str",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "list",
            Value::Tuple(_) => "tuple",
            Value::Dict(_) => "dict",
            Value::Set(_) => "set",
            Value::FrozenSet(_) => "frozenset",
            Value::Opaque(payload) => return payload.type_name(),
        }
        .to_owned()
    }

    /// Whether no part of it is opaque.
    ///
    /// ```
    /// use netq::pickle::{Pickled, Value};
    ///
    /// let day = Pickled::from_pickle(b"cdatetime\ndate\nC\x04\x07\xe8\x02\x1d\x85R.")?;
    /// assert!(!Value::dict([("day", day)]).is_plain());
    /// # Ok::<(), netq::pickle::PickleError>(())
    /// ```
    pub fn is_plain(&self) -> bool {
        match self {
            Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
                items.iter().all(Value::is_plain)
            }
            Value::Dict(items) => items.iter().all(|(key, value)| key.is_plain() && value.is_plain()),
            Value::Opaque(_) => false,
            _ => true,
        }
    }

    /// Whether it is `None`.
    pub fn is_none(&self) -> bool {
        matches!(self, Value::None)
    }

    /// The text, when it is a `str`.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number, when it is an `int` in the range of 64 bits. (Not a `bool`, though Python
    /// counts those as `int`.)
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The value, when it is a `bool`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, when it is a `float`, or an `int` in the range of 64 bits.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float(number) => Some(*number),
            Value::Int(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// The data, when it is a `bytes`.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(data) => Some(data),
            _ => None,
        }
    }

    /// The items, when it is a list or a tuple.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) | Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The keys and values in order, when it is a dict.
    pub fn as_dict(&self) -> Option<&[(Value, Value)]> {
        match self {
            Value::Dict(items) => Some(items),
            _ => None,
        }
    }

    /// What a dict has under a key that is a `str`.
    ///
    /// ```
    /// use netq::Value;
    ///
    /// let job = Value::dict([("depth", 2)]);
    /// assert_eq!(job.get("depth").and_then(Value::as_i64), Some(2));
    /// assert_eq!(job.get("url"), None);
    /// ```
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_dict()?.iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// A dict of pairs, in their order.
    ///
    /// ```
    /// use netq::Value;
    ///
    /// let job = Value::dict([("url", Value::from("https://example.org/")), ("depth", 2.into())]);
    /// assert_eq!(job.to_string(), "{'url': 'https://example.org/', 'depth': 2}");
    /// ```
    pub fn dict<K: Into<Value>, V: Into<Value>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Value::Dict(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}
