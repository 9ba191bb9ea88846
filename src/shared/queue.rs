//! A queue that programs on many machines share: `queue.Queue`'s methods, called through proxies.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::message::{Argument, Call, Caller, Exception};
use crate::pickle::{Pickled, Value};
use crate::queue::{BoundedQueue, Limits, Logged, Packing, TooManyDone};
use crate::shared::engine::{Asked, Engine, Stopped, Wish};
use crate::shared::in_memory::InMemory;
use crate::shared::kind::{Again, Kind};
use crate::shared::once::{Once, Progress, Puts};
use crate::shared::{Answer, QueueOptions, Shared};

/// The methods of `queue.Queue` and `multiprocessing.Queue`, two for batches, and those about deliveries.
const EXPOSED: &[&str] = &[
    "put",
    "get",
    "put_nowait",
    "get_nowait",
    "put_many",
    "get_many",
    "qsize",
    "empty",
    "full",
    "task_done",
    "join",
    "shutdown",
    "close",
    "join_thread",
    "cancel_join_thread",
    "redelivers",
    "lend",
    "task_failed",
    "give_back",
    "touch",
    "lease",
];

/// A queue, in the list of what a hub makes.
pub(super) const KIND: Kind = Kind {
    typeid: "Queue",
    what: "a queue of at most MAXSIZE items, 0: any number",
    arguments: "maxsize=0",
    // Not `get`, which a dict has too.
    own: &["put", "qsize", "get_nowait"],
    again,
    make,
};

fn again(method: &str) -> Again {
    match method {
        "get" | "get_nowait" | "get_many" | "lend" | "qsize" | "empty" | "full" | "join" | "redelivers"
        | "touch" | "lease" | "give_back" => Again::NoHarm,
        "put" | "put_nowait" | "put_many" => Again::PutTwice,
        _ => Again::Harm,
    }
}

fn make(call: Call<'_>, max_bytes: Option<usize>) -> Result<Arc<dyn Shared>, Exception> {
    let [maxsize] = call.bind(["maxsize"], 0)?;
    // To Python's queues a negative bound is none.
    let maxsize = usize::try_from(call.int(maxsize, 0)?.max(0)).unwrap_or(0);
    Ok(SharedQueue::with_options(QueueOptions { maxsize, max_bytes, redelivery: None }))
}

/// How many items one `get_many` takes at most, however many are asked for: what is in its reply is one client's
/// alone. By then the exchange costs little beside its items.
const GET_MANY_ITEMS: usize = 1024;

/// What `put_many` puts at a time, with one lock of the queue.
const PUT_MANY_ITEMS: usize = 1024;

/// A [`BoundedQueue`] of opaque payloads, served to Python and Rust clients. Python's `queue.Queue`.
///
/// ```no_run
/// use netq::{BaseManager, SharedQueue};
///
/// let mut manager = BaseManager::new("127.0.0.1:8001", b"a secret of the whole team");
/// manager.register("get_task_queue", SharedQueue::new(10));
/// manager.get_server()?.serve_forever();
/// # Ok::<(), netq::Error>(())
/// ```
pub struct SharedQueue {
    pub(super) engine: Box<dyn Engine>,
    queue: Arc<BoundedQueue<Pickled>>,
}

impl SharedQueue {
    /// A queue of at most `maxsize` items; 0 means that there is no bound.
    pub fn new(maxsize: usize) -> Arc<Self> {
        Self::with_options(QueueOptions { maxsize, ..QueueOptions::default() })
    }

    /// A queue with more limits, or with another way to deliver.
    pub fn with_options(options: QueueOptions) -> Arc<Self> {
        Self::make(options, Logged::default(), Puts::default())
    }

    /// A queue with a journal, and its clients' latest puts as that has kept them: client, number, items.
    #[cfg(feature = "journal")]
    pub(crate) fn kept(
        options: QueueOptions,
        log: Logged<Pickled>,
        puts: impl Iterator<Item = (String, i64, usize)>,
    ) -> Arc<Self> {
        Self::make(options, log, Puts::kept(puts))
    }

