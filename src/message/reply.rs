//! Replies, written by the hub and read by clients; and the requests that clients send.

use std::io;

use crate::connection::{Connection, Frame};
use crate::memory::Buffer;
use crate::message::Exception;
use crate::pickle::{Instance, Pickled, Span, Value, Walker, decode_plain, encode_str};

/// `PROTO 4`, and the kind as a `SHORT_BINUNICODE`; the result's code follows, then [`END`]. The kind is
/// not memoized, so the memo numbers in a payload's code count from 0 here too.
const RETURN: &[u8] = b"\x80\x04\x8c\x07#RETURN";
const ERROR: &[u8] = b"\x80\x04\x8c\x06#ERROR";
const TRACEBACK: &[u8] = b"\x80\x04\x8c\x0a#TRACEBACK";
/// `TUPLE2`, `STOP`.
const END: &[u8] = b"\x86.";

/// Sends `#RETURN` and a value; an opaque one as it is, without a copy. Says how many bytes of code that were.
pub(crate) fn send_value(connection: &mut Connection, value: &Value) -> io::Result<usize> {
    let built: Buffer;
    let code = match value {
        // The reply to every put.
        Value::None => b"N",
        Value::Opaque(payload) => payload.as_bytes(),
        value => {
            let mut code = Buffer::from(Vec::new());
            value.encode_into(&mut code, &mut 0);
            built = code;
            &built
        }
    };
    connection.send(&[RETURN, code, END])?;
    Ok(code.len())
}

/// Sends `#ERROR`: the client raises `exception`.
pub(crate) fn send_error(connection: &mut Connection, exception: &Exception) -> io::Result<()> {
    let mut code = Vec::new();
    exception.encode_into(&mut code);
    connection.send(&[ERROR, &code, END])
}

/// Sends `#TRACEBACK`: the client raises `RemoteError(text)`.
pub(crate) fn send_traceback(connection: &mut Connection, text: &str) -> io::Result<()> {
    let mut code = Vec::new();
    // CPython frames the text with lines of dashes, and expects it to end with a line feed.
    encode_str(&format!("{text}\n"), &mut code);
    connection.send(&[TRACEBACK, &code, END])
}

/// The pickle of a request `(ident, method, args, kwargs)`, whose arguments need not be in one place.
pub(crate) fn encode_request(
    ident: Option<&str>,
    method: &str,
    args: [&[Value]; 2],
    kwargs: &[(&str, Value)],
) -> Buffer {
    // Memory for all of it at once, and where possible that of a request before: with memory fresh from the
    // system a client took 1.3 ms for a put and a get of 1 MB, and 0.34 ms without, measured. To send large
    // arguments from where they are would spare a copy, but then the lengths of the names decide where in their
    // pages they go, and with some that takes 1.6 times as long: see `FrameReader::read_large`.
    let large =
        args.iter().copied().flatten().chain(kwargs.iter().map(|(_, value)| value)).map(
            |value| match value {
                Value::Str(text) => text.len(),
                Value::Bytes(bytes) => bytes.len(),
                Value::Opaque(payload) => payload.len(),
                _ => 0,
            },
        );
    let mut out = Buffer::with_capacity(large.sum::<usize>() + 256);
    // PROTO 4, MARK, the four parts, TUPLE, STOP.
    out.extend(b"\x80\x04(");
    let mut memo = 0;
    match ident {
        Some(ident) => encode_str(ident, &mut out),
        None => out.push(b'N'),
    }
    encode_str(method, &mut out);
    // MARK, the arguments, TUPLE; the values are not cloned for it.
    out.push(b'(');
    args.iter().copied().flatten().for_each(|arg| arg.encode_into(&mut out, &mut memo));
    // TUPLE, EMPTY_DICT, MARK, the names and values, SETITEMS.
    out.extend(b"t}(");
    for (name, value) in kwargs {
        encode_str(name, &mut out);
        value.encode_into(&mut out, &mut memo);
    }
    out.extend(b"ut.");
    out
}

/// Where an object lives. Python's `multiprocessing.managers.Token`.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What kind of object it is.
    pub typeid: String,
    /// The object's name on its server. Any string.
    pub ident: String,
}

