//! Rust on Rust, over loopback: what a hub promises to its clients. No Python is needed here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use netq::connection::{Connection, Stranger};
use netq::{
    Answer, AuthKey, BaseManager, Call, DeadLetters, Error, Exception, Options, Pickled, QueueOptions,
    QueueProxy, Redelivery, Retry, Shared, SharedQueue, Value,
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
    hub.register("get_task_queue", SharedQueue::new(2));
    hub.register("get_counter", Arc::new(Counter(AtomicI64::new(0))));
    let dead = SharedQueue::new(0);
    let careful = SharedQueue::with_options(QueueOptions {
        redelivery: Some(Redelivery {
            lease: None,
            dead_letters: Some(DeadLetters { attempts: 2, queue: dead.queue().clone() }),
        }),
        ..QueueOptions::default()
    });
    hub.register("get_careful_queue", careful);
    hub.register("get_careful_queue_dead", dead);
    hub.register_factory("Queue", |call| {
        let [maxsize] = call.bind(["maxsize"], 0)?;
        Ok(SharedQueue::new(call.int(maxsize, 0)?.try_into().unwrap_or(0)))
    });
    hub.start().unwrap();
    hub
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
        assert_eq!(raw.call(Value::None, "accept_connection", vec!["raw".into()]), "('#RETURN', None)");
        raw
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

#[test]
fn every_kind_of_value_comes_back_equal() {
    let hub = hub(Options::default());
    let mut queue = tasks(&hub);
    let big = Value::from(u128::MAX);
    let values: Vec<Value> = vec![
        Value::None,
        true.into(),
        0.into(),
        (-1).into(),
        255.into(),
        65_536.into(),
        i64::MIN.into(),
        i64::MAX.into(),
        big.clone(),
        1.5.into(),
        f64::INFINITY.into(),
        "".into(),
        "put".into(),
        "get_task_queue".into(),
        "ünïcödé 🦀".into(),
        "x".repeat(300_000).into(),
        Value::Bytes((0..=255).collect()),
        Value::Bytes(vec![0; 300_000]),
        Value::List(vec![1.into(), Value::List(vec![]), Value::Tuple(vec![])]),
        ("a", 1, Value::None).into(),
        BTreeMap::from([("k", 1), ("l", 2)]).into(),
        Value::Dict(vec![(("a", 1).into(), Value::Dict(vec![]))]),
        BTreeSet::from([1, 2, 3]).into(),
        Value::FrozenSet(vec![big]),
        Value::List((0..5000).map(Value::from).collect()),
    ];
    for value in values {
        queue.put(value.clone()).unwrap();
        assert_eq!(queue.get().unwrap(), value);
    }
}

#[test]
fn an_opaque_object_can_be_put_again_unchanged() {
    let hub = hub(Options::default());
    let mut queue = tasks(&hub);
    // pickle.dumps(datetime.date(2024, 2, 29), 4)
    let date = b"\x80\x04\x95\x20\0\0\0\0\0\0\0\x8c\x08datetime\x94\x8c\x04date\x94\x93\x94C\x04\x07\xe8\x02\x1d\x94\x85\x94R\x94.";
    let date = Value::Opaque(Pickled::from_pickle(date).unwrap());
    let dict = Value::Dict(vec![("first".into(), date.clone()), ("second".into(), date.clone())]);
    queue.put(date.clone()).unwrap();
    let got = queue.get().unwrap();
    assert_eq!((got.to_string(), &got), ("<datetime.date>".into(), &date));
    queue.put(dict.clone()).unwrap();
    assert_eq!(queue.get().unwrap(), Value::Opaque(Pickled::from(dict)));
    assert_eq!(queue.put_many(vec![1.into(), date.clone()], None).unwrap(), 2);
    assert_eq!(queue.get_many(9, None).unwrap(), [1.into(), date]);
}

#[test]
fn full_and_empty_are_python_s() {
    let hub = hub(Options::default());
    let mut queue = tasks(&hub);
    let moment = Duration::from_millis(20);
    assert!(matches!(queue.try_get(), Err(Error::Empty)));
    assert!(matches!(queue.get_timeout(moment), Err(Error::Empty)));
    queue.put(1).unwrap();
    queue.try_put(2).unwrap();
    assert!(matches!(queue.try_put(3), Err(Error::Full)));
    assert!(matches!(queue.put_timeout(3, moment), Err(Error::Full)));
    assert_eq!(queue.put_many(vec![3.into()], Some(moment)).unwrap(), 0);
    assert!(queue.is_full().unwrap() && !queue.is_empty().unwrap());
    assert_eq!(queue.qsize().unwrap(), 2);
    assert_eq!(queue.get_many(10, None).unwrap(), [1.into(), 2.into()]);
    queue.task_done().unwrap();
    queue.task_done().unwrap();
    queue.join().unwrap();
    let error = queue.task_done().unwrap_err();
    assert_eq!(error.to_string(), "ValueError: task_done() called too many times");
    queue.shutdown(false).unwrap();
    assert!(matches!(queue.put(1), Err(Error::ShutDown)));
    assert!(matches!(queue.get(), Err(Error::ShutDown)));
}

#[test]
fn wrong_arguments_raise_python_s_errors() {
    let hub = hub(Options::default());
    let mut proxy = hub.proxy("get_task_queue", &[]).unwrap();
    let mut error = |method: &str, args: &[Value], kwargs: &[(&str, Value)]| {
        proxy.call_with(method, args, kwargs).unwrap_err().to_string()
    };
    let one = Value::from(1);
    assert_eq!(error("put", &[], &[]), "TypeError: put() missing required argument: 'item'");
    assert_eq!(
        error("put", &[], &[("thing", one.clone())]),
        "TypeError: put() got an unexpected keyword argument 'thing'"
    );
    assert_eq!(
        error("put", std::slice::from_ref(&one), &[("item", one.clone())]),
        "TypeError: put() got multiple values for argument 'item'"
    );
    assert_eq!(
        error("get", &[true.into(), (-1).into()], &[]),
        "ValueError: 'timeout' must be a non-negative number"
    );
    assert_eq!(
        error("get", &[true.into(), "soon".into()], &[]),
        "TypeError: get() needs a number of seconds as its timeout, not str"
    );
    assert!(error("get", &vec![one.clone(); 9], &[]).starts_with("TypeError: get() takes at most 2"));
    assert!(error("get_many", &[0.into()], &[]).starts_with("ValueError: 'max_items'"));
    assert!(error("put_many", &[one], &[]).starts_with("TypeError: put_many() needs a list"));
    assert!(error("explode", &[], &[]).starts_with("AttributeError: no method 'explode'"));
    let error = hub.queue("get_tusk_queue").unwrap_err().to_string();
    assert!(error.contains("'get_tusk_queue'") && error.contains("get_task_queue"), "{error}");
}

#[test]
fn an_object_of_one_s_own_is_called_like_any_other() {
    let hub = hub(Options::default());
    let mut counter = hub.proxy("get_counter", &[]).unwrap();
    assert_eq!(counter.exposed(), ["increment", "fail", "panic"]);
    assert_eq!(counter.call("increment", &[]).unwrap(), 1.into());
    assert_eq!(counter.call_with("increment", &[], &[("step", 5.into())]).unwrap(), 6.into());
    assert_eq!(counter.call("#GETVALUE", &[]).unwrap(), 6.into());
    assert_eq!(counter.call("__str__", &[]).unwrap(), "<netq object>".into());
    let Err(Error::Raised(raised)) = counter.call("fail", &[]) else { panic!("nothing raised") };
    assert_eq!(raised.to_string(), "decimal.InvalidOperation: ('no', 7)");
}

#[test]
fn a_panic_ends_one_connection_and_no_other() {
    let hub = hub(Options::default());
    let (mut one, mut other) =
        (hub.proxy("get_counter", &[]).unwrap(), hub.proxy("get_counter", &[]).unwrap());
    other.call("increment", &[]).unwrap();
    assert!(matches!(one.call("panic", &[]), Err(Error::Lost { .. })));
    assert_eq!(other.call("increment", &[]).unwrap(), 2.into());
    assert_eq!(one.call("increment", &[]).unwrap(), 3.into());
    until("the dead connection is no longer counted", || figure(&hub, "get_counter", "connections") == 2);
}

#[test]
fn a_factory_makes_a_queue_for_each_client_and_drops_it_after_the_last() {
    let hub = hub(Options::default());
    let mut first = QueueProxy::new(hub.proxy("Queue", &[1.into()]).unwrap());
    let mut second = QueueProxy::new(hub.proxy("Queue", &[1.into()]).unwrap());
    first.put("mine").unwrap();
    assert!(second.is_empty().unwrap());
    let mut clone = first.try_clone().unwrap();
    assert_eq!(hub.dispatch("number_of_objects").unwrap(), 2.into());
    drop(first);
    assert_eq!(clone.get().unwrap(), "mine".into());
    drop(clone);
    drop(second);
    assert_eq!(hub.dispatch("number_of_objects").unwrap(), 0.into());
}

#[test]
fn an_item_whose_reply_was_not_read_goes_back_to_the_front() {
    let hub = hub(Options::default());
    let mut queue = tasks(&hub);
    queue.put("first").unwrap();
    queue.put("second").unwrap();
    let mut victim = Raw::new(&hub);
    victim.send("get_task_queue".into(), "get", vec![]);
    victim.die_with_a_reply_unread();
    until("the item is back", || queue.qsize().unwrap() == 2);
    assert_eq!(queue.get().unwrap(), "first".into());
    assert_eq!(queue.get().unwrap(), "second".into());
}

#[test]
fn an_item_whose_reply_was_read_is_gone_when_the_client_leaves() {
    let hub = hub(Options::default());
    let mut queue = tasks(&hub);
    queue.put("first").unwrap();
    let mut client = Raw::new(&hub);
    assert_eq!(client.call("get_task_queue".into(), "get", vec![]), "('#RETURN', 'first')");
    drop(client);
    until("the connection has ended", || figure(&hub, "get_task_queue", "out") == 0);
    assert_eq!((queue.qsize().unwrap(), figure(&hub, "get_task_queue", "gets")), (0, 1));
}

#[test]
fn nothing_is_taken_for_a_client_that_died_while_it_waited() {
    let hub = hub(Options::default());
    let mut queue = tasks(&hub);
    let mut victims: Vec<Raw> = (0..5).map(|_| Raw::new(&hub)).collect();
    for victim in &mut victims {
        victim.send("get_task_queue".into(), "get", vec![]);
    }
    until("all of them wait", || figure(&hub, "get_task_queue", "waiting_getters") == 5);
    drop(victims);
    queue.put("precious").unwrap();
    assert_eq!(queue.get().unwrap(), "precious".into());
    until("their threads have ended", || figure(&hub, "get_task_queue", "waiting_getters") == 0);
}

#[test]
fn nothing_is_put_for_a_client_that_died_while_it_waited() {
    let hub = hub(Options::default());
    let mut queue = tasks(&hub);
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    let mut victim = Raw::new(&hub);
    victim.send("get_task_queue".into(), "put", vec!["ghost".into()]);
    until("it waits", || figure(&hub, "get_task_queue", "waiting_putters") == 1);
    drop(victim);
    assert_eq!(queue.get().unwrap(), 1.into());
    until("its thread has ended", || figure(&hub, "get_task_queue", "waiting_putters") == 0);
    assert_eq!(queue.get().unwrap(), 2.into());
    assert!(matches!(queue.try_get(), Err(Error::Empty)));
}

#[test]
fn what_a_worker_was_not_done_with_is_delivered_again_and_then_given_up() {
    let hub = hub(Options::default());
    let mut boss = hub.queue("get_careful_queue").unwrap();
    for number in 0..3 {
        boss.put(number).unwrap();
    }
    let mut worker = hub.queue("get_careful_queue").unwrap();
    assert_eq!(worker.get().unwrap(), 0.into());
    assert_eq!(worker.get().unwrap(), 1.into());
    worker.task_done().unwrap(); // the oldest: 0
    drop(worker);
    until("what it had is back", || boss.qsize().unwrap() == 2);
    for _ in 0..2 {
        let mut worker = hub.queue("get_careful_queue").unwrap();
        assert_eq!(worker.get().unwrap(), 1.into());
        drop(worker);
        until("it let go", || figure(&hub, "get_careful_queue", "out") == 0);
    }
    assert_eq!(hub.queue("get_careful_queue_dead").unwrap().get().unwrap(), 1.into());
    assert_eq!(boss.get().unwrap(), 2.into());
    boss.task_done().unwrap();
    boss.join().unwrap();
    let error = boss.task_done().unwrap_err().to_string();
    assert!(error.contains("this connection has not so many items"), "{error}");
}

#[test]
fn several_are_done_at_once_or_none() {
    let hub = hub(Options::default());
    for name in ["get_task_queue", "get_careful_queue"] {
        let mut queue = hub.queue(name).unwrap();
        assert_eq!(queue.redelivers().unwrap(), name == "get_careful_queue");
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        assert_eq!(queue.get_many(5, None).unwrap().len(), 2);
        let error = queue.task_done_many(3).unwrap_err().to_string();
        assert!(error.contains("task_done() called too many times"), "{error}");
        assert_eq!(figure(&hub, name, "unfinished"), 2);
        queue.task_done_many(2).unwrap();
        queue.task_done_many(0).unwrap();
        let error = queue.proxy().call("task_done", &[(-1).into()]).unwrap_err().to_string();
        assert!(error.starts_with("ValueError: 'count'"), "{error}");
        queue.join().unwrap();
    }
}

#[test]
fn put_many_takes_its_items_by_name_too() {
    let hub = hub(Options::default());
    let mut queue = hub.queue("get_careful_queue").unwrap();
    let nested = Value::List(vec![1.into(), ("a", "a").into()]);
    for items in [
        Value::List(vec![nested.clone(), "items".into()]),
        Value::Tuple(vec![nested.clone(), "items".into()]),
    ] {
        let put = queue.proxy().call_with("put_many", &[], &[("items", items), ("block", false.into())]);
        assert_eq!(put.unwrap(), 2.into());
        assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (nested.clone(), "items".into()));
    }
    let error = queue.proxy().call_with("put_many", &[], &[("items", "text".into())]).unwrap_err();
    assert!(error.to_string().starts_with("TypeError: put_many() needs a list"), "{error}");
}

