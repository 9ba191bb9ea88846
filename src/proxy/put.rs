//! Putting items: one, some, or all that an iterator gives. An item that could not be put is not lost to its program.

use std::borrow::Borrow;
use std::fmt;
use std::mem;
use std::slice;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::pickle::Value;
use crate::proxy::QueueProxy;
use crate::proxy::exchange::{Ask, Await, SLICE};
use crate::proxy::queue::count;

/// A batch of [`QueueProxy::put_all`] ends at this many items or bytes: by then an exchange costs little
/// beside its items.
const BATCH_ITEMS: usize = 256;
const BATCH_BYTES: usize = 64 * 1024;

/// What can be put: whatever a [`Value`] can be made of; or a reference to a value, which its owner keeps, without a copy,
/// for the case that it is not put.
///
/// ```
/// use netq::{BaseManager, Error, SharedQueue, Value};
///
/// # let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
/// # hub.register("tasks", SharedQueue::new(1));
/// # hub.register("more_tasks", SharedQueue::new(0));
/// # hub.start()?;
/// # let (tasks, more_tasks) = (hub.queue("tasks")?, hub.queue("more_tasks")?);
/// tasks.put("https://example.org/1.png")?;
/// let item = Value::from(("resize", 640));
/// if let Err(Error::Full) = tasks.try_put(&item) {
///     more_tasks.put(item)?;
/// }
/// # Ok::<(), Error>(())
/// ```
pub trait Item {
    /// The value, or a reference to it.
    type Value: Borrow<Value>;

    /// Makes it a value, where it is none.
    fn into_item(self) -> Self::Value;
}

impl<T: Into<Value>> Item for T {
    type Value = Value;
    fn into_item(self) -> Value {
        self.into()
    }
}

impl<'a> Item for &'a Value {
    type Value = &'a Value;
    fn into_item(self) -> &'a Value {
        self
    }
}

/// Why [`QueueProxy::put_all`] has stopped before all items were put, and those of them that it had in hand.
///
/// ```
/// use netq::{BaseManager, Error, SharedQueue};
///
/// # let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
/// # hub.register("tasks", SharedQueue::new(0));
/// # hub.start()?;
/// # let tasks = hub.queue("tasks")?;
/// tasks.shutdown(false)?;
/// let mut items = 0..1_000_000;
/// let stopped = tasks.put_all(&mut items).unwrap_err();
/// assert!(matches!(stopped.error, Error::ShutDown));
/// let not_put = stopped.rest.len() + items.len();
/// assert_eq!(stopped.put + not_put, 1_000_000);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct PutAllError {
    /// How many items are in the queue.
    pub put: usize,
    /// Those that the iterator has given and that are not known to be in the queue, in order. If the connection broke, some
    /// of them may be. What the iterator has not given yet, it still has.
    pub rest: Vec<Value>,
    /// What happened.
    pub error: Error,
}

impl From<PutAllError> for Error {
    fn from(stopped: PutAllError) -> Self {
        stopped.error
    }
}

impl fmt::Display for PutAllError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stopped after {} items: {}", self.put, self.error)
    }
}

impl std::error::Error for PutAllError {}

/// Putting.
impl QueueProxy {
    /// Puts an item, waiting for as long as the queue is full. Python's `put(item)`.
    ///
    /// # Errors
    /// As for [`Proxy::call`](crate::Proxy::call). After [`Error::Lost`] the item may be in the queue or not; if the hub is
    /// netq's, only when it was restarted or could not be reached again.
    pub fn put(&self, item: impl Item) -> Result<(), Error> {
        self.put_one(item.into_item().borrow(), self.waiting(None))
    }

    /// Puts an item, waiting at most `timeout`. Python's `put(item, timeout=seconds)`.
    ///
    /// # Errors
    /// [`Error::Full`] when the time is over; otherwise as for [`put`](Self::put).
    pub fn put_timeout(&self, item: impl Item, timeout: Duration) -> Result<(), Error> {
        self.put_one(item.into_item().borrow(), self.waiting(Some(timeout)))
    }

    /// Puts an item if there is room now. Python's `put_nowait(item)`.
    ///
    /// # Errors
    /// [`Error::Full`] if there is none; otherwise as for [`put`](Self::put).
    pub fn try_put(&self, item: impl Item) -> Result<(), Error> {
        self.put_one(item.into_item().borrow(), Await::Not)
    }

    fn put_one(&self, item: &Value, reply: Await) -> Result<(), Error> {
        self.put_by("put", slice::from_ref(item), reply).map(drop)
    }

