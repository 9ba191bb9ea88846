//! Clients: one connection each, the same work for all of them as far as the protocols allow. Each takes
//! an item of its own as text and returns the one it gets as text.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

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
pub struct Manager(QueueProxy);

impl Manager {
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let queue = BaseManager::new(address.to_string(), KEY.as_bytes()).queue("get_task_queue")?;
        // The first call makes the connection.
        queue.qsize()?;
        Ok(Self(queue))
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
        Ok(self.0.put(item)?)
    }

    fn get(&mut self) -> Result<String> {
        text(self.0.get()?)
    }

    fn put_many(&mut self, items: Vec<String>) -> Result<()> {
        self.0.put_many(&mut items.into_iter().map(Value::Str).collect(), None)?;
        Ok(())
    }

    fn get_many(&mut self, count: usize) -> Result<Vec<String>> {
        self.0.get_many(count, None)?.into_iter().map(text).collect()
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
