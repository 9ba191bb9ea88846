//! Clients: one connection each, the same work for all of them as far as the protocols allow. Each takes
//! an item of its own as text and returns the one it gets as text.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use netq::{BaseManager, QueueProxy, Value};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What all hubs here are asked to guard their queue with, where they can.
pub const KEY: &str = "benchmark";

/// A queue, over one connection.
pub trait Client: Send {
    fn put(&mut self, item: String) -> Result<()>;
    /// Waits for an item.
    fn get(&mut self) -> Result<String>;

    fn put_many(&mut self, _: Vec<String>) -> Result<()> {
        Err("no batches".into())
    }
    fn get_many(&mut self, _: usize) -> Result<Vec<String>> {
        Err("no batches".into())
    }
}

/// netq's own client, for netq's hub and for CPython's.
pub struct Manager {
    queue: QueueProxy,
    /// Whether each item is reported done.
    reports: bool,
}

impl Manager {
    pub fn connect(address: SocketAddr) -> Result<Self> {
        Self::connect_to(address, "get_task_queue", false)
    }

    pub fn connect_to(address: SocketAddr, queue: &str, reports: bool) -> Result<Self> {
        let queue = BaseManager::new(address.to_string(), KEY.as_bytes()).queue(queue)?;
        // The first call makes the connection.
        queue.qsize()?;
        Ok(Self { queue, reports })
    }
}

fn text(item: Value) -> Result<String> {
    match item {
        Value::Str(text) => Ok(text),
        other => Err(format!("got {}", other.type_name()).into()),
    }
}

impl Client for Manager {
    fn put(&mut self, item: String) -> Result<()> {
        Ok(self.queue.put(item)?)
    }

    fn get(&mut self) -> Result<String> {
        let item = self.queue.get()?;
        if self.reports {
            self.queue.task_done()?;
        }
        text(item)
    }

    fn put_many(&mut self, items: Vec<String>) -> Result<()> {
        self.queue.put_many(&mut items.into_iter().map(Value::Str).collect(), None)?;
        Ok(())
    }

    fn get_many(&mut self, count: usize) -> Result<Vec<String>> {
        let items = self.queue.get_many(count, None)?;
        if self.reports {
            self.queue.task_done_many(items.len())?;
        }
        items.into_iter().map(text).collect()
    }
}

/// A connection whose replies are lines, and data of announced length.
struct Lines {
    stream: BufReader<TcpStream>,
    line: String,
}

impl Lines {
    fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), line: String::new() })
    }

    fn send(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(request)?)
    }

    /// The next line, which must start as expected: what follows that.
    fn line(&mut self, expected: &str) -> Result<&str> {
        self.line.clear();
        self.stream.read_line(&mut self.line)?;
        match self.line.strip_prefix(expected) {
            Some(rest) => Ok(rest.trim_end()),
            None => Err(format!("{:?} instead of {expected}", self.line).into()),
        }
    }

    /// Data of that length, and the end of its line.
    fn data(&mut self, length: usize) -> Result<String> {
        let mut data = vec![0; length + 2];
        self.stream.read_exact(&mut data)?;
        data.truncate(length);
        Ok(String::from_utf8(data)?)
    }
}

/// A list in Redis: `RPUSH` and `BLPOP`; batches are pipelined.
pub struct Redis(Lines);

impl Redis {
    pub fn connect(address: SocketAddr) -> Result<Self> {
        Lines::connect(address).map(Self)
    }