    /// Puts, once if the hub can see to that, however often the request has to be sent.
    fn put_by(&self, method: &str, args: &[Value], reply: Await) -> Result<Value, Error> {
        let proxy = self.proxy();
        // What lends understands `once`.
        if !self.exposes("lend") {
            return self.ask(&Ask { method, args, kwargs: &[], repeat: proxy.repeat(method), reply });
        }
        proxy.on_line(|line| {
            let kwargs = &[("once", line.once())];
            proxy.value_of(line, &Ask { method, args, kwargs, repeat: proxy.repeat_once(), reply })
        })
    }

    /// Puts several items in one exchange, and says how many went in: fewer than given if the queue was full
    /// for longer than `timeout`, where `None` is for ever. netq's own; on a queue of CPython's it puts one after the
    /// other.
    ///
    /// What went in is taken out of `items`, and the rest is left there, after an error too.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn put_many(&self, items: &mut Vec<Value>, timeout: Option<Duration>) -> Result<usize, Error> {
        if !self.exposes("put_many") {
            return self.put_one_by_one(items, timeout);
        }
        let started = Instant::now();
        let mut total = 0;
        loop {
            let left = timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
            let slice = left.map_or(SLICE, |left| left.min(SLICE));
            let args = [Value::List(mem::take(items))];
            let put = self.put_by("put_many", &args, self.waiting(Some(slice)));
            let [Value::List(all)] = args else { return Ok(total) };
            *items = all;
            let put = count(put?)?.min(items.len());
            items.drain(..put);
            total += put;
            if items.is_empty() || slice < SLICE {
                return Ok(total);
            }
        }
    }

    fn put_one_by_one(&self, items: &mut Vec<Value>, timeout: Option<Duration>) -> Result<usize, Error> {
        let started = Instant::now();
        let mut put = 0;
        let stopped = loop {
            let Some(item) = items.get(put) else { break Error::Full };
            let left = timeout.map(|timeout| timeout.saturating_sub(started.elapsed()));
            match self.put_one(item, self.waiting(left)) {
                Ok(()) => put += 1,
                Err(error) => break error,
            }
        };
        items.drain(..put);
        match stopped {
            Error::Full => Ok(put),
            error => Err(error),
        }
    }

    /// Puts all items, waiting for as long as the queue is full, in as few exchanges as it takes: the fast
    /// way to put many. Returns how many they were.
    ///
    /// They travel in batches, by `put_many`; to a server that has none, which is CPython's, each `put` is
    /// sent without waiting for the replies to those before it.
    ///
    /// ```
    /// # use netq::{BaseManager, SharedQueue};
    /// # let mut manager = BaseManager::new("127.0.0.1:0", b"secret");
    /// # manager.register("get_task_queue", SharedQueue::new(0));
    /// # manager.start()?;
    /// # let tasks = manager.queue("get_task_queue")?;
    /// let addresses = (1..=10_000).map(|number| format!("https://example.org/{number}.png"));
    /// assert_eq!(tasks.put_all(addresses)?, 10_000);
    /// # Ok::<(), netq::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`put`](Self::put), with the items that are not in the queue, which are the last ones. The question mark
    /// makes an [`Error`] of it.
    pub fn put_all<T: Into<Value>>(&self, items: impl IntoIterator<Item = T>) -> Result<usize, PutAllError> {
        let mut items = items.into_iter().map(Into::into);
        match self.exposes("put_many") {
            true => self.put_in_batches(&mut items),
            false => self.proxy().pipeline("put", &mut items),
        }
    }

    fn put_in_batches(&self, items: &mut dyn Iterator<Item = Value>) -> Result<usize, PutAllError> {
        let mut total = 0;
        let mut code = Vec::new();
        loop {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while batch.len() < BATCH_ITEMS && bytes < BATCH_BYTES {
                let Some(item) = items.next() else { break };
                bytes += match &item {
                    Value::Str(text) => text.len(),
                    Value::Bytes(bytes) => bytes.len(),
                    Value::Opaque(payload) => payload.len(),
                    item => {
                        code.clear();
                        item.encode_into(&mut code, &mut 0);
                        code.len()
                    }
                };
                batch.push(item);
            }
            let given = batch.len();
            if given == 0 {
                return Ok(total);
            }
            let result = self.put_many(&mut batch, None);
            total += given - batch.len();
            if let Err(error) = result {
                return Err(PutAllError { put: total, rest: batch, error });
            }
        }
    }
}
