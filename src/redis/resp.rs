//! RESP2, the protocol that Redis and Valkey speak: commands out, replies in.
//!
//! A command is a list of byte strings, each with its length before it. A reply says with its first byte what it is.
//! What comes is bounded, whoever sends it: in length, in depth, in time, and memory is taken only as bytes arrive.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::client::Trouble;

/// The longest line that is not a string with a length: numbers, and what went wrong.
const LINE: usize = 64 * 1024;

/// The longest string, in bytes, as Redis has it.
pub(super) const STRING: usize = 512 << 20;

/// How many parts a reply may have, those of its parts included.
const PARTS: usize = 1 << 20;

/// How deep lists may be in lists. Those of the scripts here are flat.
const DEPTH: u32 = 4;

/// Bytes that are read at a time.
const CHUNK: usize = 16 * 1024;

/// What Redis answers.
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    Nil,
    Int(i64),
    Text(Vec<u8>),
    List(Vec<Reply>),
    /// What went wrong, which begins with a word for programs: `WRONGPASS ...`.
    Error(String),
}

impl Reply {
    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// What went wrong, as an error.
    pub(super) fn checked(self) -> Result<Self, Trouble> {
        match self {
            Self::Error(text) => Err(Trouble::Says(text)),
            reply => Ok(reply),
        }
    }

    pub(super) fn list(self) -> Vec<Reply> {
        match self {
            Self::List(parts) => parts,
            _ => Vec::new(),
        }
    }
}

/// Strings, as they stand in a command.
#[derive(Default)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    count: usize,
}

impl Strings {
    pub(super) fn add(&mut self, text: &[u8]) {
        self.add_two(text, &[]);
    }

    /// One of two parts.
    pub(super) fn add_two(&mut self, text: &[u8], more: &[u8]) {
        self.count += 1;
        length(&mut self.bytes, b'$', text.len() + more.len());
        self.bytes.extend_from_slice(text);
        self.bytes.extend_from_slice(more);
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(super) fn append(&mut self, more: &Self) {
        self.count += more.count;
        self.bytes.extend_from_slice(&more.bytes);
    }

    pub(super) fn number(&mut self, number: u64) {
        let mut text = Vec::with_capacity(20);
        digits(&mut text, number);
        self.add(&text);
    }

    /// How many bytes it takes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The command that they are.
    pub(super) fn command(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.bytes.len());
        length(&mut out, b'*', self.count);
        out.extend_from_slice(&self.bytes);
        out
    }

    /// Writes them as a command, behind those of `head`.
    pub(super) fn write(&self, head: &Self, mut to: &TcpStream) -> io::Result<()> {
        let mut out = Vec::with_capacity(64 + head.bytes.len() + self.bytes.len().min(CHUNK));
        length(&mut out, b'*', head.count + self.count);
        out.extend_from_slice(&head.bytes);
        // One write for what is small; what is large is not copied.
        let (small, large) = if self.bytes.len() <= 4 * CHUNK {
            (&self.bytes[..], &[][..])
        } else {
            (&[][..], &self.bytes[..])
        };
        out.extend_from_slice(small);
        to.write_all(&out)?;
        to.write_all(large)
    }
}

fn length(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.push(kind);
    digits(out, length as u64);
    out.extend_from_slice(b"\r\n");
}

/// Appends a number in decimal.
pub(super) fn digits(out: &mut Vec<u8>, number: u64) {
    if number >= 10 {
        digits(out, number / 10);
    }
    out.push(b'0' + (number % 10) as u8);
}

/// The replies of one connection.
pub(super) struct Replies {
    /// What has arrived.
    bytes: Vec<u8>,
    /// How much of it has been read.
    at: usize,
    deadline: Instant,
}

