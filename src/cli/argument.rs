//! Items as words of a command line, and as bytes.

use std::borrow::Cow;
use std::ffi::OsString;

use netq::{Pickled, Value};

/// The item as a word: a text, bytes or a path as they are, a time, a decimal and the like as its text, other plain data
/// as a Python literal. `None` for what is none of these: a command that got the name of its type instead would do
/// something, but not what was meant.
pub fn word(item: &Value) -> Option<OsString> {
    match (bytes(item), item) {
        (Some(bytes), _) => raw(bytes),
        (None, Value::Opaque(object)) => path(object).or_else(|| known(object)),
        _ => item.is_plain().then(|| item.to_string().into()),
    }
}

/// The bytes of a text, as in a file's name, or of bytes.
pub fn bytes(item: &Value) -> Option<Cow<'_, [u8]>> {
    match item {
        Value::Str(text) => Some(text.as_bytes().into()),
        Value::Bytes(bytes) => Some(bytes.into()),
        Value::Opaque(object) => object.text_bytes().or_else(|| bytearray(object)).map(Cow::from),
        _ => None,
    }
}

/// The item as a line for people or scripts, where it is more than a Python literal: a text as it is, and a word when it
/// is an object that has one. Bytes are better read as a literal.
pub fn line(item: &Value) -> Option<Cow<'_, [u8]>> {
    match item {
        Value::Str(_) => bytes(item),
        Value::Opaque(object) => match bytearray(object) {
            Some(data) => Some(Value::Bytes(data).to_string().into_bytes().into()),
            None => Some(word(item)?.into_encoded_bytes().into()),
        },
        _ => None,
    }
}

/// The text of a well-known object.
#[cfg(feature = "objects")]
fn known(object: &Pickled) -> Option<OsString> {
    object.to_text().map(Into::into)
}

#[cfg(feature = "objects")]
fn bytearray(object: &Pickled) -> Option<Vec<u8>> {
    object.bytearray()
}

#[cfg(not(feature = "objects"))]
fn known(_: &Pickled) -> Option<OsString> {
    None
}

#[cfg(not(feature = "objects"))]
fn bytearray(_: &Pickled) -> Option<Vec<u8>> {
    None
}

/// A `pathlib` path, which pickles as its class and its parts.
fn path(object: &Pickled) -> Option<OsString> {
    let instance = object.decode_instance()?;
    let is_path = matches!(instance.module.as_str(), "pathlib" | "pathlib._local")
        && matches!(instance.name.as_str(), "Path" | "PosixPath" | "PurePosixPath");
    if !is_path {
        return None;
    }
    let mut path = Vec::new();
    for part in &instance.args {
        // The first may be the root.
        if !matches!(path.last(), None | Some(b'/')) {
            path.push(b'/');
        }
        path.extend_from_slice(&bytes(part)?);
    }
    // Python's empty path is this directory.
    raw(if path.is_empty() { b"."[..].into() } else { path.into() })
}

#[cfg(unix)]
fn raw(bytes: Cow<'_, [u8]>) -> Option<OsString> {
    use std::os::unix::ffi::OsStringExt;
    Some(OsString::from_vec(bytes.into_owned()))
}

/// Elsewhere words are not made of bytes.
#[cfg(not(unix))]
fn raw(bytes: Cow<'_, [u8]>) -> Option<OsString> {
    String::from_utf8(bytes.into_owned()).ok().map(Into::into)
}
