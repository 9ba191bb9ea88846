//! A proxy of a queue: `queue.Queue`'s methods as Rust functions.

use std::time::Duration;

use crate::error::Error;
use crate::pickle::Value;
use crate::proxy::Proxy;
use crate::proxy::delivery::parts;
use crate::proxy::exchange::{Ask, Await, Repeat};
use crate::proxy::remote::is_timeout;

/// A queue that lives in a manager's server, netq's or CPython's. Python's `queue.Queue`, through a proxy.
///
/// It can be shared by threads, and cloned, as [`Proxy`] says: a thread that waits in [`get`](Self::get) holds up no
/// other. [`task_done`](Self::task_done) is about what the same thread got, by the same clone.
///
/// ```
/// use std::time::Duration;
/// use netq::{BaseManager, Error, SharedQueue};
///
/// let mut manager = BaseManager::new("127.0.0.1:0", b"secret");
/// manager.register("get_task_queue", SharedQueue::new(1));
/// manager.start()?;
///
/// let tasks = manager.queue("get_task_queue")?;
/// tasks.put(("resize", 640))?; // a Python worker gets the tuple ('resize', 640)
/// assert!(matches!(tasks.try_put("another"), Err(Error::Full)));
/// assert_eq!(tasks.get()?.to_string(), "('resize', 640)");
/// assert!(matches!(tasks.get_timeout(Duration::from_millis(1)), Err(Error::Empty)));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct QueueProxy {
    proxy: Proxy,
}

impl QueueProxy {
    /// Takes a proxy to be one of a queue.
    pub fn new(proxy: Proxy) -> Self {
        Self { proxy }
    }