impl Replies {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), at: 0, deadline: Instant::now() }
    }

    /// Waits for the next reply, all of it within `patience`.
    pub(super) fn next(&mut self, stream: &TcpStream, patience: Duration) -> io::Result<Reply> {
        self.deadline = Instant::now() + patience;
        let mut parts = PARTS;
        let reply = self.reply(stream, DEPTH, &mut parts);
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(CHUNK);
            self.at = 0;
        }
        reply
    }

    fn reply(&mut self, stream: &TcpStream, depth: u32, parts: &mut usize) -> io::Result<Reply> {
        *parts = parts.checked_sub(1).ok_or_else(|| nonsense("too many parts"))?;
        let end = self.line(stream)?;
        let line = &self.bytes[self.at..end];
        let (&kind, rest) = line.split_first().ok_or_else(|| nonsense("an empty line"))?;
        let number = || std::str::from_utf8(rest).ok().and_then(|text| text.parse::<i64>().ok());
        let reply = match kind {
            b'+' => Some(Reply::Text(rest.to_vec())),
            b'-' => Some(Reply::Error(String::from_utf8_lossy(rest).into_owned())),
            b':' => Some(Reply::Int(number().ok_or_else(|| nonsense("no number"))?)),
            _ => None,
        };
        let length = number();
        self.at = end + 2;
        match (reply, kind, length) {
            (Some(reply), ..) => Ok(reply),
            (_, b'$' | b'*', Some(-1)) => Ok(Reply::Nil),
            (_, b'$', Some(length @ 0..)) if length as u64 <= STRING as u64 => {
                self.string(stream, length as usize)
            }
            (_, b'*', Some(count @ 0..)) if depth > 0 && count as u64 <= PARTS as u64 => {
                let mut list = Vec::new();
                for _ in 0..count {
                    list.push(self.reply(stream, depth - 1, parts)?);
                }
                Ok(Reply::List(list))
            }
            _ => Err(nonsense("no reply of Redis")),
        }
    }

    /// Where the line ends that is next.
    fn line(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let mut seen = self.at;
        loop {
            if let Some(at) = self.bytes[seen..].windows(2).position(|two| two == b"\r\n") {
                return Ok(seen + at);
            }
            seen = self.bytes.len().saturating_sub(1).max(self.at);
            if self.bytes.len() - self.at > LINE {
                return Err(nonsense("a line without end"));
            }
            // What was read is not needed any more.
            self.bytes.drain(..self.at);
            seen -= std::mem::take(&mut self.at);
            self.fill(stream, CHUNK)?;
        }
    }

    fn string(&mut self, stream: &TcpStream, length: usize) -> io::Result<Reply> {
        let here = (self.bytes.len() - self.at).min(length);
        let mut text = self.bytes[self.at..self.at + here].to_vec();
        self.at += here;
        if text.len() < length {
            // All that had come is in it: the rest needs no copy.
            std::mem::swap(&mut text, &mut self.bytes);
            while self.bytes.len() < length {
                self.fill(stream, (length - self.bytes.len()).min(1 << 17))?;
            }
            std::mem::swap(&mut text, &mut self.bytes);
            (self.at, self.bytes) = (0, Vec::new());
        }
        while self.bytes.len() - self.at < 2 {
            self.fill(stream, CHUNK)?;
        }
        self.at += 2;
        match &self.bytes[self.at - 2..self.at] {
            b"\r\n" => Ok(Reply::Text(text)),
            _ => Err(nonsense("a string of another length")),
        }
    }

    /// Reads at least a byte and at most so many.
    fn fill(&mut self, mut stream: &TcpStream, most: usize) -> io::Result<()> {
        let before = self.bytes.len();
        self.bytes.resize(before + most, 0);
        let read = loop {
            // Whoever sends a byte now and then must not keep its reader for ever.
            if Instant::now() >= self.deadline {
                break Err(ErrorKind::TimedOut.into());
            }
            match stream.read(&mut self.bytes[before..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) => {
                    break Err(io::Error::new(ErrorKind::UnexpectedEof, "it closed the connection"));
                }
                read => break read,
            }
        };
        self.bytes.truncate(before + *read.as_ref().unwrap_or(&0));
        read.map(drop)
    }
}