impl Token {
    /// Whether the object is still the same one after its server was restarted: netq's registered objects are, whose
    /// ident is their typeid, or an alias of it such as `tasks#2`. CPython's idents are addresses in memory.
    pub(crate) fn is_lasting(&self) -> bool {
        self.ident.strip_prefix(&self.typeid).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
    }

    /// From an instance of Python's class, whose state is `(typeid, address, ident)`.
    pub(super) fn from_instance(instance: Instance) -> Option<Self> {
        let Some(Value::Tuple(state)) = instance.state else { return None };
        match <[Value; 3]>::try_from(state).ok()? {
            [Value::Str(typeid), _, Value::Str(ident)] => Some(Self { typeid, ident }),
            _ => None,
        }
    }
}

/// A server's reply, decoded.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `#RETURN`: the method's result.
    Return(Value),
    /// `#ERROR`: the exception that the method raised.
    Error(Exception),
    /// `#TRACEBACK`: the request could not be carried out; a text for people.
    Traceback(String),
    /// `#UNSERIALIZABLE`: the result could not be pickled; the same.
    Unserializable(String),
    /// `#PROXY`: the result stays on the server as a new object with these methods.
    Proxy(Vec<String>, Token),
}

impl Reply {
    /// Decodes the pickled tuple `(kind, result)`.
    ///
    /// # Errors
    /// A line that says what is wrong with the message.
    pub(crate) fn parse(walker: &mut Walker, frame: Frame<'_>) -> Result<Self, String> {
        // What a hub of netq's replies to most calls: `None`, a number, an item that is a str.
        let plain = frame.strip_prefix(RETURN).and_then(|rest| decode_plain(rest.strip_suffix(END)?));
        if let Some(value) = plain {
            return Ok(Self::Return(value));
        }
        let root = walker.walk(&frame).map_err(|error| error.to_string())?;
        let Some(&[kind, result]) = walker.sequence(&frame, root) else {
            return Err("a reply must be a tuple (kind, result)".into());
        };
        let kind = walker.text(&frame, kind).unwrap_or_default();
        match kind {
            "#RETURN" => Ok(Self::Return(match frame {
                // Of a plain value, such as the reply to a put, nothing has to be taken out first.
                Frame::Small(bytes) => {
                    walker.decode_span(bytes, result).map_err(|error| error.to_string())?
                }
                large => opaque(walker, large, result)?.into_value(),
            })),
            "#ERROR" => {
                let error = opaque(walker, frame, result)?;
                // An exception with a state or a constructor of its own is still named.
                Ok(Self::Error(match error.decode_instance() {
                    Some(instance) => instance.into(),
                    None => Exception::new("", error.type_name(), vec![]),
                }))
            }
            "#TRACEBACK" | "#UNSERIALIZABLE" => {
                match walker.decode_span(&frame, result).map_err(|error| error.to_string())? {
                    Value::Str(text) if kind == "#TRACEBACK" => Ok(Self::Traceback(text)),
                    Value::Str(text) => Ok(Self::Unserializable(text)),
                    other => Err(format!("{kind} with {} instead of a str", other.type_name())),
                }
            }
            "#PROXY" => proxy(walker, &frame, result),
            kind => Err(format!("unknown kind of reply {kind:?}")),
        }
    }
}

fn opaque(walker: &Walker, frame: Frame<'_>, span: Span) -> Result<Pickled, String> {
    match frame {
        Frame::Small(bytes) => walker.extract(bytes, span),
        Frame::Large { buffer, start } => walker.extract_owned(buffer, start, span),
    }
    .map_err(|error| error.to_string())
}