#[test]
fn one_get_many_takes_so_many_items_and_bytes_and_no_more() {
    let hub = hub(Options::default());
    let mut queue = hub.queue("get_careful_queue").unwrap();
    queue.put_all(0..5000).unwrap();
    assert_eq!(queue.get_many(usize::MAX >> 1, None).unwrap().len(), 4096);
    assert_eq!(queue.get_many(5000, None).unwrap().len(), 904);
    let lengths = [400_000, 400_000, 400_000, 3_000_000, 10];
    queue.put_all(lengths.map(|length| "x".repeat(length))).unwrap();
    let got = [(); 4].map(|()| queue.get_many(10, None).unwrap().len());
    assert_eq!(got, [2, 1, 1, 1]);
}

#[test]
fn a_message_over_the_limit_is_an_error_and_the_connection_goes_on() {
    let hub = hub(Options { max_message: 100_000, ..Options::default() });
    let mut queue = tasks(&hub);
    let error = queue.put("x".repeat(3_000_000)).unwrap_err().to_string();
    assert!(error.starts_with("ValueError") && error.contains("100000 bytes"), "{error}");
    queue.put("small").unwrap();
    assert_eq!(queue.get().unwrap(), "small".into());
    assert_eq!(figure(&hub, "get_task_queue", "connections"), 1);
}

