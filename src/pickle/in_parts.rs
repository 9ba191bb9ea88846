//! Containers with parts that are no values: an instance in a dict does not hide the dict.

use super::decode::{Decoder, atom, pairs};
use super::opcode::Kind;
use super::parts::Span;
use super::payload::Pickled;
use super::value::Value;
use super::walk::Walker;

/// How deep a part may be that is no value.
const MAX_DEPTH: u8 = 16;

/// The value of a container; `None` for other objects, and for those that [`of_container`] does not take apart.
pub(super) fn value(payload: &Pickled, allowance: usize) -> Option<Value> {
    let mut allowance = allowance + usize::from(MAX_DEPTH) * payload.len();
    of_container(payload, &mut allowance, MAX_DEPTH).filter(|value| !matches!(value, Value::Opaque(_)))
}

/// The value of a container that has parts which are no values, each of them opaque; of what is no container, all is.
///
/// `None` when a part refers to what holds it: such a container has no end, or another object would lose what it is a
/// part of.
fn of_container(payload: &Pickled, allowance: &mut usize, depth: u8) -> Option<Value> {
    let (mut walker, code) = (Walker::new(), payload.as_bytes());
    let root = walker.walk_code(code).ok()?;
    let (kind, spans) = match walker.elements(code, root) {
        Some((kind @ (Kind::Tuple | Kind::List | Kind::Dict | Kind::Set | Kind::FrozenSet), spans)) => {
            (kind, spans)
        }
        _ => return Some(Value::Opaque(payload.clone())),
    };
    let depth = depth.checked_sub(1)?;
    let mut values = Vec::new();
    for &span in spans {
        *allowance = allowance.checked_sub(span.len())?;
        if walker.refers_around(span) {
            return None;
        }
        values.push(match walker.atom(code, span).as_ref().and_then(atom) {
            Some(value) => value,
            None => {
                let part = walker.extract(code, span).ok()?;
                let mut decoder = Decoder::new(*allowance);
                let value = decoder.run(&part);
                *allowance = decoder.allowance.checked_sub(part.len())?;
                match value {
                    Some(value) => value,
                    None => of_container(&part, allowance, depth)?,
                }
            }
        });
    }
    match kind {
        Kind::Tuple => Some(Value::Tuple(values)),
        Kind::List => Some(Value::List(values)),
        Kind::Set => Some(Value::Set(values)),
        Kind::FrozenSet => Some(Value::FrozenSet(values)),
        _ => pairs(values).map(Value::Dict),
    }
}

impl Walker {
    /// Whether the code at `span` refers to an object that holds it.
    fn refers_around(&self, span: Span) -> bool {
        let first = self.references.partition_point(|r| r.at < span.start);
        self.references[first..].iter().take_while(|r| r.at < span.end).any(|r| {
            let definition = self.memo.definitions[r.definition as usize];
            definition.start < span.start && r.at < definition.end
        })
    }
}
