//! From [`Value`] to Rust's own types, and to structs of a program's own.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, Hash};

use super::bigint::BigInt;
use super::value::Value;

/// A [`Value`] is not of the type that was asked for (or not in its range).
///
/// ```
/// use netq::pickle::Value;
///
/// let error = String::try_from(Value::from(7)).unwrap_err();
/// assert_eq!(error.to_string(), "expected str, got int");
/// let error = Value::dict([("depth", "deep")]).take::<u8>("depth").unwrap_err();
/// assert_eq!(error.to_string(), "'depth': expected int in the range of u8, got str");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongType {
    expected: Cow<'static, str>,
    got: String,
    field: String,
}

impl WrongType {
    /// An error about a value, for an implementation of [`FromValue`].
    ///
    /// ```
    /// use netq::pickle::{Value, WrongType};
    ///
    /// let error = WrongType::new("a colour", &Value::from(7));
    /// assert_eq!(error.to_string(), "expected a colour, got int");
    /// ```
    pub fn new(expected: impl Into<Cow<'static, str>>, value: &Value) -> Self {
        Self { expected: expected.into(), got: value.type_name(), field: String::new() }
    }

    /// Where it is, in the notation of `value.take("job")?.take("url")`: `job.url`. Empty for the value itself.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The same, about a field of what the error is about.
    fn within(mut self, field: &str) -> Self {
        let dot = if self.field.is_empty() { "" } else { "." };
        self.field = format!("{field}{dot}{}", self.field);
        self
    }
}

impl fmt::Display for WrongType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "'{}': ", self.field)?;
        }
        write!(f, "expected {}, got {}", self.expected, self.got)
    }
}

impl std::error::Error for WrongType {}

/// What can be made of a [`Value`]: Rust's scalars, `Option` (of `None`), lists, tuples, sets and dicts of such, and
/// structs that say how.
///
/// ```
/// use netq::pickle::{FromValue, Value, WrongType};
///
/// #[derive(Debug, PartialEq)]
/// struct Page {
///     url: String,
///     depth: u32,
///     title: Option<String>,
///     links: Vec<String>,
///     seconds: f64,
/// }
///
/// impl FromValue for Page {
///     fn from_value(mut page: Value) -> Result<Self, WrongType> {
///         Ok(Page {
///             url: page.take("url")?,
///             depth: page.take("depth")?,
///             title: page.take("title")?,
///             links: page.take("links")?,
///             seconds: page.take("seconds")?,
///         })
///     }
/// }
///
/// impl From<Page> for Value {
///     fn from(page: Page) -> Self {
///         Value::dict([
///             ("url", page.url.into()),
///             ("depth", page.depth.into()),
///             ("title", page.title.into()),
///             ("links", page.links.into()),
///             ("seconds", Value::from(page.seconds)),
///         ])
///     }
/// }
///
/// // A Python program puts {'url': 'https://example.org/', 'depth': 1, 'links': [], 'seconds': 0.5}
/// let value = Value::dict([
///     ("url", "https://example.org/".into()),
///     ("depth", 1.into()),
///     ("links", Value::List(vec![])),
///     ("seconds", 0.5.into()),
/// ]);
/// let page = Page::from_value(value)?;
/// assert_eq!((page.depth, &page.title), (1, &None));
/// assert_eq!(Page::from_value(Value::from(page))?.seconds, 0.5);
/// let error = Page::from_value(Value::dict([("url", 7)])).unwrap_err();
/// assert_eq!(error.to_string(), "'url': expected str, got int");
/// # Ok::<(), WrongType>(())
/// ```
pub trait FromValue: Sized {
    /// Makes one.
    ///
    /// # Errors
    /// [`WrongType`], which names the field.
    fn from_value(value: Value) -> Result<Self, WrongType>;

    /// What stands for a field that is not there: for an `Option` that is `None`, for others nothing.
    fn missing() -> Option<Self> {
        None
    }

    /// Whether it is never made of a container. Then a large one, which somebody may have sent for nothing but the memory
    /// that it takes here, need not be built to be refused.
    #[doc(hidden)]
    const SCALAR: bool = false;

