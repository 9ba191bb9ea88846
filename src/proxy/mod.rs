//! Proxies: objects of another process, whose methods are called over a connection.

mod delivery;
mod line;
mod queue;
mod remote;

use std::fmt;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::connection::is_gone;
use crate::error::Error;
use crate::memory::Buffer;
use crate::message::{Reply, Token, encode_request};
use crate::pickle::Value;
use crate::shared::{Again, Kind};

pub use delivery::Delivery;
pub use queue::QueueProxy;
pub(crate) use remote::Remote;
pub use remote::Retry;

use line::{Line, Lines};
use remote::{Accepted, Failure, exchange, into_error, may_pass, receive};

/// A connection that was used less than this ago is taken to be alive without a look.
const FRESH: Duration = Duration::from_millis(100);

/// How many requests may be on their way without a reply.
const PIPELINE: usize = 256;

/// An object that lives in a manager's server, CPython's included. Python's `BaseProxy`.
///
/// A proxy can be shared by threads, and cloned, which takes no time: each thread that uses one, and each clone, has a
/// connection of its own, made when it is first needed, as Python has behind its users' backs. So no call waits for
/// another, and what belongs to a connection, such as an item that is not done yet, is that thread's and that clone's. It
/// ends with the clone; that of a thread which has ended, with the next thread that uses the clone.
///
/// ```
/// # use std::sync::Arc;
/// # use netq::{Answer, BaseManager, Call, Exception, Shared};
/// # struct Adder;
/// # impl Shared for Adder {
/// #     fn exposed(&self) -> &[&'static str] { &["add"] }
/// #     fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
/// #         let [a, b] = call.bind(["a", "b"], 2)?;
/// #         Ok((call.int(a, 0)? + call.int(b, 0)?).into())
/// #     }
/// # }
/// # let mut manager = BaseManager::new("127.0.0.1:0", b"secret");
/// # manager.register("get_adder", Arc::new(Adder));
/// # manager.start()?;
/// let adder = manager.proxy("get_adder", &[])?;
/// assert_eq!(adder.call("add", &[1.into(), 2.into()])?, 3.into());
/// assert_eq!(adder.call_with("add", &[1.into()], &[("b", 5.into())])?, 6.into());
/// # Ok::<(), netq::Error>(())
/// ```
pub struct Proxy {
    // Before the connections: a server that counts references is told so while it still knows them.
    object: Arc<Object>,
    lines: Lines,
}

/// What all clones of a proxy have in common: one of the references that the server counts.
struct Object {
    remote: Arc<Remote>,
    token: Token,
    exposed: Vec<String>,
    /// The server was seen to be gone.
    gone: AtomicBool,
}

impl Proxy {
    pub(crate) fn create(remote: Arc<Remote>, typeid: &str, args: &[Value]) -> Result<Self, Error> {
        let args: Vec<Value> = [typeid.into()].into_iter().chain(args.iter().cloned()).collect();
        let created = remote.dispatch("create", &args)?;
        let parts = || {
            let Value::Tuple(parts) = created else { return None };
            let [Value::Str(ident), Value::Tuple(exposed)] = <[Value; 2]>::try_from(parts).ok()? else {
                return None;
            };
            let exposed = exposed.into_iter().map(String::try_from).collect::<Result<_, _>>().ok()?;
            Some((ident, exposed))
        };
        let (ident, exposed) =
            parts().ok_or_else(|| Error::Protocol("create() without (ident, exposed)".into()))?;
        Ok(Self::new(remote, Token { typeid: typeid.into(), ident }, exposed))
    }

    /// A proxy that owns one of the references that the server counts.
    fn new(remote: Arc<Remote>, token: Token, exposed: Vec<String>) -> Self {
        let gone = AtomicBool::new(false);
        Self { object: Arc::new(Object { remote, token, exposed, gone }), lines: Lines::default() }
    }

    /// Which object this is.
    pub fn token(&self) -> &Token {
        &self.object.token
    }

    /// The names of the methods that can be called.
    pub fn exposed(&self) -> &[String] {
        &self.object.exposed
    }

    /// Calls a method and waits for its result. In Python: `proxy.method(*args)`.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Full`], [`Error::ShutDown`] and [`Error::Raised`] for what the method
    /// raises; [`Error::RemoteTraceback`] if the object or the method does not exist; [`Error::Lost`] if the
    /// connection broke and could not, or must not, be replaced.
    pub fn call(&self, method: &str, args: &[Value]) -> Result<Value, Error> {
        self.call_with(method, args, &[])
    }

    /// Calls a method with keyword arguments too. In Python: `proxy.method(*args, **kwargs)`.
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub fn call_with(&self, method: &str, args: &[Value], kwargs: &[(&str, Value)]) -> Result<Value, Error> {
        self.on_line(|line| self.call_on(line, method, args, kwargs, self.repeat(method)))
    }

