//! Requests as the hub receives them: whose method is called, by whom, with which arguments.

use std::borrow::Cow;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use crate::connection::{Frame, is_gone};
use crate::message::{Exception, Token};
use crate::pickle::{PickleError, Pickled, Span, Value, Walker};

/// The client at the other end of the connection that a call came by.
#[derive(Clone, Debug)]
pub struct Caller {
    id: u64,
    address: SocketAddr,
    stream: Arc<TcpStream>,
}

impl Caller {
    pub(crate) fn new(id: u64, address: SocketAddr, stream: Arc<TcpStream>) -> Self {
        Self { id, address, stream }
    }

    /// The connection's number: no other connection of this server ever has it.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The peer's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the client has closed its connection while it waits for the reply: nobody would get it.
    pub fn is_gone(&self) -> bool {
        is_gone(&self.stream)
    }
}

/// The longest name of an object, a method or a parameter, in bytes: errors and log lines quote them.
const MAX_NAME: usize = 1024;

/// A request, cut into its four parts. Nothing of it is decoded yet.
pub(crate) struct Request<'a> {
    walker: &'a Walker,
    frame: Frame<'a>,
    /// Of a small frame, its own text: to find that for a second time costs more than what is done with it.
    ident: Option<Cow<'a, str>>,
    method: Cow<'a, str>,
    args: &'a [Span],
    /// Names and values, alternating.
    kwargs: &'a [Span],
}

impl<'a> Request<'a> {
    /// Finds the parts of the pickled tuple `(ident, method, args, kwargs)`.
    ///
    /// # Errors
    /// A line that says what is wrong with the message.
    pub(crate) fn parse(walker: &'a mut Walker, frame: Frame<'a>) -> Result<Self, String> {
        const SHAPE: &str = "a request must be a tuple (ident, method, args, kwargs) of a str or None, a \
                             str, a tuple or list, and a dict with str keys; and names are not longer than \
                             1,024 bytes";
        let root = walker.walk(&frame).map_err(|error| format!("UnpicklingError: {error}"))?;
        let walker: &'a Walker = walker;
        let shape = || format!("ValueError: {SHAPE}");
        let short = |text: &&str| text.len() <= MAX_NAME;
        let name = |span| match &frame {
            Frame::Small(bytes) => walker.text(bytes, span).filter(short).map(Cow::Borrowed),
            large => walker.text(large, span).filter(short).map(|text| Cow::Owned(text.to_owned())),
        };
        let &[ident, method, args, kwargs] = walker.sequence(&frame, root).ok_or_else(shape)? else {
            return Err(shape());
        };
        let (args, kwargs) =
            walker.sequence(&frame, args).zip(walker.pairs(&frame, kwargs)).ok_or_else(shape)?;
        if !kwargs.iter().step_by(2).all(|&span| walker.text(&frame, span).is_some_and(|name| short(&name))) {
            return Err(shape());
        }
        let method = name(method).ok_or_else(shape)?;
        let ident = match name(ident) {
            None if !walker.is_none(&frame, ident) => return Err(shape()),
            ident => ident,
        };
        Ok(Self { walker, frame, ident, method, args, kwargs })
    }

    /// Whose method is called; `None` for the server's own.
    pub(crate) fn ident(&self) -> Option<&str> {
        self.ident.as_deref()
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// The call that it asks for, of a method whose name is known. `data_only` refuses payloads that hold code.
    pub(crate) fn into_call(self, method: &'static str, caller: &'a Caller, data_only: bool) -> Call<'a> {
        let Self { walker, frame, args, kwargs, .. } = self;
        Call { walker, frame, method, args, kwargs, caller, data_only }
    }
}

/// One argument of a [`Call`], which knows its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Argument(Span);

