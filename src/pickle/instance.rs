//! Reading an instance apart: which class, with which arguments, in which state.

use super::describe::global;
use super::opcode::Kind;
use super::payload::Pickled;
use super::value::Value;
use super::walk::Walker;

/// How an instance is made: `module.name(*args)`, then its state is set.
///
/// This is what REDUCE, NEWOBJ and BUILD say. Nothing is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// The module of the class (or of the function that makes the instance).
    pub module: String,
    /// Its qualified name.
    pub name: String,
    /// The positional arguments.
    pub args: Vec<Value>,
    /// What is given to `__setstate__`, or updates `__dict__`.
    pub state: Option<Value>,
}

impl Pickled {
    /// How the object is made, when it is an instance of a class; `None` for basic types and for
    /// what is made in other ways.
    ///
    /// ```
    /// use netq::pickle::{Pickled, Value};
    ///
    /// let error = b"\x80\x04\x8c\x08builtins\x94\x8c\x08KeyError\x94\x93\x94\x8c\x01x\x85R.";
    /// let instance = Pickled::from_pickle(error)?.decode_instance().unwrap();
    /// assert_eq!((&*instance.module, &*instance.name), ("builtins", "KeyError"));
    /// assert_eq!(instance.args, [Value::from("x")]);
    /// # Ok::<(), netq::pickle::PickleError>(())
    /// ```
    pub fn decode_instance(&self) -> Option<Instance> {
        let bytes = self.as_bytes();
        let mut walker = Walker::new();
        let root = walker.walk_code(bytes).ok()?;
        let (Kind::Instance, &[callable, args, ref states @ ..]) = walker.elements(bytes, root)? else {
            return None;
        };
        let state = states.last().copied();
        let (module, name) = global(&walker, bytes, callable)?;
        let args = match walker.elements(bytes, args) {
            Some((Kind::Tuple, args)) => args.to_vec(),
            _ => return None,
        };
        let mut decode = |span| walker.decode_span(bytes, span).ok();
        Some(Instance {
            args: args.into_iter().map(&mut decode).collect::<Option<_>>()?,
            state: match state {
                Some(span) => Some(decode(span)?),
                None => None,
            },
            module: module.to_owned(),
            name: name.to_owned(),
        })
    }
}
