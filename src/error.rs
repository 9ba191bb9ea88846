//! What can go wrong for a program that uses netq.

use std::fmt;
use std::io;

use crate::connection::{FrameError, HandshakeError};
use crate::message::Exception;
use crate::pickle::WrongType;

/// Why a call failed. `Display` says all that happened and, where somebody can, what to do. The causes are in
/// the variants, and not in `source()`, or a report that follows it would say everything twice.
///
/// ```
/// use std::time::Duration;
/// use netq::{BaseManager, Error, Retry};
///
/// // Nobody listens there any more.
/// let address = BaseManager::new("127.0.0.1:0", b"secret").get_server()?.address();
/// let manager = BaseManager::new(address.to_string(), b"secret");
/// let error = manager.connect().unwrap_err();
/// assert!(error.is_disconnect() && !error.is_timeout() && !error.maybe_carried_out());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No item came in time. Python's `queue.Empty`.
    Empty,
    /// There was no room in time. Python's `queue.Full`.
    Full,
    /// The queue was shut down. Python's `queue.ShutDown`.
    ShutDown,
    /// The method raised another exception.
    Raised(Exception),
    /// The server has no such object: it makes none by that name, or has dropped the one that it made. Python's
    /// `RemoteError`, with a `KeyError` in its text.
    NoSuchObject(String),
    /// The object, or the server itself, has no such method. Python's `RemoteError`, with an `AttributeError` in its text.
    NoSuchMethod(String),
    /// The method's result cannot be pickled. Python's `RemoteError` too: the server replies `#UNSERIALIZABLE`.
    Unpicklable(String),
    /// The server could not carry out the request, for another reason. Python's `RemoteError`.
    RemoteTraceback(String),
    /// Nobody answers at the address.
    Connect {
        /// The address, as it was given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody answers, but the handshake failed. Python's `AuthenticationError`.
    Handshake {
        /// The address, as it was given.
        address: String,
        /// Which step of it, and why.
        source: HandshakeError,
    },
    /// The server cannot listen on the address.
    Bind {
        /// The address, as it was given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke, or no reply came in time.
    Lost {
        /// The method whose reply did not come.
        method: String,
        /// Whether the request was sent: then it is not known whether it was carried out. If not, it was not.
        sent: bool,
        /// What the system said.
        source: io::Error,
    },
    /// The peer sent what no manager sends.
    Protocol(String),
    /// What a connection had, such as an item that was got, has gone back: the connection has ended, or the hub was
    /// restarted. Nothing was done.
    Stale,
    /// The object does not have this method, which is netq's own: it is on a manager that is not netq's.
    Unsupported {
        /// The method.
        method: String,
    },
    /// What was got is not of the type that was expected of it.
    WrongType(WrongType),
    /// The program asks for what cannot be done, whatever the server is like: its own code is to be mended.
    Misuse(String),
    /// The manager's server runs already. Python's `ProcessError`.
    AlreadyStarted,
    /// The manager's server does not run.
    NotStarted,
}

impl From<Exception> for Error {
    fn from(exception: Exception) -> Self {
        match (exception.module(), exception.name()) {
            ("queue", "Empty") => Self::Empty,
            ("queue", "Full") => Self::Full,
            ("queue", "ShutDown") => Self::ShutDown,
            _ => Self::Raised(exception),
        }
    }
}

impl From<WrongType> for Error {
    fn from(wrong: WrongType) -> Self {
        Self::WrongType(wrong)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the queue stayed empty"),
            Self::Full => f.write_str("the queue stayed full"),
            Self::ShutDown => f.write_str("the queue was shut down"),
            Self::Raised(exception) => write!(f, "{exception}"),
            Self::RemoteTraceback(text) => f.write_str(text.trim_end()),
            Self::NoSuchObject(what) => write!(f, "the server has no such object: {what}"),
            Self::NoSuchMethod(what) => write!(f, "there is no such method: {what}"),
            Self::Unpicklable(text) => {
                write!(f, "the server cannot pickle the method's result: {}", last_line(text))
            }
            Self::Connect { address, source } => {
                let hint = match source.kind() {
                    io::ErrorKind::ConnectionRefused => "is it running?",
                    io::ErrorKind::TimedOut => "is its machine reachable from here, and the port open?",
                    _ => "is the address right, and reachable from here?",
                };
                write!(f, "cannot reach a hub at {address}: {source}: {hint}")
            }
            Self::Handshake { address, source } => write!(f, "{address}: {source}"),
            Self::Bind { address, source } => {
                let hint = match source.kind() {
                    io::ErrorKind::AddrInUse => ": is another program using it?",
                    io::ErrorKind::AddrNotAvailable => ": is it an address of this machine?",
                    io::ErrorKind::PermissionDenied => ": choose a port from 1024 on",
                    _ => "",
                };
                write!(f, "cannot listen on {address}: {source}{hint}")
            }
            Self::Lost { method, sent: true, source } => {
                write!(f, "the connection broke during {method}(), which may have been carried out: {source}")
            }
            Self::Lost { method, sent: false, source } => {
                write!(f, "the connection broke before {method}() was sent: {source}")
            }
            Self::Protocol(what) => write!(f, "not a manager's reply: {what}"),
            Self::Stale => f.write_str(
                "the connection that got the item has ended, or the hub was restarted: the item is not this client's any \
                 more",
            ),
            Self::Unsupported { method } => {
                write!(f, "the object has no method {method}(), which only a netq hub has")
            }
            Self::WrongType(wrong) => wrong.fmt(f),
            Self::Misuse(what) => f.write_str(what),
            Self::AlreadyStarted => f.write_str("this manager's server has been started already"),
            Self::NotStarted => f.write_str(
                "this manager has no server of its own running: to stop another program's there is shutdown_remote()",
            ),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// Whether the time was over: a queue stayed empty or full, or nobody answered.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Empty | Self::Full => true,
            Self::Connect { source, .. }
            | Self::Lost { source, .. }
            | Self::Handshake { source: HandshakeError::Frame(FrameError::Io(source)), .. } => {
                matches!(source.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
            }
            _ => false,
        }
    }

    /// Whether there is no connection to the server, or not any more, so that a later attempt may succeed. A key that is
    /// refused stays wrong.
    pub fn is_disconnect(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Lost { .. } => true,
            // A server that stops in the middle of a handshake, or has no room.
            Self::Handshake { source: HandshakeError::Frame(_), .. } => true,
            _ => false,
        }
    }

    /// Whether the call may have been carried out all the same, so that to repeat it may do twice what it does.
    pub fn maybe_carried_out(&self) -> bool {
        matches!(self, Self::Lost { sent: true, .. })
    }

    /// What a server's traceback means that has been asked for `name`, an object or one of its own methods.
    pub(crate) fn of_traceback(text: String, name: &str) -> Self {
        let last = last_line(&text);
        // CPython looks for what it does in place of the method, and so fails a second time.
        if let Some(line) = text.lines().find(|line| line.contains(" object is not in exposed=")) {
            return Self::NoSuchMethod(line.trim().to_owned());
        }
        let of_netq = last.starts_with("AttributeError: ") && last.contains("no method '");
        if of_netq || last == format!("AssertionError: '{name}' unrecognized") {
            return Self::NoSuchMethod(last.to_owned());
        }
        match last.starts_with("KeyError: ") && last.contains(&format!("'{name}'")) {
            true => Self::NoSuchObject(last.to_owned()),
            false => Self::RemoteTraceback(text),
        }
    }
}

