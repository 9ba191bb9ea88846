//! A queue that programs on many machines share: `queue.Queue`'s methods, called through proxies.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::message::{Argument, Call, Exception};
use crate::pickle::{Pickled, Value};
use crate::queue::{BoundedQueue, GetError, Limits, PutError, Wait};
use crate::shared::{Answer, Shared};

/// The methods of `queue.Queue` and `multiprocessing.Queue`, and two for batches.
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
];

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
#[derive(Debug)]
pub struct SharedQueue {
    queue: Arc<BoundedQueue<Pickled>>,
}

impl SharedQueue {
    /// A queue of at most `maxsize` items; 0 means that there is no bound.
    #[expect(clippy::new_ret_no_self, reason = "it is shared from the beginning")]
    pub fn new(maxsize: usize) -> Arc<Self> {
        Self::with_limits(Limits { maxsize, max_weight: None, weigh: Pickled::len })
    }

    /// A queue bounded in items, in bytes or in both.
    pub fn with_limits(limits: Limits<Pickled>) -> Arc<Self> {
        Arc::new(Self { queue: BoundedQueue::with_limits(limits) })
    }

    /// The queue itself, for use in the process that serves it.
    pub fn queue(&self) -> &Arc<BoundedQueue<Pickled>> {
        &self.queue
    }

    fn put(&self, call: Call<'_>) -> Result<Answer, Exception> {
        let [item, block, timeout] = match call.method() {
            "put_nowait" => call.bind(["item"], 1).map(|[item]| [item, None, None])?,
            _ => call.bind(["item", "block", "timeout"], 1)?,
        };
        let blocking = call.method() != "put_nowait" && call.truth(block, true);
        // Python looks at the timeout only where it could matter.
        let bounded = self.queue.stats().maxsize > 0;
        let limit = if blocking { limit(&call, timeout.filter(|_| bounded))? } else { Some(Duration::ZERO) };
        let caller = call.caller();
        // `bind` has made sure of the item.
        let item = item.ok_or_else(|| Exception::type_error("put() missing required argument: 'item'"))?;
        let payload = call.into_opaque(item)?;
        self.queue.put(payload, wait(limit).while_alive(&|| !caller.is_gone())).map_err(put_error)?;
        Ok(Value::None.into())
    }

    fn put_many(&self, call: Call<'_>) -> Result<Answer, Exception> {
        let [items, block, timeout] = call.bind(["items", "block", "timeout"], 1)?;
        let Some(elements) = items.and_then(|items| call.elements(items)) else {
            return Err(Exception::type_error("put_many() needs a list or a tuple of at most 4,194,304 items"));
        };
        let limit = if call.truth(block, true) { limit(&call, timeout)? } else { Some(Duration::ZERO) };
        let mut payloads = elements.map(|item| call.opaque(item)).collect::<Result<VecDeque<_>, _>>()?;
        let caller = call.caller();
        match self.queue.put_many(&mut payloads, wait(limit).while_alive(&|| !caller.is_gone())) {
            Ok(count) => Ok(count.into()),
            Err(stopped) => match stopped.reason {
                PutError::Full(()) => Ok(stopped.put.into()),
                reason if stopped.put == 0 => Err(put_error(reason)),
                // The caller must learn how many went in; the reason comes with the next call.
                _ => Ok(stopped.put.into()),
            },
        }
    }

    fn get(&self, call: Call<'_>) -> Result<Answer, Exception> {
        let [block, timeout] = match call.method() {
            "get_nowait" => call.bind([], 0).map(|[]| [None, None])?,
            _ => call.bind(["block", "timeout"], 0)?,
        };
        let blocking = call.method() != "get_nowait" && call.truth(block, true);
        let limit = if blocking { limit(&call, timeout)? } else { Some(Duration::ZERO) };
        let caller = call.caller();
        let taken = self.queue.take(wait(limit).while_alive(&|| !caller.is_gone())).map_err(get_error)?;
        Ok(Answer::Item(taken))
    }

