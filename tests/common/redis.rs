//! Redis servers for tests, each on a port of its own and in a directory of its own, ended with the test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Whether there is a `redis-server`. Says so if there is none, and fails if there has to be one.
pub fn is_there() -> bool {
    let found = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    let required = std::env::var_os("NETQ_REQUIRE_REDIS").is_some_and(|value| value == "1");
    assert!(found || !required, "redis-server is needed: NETQ_REQUIRE_REDIS is set");
    if !found {
        println!("SKIPPED: there is no redis-server on the path");
    }
    found
}

/// A Redis.
pub struct Redis {
    pub port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
    process: Child,
}

impl Redis {
    /// Starts one that has each write on disk before it answers.
    pub fn start() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    pub fn start_with(arguments: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("netq-redis-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let process = spawn(port, &directory, &arguments);
        let mut redis = Self { port, directory, arguments, process };
        redis.wait();
        redis
    }

    /// The address, as `--store` takes it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it, as a loss of its process would.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again with what it has kept.
    pub fn restart(&mut self) {
        self.process = spawn(self.port, &self.directory, &self.arguments);
        self.wait();
    }

    /// Stops its process, or lets it go on.
    pub fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Sends a command of words without spaces, and returns what is answered, as it comes.
    pub fn command(&self, words: &str) -> String {
        ask(self.port, words).unwrap()
    }

    /// A figure of its `INFO`.
    pub fn figure(&self, name: &str) -> u64 {
        let info = self.command("INFO all");
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().parse().unwrap()
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        // With a password it says no, but it is there.
        while !ask(self.port, "PING").is_ok_and(|said| !said.starts_with("-LOADING")) {
            assert!(self.process.try_wait().unwrap().is_none(), "redis-server has ended");
            assert!(Instant::now() < deadline, "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn spawn(port: u16, directory: &std::path::Path, arguments: &[String]) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]).args(arguments);
    command.current_dir(directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn ask(port: u16, words: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("{words}\r\nQUIT\r\n").as_bytes())?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}