    /// A queue whose items are not in this process.
    #[cfg(feature = "redis")]
    pub(crate) fn over(engine: Box<dyn Engine>) -> Arc<Self> {
        let queue = BoundedQueue::new(0);
        queue.shutdown(false);
        Arc::new(Self { engine, queue })
    }

    fn make(options: QueueOptions, log: Logged<Pickled>, puts: Puts) -> Arc<Self> {
        let QueueOptions { maxsize, max_bytes, redelivery } = options;
        let limits = Limits { maxsize, max_weight: max_bytes, weigh: Pickled::memory };
        let packing = Packing { pack: Pickled::pack, unpack: Pickled::unpack };
        let queue = BoundedQueue::logged(limits, packing, log);
        let engine = Box::new(InMemory::new(Arc::clone(&queue), redelivery, puts));
        Arc::new(Self { engine, queue })
    }

    /// The queue itself, for use in the process that serves it. Of one that is kept in Redis it is another, which is shut
    /// down.
    pub fn queue(&self) -> &Arc<BoundedQueue<Pickled>> {
        &self.queue
    }

    fn put(&self, call: Call<'_>) -> Result<Answer, Exception> {
        let nowait = call.method() == "put_nowait";
        // `queue.Queue` calls it item, `multiprocessing.Queue` obj.
        let item = if call.names("obj") { "obj" } else { "item" };
        let [item, block, timeout, once] = match nowait {
            true => call.bind([item], 1).map(|[item]| [item, None, None, None])?,
            false => bind_put(&call, item)?,
        };
        // Python looks at the timeout only where there is a bound.
        let timeout = timeout.filter(|_| self.engine.has_bound());
        let asked = Asked { by: call.caller(), limit: limit(&call, !nowait, block, timeout)? };
        let begun = match self.begin(&call, once, asked)? {
            Progress::Answered(_) => return Ok(Value::None.into()),
            // Another run of the hub has put it, and could not answer.
            Progress::ToDo(Some(begun)) if begun.put > 0 => {
                begun.answered();
                return Ok(Value::None.into());
            }
            Progress::ToDo(begun) => begun,
        };
        // `bind` has made sure of the item.
        let item = item.ok_or_else(|| Exception::type_error("put() needs an item"))?;
        let payload = call.into_opaque(item)?;
        self.engine.put(payload, begun.as_ref().map(|begun| &begun.once), asked)?;
        if let Some(begun) = begun {
            begun.answered();
        }
        Ok(Value::None.into())
    }

    fn put_many(&self, call: Call<'_>) -> Result<Answer, Exception> {
        let [items, block, timeout, once] = bind_put(&call, "items")?;
        let asked = Asked { by: call.caller(), limit: limit(&call, true, block, timeout)? };
        let mut begun = match self.begin(&call, once, asked)? {
            Progress::Answered(put) => return Ok(put.into()),
            Progress::ToDo(begun) => begun,
        };
        let already = begun.as_ref().map_or(0, |begun| begun.put);
        let items: Box<dyn Iterator<Item = _>> = match items.and_then(|items| call.elements(items)) {
            Some(elements) => Box::new(elements.skip(already).map(|item| call.opaque(item))),
            // Given by name it lies too deep in the request for the walk to have noted its elements.
            None => {
                let list = items.map(|items| call.opaque(items)).transpose()?;
                let items = list.and_then(|list| list.elements()).ok_or_else(|| {
                    Exception::type_error("put_many() needs a list or a tuple of at most 4,194,304 items")
                })?;
                Box::new(items.into_iter().skip(already).map(Ok))
            }
        };
        let put = self.put_all(items, asked, &mut begun)?;
        Ok((already + put).into())
    }

