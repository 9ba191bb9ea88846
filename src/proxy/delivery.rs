//! Items on loan: a guard for each, which gives its item back unless it was reported done.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::error::Error;
use crate::pickle::{Pickled, Value};
use crate::proxy::QueueProxy;
use crate::proxy::exchange::{Ask, Await, Repeat};
use crate::proxy::queue::{seconds, truth, unexpected};

/// An item that a hub has lent to this program, to which it derefs.
///
/// Dropped, by an early return or a panic too, it goes back to its place in the queue; and so it does when this program
/// is killed, or its connection breaks. What [`done`](Self::done) says ends it for good. This works with every queue of a
/// netq hub, one that does not redeliver included; [`QueueProxy::take`] says how to get one.
///
/// ```
/// use netq::{BaseManager, SharedQueue};
///
/// let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
/// hub.register("get_task_queue", SharedQueue::new(0));
/// hub.start()?;
///
/// let tasks = hub.queue("get_task_queue")?;
/// tasks.put_all(["https://example.org/1.png", "nonsense"])?;
/// tasks.shutdown(false)?;
/// let mut failures = 0;
/// while let Some(item) = tasks.next()? {
///     match item.as_str() {
///         Some(url) if url.starts_with("https://") => item.done()?,
///         // Dropped, it would come again, and again.
///         _ if failures < 3 => {
///             failures += 1;
///             item.fail(None)?;
///         }
///         _ => item.done()?,
///     }
/// }
/// assert_eq!(failures, 3);
/// # Ok::<(), netq::Error>(())
/// ```
#[must_use = "an item that is dropped goes back to its queue"]
pub struct Delivery<'q> {
    queue: &'q QueueProxy,
    tag: String,
    item: Value,
    /// Whether the hub still waits to hear of it.
    open: bool,
}

impl Delivery<'_> {
    /// The hub's name for this delivery of this item, which means something to every client of the same run of the hub.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The work is done, and the item gone for good, wherever it is by now: one whose lease has ended, and that somebody
    /// else works on, was done all the same. Python's `task_done()`, but of this item and no other.
    ///
    /// # Errors
    /// [`Error::Stale`] if the hub was restarted meanwhile: it does not know the item. Otherwise those of a connection, and
    /// then the hub may have heard of it or not.
    pub fn done(mut self) -> Result<(), Error> {
        self.open = false;
        self.report("task_done", Value::None).map(drop)
    }

    /// The work has failed: the item goes back, after `delay` if there is one, and to the dead letters if it has failed too
    /// often. Returns whether it was still this delivery's; if not, its lease has ended and nothing is done.
    ///
    /// # Errors
    /// As for [`done`](Self::done).
    pub fn fail(mut self, delay: Option<Duration>) -> Result<bool, Error> {
        self.open = false;
        self.report("task_failed", seconds(delay))
    }

    /// The item goes back to its place, untried: it does not count as a failure. What dropping does too, without a word of
    /// how it went. Returns whether it was still this delivery's.
    ///
    /// # Errors
    /// As for [`done`](Self::done).
    pub fn give_back(mut self) -> Result<bool, Error> {
        self.open = false;
        self.report("give_back", Value::None)
    }

    /// The lease, if the queue has one, begins anew: for work that takes longer. Returns whether the item is still this
    /// delivery's; if not, somebody else may have begun with it.
    ///
    /// # Errors
    /// As for [`done`](Self::done).
    pub fn touch(&self) -> Result<bool, Error> {
        self.report("touch", Value::None)
    }

    fn report(&self, method: &str, more: Value) -> Result<bool, Error> {
        let args = [self.tag.as_str().into(), more];
        let given = if args[1].is_none() { 1 } else { 2 };
        // Of a tag it may be said by any connection, and twice is as once.
        let ask =
            Ask { method, args: &args[..given], kwargs: &[], repeat: Repeat::Always, reply: Await::Prompt };
        match self.queue.ask(&ask) {
            Err(Error::Raised(exception)) if exception.is("builtins", "ValueError") => Err(Error::Stale),
            result => truth(result?),
        }
    }
}

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        if self.open {
            // If the hub does not hear of it, it sees the end of the connection.
            self.queue.proxy().tell("give_back", &[self.tag.as_str().into()]);
        }
    }
}

impl Deref for Delivery<'_> {
    type Target = Value;
    fn deref(&self) -> &Value {
        &self.item
    }
}

/// To take the item out and leave another value in its place: the hub has its own copy.
impl DerefMut for Delivery<'_> {
    fn deref_mut(&mut self) -> &mut Value {
        &mut self.item
    }
}

impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("tag", &self.tag).field("item", &self.item).finish_non_exhaustive()
    }
}

