//! The manager: registers objects, serves them, and reaches those of other managers.
//!
//! Reading order: `options`, `objects` (what is served), `members` (who is connected), `log`, `hub` (all of that),
//! `session` (one connection), `server` (all connections).

mod hub;
mod log;
mod members;
mod objects;
mod options;
mod server;
mod session;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::connection::AuthKey;
use crate::error::Error;
use crate::message::{Call, Exception};
use crate::name::{exposed_fault, typeid_fault};
use crate::pickle::Value;
use crate::proxy::{Args, Proxy, QueueProxy, Remote, Retry};
use crate::shared::IntoShared;

pub use log::LogLine;
pub use options::Options;
pub use server::{Server, Stopper};

use objects::{Registration, Registry};

/// Serves objects to other processes, or reaches the objects that another manager serves. Python's
/// `multiprocessing.managers.BaseManager`.
///
/// ```
/// use netq::{BaseManager, SharedQueue};
///
/// // One program, which Python would call the master, serves a queue.
/// let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
/// hub.register("get_task_queue", SharedQueue::new(10));
/// let address = hub.start()?;
///
/// // Another one, on any machine, uses it.
/// let manager = BaseManager::new(address.to_string(), b"secret");
/// manager.connect()?;
/// let tasks = manager.queue("get_task_queue")?;
/// tasks.put("https://example.org/1.png")?;
/// assert_eq!(tasks.get()?, "https://example.org/1.png".into());
/// # Ok::<(), netq::Error>(())
/// ```
pub struct BaseManager {
    address: String,
    key: AuthKey,
    registry: Registry,
    options: Options,
    retry: Retry,
    running: Option<Running>,
    /// What is wrong with what was registered.
    fault: Option<String>,
}

/// A server that this manager has started.
struct Running {
    stopper: Stopper,
    thread: JoinHandle<()>,
}

impl BaseManager {
    /// A manager for `address`, such as `"127.0.0.1:8001"` or `"hub.example.org:8001"`, where port 0 lets
    /// the system choose one. `authkey` is the secret that both sides must hold.
    ///
    /// A client may give several addresses, with commas between: `"hub1:8001,hub2:8001"`. They are those of hubs that
    /// serve the same queues, as they do with `RedisStore`. It begins with any of them, and goes on with another when
    /// that is away.
    pub fn new(address: impl Into<String>, authkey: &[u8]) -> Self {
        Self::with_key(address, AuthKey::new(authkey))
    }

    /// As [`new`](Self::new), with a key that says more about what proof of it is accepted.
    pub fn with_key(address: impl Into<String>, key: AuthKey) -> Self {
        Self {
            address: address.into(),
            key,
            registry: Registry::new(),
            options: Options::default(),
            retry: Retry::default(),
            running: None,
            fault: None,
        }
    }

    /// Limits and switches for the server that [`get_server`](Self::get_server) or [`start`](Self::start)
    /// makes.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// How proxies made from now on reconnect. See [`Retry`].
    pub fn set_retry(&mut self, retry: Retry) {
        self.retry = retry;
    }

    /// The address given, or, once [`start`](Self::start) has bound it, the real one. Python's `address`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Registers one object that all clients share. In Python:
    /// `BaseManager.register(typeid, callable=lambda: object)`.
    ///
    /// A name that Python cannot call, of the object or of one of its methods, and a name that was registered already are
    /// mistakes, which [`start`](Self::start) and [`get_server`](Self::get_server) report.
    pub fn register(&mut self, typeid: impl Into<String>, object: impl IntoShared) {
        self.add(typeid.into(), Registration::Object(object.into_shared()));
    }

