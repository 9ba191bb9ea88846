//! The Pythons of this machine, and programs that run under them.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs, io};

/// No program takes a tenth of this, unless something is wrong.
const DEADLINE: Duration = Duration::from_secs(60);

/// One interpreter.
#[derive(Debug)]
pub struct Python {
    path: PathBuf,
    /// Such as `(3, 13, 0)`.
    pub version: (u32, u32, u32),
}

/// All interpreters from Python 3.6 on: `python3` of the `PATH`, and those of pyenv; one of each version, the
/// oldest first. With `NETQ_REQUIRE_PYTHON=1` in the environment there must be one.
pub fn all() -> &'static [Python] {
    static PYTHONS: OnceLock<Vec<Python>> = OnceLock::new();
    PYTHONS.get_or_init(|| {
        let mut candidates = vec![PathBuf::from("python3")];
        let versions = env::home_dir().map(|home| home.join(".pyenv/versions"));
        if let Some(entries) = versions.and_then(|versions| fs::read_dir(versions).ok()) {
            candidates.extend(entries.flatten().map(|entry| entry.path().join("bin/python")));
        }
        // Not by a macro that the test harness silences: what was tested, and what not, is worth a line.
        let mut out = io::stderr();
        let mut pythons = Vec::new();
        for path in &candidates {
            match ask(path) {
                Some(python) => pythons.push(python),
                None => {
                    let _ = writeln!(out, "not with {}: no Python from 3.6 on", path.display());
                }
            }
        }
        pythons.sort_by_key(|python| python.version);
        pythons.dedup_by_key(|python| python.version);
        for Python { path, version: (major, minor, micro) } in &pythons {
            let _ = writeln!(out, "with Python {major}.{minor}.{micro}: {}", path.display());
        }
        if pythons.is_empty() {
            let _ = writeln!(out, "SKIPPED: there is no Python on this machine to test with");
            assert!(env::var_os("NETQ_REQUIRE_PYTHON").is_none(), "NETQ_REQUIRE_PYTHON is set");
        }
        pythons
    })
}

/// Which version it is, and where it really is: pyenv's `python3` is a shell script.
fn ask(path: &Path) -> Option<Python> {
    const QUESTION: &str = "import sys; print(sys.executable, *sys.version_info[:3], sep=chr(10))";
    let output = Command::new(path).args(["-c", QUESTION]).stderr(Stdio::null()).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    let [path, major, minor, micro] = answer.lines().collect::<Vec<_>>().try_into().ok()?;
    let version = (major.parse().ok()?, minor.parse().ok()?, micro.parse().ok()?);
    (version >= (3, 6, 0)).then(|| Python { path: path.into(), version })
}

impl Python {
    /// Starts a program of `tests/python`.
    pub fn start(&self, script: &str, args: &[&str]) -> Program {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
        let mut child = Command::new(&self.path)
            .arg(directory.join(script))
            .args(args)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (line, lines) = channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|it| line.send(it))
        });
        let (text, complaints) = channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            text.send(String::from_utf8_lossy(&bytes).into_owned())
        });
        let (major, minor, micro) = self.version;
        let name = format!("Python {major}.{minor}.{micro}: {script} {}", args.join(" "));
        Program { name, child, lines, complaints, deadline: Instant::now() + DEADLINE }
    }

    /// Runs a program to its end. Returns the last line that it printed, which begins with `ok`.
    pub fn run(&self, script: &str, args: &[&str]) -> String {
        self.start(script, args).finish()
    }
}

/// A running program, which is killed when this is dropped.
pub struct Program {
    name: String,
    child: Child,
    lines: Receiver<String>,
    complaints: Receiver<String>,
    deadline: Instant,
}

impl Program {
    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        self.next().unwrap_or_else(|| self.fail("ended early"))
    }

    /// Waits for its end, which must be a good one. Returns the last line that it printed.
    pub fn finish(mut self) -> String {
        let mut last = String::new();
        while let Some(line) = self.next() {
            last = line;
        }
        // It has closed its output; what is left of it ends by itself.
        let status = self.child.wait().unwrap();
        if !status.success() || !last.starts_with("ok") {
            self.fail(&format!("{status}, after printing {last:?}"));
        }
        last
    }

    /// As [`line`](Self::line); `None` when it has ended.
    pub fn next(&mut self) -> Option<String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => self.fail("did not end in time"),
        }
    }

    fn fail(&mut self, why: &str) -> ! {
        let _ = self.child.kill();
        let complaints = self.complaints.recv_timeout(Duration::from_secs(5)).unwrap_or_default();
        panic!("{}: {why}\n{complaints}", self.name)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
