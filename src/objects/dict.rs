//! A dict that programs on many machines share: Python's `DictProxy` calls it.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::message::{Argument, Call, Exception};
use crate::objects::table::{Entry, Table};
use crate::pickle::{Key, Pickled, Value};
use crate::shared::{Again, Answer, Kind, Shared};

/// What `DictProxy` calls, of all Pythons up to 3.14.
const EXPOSED: &[&str] = &[
    "__contains__",
    "__delitem__",
    "__getitem__",
    "__ior__",
    "__iter__",
    "__len__",
    "__or__",
    "__reversed__",
    "__ror__",
    "__setitem__",
    "clear",
    "copy",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];

/// From how many bytes on the text of a dict is cut off.
const MAX_TEXT: usize = 16 << 20;

/// A dict, in the list of what a hub makes.
pub(crate) const KIND: Kind =
    Kind { typeid: "dict", what: "a dict", arguments: "...", own: &["setdefault", "popitem"], again, make };

fn again(method: &str) -> Again {
    match method {
        "__contains__" | "__getitem__" | "__iter__" | "__len__" | "__or__" | "__reversed__" | "__ror__"
        | "copy" | "get" | "items" | "keys" | "values" => Again::NoHarm,
        _ => Again::Harm,
    }
}

fn make(call: Call<'_>, max_bytes: Option<usize>) -> Result<Arc<dyn Shared>, Exception> {
    let dict = SharedDict::with_memory(max_bytes);
    update(&mut dict.table(), &call, first(&call)?)?;
    Ok(dict)
}

/// A dict whose keys Python could hash, and whose values are any objects. Python's `SyncManager.dict`.
///
/// Keys are the same where Python says so: `1`, `1.0` and `True` are one. An instance of a class cannot be a key: only
/// its own code knows what it is equal to, and the hub runs none. An iterator gives the keys that there were
/// when it was made.
///
/// ```
/// use netq::{BaseManager, SharedDict, Value};
///
/// let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
/// hub.register("settings", SharedDict::new());
/// hub.start()?;
///
/// // In Python: settings = m.settings(); settings['rate'] = 5
/// let settings = hub.proxy("settings", &[])?;
/// settings.call("__setitem__", &["rate".into(), 5.into()])?;
/// assert_eq!(settings.call("get", &["rate".into()])?, Value::Int(5));
/// # Ok::<(), netq::Error>(())
/// ```
pub struct SharedDict(Mutex<Table>);

impl SharedDict {
    /// An empty dict.
    pub fn new() -> Arc<Self> {
        Self::with_memory(None)
    }

