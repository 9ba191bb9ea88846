//! The key: where a user may keep it, in the order of how safe that is.

use std::ffi::OsString;
use std::path::PathBuf;

use super::args::Args;
use super::failure::Failure;
use super::out;

/// The environment variable that may hold the key.
pub const VARIABLE: &str = "NETQ_AUTHKEY";

/// What the key options in every command's help are.
macro_rules! key_help {
    () => {
        concat!(
            "  --authkey-file FILE   the file that holds the hub's key: all of it but one line's end at its end;\n",
            "                        otherwise it is taken from the environment variable NETQ_AUTHKEY\n",
            "  --authkey KEY         the key itself; other users of the machine can see it in the process list\n",
        )
    };
}
pub(super) use key_help;

/// The options that say what the key is.
#[derive(Default)]
pub struct KeyOptions {
    file: Option<PathBuf>,
    key: Option<OsString>,
}

/// A key, and where it came from.
pub struct Key {
    /// Its bytes, of which there is one at least.
    pub bytes: Vec<u8>,
    /// A Python expression that finds the same key in the same place.
    pub python: String,
}

impl KeyOptions {
    /// Takes the value of the option, if it is one of the key's.
    pub fn option(&mut self, option: &str, args: &mut Args) -> Result<bool, Failure> {
        match option {
            "--authkey-file" => self.file = Some(args.value()?.into()),
            "--authkey" => self.key = Some(args.value()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Finds the key.
    pub fn find(&self) -> Result<Key, Failure> {
        self.find_with(std::env::var_os(VARIABLE))
    }

    fn find_with(&self, variable: Option<OsString>) -> Result<Key, Failure> {
        if let Some(file) = &self.file {
            let shown = file.display();
            let mut bytes = std::fs::read(file).map_err(|error| {
                Failure::failed(format!("cannot read the key from '{shown}': {error}: {HOW_TO_MAKE}"))
            })?;
            if others_can_read(file) {
                out::note(&format!(
                    "every user of this machine can read the key in '{shown}': chmod 600 '{shown}'"
                ));
            }
            // Editors and base64 end a file with a newline that nobody means to be part of the key. Only one: a key
            // that ends in one, as any Python bytes may, can be given too.
            for end in [b'\n', b'\r'] {
                let cut = bytes.last() == Some(&end);
                bytes.truncate(bytes.len() - usize::from(cut));
                if !cut {
                    break;
                }
            }
            let read = format!("open({}, 'rb').read()", python_text(&shown.to_string()));
            let python = match bytes.last() {
                Some(b'\r' | b'\n') => format!("re.sub(b'\\r?\\n\\\\Z', b'', {read})"),
                _ => format!("{read}.rstrip(b'\\r\\n')"),
            };
            return not_empty(bytes, python, &format!("'{shown}'"));
        }
        if let Some(key) = variable {
            if self.key.is_some() {
                out::note(&format!("--authkey is not used: the environment variable {VARIABLE} holds a key"));
            }
            let python = format!("os.environ['{VARIABLE}'].encode()");
            return not_empty(key.into_encoded_bytes(), python, VARIABLE);
        }
        match &self.key {
            Some(key) => {
                out::note("other users can see --authkey in the process list: --authkey-file is safer");
                not_empty(key.as_encoded_bytes().to_vec(), "b'the key'".into(), "--authkey")
            }
            None => Err(Failure::usage(format!("no key: {HOW_TO_MAKE}"))),
        }
    }
}

/// Whether it is not only the owner's and a group's.
#[cfg(unix)]
fn others_can_read(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn others_can_read(_: &std::path::Path) -> bool {
    false
}

const HOW_TO_MAKE: &str = "make one with `(umask 077; head -c 32 /dev/urandom | base64 > key)` and give every \
                           program `--authkey-file key`";

fn not_empty(bytes: Vec<u8>, python: String, source: &str) -> Result<Key, Failure> {
    match bytes.is_empty() {
        true => Err(Failure::usage(format!("the key in {source} is empty: {HOW_TO_MAKE}"))),
        false => Ok(Key { bytes, python }),
    }
}

/// A Python literal of a text.
fn python_text(text: &str) -> String {
    netq::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &[u8]) -> KeyOptions {
        let path = std::env::temp_dir().join(format!("netq-key-test-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        KeyOptions { file: Some(path), key: None }
    }

    #[test]
    fn file_comes_first_and_its_newline_is_not_part_of_the_key() {
        for (name, content) in [("unix", &b"secret\n"[..]), ("dos", b"secret\r\n"), ("none", b"secret")] {
            let options = file(name, content);
            let key = options.find_with(Some("other".into())).unwrap();
            assert_eq!(key.bytes, b"secret");
            assert!(key.python.starts_with("open('"), "{}", key.python);
            std::fs::remove_file(options.file.unwrap()).unwrap();
        }
    }

    #[test]
    fn any_bytes_are_a_key() {
        for (name, content, expected) in [
            ("newline", &b"key\n\n"[..], &b"key\n"[..]),
            ("dos-newline", b"key\r\n\r\n", b"key\r\n"),
            ("return", b"key\r", b"key\r"),
            ("space", b" key \t\n", b" key \t"),
            ("only", b"\n\n", b"\n"),
        ] {
            let options = file(name, content);
            assert_eq!(options.find_with(None).unwrap().bytes, expected, "{name}");
            std::fs::remove_file(options.file.unwrap()).unwrap();
        }
    }

    #[test]
    fn environment_comes_before_the_command_line() {
        let options = KeyOptions { file: None, key: Some("seen".into()) };
        assert_eq!(options.find_with(Some("hidden".into())).unwrap().bytes, b"hidden");
        assert_eq!(options.find_with(None).unwrap().bytes, b"seen");
    }

    #[test]
    fn no_key_or_an_empty_one_is_wrong_usage_and_the_error_says_how_to_make_one() {
        let empty = file("empty", b"\n");
        for failure in [
            KeyOptions::default().find_with(None),
            KeyOptions::default().find_with(Some("".into())),
            KeyOptions { file: None, key: Some("".into()) }.find_with(None),
            empty.find_with(None),
        ] {
            let failure = failure.map(|key| key.bytes).unwrap_err();
            assert_eq!(failure.code(), 2);
            assert!(failure.message().contains("head -c 32 /dev/urandom"), "{}", failure.message());
        }
        std::fs::remove_file(empty.file.unwrap()).unwrap();
    }
}