#[test]
fn data_only_refuses_objects_that_are_made_by_code() {
    let hub = hub(Options { data_only: true, ..Options::default() });
    let mut queue = tasks(&hub);
    // os.system('true'), if it were loaded.
    let bad = Pickled::from_pickle(b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.").unwrap();
    let error = queue.put(Value::List(vec![bad.into()])).unwrap_err().to_string();
    assert!(error.contains("STACK_GLOBAL") && error.contains("os.system"), "{error}");
    queue.put(Value::List(vec![1.into()])).unwrap();
    assert_eq!(queue.qsize().unwrap(), 1);
}

#[test]
fn a_bound_on_bytes_holds_puts_back_and_refuses_what_can_never_fit() {
    let mut hub = BaseManager::new("127.0.0.1:0", KEY);
    let queue = QueueOptions { max_bytes: Some(10_000), ..QueueOptions::default() };
    hub.register("get_task_queue", SharedQueue::with_options(queue));
    hub.start().unwrap();
    let mut queue = tasks(&hub);
    let item = "x".repeat(4000);
    queue.put(item.clone()).unwrap();
    queue.put(item.clone()).unwrap();
    assert!(matches!(queue.put_timeout(item.clone(), Duration::from_millis(10)), Err(Error::Full)));
    queue.get().unwrap();
    queue.try_put(item).unwrap();
    let error = queue.put("x".repeat(20_000)).unwrap_err().to_string();
    assert!(error.starts_with("ValueError"), "{error}");
}

#[test]
fn what_a_redelivering_queue_keeps_for_its_clients_counts_as_memory() {
    let mut hub = BaseManager::new("127.0.0.1:0", KEY);
    let careful =
        QueueOptions { maxsize: 1, max_bytes: Some(10_000), redelivery: Some(Redelivery::default()) };
    hub.register("get_task_queue", SharedQueue::with_options(careful));
    hub.start().unwrap();
    let mut queue = tasks(&hub);
    let item = "x".repeat(4000);
    for _ in 0..2 {
        // Its slot is free as soon as it was got.
        queue.try_put(item.clone()).unwrap();
        queue.get().unwrap();
    }
    assert!(matches!(queue.try_put(item.clone()), Err(Error::Full)));
    queue.task_done().unwrap();
    queue.try_put(item).unwrap();
}

#[test]
fn a_wrong_key_is_refused_and_logged_in_one_line() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = lines.clone();
    let options = Options {
        log: Arc::new(move |line| log.lock().unwrap().push(line.to_owned())),
        ..Options::default()
    };
    let hub = hub(options);
    let stranger = BaseManager::new(hub.address(), b"another key");
    let error = stranger.connect().unwrap_err().to_string();
    assert!(error.contains("key rejected"), "{error}");
    until("the hub has said so", || !lines.lock().unwrap().is_empty());
    let lines = lines.lock().unwrap().clone();
    assert!(
        lines.len() == 1 && lines[0].starts_with("127.0.0.1:") && lines[0].contains("wrong key"),
        "{lines:?}"
    );
}

