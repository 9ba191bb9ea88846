//! Arguments as Rust's types: by what they are, and numbers and times by Python's rules.

use std::time::Duration;

use super::{Argument, Call, Exception};
use crate::pickle::{FromValue, Value};

impl Call<'_> {
    /// An argument as any type that a [`Value`] can be turned into: a Rust scalar, a `Vec` or a map, or a struct that says
    /// how. One that was not given is Python's `None`, and so an `Option`.
    ///
    /// # Errors
    /// `TypeError` if it is something else; of a struct it names the field.
    ///
    /// ```
    /// use netq::{Answer, Call, Exception};
    ///
    /// /// `def fetch(urls, depth=None)`
    /// fn fetch(call: Call<'_>) -> Result<Answer, Exception> {
    ///     let ([urls], [depth]) = call.parameters(["urls"], ["depth"])?;
    ///     let urls: Vec<String> = call.get(urls)?;
    ///     let depth: Option<u8> = call.get(depth)?;
    ///     Ok((urls.len() + usize::from(depth.unwrap_or(3))).into())
    /// }
    /// ```
    pub fn get<T: FromValue>(&self, argument: impl Into<Option<Argument>>) -> Result<T, Exception> {
        let value = match argument.into() {
            None => Value::None,
            Some(argument) if T::SCALAR => self.small(argument)?,
            Some(argument) => self.value(argument)?,
        };
        T::from_value(value).map_err(|wrong| Exception::type_error(format!("{}(): {wrong}", self.method())))
    }

    /// An argument that is a str; `None` if it is Python's, or not given.
    ///
    /// # Errors
    /// `TypeError` if it is something else.
    pub fn text(&self, argument: impl Into<Option<Argument>>) -> Result<Option<String>, Exception> {
        self.get(argument)
    }

    /// An argument that is a number, as Python's functions with float parameters take it: a float, an int or a bool;
    /// `None` if it is Python's, or not given.
    ///
    /// # Errors
    /// `TypeError` if it is something else, or an int of more than 64 bits.
    ///
    /// ```
    /// use netq::{Answer, Call, Exception};
    ///
    /// /// `def half(x=1.0)`
    /// fn half(call: Call<'_>) -> Result<Answer, Exception> {
    ///     let ([], [x]) = call.parameters([], ["x"])?;
    ///     let x = call.float(x)?.unwrap_or(1.0);
    ///     Ok(netq::Value::Float(x / 2.0).into())
    /// }
    /// ```
    pub fn float(&self, argument: Option<Argument>) -> Result<Option<f64>, Exception> {
        self.number(argument, "a number")
    }

    fn number(&self, argument: Option<Argument>, expected: &str) -> Result<Option<f64>, Exception> {
        match argument.map(|argument| self.small(argument)).transpose()? {
            None | Some(Value::None) => Ok(None),
            Some(Value::Int(number)) => Ok(Some(number as f64)),
            Some(Value::Bool(flag)) => Ok(Some(f64::from(u8::from(flag)))),
            Some(Value::Float(number)) => Ok(Some(number)),
            Some(other) => Err(self.wrong_type(expected, &other)),
        }
    }

    /// An argument that is a number of seconds, as `queue.Queue` takes its `timeout`; `None`, which is for ever, if it
    /// is Python's, or not given. More seconds than any clock counts are the longest [`Duration`].
    ///
    /// # Errors
    /// `TypeError` if it is no number; `ValueError`, with its name, if it is negative or not a number (NaN).
    ///
    /// ```
    /// use netq::{Answer, Call, Exception};
    /// use netq::queue::{Monitor, Wait};
    ///
    /// /// `def wait(timeout=None)`, of an event
    /// fn wait(event: &Monitor<bool>, call: Call<'_>) -> Result<Answer, Exception> {
    ///     let ([], [timeout]) = call.parameters([], ["timeout"])?;
    ///     let time = call.seconds(timeout, "timeout")?.map_or(Wait::forever(), Wait::at_most);
    ///     let there = || !call.caller().is_gone();
    ///     let is_set = event.wait(0, time.while_alive(&there), |set, _| set.then_some(()));
    ///     Ok(is_set.is_ok().into())
    /// }
    /// ```
    pub fn seconds(&self, argument: Option<Argument>, name: &str) -> Result<Option<Duration>, Exception> {
        let Some(seconds) = self.number(argument, &format!("a number of seconds as its {name}"))? else {
            return Ok(None);
        };
        if seconds < 0.0 || seconds.is_nan() {
            return Err(Exception::value_error(format!("'{name}' must be a non-negative number")));
        }
        // No clock counts up to what does not fit.
        Ok(Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)))
    }

    /// How long the arguments `block=True` and `timeout=None` of `queue.Queue`'s methods allow to wait; `None` for ever.
    /// As there, the timeout is not looked at if the call must not block.
    ///
    /// # Errors
    /// As for [`seconds`](Self::seconds).
    ///
    /// ```
    /// use netq::{Answer, Call, Exception};
    ///
    /// /// `def get(block=True, timeout=None)`
    /// fn get(call: Call<'_>) -> Result<Answer, Exception> {
    ///     let ([], [block, timeout]) = call.parameters([], ["block", "timeout"])?;
    ///     let limit = call.limit(block, timeout)?;
    ///     Ok(limit.is_some().into())
    /// }
    /// ```
    pub fn limit(
        &self,
        block: Option<Argument>,
        timeout: Option<Argument>,
    ) -> Result<Option<Duration>, Exception> {
        if !self.truth(block, true) {
            return Ok(Some(Duration::ZERO));
        }
        self.seconds(timeout, "timeout")
    }
}