/// One method call on a shared object: what [`Shared::call`](crate::Shared::call) gets.
///
/// ```
/// use netq::{Answer, Call, Exception};
///
/// /// `def add(a, b=1)`
/// fn add(call: Call<'_>) -> Result<Answer, Exception> {
///     let ([a], [b]) = call.parameters(["a"], ["b"])?;
///     let a: i64 = call.get(a)?;
///     let b: Option<i64> = call.get(b)?;
///     Ok((a + b.unwrap_or(1)).into())
/// }
/// ```
pub struct Call<'a> {
    walker: &'a Walker,
    frame: Frame<'a>,
    method: &'static str,
    args: &'a [Span],
    /// Names and values, alternating.
    kwargs: &'a [Span],
    caller: &'a Caller,
    data_only: bool,
}

impl<'a> Call<'a> {
    /// The method's name.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Who calls.
    pub fn caller(&self) -> &'a Caller {
        self.caller
    }

    /// Assigns the arguments to the method's parameters, as Python does: by position, then by name. The required ones are
    /// there; each of the optional ones, which come after them, is `None` when it was not given.
    ///
    /// # Errors
    /// Python's `TypeError` for a missing, unexpected or repeated argument.
    pub fn parameters<const R: usize, const O: usize>(
        &self,
        required: [&str; R],
        optional: [&str; O],
    ) -> Result<([Argument; R], [Option<Argument>; O]), Exception> {
        let (mut first, mut then) = ([None; R], [None; O]);
        self.assign([&required, &optional], [&mut first, &mut then])?;
        // `assign` has seen to those: for what is missing it returns an error.
        Ok((first.map(|argument| argument.expect("a required argument")), then))
    }

    /// As [`parameters`](Self::parameters), with all of them in one array. The first `required` must be given.
    ///
    /// # Errors
    /// As for [`parameters`](Self::parameters).
    pub fn bind<const N: usize>(
        &self,
        names: [&str; N],
        required: usize,
    ) -> Result<[Option<Argument>; N], Exception> {
        let mut bound = [None; N];
        self.assign(names.split_at(required).into(), bound.split_at_mut(required).into())?;
        Ok(bound)
    }

    fn assign(&self, names: [&[&str]; 2], bound: [&mut [Option<Argument>]; 2]) -> Result<(), Exception> {
        let (method, given, [required, optional]) = (self.method, self.args.len(), names);
        let [first, then] = bound;
        let most = required.len() + optional.len();
        if given > most {
            return Err(Exception::type_error(format!(
                "{method}() takes at most {most} positional arguments but {given} were given"
            )));
        }
        for (slot, &span) in first.iter_mut().chain(then.iter_mut()).zip(self.args) {
            *slot = Some(Argument(span));
        }
        for pair in self.kwargs.chunks_exact(2) {
            let name = self.walker.text(&self.frame, pair[0]).unwrap_or_default();
            let Some(position) = required.iter().chain(optional).position(|&known| known == name) else {
                return Err(Exception::type_error(format!(
                    "{method}() got an unexpected keyword argument '{name}'"
                )));
            };
            if position < given {
                return Err(Exception::type_error(format!(
                    "{method}() got multiple values for argument '{name}'"
                )));
            }
            let slot = match position.checked_sub(required.len()) {
                None => &mut first[position],
                Some(position) => &mut then[position],
            };
            *slot = Some(Argument(pair[1]));
        }
        match first.iter().position(Option::is_none) {
            None => Ok(()),
            Some(missing) => Err(Exception::type_error(format!(
                "{method}() missing required argument: '{}'",
                required[missing]
            ))),
        }
    }

    /// Whether an argument is given by this name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.kwargs.iter().step_by(2).any(|&span| self.walker.text(&self.frame, span) == Some(name))
    }

    /// The arguments by position, of a method that takes any number of them.
    #[cfg(feature = "objects")]
    pub(crate) fn positional(&self) -> impl Iterator<Item = Argument> + use<'a> {
        self.args.iter().map(|&span| Argument(span))
    }

    /// The arguments by name, of a method that takes any.
    #[cfg(feature = "objects")]
    pub(crate) fn keywords(&self) -> impl Iterator<Item = (&str, Argument)> {
        self.kwargs
            .chunks_exact(2)
            .map(|pair| (self.walker.text(&self.frame, pair[0]).unwrap_or_default(), Argument(pair[1])))
    }

    /// The keys and values of an argument that is a dict; `None` if it is something else.
    #[cfg(feature = "objects")]
    pub(crate) fn pairs(
        &self,
        argument: Argument,
    ) -> Option<impl Iterator<Item = (Argument, Argument)> + use<'a>> {
        let pairs = self.walker.pairs(&self.frame, argument.0)?;
        Some(pairs.chunks_exact(2).map(|pair| (Argument(pair[0]), Argument(pair[1]))))
    }

    /// An argument as a value, however large; what has no [`Value`] of its own comes as [`Value::Opaque`].
    ///
    /// # Errors
    /// `ValueError` if the argument cannot stand by itself.
    pub fn value(&self, argument: Argument) -> Result<Value, Exception> {
        Ok(self.walker.extract(&self.frame, argument.0).map_err(refused)?.decode())
    }

    /// An argument that is expected to be a number or a flag: a large container comes as [`Value::Opaque`],
    /// because a peer could have one built here, from each byte of its message a [`Value`], for nothing.
    pub(crate) fn small(&self, argument: Argument) -> Result<Value, Exception> {
        self.walker.decode_span(&self.frame, argument.0).map_err(refused)
    }

    pub(crate) fn is_none(&self, argument: Argument) -> bool {
        self.walker.is_none(&self.frame, argument.0)
    }

    /// An integer argument, or `default` when it was not given. Python's bools are integers too.
    ///
    /// # Errors
    /// `TypeError` if it is something else, `ValueError` if it does not fit 64 bits.
    pub fn int(&self, argument: Option<Argument>, default: i64) -> Result<i64, Exception> {
        match argument.map(|argument| self.small(argument)).transpose()? {
            None => Ok(default),
            Some(Value::Int(number)) => Ok(number),
            Some(Value::Bool(flag)) => Ok(flag.into()),
            Some(Value::BigInt(_)) => Err(Exception::value_error("the number does not fit 64 bits")),
            Some(other) => Err(self.wrong_type("an int", &other)),
        }
    }

    /// An argument's truth, as Python's `bool(argument)`, or `default` when it was not given.
    pub fn truth(&self, argument: Option<Argument>, default: bool) -> bool {
        match argument.and_then(|argument| self.small(argument).ok()) {
            None => default,
            Some(Value::None) => false,
            Some(Value::Bool(flag)) => flag,
            Some(Value::Int(number)) => number != 0,
            Some(Value::Float(number)) => number != 0.0,
            Some(Value::Str(text)) => !text.is_empty(),
            Some(Value::Bytes(bytes)) => !bytes.is_empty(),
            Some(Value::List(items) | Value::Tuple(items)) => !items.is_empty(),
            Some(Value::Set(items) | Value::FrozenSet(items)) => !items.is_empty(),
            Some(Value::Dict(items)) => !items.is_empty(),
            Some(Value::BigInt(_) | Value::Opaque(_)) => true,
        }
    }

    /// The elements of an argument that is a list or a tuple; `None` if it is something else.
    pub fn elements(&self, argument: Argument) -> Option<impl Iterator<Item = Argument> + use<'a>> {
        self.walker.sequence(&self.frame, argument.0).map(|spans| spans.iter().map(|&span| Argument(span)))
    }

    /// An argument as an opaque payload, which holds what was sent, byte for byte where possible.
    ///
    /// # Errors
    /// `ValueError` if the argument cannot stand by itself.
    pub fn opaque(&self, argument: Argument) -> Result<Pickled, Exception> {
        self.checked(self.walker.extract(&self.frame, argument.0))
    }

    /// As [`opaque`](Self::opaque), for the one argument that the object keeps: a large one stays in the
    /// memory that it arrived in.
    ///
    /// # Errors
    /// As for [`opaque`](Self::opaque).
    pub fn into_opaque(mut self, argument: Argument) -> Result<Pickled, Exception> {
        let payload = match std::mem::replace(&mut self.frame, Frame::Small(&[])) {
            Frame::Small(bytes) => self.walker.extract(bytes, argument.0),
            Frame::Large { buffer, start } => self.walker.extract_owned(buffer, start, argument.0),
        };
        self.checked(payload)
    }

    fn checked(&self, payload: Result<Pickled, PickleError>) -> Result<Pickled, Exception> {
        let payload = payload.map_err(refused)?;
        // Looking for code walks the payload once more.
        match self.data_only.then(|| payload.code()).flatten() {
            None => Ok(payload),
            Some(code) => Err(Exception::value_error(format!(
                "this hub takes only data, and the object is made by code ({code}): send lists, dicts, \
                 strings and numbers"
            ))),
        }
    }

    /// The same call without its first `count` positional arguments.
    pub(crate) fn skip(self, count: usize) -> Self {
        Self { args: self.args.get(count..).unwrap_or_default(), ..self }
    }

    /// A positional argument that must be a short str.
    pub(crate) fn name(&self, position: usize, name: &str) -> Result<String, Exception> {
        let text = self.args.get(position).and_then(|&span| self.walker.text(&self.frame, span));
        text.filter(|text| text.len() <= MAX_NAME).map(str::to_owned).ok_or_else(|| {
            Exception::type_error(format!("{}() needs a short str as its argument '{name}'", self.method()))
        })
    }

    /// The only argument, which must be a `Token`.
    pub(crate) fn token(&self) -> Result<Token, Exception> {
        let [token] = self.bind(["token"], 1)?;
        token
            .and_then(|Argument(span)| self.walker.extract(&self.frame, span).ok()?.decode_instance())
            .and_then(Token::from_instance)
            .ok_or_else(|| Exception::type_error(format!("{}() needs a Token", self.method())))
    }

    /// The `TypeError` for an argument that should have been something else.
    pub fn wrong_type(&self, expected: &str, got: &Value) -> Exception {
        Exception::type_error(format!("{}() needs {expected}, not {}", self.method(), got.type_name()))
    }

    /// The `AttributeError` for a method that the object does not have.
    pub fn unknown_method(&self) -> Exception {
        Exception::attribute_error(format!("no method {:?}", self.method()))
    }
}