#[test]
fn clients_can_stop_the_hub_unless_it_does_not_let_them() {
    let hub = hub(Options { remote_shutdown: false, ..Options::default() });
    let mut client = BaseManager::new(hub.address(), KEY);
    let error = client.shutdown().unwrap_err().to_string();
    assert!(error.contains("PermissionError"), "{error}");
    client.connect().unwrap();

    let server = BaseManager::new("127.0.0.1:0", KEY).get_server().unwrap();
    let mut client = BaseManager::new(server.address().to_string(), KEY);
    let running = thread::spawn(move || server.serve_forever());
    client.connect().unwrap();
    client.shutdown().unwrap();
    running.join().unwrap();
    assert!(matches!(client.connect(), Err(Error::Connect { .. })));
}

#[test]
fn a_proxy_survives_a_restart_of_the_hub() {
    let mut first = hub(Options::default());
    let address = first.address().to_owned();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notify = heard.clone();
    let mut client = BaseManager::new(&address, KEY);
    client.set_retry(Retry {
        notify: Arc::new(move |line| notify.lock().unwrap().push(line.to_owned())),
        ..Retry::default()
    });
    let mut queue = tasks(&client);
    queue.put(1).unwrap();
    first.shutdown().unwrap();

    let waiting = thread::spawn(move || queue.get());
    until("the client has noticed", || !heard.lock().unwrap().is_empty());
    let mut second = BaseManager::new(&address, KEY);
    second.register("get_task_queue", SharedQueue::new(0));
    second.start().unwrap();
    tasks(&second).put("after the restart").unwrap();
    assert_eq!(waiting.join().unwrap().unwrap(), "after the restart".into());
    assert_eq!(heard.lock().unwrap().len(), 2, "one line when it is lost, one when it is back");
}