    /// Makes a `Vec` of a list or tuple. (`bytes` are no list of numbers.)
    #[doc(hidden)]
    fn many(value: Value) -> Result<Vec<Self>, WrongType> {
        match value {
            Value::List(items) | Value::Tuple(items) => items.into_iter().map(Self::from_value).collect(),
            other => Err(WrongType::new("list or tuple", &other)),
        }
    }
}

impl Value {
    /// Takes a field out of a dict and makes what is asked for of it.
    ///
    /// # Errors
    /// [`WrongType`], with the name of the field: when the value is no dict, has no such field (and what is asked for
    /// is no `Option`), or the field is something else.
    ///
    /// ```
    /// use netq::Value;
    ///
    /// let mut job = Value::dict([("url", Value::from("https://example.org/")), ("depth", 2.into())]);
    /// let url: String = job.take("url")?;
    /// assert_eq!((url.len(), job.take::<u8>("depth")?), (20, 2));
    /// assert_eq!(job.take::<Option<u8>>("priority")?, None);
    /// let error = job.take::<u8>("priority").unwrap_err();
    /// assert_eq!(error.to_string(), "'priority': expected a field, got dict without it");
    /// # Ok::<(), netq::pickle::WrongType>(())
    /// ```
    pub fn take<T: FromValue>(&mut self, key: &str) -> Result<T, WrongType> {
        let found = match self {
            Value::Dict(fields) => {
                let index = fields.iter().position(|(name, _)| name.as_str() == Some(key));
                index.map(|index| fields.remove(index).1)
            }
            other => return Err(WrongType::new("dict", other).within(key)),
        };
        match found {
            Some(value) => T::from_value(value).map_err(|wrong| wrong.within(key)),
            None => T::missing().ok_or_else(|| WrongType {
                expected: "a field".into(),
                got: "dict without it".into(),
                field: key.into(),
            }),
        }
    }
}

/// The type may be right and the number too large: then it says more than the type.
fn no_int(expected: &str, value: &Value) -> WrongType {
    let mut wrong = WrongType::new(format!("int in the range of {expected}"), value);
    if let Value::Int(_) | Value::BigInt(_) = value {
        wrong.got = format!("int {value}");
    }
    wrong
}

/// `TryFrom` for what has [`FromValue`]. (One for all would stand in the way of the standard library's own.)
macro_rules! try_from {
    ([$($parameters:tt)*] $type:ty) => {
        impl<$($parameters)*> TryFrom<Value> for $type {
            type Error = WrongType;

            fn try_from(value: Value) -> Result<Self, WrongType> {
                Self::from_value(value)
            }
        }
    };
}

macro_rules! ints {
    ($($int:ident),*) => {$(
        impl FromValue for $int {
            const SCALAR: bool = true;

            fn from_value(value: Value) -> Result<Self, WrongType> {
                let number = match &value {
                    Value::Int(number) => $int::try_from(*number).ok(),
                    Value::BigInt(number) => big(number).and_then(|number| match number {
                        Big::Unsigned(number) => $int::try_from(number).ok(),
                        Big::Signed(number) => $int::try_from(number).ok(),
                    }),
                    _ => None,
                };
                number.ok_or_else(|| no_int(stringify!($int), &value))
            }
        }

        try_from!([] $int);
    )*};
}

/// An integer that Rust has.
enum Big {
    Unsigned(u128),
    Signed(i128),
}

fn big(number: &BigInt) -> Option<Big> {
    if number.is_negative() {
        return number.to_i128().map(Big::Signed);
    }
    let mut bytes = [0; 17];
    bytes.get_mut(..number.as_le_bytes().len())?.copy_from_slice(number.as_le_bytes());
    // The 17th is nothing but the sign.
    let (magnitude, sign) = bytes.split_first_chunk()?;
    (sign == [0]).then(|| Big::Unsigned(u128::from_le_bytes(*magnitude)))
}

ints!(i8, i16, i32, i64, i128, isize, u16, u32, u64, u128, usize);

impl FromValue for u8 {
    const SCALAR: bool = true;

    fn from_value(value: Value) -> Result<Self, WrongType> {
        match value {
            Value::Int(number @ 0..=255) => Ok(number as u8),
            other => Err(no_int("u8", &other)),
        }
    }