    fn get_many(&self, call: Call<'_>) -> Result<Answer, Exception> {
        let [max, block, timeout] = call.bind(["max_items", "block", "timeout"], 1)?;
        let max = call.int(max, 1)?;
        let max = usize::try_from(max).ok().filter(|&max| max > 0);
        let max = max.ok_or_else(|| Exception::value_error("'max_items' must be a positive number"))?;
        let limit = if call.truth(block, true) { limit(&call, timeout)? } else { Some(Duration::ZERO) };
        let caller = call.caller();
        let wait = wait(limit);
        let taken = self.queue.take_many(max, wait.while_alive(&|| !caller.is_gone())).map_err(get_error)?;
        Ok(Answer::Items(taken))
    }

    fn task_done(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        call.bind([], 0)?;
        self.queue.task_done().map_err(|error| Exception::value_error(error.to_string()))?;
        Ok(Value::None.into())
    }

    fn join(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        call.bind([], 0)?;
        let caller = call.caller();
        // The only way to give up is that nobody waits for the answer.
        let _ = self.queue.join(Wait::forever().while_alive(&|| !caller.is_gone()));
        Ok(Value::None.into())
    }

    fn shutdown(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        let [immediate] = call.bind(["immediate"], 0)?;
        self.queue.shutdown(call.truth(immediate, false));
        Ok(Value::None.into())
    }

    fn look(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        call.bind([], 0)?;
        match call.method() {
            "qsize" => Ok(self.queue.len().into()),
            "empty" => Ok(self.queue.is_empty().into()),
            "full" => Ok(self.queue.is_full().into()),
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
            "get" | "get_nowait" => self.get(call),
            "put_many" => self.put_many(call),
            "get_many" => self.get_many(call),
            "task_done" => self.task_done(&call),
            "join" => self.join(&call),
            "shutdown" => self.shutdown(&call),
            _ => self.look(&call),
        }
    }

    fn describe(&self) -> String {
        let stats = self.queue.stats();
        format!("<netq.Queue len={} maxsize={}>", stats.len, stats.maxsize)
    }

    fn stats(&self) -> Vec<(&'static str, Value)> {
        let stats = self.queue.stats();
        vec![
            ("length", stats.len.into()),
            ("maxsize", stats.maxsize.into()),
            ("bytes", stats.weight.into()),
            ("puts", stats.puts.into()),
            ("gets", stats.gets.into()),
            ("returned", stats.returned.into()),
            ("waiting_getters", stats.waiting_getters.into()),
            ("waiting_putters", stats.waiting_putters.into()),
            ("unfinished", stats.unfinished.into()),
        ]
    }
}

/// How long `timeout` allows to wait; `None` for ever.
fn limit(call: &Call<'_>, timeout: Option<Argument>) -> Result<Option<Duration>, Exception> {
    let seconds = match timeout.map(|timeout| call.small(timeout)).transpose()? {
        None | Some(Value::None) => return Ok(None),
        Some(Value::Int(seconds)) => seconds as f64,
        Some(Value::Bool(flag)) => f64::from(u8::from(flag)),
        Some(Value::Float(seconds)) => seconds,
        Some(other) => return Err(call.wrong_type("a number of seconds as its timeout", &other)),
    };
    if seconds < 0.0 || seconds.is_nan() {
        return Err(Exception::value_error("'timeout' must be a non-negative number"));
    }
    // More than a Duration holds is for ever.
    Ok(Duration::try_from_secs_f64(seconds).ok())
}

fn wait(limit: Option<Duration>) -> Wait<'static> {
    limit.map_or(Wait::forever(), Wait::at_most)
}

fn put_error<T>(error: PutError<T>) -> Exception {
    match error {
        // Nobody is there to see which exception a caller that is gone would get.
        PutError::Full(_) | PutError::Gone(_) => Exception::full(),
        PutError::ShutDown(_) => Exception::shut_down(),
        PutError::TooLarge(_) => Exception::value_error(
            "the item is larger than all the memory that this queue may use: see --memory",
        ),
    }
}

fn get_error(error: GetError) -> Exception {
    match error {
        GetError::Empty | GetError::Gone => Exception::empty(),
        GetError::ShutDown => Exception::shut_down(),
    }
}