fn nonsense(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("this is not Redis: {what}"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What is read of these pieces, each sent by itself, until it fails.
    fn read(pieces: &[&[u8]]) -> (Vec<Reply>, io::Error) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut peer = listener.accept().unwrap().0;
        peer.set_nodelay(true).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                for piece in pieces {
                    // Whoever has read enough closes.
                    let _ = peer.write_all(piece);
                    thread::yield_now();
                }
            });
            let (mut replies, mut read) = (Replies::new(), Vec::new());
            loop {
                match replies.next(&stream, Duration::from_secs(10)) {
                    Ok(reply) => read.push(reply),
                    Err(error) => {
                        drop(stream);
                        return (read, error);
                    }
                }
            }
        })
    }

    fn text(text: &str) -> Reply {
        Reply::Text(text.into())
    }

    #[test]
    fn a_command_is_a_list_of_strings_with_their_lengths() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut head, mut rest) = (Strings::default(), Strings::default());
        head.add(b"SET");
        rest.number(1024);
        rest.add_two(b"\r", b"\n\0");
        rest.write(&head, &stream).unwrap();
        drop(stream);
        let mut read = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"*3\r\n$3\r\nSET\r\n$4\r\n1024\r\n$3\r\n\r\n\0\r\n");
        let mut out = Vec::new();
        [0, 9, 10, u64::MAX].iter().for_each(|&number| digits(&mut out, number));
        assert_eq!(out, b"091018446744073709551615");
    }

    #[test]
    fn replies_are_read_however_they_are_cut() {
        let bytes: &[u8] =
            b"+OK\r\n:-7\r\n$5\r\na\r\nb\0\r\n$-1\r\n*-1\r\n*3\r\n$0\r\n\r\n*0\r\n:1\r\n-ERR no\r\n";
        let expected = [
            text("OK"),
            Reply::Int(-7),
            text("a\r\nb\0"),
            Reply::Nil,
            Reply::Nil,
            Reply::List(vec![text(""), Reply::List(vec![]), Reply::Int(1)]),
            Reply::Error("ERR no".into()),
        ];
        for size in [1, 2, 3, 7, bytes.len()] {
            let (replies, error) = read(&bytes.chunks(size).collect::<Vec<_>>());
            assert_eq!(replies, expected, "in pieces of {size}");
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_long_string_comes_whole_with_what_is_before_and_behind_it() {
        let long = "x".repeat(3_000_000);
        let bytes = format!(":1\r\n${}\r\n{long}\r\n:2\r\n", long.len());
        let (replies, _) = read(&[bytes.as_bytes()]);
        assert!(replies == [Reply::Int(1), text(&long), Reply::Int(2)]);
    }

    #[test]
    fn nonsense_is_refused_and_takes_no_memory() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"\r\n",
            b":\r\n",
            b":1x\r\n",
            b"$x\r\n",
            b"$-2\r\n",
            b"$99999999999\r\n",
            b"$1\r\nab\r\n",
            b"*9999999\r\n",
            b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
            &[b'+'; LINE + 2 * CHUNK],
            &[format!("*{PARTS}\r\n").as_bytes(), &b":1\r\n".repeat(PARTS)].concat(),
        ] {
            let (replies, error) = read(&[bytes]);
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(30)]);
            assert!(error.to_string().starts_with("this is not Redis: "), "{shown}: {error}");
            assert!(replies.is_empty(), "{shown}");
        }
    }

    #[test]
    fn a_server_that_dawdles_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut peer = listener.accept().unwrap().0;
        let dawdler = thread::spawn(move || {
            while peer.write_all(b"+").is_ok() {
                thread::sleep(Duration::from_millis(1));
            }
        });
        let error = Replies::new().next(&stream, Duration::from_millis(30)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(stream);
        dawdler.join().unwrap();
    }
}
