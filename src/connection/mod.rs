//! Connections: frames over TCP, between two peers of which each knows that the other holds the key.
//!
//! The types carry the rule. A [`Stranger`] is a socket and nothing else; the only way from it to a
//! [`Connection`], which can send and receive messages, is a handshake that succeeded before its deadline:
//!
//! ```text
//!  client                                   server
//!    |        #CHALLENGE#{sha256}<random>     |      each line is one frame of at most 256 bytes
//!    | <------------------------------------- |
//!    |        {sha256}<MAC>                   |
//!    | -------------------------------------> |
//!    |        #WELCOME#  (or #FAILURE#)       |
//!    | <------------------------------------- |
//!    |        #CHALLENGE#{sha256}<random>     |      and the same the other way round
//!    | -------------------------------------> |
//!    |        {sha256}<MAC>                   |
//!    | <------------------------------------- |
//!    |        #WELCOME#                       |
//!    | -------------------------------------> |
//! ```
//!
//! Mirrors `Client` and `Listener.accept` of CPython's `multiprocessing.connection`.

mod frame;
mod handshake;
mod reader;

use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use crate::memory::Buffer;
pub use frame::{Frame, FrameError, Source, write_frame};
pub use handshake::{AuthKey, HandshakeError, Stranger};
pub use reader::FrameReader;

/// A stream whose reads end at a point in time, however many there are.
pub(crate) struct Deadline<'a> {
    pub(crate) stream: &'a TcpStream,
    // Not their sum: who wants to wait for ever may name a time that no clock reaches.
    pub(crate) started: Instant,
    pub(crate) patience: Duration,
}

impl Read for Deadline<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.patience.saturating_sub(self.started.elapsed());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

impl Source for Deadline<'_> {
    fn acknowledge(&mut self) {
        self.stream.acknowledge();
    }
}

impl Source for &TcpStream {
    /// Elsewhere than on Linux there is no such request, and nothing is done.
    fn acknowledge(&mut self) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            #[cfg(target_os = "android")]
            use std::os::android::net::TcpStreamExt;
            #[cfg(target_os = "linux")]
            use std::os::linux::net::TcpStreamExt;
            // It only makes things faster: a failure shows in the next read.
            let _ = self.set_quickack(true);
        }
    }
}

/// A peer that holds the key: messages go both ways. Python's `multiprocessing.connection.Connection`.
#[derive(Debug)]
pub struct Connection {
    stream: Arc<TcpStream>,
    reader: FrameReader,
    scratch: Vec<u8>,
}

impl Connection {
    /// Waits for the next message; `None` when the peer has closed the connection.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn receive(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        self.reader.read(&mut &*self.stream)
    }

    /// Reads past a message for which [`receive`](Self::receive) said [`FrameError::TooLong`], within
    /// `patience` in total.
    ///
    /// # Errors
    /// [`FrameError`], after which the connection is of no more use.
    pub fn skip(&mut self, length: u64, patience: Duration) -> Result<(), FrameError> {
        let mut source = Deadline { stream: &self.stream, started: Instant::now(), patience };
        self.reader.skip(&mut source, length)?;
        Ok(self.stream.set_read_timeout(None)?)
    }

    /// Sends one message, the concatenation of `parts`.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn send(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        write_frame(&mut &*self.stream, &mut self.scratch, parts)
    }

    /// Whether the next message is here already, so that [`receive`](Self::receive) will not wait.
    pub fn has_message(&self) -> bool {
        self.reader.has_frame()
    }

    /// The socket: for deadlines, and to close it from another thread.
    pub fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// The peer's address, if it is still known to the socket.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer_addr().ok()
    }
}

/// Whether the peer has closed or reset its connection. Takes nothing from the stream and does not wait.
///
/// Data that was sent before the close hides it, so this is for a moment when no message is expected:
/// while the peer waits for a reply.
pub fn is_gone(stream: &TcpStream) -> bool {
    // std has no one call for a read that does not wait; three cheap ones do the same.
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let gone = match stream.peek(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    };
    stream.set_nonblocking(false).is_err() || gone
}

/// Wakes a thread that waits in `accept`, by a connection, which is what it waits for. If none can be made, the next
/// that comes from elsewhere ends the wait.
pub(crate) fn wake(mut listener: SocketAddr) {
    if listener.ip().is_unspecified() {
        listener.set_ip(match listener.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let _ = TcpStream::connect_timeout(&listener, Duration::from_secs(1));
}
