//! The hub's figures, as its method `stat` answers them, looked up by name.

use crate::pickle::Value;
use crate::status::history::Sample;

/// The value of this name.
pub(super) fn get<'v>(dict: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Dict(entries) = dict else { return None };
    entries.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

/// The number of this name.
pub(super) fn number(dict: &Value, name: &str) -> Option<f64> {
    match get(dict, name)? {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        _ => None,
    }
}

/// The text of this name.
pub(super) fn text<'v>(dict: &'v Value, name: &str) -> &'v str {
    get(dict, name).and_then(Value::as_str).unwrap_or_default()
}

/// The objects that have a name of their own, those of the command line: they are the same as long as the hub runs.
/// What its factories make comes and goes, and has a number in its name.
pub(super) fn named(figures: &Value) -> impl Iterator<Item = &Value> {
    objects(figures).iter().filter(|object| text(object, "name") == text(object, "type"))
}

/// How many objects the factories have made that are still there.
pub(super) fn made(figures: &Value) -> usize {
    objects(figures).len() - named(figures).count()
}

fn objects(figures: &Value) -> &[Value] {
    match get(figures, "objects") {
        Some(Value::List(objects)) => objects,
        _ => &[],
    }
}

/// What is noted of an object.
pub(super) fn sample(object: &Value) -> Sample {
    let count = |name| number(object, name).unwrap_or_default() as u64 as u32;
    Sample { length: count("length"), puts: count("puts"), gets: count("gets") }
}