/// What a traceback comes down to: CPython's has many lines, of which the last that is not a frame of dashes
/// names the exception.
pub fn last_line(traceback: &str) -> &str {
    let lines = traceback.lines().map(str::trim);
    lines
        .rev()
        .find(|line| !line.is_empty() && line.contains(|c| c != '-'))
        .unwrap_or("an error without a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceback_comes_down_to_its_last_line() {
        let dashes = "-".repeat(75);
        let text =
            format!("\n{dashes}\nTraceback (most recent call last):\n  x\nKeyError: 'tasks'\n{dashes}\n");
        assert_eq!(last_line(&text), "KeyError: 'tasks'");
        assert_eq!(last_line("\n---\n"), "an error without a text");
        assert!(matches!(Error::of_traceback(text.clone(), "tasks"), Error::NoSuchObject(_)));
        // Some other key, in the code of a factory.
        assert!(matches!(Error::of_traceback(text, "results"), Error::RemoteTraceback(_)));
    }

    #[test]
    fn nothing_is_said_twice() {
        let source = || io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let address = || "h:1".to_owned();
        for error in [
            Error::Connect { address: address(), source: source() },
            Error::Bind { address: address(), source: source() },
            Error::Handshake { address: address(), source: source().into() },
            Error::Lost { method: "get".into(), sent: true, source: source() },
            Error::Raised(Exception::value_error("refused")),
        ] {
            let text = error.to_string();
            assert!(
                text.matches("refused").count() == 1 && std::error::Error::source(&error).is_none(),
                "{text}"
            );
        }
    }
}
