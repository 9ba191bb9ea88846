//! How to reach a server: where it is, with which key, and with how much patience.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::{AuthKey, Connection, FrameError, Stranger};
use crate::error::Error;
use crate::message::{Reply, encode_request};
use crate::pickle::{Value, Walker};

/// How long to wait for a connection to be made, again for its handshake, and again for an answer that a server
/// has at hand: one that is frozen would keep its client for ever.
const CONNECT: Duration = Duration::from_secs(10);

/// Replies may be as long as Python makes them; memory is taken as the bytes arrive.
const NO_LIMIT: u64 = u32::MAX as u64;

/// What a proxy does when its connection breaks: reconnect, and how.
///
/// A call that did not reach the server is sent again, and so is one whose repetition does no harm, such as a
/// queue's `qsize` or `get`. A `put` whose reply did not come may have been carried out. A netq hub knows that, as long as
/// it has not been restarted: there it is repeated, and happens once. Otherwise it is repeated only if
/// [`repeat_puts`](Self::repeat_puts) says so, and is [`Error::Lost`] if not.
///
/// ```
/// use std::time::Duration;
/// use netq::Retry;
///
/// let stubborn = Retry { patience: Duration::from_secs(600), ..Retry::default() };
/// let not_at_all = Retry::never();
/// assert!(not_at_all.patience.is_zero() && !stubborn.repeat_puts);
/// ```
#[derive(Clone)]
pub struct Retry {
    /// For how long to try to reconnect before giving up. 30 seconds; zero for not at all.
    pub patience: Duration,
    /// Whether to repeat a `put` of which not even the hub knows whether it was carried out: then an item may be
    /// queued twice. Off.
    pub repeat_puts: bool,
    /// Receives a line when the connection is lost, and one when it is back.
    pub notify: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Retry {
    /// Every broken connection is an error at once.
    pub fn never() -> Self {
        Self { patience: Duration::ZERO, ..Self::default() }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { patience: Duration::from_secs(30), repeat_puts: false, notify: Arc::new(|_| {}) }
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("patience", &self.patience)
            .field("repeat_puts", &self.repeat_puts)
            .finish_non_exhaustive()
    }
}

/// A server as its clients know it.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    address: String,
    key: AuthKey,
    pub(super) retry: Retry,
}

impl Remote {
    pub(crate) fn new(address: String, key: AuthKey, retry: Retry) -> Self {
        Self { address, key, retry }
    }

