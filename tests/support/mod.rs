//! What the tests of faults and of hostile peers share: hubs, raw connections, processes, random numbers.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod process;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use netq::connection::{AuthKey, Connection, Stranger};
use netq::pickle::{Value, Walker};
use netq::queue::BoundedQueue;
use netq::{BaseManager, Options, Pickled, QueueOptions, QueueProxy, Redelivery, Retry, SharedQueue};

pub const KEY: &[u8] = b"a key for the tests only";
pub const TASKS: &str = "get_task_queue";
/// Another queue, for clients that are not to notice what happens to the first.
pub const OTHER: &str = "get_other_queue";
/// A queue that takes back what a client was not done with.
pub const CAREFUL: &str = "get_careful_queue";

/// How long something may take that takes milliseconds when nothing is wrong.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Random numbers that are the same in every run: xorshift64*.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub fn byte(&mut self) -> u8 {
        (self.next() >> 8) as u8
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Changes `bytes` a little, as transmission errors and attackers do: bits, bytes, numbers, and pieces
    /// that are missing, doubled, or from elsewhere.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>, elsewhere: &[u8]) {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(9) {
                _ if bytes.is_empty() => bytes.push(self.byte()),
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = self.byte(),
                2 => bytes[at] = *self.pick(&[0, 1, 0x7f, 0x80, 0xff]),
                3 => bytes.truncate(at),
                4 => drop(bytes.drain(at..(at + 1 + self.below(8)).min(bytes.len()))),
                5 => bytes.insert(at, self.byte()),
                6 => {
                    let piece = bytes[at..(at + 1 + self.below(8)).min(bytes.len())].to_vec();
                    let to = self.below(bytes.len());
                    drop(bytes.splice(to..to, piece));
                }
                7 => {
                    let from = self.below(elsewhere.len());
                    let piece = &elsewhere[from..(from + 1 + self.below(12)).min(elsewhere.len())];
                    drop(bytes.splice(at..at, piece.iter().copied()));
                }
                _ => {
                    let other = self.below(bytes.len());
                    bytes.swap(at, other);
                }
            }
        }
    }
}

/// Waits until `state` holds; fails after [`PATIENCE`], saying what was waited for.
#[track_caller]
pub fn wait_until(what: &str, mut state: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !state() {
        assert!(Instant::now() < deadline, "still not so after {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A hub in this process, with its queues, and what it has logged.
pub struct Hub {
    pub manager: BaseManager,
    pub address: SocketAddr,
    pub queue: Arc<BoundedQueue<Pickled>>,
    pub careful: Arc<BoundedQueue<Pickled>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    pub fn start(options: Options) -> Self {
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = log.clone();
        let options =
            Options { log: Arc::new(move |line| lines.lock().unwrap().push(line.to_string())), ..options };
        let mut manager = BaseManager::new("127.0.0.1:0", KEY);
        manager.set_retry(Retry::never());
        manager.set_options(options);
        let tasks = SharedQueue::new(0);
        let queue = tasks.queue().clone();
        manager.register(TASKS, tasks);
        manager.register(OTHER, SharedQueue::new(0));
        let redelivery = Some(Redelivery::default());
        let careful = SharedQueue::with_options(QueueOptions { redelivery, ..QueueOptions::default() });
        manager.register(CAREFUL, careful.clone());
        let address = manager.start().unwrap();
        Self { manager, address, queue, careful: careful.queue().clone(), log }
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The lines that were logged about the peer with this address.
    pub fn log_about(&self, peer: SocketAddr) -> Vec<String> {
        let prefix = format!("{peer}: ");
        self.log().iter().filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned)).collect()
    }

    /// One of the figures of `stat`.
    pub fn figure(&self, name: &str) -> i64 {
        figure(&self.manager, name)
    }

    pub fn proxy(&self) -> QueueProxy {
        self.manager.queue(TASKS).unwrap()
    }
}

/// A client that puts into the other queue and gets from it all the time, until it is told to finish, and
/// fails if something is not as it always is.
pub struct Normal {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<(u64, Duration)>,
}

impl Normal {
    pub fn start(address: SocketAddr) -> Self {
        let proxy = client(address).queue(OTHER).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let (mut rounds, mut slowest) = (0_u64, Duration::ZERO);
            while rounds == 0 || !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                proxy.put(rounds as i64).unwrap();
                assert_eq!(proxy.get_timeout(PATIENCE).unwrap(), Value::Int(rounds as i64));
                slowest = slowest.max(begun.elapsed());
                rounds += 1;
            }
            (rounds, slowest)
        });
        Self { stop, thread }
    }

    /// How many rounds it has done, and how long the slowest took. Fails if it has noticed anything.
    #[track_caller]
    pub fn finish(self) -> (u64, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the normal client noticed something")
    }
}

