//! Raw loopback echo: what the kernel allows, and so the limit for everybody else.
//!
//! A request is two big-endian lengths, its own and that of the reply that it wants, and as many bytes as
//! the first says. Requests and replies are as long as netq's for the same call. The server has one thread
//! per connection, as netq has; it looks at nothing, keeps nothing and wakes nobody.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::clients::{Client, Result};

/// How many bytes netq's messages have around the item: a `put`'s request and reply, a `get`'s request and
/// reply; and around each item in a batch.
const PUT: (usize, usize) = (40, 18);
const GET: (usize, usize) = (37, 20);
const PER_ITEM: usize = 3;

/// Never returns.
pub fn serve(listener: &TcpListener) -> io::Result<()> {
    loop {
        let stream = listener.accept()?.0;
        stream.set_nodelay(true)?;
        thread::Builder::new().stack_size(64 * 1024).spawn(move || answer(stream))?;
    }
}

/// Until the client leaves.
fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 8192];
    loop {
        let got = stream.read(&mut buffer)?;
        if got < 8 {
            return Ok(());
        }
        let (request, reply) = (length(&buffer), length(&buffer[4..]));
        if buffer.len() < request.max(reply) {
            buffer.resize(request.max(reply), 0);
        }
        if got < request {
            stream.read_exact(&mut buffer[got..request])?;
        }
        // The rest is, after the first put, text.
        buffer[..8].copy_from_slice(b"--------");
        stream.write_all(&buffer[..reply])?;
    }
}

fn length(bytes: &[u8]) -> usize {
    bytes[..4].iter().fold(0, |length, &byte| length << 8 | usize::from(byte))
}

/// Sends items, and gets others of one size.
pub struct Echo {
    stream: TcpStream,
    buffer: Vec<u8>,
    size: usize,
}

impl Echo {
    pub fn connect(address: SocketAddr, size: usize) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 8192], size })
    }

    /// One round trip, of which `item` is part; `reply` bytes come back. What is the header in netq's messages
    /// counts as text here: without it, a large reply would lie where some processors copy slowly, as netq's
    /// `connection::reader` explains.
    fn exchange(&mut self, request: usize, item: &[u8], reply: usize) -> Result<Vec<u8>> {
        let mut message = Vec::with_capacity(request);
        message.extend_from_slice(&(request as u32).to_be_bytes());
        message.extend_from_slice(&(reply as u32).to_be_bytes());
        message.extend_from_slice(item);
        message.resize(request, b'.');
        self.stream.write_all(&message)?;
        drop(message);
        if self.buffer.len() < reply {
            self.buffer.resize(reply, 0);
        }
        let mut got = 0;
        while got < reply {
            match self.stream.read(&mut self.buffer[got..])? {
                0 => return Err("the echo server has left".into()),
                count => got += count,
            }
        }
        Ok(self.buffer[..reply].to_vec())
    }
}

impl Client for Echo {
    fn put(&mut self, item: String) -> Result<()> {
        self.exchange(PUT.0 + item.len(), item.as_bytes(), PUT.1).map(drop)
    }

    fn get(&mut self) -> Result<String> {
        let mut item = self.exchange(GET.0, b"", GET.1 + self.size)?;
        item.truncate(self.size);
        Ok(String::from_utf8(item)?)
    }

    fn put_many(&mut self, items: Vec<String>) -> Result<()> {
        let (count, items) = (items.len(), items.concat());
        self.exchange(PUT.0 + items.len() + count * PER_ITEM, items.as_bytes(), PUT.1).map(drop)
    }

    fn get_many(&mut self, count: usize) -> Result<Vec<String>> {
        let items = self.exchange(GET.0, b"", GET.1 + count * (self.size + PER_ITEM))?;
        let cut = items.chunks(self.size + PER_ITEM).take(count);
        cut.map(|item| Ok(String::from_utf8(item[..self.size].to_vec())?)).collect()
    }
}
