//! What went wrong, as the one line and the exit code that a shell gets.

use std::fmt;
use std::io::{self, ErrorKind};

use netq::auth::AuthError;
use netq::connection::HandshakeError;
use netq::{Error, last_line};

/// The command failed.
const FAILED: u8 = 1;
/// The command line makes no sense.
const USAGE: u8 = 2;
/// A queue stayed empty, full, or undone until the timeout.
const TIMED_OUT: u8 = 3;

/// Why a command did not succeed.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    /// Empty if there is nobody to tell.
    message: String,
}

impl Failure {
    /// The command could not do what it was asked to.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { code: FAILED, message: message.into() }
    }

    /// The command was called wrongly.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }

    /// A queue stayed empty, full, or undone.
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self { code: TIMED_OUT, message: message.into() }
    }

    /// Standard output could not be written. That its reader left, as `head` does, is nothing to report.
    pub fn stdout(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::failed(""),
            _ => Self::failed(format!("cannot write to standard output: {error}")),
        }
    }

    /// What happened to the item or queue that `context` names.
    pub fn about(context: impl fmt::Display, error: &Error) -> Self {
        let failure = Self::from(error);
        Self { message: format!("{context}: {}", failure.message), ..failure }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// The line, without `netq: `; empty if there is nobody to tell.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let hint = match error {
            Error::Empty | Error::Full => return Self::timed_out(error.to_string()),
            Error::RemoteTraceback(text) | Error::NoSuchObject(text) | Error::NoSuchMethod(text) => {
                return Self::failed(format!("the hub says: {}", last_line(text)));
            }
            Error::Connect { address, source } => {
                return Self::failed(format!(
                    "cannot reach a hub at {address}: {source}: start one with netq serve, or name its address \
                     with --connect"
                ));
            }
            Error::Handshake { source: HandshakeError::Auth(error), .. } => match error {
                AuthError::Rejected | AuthError::WrongKey => "check --authkey-file or NETQ_AUTHKEY",
                AuthError::NotAHandshake(_) => "something else than a hub listens there: check the address",
                _ => "",
            },
            Error::Handshake { .. } => "is a hub listening there, and has it room for one more connection?",
            _ => "",
        };
        match hint {
            "" => Self::failed(error.to_string()),
            hint => Self::failed(format!("{error}: {hint}")),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_in_vain_has_its_own_code() {
        assert_eq!(Failure::about("tasks", &Error::Empty).code(), 3);
        assert_eq!(Failure::about("tasks", &Error::Full).message(), "tasks: the queue stayed full");
        assert_eq!(Failure::about("tasks", &Error::ShutDown).code(), 1);
    }

    #[test]
    fn reader_that_left_is_nothing_to_report() {
        assert_eq!(Failure::stdout(&ErrorKind::BrokenPipe.into()).message(), "");
        assert!(Failure::stdout(&ErrorKind::StorageFull.into()).message().contains("standard output"));
    }
}