#[test]
fn a_put_whose_outcome_is_unknown_is_not_repeated() {
    let mut hub = hub(Options::default());
    let mut queue = tasks(&hub);
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    let mut stuck = queue.try_clone().unwrap();
    let putting = thread::spawn(move || stuck.put(3));
    until("it waits", || figure(&hub, "get_task_queue", "waiting_putters") == 1);
    hub.shutdown().unwrap();
    let error = putting.join().unwrap().unwrap_err();
    assert!(matches!(&error, Error::Lost { method, .. } if method == "put"), "{error}");
}

#[test]
fn many_clients_share_a_queue_and_each_item_arrives_once() {
    let hub = hub(Options::default());
    let (putters, each) = (4, 250);
    thread::scope(|scope| {
        for putter in 0..putters {
            let mut queue = tasks(&hub);
            scope.spawn(move || (0..each).for_each(|i| queue.put(putter * each + i).unwrap()));
        }
        let getters: Vec<_> = (0..putters)
            .map(|_| {
                let mut queue = tasks(&hub);
                scope.spawn(move || {
                    (0..each).map(|_| queue.get().unwrap().as_i64().unwrap()).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut all: Vec<i64> = getters.into_iter().flat_map(|getter| getter.join().unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..putters * each).collect::<Vec<_>>());
    });
}

#[test]
fn all_items_of_an_iterator_go_in_in_order() {
    let hub = hub(Options::default());
    let mut queue = tasks(&hub);
    let mut reader = tasks(&hub);
    let count = 2000;
    let reading = thread::spawn(move || (0..count).map(|_| reader.get().unwrap()).collect::<Vec<_>>());
    // The queue holds 2: most of each batch waits.
    assert_eq!(queue.put_all(0..count).unwrap(), count as usize);
    assert_eq!(reading.join().unwrap(), (0..count).map(Value::from).collect::<Vec<_>>());
    assert_eq!(queue.put_all(Vec::<Value>::new()).unwrap(), 0);
}

#[test]
fn the_deepest_path_fits_a_connection_s_small_stack() {
    // A value as deep as arguments are decoded, in the places where they are decoded, printed and freed; and a
    // pickle far deeper than that.
    let hub = hub(Options { data_only: true, ..Options::default() });
    let mut proxy = hub.proxy("get_task_queue", &[]).unwrap();
    let deep = |levels| (0..levels).fold(Value::List(vec![]), |inner, _| Value::List(vec![inner]));
    for levels in [10, 60, 64, 65, 200] {
        let error = proxy.call("get", &[true.into(), deep(levels)]).unwrap_err().to_string();
        assert!(error.starts_with("TypeError: get() needs a number"), "{error}");
        proxy.call("put", &[deep(levels)]).unwrap();
        let got = proxy.call("get", &[]).unwrap();
        assert_eq!(Pickled::from(got), Pickled::from(deep(levels)));
    }
    let mut million = b"\x80\x04".to_vec();
    million.resize(1_000_002, b']');
    million.resize(2_000_001, b'a');
    million.push(b'.');
    let million = Value::Opaque(Pickled::from_pickle(&million).unwrap());
    proxy.call("put", std::slice::from_ref(&million)).unwrap();
    assert_eq!(proxy.call("get", &[]).unwrap(), million);
}