    fn push(out: &mut Vec<u8>, item: &str) {
        out.extend_from_slice(format!("*3\r\n$5\r\nRPUSH\r\n$1\r\nq\r\n${}\r\n", item.len()).as_bytes());
        out.extend_from_slice(item.as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    fn bulk(&mut self) -> Result<String> {
        let length = self.0.line("$")?.parse()?;
        self.0.data(length)
    }
}

impl Client for Redis {
    fn put(&mut self, item: String) -> Result<()> {
        let mut request = Vec::with_capacity(item.len() + 64);
        Self::push(&mut request, &item);
        self.0.send(&request)?;
        self.0.line(":").map(drop)
    }

    fn get(&mut self) -> Result<String> {
        self.0.send(b"*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$1\r\n0\r\n")?;
        self.0.line("*2")?;
        self.bulk()?;
        self.bulk()
    }

    fn put_many(&mut self, items: Vec<String>) -> Result<()> {
        let mut request = Vec::new();
        items.iter().for_each(|item| Self::push(&mut request, item));
        self.0.send(&request)?;
        items.iter().try_for_each(|_| self.0.line(":").map(drop))
    }

    fn get_many(&mut self, count: usize) -> Result<Vec<String>> {
        self.0.send(&b"*2\r\n$4\r\nLPOP\r\n$1\r\nq\r\n".repeat(count))?;
        (0..count).map(|_| self.bulk()).collect()
    }
}

/// As [`Redis`], but what was got is kept in a list of the worker's own until it is done, and a cleaner gives back what
/// is in the list of one that was not heard of: the best known way to lose nothing.
pub struct Careful {
    redis: Redis,
    worker: usize,
    alive: Instant,
}

/// How long a worker is taken to be alive.
const ALIVE: Duration = Duration::from_secs(15);

impl Careful {
    pub fn connect(address: SocketAddr, worker: usize) -> Result<Self> {
        let mut careful = Self { redis: Redis::connect(address)?, worker, alive: Instant::now() };
        careful.redis.0.send(&words(&["SADD", "workers", &worker.to_string()]))?;
        careful.redis.0.line(":")?;
        careful.is_alive()?;
        Ok(careful)
    }

    fn is_alive(&mut self) -> Result<()> {
        self.alive = Instant::now();
        let (key, seconds) = (format!("alive{}", self.worker), ALIVE.as_secs().to_string());
        self.redis.0.send(&words(&["SET", &key, "1", "EX", &seconds]))?;
        self.redis.0.line("+OK").map(drop)
    }

    /// Looks after the workers once a second, until it is told to stop.
    pub fn clean(address: SocketAddr, stop: Arc<AtomicBool>) -> Result<JoinHandle<Result<()>>> {
        let mut redis = Redis::connect(address)?;
        Ok(std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                redis.0.send(&words(&["SMEMBERS", "workers"]))?;
                let count: usize = redis.0.line("*")?.parse()?;
                let workers = (0..count).map(|_| redis.bulk()).collect::<Result<Vec<_>>>()?;
                for worker in workers {
                    redis.0.send(&words(&["EXISTS", &format!("alive{worker}")]))?;
                    while redis.0.line(":")? == "0" {
                        redis.0.send(&words(&[
                            "LMOVE",
                            &format!("work{worker}"),
                            "careful",
                            "RIGHT",
                            "RIGHT",
                        ]))?;
                        if redis.0.line("$")? == "-1" {
                            break;
                        }
                        redis.0.line("")?;
                        redis.0.send(&words(&["EXISTS", &format!("alive{worker}")]))?;
                    }
                }
                std::thread::sleep(Duration::from_secs(1));
            }
            Ok(())
        }))
    }
}

/// A command.
fn words(words: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    out
}

impl Client for Careful {
    fn put(&mut self, item: String) -> Result<()> {
        self.redis.0.send(&words(&["LPUSH", "careful", &item]))?;
        self.redis.0.line(":").map(drop)
    }

    fn get(&mut self) -> Result<String> {
        if self.alive.elapsed() > ALIVE / 3 {
            self.is_alive()?;
        }
        let mine = format!("work{}", self.worker);
        self.redis.0.send(&words(&["BLMOVE", "careful", &mine, "RIGHT", "LEFT", "0"]))?;
        let item = self.redis.bulk()?;
        self.redis.0.send(&words(&["LREM", &mine, "1", &item]))?;
        self.redis.0.line(":1")?;
        Ok(item)
    }

    fn put_many(&mut self, items: Vec<String>) -> Result<()> {
        let requests: Vec<u8> = items.iter().flat_map(|item| words(&["LPUSH", "careful", item])).collect();
        self.redis.0.send(&requests)?;
        items.iter().try_for_each(|_| self.redis.0.line(":").map(drop))
    }

    fn get_many(&mut self, count: usize) -> Result<Vec<String>> {
        let mine = format!("work{}", self.worker);
        self.redis.0.send(&words(&["LMOVE", "careful", &mine, "RIGHT", "LEFT"]).repeat(count))?;
        let items = (0..count).map(|_| self.redis.bulk()).collect::<Result<Vec<_>>>()?;
        let requests: Vec<u8> = items.iter().flat_map(|item| words(&["LREM", &mine, "1", item])).collect();
        self.redis.0.send(&requests)?;
        items.iter().try_for_each(|_| self.redis.0.line(":").map(drop))?;
        Ok(items)
    }
}

/// A tube of beanstalkd. An item that was reserved has to be deleted as well: one more round trip, by which
/// the item is as safe from a dying client as netq's is.
pub struct Beanstalk(Lines);

impl Beanstalk {
    pub fn connect(address: SocketAddr) -> Result<Self> {
        Lines::connect(address).map(Self)
    }
}

impl Client for Beanstalk {
    fn put(&mut self, item: String) -> Result<()> {
        let mut request = format!("put 0 0 60 {}\r\n", item.len()).into_bytes();
        request.reserve_exact(item.len() + 2);
        request.extend_from_slice(item.as_bytes());
        request.extend_from_slice(b"\r\n");
        self.0.send(&request)?;
        self.0.line("INSERTED").map(drop)
    }

    fn get(&mut self) -> Result<String> {
        self.0.send(b"reserve\r\n")?;
        let mut job = self.0.line("RESERVED ")?.split(' ');
        let (Some(id), Some(length)) = (job.next(), job.next()) else {
            return Err("RESERVED without an id and a length".into());
        };
        let (delete, length) = (format!("delete {id}\r\n"), length.parse()?);
        let item = self.0.data(length)?;
        self.0.send(delete.as_bytes())?;
        self.0.line("DELETED")?;
        Ok(item)
    }
}
