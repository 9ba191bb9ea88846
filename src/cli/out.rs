//! Printing. The macros of the standard library panic when nobody reads what they print, and `netq get q |
//! head` is a usual thing to say; here that is an error like any other.

use std::borrow::Cow;
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

/// Prints `netq: <line>` on standard error, in one piece among the lines of other threads, and as one line whatever
/// names or texts of the other side are in it.
pub fn note(line: &str) {
    error(format!("netq: {}\n", escaped(line)).as_bytes());
}

/// A text in which nothing moves a terminal's cursor, clears its screen or begins a line: neither control
/// characters nor those that turn the direction of writing.
pub fn escaped(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() || turns(c) || matches!(c, '\u{2028}' | '\u{2029}') {
            true => safe.extend(c.escape_default()),
            false => safe.push(c),
        }
    }
    safe
}

/// As [`escaped`], for a text of several lines, with tabs.
pub fn escaped_lines(text: &str) -> String {
    text.split_inclusive(['\n', '\t'])
        .map(|part| match part.strip_suffix(['\n', '\t']) {
            Some(line) => escaped(line) + &part[line.len()..],
            None => escaped(part),
        })
        .collect()
}

/// Says what went wrong, if there is anybody to tell; the code is for the shell.
pub fn report(failure: &Failure) -> ExitCode {
    if !failure.message().is_empty() {
        note(failure.message());
    }
    failure.code().into()
}

/// What programs and other clients have written, as it is where a program reads it, and without what would move the
/// cursor where a terminal shows it.
pub fn shown(bytes: &[u8], terminal: bool) -> Cow<'_, [u8]> {
    match terminal {
        true => escaped_lines(&String::from_utf8_lossy(bytes)).into_bytes().into(),
        false => bytes.into(),
    }
}

/// Writes to standard error.
pub fn error(bytes: &[u8]) {
    // Where people would be told about the error is where it happened.
    let _ = io::stderr().lock().write_all(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_the_other_side_stays_in_its_line() {
        let forged = "é'\\\n\x1b[2J\r\u{9b}A\u{202e}\u{2028}";
        assert_eq!(escaped_lines(forged), "é'\\\n\\u{1b}[2J\\r\\u{9b}A\\u{202e}\\u{2028}");
        assert_eq!(escaped_lines("a\tb\n\n"), "a\tb\n\n");
        assert_eq!(escaped(forged), r"é'\\n\u{1b}[2J\r\u{9b}A\u{202e}\u{2028}");
    }
}
