//! Servers: each a process of its own, on a loopback port that nobody else uses, gone when dropped.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::clients::{Beanstalk, Client, KEY, Manager, Redis, Result};
use crate::echo::{self, Echo};

/// What a server is, and so how to talk to it.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Echo,
    Netq,
    Python,
    Redis,
    Beanstalkd,
}

pub struct Server {
    pub name: String,
    pub kind: Kind,
    pub address: SocketAddr,
    /// For [`Kind::Python`].
    pub interpreter: PathBuf,
    process: Child,
}

impl Server {
    /// A connection for items of `size` bytes.
    pub fn client(&self, size: usize) -> Result<Box<dyn Client>> {
        Ok(match self.kind {
            Kind::Echo => Box::new(Echo::connect(self.address, size)?),
            Kind::Netq | Kind::Python => Box::new(Manager::connect(self.address)?),
            Kind::Redis => Box::new(Redis::connect(self.address)?),
            Kind::Beanstalkd => Box::new(Beanstalk::connect(self.address)?),
        })
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// This program again, as the echo server.
    pub fn echo() -> Result<Self> {
        let process = Command::new(std::env::current_exe()?)
            .arg("--echo")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Self::announced("echo".into(), Kind::Echo, process, PathBuf::new())
    }

    pub fn netq() -> Result<Self> {
        Self::netq_with("netq", &[])
    }

    /// netq with more options.
    pub fn netq_with(name: &str, options: &[&str]) -> Result<Self> {
        Self::netq_at(name, Path::new(env!("CARGO_BIN_EXE_netq")), options)
    }

    /// The static binary as the README's command has built it last, in a folder that is named after the platform.
    pub fn netq_static() -> Result<Self> {
        let target = Path::new(env!("CARGO_BIN_EXE_netq")).ancestors().nth(2).ok_or("no target folder")?;
        let is_platform = |path: &PathBuf| path.to_string_lossy().ends_with("-linux-gnu");
        let platforms = target.read_dir()?.flatten().map(|entry| entry.path()).filter(is_platform);
        let built = platforms.map(|path| path.join("release/netq")).find(|path| path.exists());
        Self::netq_at("netq, static", &built.ok_or("not built: the README says how")?, &[])
    }

    fn netq_at(name: &str, path: &Path, options: &[&str]) -> Result<Self> {
        let process = Command::new(path)
            .args(["serve", "--quiet", "--listen", "127.0.0.1:0", "get_task_queue"])
            .args(options)
            .env("NETQ_AUTHKEY", KEY)
            .stdout(Stdio::piped())
            .spawn()?;
        Self::announced(name.into(), Kind::Netq, process, PathBuf::new())
    }

    pub fn python(interpreter: &Interpreter) -> Result<Self> {
        let path = interpreter.path.clone();
        let process = Command::new(&path)
            .args(["-c", include_str!("manager.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Self::announced(interpreter.name(), Kind::Python, process, path)
    }

    /// A server that prints a line with its address at the end.
    fn announced(name: String, kind: Kind, mut process: Child, interpreter: PathBuf) -> Result<Self> {
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.trim().rsplit(' ').next().unwrap_or_default();
        let address = address.parse().map_err(|_| format!("{name} did not say where it listens"))?;
        Ok(Self { name, kind, address, interpreter, process })
    }

    pub fn redis() -> Result<Self> {
        let arguments = |port: &str| {
            let fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", port];
            fixed.map(str::to_owned).to_vec()
        };
        Self::installed("Redis", "redis-server", Kind::Redis, &std::env::temp_dir(), arguments)
    }

    /// Redis that has each command on disk before it answers.
    pub fn redis_always(folder: &Path) -> Result<Self> {
        let arguments = |port: &str| {
            let fixed =
                ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"];
            fixed.into_iter().chain(["--port", port]).map(str::to_owned).collect()
        };
        Self::installed("Redis, always", "redis-server", Kind::Redis, folder, arguments)
    }

    /// Redis as hubs should have it.
    pub fn redis_appendonly(folder: &Path) -> Result<Self> {
        let arguments = |port: &str| {
            let fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--port", port];
            fixed.map(str::to_owned).to_vec()
        };
        Self::installed("Redis, appendonly", "redis-server", Kind::Redis, folder, arguments)
    }

    /// beanstalkd that has each job on disk before it answers.
    pub fn beanstalkd_always(folder: &Path) -> Result<Self> {
        let arguments = |port: &str| {
            let fixed = ["-l", "127.0.0.1", "-z", "100000000", "-b", ".", "-f0", "-p", port];
            fixed.map(str::to_owned).to_vec()
        };
        Self::installed("beanstalkd -f0", "beanstalkd", Kind::Beanstalkd, folder, arguments)
    }

    pub fn beanstalkd() -> Result<Self> {
        let arguments =
            |port: &str| ["-l", "127.0.0.1", "-z", "100000000", "-p", port].map(str::to_owned).to_vec();
        Self::installed("beanstalkd", "beanstalkd", Kind::Beanstalkd, &std::env::temp_dir(), arguments)
    }

    /// Somebody else's server, which has to be told its port.
    fn installed(
        name: &str,
        program: &str,
        kind: Kind,
        folder: &Path,
        arguments: fn(port: &str) -> Vec<String>,
    ) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let process = Command::new(program)
            .args(arguments(&address.port().to_string()))
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { name: name.into(), kind, address, interpreter: PathBuf::new(), process };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                return Err(format!("{program} does not listen").into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If it has ended by itself, that is as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Is the echo server until the standard input ends.
pub fn serve_echo() -> Result<()> {
    thread::spawn(|| {
        // The parent holds the other end: this program outlives it by no time, however it dies.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    Ok(echo::serve(&listener)?)
}

/// A Python that is installed.
pub struct Interpreter {
    pub path: PathBuf,
    version: (u32, u32),
}

impl Interpreter {
    pub fn name(&self) -> String {
        format!("CPython {}.{}", self.version.0, self.version.1)
    }

    fn ask(path: &Path) -> Option<Self> {
        let script = "import sys; print(*sys.version_info[:2])";
        let answer = Command::new(path).args(["-c", script]).stderr(Stdio::null()).output().ok()?;
        let text = String::from_utf8(answer.stdout).ok()?;
        let mut numbers = text.split_whitespace().map(str::parse);
        let version = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        (version >= (3, 8)).then(|| Self { path: path.to_owned(), version })
    }
}

/// `python3` on the path and what pyenv has installed, from 3.8 on: each version once, the newest first.
pub fn interpreters() -> Vec<Interpreter> {
    let pyenv = std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv/versions"));
    let installed = pyenv.and_then(|path| path.read_dir().ok()).into_iter().flatten().flatten();
    let paths = installed.map(|entry| entry.path().join("bin/python"));
    let mut found: Vec<_> =
        ["python3".into()].into_iter().chain(paths).filter_map(|path| Interpreter::ask(&path)).collect();
    found.sort_by_key(|interpreter| std::cmp::Reverse(interpreter.version));
    found.dedup_by_key(|interpreter| interpreter.version);
    found
}
