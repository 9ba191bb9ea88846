//! Printing. The macros of the standard library panic when nobody reads what they print, and `netq get q |
//! head` is a usual thing to say; here that is an error like any other.

use std::io::{self, Write};
use std::process::ExitCode;

use super::failure::Failure;

/// Prints text on standard output, at once.
pub fn print(text: &str) -> Result<(), Failure> {
    write(text.as_bytes()).map_err(|error| Failure::stdout(&error))
}

/// As [`print`], for any bytes and for who wants to know the error.
pub fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Prints `netq: <line>` on standard error, in one piece among the lines of other threads.
pub fn note(line: &str) {
    error(format!("netq: {line}\n").as_bytes());
}

/// Says what went wrong, if there is anybody to tell; the code is for the shell.
pub fn report(failure: &Failure) -> ExitCode {
    if !failure.message().is_empty() {
        note(failure.message());
    }
    failure.code().into()
}

/// Writes to standard error.
pub fn error(bytes: &[u8]) {
    // Where people would be told about the error is where it happened.
    let _ = io::stderr().lock().write_all(bytes);
}
