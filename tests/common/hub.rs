//! A netq hub in the test's own process, with the typeids that the tests' Python programs use.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use netq::{Answer, BaseManager, Call, Exception, KINDS, QueueOptions, Shared, Value};

use crate::stores::Keeper;

/// Serves on a port of 127.0.0.1 that the system chooses, until it is dropped.
pub fn start(authkey: &[u8]) -> BaseManager {
    let mut hub = BaseManager::new("127.0.0.1:0", authkey);
    let keeper = Keeper::open();
    for (typeid, maxsize) in
        [("get_task_queue", 0), ("get_result_queue", 0), ("get_small_queue", 1), ("get_joinable_queue", 0)]
    {
        hub.register(typeid, keeper.queue(typeid, QueueOptions { maxsize, ..QueueOptions::default() }));
    }
    keeper.load();
    for kind in KINDS {
        hub.register_factory(kind.typeid, |call| kind.make(call, None));
    }
    hub.register("get_counter", Arc::new(Counter(AtomicI64::new(0))));
    hub.start().unwrap();
    hub
}

/// The same object as `Counter` in `tests/python/server.py`.
struct Counter(AtomicI64);

impl Shared for Counter {
    fn exposed(&self) -> &[&'static str] {
        &["add", "value", "echo", "fail"]
    }

    fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
        match call.method() {
            "add" => {
                let [amount, times] = call.bind(["amount", "times"], 0)?;
                let sum = call.int(amount, 1)? * call.int(times, 1)?;
                Ok((self.0.fetch_add(sum, Ordering::Relaxed) + sum).into())
            }
            "value" => Ok(self.0.load(Ordering::Relaxed).into()),
            "echo" => {
                let [item, option] = call.bind(["item", "option"], 1)?;
                let value = |argument: Option<_>| argument.map_or(Ok(Value::None), |it| call.value(it));
                Ok((value(item)?, value(option)?).into())
            }
            "fail" => {
                let [text] = call.bind(["text"], 1)?;
                let text = text.map(|text| call.value(text)).transpose()?;
                Err(Exception::runtime_error(text.as_ref().and_then(Value::as_str).unwrap_or("?")))
            }
            _ => Err(call.unknown_method()),
        }
    }
}