    /// The proxy, for methods that are not listed here.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// How long each call may take. See [`Proxy::set_timeout`].
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.proxy.set_timeout(timeout);
    }

    /// Takes the first item, waiting for as long as there is none. Python's `get()`.
    ///
    /// What has no Rust counterpart, such as an instance of a Python class, comes as [`Value::Opaque`] and
    /// can be put again as it is.
    ///
    /// # Errors
    /// As for [`Proxy::call`].
    pub fn get(&self) -> Result<Value, Error> {
        self.get_one(self.waiting(None))
    }

    /// Takes the first item, waiting at most `timeout`. Python's `get(timeout=seconds)`.
    ///
    /// # Errors
    /// [`Error::Empty`] when the time is over; otherwise as for [`Proxy::call`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<Value, Error> {
        self.get_one(self.waiting(Some(timeout)))
    }

    /// Takes the first item if there is one now. Python's `get_nowait()`.
    ///
    /// # Errors
    /// [`Error::Empty`] if there is none; otherwise as for [`Proxy::call`].
    pub fn try_get(&self) -> Result<Value, Error> {
        self.get_one(Await::Not)
    }

    fn get_one(&self, reply: Await) -> Result<Value, Error> {
        let ask = Ask { method: "get", args: &[], kwargs: &[], repeat: self.proxy.repeat("get"), reply };
        self.proxy.on_line(|line| {
            let item = self.proxy.value_of(line, &ask)?;
            line.got += 1;
            Ok(item)
        })
    }

    /// Waits for one item, at most `timeout` (`None` is for ever), and takes what is there, up to
    /// `max_items`, in one exchange. The hub gives no more at once than 1,024 items or 1 MiB, unless one is
    /// larger. netq's own; from a queue of CPython's it gets one after the other.
    ///
    /// # Errors
    /// [`Error::Empty`] when the time is over; otherwise as for [`Proxy::call`].
    pub fn get_many(&self, max_items: usize, timeout: Option<Duration>) -> Result<Vec<Value>, Error> {
        if !self.exposes("get_many") {
            return self.get_one_by_one(max_items, timeout);
        }
        let (args, reply) = (&[max_items.into()], Await::Timed(timeout));
        let ask = Ask { method: "get_many", args, kwargs: &[], repeat: Repeat::Always, reply };
        self.proxy.on_line(|line| {
            let list = self.proxy.value_of(line, &ask)?;
            let items = parts(list).map_err(|other| unexpected("a list", &other))?;
            line.got += items.len();
            Ok(items)
        })
    }

    fn get_one_by_one(&self, max_items: usize, timeout: Option<Duration>) -> Result<Vec<Value>, Error> {
        if max_items == 0 {
            return Err(Error::Misuse("get_many() of no items".into()));
        }
        let mut items = vec![self.get_one(self.waiting(timeout))?];
        // An error would take with it what is here already; it comes again.
        while items.len() < max_items
            && let Ok(item) = self.try_get()
        {
            items.push(item);
        }
        Ok(items)
    }

    /// How many items are in the queue now. Python's `qsize()`.
    ///
    /// # Errors
    /// As for [`Proxy::call`].
    pub fn qsize(&self) -> Result<usize, Error> {
        count(self.look("qsize")?)
    }

    /// Whether the queue is empty now. Python's `empty()`.
    ///
    /// # Errors
    /// As for [`Proxy::call`].
    pub fn is_empty(&self) -> Result<bool, Error> {
        truth(self.look("empty")?)
    }

    /// Whether the queue is full now. Python's `full()`.
    ///
    /// # Errors
    /// As for [`Proxy::call`].
    pub fn is_full(&self) -> Result<bool, Error> {
        truth(self.look("full")?)
    }

    /// Tells the queue that the work on an item that was taken is done. Python's `task_done()`.
    ///
    /// Which one, the queue knows by the connection: it is about this thread's latest [`get`](Self::get) by this clone.
    /// To say which, [`take`](Self::take) it.
    ///
    /// # Errors
    /// [`Error::Stale`] if the connection that got the item has ended: this would be about another one. [`Error::Raised`]
    /// with a `ValueError` if more were done than put; otherwise as for [`Proxy::call`].
    pub fn task_done(&self) -> Result<(), Error> {
        self.tasks_done(&[], 1)
    }

    /// As [`task_done`](Self::task_done) for several items, in one exchange and all or none. netq's own; to a
    /// manager that cannot do that, which is CPython's, it says it once for each.
    ///
    /// # Errors
    /// As for [`task_done`](Self::task_done).
    pub fn task_done_many(&self, count: usize) -> Result<(), Error> {
        if self.exposes("redelivers") {
            return self.tasks_done(&[count.into()], count);
        }
        (0..count).try_for_each(|_| self.task_done())
    }

    fn tasks_done(&self, args: &[Value], count: usize) -> Result<(), Error> {
        let reply = self.proxy.on_line(|line| self.proxy.report(line, "task_done", args, count))?;
        self.proxy.value("task_done", reply).map(drop)
    }

    /// Whether the queue keeps what this proxy gets until it calls [`task_done`](Self::task_done), and
    /// delivers it again if the connection ends before: see [`Redelivery`](crate::Redelivery). netq's own;
    /// CPython's queues do not.
    ///
    /// # Errors
    /// As for [`Proxy::call`].
    pub fn redelivers(&self) -> Result<bool, Error> {
        if !self.exposes("redelivers") {
            return Ok(false);
        }
        truth(self.look("redelivers")?)
    }

    fn look(&self, method: &str) -> Result<Value, Error> {
        let repeat = self.proxy.repeat(method);
        self.ask(&Ask { method, args: &[], kwargs: &[], repeat, reply: Await::Prompt })
    }

    pub(super) fn ask(&self, ask: &Ask<'_>) -> Result<Value, Error> {
        self.proxy.on_line(|line| self.proxy.value_of(line, ask))
    }

    /// When the reply of a method is to be expected that waits for so long. Of a queue that is not netq's it is not known
    /// whether its methods have a timeout: `multiprocessing.SimpleQueue` has none.
    pub(super) fn waiting(&self, timeout: Option<Duration>) -> Await {
        match timeout {
            None if !self.exposes("lend") => Await::Open,
            timeout => Await::Timed(timeout),
        }
    }

    pub(super) fn exposes(&self, method: &str) -> bool {
        self.proxy.exposed().iter().any(|name| name == method)
    }

    /// Waits until the work on all items is done. Python's `join()`.
    ///
    /// # Errors
    /// As for [`Proxy::call`].
    pub fn join(&self) -> Result<(), Error> {
        self.proxy.call("join", &[]).map(drop)
    }

    /// Waits at most `timeout` until the work on all items is done, and returns whether it is. Python has no such thing:
    /// it is a [`join`](Self::join) by another connection, which is closed when the time is over.
    ///
    /// # Errors
    /// As for [`Proxy::call`].
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool, Error> {
        let mut other = self.clone();
        other.set_timeout(Some(timeout));
        match other.join() {
            Ok(()) => Ok(true),
            Err(Error::Lost { source, .. }) if is_timeout(&source) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends the queue: puts fail from now on, gets once it is empty, or at once if `immediate`. Python's
    /// `shutdown(immediate)`, new in 3.13.
    ///
    /// # Errors
    /// As for [`Proxy::call`].
    pub fn shutdown(&self, immediate: bool) -> Result<(), Error> {
        self.proxy.call("shutdown", &[immediate.into()]).map(drop)
    }
}

pub(super) fn seconds(timeout: Option<Duration>) -> Value {
    timeout.map(|timeout| timeout.as_secs_f64()).into()
}

pub(super) fn count(value: Value) -> Result<usize, Error> {
    match value {
        Value::Int(number) if number >= 0 => Ok(number as usize),
        other => Err(unexpected("a count", &other)),
    }
}

pub(super) fn truth(value: Value) -> Result<bool, Error> {
    match value {
        Value::Bool(flag) => Ok(flag),
        other => Err(unexpected("a bool", &other)),
    }
}

pub(super) fn unexpected(expected: &str, got: &Value) -> Error {
    Error::Protocol(format!("expected {expected}, got {}", got.type_name()))
}