fn refused(error: PickleError) -> Exception {
    Exception::value_error(format!("this object cannot be taken out of its message: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(request: &[u8]) -> Result<(Option<String>, String), String> {
        let mut walker = Walker::new();
        let request = Request::parse(&mut walker, Frame::Small(request))?;
        Ok((request.ident().map(str::to_owned), request.method().to_owned()))
    }

    #[test]
    fn a_request_has_four_parts() {
        // ('put', 'put', ('put',), {}), where Python writes the name once and then refers to it.
        let request = b"\x80\x04(\x8c\x03put\x94h\0h\0\x85}t.";
        assert_eq!(parse(request), Ok((Some("put".into()), "put".into())));
        let list = b"\x80\x04(N\x8c\x05dummy]}t.";
        assert_eq!(parse(list), Ok((None, "dummy".into())), "dispatch() may be given a list");
    }

    #[test]
    fn a_message_of_another_shape_is_refused() {
        for request in [
            &b"\x80\x04N."[..],
            b"\x80\x04(N\x8c\x05dummy)t.",
            b"\x80\x04(N\x8c\x05dummy)}Nt.",
            b"\x80\x04(K\x01\x8c\x05dummy)}t.",
            b"\x80\x04(NN)}t.",
            b"\x80\x04(N\x8c\x05dummyN}t.",
            b"\x80\x04(N\x8c\x05dummy)Nt.",
            b"\x80\x04(N\x8c\x05dummy)}(K\x01K\x02ut.",
        ] {
            let error = parse(request).unwrap_err();
            assert!(error.starts_with("ValueError: a request must be"), "{error}");
        }
        let error = parse(b"HTTP").unwrap_err();
        assert!(error.starts_with("UnpicklingError"), "{error}");
    }
}
