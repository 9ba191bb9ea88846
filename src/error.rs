//! What can go wrong for a program that uses netq.

use std::fmt;
use std::io;

use crate::connection::HandshakeError;
use crate::message::Exception;
use crate::pickle::WrongType;

/// Why a call failed. `Display` says what happened and, where somebody can, what to do.
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
    /// The server could not carry out the request at all. Python's `RemoteError`.
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
    /// The connection broke, and whether the call was carried out is not known.
    Lost {
        /// The method whose reply did not come.
        method: String,
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
            Self::Connect { address, source } => {
                write!(
                    f,
                    "cannot reach a hub at {address}: {source}: is it running, and reachable from here?"
                )
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
            Self::Lost { method, source } => {
                write!(f, "the connection broke during {method}(), which may have been carried out: {source}")
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

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Raised(exception) => Some(exception),
            Self::Connect { source, .. } | Self::Bind { source, .. } | Self::Lost { source, .. } => {
                Some(source)
            }
            Self::Handshake { source, .. } => Some(source),
            Self::WrongType(wrong) => Some(wrong),
            _ => None,
        }
    }
}
