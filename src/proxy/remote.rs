//! How to reach a server: where it is, with which key, and with how much patience.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::auth::random_bytes;
use crate::connection::{AuthKey, Connection, FrameError, HandshakeError, Stranger};
use crate::error::Error;
use crate::message::{Reply, encode_request};
use crate::pickle::{Value, Walker};
use crate::proxy::Retry;
use crate::proxy::line::Line;

/// How long to wait for a connection to be made, with its handshake, and again for an answer that a server has at hand:
/// one that is frozen would keep its client for ever.
pub(super) const CONNECT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// Replies may be as long as Python makes them; memory is taken as the bytes arrive.
const NO_LIMIT: u64 = u32::MAX as u64;

/// A server as its clients know it.
#[derive(Debug)]
pub(crate) struct Remote {
    /// One, or several of servers that are the same to their clients.
    addresses: Vec<String>,
    /// Which of them is used, until it is not there any more.
    current: AtomicUsize,
    key: AuthKey,
    pub(super) retry: Retry,
}

impl Remote {
    pub(crate) fn new(addresses: String, key: AuthKey, retry: Retry) -> Self {
        let addresses: Vec<String> = addresses.split(',').map(|address| address.trim().to_owned()).collect();
        // Not all clients are to begin with the same one.
        let mut random = [0; 1];
        if addresses.len() > 1 {
            random_bytes(&mut random);
        }
        Self { addresses, current: AtomicUsize::new(random[0].into()), key, retry }
    }

    /// Where it is.
    pub(super) fn address(&self) -> &str {
        self.at(self.current.load(Ordering::Relaxed))
    }

    fn at(&self, number: usize) -> &str {
        // There is one at least.
        &self.addresses[number % self.addresses.len()]
    }

    /// Tells whoever wants to know how the connection is.
    pub(super) fn tell(&self, line: &str) {
        (self.retry.notify)(line);
    }

    /// Makes a connection, to the first of its addresses where there is one to be had, from the current one on. For all
    /// of them together it takes no longer than `patience`, but that it may take the system longer to look a name up.
    pub(super) fn connect(&self, patience: Duration) -> Result<Connection, Error> {
        let (count, current) = (self.addresses.len(), self.current.load(Ordering::Relaxed));
        let started = Instant::now();
        let mut tried = 0;
        loop {
            let left = patience.saturating_sub(started.elapsed());
            let result = self.connect_to(self.at(current + tried), left / (count - tried) as u32);
            tried += 1;
            match result {
                Err(error) if error.is_disconnect() && tried < count => {}
                result => {
                    if result.is_ok() {
                        self.current.store(current + tried - 1, Ordering::Relaxed);
                    }
                    return result;
                }
            }
        }
    }

    /// Makes a connection to this address, once. Python's `multiprocessing.connection.Client`.
    fn connect_to(&self, place: &str, patience: Duration) -> Result<Connection, Error> {
        let started = Instant::now();
        let left = || patience.saturating_sub(started.elapsed()).max(Duration::from_millis(1));
        let unreachable = |source| Error::Connect { address: place.to_owned(), source };
        let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in place.to_socket_addrs().map_err(unreachable)? {
            match TcpStream::connect_timeout(&address, left()) {
                Ok(stream) => {
                    return Stranger::new(Arc::new(stream), left())
                        .map_err(Into::into)
                        .and_then(|stranger| stranger.introduce(&self.key, NO_LIMIT))
                        .map_err(|source| Error::Handshake { address: place.to_owned(), source });
                }
                Err(error) => failure = error,
            }
        }
        Err(unreachable(failure))
    }

    /// Calls one of the server's own methods, over a connection that serves only that.
    pub(crate) fn dispatch(&self, method: &str, args: &[Value]) -> Result<Value, Error> {
        self.dispatch_within(CONNECT, method, [args, &[]], &[])
    }

    /// As [`dispatch`](Self::dispatch), with keyword arguments too.
    pub(super) fn dispatch_with(
        &self,
        method: &str,
        args: [&[Value]; 2],
        kwargs: &[(&str, Value)],
    ) -> Result<Value, Error> {
        self.dispatch_within(CONNECT, method, args, kwargs)
    }

    /// As [`dispatch`](Self::dispatch), for what is only a courtesy: not worth a long wait.
    pub(super) fn dispatch_quickly(&self, method: &str, args: &[Value]) -> Result<Value, Error> {
        self.dispatch_within(Duration::from_secs(1), method, [args, &[]], &[])
    }

    fn dispatch_within(
        &self,
        patience: Duration,
        method: &str,
        args: [&[Value]; 2],
        kwargs: &[(&str, Value)],
    ) -> Result<Value, Error> {
        let connection = self.connect(patience)?;
        let peer = connection.peer();
        // To make an object may take its time.
        let wait_on = || method == "create" && self.is_alive(peer);
        let request = encode_request(None, method, args, kwargs);
        // What is asked for, in an error: an object, or else the method itself.
        let name = args[0].first().and_then(Value::as_str).unwrap_or(method);
        dispatch(&mut Line::over(connection), patience, &wait_on, [method, name], &request)
    }

    /// Whether the server at the other end of a connection shows a sign of life. One that has no room for another
    /// connection is alive.
    pub(super) fn is_alive(&self, peer: Option<SocketAddr>) -> bool {
        let Some(peer) = peer else { return false };
        let asked = self.connect_to(&peer.to_string(), CONNECT).and_then(|connection| {
            let request = encode_request(None, "dummy", [&[], &[]], &[]);
            dispatch(&mut Line::over(connection), CONNECT, &|| false, ["dummy"; 2], &request)
        });
        match asked {
            Err(Error::Connect { .. }) => false,
            Err(Error::Handshake { source: HandshakeError::Frame(FrameError::Io(error)), .. })
            | Err(Error::Lost { source: error, .. }) => !is_timeout(&error),
            _ => true,
        }
    }