    /// As [`call_with`](Self::call_with), for a caller that has this thread's line and knows when to repeat the call.
    fn call_on(
        &self,
        line: &mut Line,
        method: &str,
        args: &[Value],
        kwargs: &[(&str, Value)],
        repeat: Repeat,
    ) -> Result<Value, Error> {
        let request = self.request(method, args, kwargs);
        let reply = self.exchange(line, method, &request, repeat)?;
        self.value(method, reply)
    }

    /// Calls a method that reports on `count` items that this line's connection got. By another it would be about others.
    fn report_on(&self, line: &mut Line, method: &str, args: &[Value], count: usize) -> Result<(), Error> {
        if line.connection.as_ref().is_some_and(|connection| is_gone(connection.stream())) {
            line.close();
        }
        if line.got < count && line.stale > 0 {
            line.stale -= count.min(line.stale);
            return Err(Error::Stale);
        }
        let request = self.request(method, args, &[]);
        let reply = match line.got {
            // Something else has got them: a proxy of another program, perhaps.
            0 => self.exchange(line, method, &request, Repeat::Never)?,
            _ => self.exchange_once(line, &request).map_err(|failure| {
                line.stale -= count.min(line.stale);
                match failure {
                    Failure::NotSent(_) => Error::Stale,
                    failure => failure.into_error(method),
                }
            })?,
        };
        self.value(method, reply)?;
        line.got = line.got.saturating_sub(count);
        Ok(())
    }

    /// Calls a method whose result does not matter, if that takes no new attempts to reach the server.
    fn tell(&self, method: &str, args: &[Value]) {
        let request = self.request(method, args, &[]);
        self.on_line(|line| {
            if line.connection.is_none() {
                self.object.remote.connect_and_accept().into_iter().for_each(|accepted| line.open(accepted));
            }
            if line.connection.is_some() {
                let _ = self.exchange_once(line, &request);
            }
        });
    }

    /// What a method has returned.
    fn value(&self, method: &str, reply: Reply) -> Result<Value, Error> {
        match reply {
            Reply::Return(value) => Ok(value),
            Reply::Proxy(_, token) => {
                // Nobody will use it: give back the reference that comes with it.
                let _ = self.object.remote.dispatch_quickly("decref", &[token.ident.into()]);
                Err(Error::Protocol(format!("{method}() returns a proxy: use call_for_proxy")))
            }
            other => Err(into_error(other)),
        }
    }

    /// Calls a method whose result stays on the server: one that Python registered with `method_to_typeid`.
    ///
    /// # Errors
    /// As for [`call`](Self::call); [`Error::Protocol`] if the method returns a value after all.
    pub fn call_for_proxy(&self, method: &str, args: &[Value]) -> Result<Self, Error> {
        let request = self.request(method, args, &[]);
        let reply = self.on_line(|line| self.exchange(line, method, &request, self.repeat(method)))?;
        match reply {
            Reply::Proxy(exposed, token) => Ok(Self::new(self.object.remote.clone(), token, exposed)),
            Reply::Return(_) => Err(Error::Protocol(format!("{method}() returns a value: use call"))),
            other => Err(into_error(other)),
        }
    }

    /// Calls a method once for each set of arguments, without waiting for a reply before the next request is
    /// sent. Returns how many calls there were.
    fn pipeline<const N: usize>(
        &self,
        method: &str,
        calls: impl Iterator<Item = [Value; N]>,
    ) -> Result<usize, Error> {
        self.on_line(|line| {
            self.enliven(line)?;
            let Some(mut connection) = line.connection.take() else { return Ok(0) };
            let mut calls = calls.map(|args| self.request(method, &args, &[]));
            let (mut sent, mut answered, mut failure) = (0, 0, None);
            loop {
                // More unread replies than this could fill the sockets' buffers, and then both sides would wait.
                while sent - answered < PIPELINE && failure.is_none() {
                    let Some(request) = calls.next() else { break };
                    connection
                        .send(&[&request])
                        .map_err(|source| Error::Lost { method: method.into(), source })?;
                    sent += 1;
                }
                if answered == sent {
                    break;
                }
                let reply = receive(&mut connection, &mut line.walker);
                match reply.map_err(|failure| failure.into_error(method))? {
                    Reply::Return(_) => {}
                    other => failure = failure.or(Some(into_error(other))),
                }
                answered += 1;
            }
            line.connection = Some(connection);
            failure.map_or(Ok(sent), Err)
        })
    }

    fn request(&self, method: &str, args: &[Value], kwargs: &[(&str, Value)]) -> Buffer {
        encode_request(Some(&self.object.token.ident), method, args, kwargs)
    }