/// A manager that is only a client.
pub fn client(address: SocketAddr) -> BaseManager {
    let mut manager = BaseManager::new(address.to_string(), KEY);
    manager.set_retry(Retry::never());
    manager
}

/// One of the figures of `stat`.
pub fn figure(manager: &BaseManager, name: &str) -> i64 {
    let Value::Dict(figures) = manager.dispatch("stat").unwrap() else { panic!("stat is a dict") };
    let found = figures.iter().find(|(key, _)| key.as_str() == Some(name));
    found.and_then(|(_, value)| value.as_i64()).unwrap_or_else(|| panic!("no figure {name}"))
}

/// A connection that has shown its key, for requests of any shape.
pub fn authenticate(address: SocketAddr) -> Connection {
    let stream = Arc::new(TcpStream::connect(address).unwrap());
    Stranger::new(stream, PATIENCE).unwrap().introduce(&AuthKey::new(KEY), 1 << 30).unwrap()
}

/// A connection that takes calls of objects.
pub fn accepted(address: SocketAddr) -> Connection {
    let mut connection = authenticate(address);
    connection.send(&[&request(None, "accept_connection", vec!["test".into()])]).unwrap();
    assert_eq!(reply(&mut connection).0, "#RETURN");
    connection
}

/// A request's pickle.
pub fn request(ident: Option<&str>, method: &str, args: Vec<Value>) -> Vec<u8> {
    let request = vec![ident.into(), method.into(), Value::Tuple(args), Value::Dict(vec![])];
    Value::Tuple(request).to_pickled().to_pickle()
}

/// A put whose item is `code`, which need not be any good.
pub fn put_of(code: &[u8]) -> Vec<u8> {
    // MARK, the ident, the method, the item in a TUPLE1, EMPTY_DICT, TUPLE, STOP
    let mut pickle = b"\x80\x04(\x8c\x0eget_task_queue\x8c\x03put".to_vec();
    pickle.extend_from_slice(code);
    pickle.extend_from_slice(b"\x85}t.");
    pickle
}

/// The next reply's kind, and its result as a value (an exception is an opaque one).
#[track_caller]
pub fn reply(connection: &mut Connection) -> (String, Value) {
    connection.stream().set_read_timeout(Some(PATIENCE)).unwrap();
    let frame = connection.receive().expect("a reply").expect("a reply, not the end");
    let mut walker = Walker::new();
    let root = walker.walk(&frame).expect("a reply is a pickle");
    let &[kind, result] = walker.sequence(&frame, root).expect("a reply is a pair") else {
        panic!("not a pair")
    };
    let kind = walker.text(&frame, kind).expect("a kind").to_owned();
    (kind, walker.decode_span(&frame, result).expect("a result"))
}

/// The next reply, as text: `#ERROR ValueError('...')` or `#RETURN None`.
#[track_caller]
pub fn reply_text(connection: &mut Connection) -> String {
    match reply(connection) {
        (kind, Value::Opaque(payload)) => match payload.decode_instance() {
            Some(instance) => format!("{kind} {}{}", instance.name, Value::Tuple(instance.args)),
            None => format!("{kind} {payload:?}"),
        },
        (kind, Value::Str(text)) => format!("{kind} {text}"),
        (kind, value) => format!("{kind} {value}"),
    }
}

/// Sends a request and returns its reply as text.
#[track_caller]
pub fn ask(connection: &mut Connection, request: &[u8]) -> String {
    connection.send(&[request]).unwrap();
    reply_text(connection)
}

/// Whether the hub closes the connection, whatever it sends before that.
#[track_caller]
pub fn expect_closed(mut stream: &TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut received = Vec::new();
    match stream.read_to_end(&mut received) {
        Ok(_) => {}
        Err(error) => assert!(is_over(&error), "still open: {error}"),
    }
    received
}

/// Whether an error says that the connection has ended.
pub fn is_over(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

/// Writes what the other side may refuse by closing.
pub fn try_write(mut stream: &TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

/// A frame around `body`.
pub fn frame(body: &[u8]) -> Vec<u8> {
    let (mut bytes, mut scratch) = (Vec::new(), Vec::new());
    netq::connection::write_frame(&mut bytes, &mut scratch, &[body]).unwrap();
    bytes
}
