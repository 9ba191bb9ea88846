//! The words of a command line, one after the other: options in any order, `--opt value` and `--opt=value`,
//! and nothing but positional words after `--`.
//!
//! A command asks for the [`next`](Args::next) argument and matches on it; which options have a value is known
//! only to the command, which then asks for the [`value`](Args::value).

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::failure::Failure;

/// An argument.
#[derive(Debug, PartialEq)]
pub enum Arg {
    /// `--name`, or `-n`, with its dashes.
    Option(String),
    /// Any other word.
    Word(OsString),
}

/// The words of a command that are still to be parsed.
pub struct Args {
    command: &'static str,
    words: std::vec::IntoIter<OsString>,
    /// The option that was parsed last, to name it in errors.
    option: String,
    /// The value that came in the same word as the option.
    attached: Option<OsString>,
    /// Behind `--`.
    ended: bool,
}

impl Args {
    /// The words behind a command's name.
    pub fn new(command: &'static str, words: Vec<OsString>) -> Self {
        Self { command, words: words.into_iter(), option: String::new(), attached: None, ended: false }
    }

    /// The next argument; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Arg>, Failure> {
        if self.attached.is_some() {
            return Err(Failure::usage(format!("{} takes no value: leave it out", self.option)));
        }
        let Some(word) = self.words.next() else { return Ok(None) };
        if self.ended {
            return Ok(Some(Arg::Word(word)));
        }
        if word == "--" {
            self.ended = true;
            return self.next();
        }
        // A lone `-` is a word like any other.
        if word == "-" || !word.as_encoded_bytes().starts_with(b"-") {
            return Ok(Some(Arg::Word(word)));
        }
        self.option = match split(&word) {
            Some((option, value)) => {
                self.attached = value.map(OsString::from);
                option.to_owned()
            }
            None => self.split_lossy(&word),
        };
        Ok(Some(Arg::Option(self.option.clone())))
    }

    /// As [`split`], for a word that is not UTF-8: only its value may be that.
    fn split_lossy(&mut self, word: &OsStr) -> String {
        // The platform's bytes cannot be made a string again without unsafe code, so the value loses what is
        // not UTF-8. The two-word form keeps it.
        let text = word.to_string_lossy();
        match split(OsStr::new(&*text)) {
            Some((option, value)) => {
                self.attached = value.map(OsString::from);
                option.to_owned()
            }
            None => text.into_owned(),
        }
    }

    /// Whether `--` has been seen.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The value of the option that was parsed last.
    pub fn value(&mut self) -> Result<OsString, Failure> {
        let value = self.attached.take().or_else(|| self.words.next());
        value.ok_or_else(|| self.error(format!("{} needs a value", self.option)))
    }

    /// As [`value`](Self::value), for an option that can go without one.
    pub fn optional_value(&mut self) -> Option<OsString> {
        if self.attached.is_some() {
            return self.attached.take();
        }
        let next = self.words.as_slice().first()?;
        if next.as_encoded_bytes().starts_with(b"-") { None } else { self.words.next() }
    }

    /// The value as text.
    pub fn text(&mut self) -> Result<String, Failure> {
        let value = self.value()?;
        self.utf8(value)
    }

    /// A word as text.
    pub fn utf8(&self, word: OsString) -> Result<String, Failure> {
        word.into_string().map_err(|word| self.error(format!("'{}' is not UTF-8", word.to_string_lossy())))
    }

    /// The value as a number of seconds.
    pub fn seconds(&mut self) -> Result<Duration, Failure> {
        let value = self.value()?;
        self.to_seconds(value)
    }

    /// A word as a number of seconds.
    pub fn to_seconds(&self, word: OsString) -> Result<Duration, Failure> {
        self.parse(word, "a number of seconds, such as 2.5", |text| {
            Duration::try_from_secs_f64(text.parse().ok()?).ok()
        })
    }

    /// The value as a whole number of at least `least`.
    pub fn number(&mut self, least: usize) -> Result<usize, Failure> {
        let value = self.value()?;
        self.to_number(value, least)
    }

    /// A word as a whole number of at least `least`.
    pub fn to_number(&self, word: OsString, least: usize) -> Result<usize, Failure> {
        let expected = format!("a whole number of at least {least}");
        self.parse(word, &expected, |text| text.parse().ok().filter(|&number| number >= least))
    }

    /// The value as a number of bytes: `4096`, `512K`, `32M`, `1G`.
    pub fn size(&mut self) -> Result<u64, Failure> {
        let value = self.value()?;
        self.parse(value, "a size, such as 4096, 512K, 32M or 1G", size)
    }

    fn parse<T>(
        &self,
        word: OsString,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Failure> {
        let text = self.utf8(word)?;
        parse(&text).ok_or_else(|| self.error(format!("{}: '{text}' is not {expected}", self.option)))
    }

    /// The error for an option that the command does not have.
    pub fn unknown(&self) -> Failure {
        self.error(format!("unknown option {}", self.option))
    }

    /// The error for a word that the command has no use for.
    pub fn unexpected(&self, word: &OsStr) -> Failure {
        self.error(format!("unexpected argument '{}'", word.to_string_lossy()))
    }

    /// The error for what is missing.
    pub fn missing(&self, what: &str) -> Failure {
        self.error(format!("{what} is missing"))
    }

    fn error(&self, message: String) -> Failure {
        Failure::usage(format!("{message}: see netq {} --help", self.command))
    }
}

