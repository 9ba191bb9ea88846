//! Python exceptions as values: what a method raises, and what a client is handed.

use std::borrow::Cow;
use std::fmt;

use crate::pickle::{Instance, Value, WrongType, encode_str};

/// An instance of a Python exception: its class, by module and name, and its arguments.
///
/// A method of a shared object returns one to raise it in the caller, where a Python client gets the real
/// thing (`except queue.Full`) and a Rust client gets [`Error`](crate::Error).
///
/// ```
/// use netq::Exception;
/// let error = Exception::value_error("the rate must be positive");
/// assert_eq!(error.to_string(), "ValueError: the rate must be positive");
/// let own = Exception::new("myapp.errors", "QuotaExceeded", vec![5.into()]);
/// assert_eq!(own.to_string(), "myapp.errors.QuotaExceeded: 5");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    module: Cow<'static, str>,
    name: Cow<'static, str>,
    args: Vec<Value>,
}

impl Exception {
    /// An instance of the class `name` in `module`, which the receiving Python must be able to import.
    pub fn new(
        module: impl Into<Cow<'static, str>>,
        name: impl Into<Cow<'static, str>>,
        args: Vec<Value>,
    ) -> Self {
        Self { module: module.into(), name: name.into(), args }
    }

    fn builtin(name: &'static str, message: impl Into<String>) -> Self {
        Self::new("builtins", name, vec![Value::Str(message.into())])
    }

    /// Python's `ValueError(message)`: a right type with a wrong value.
    pub fn value_error(message: impl Into<String>) -> Self {
        Self::builtin("ValueError", message)
    }

    /// Python's `TypeError(message)`: an argument of the wrong type, or a wrong number of them.
    pub fn type_error(message: impl Into<String>) -> Self {
        Self::builtin("TypeError", message)
    }

    /// Python's `KeyError(message)`: nothing has that name.
    pub fn key_error(message: impl Into<String>) -> Self {
        Self::builtin("KeyError", message)
    }

    /// Python's `AttributeError(message)`: the object has no such method.
    pub fn attribute_error(message: impl Into<String>) -> Self {
        Self::builtin("AttributeError", message)
    }

    /// Python's `RuntimeError(message)`: it could not be done.
    pub fn runtime_error(message: impl Into<String>) -> Self {
        Self::builtin("RuntimeError", message)
    }

    /// Python's `queue.Empty()`.
    pub fn empty() -> Self {
        Self::new("queue", "Empty", vec![])
    }

    /// Python's `queue.Full()`.
    pub fn full() -> Self {
        Self::new("queue", "Full", vec![])
    }

    /// Python's `queue.ShutDown()`, which exists from Python 3.13 on.
    pub fn shut_down() -> Self {
        Self::new("queue", "ShutDown", vec![])
    }

    /// The module that defines the class, such as `builtins` or `queue`.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// The class's name, such as `ValueError`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the exception was made with, Python's `args`.
    pub fn args(&self) -> &[Value] {
        &self.args
    }

    /// Whether this is an instance of exactly that class.
    pub fn is(&self, module: &str, name: &str) -> bool {
        self.module == module && self.name == name
    }

    /// The text alone, as Python's `str(error)` gives it.
    pub fn message(&self) -> String {
        match &self.args[..] {
            [] => String::new(),
            [Value::Str(text)] if self.name != "KeyError" => text.clone(),
            [one] => one.to_string(),
            many => Value::Tuple(many.to_vec()).to_string(),
        }
    }

    /// Appends the pickle code that makes this exception, without start or end.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        const STACK_GLOBAL: u8 = 0x93;
        const REDUCE: u8 = b'R';
        encode_str(&self.module, out);
        encode_str(&self.name, out);
        out.push(STACK_GLOBAL);
        Value::Tuple(self.args.clone()).encode_into(out, &mut 0);
        out.push(REDUCE);
    }
}

/// Python's `TypeError`, for a method that was given something else.
impl From<WrongType> for Exception {
    fn from(wrong: WrongType) -> Self {
        Self::type_error(wrong.to_string())
    }
}

impl From<Instance> for Exception {
    fn from(instance: Instance) -> Self {
        // CPython's accelerator module is where `queue.Empty` says that it lives.
        let module = if instance.module == "_queue" { "queue".into() } else { instance.module.into() };
        Self { module, name: instance.name.into(), args: instance.args }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.module != "builtins" {
            write!(f, "{}.", self.module)?;
        }
        write!(f, "{}", self.name)?;
        match self.message() {
            text if text.is_empty() => Ok(()),
            text => write!(f, ": {text}"),
        }
    }
}

impl std::error::Error for Exception {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_python_prints() {
        assert_eq!(Exception::full().to_string(), "queue.Full");
        assert_eq!(Exception::key_error("x").to_string(), "KeyError: 'x'");
        let two = Exception::new("builtins", "OSError", vec![2.into(), "gone".into()]);
        assert_eq!(two.to_string(), "OSError: (2, 'gone')");
    }
}