/// `(exposed, Token)`, where the token is an instance with the state `(typeid, address, ident)`.
fn proxy(walker: &Walker, frame: &[u8], result: Span) -> Result<Reply, String> {
    let parts = || {
        let &[exposed, token] = walker.sequence(frame, result)? else { return None };
        let exposed =
            walker.sequence(frame, exposed)?.iter().map(|&name| walker.text(frame, name).map(str::to_owned));
        let token = Token::from_instance(walker.extract(frame, token).ok()?.decode_instance()?)?;
        Some(Reply::Proxy(exposed.collect::<Option<_>>()?, token))
    };
    parts().ok_or_else(|| "#PROXY without (exposed, token)".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(reply: &[u8]) -> Result<Reply, String> {
        Reply::parse(&mut Walker::new(), Frame::Small(reply))
    }

    #[test]
    fn cpython_s_replies_are_understood() {
        // Pickled by CPython 3.11.
        let proxy = b"\x80\x04\x95g\0\0\0\0\0\0\0\x8c\x06#PROXY\x94\x8c\x03get\x94\x8c\x03put\x94\x86\x94\
            \x8c\x18multiprocessing.managers\x94\x8c\x05Token\x94\x93\x94)\x81\x94\x8c\x05Queue\x94\
            \x8c\t127.0.0.1\x94MA\x1f\x86\x94\x8c\x047f00\x94\x87\x94b\x86\x94\x86\x94.";
        let token = Token { typeid: "Queue".into(), ident: "7f00".into() };
        assert_eq!(parse(proxy), Ok(Reply::Proxy(vec!["get".into(), "put".into()], token)));

        let error = b"\x80\x04\x95.\0\0\0\0\0\0\0\x8c\x06#ERROR\x94\x8c\x08builtins\x94\x8c\nValueError\x94\
            \x93\x94\x8c\x01x\x94\x85\x94R\x94\x86\x94.";
        assert_eq!(parse(error), Ok(Reply::Error(Exception::value_error("x"))));

        let with_state = b"\x80\x04\x951\0\0\0\0\0\0\0\x8c\x06#ERROR\x94\x8c\x08__main__\x94\x8c\x03MyE\x94\
            \x93\x94\x8c\x01x\x94\x85\x94R\x94}\x94\x8c\x01b\x94K\x01sb\x86\x94.";
        assert_eq!(parse(with_state), Ok(Reply::Error(Exception::new("__main__", "MyE", vec!["x".into()]))));

        let traceback = b"\x80\x04\x8c\x0a#TRACEBACK\x8c\x04oops\x86.";
        assert_eq!(parse(traceback), Ok(Reply::Traceback("oops".into())));
    }

    #[test]
    fn what_is_registered_with_netq_lasts_and_what_is_made_or_cpython_s_does_not() {
        let lasts = |ident: &str| Token { typeid: "tasks".into(), ident: ident.into() }.is_lasting();
        assert!(lasts("tasks") && lasts("tasks#2"));
        assert!(!lasts("tasks-7-5f3a9c01") && !lasts("7f00") && !lasts("tasks2"));
    }

    #[test]
    fn plain_replies_and_others_that_begin_and_end_like_them_are_told_apart() {
        for (result, expected) in [
            (&b"N"[..], Value::None),
            (b"K\x07", 7.into()),
            (b"\x8c\x01a", "a".into()),
            (b"\x8c\x01a\x94", "a".into()),
            (b"]\x94(K\x01K\x02e", vec![Value::from(1), 2.into()].into()),
            (b"\x8c\x01a\x94h\x00\x86", ("a", "a").into()),
        ] {
            assert_eq!(parse(&[RETURN, result, END].concat()), Ok(Reply::Return(expected)));
        }
        for wrong in [&b""[..], b"NN", b"\x94", b"K", b"\x8c\x05a", b"N\x94\x94\x94K"] {
            let error = parse(&[RETURN, wrong, END].concat());
            assert!(error.is_err(), "{wrong:?}: {error:?}");
        }
    }

    #[test]
    fn what_is_no_reply_is_refused_with_a_reason() {
        for (reply, reason) in [
            (&b"\x80\x04N."[..], "a reply must be a tuple"),
            (b"\x80\x04NNN\x87.", "a reply must be a tuple"),
            (b"\x80\x04\x8c\x03bad\x4e\x86.", "unknown kind of reply \"bad\""),
            (b"\x80\x04\x8c\x0a#TRACEBACK\x4e\x86.", "#TRACEBACK with NoneType"),
            (b"\x80\x04\x8c\x06#PROXY\x4e\x86.", "#PROXY without"),
            (b"GET / HTTP/1.1", ""),
        ] {
            let error = parse(reply).unwrap_err();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
