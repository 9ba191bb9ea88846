//! Proxies: objects of another process, whose methods are called over a connection.

mod args;
mod delivery;
mod exchange;
mod line;
mod pipeline;
mod put;
mod queue;
mod remote;
mod retry;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::Error;
use crate::message::{Reply, Token};
use crate::pickle::Value;
use crate::shared::{Again, Kind};

pub use args::Args;
pub use delivery::Delivery;
pub use put::{Item, PutAllError};
pub use queue::QueueProxy;
pub(crate) use remote::Remote;
pub use retry::Retry;

use exchange::{Ask, Await, Repeat};
use line::{Line, Lines};
use remote::into_error;

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
/// #         let ([a, b], []) = call.parameters(["a", "b"], [])?;
/// #         Ok((call.get::<i64>(a)? + call.get::<i64>(b)?).into())
/// #     }
/// # }
/// # let mut manager = BaseManager::new("127.0.0.1:0", b"secret");
/// # manager.register("get_adder", Arc::new(Adder));
/// # manager.start()?;
/// let adder = manager.proxy("get_adder", ())?;
/// assert_eq!(adder.call("add", (1, 2))?, 3.into());
/// assert_eq!(adder.call_with("add", (1,), &[("b", 5.into())])?, 6.into());
/// # Ok::<(), netq::Error>(())
/// ```
pub struct Proxy {
    // Before the connections: a server that counts references is told so while it still knows them.
    object: Arc<Object>,
    /// How long a call may take.
    timeout: Option<Duration>,
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
    pub(crate) fn create(
        remote: Arc<Remote>,
        typeid: &str,
        args: &[Value],
        kwargs: &[(&str, Value)],
    ) -> Result<Self, Error> {
        let created = remote.dispatch_with("create", [&[typeid.into()], args], kwargs)?;
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
        Self {
            object: Arc::new(Object { remote, token, exposed, gone }),
            timeout: None,
            lines: Lines::default(),
        }
    }

    /// Which object this is.
    pub fn token(&self) -> &Token {
        &self.object.token
    }

    /// The names of the methods that can be called.
    pub fn exposed(&self) -> &[String] {
        &self.object.exposed
    }

    /// How long a call of this proxy, or of a clone that is made later, may take, reconnecting included. `None`, as it is at
    /// first, is for ever; then a call of a server that has fallen silent ends by itself, within a minute.
    ///
    /// A method of a queue that waits ends as if this were its own timeout; of another, when the time is over,
    /// it is not known whether it was carried out: [`Error::Lost`].
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// Calls a method and waits for its result. In Python: `proxy.method(*args)`.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Full`], [`Error::ShutDown`] and [`Error::Raised`] for what the method
    /// raises; [`Error::NoSuchObject`] and [`Error::NoSuchMethod`] if there is none; [`Error::Lost`] if the
    /// connection broke and could not, or must not, be replaced; [`Error::Misuse`] if the method returns a proxy, for which
    /// there is [`call_for_proxy`](Self::call_for_proxy).
    pub fn call(&self, method: &str, args: impl Args) -> Result<Value, Error> {
        self.call_with(method, args, &[])
    }

    /// Calls a method with keyword arguments too. In Python: `proxy.method(*args, **kwargs)`.
    ///
    /// # Errors
    /// As for [`call`](Self::call).
    pub fn call_with(&self, method: &str, args: impl Args, kwargs: &[(&str, Value)]) -> Result<Value, Error> {
        let reply = self.reply(method, args.into_args().as_ref(), kwargs)?;
        self.value(method, reply)
    }

    fn reply(&self, method: &str, args: &[Value], kwargs: &[(&str, Value)]) -> Result<Reply, Error> {
        let ask = Ask { method, args, kwargs, repeat: self.repeat(method), reply: Await::Open };
        self.on_line(|line| self.exchange(line, &ask))
    }

    /// What a call returns.
    fn value_of(&self, line: &mut Line, ask: &Ask<'_>) -> Result<Value, Error> {
        let reply = self.exchange(line, ask)?;
        self.value(ask.method, reply)
    }

    /// What a method has returned.
    fn value(&self, method: &str, reply: Reply) -> Result<Value, Error> {
        match reply {
            Reply::Return(value) => Ok(value),
            Reply::Proxy(_, token) => {
                // Nobody will use it: give back the reference that comes with it.
                let _ = self.object.remote.dispatch_quickly("decref", &[token.ident.into()]);
                Err(Error::Misuse(format!("{method}() returns a proxy: use call_for_proxy")))
            }
            other => Err(into_error(other, &self.token().ident)),
        }
    }

    /// Calls a method whose result stays on the server: one that Python registered with `method_to_typeid`.
    ///
    /// # Errors
    /// As for [`call`](Self::call); [`Error::Misuse`] if the method returns a value after all.
    pub fn call_for_proxy(&self, method: &str, args: impl Args) -> Result<Self, Error> {
        self.call_for_proxy_with(method, args, &[])
    }

    /// As [`call_for_proxy`](Self::call_for_proxy), with keyword arguments too.
    ///
    /// # Errors
    /// As for [`call_for_proxy`](Self::call_for_proxy).
    pub fn call_for_proxy_with(
        &self,
        method: &str,
        args: impl Args,
        kwargs: &[(&str, Value)],
    ) -> Result<Self, Error> {
        match self.reply(method, args.into_args().as_ref(), kwargs)? {
            Reply::Proxy(exposed, token) => Ok(Self::new(self.object.remote.clone(), token, exposed)),
            Reply::Return(_) => Err(Error::Misuse(format!("{method}() returns a value: use call"))),
            other => Err(into_error(other, &self.token().ident)),
        }
    }

    /// Does something with this thread's line.
    fn on_line<T>(&self, exchange: impl FnOnce(&mut Line) -> T) -> T {
        let mut line = self.lines.take();
        let result = exchange(&mut line);
        self.lines.give(line);
        result
    }

    /// When to repeat a method.
    fn repeat(&self, method: &str) -> Repeat {
        // An object of somebody's own may do anything, whatever its methods are called.
        match Kind::of(&self.object.exposed).map_or(Again::Harm, |kind| kind.again(method)) {
            Again::NoHarm => Repeat::Always,
            Again::PutTwice if self.object.remote.retry.repeat_puts => Repeat::Twice,
            Again::PutTwice | Again::Harm => Repeat::Never,
        }
    }

    /// When to repeat a put that is numbered.
    fn repeat_once(&self) -> Repeat {
        if self.object.remote.retry.repeat_puts { Repeat::Twice } else { Repeat::SameRun }
    }
}

impl Clone for Proxy {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), timeout: self.timeout, lines: Lines::default() }
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