    /// Registers a function that makes a new object, from the call's arguments, for every client that asks.
    /// The object is dropped when no proxy refers to it any more. In Python:
    /// `BaseManager.register(typeid, callable=Class)`.
    ///
    /// ```
    /// use netq::{BaseManager, SharedQueue};
    ///
    /// let mut manager = BaseManager::new("127.0.0.1:0", b"secret");
    /// // In Python: m.Queue(maxsize=3)
    /// manager.register_factory("Queue", |call| {
    ///     let ([], [maxsize]) = call.parameters([], ["maxsize"])?;
    ///     Ok(SharedQueue::new(call.int(maxsize, 0)?.try_into().unwrap_or(0)))
    /// });
    /// ```
    pub fn register_factory<F, S>(&mut self, typeid: impl Into<String>, factory: F)
    where
        F: Fn(Call<'_>) -> Result<S, Exception> + Send + Sync + 'static,
        S: IntoShared,
    {
        let factory = move |call: Call<'_>| factory(call).map(S::into_shared);
        self.add(typeid.into(), Registration::Factory(Arc::new(factory)));
    }

    fn add(&mut self, typeid: String, registration: Registration) {
        let mut fault = typeid_fault(&typeid);
        if let Registration::Object(object) = &registration {
            fault = fault.or_else(|| exposed_fault(object.exposed()));
        }
        match self.registry.binary_search_by(|(known, _)| known.cmp(&typeid)) {
            Ok(_) => fault = fault.or(Some("there is one already".into())),
            Err(at) => self.registry.insert(at, (typeid.clone(), registration)),
        }
        // The first mistake is the one to mend first.
        self.fault = self.fault.take().or(fault.map(|fault| format!("cannot register '{typeid}': {fault}")));
    }

    fn check(&self, fault: Option<&String>) -> Result<(), Error> {
        let keyless = self.key.as_bytes().is_empty();
        let keyless = keyless.then(|| "the key is empty: give one that nobody can guess".to_owned());
        let is_address = |address: &str| {
            let parts = address.trim().rsplit_once(':');
            parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        let nonsense = self.address.split(',').find(|address| !is_address(address));
        let nonsense =
            nonsense.map(|it| format!("'{it}' is no address: give HOST:PORT, such as 127.0.0.1:8001"));
        let fault = keyless.or(nonsense).or_else(|| fault.cloned());
        fault.map_or(Ok(()), |fault| Err(Error::Misuse(fault)))
    }

    /// Binds the address and returns the server, which listens already and serves once its
    /// [`serve_forever`](Server::serve_forever) is called. Python's `get_server()`.
    ///
    /// # Errors
    /// [`Error::Bind`] if the address is in use, is not ours, or cannot be resolved; [`Error::Misuse`] if it is none, the key
    /// is empty, or what was registered cannot be.
    pub fn get_server(&self) -> Result<Server, Error> {
        self.check(self.fault.as_ref())?;
        Server::bind(&self.address, self.key.clone(), self.registry.clone(), self.options.clone())
            .map_err(|source| Error::Bind { address: self.address.clone(), source })
    }

    /// Serves in a thread of its own until [`shutdown`](Self::shutdown), or until the manager is dropped.
    /// Returns the bound address. Python's `start()`, which uses a process.
    ///
    /// # Errors
    /// As for [`get_server`](Self::get_server); [`Error::AlreadyStarted`] the second time.
    pub fn start(&mut self) -> Result<SocketAddr, Error> {
        if self.running.is_some() {
            return Err(Error::AlreadyStarted);
        }
        let server = self.get_server()?;
        let (address, stopper) = (server.address(), server.stopper());
        self.address = address.to_string();
        let thread = std::thread::spawn(move || server.serve_forever());
        self.running = Some(Running { stopper, thread });
        Ok(address)
    }

    /// Checks that a manager answers at the address and holds the same key. Python's `connect()`.
    ///
    /// # Errors
    /// [`Error::Connect`] if nobody answers, [`Error::Handshake`] if the keys differ, [`Error::Misuse`] if the
    /// key is empty or the address is none.
    pub fn connect(&self) -> Result<(), Error> {
        self.remote()?.dispatch("dummy", &[]).map(drop)
    }

    /// A proxy of the object that the server has, or makes, for `typeid`. In Python: `manager.typeid(*args)`.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect); [`Error::NoSuchObject`] if the server knows no such typeid,
    /// [`Error::RemoteTraceback`] if it could not make the object.
    pub fn proxy(&self, typeid: &str, args: impl Args) -> Result<Proxy, Error> {
        self.proxy_with(typeid, args, &[])
    }

    /// As [`proxy`](Self::proxy), with keyword arguments too. In Python: `manager.typeid(*args, **kwargs)`.
    ///
    /// ```
    /// # use netq::{BaseManager, KINDS, QueueProxy};
    /// # let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
    /// # for kind in KINDS {
    /// #     hub.register_factory(kind.typeid, |call| kind.make(call, None));
    /// # }
    /// # hub.start()?;
    /// // In Python: m.Queue(maxsize=1)
    /// let queue = QueueProxy::new(hub.proxy_with("Queue", (), &[("maxsize", 1.into())])?);
    /// queue.put("the only item")?;
    /// assert!(queue.is_full()?);
    /// # Ok::<(), netq::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`proxy`](Self::proxy).
    pub fn proxy_with(
        &self,
        typeid: &str,
        args: impl Args,
        kwargs: &[(&str, Value)],
    ) -> Result<Proxy, Error> {
        Proxy::create(Arc::new(self.remote()?), typeid, args.into_args().as_ref(), kwargs)
    }

    /// A proxy of a queue. In Python: `manager.get_task_queue()`.
    ///
    /// # Errors
    /// As for [`proxy`](Self::proxy).
    pub fn queue(&self, typeid: &str) -> Result<QueueProxy, Error> {
        self.proxy(typeid, ()).map(QueueProxy::new)
    }

    /// Calls one of the server's own methods: `debug_info`, `number_of_objects`, or netq's `stat`. In
    /// Python: `multiprocessing.managers.dispatch(connection, None, method)`.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect); [`Error::NoSuchMethod`] if the server has no such method.
    pub fn dispatch(&self, method: &str) -> Result<Value, Error> {
        self.remote()?.dispatch(method, &[])
    }

    /// Stops the server that [`start`](Self::start) began, and no other. Python's `shutdown()`.
    ///
    /// All connections are closed at once, so that clients' calls fail; what they had goes back to its queues. A call that
    /// waits, in a queue or another [`Monitor`](crate::Monitor), ends within a second. One that is still running after two
    /// is left to itself: it goes on in its thread, and its result goes nowhere. So this takes milliseconds where nobody
    /// is connected, and three seconds at the most.
    ///
    /// # Errors
    /// [`Error::NotStarted`] if this manager's server does not run: it was not started, or has been shut down. To stop the
    /// server of another program there is [`shutdown_remote`](Self::shutdown_remote).
    pub fn shutdown(&mut self) -> Result<(), Error> {
        self.end(|stopper| stopper.stop())
    }

    /// Stops the server that [`start`](Self::start) began, its queues first, so that clients come to an end of their own.
    /// As [`shutdown`](Self::shutdown) after [`Stopper::stop_within`], which says what happens in that time.
    ///
    /// # Errors
    /// As for [`shutdown`](Self::shutdown).
    pub fn shutdown_within(&mut self, grace: Duration) -> Result<(), Error> {
        self.end(|stopper| stopper.stop_within(grace))
    }

    fn end(&mut self, stop: impl FnOnce(&Stopper)) -> Result<(), Error> {
        let running = self.running.take().ok_or(Error::NotStarted)?;
        stop(&running.stopper);
        // A panic in it has been printed by its own thread.
        let _ = running.thread.join();
        Ok(())
    }

    /// Asks the server at the address to stop, whoever has started it. It answers before it does. What `netq shutdown`
    /// does; in Python: `dispatch(connection, None, 'shutdown')`.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect); [`Error::RemoteTraceback`] if it does not let its clients do that.
    pub fn shutdown_remote(&self) -> Result<(), Error> {
        self.dispatch("shutdown").map(drop)
    }

    fn remote(&self) -> Result<Remote, Error> {
        self.check(None)?;
        Ok(Remote::new(self.address.clone(), self.key.clone(), self.retry.clone()))
    }
}

impl Drop for BaseManager {
    fn drop(&mut self) {
        // If it has not been started, nothing has to be done.
        let _ = self.shutdown();
    }
}

impl fmt::Debug for BaseManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseManager")
            .field("address", &self.address)
            .field("registered", &self.registry.iter().map(|(typeid, _)| typeid).collect::<Vec<_>>())
            .field("started", &self.running.is_some())
            .finish_non_exhaustive()
    }
}
