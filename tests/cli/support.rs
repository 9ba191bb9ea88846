//! Processes that end, whatever happens: a hub that is killed when dropped, and commands with a deadline.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use netq::{Answer, BaseManager, Call, Error, Exception, QueueProxy, Shared, SharedQueue, Value};

pub const KEY: &str = "the key of these tests";
/// Nothing here takes this long; what does is broken.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `state` gives a value.
pub fn wait_for<T>(what: &str, state: impl FnMut() -> Option<T>) -> T {
    wait_for_or(what, state, || "nothing more is known".into())
}

/// Waits as [`wait_for`] does, and says what `instead` says if it was in vain.
pub fn wait_for_or<T>(what: &str, mut state: impl FnMut() -> Option<T>, instead: impl Fn() -> String) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = state() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what} did not happen in time: {}", instead());
        thread::sleep(Duration::from_millis(5));
    }
}

/// A command line of netq, with the key in its environment.
pub fn netq<'a>(words: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netq"));
    command.args(words).env("NETQ_AUTHKEY", KEY).env_remove("RUST_BACKTRACE");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Where the next hub is to keep its queues, if that is not left to it.
fn store() -> Option<String> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let store = std::env::var("NETQ_TEST_STORE").ok()?;
    Some(format!("{store}/{}", GIVEN.fetch_add(1, Ordering::Relaxed)))
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> Ended {
    Running::start(&mut command).wait()
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    /// What it printed, if it was text and the command succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        String::from_utf8(self.stdout).unwrap()
    }

    /// Its last line on standard error, if it failed with this code.
    #[track_caller]
    pub fn error(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        let line = self.stderr.lines().last().unwrap_or_default();
        assert!(line.starts_with("netq: "), "{self:?}");
        line
    }
}

/// A command that may still run, and is killed when dropped.
pub struct Running {
    pub child: Child,
    stdout: Option<Receiver<Vec<u8>>>,
    stderr: Option<Receiver<Vec<u8>>>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self::of(command.spawn().unwrap())
    }

    /// A command that has been started, and of which somebody else reads what was taken out.
    pub fn of(mut child: Child) -> Self {
        let stdout = child.stdout.take().map(read_all);
        let stderr = child.stderr.take().map(read_all);
        Self { child, stdout, stderr }
    }

    /// Writes to the command's standard input, which was piped.
    pub fn write(&mut self, bytes: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    /// Waits for the command's end, after closing its standard input.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        drop(self.child.stdin.take());
        let status = wait_for("the end of the command", || self.child.try_wait().unwrap());
        let collected = |output: Option<Receiver<Vec<u8>>>| {
            output.map(|output| output.recv_timeout(DEADLINE).expect("a child of the command lives on"))
        };
        Ended {
            code: status.code(),
            stdout: collected(self.stdout.take()).unwrap_or_default(),
            stderr: String::from_utf8(collected(self.stderr.take()).unwrap_or_default()).unwrap(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    receive
}

/// `netq serve`, killed when dropped.
pub struct Hub {
    pub address: String,
    pub running: Running,
    /// All that it prints before it serves, but for the first line.
    stdout: Receiver<String>,
}

impl Hub {
    /// Starts a hub on a free port.
    pub fn start(words: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", words)
    }

    pub fn start_at(address: &str, words: &[&str]) -> Self {
        let mut command = netq(["serve", "--listen", address].iter().chain(words).copied());
        // See `common/stores.rs`.
        if let Some(store) = store().filter(|_| !words.contains(&"--store")) {
            command.args(["--store", &store]);
        }
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().map(read_all);
        Self::of(child, stderr)
    }

    /// A hub whose log nobody reads. What is returned keeps it open.
    pub fn start_unread(words: &[&str]) -> (Self, impl Read + use<>) {
        let mut command = netq(["serve", "--listen", "127.0.0.1:0"].iter().chain(words).copied());
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        (Self::of(child, None), stderr)
    }

    fn of(mut child: Child, stderr: Option<Receiver<Vec<u8>>>) -> Self {
        let (send, stdout) = mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
        let running = Running { child, stdout: None, stderr };
        let line = stdout.recv_timeout(DEADLINE).expect("the hub does not say where it is");
        let address = line.strip_prefix("netq: listening on ").expect(&line).to_owned();
        Self { address, running, stdout }
    }

    /// The next line that the hub prints.
    pub fn line(&self) -> String {
        self.stdout.recv_timeout(DEADLINE).expect("no more lines from the hub")
    }

    /// A client command, whose first word is its name.
    pub fn command(&self, words: &[&str]) -> Command {
        netq([words[0], "--connect", &self.address].iter().chain(&words[1..]).copied())
    }

    /// Runs a client command.
    pub fn run(&self, words: &[&str]) -> Ended {
        run(self.command(words))
    }

    pub fn manager(&self) -> BaseManager {
        BaseManager::new(&self.address, KEY.as_bytes())
    }

    pub fn queue(&self, name: &str) -> QueueProxy {
        self.manager().queue(name).unwrap()
    }

    /// Takes an item, or fails if none comes.
    #[track_caller]
    pub fn take(&self, name: &str) -> Value {
        self.queue(name).get_timeout(DEADLINE).unwrap()
    }

    /// What is left in a queue now.
    pub fn rest(&self, name: &str) -> Vec<Value> {
        let queue = self.queue(name);
        let mut items = Vec::new();
        loop {
            match queue.try_get() {
                Ok(item) => items.push(item),
                Err(Error::Empty) => return items,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// A figure of the hub's store.
    #[allow(dead_code, reason = "without the feature there is none")]
    pub fn store_figure(&self, name: &str) -> Value {
        let figures = self.manager().dispatch("stat").unwrap();
        let store = entry(&figures, "store").expect("a store");
        entry(store, name).unwrap_or_else(|| panic!("{name} is not in {store}")).clone()
    }

    /// A figure of a queue, as `netq stat` would show it.
    pub fn figure(&self, queue: &str, name: &str) -> i64 {
        let figures = self.manager().dispatch("stat").unwrap();
        let Some(Value::List(objects)) = entry(&figures, "objects") else { panic!("{figures}") };
        let is_it = |object: &&Value| entry(object, "name").and_then(Value::as_str) == Some(queue);
        let object = objects.iter().find(is_it).unwrap();
        entry(object, name).and_then(Value::as_i64).unwrap()
    }
}

/// A value of a dict.
pub fn entry<'v>(dict: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Dict(entries) = dict else { return None };
    entries.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

/// A directory of its own for a test, gone with it.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("netq-cli-test-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A queue with no more methods than CPython's manager offers.
pub struct Plain(Arc<SharedQueue>);

impl Plain {
    pub fn new(queue: Arc<SharedQueue>) -> Arc<Self> {
        Arc::new(Self(queue))
    }
}

impl Shared for Plain {
    fn exposed(&self) -> &[&'static str] {
        &["put", "get"]
    }

    fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
        self.0.call(call)
    }
}
