//! The program that `netq work` runs for each item: found once, then run with the item in its arguments.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use netq::Value;

use super::argument;

/// Stands for the item in an argument.
const PLACEHOLDER: &str = "{}";
/// The status where no program ran; what shells give for a command that is not there.
const NOT_RUN: i32 = 127;

/// A program and its arguments, with a place for the item.
#[derive(Debug)]
pub struct Program {
    name: OsString,
    /// Where it was found.
    path: PathBuf,
    args: Vec<OsString>,
}

/// Why nothing ran, and so nothing came of it.
#[derive(Debug)]
pub enum NotRun {
    /// It cannot be started here, whatever the item. That says nothing about the item.
    Here(String),
    /// The item cannot stand in an argument.
    Item,
}

/// What came of running it for one item.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; the negative number of the signal that ended it, as in Python's `subprocess`.
    pub status: i32,
    /// What it wrote on standard output.
    pub stdout: Vec<u8>,
    /// What it wrote on standard error.
    pub stderr: Vec<u8>,
    /// How long it ran.
    pub elapsed: Duration,
}

impl Program {
    /// Looks the program up: better now than when an item has been taken for it.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub fn find(mut words: Vec<OsString>) -> Result<Self, String> {
        if words.is_empty() {
            return Err("no command".into());
        }
        let name = words.remove(0);
        let shown = name.to_string_lossy();
        let named = Path::new(&name);
        // As the system does: a name with a directory in it is a path, any other is looked up.
        let path = if named.components().count() > 1 || named.is_absolute() {
            if !named.exists() {
                return Err(format!("there is no '{shown}'"));
            }
            if !is_executable(named) {
                return Err(format!("'{shown}' is not an executable file"));
            }
            named.to_owned()
        } else {
            let directories = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&directories)
                .map(|directory| directory.join(named))
                .find(|path| is_executable(path))
                .ok_or_else(|| format!("no directory of PATH has a program '{shown}'"))?
        };
        if !words.iter().any(|word| has_placeholder(word)) {
            words.push(PLACEHOLDER.into());
        }
        Ok(Self { name, path, args: words })
    }

    /// Its name, for people.
    pub fn name(&self) -> String {
        self.name.to_string_lossy().into_owned()
    }

    /// Runs it for an item, and waits for its end.
    pub fn run(&self, item: &Value) -> Result<Outcome, NotRun> {
        let word = argument::word(item).ok_or(NotRun::Item)?;
        let started = Instant::now();
        // Reads both outputs at once: a program that writes much to one of them does not block.
        let output = match self.command(self.name.as_ref(), &word).output() {
            Err(error) if error.raw_os_error() == Some(NO_FORMAT) => self.run_script(&word)?,
            output => output,
        };
        let elapsed = started.elapsed();
        match output {
            Ok(Output { status, stdout, stderr }) => {
                Ok(Outcome { status: code(status), stdout, stderr, elapsed })
            }
            Err(error) if is_the_items_own(&error) => {
                let stderr =
                    format!("netq: cannot run '{}' for this item: {error}\n", self.name()).into_bytes();
                Ok(Outcome { status: NOT_RUN, stdout: Vec::new(), stderr, elapsed })
            }
            Err(error) => Err(NotRun::Here(format!("cannot run '{}': {error}", self.name()))),
        }
    }

    /// Runs a file that the system cannot run, as shells do: if it is a text, it is a script of theirs.
    fn run_script(&self, word: &OsStr) -> Result<io::Result<Output>, NotRun> {
        let mut head = Vec::new();
        let read = File::open(&self.path).and_then(|file| file.take(256).read_to_end(&mut head));
        if read.is_err() || head.contains(&0) {
            return Err(NotRun::Here(format!(
                "cannot run '{}': it is neither a program for this kind of machine nor a script",
                self.name()
            )));
        }
        let mut shell = Command::new("/bin/sh");
        // A name that looks like an option is none of the shell's.
        shell.arg("--").arg(self.path.as_os_str());
        Ok(self.with_item(&mut shell, word).output())
    }

    fn command(&self, program: &OsStr, word: &OsStr) -> Command {
        let mut command = Command::new(program);
        self.with_item(&mut command, word);
        command
    }

    fn with_item<'c>(&self, command: &'c mut Command, word: &OsStr) -> &'c mut Command {
        // Nobody is there to type anything.
        command.args(self.args.iter().map(|arg| fill(arg, word))).stdin(Stdio::null())
    }
}

/// `ENOEXEC`: the file can be run, but the system does not know how. The same number wherever there is one.
const NO_FORMAT: i32 = 8;