/// The items of the queue as deliveries.
impl QueueProxy {
    /// Takes the first item on loan, waiting for as long as there is none. netq's own `lend()`.
    ///
    /// # Errors
    /// [`Error::ShutDown`]; [`Error::Unsupported`] if the queue is not netq's, and then there is only
    /// [`get`](Self::get); otherwise as for [`Proxy::call`](crate::Proxy::call).
    pub fn take(&self) -> Result<Delivery<'_>, Error> {
        self.take_one(Await::Timed(None))
    }

    /// Takes the first item on loan, waiting at most `timeout`.
    ///
    /// # Errors
    /// [`Error::Empty`] when the time is over; otherwise as for [`take`](Self::take).
    pub fn take_timeout(&self, timeout: Duration) -> Result<Delivery<'_>, Error> {
        self.take_one(Await::Timed(Some(timeout)))
    }

    /// Takes the first item on loan if there is one now.
    ///
    /// # Errors
    /// [`Error::Empty`] if there is none; otherwise as for [`take`](Self::take).
    pub fn try_take(&self) -> Result<Delivery<'_>, Error> {
        self.take_one(Await::Not)
    }

    /// Waits for one item, at most `timeout` (`None` is for ever), and takes what is there, up to `max_items`, on loan
    /// and in one exchange. As [`get_many`](Self::get_many), with the same limits.
    ///
    /// # Errors
    /// [`Error::Empty`] when the time is over; otherwise as for [`take`](Self::take).
    pub fn take_many(&self, max_items: usize, timeout: Option<Duration>) -> Result<Vec<Delivery<'_>>, Error> {
        self.lend(max_items, Await::Timed(timeout))
    }

    /// The next item, as [`take`](Self::take) gives it; `None` once the queue was shut down and nothing is left.
    ///
    /// # Errors
    /// As for [`take`](Self::take), [`Error::ShutDown`] excepted.
    pub fn next(&self) -> Result<Option<Delivery<'_>>, Error> {
        match self.take() {
            Ok(delivery) => Ok(Some(delivery)),
            Err(Error::ShutDown) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An iterator over [`next`](Self::next): it waits for each item, and ends when the queue was shut down.
    ///
    /// ```
    /// # use netq::{BaseManager, SharedQueue};
    /// # let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
    /// # hub.register("get_task_queue", SharedQueue::new(0));
    /// # hub.start()?;
    /// # let tasks = hub.queue("get_task_queue")?;
    /// # tasks.put_all(1..=3)?;
    /// # tasks.shutdown(false)?;
    /// for item in tasks.deliveries() {
    ///     let item = item?;
    ///     println!("{}", *item);
    ///     item.done()?;
    /// }
    /// # Ok::<(), netq::Error>(())
    /// ```
    pub fn deliveries(&self) -> impl Iterator<Item = Result<Delivery<'_>, Error>> {
        std::iter::from_fn(|| self.next().transpose())
    }

    fn take_one(&self, wait: Await) -> Result<Delivery<'_>, Error> {
        // A hub that gives none instead of Empty is not ours.
        self.lend(1, wait)?.pop().ok_or_else(|| Error::Protocol("lend() of nothing".into()))
    }

    fn lend(&self, most: usize, wait: Await) -> Result<Vec<Delivery<'_>>, Error> {
        if !self.exposes("lend") {
            return Err(Error::Unsupported { method: "lend".into() });
        }
        let (args, repeat) = (&[most.into()], Repeat::Always);
        let lent = self.ask(&Ask { method: "lend", args, kwargs: &[], repeat, reply: wait })?;
        let pairs = parts(lent).map_err(|other| unexpected("a list of deliveries", &other))?;
        pairs.into_iter().map(|pair| self.delivery(pair)).collect()
    }

    fn delivery(&self, pair: Value) -> Result<Delivery<'_>, Error> {
        let pair = parts(pair).map_err(|other| unexpected("a delivery", &other))?;
        match <[Value; 2]>::try_from(pair) {
            Ok([Value::Str(tag), item]) => Ok(Delivery { queue: self, tag, item, open: true }),
            _ => Err(Error::Protocol("lend() without tags and items".into())),
        }
    }
}

/// What is in a list or tuple, which is opaque as a whole if anything in it is.
pub(super) fn parts(value: Value) -> Result<Vec<Value>, Value> {
    match value {
        Value::List(values) | Value::Tuple(values) => Ok(values),
        Value::Opaque(list) => match list.elements() {
            Some(values) => Ok(values.iter().map(Pickled::decode).collect()),
            None => Err(Value::Opaque(list)),
        },
        other => Err(other),
    }
}
