//! Rust on Rust, over loopback: what a hub promises to its clients. No Python is needed here.

mod calls;
mod delivery;
mod limits;
mod loans;
mod manager;
mod relay;
#[path = "../common/redis.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod server;
mod serving;
mod stopping;
#[path = "../common/stores.rs"]
#[allow(dead_code, reason = "without features nothing runs again")]
mod stores;
mod waiting;

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netq::connection::{Connection, Stranger, write_frame};
use netq::{
    Answer, AuthKey, BaseManager, Call, DeadLetters, Exception, Options, Pickled, QueueOptions, QueueProxy,
    Redelivery, Shared, SharedQueue, Value,
};

const KEY: &[u8] = b"a key for tests only";
/// Far longer than anything here takes: for what must not hang.
const DEADLINE: Duration = Duration::from_secs(30);

struct Counter(AtomicI64);

impl Shared for Counter {
    fn exposed(&self) -> &[&'static str] {
        &["increment", "fail", "panic"]
    }

    fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
        match call.method() {
            "increment" => {
                let [step] = call.bind(["step"], 0)?;
                let step = call.int(step, 1)?;
                Ok((self.0.fetch_add(step, Ordering::Relaxed) + step).into())
            }
            "panic" => panic!("a method of a shared object panics, as this test wants"),
            _ => Err(Exception::new("decimal", "InvalidOperation", vec!["no".into(), 7.into()])),
        }
    }

    fn value(&self) -> Result<Value, Exception> {
        Ok(self.0.load(Ordering::Relaxed).into())
    }
}

/// A hub with a task queue of 2 items, a redelivering one, a factory and a counter.
fn hub(options: Options) -> BaseManager {
    let mut hub = BaseManager::new("127.0.0.1:0", KEY);
    hub.set_options(options);
    let keeper = stores::Keeper::open();
    let tasks = QueueOptions { maxsize: 2, ..QueueOptions::default() };
    hub.register("get_task_queue", keeper.queue("get_task_queue", tasks));
    hub.register("get_counter", Arc::new(Counter(AtomicI64::new(0))));
    let dead = keeper.queue("get_careful_queue_dead", QueueOptions::default());
    let careful = QueueOptions {
        redelivery: Some(Redelivery {
            dead_letters: Some(DeadLetters { attempts: 2, queue: dead.queue().clone() }),
            ..Redelivery::default()
        }),
        ..QueueOptions::default()
    };
    hub.register("get_careful_queue", keeper.queue("get_careful_queue", careful));
    hub.register("get_careful_queue_dead", dead);
    hub.register_factory("Queue", |call| {
        let [maxsize] = call.bind(["maxsize"], 0)?;
        Ok(SharedQueue::new(call.int(maxsize, 0)?.try_into().unwrap_or(0)))
    });
    keeper.load();
    hub.start().unwrap();
    hub
}

#[cfg(feature = "journal")]
#[test]
fn again_with_the_queues_in_a_journal() {
    stores::again_on_a_journal("hub", &[]);
}

#[cfg(feature = "redis")]
#[test]
fn again_with_the_queues_in_redis() {
    stores::again_on_redis(&[]);
}

fn tasks(hub: &BaseManager) -> QueueProxy {
    hub.queue("get_task_queue").unwrap()
}

/// Waits until `condition` holds.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
        thread::yield_now();
    }
}

/// A figure of an object, as `netq stat` shows it.
fn figure(hub: &BaseManager, object: &str, name: &str) -> i64 {
    let Value::Dict(stat) = hub.dispatch("stat").unwrap() else { panic!("stat is no dict") };
    let Some((_, Value::List(rows))) = stat.into_iter().find(|(key, _)| key.as_str() == Some("objects"))
    else {
        panic!("stat has no objects")
    };
    let field = |row: &Value, key: &str| match row {
        Value::Dict(row) => row.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value.clone()),
        _ => None,
    };
    let row = rows.iter().find(|row| field(row, "name") == Some(object.into())).unwrap();
    field(row, name).unwrap().as_i64().unwrap()
}

/// A client that speaks the protocol by hand.
struct Raw(Connection);

impl Raw {
    fn new(hub: &BaseManager) -> Self {
        let stream = Arc::new(TcpStream::connect(hub.address()).unwrap());
        let stranger = Stranger::new(stream, DEADLINE).unwrap();
        let mut raw = Self(stranger.introduce(&AuthKey::new(KEY), 1 << 30).unwrap());
        let accepted = raw.call(Value::None, "accept_connection", vec!["raw".into()]);
        assert!(accepted.starts_with("('#RETURN', '"), "{accepted}");
        raw
    }

    /// Several calls without arguments, in one piece.
    fn send_together(&mut self, ident: &str, methods: &[&str]) {
        let mut bytes = Vec::new();
        for &method in methods {
            let request = (ident, method, Value::Tuple(vec![]), Value::Dict(vec![]));
            let pickle = Pickled::from(Value::from(request)).to_pickle();
            write_frame(&mut bytes, &mut Vec::new(), &[&pickle]).unwrap();
        }
        (&**self.0.stream()).write_all(&bytes).unwrap();
    }

    fn send(&mut self, ident: Value, method: &str, args: Vec<Value>) {
        let request = Value::Tuple(vec![ident, method.into(), Value::Tuple(args), Value::Dict(vec![])]);
        self.0.send(&[&Pickled::from(request).to_pickle()]).unwrap();
    }

    fn receive(&mut self) -> String {
        let frame = self.0.receive().unwrap().expect("a reply");
        Pickled::from_pickle(&frame).unwrap().decode().to_string()
    }

    fn call(&mut self, ident: Value, method: &str, args: Vec<Value>) -> String {
        self.send(ident, method, args);
        self.receive()
    }

    /// Dies without having read the reply that is on its way: the system resets the connection.
    fn die_with_a_reply_unread(self) {
        assert_eq!(self.0.stream().peek(&mut [0]).unwrap(), 1);
    }
}