    /// Makes a connection, once. Python's `multiprocessing.connection.Client`.
    pub(super) fn connect(&self, patience: Duration) -> Result<Connection, Error> {
        let unreachable = |source| Error::Connect { address: self.address.clone(), source };
        let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in self.address.to_socket_addrs().map_err(unreachable)? {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(stream) => {
                    return Stranger::new(Arc::new(stream), patience)
                        .map_err(Into::into)
                        .and_then(|stranger| stranger.introduce(&self.key, NO_LIMIT))
                        .map_err(|source| Error::Handshake { address: self.address.clone(), source });
                }
                Err(error) => failure = error,
            }
        }
        Err(unreachable(failure))
    }

    /// Makes a connection for proxies' calls, trying again for as long as the retry policy says. `cause` is
    /// what broke the one before.
    pub(super) fn reconnect(&self, cause: &dyn fmt::Display) -> Result<Accepted, Error> {
        const LONGEST: Duration = Duration::from_secs(2);
        let started = Instant::now();
        (self.retry.notify)(&format!("lost the hub at {} ({cause}): reconnecting", self.address));
        let mut pause = Duration::from_millis(20);
        loop {
            match self.connect_and_accept() {
                Ok(connection) => {
                    (self.retry.notify)(&format!("back at the hub at {}", self.address));
                    return Ok(connection);
                }
                // Only a hub that is not there can come back; a wrong key stays wrong.
                Err(error) if may_pass(&error) && started.elapsed() + pause < self.retry.patience => {
                    thread::sleep(pause);
                }
                Err(error) => return Err(error),
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Calls one of the server's own methods, over a connection that serves only that.
    pub(crate) fn dispatch(&self, method: &str, args: &[Value]) -> Result<Value, Error> {
        let mut connection = self.connect(CONNECT)?;
        // To make an object may take its time.
        let patience = (method != "create").then_some(CONNECT);
        dispatch(&mut connection, method, args, patience)
    }

    /// As [`dispatch`](Self::dispatch), for what is only a courtesy: not worth a long wait.
    pub(super) fn dispatch_quickly(&self, method: &str, args: &[Value]) -> Result<Value, Error> {
        let patience = Duration::from_secs(1);
        dispatch(&mut self.connect(patience)?, method, args, Some(patience))
    }

    /// A connection on which proxies' calls can be made, out of a fresh one.
    fn accept(&self, mut connection: Connection) -> Result<Accepted, Error> {
        // Python sends its process's and thread's name; it helps to tell clients apart.
        let name = thread::current().name().unwrap_or("netq").to_owned();
        let run = dispatch(&mut connection, "accept_connection", &[name.into()], Some(CONNECT))?;
        // A call of an object may wait for ever.
        wait_at_most(&connection, None, "accept_connection")?;
        Ok(Accepted { connection, run: String::try_from(run).ok() })
    }

    pub(super) fn connect_and_accept(&self) -> Result<Accepted, Error> {
        self.accept(self.connect(CONNECT)?)
    }
}

/// A connection on which proxies' calls can be made.
pub(super) struct Accepted {
    pub connection: Connection,
    /// Which run of the hub it is to, if the hub is netq's.
    pub run: Option<String>,
}

fn wait_at_most(connection: &Connection, patience: Option<Duration>, method: &str) -> Result<(), Error> {
    connection.stream().set_read_timeout(patience).map_err(|error| lost(method, error))
}

/// Calls one of the server's own methods, and waits for its reply as long as that.
fn dispatch(
    connection: &mut Connection,
    method: &str,
    args: &[Value],
    patience: Option<Duration>,
) -> Result<Value, Error> {
    let request = encode_request(None, method, args, &[]);
    wait_at_most(connection, patience, method)?;
    let reply =
        exchange(connection, &mut Walker::new(), &request).map_err(|failure| failure.into_error(method))?;
    match reply {
        Reply::Return(value) => Ok(value),
        other => Err(into_error(other)),
    }
}

/// The error that a reply other than `#RETURN` is.
pub(super) fn into_error(reply: Reply) -> Error {
    match reply {
        Reply::Error(exception) => exception.into(),
        Reply::Traceback(text) => Error::RemoteTraceback(text),
        Reply::Return(_) | Reply::Proxy(..) => {
            Error::Protocol("a result of a kind that was not asked for".into())
        }
    }
}

/// How an exchange of a request for a reply fails.
pub(super) enum Failure {
    /// Nothing of the request can have been understood.
    NotSent(io::Error),
    /// The request was sent, and no reply came.
    NoReply(io::Error),
    /// A reply came, but not one that makes sense.
    Nonsense(String),
}

impl Failure {
    pub(super) fn into_error(self, method: &str) -> Error {
        match self {
            Self::NotSent(source) | Self::NoReply(source) => lost(method, source),
            Self::Nonsense(what) => Error::Protocol(what),
        }
    }
}

fn lost(method: &str, source: io::Error) -> Error {
    Error::Lost { method: method.into(), source }
}

/// Sends a request and waits for its reply.
pub(super) fn exchange(
    connection: &mut Connection,
    walker: &mut Walker,
    request: &[u8],
) -> Result<Reply, Failure> {
    // A frame that was not written whole is not a request yet.
    connection.send(&[request]).map_err(Failure::NotSent)?;
    receive(connection, walker)
}

/// Waits for the reply to a request that was sent.
pub(super) fn receive(connection: &mut Connection, walker: &mut Walker) -> Result<Reply, Failure> {
    match connection.receive() {
        Ok(Some(frame)) => Reply::parse(walker, frame).map_err(Failure::Nonsense),
        Ok(None) => {
            Err(Failure::NoReply(io::Error::new(ErrorKind::UnexpectedEof, "the hub closed the connection")))
        }
        Err(FrameError::Io(error)) if error.kind() == ErrorKind::TimedOut => Err(Failure::NoReply(
            io::Error::new(ErrorKind::TimedOut, "the hub does not answer: is it frozen?"),
        )),
        Err(FrameError::Io(error)) => Err(Failure::NoReply(error)),
        Err(FrameError::Truncated) => {
            Err(Failure::NoReply(io::Error::new(ErrorKind::UnexpectedEof, "the hub stopped in mid-reply")))
        }
        Err(error) => Err(Failure::Nonsense(error.to_string())),
    }
}

/// Whether an attempt to connect may succeed later.
pub(super) fn may_pass(error: &Error) -> bool {
    match error {
        Error::Connect { .. } => true,
        // A hub that stops in the middle of a handshake.
        Error::Handshake { source: crate::connection::HandshakeError::Frame(_), .. } => true,
        Error::Lost { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server for one connection, which gives each request that answer, or none, until its client leaves.
    fn server(answer: Option<&'static [u8]>) -> (Remote, thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let stream = Arc::new(listener.accept().unwrap().0);
            let mut connection =
                Stranger::new(stream, CONNECT).unwrap().welcome(&AuthKey::new(b"k"), 1000).unwrap();
            while let Ok(Some(_)) = connection.receive() {
                answer.into_iter().for_each(|answer| connection.send(&[answer]).unwrap());
            }
        });
        (Remote::new(address, AuthKey::new(b"k"), Retry::default()), server)
    }

    #[test]
    fn a_server_that_is_frozen_does_not_keep_its_client() {
        let (remote, frozen) = server(None);
        let mut connection = remote.connect(CONNECT).unwrap();
        let error = dispatch(&mut connection, "stat", &[], Some(Duration::from_millis(30))).unwrap_err();
        assert!(error.to_string().ends_with("the hub does not answer: is it frozen?"), "{error}");
        drop(connection);
        frozen.join().unwrap();
    }

    #[test]
    fn patience_may_be_longer_than_any_clock_runs() {
        let (mut remote, server) = server(Some(b"\x80\x04\x8c\x07#RETURNN\x86."));
        remote.retry.patience = Duration::MAX;
        drop(remote.reconnect(&"a test").unwrap());
        server.join().unwrap();
    }

    #[test]
    fn a_call_of_an_object_may_wait_for_ever() {
        let (remote, server) = server(Some(b"\x80\x04\x8c\x07#RETURNN\x86."));
        let connection = remote.connect_and_accept().unwrap().connection;
        assert_eq!(connection.stream().read_timeout().unwrap(), None);
        drop(connection);
        server.join().unwrap();
    }
}