/// Whether a program was not started because of its arguments: too long, or with a NUL byte. Any other reason is
/// this machine's, and a worker that took it for an outcome would empty the queue without doing anything.
fn is_the_items_own(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ArgumentListTooLong | ErrorKind::InvalidInput)
}

impl Outcome {
    /// Drops the output, and says so where it would be.
    pub fn leave_out(&mut self, what: &str) {
        self.stdout = Vec::new();
        self.stderr = format!("netq: this result is without {what}\n").into_bytes();
    }

    /// The dict that `netq work` puts on the results queue.
    pub fn to_value(&self, item: Value) -> Value {
        Value::Dict(vec![
            ("task".into(), item),
            ("status".into(), self.status.into()),
            ("stdout".into(), text_or_bytes(&self.stdout)),
            ("stderr".into(), text_or_bytes(&self.stderr)),
            ("seconds".into(), self.elapsed.as_secs_f64().into()),
        ])
    }
}

fn text_or_bytes(output: &[u8]) -> Value {
    str::from_utf8(output).map_or_else(|_| output.to_vec().into(), Value::from)
}

fn has_placeholder(argument: &OsStr) -> bool {
    find(argument.as_encoded_bytes()).is_some()
}

fn find(bytes: &[u8]) -> Option<usize> {
    bytes.windows(PLACEHOLDER.len()).position(|window| window == PLACEHOLDER.as_bytes())
}

/// The argument with the item in it.
#[cfg(unix)]
fn fill(argument: &OsStr, item: &OsStr) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let (mut rest, mut filled) = (argument.as_bytes(), Vec::new());
    while let Some(at) = find(rest) {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(item.as_bytes());
        rest = &rest[at + PLACEHOLDER.len()..];
    }
    filled.extend_from_slice(rest);
    OsString::from_vec(filled)
}

/// Elsewhere words are not made of bytes, and one that is no Unicode is passed on as it is.
#[cfg(not(unix))]
fn fill(argument: &OsStr, item: &OsStr) -> OsString {
    let Some(text) = argument.to_str() else { return argument.to_owned() };
    let mut parts = text.split(PLACEHOLDER);
    let mut filled = OsString::from(parts.next().unwrap_or_default());
    for part in parts {
        filled.push(item);
        filled.push(part);
    }
    filled
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Elsewhere the name says it, and its ending may be left out.
#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file() || path.with_extension("exe").is_file()
}

#[cfg(unix)]
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    // A program that has ended has one or the other.
    status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap_or(NOT_RUN)
}