/// An option and the value in the same word: `--name=value`, `-n5` or `-n=5`.
fn split(word: &OsStr) -> Option<(&str, Option<&str>)> {
    let text = word.to_str()?;
    if text.starts_with("--") {
        return Some(match text.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (text, None),
        });
    }
    let end = text.char_indices().nth(2).map_or(text.len(), |(at, _)| at);
    let (option, value) = text.split_at(end);
    Some((option, if value.is_empty() { None } else { Some(value.strip_prefix('=').unwrap_or(value)) }))
}

fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 10),
        b'm' | b'M' => (&text[..text.len() - 1], 20),
        b'g' | b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|&size| size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        Args::new("put", words.iter().map(OsString::from).collect())
    }

    fn option(name: &str) -> Option<Arg> {
        Some(Arg::Option(name.into()))
    }

    fn word(text: &str) -> Option<Arg> {
        Some(Arg::Word(text.into()))
    }

    #[test]
    fn options_and_words_come_in_any_order() {
        let mut args = args(&["tasks", "--timeout", "2", "a", "--bytes", "-"]);
        assert_eq!(args.next().unwrap(), word("tasks"));
        assert_eq!(args.next().unwrap(), option("--timeout"));
        assert_eq!(args.seconds().unwrap(), Duration::from_secs(2));
        assert_eq!(args.next().unwrap(), word("a"));
        assert_eq!(args.next().unwrap(), option("--bytes"));
        assert_eq!(args.next().unwrap(), word("-"));
        assert_eq!(args.next().unwrap(), None);
    }

    #[test]
    fn value_may_be_part_of_the_option() {
        for words in [&["--count=5"][..], &["--count", "5"], &["-c5"], &["-c=5"], &["-c", "5"]] {
            let mut args = args(words);
            assert!(
                matches!(args.next().unwrap(), Some(Arg::Option(name)) if name == "--count" || name == "-c")
            );
            assert_eq!(args.number(1).unwrap(), 5, "{words:?}");
            assert_eq!(args.next().unwrap(), None);
        }
        let mut args = args(&["--connect=a=b"]);
        args.next().unwrap();
        assert_eq!(args.text().unwrap(), "a=b");
    }

    #[test]
    fn two_dashes_end_the_options() {
        let mut args = args(&["--", "--bytes", "--"]);
        assert!(!args.ended());
        assert_eq!(args.next().unwrap(), word("--bytes"));
        assert!(args.ended());
        assert_eq!(args.next().unwrap(), word("--"));
    }

    #[test]
    fn value_is_optional_only_where_the_command_says_so() {
        let mut watch = args(&["--watch", "--connect", "x"]);
        watch.next().unwrap();
        assert_eq!(watch.optional_value(), None);
        assert_eq!(watch.next().unwrap(), option("--connect"));
        let mut watch = args(&["--watch", "3"]);
        watch.next().unwrap();
        assert_eq!(watch.optional_value(), Some("3".into()));
    }

    #[test]
    fn errors_name_the_option_and_where_to_read_on() {
        let message = |words: &[&str], value: fn(&mut Args) -> Result<(), Failure>| {
            let mut args = args(words);
            args.next().unwrap();
            value(&mut args).unwrap_err().message().to_owned()
        };
        assert_eq!(message(&["--t"], |a| a.value().map(drop)), "--t needs a value: see netq put --help");
        assert_eq!(message(&["--bytes=1"], |a| a.next().map(drop)), "--bytes takes no value: leave it out");
        for bad in ["-1", "nan", "inf", "1e300", "x", ""] {
            assert!(
                message(&["--t", bad], |a| a.seconds().map(drop)).contains("a number of seconds"),
                "{bad}"
            );
        }
        for bad in ["0", "-1", "1.5", "99999999999999999999999"] {
            assert!(message(&["-n", bad], |a| a.number(1).map(drop)).contains("at least 1"), "{bad}");
        }
    }

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, bytes) in [("4096", 4096), ("512K", 512 << 10), ("32m", 32 << 20), ("1G", 1 << 30)] {
            assert_eq!(size(text), Some(bytes));
        }
        for bad in ["", "K", "0", "-1", "1T", "1.5M", "99999999999G"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn word_that_is_not_utf8_is_kept() {
        use std::os::unix::ffi::OsStringExt;
        let raw = OsString::from_vec(b"caf\xe9".to_vec());
        let mut args = Args::new("put", vec![raw.clone()]);
        assert_eq!(args.next().unwrap(), Some(Arg::Word(raw.clone())));
        assert!(args.utf8(raw).unwrap_err().message().contains("is not UTF-8"));
    }
}