    /// What is left to do of a put that may be a repeated one.
    fn begin(
        &self,
        call: &Call<'_>,
        once: Option<Argument>,
        asked: Asked<'_>,
    ) -> Result<Progress<Option<Begun<'_>>>, Exception> {
        let Some(once) = once.filter(|&once| !call.is_none(once)) else { return Ok(Progress::ToDo(None)) };
        let once = Once::named(call, once)?;
        Ok(match self.engine.begin(&once, asked)? {
            Progress::Answered(put) => Progress::Answered(put),
            Progress::ToDo(put) => {
                Progress::ToDo(Some(Begun { engine: &*self.engine, once, put, answered: false }))
            }
        })
    }

    /// Puts items as long as it can, and says how many went in. What stops it later than at the first is left
    /// for the next call, with the rest, to say: the caller must learn how many they were.
    fn put_all(
        &self,
        mut items: Box<dyn Iterator<Item = Result<Pickled, Exception>> + '_>,
        asked: Asked<'_>,
        begun: &mut Option<Begun<'_>>,
    ) -> Result<usize, Exception> {
        let since = Instant::now();
        let mut total = 0;
        let stopped = loop {
            // Not all at once: others want to use the queue too, and a million items in pieces of their own
            // leave the heap in pieces.
            let mut some = match items.by_ref().take(PUT_MANY_ITEMS).collect::<Result<VecDeque<_>, _>>() {
                Ok(some) if some.is_empty() => break None,
                Ok(some) => some,
                Err(exception) => break Some(exception),
            };
            let left = asked.limit.map(|limit| limit.saturating_sub(since.elapsed()));
            let once = begun.as_ref().map(|begun| (&begun.once, begun.put));
            let (put, stopped) = self.engine.put_many(&mut some, once, Asked { limit: left, ..asked });
            total += put;
            begun.iter_mut().for_each(|begun| begun.put += put);
            match stopped {
                None => {}
                Some(Stopped::Full) => break None,
                // Nobody gets this answer; the same put may come again by another connection.
                Some(Stopped::Gone) => return Err(Exception::full()),
                Some(stopped) => break Some(stopped.into()),
            }
        };
        if let Some(exception) = stopped.filter(|_| total == 0) {
            return Err(exception);
        }
        begun.take().into_iter().for_each(Begun::answered);
        Ok(total)
    }

    fn get(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        let nowait = call.method() == "get_nowait";
        let [block, timeout] = match nowait {
            true => call.bind([], 0).map(|[]| [None, None])?,
            false => call.bind(["block", "timeout"], 0)?,
        };
        let asked = Asked { by: call.caller(), limit: limit(call, !nowait, block, timeout)? };
        Ok(self.engine.take(Wish::One, asked)?)
    }

    /// Takes several items, as a call's arguments ask for them; how many may have to be said.
    pub(super) fn take_many(
        &self,
        call: &Call<'_>,
        says_how_many: bool,
        wish: fn(usize) -> Wish,
    ) -> Result<Answer, Exception> {
        let [max, block, timeout] =
            call.bind(["max_items", "block", "timeout"], usize::from(says_how_many))?;
        let max = usize::try_from(call.int(max, 1)?).ok().filter(|&max| max > 0);
        let max = max.ok_or_else(|| Exception::value_error("'max_items' must be a positive number"))?;
        let asked = Asked { by: call.caller(), limit: limit(call, true, block, timeout)? };
        Ok(self.engine.take(wish(max.min(GET_MANY_ITEMS)), asked)?)
    }

    fn join(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        call.bind([], 0)?;
        match self.engine.join(Asked { by: call.caller(), limit: None }) {
            // Nobody waits for the answer.
            Ok(()) | Err(Stopped::Gone) => Ok(Value::None.into()),
            Err(stopped) => Err(stopped.into()),
        }
    }

    fn shutdown(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        let [immediate] = call.bind(["immediate"], 0)?;
        self.engine.shutdown(call.truth(immediate, false))?;
        Ok(Value::None.into())
    }

    fn look(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        call.bind([], 0)?;
        match call.method() {
            "qsize" => Ok(self.engine.len()?.into()),
            "empty" => Ok((self.engine.len()? == 0).into()),
            "full" => Ok(self.engine.is_full()?.into()),
            "redelivers" => Ok(self.engine.redelivers().into()),
            "lease" => Ok(self.engine.lease().map(|lease| lease.as_secs_f64()).into()),
            // `multiprocessing.Queue` has a feeder thread to close and to join; here there is none.
            "close" | "join_thread" | "cancel_join_thread" => Ok(Value::None.into()),
            _ => Err(call.unknown_method()),
        }
    }
}