    /// Makes a connection on which proxies' calls can be made, within `patience`.
    pub(super) fn connect_and_accept(&self, patience: Duration) -> Result<Accepted, Error> {
        let started = Instant::now();
        let mut line = Line::over(self.connect(patience)?);
        let left = patience.saturating_sub(started.elapsed()).max(Duration::from_millis(1));
        // Python sends its process's and thread's name; it helps to tell clients apart.
        let name = thread::current().name().unwrap_or("netq").to_owned();
        let request = encode_request(None, "accept_connection", [&[name.into()], &[]], &[]);
        let run = dispatch(&mut line, left, &|| false, ["accept_connection"; 2], &request)?;
        match line.connection {
            Some(connection) => Ok(Accepted { connection, run: String::try_from(run).ok() }),
            None => Err(lost("accept_connection", true, ErrorKind::NotConnected.into())),
        }
    }
}

/// A connection on which proxies' calls can be made.
pub(super) struct Accepted {
    pub connection: Connection,
    /// Which run of the hub it is to, if the hub is netq's.
    pub run: Option<String>,
}

/// Calls one of the server's own methods, and waits for its reply as long as that.
fn dispatch(
    line: &mut Line,
    patience: Duration,
    wait_on: &dyn Fn() -> bool,
    [method, name]: [&str; 2],
    request: &[u8],
) -> Result<Value, Error> {
    let reply =
        line.exchange(request, patience, Some(wait_on)).map_err(|failure| failure.into_error(method))?;
    match reply {
        Reply::Return(value) => Ok(value),
        other => Err(into_error(other, name)),
    }
}

/// The error that a reply other than `#RETURN` is, if `name` is the object that was asked for.
pub(super) fn into_error(reply: Reply, name: &str) -> Error {
    match reply {
        Reply::Error(exception) => exception.into(),
        Reply::Traceback(text) => Error::of_traceback(text, name),
        Reply::Unserializable(text) => Error::Unpicklable(text),
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
    /// No reply came in time.
    pub(super) fn silence() -> Self {
        Self::NoReply(io::Error::new(ErrorKind::TimedOut, "the hub does not answer: is it frozen?"))
    }

    pub(super) fn into_error(self, method: &str) -> Error {
        match self {
            Self::NotSent(source) => lost(method, false, source),
            Self::NoReply(source) => lost(method, true, source),
            Self::Nonsense(what) => Error::Protocol(what),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(cause) | Self::NoReply(cause) => cause.fmt(f),
            Self::Nonsense(what) => what.fmt(f),
        }
    }
}

/// Whether a socket has waited for as long as it was told to. What it says then differs between platforms.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn lost(method: &str, sent: bool, source: io::Error) -> Error {
    Error::Lost { method: method.into(), sent, source }
}

/// Waits for the reply to a request that was sent.
pub(super) fn receive(connection: &mut Connection, walker: &mut Walker) -> Result<Reply, Failure> {
    match connection.receive() {
        Ok(Some(frame)) => Reply::parse(walker, frame).map_err(Failure::Nonsense),
        Ok(None) => {
            Err(Failure::NoReply(io::Error::new(ErrorKind::UnexpectedEof, "the hub closed the connection")))
        }
        Err(FrameError::Io(error)) if is_timeout(&error) => Err(Failure::silence()),
        Err(FrameError::Io(error)) => Err(Failure::NoReply(error)),
        Err(FrameError::Truncated) => {
            Err(Failure::NoReply(io::Error::new(ErrorKind::UnexpectedEof, "the hub stopped in mid-reply")))
        }
        Err(error) => Err(Failure::Nonsense(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::TcpListener;

    use super::*;

    /// A server for one connection, which answers no request until its client leaves.
    fn server() -> (Remote, thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || {
            let stream = Arc::new(listener.accept().unwrap().0);
            let mut connection =
                Stranger::new(stream, CONNECT).unwrap().welcome(&AuthKey::new(b"k"), 1000).unwrap();
            while let Ok(Some(_)) = connection.receive() {}
        });
        (Remote::new(address, AuthKey::new(b"k"), Retry::default()), server)
    }

    #[test]
    fn of_several_addresses_the_first_is_used_where_somebody_is_and_then_kept() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (there, server) = server();
        let remote =
            Remote::new(format!("{gone}, {}", there.address()), AuthKey::new(b"k"), Retry::default());
        remote.current.store(0, Ordering::Relaxed);
        let connection = remote.connect(CONNECT).unwrap();
        assert_eq!(remote.address(), there.address());
        drop(connection);
        server.join().unwrap();
        // Nobody is there any more.
        assert!(matches!(remote.connect(CONNECT), Err(Error::Connect { .. })));
        let wrong = Remote::new(format!("{gone},nonsense"), AuthKey::new(b"k"), Retry::default());
        assert!(matches!(wrong.connect(CONNECT), Err(Error::Connect { .. })));
    }

    #[test]
    fn a_server_that_is_frozen_does_not_keep_its_client() {
        let (remote, frozen) = server();
        let moment = Duration::from_millis(30);
        let mut line = Line::over(remote.connect(CONNECT).unwrap());
        let asked = Cell::new(0);
        let request = encode_request(None, "stat", [&[], &[]], &[]);
        let error =
            dispatch(&mut line, moment, &|| asked.replace(asked.get() + 1) < 2, ["stat"; 2], &request);
        let error = error.unwrap_err();
        assert!(error.to_string().ends_with("the hub does not answer: is it frozen?"), "{error}");
        assert_eq!(asked.get(), 3);
        frozen.join().unwrap();
    }
}