    /// Does something with this thread's line.
    fn on_line<T>(&self, exchange: impl FnOnce(&mut Line) -> T) -> T {
        let mut line = self.lines.take();
        let result = exchange(&mut line);
        self.lines.give(line);
        result
    }

    /// One request, one reply; over a new connection if the old one broke and that does no harm.
    fn exchange(
        &self,
        line: &mut Line,
        method: &str,
        request: &[u8],
        repeat: Repeat,
    ) -> Result<Reply, Error> {
        self.enliven(line)?;
        // The run of the hub that may have carried it out.
        let mut unsure = None;
        loop {
            let failure = match self.exchange_once(line, request) {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let cause = match &failure {
                Failure::NotSent(cause) | Failure::NoReply(cause) if self.survives() => cause,
                _ => return Err(failure.into_error(method)),
            };
            if matches!(failure, Failure::NoReply(_)) {
                match repeat {
                    Repeat::Always => {}
                    Repeat::SameRun if line.run.is_some() => unsure = line.run.take(),
                    _ => return Err(failure.into_error(method)),
                }
            }
            let back = self.reconnect(line, cause);
            // What it came to with a hub that is not there any more, nobody knows.
            if unsure.is_some() && (back.is_err() || line.run != unsure) {
                return Err(failure.into_error(method));
            }
            back?;
        }
    }

    /// One request, one reply, over the connection that is there. A failure ends it.
    fn exchange_once(&self, line: &mut Line, request: &[u8]) -> Result<Reply, Failure> {
        let Some(connection) = &mut line.connection else {
            return Err(Failure::NotSent(io::ErrorKind::NotConnected.into()));
        };
        let reply = exchange(connection, &mut line.walker, request);
        if reply.is_err() {
            line.close();
        }
        reply
    }

    /// Makes sure of a connection for the next call.
    fn enliven(&self, line: &mut Line) -> Result<(), Error> {
        let now = Instant::now();
        let unused = now.duration_since(mem::replace(&mut line.used, now));
        match &line.connection {
            // A hub that was restarted has closed this: seen before the request is sent, that costs nothing.
            Some(connection) if unused > FRESH && is_gone(connection.stream()) => {
                line.close();
                self.reconnect(line, &"it closed the connection")
            }
            Some(_) => Ok(()),
            None => {
                line.open(self.connect()?);
                Ok(())
            }
        }
    }

    /// The first connection, or the one after a call that was lost. The proxy exists, so the hub was there:
    /// if it is not there now, it may be restarting.
    fn connect(&self) -> Result<Accepted, Error> {
        match self.object.remote.connect_and_accept() {
            Err(error) if self.survives() && may_pass(&error) => self.object.remote.reconnect(&error),
            result => result,
        }
    }

    fn reconnect(&self, line: &mut Line, cause: &dyn fmt::Display) -> Result<(), Error> {
        let remote = &self.object.remote;
        line.open(if self.survives() { remote.reconnect(cause)? } else { remote.connect_and_accept()? });
        Ok(())
    }

    /// Whether the object is still the same one after its server was restarted, and worth waiting for.
    fn survives(&self) -> bool {
        self.object.token.is_lasting() && !self.object.remote.retry.patience.is_zero()
    }

    /// When to repeat a method.
    fn repeat(&self, method: &str) -> Repeat {
        // An object of somebody's own may do anything, whatever its methods are called.
        match Kind::of(&self.object.exposed).map_or(Again::Harm, |kind| kind.again(method)) {
            Again::NoHarm => Repeat::Always,
            Again::PutTwice if self.object.remote.retry.repeat_puts => Repeat::Always,
            Again::PutTwice | Again::Harm => Repeat::Never,
        }
    }

    /// When to repeat a put that is numbered.
    fn repeat_once(&self) -> Repeat {
        if self.object.remote.retry.repeat_puts { Repeat::Always } else { Repeat::SameRun }
    }
}

/// Whether a call is repeated of which it is not known whether it was carried out.
#[derive(Clone, Copy, PartialEq)]
enum Repeat {
    Never,
    /// By the same run of a hub of netq's, which remembers it.
    SameRun,
    Always,
}

impl Clone for Proxy {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), lines: Lines::default() }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if self.lines.any_gone() {
            self.object.gone.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Object {
    /// Gives the reference back, so that the server can drop an object that nobody uses.
    fn drop(&mut self) {
        // A server that is gone has dropped everything.
        if !self.gone.load(Ordering::Relaxed) {
            let _ = self.remote.dispatch_quickly("decref", &[self.token.ident.as_str().into()]);
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("token", &self.object.token)
            .field("exposed", &self.object.exposed)
            .finish_non_exhaustive()
    }
}