    fn many(value: Value) -> Result<Vec<Self>, WrongType> {
        match value {
            Value::Bytes(data) => Ok(data),
            other => Err(WrongType::new("bytes", &other)),
        }
    }
}

try_from!([] u8);

macro_rules! scalars {
    ($($type:ty = $name:literal: $($pattern:pat $(if $guard:expr)? => $result:expr),*;)*) => {$(
        impl FromValue for $type {
            const SCALAR: bool = true;

            fn from_value(value: Value) -> Result<Self, WrongType> {
                match value {
                    $($pattern $(if $guard)? => Ok($result),)*
                    other => Err(WrongType::new($name, &other)),
                }
            }
        }

        try_from!([] $type);
    )*};
}

scalars! {
    bool = "bool": Value::Bool(value) => value;
    // An `int` is accepted, too, as nearly everywhere in Python.
    f64 = "float": Value::Float(number) => number, Value::Int(number) => number as f64;
    f32 = "float": Value::Float(number) => number as f32, Value::Int(number) => number as f32;
    String = "str": Value::Str(text) => text;
    char = "str of one character": Value::Str(text) if text.chars().count() == 1 => text.chars().next().unwrap_or_default();
    () = "NoneType": Value::None => ();
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, WrongType> {
        Ok(value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const SCALAR: bool = T::SCALAR;

    fn from_value(value: Value) -> Result<Self, WrongType> {
        match value {
            Value::None => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }

    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self, WrongType> {
        T::many(value)
    }
}

try_from!([T: FromValue] Vec<T>);

impl<T: FromValue, const N: usize> FromValue for [T; N] {
    fn from_value(value: Value) -> Result<Self, WrongType> {
        let name = value.type_name();
        T::many(value)?.try_into().map_err(|items: Vec<T>| WrongType {
            expected: format!("{N} items").into(),
            got: format!("{name} of {}", items.len()),
            field: String::new(),
        })
    }
}

try_from!([T: FromValue, const N: usize] [T; N]);

macro_rules! tuples {
    ($(($($name:ident)*))*) => {$(
        impl<$($name: FromValue),*> FromValue for ($($name,)*) {
            fn from_value(value: Value) -> Result<Self, WrongType> {
                const COUNT: usize = [$(stringify!($name)),*].len();
                let mut items = <[Value; COUNT]>::from_value(value)?.into_iter();
                Ok(($($name::from_value(items.next().unwrap_or_default())?,)*))
            }
        }

        try_from!([$($name: FromValue),*] ($($name,)*));
    )*};
}

tuples!((A)(A B)(A B C)(A B C D)(A B C D E)(A B C D E F));

/// The pairs of a dict.
fn pairs<K: FromValue, V: FromValue, M: FromIterator<(K, V)>>(value: Value) -> Result<M, WrongType> {
    let Value::Dict(pairs) = value else { return Err(WrongType::new("dict", &value)) };
    let pair = |(key, value): (Value, Value)| {
        let name = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
        Ok((K::from_value(key)?, V::from_value(value).map_err(|wrong| wrong.within(&name))?))
    };
    pairs.into_iter().map(pair).collect()
}

/// The items of a set.
fn set<T: FromValue, S: FromIterator<T>>(value: Value) -> Result<S, WrongType> {
    match value {
        Value::Set(items) | Value::FrozenSet(items) => items.into_iter().map(T::from_value).collect(),
        other => Err(WrongType::new("set or frozenset", &other)),
    }
}

macro_rules! collections {
    ($([$($parameters:tt)*] $type:ty: $from:ident;)*) => {$(
        impl<$($parameters)*> FromValue for $type {
            fn from_value(value: Value) -> Result<Self, WrongType> {
                $from(value)
            }
        }

        try_from!([$($parameters)*] $type);
    )*};
}

collections! {
    [K: FromValue + Eq + Hash, V: FromValue, S: BuildHasher + Default] HashMap<K, V, S>: pairs;
    [K: FromValue + Ord, V: FromValue] BTreeMap<K, V>: pairs;
    [T: FromValue + Eq + Hash, S: BuildHasher + Default] HashSet<T, S>: set;
    [T: FromValue + Ord] BTreeSet<T>: set;
}