impl Shared for SharedQueue {
    fn exposed(&self) -> &[&'static str] {
        EXPOSED
    }

    fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
        match call.method() {
            "put" | "put_nowait" => self.put(call),
            "get" | "get_nowait" => self.get(&call),
            "put_many" => self.put_many(call),
            "get_many" => self.take_many(&call, true, Wish::Some),
            "lend" => self.take_many(&call, false, Wish::Lent),
            "task_done" => self.task_done(&call),
            "task_failed" => self.task_failed(&call),
            "give_back" => self.give_back(&call),
            "touch" => self.touch(&call),
            "join" => self.join(&call),
            "shutdown" => self.shutdown(&call),
            _ => self.look(&call),
        }
    }

    fn describe(&self) -> String {
        let len = self.engine.len().map_or_else(|_| "?".to_owned(), |len| len.to_string());
        format!("<netq.Queue len={len} maxsize={}>", self.engine.maxsize())
    }

    fn disconnected(&self, caller: &Caller) -> Option<String> {
        let count = self.engine.disconnected(caller.id());
        let items = if count == 1 { "item" } else { "items" };
        (count > 0).then(|| format!("left with {count} {items} for which it had not called task_done()"))
    }

    /// One in Redis is other hubs' too, and has an empty one here.
    fn retire(&self) -> bool {
        self.queue.shutdown(false);
        let stats = self.queue.stats();
        stats.len + stats.out == 0
    }

    fn stats(&self) -> Vec<(&'static str, Value)> {
        self.engine.stats()
    }
}

impl fmt::Debug for SharedQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

/// A numbered put that has begun. Dropped before it is [`answered`](Self::answered), it can be begun again.
struct Begun<'q> {
    engine: &'q dyn Engine,
    once: Once,
    /// How many of its items are in the queue.
    put: usize,
    answered: bool,
}

impl Begun<'_> {
    /// It has its answer: it is not to be done again.
    fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.engine.end(&self.once, self.put, self.answered);
    }
}

/// The arguments of `put` and `put_many`, of which `once` goes by its name only: Python's has three positions.
fn bind_put(call: &Call<'_>, what: &str) -> Result<[Option<Argument>; 4], Exception> {
    if call.names("once") {
        return call.bind([what, "block", "timeout", "once"], 1);
    }
    call.bind([what, "block", "timeout"], 1).map(|[item, block, timeout]| [item, block, timeout, None])
}

/// How long Python's arguments `block` and `timeout` allow to wait; `None` for ever.
fn limit(
    call: &Call<'_>,
    may_block: bool,
    block: Option<Argument>,
    timeout: Option<Argument>,
) -> Result<Option<Duration>, Exception> {
    if !may_block {
        return Ok(Some(Duration::ZERO));
    }
    call.limit(block, timeout)
}

/// What a method raises that was stopped.
impl From<Stopped> for Exception {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            // Nobody is there to see which exception a caller that is gone would get.
            Stopped::Empty | Stopped::Gone => Self::empty(),
            Stopped::Full => Self::full(),
            Stopped::ShutDown => Self::shut_down(),
            Stopped::TooLarge => Self::value_error(
                "the item is larger than all the memory that this queue may use: see --memory",
            ),
            Stopped::TooManyDone => Self::value_error(TooManyDone.to_string()),
            Stopped::Failed(exception) => exception,
        }
    }
}