#[cfg(not(unix))]
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(NOT_RUN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    mod on_unix {
        use super::*;

        fn program(words: &[&str]) -> Program {
            Program::find(words.iter().map(OsString::from).collect()).unwrap()
        }

        #[test]
        fn item_goes_where_the_placeholder_is_or_else_to_the_end() {
            let filled = |words: &[&str], item: &str| -> Vec<OsString> {
                program(words).args.iter().map(|arg| fill(arg, item.as_ref())).collect()
            };
            assert_eq!(filled(&["sh", "-o={}", "{}{}", "x"], "a b"), ["-o=a b", "a ba b", "x"]);
            assert_eq!(filled(&["sh", "-v"], "'\"$x"), ["-v", "'\"$x"]);
            assert_eq!(filled(&["sh"], "{}"), ["{}"]);
        }

        #[test]
        fn program_that_cannot_be_started_is_found_out_at_once() {
            let error = |word: &str| Program::find(vec![word.into()]).unwrap_err();
            assert_eq!(
                error("no-such-program-at-all"),
                "no directory of PATH has a program 'no-such-program-at-all'"
            );
            assert_eq!(error("/no/such/program"), "there is no '/no/such/program'");
            assert_eq!(error("./Cargo.toml"), "'./Cargo.toml' is not an executable file");
            assert_eq!(error("./src"), "'./src' is not an executable file");
        }

        #[test]
        fn outputs_and_status_are_kept() {
            let outcome =
                program(&["sh", "-c", "echo out; echo \"$0\" >&2; exit 3"]).run(&"it's 1".into()).unwrap();
            assert_eq!(
                (outcome.status, &outcome.stdout[..], &outcome.stderr[..]),
                (3, &b"out\n"[..], &b"it's 1\n"[..])
            );
        }

        #[test]
        fn signal_is_a_negative_status() {
            assert_eq!(program(&["sh", "-c", "kill -9 $$"]).run(&Value::None).unwrap().status, -9);
        }

        #[test]
        fn much_output_on_both_sides_does_not_block() {
            let script =
                "head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2";
            let outcome = program(&["sh", "-c", script]).run(&Value::None).unwrap();
            assert_eq!(
                (outcome.status, outcome.stdout.len(), outcome.stderr.len()),
                (0, 1_000_000, 2_000_000)
            );
        }

        #[test]
        fn item_that_no_argument_can_hold_is_a_result_too() {
            for item in ["a\0b", &"x".repeat(64 << 20)] {
                let outcome = program(&["echo"]).run(&item.into()).unwrap();
                assert_eq!(outcome.status, 127);
                assert!(
                    String::from_utf8(outcome.stderr).unwrap().contains("cannot run 'echo' for this item")
                );
            }
        }

        #[test]
        fn program_that_has_gone_is_no_result_of_an_item() {
            let path = "/no/such/program";
            let gone = Program { name: path.into(), path: path.into(), args: vec![PLACEHOLDER.into()] };
            let NotRun::Here(error) = gone.run(&"item".into()).unwrap_err() else { panic!() };
            assert!(error.starts_with("cannot run '/no/such/program': "), "{error}");
        }

        #[test]
        fn items_of_all_types_are_words() {
            let echoed = |item: Value| program(&["printf", "%s"]).run(&item).unwrap().stdout;
            assert_eq!(echoed(b"caf\xe9".to_vec().into()), b"caf\xe9");
            assert_eq!(echoed(("a", 7).into()), b"('a', 7)");
            assert_eq!(echoed(Value::None), b"None");
            let opaque = |pickle: &[u8]| Value::Opaque(netq::Pickled::from_pickle(pickle).unwrap());
            // os.fsdecode(b'caf\xe9')
            assert_eq!(echoed(opaque(b"\x8c\x06caf\xed\xb3\xa9.")), b"caf\xe9");
            // pathlib.Path('/etc/hostname') of Python 3.8, and Path('.') of 3.13.
            let path = b"\x8c\x07pathlib\x8c\tPosixPath\x93\x8c\x01/\x8c\x03etc\x8c\x08hostname\x87R.";
            assert_eq!(echoed(opaque(path)), b"/etc/hostname");
            assert_eq!(echoed(opaque(b"\x8c\x0epathlib._local\x8c\tPosixPath\x93)R.")), b".");
        }

        #[cfg(feature = "objects")]
        #[test]
        fn well_known_objects_are_words() {
            let echoed = |pickle: &[u8]| {
                let item = Value::Opaque(netq::Pickled::from_pickle(pickle).unwrap());
                program(&["printf", "%s"]).run(&item).unwrap().stdout
            };
            assert_eq!(echoed(b"cdecimal\nDecimal\nX\x04\0\0\x003.14\x85R."), b"3.14");
            assert_eq!(echoed(b"cdatetime\ndate\nC\x04\x07\xe8\x02\x1d\x85R."), b"2024-02-29");
            assert_eq!(echoed(b"cbuiltins\nbytearray\nC\x02a\xff\x85R."), b"a\xff");
            assert_eq!(echoed(b"cbuiltins\nEllipsis\n."), b"Ellipsis");
        }

        #[test]
        fn object_without_a_text_is_not_run() {
            // An instance of a class, alone and in a list, and a str that no file name decodes to.
            for pickle in [&b"cjobs\nJob\n)\x81."[..], b"]cjobs\nJob\n)\x81a.", b"\x8c\x03\xed\xa0\x80."] {
                let item = netq::Pickled::from_pickle(pickle).unwrap().decode();
                assert!(matches!(program(&["echo"]).run(&item), Err(NotRun::Item)));
            }
        }

        #[test]
        fn placeholder_is_found_beside_what_is_not_utf8() {
            use std::os::unix::ffi::OsStrExt;
            let raw = |bytes: &'static [u8]| OsStr::from_bytes(bytes).to_owned();
            assert_eq!(fill(&raw(b"\xff/{}{}"), &raw(b"\xe9")), raw(b"\xff/\xe9\xe9"));
            let words = vec!["printf".into(), "%s".into(), raw(b"\xff{}")];
            let outcome = Program::find(words).unwrap().run(&"x".into()).unwrap();
            assert_eq!(outcome.stdout, b"\xffx");
        }
    }

    #[test]
    fn result_is_a_dict_with_text_where_it_is_text() {
        let outcome = Outcome {
            status: -9,
            stdout: "é\n".into(),
            stderr: b"\xff".to_vec(),
            elapsed: Duration::from_millis(250),
        };
        let text = outcome.to_value("x".into()).to_string();
        assert_eq!(text, r"{'task': 'x', 'status': -9, 'stdout': 'é\n', 'stderr': b'\xff', 'seconds': 0.25}");
    }
}