    /// An empty dict that keeps at most so many bytes: beyond that who adds to it gets `MemoryError`.
    pub fn with_memory(max_bytes: Option<usize>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Table::new(max_bytes.unwrap_or(usize::MAX)))))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is about one key.
    fn item(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        let method = call.method();
        let [name, value] = match method {
            "__setitem__" => call.bind(["key", "value"], 2)?,
            "get" | "pop" | "setdefault" => call.bind(["key", "default"], 1)?,
            _ => call.bind(["key"], 1).map(|[key]| [key, None])?,
        };
        let Some(name) = name else { return Err(call.unknown_method()) };
        let given = value.map(|value| call.opaque(value)).transpose()?;
        let none = || Value::None.to_pickled();
        // Python does not ask whether it could be a key then.
        if method == "pop" && self.table().len() == 0 {
            let asked = call.opaque(name)?;
            return given.map(Answer::from).ok_or_else(|| no_key(asked.into()));
        }
        let (key, asked) = key(call, name)?;
        let mut table = self.table();
        let known = table.get(&key).cloned();
        match (method, known) {
            ("__contains__", known) => Ok(known.is_some().into()),
            ("__setitem__", _) => {
                let value = given.unwrap_or_else(none);
                table.set(Entry { key, name: call.opaque(name)?, value })?;
                Ok(Value::None.into())
            }
            ("setdefault", None) => {
                let value = given.unwrap_or_else(none);
                table.set(Entry { key, name: call.opaque(name)?, value: value.clone() })?;
                Ok(value.into())
            }
            ("get", None) => Ok(given.unwrap_or_else(none).into()),
            ("pop", None) if given.is_some() => Ok(given.unwrap_or_else(none).into()),
            (_, None) => Err(no_key(asked)),
            ("pop", Some(value)) => {
                table.remove(&key);
                Ok(value.into())
            }
            ("__delitem__", Some(_)) => {
                table.remove(&key);
                Ok(Value::None.into())
            }
            (_, Some(value)) => Ok(value.into()),
        }
    }

    /// What is about all of it.
    fn whole(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        call.bind([], 0)?;
        let mut table = self.table();
        let answer = match call.method() {
            "__len__" => table.len().into(),
            "keys" => Value::List(table.iter().map(name).collect()),
            "values" => Value::List(table.iter().map(|entry| entry.value.clone().into()).collect()),
            "items" => Value::List(table.iter().map(|entry| Value::Tuple(pair(entry).into())).collect()),
            "__iter__" => iterator(table.iter().map(name).collect())?,
            "__reversed__" => iterator(table.iter().rev().map(name).collect())?,
            "copy" => dict(&table),
            "clear" => {
                *table = table.cleared();
                Value::None
            }
            "popitem" => match table.pop() {
                Some(entry) => Value::Tuple(pair(&entry).into()),
                None => return Err(Exception::key_error("popitem(): dictionary is empty")),
            },
            _ => return Err(call.unknown_method()),
        };
        Ok(answer.into())
    }

    /// `self | other`, `other | self` and `self |= other`.
    fn or(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        let [other] = call.bind(["value"], 1)?;
        let is_dict = other.is_some_and(|other| call.pairs(other).is_some());
        if !is_dict && call.method() != "__ior__" {
            return Err(Exception::type_error("unsupported operand type(s) for |: a dict is needed"));
        }
        let mut table = self.table();
        let mut sum = match call.method() {
            "__or__" => table.clone(),
            "__ror__" => table.cleared(),
            _ => {
                update(&mut table, call, other)?;
                return Ok(dict(&table).into());
            }
        };
        update(&mut sum, call, other)?;
        if call.method() == "__ror__" {
            table.iter().try_for_each(|entry| sum.set(entry.clone()))?;
        }
        Ok(dict(&sum).into())
    }
}

impl Shared for SharedDict {
    fn exposed(&self) -> &[&'static str] {
        EXPOSED
    }

    fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
        match call.method() {
            "__contains__" | "__delitem__" | "__getitem__" | "__setitem__" | "get" | "pop" | "setdefault" => {
                self.item(&call)
            }
            "update" => {
                update(&mut self.table(), &call, first(&call)?)?;
                Ok(Value::None.into())
            }
            "__or__" | "__ror__" | "__ior__" => self.or(&call),
            _ => self.whole(&call),
        }
    }

    fn describe(&self) -> String {
        // Written without the lock: it takes time.
        let pairs: Vec<_> =
            self.table().iter().map(|entry| (entry.name.clone(), entry.value.clone())).collect();
        let mut text = String::from("{");
        for (index, (name, value)) in pairs.iter().enumerate() {
            text += if index > 0 { ", " } else { "" };
            // A small payload may be large when it is written down, and there may be many.
            if text.len() > MAX_TEXT {
                text += "...";
                break;
            }
            // To a `String` it does not fail.
            let _ = write!(text, "{}: {}", name.decode(), value.decode());
        }
        text + "}"
    }

    fn value(&self) -> Result<Value, Exception> {
        Ok(dict(&self.table()))
    }
}

impl fmt::Debug for SharedDict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedDict(len {})", self.table().len())
    }
}

fn no_key(key: Value) -> Exception {
    Exception::new("builtins", "KeyError", vec![key])
}

fn name(entry: &Entry) -> Value {
    entry.name.clone().into()
}

fn pair(entry: &Entry) -> [Value; 2] {
    [name(entry), entry.value.clone().into()]
}

fn dict(table: &Table) -> Value {
    Value::Dict(table.iter().map(|entry| (name(entry), entry.value.clone().into())).collect())
}

/// Python's `iter([...])`, which the caller has for itself: CPython's manager keeps one for it, and each step is a
/// call.
fn iterator(items: Vec<Value>) -> Result<Value, Exception> {
    let mut pickle = b"\x80\x04cbuiltins\niter\n".to_vec();
    Value::List(items).encode_into(&mut pickle, &mut 0);
    // TUPLE1, REDUCE, STOP
    pickle.extend(b"\x85R.");
    let iterator = Pickled::from_pickle(&pickle);
    iterator.map(Value::from).map_err(|error| Exception::runtime_error(error.to_string()))
}

/// An argument as a key, and as a value, for the error.
fn key(call: &Call<'_>, argument: Argument) -> Result<(Key, Value), Exception> {
    let value = match call.small(argument)? {
        // Perhaps only large.
        Value::Opaque(payload) => payload.decode(),
        value => value,
    };
    Ok((hashed(&value)?, value))
}

fn hashed(value: &Value) -> Result<Key, Exception> {
    Key::new(value).map_err(|error| Exception::type_error(error.to_string()))
}

/// The one positional argument of `dict` and `update`.
fn first(call: &Call<'_>) -> Result<Option<Argument>, Exception> {
    let mut arguments = call.positional();
    let first = arguments.next();
    match arguments.count() {
        0 => Ok(first),
        more => {
            let (method, given) = (call.method(), more + 1);
            let method = if method == "update" { "update" } else { "dict" };
            Err(Exception::type_error(format!("{method} expected at most 1 argument, got {given}")))
        }
    }
}

/// Adds what a dict, or a list of pairs, holds, and the call's keywords. What comes before an error stays, as
/// in Python.
fn update(table: &mut Table, call: &Call<'_>, argument: Option<Argument>) -> Result<(), Exception> {
    if let Some(argument) = argument {
        if let Some(pairs) = call.pairs(argument) {
            for (name, value) in pairs {
                let (key, _) = key(call, name)?;
                table.set(Entry { key, name: call.opaque(name)?, value: call.opaque(value)? })?;
            }
        } else if let Some(elements) = call.elements(argument) {
            for (index, element) in elements.enumerate() {
                let element = call.opaque(element)?;
                table.set(entry(index, &element)?)?;
            }
        } else {
            let value = call.value(argument)?;
            let not_iterable = || {
                Exception::type_error(match &value {
                    Value::Opaque(_) => format!(
                        "netq cannot take a '{}' apart: it runs no code of classes; give a dict or a list of pairs",
                        value.type_name()
                    ),
                    _ => format!("'{}' object is not iterable", value.type_name()),
                })
            };
            for (index, element) in iterate(&value).ok_or_else(not_iterable)?.iter().enumerate() {
                table.set(entry(index, &element.to_pickled())?)?;
            }
        }
    }
    for (name, value) in call.keywords() {
        let name = Value::from(name);
        table.set(Entry { key: hashed(&name)?, name: name.to_pickled(), value: call.opaque(value)? })?;
    }
    Ok(())
}

/// One element of a list of pairs.
fn entry(index: usize, element: &Pickled) -> Result<Entry, Exception> {
    let parts = element
        .elements()
        .or_else(|| iterate(&element.decode()).map(|parts| parts.iter().map(Value::to_pickled).collect()));
    let Some(parts) = parts else {
        return Err(Exception::type_error(format!(
            "cannot convert dictionary update sequence element #{index} to a sequence"
        )));
    };
    let count = parts.len();
    let [name, value] = <[Pickled; 2]>::try_from(parts).map_err(|_| {
        let what = "dictionary update sequence element";
        Exception::value_error(format!("{what} #{index} has length {count}; 2 is required"))
    })?;
    Ok(Entry { key: hashed(&name.decode())?, name, value })
}

/// What Python's `iter(value)` gives; `None` if it gives nothing.
fn iterate(value: &Value) -> Option<Vec<Value>> {
    Some(match value {
        Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
            items.clone()
        }
        Value::Dict(pairs) => pairs.iter().map(|(key, _)| key.clone()).collect(),
        Value::Str(text) => text.chars().map(|c| c.to_string().into()).collect(),
        Value::Bytes(bytes) => bytes.iter().map(|&byte| byte.into()).collect(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_payloads_that_are_larger_than_they_look_is_bounded() {
        // A list of 16 lists, each the same one of 16, and so on: 65,536 items in a hundred bytes.
        let mut code = b"K\x01\x94".to_vec();
        for level in 0..4 {
            code.splice(..0, *b"](");
            code.extend([b'h', level].repeat(15));
            code.extend(b"e\x94");
        }
        let value = Pickled::from_pickle(&[&code[..], b"."].concat()).unwrap();
        assert!(value.len() < 300 && value.decode().to_string().len() > 190_000);
        let dict = SharedDict::new();
        for number in 0..200 {
            let name = Value::from(number);
            let entry = Entry { key: hashed(&name).unwrap(), name: name.to_pickled(), value: value.clone() };
            dict.table().set(entry).unwrap();
        }
        let text = dict.describe();
        assert!((MAX_TEXT..MAX_TEXT + 400_000).contains(&text.len()) && text.ends_with(", ...}"));
    }
}
