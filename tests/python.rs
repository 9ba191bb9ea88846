//! netq and real Pythons, which use nothing but `multiprocessing.managers`: each as the other's server and client.
//!
//! The Python programs are in `tests/python`. Every interpreter that [`pythons::all`] finds is used; without any,
//! these tests say so and pass. CPython's own manager server, `server.py`, tells what the programs should expect.

#[path = "common/hub.rs"]
mod hub;
#[path = "common/pythons.rs"]
mod pythons;
#[path = "common/redis.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod server;
#[path = "common/stores.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod stores;

use std::thread;
use std::time::{Duration, Instant};

use netq::auth::AuthError;
use netq::connection::HandshakeError;
use netq::pickle::{BigInt, Pickled};
use netq::{BaseManager, Error, Methods, QueueProxy, SharedQueue, Value};

use pythons::{Program, Python};

const KEY: &str = "a key of these tests";
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test with all interpreters at once.
fn with_each(test: impl Fn(&Python) + Sync) {
    thread::scope(|scope| {
        for python in pythons::all() {
            scope.spawn(|| test(python));
        }
    });
}

/// Runs a program with all interpreters at once, each with a hub of its own.
fn run_on_hubs(script: &str, options: &[&str]) {
    with_each(|python| {
        let hub = hub::start(KEY.as_bytes());
        python.run(script, &[&[hub.address(), KEY, "--netq"], options].concat());
    });
}

/// Words in the names of tests that say nothing of where a netq hub keeps its queues: other objects, the texts of
/// items, and CPython's own server.
#[cfg(any(feature = "journal", feature = "redis"))]
const ABOUT_NO_STORE: &[&str] =
    &["s_server", "s_own_server", "s_queue", "literals", "are_equal", "well_known_classes", "on_a_dict"];

#[cfg(feature = "journal")]
#[test]
fn again_with_the_queues_in_a_journal() {
    stores::again_on_a_journal("python", ABOUT_NO_STORE);
}

#[cfg(feature = "redis")]
#[test]
fn again_with_the_queues_in_redis() {
    stores::again_on_redis(ABOUT_NO_STORE);
}

/// Starts CPython's own manager server.
fn cpython_hub(python: &Python) -> (Program, String) {
    let mut server = python.start("server.py", &[KEY]);
    let address = server.line();
    (server, address)
}

// ---- Python clients, and netq as their server ----

#[test]
fn every_kind_of_object_comes_back_as_it_was() {
    run_on_hubs("equality.py", &[]);
}

#[test]
fn pickles_in_the_format_of_python_3_14_make_no_difference() {
    with_each(|python| {
        if python.version >= (3, 8, 0) {
            for script in ["equality.py", "errors.py", "factories.py", "counter.py"] {
                let hub = hub::start(KEY.as_bytes());
                python.run(script, &[hub.address(), KEY, "--netq", "--protocol=5"]);
            }
        }
    });
}

#[test]
fn random_graphs_of_objects_are_what_they_are_after_cpython_s_queue() {
    run_on_hubs("shapes.py", &[]);
}

#[test]
fn objects_pass_from_each_python_to_another() {
    let pythons = pythons::all();
    thread::scope(|scope| {
        for (sender, receiver) in pythons.iter().zip(pythons.iter().cycle().skip(1)) {
            scope.spawn(|| {
                let hub = hub::start(KEY.as_bytes());
                let receiver = receiver.start("objects_get.py", &[hub.address(), KEY]);
                sender.run("objects_put.py", &[hub.address(), KEY]);
                receiver.finish();
            });
        }
    });
}

#[test]
fn errors_are_python_s() {
    run_on_hubs("errors.py", &[]);
}

#[test]
fn factories_make_new_queues_that_last_as_long_as_their_proxies() {
    run_on_hubs("factories.py", &[]);
}

#[cfg(feature = "objects")]
#[test]
fn random_operations_on_a_dict_are_what_they_are_in_python() {
    run_on_hubs("dicts.py", &["11", "12", "13", "14"]);
}

#[test]
fn an_object_written_in_rust_has_methods_in_python() {
    run_on_hubs("counter.py", &[]);
}

// ---- Python and Rust programs together ----

#[cfg(feature = "objects")]
#[test]
fn objects_are_equal_and_are_one_key_where_python_says_so() {
    use netq::pickle::{CompareError, Key};

    fn parts(value: Value) -> Vec<Value> {
        Pickled::from(value).elements().unwrap().iter().map(Pickled::decode).collect()
    }

    with_each(|python| {
        let hub = hub::start(KEY.as_bytes());
        let program = python.start("equal.py", &[hub.address(), KEY]);
        let (tasks, results) = (hub.queue("get_task_queue").unwrap(), hub.queue("get_result_queue").unwrap());
        let answer = |pair: Value| {
            let [a, b]: [Value; 2] = parts(pair).try_into().unwrap();
            let keys = match (Key::new(&a), Key::new(&b)) {
                (Ok(a), Ok(b)) => Value::from(a == b),
                (Err(CompareError::Opaque(_)), _) | (_, Err(CompareError::Opaque(_))) => "opaque".into(),
                _ => "unhashable".into(),
            };
            Value::from((a.equals(&b).map_or("opaque".into(), Value::from), keys))
        };
        let answers = parts(tasks.get().unwrap()).into_iter().map(answer).collect();
        results.put(Value::List(answers)).unwrap();
        program.finish();
    });
}

#[test]
fn literals_are_read_as_python_reads_them() {
    with_each(|python| {
        if python.version < (3, 10, 0) {
            return;
        }
        let hub = hub::start(KEY.as_bytes());
        let program = python.start("literals.py", &[hub.address(), KEY]);
        let (tasks, results) = (hub.queue("get_task_queue").unwrap(), hub.queue("get_result_queue").unwrap());
        let texts = Vec::<Value>::try_from(tasks.get().unwrap()).unwrap();
        let read = |text: &Value| match Value::from_literal(text.as_str().unwrap()) {
            Ok(value) => Value::from(("read", value)),
            Err(error) => Value::from(("refused", error.to_string())),
        };
        results.put(Value::List(texts.iter().map(read).collect())).unwrap();
        program.finish();
    });
}

#[test]
fn python_and_rust_workers_share_a_python_master_s_crawl() {
    let pythons = pythons::all();
    thread::scope(|scope| {
        for (first, second) in pythons.iter().zip(pythons.iter().cycle().skip(1)) {
            scope.spawn(|| {
                let hub = hub::start(KEY.as_bytes());
                crawl(hub.address(), first, &[first, second]);
            });
        }
    });
}

#[test]
fn so_they_do_on_cpython_s_own_server() {
    if let Some(python) = pythons::all().last() {
        let (_server, address) = cpython_hub(python);
        crawl(&address, python, &[python]);
    }
}

/// A master, a worker under each of the Pythons and two in Rust. The master checks that each task was answered
/// once, and by its end each worker has taken a task, which tells it to stop, and answered it.
fn crawl(address: &str, master: &Python, workers: &[&Python]) {
    const RUST: usize = 2;
    let workers: Vec<_> = workers.iter().map(|python| python.start("worker.py", &[address, KEY])).collect();
    let count = (workers.len() + RUST).to_string();
    let master = master.start("master.py", &[address, KEY, "100", &count]);
    thread::scope(|scope| {
        for _ in 0..RUST {
            scope.spawn(|| work(address).unwrap());
        }
    });
    workers.into_iter().for_each(|worker| drop(worker.finish()));
    master.finish();
}

/// `worker.py` in Rust.
fn work(address: &str) -> Result<(), Error> {
    let manager = BaseManager::new(address, KEY.as_bytes());
    let tasks = manager.queue("get_task_queue")?;
    let results = manager.queue("get_result_queue")?;
    loop {
        match tasks.get_timeout(PATIENCE)? {
            Value::None => return results.put("stopped"),
            Value::Tuple(task) => {
                let [number, Value::Str(url)] = &task[..] else { panic!("not a task: {task:?}") };
                results.put((number.clone(), url.len(), "Rust"))?;
            }
            other => panic!("not a task: {other}"),
        }
    }
}

#[test]
fn a_rust_program_passes_on_what_it_reads_and_what_it_cannot_read() {
    let pythons = pythons::all();
    thread::scope(|scope| {
        for (sender, receiver) in pythons.iter().zip(pythons.iter().cycle().skip(1)) {
            scope.spawn(|| {
                let hub = hub::start(KEY.as_bytes());
                let receiver = receiver.start("objects_get.py", &[hub.address(), KEY, "--results"]);
                sender.run("objects_put.py", &[hub.address(), KEY]);
                let tasks = hub.queue("get_task_queue").unwrap();
                let results = hub.queue("get_result_queue").unwrap();
                let (mut read, mut unread) = (0, 0);
                loop {
                    let name = tasks.try_get().unwrap();
                    results.put(name.clone()).unwrap();
                    if name.is_none() {
                        break;
                    }
                    let item = tasks.try_get().unwrap();
                    if matches!(item, Value::Opaque(_)) {
                        unread += 1
                    } else {
                        read += 1
                    }
                    results.put(item).unwrap();
                }
                assert!(read > 60 && unread > 30, "read {read}, passed on {unread}");
                receiver.finish();
            });
        }
    });
}

#[cfg(feature = "objects")]
#[test]
fn objects_of_well_known_classes_have_the_text_that_python_gives_them() {
    with_each(|python| {
        let hub = hub::start(KEY.as_bytes());
        python.run("texts.py", &[hub.address(), KEY]);
        let tasks = hub.queue("get_task_queue").unwrap();
        let mut count = 0;
        loop {
            let text = match tasks.try_get().unwrap() {
                Value::None => break,
                Value::Str(text) => Some(text.into_bytes()),
                Value::Bytes(data) => Some(data),
                Value::Opaque(object) => {
                    let text = || object.to_text().map(String::into_bytes);
                    object.text_bytes().or_else(|| object.bytearray()).or_else(text)
                }
                other => panic!("{other}"),
            };
            let expected = String::try_from(tasks.try_get().unwrap()).unwrap();
            let expected: Vec<u8> = expected.chars().map(|c| u8::try_from(c).unwrap()).collect();
            let what = tasks.try_get().unwrap();
            assert_eq!(text.as_deref(), Some(&expected[..]), "{} {what}", expected.escape_ascii());
            count += 1;
        }
        assert!(count > 3000, "{count}");
    });
}

#[test]
fn closures_are_functions_and_methods_to_cpython_s_clients() {
    with_each(|python| {
        let mut hub = BaseManager::new("127.0.0.1:0", KEY.as_bytes());
        let add = Methods::function(|call| {
            let ([a, b], []) = call.parameters(["a", "b"], [])?;
            Ok((call.get::<i64>(a)? + call.get::<i64>(b)?).into())
        });
        hub.register("add", add);
        let methods = [("image", 5), ("page", 20)];
        let with = |methods: Methods, (kind, rate)| {
            methods.with(format!("{kind}_rate"), move |_| Ok(i64::into(rate)))
        };
        hub.register("limits", methods.into_iter().fold(Methods::new(), with));
        hub.start().unwrap();
        python.run("closures.py", &[hub.address(), KEY]);
    });
}

#[test]
fn workers_that_are_killed_while_they_wait_take_no_item_with_them() {
    with_each(|python| {
        let queue = SharedQueue::new(0);
        let mut hub = BaseManager::new("127.0.0.1:0", KEY.as_bytes());
        hub.register("get_task_queue", queue.clone());
        hub.start().unwrap();
        let killed: Vec<_> = (0..2).map(|_| python.start("getter.py", &[hub.address(), KEY])).collect();
        let deadline = Instant::now() + PATIENCE;
        while queue.queue().stats().waiting_getters < 2 {
            assert!(Instant::now() < deadline, "both workers should wait");
            thread::sleep(Duration::from_millis(2));
        }
        drop(killed);
        // Nobody waits for the hub to notice: what is put now is put for the workers to come.
        let tasks = hub.queue("get_task_queue").unwrap();
        for number in 0..2 {
            tasks.put(number).unwrap();
        }
        let workers: Vec<_> = (0..2).map(|_| python.start("getter.py", &[hub.address(), KEY])).collect();
        let mut got: Vec<_> = workers.into_iter().map(Program::finish).collect();
        got.sort();
        assert_eq!(got, ["ok: got 0", "ok: got 1"]);
        assert!(tasks.is_empty().unwrap());
    });
}

// ---- netq's client, and Python as its server ----

#[test]
fn the_programs_hold_on_cpython_s_own_server() {
    if let Some(python) = pythons::all().last() {
        for script in ["equality.py", "shapes.py", "errors.py", "factories.py", "counter.py", "dicts.py"] {
            let (_server, address) = cpython_hub(python);
            python.run(script, &[&address, KEY]);
        }
    }
}

#[test]
fn values_pass_through_cpython_s_queue() {
    with_each(|python| {
        let (_server, address) = cpython_hub(python);
        let queue = BaseManager::new(address, KEY.as_bytes()).queue("get_task_queue").unwrap();
        for value in values() {
            queue.put(value.clone()).unwrap();
            assert_eq!(queue.get().unwrap(), value);
        }
        // CPython's queue has no `put_many`: these are pipelined.
        assert_eq!(queue.put_all((0..1000).map(|number| (number, "item"))).unwrap(), 1000);
        for number in 0..1000 {
            assert_eq!(queue.get().unwrap(), (number, "item").into());
        }
        assert!(queue.is_empty().unwrap());
        queue.put(-0.0).unwrap();
        assert!(matches!(queue.get().unwrap(), Value::Float(zero) if zero == 0.0 && zero.is_sign_negative()));
        queue.put(f64::NAN).unwrap();
        assert!(matches!(queue.get().unwrap(), Value::Float(number) if number.is_nan()));
        let decimal = Pickled::from_pickle(b"cdecimal\nDecimal\nX\x04\0\0\x003.14\x85R.").unwrap();
        queue.put(decimal).unwrap();
        match queue.get().unwrap() {
            Value::Opaque(decimal) => assert_eq!(decimal.type_name(), "decimal.Decimal"),
            other => panic!("{other:?}"),
        }
    });
}

/// One of each kind, and those at which the encoding changes.
fn values() -> Vec<Value> {
    let power = BigInt::from(1_u128 << 100);
    let mut values: Vec<Value> = vec![
        ().into(),
        true.into(),
        false.into(),
        i64::MAX.into(),
        i64::MIN.into(),
        u64::MAX.into(),
        power.into(),
        Value::from(-(1_i128 << 100)),
        0.1.into(),
        f64::NEG_INFINITY.into(),
        "".into(),
        "caf\u{e9} \u{1f980} \0".into(),
        Value::Bytes(vec![]),
        Value::List(vec![]),
        Value::Tuple(vec![]),
        Value::Dict(vec![]),
        Value::Set(vec![]),
        Value::FrozenSet(vec![]),
        Value::Set(vec![1.into()]),
        Value::FrozenSet(vec!["a".into()]),
        Value::Dict(vec![("b".into(), Value::List(vec![1.into()])), ((1, "a").into(), ().into())]),
        Value::List(vec![Value::List(vec![Value::List(vec![])])]),
        Value::List((0..3000).map(Value::from).collect()),
        (1,).into(),
        (1, "two").into(),
        (1, "two", 3.0).into(),
        (1, "two", 3.0, ()).into(),
        "put".into(),
        "get_task_queue".into(),
    ];
    for shift in [7, 8, 15, 16, 31, 32] {
        let number = 1_i64 << shift;
        values.extend([number - 1, number, -number, -number - 1].map(Value::from));
    }
    for length in [255, 256, 16_300, 16_384, 65_536, 300_000] {
        values.push(Value::Bytes(vec![b'x'; length]));
        values.push("\u{e9}".repeat(length / 2).into());
    }
    values
}

#[test]
fn errors_of_cpython_s_queue_are_errors_in_rust() {
    with_each(|python| {
        let (_server, address) = cpython_hub(python);
        let manager = BaseManager::new(address, KEY.as_bytes());
        let small = manager.queue("get_small_queue").unwrap();
        assert!(matches!(small.try_get(), Err(Error::Empty)));
        assert!(matches!(small.get_timeout(Duration::from_millis(10)), Err(Error::Empty)));
        small.put_timeout("the only item", PATIENCE).unwrap();
        assert!(matches!(small.try_put("one more"), Err(Error::Full)));
        assert!(matches!(small.put_timeout("one more", Duration::from_millis(10)), Err(Error::Full)));
        assert_eq!((small.qsize().unwrap(), small.is_full().unwrap()), (1, true));
        small.task_done().unwrap();
        small.join().unwrap();
        let raised = |result: Result<Value, Error>| match result {
            Err(Error::Raised(exception)) => exception.to_string(),
            other => panic!("{other:?}"),
        };
        let too_many = small.task_done().map(|()| Value::None);
        assert_eq!(raised(too_many), "ValueError: task_done() called too many times");
        let negative = small.proxy().call_with("put", &[1.into()], &[("timeout", (-1).into())]);
        assert_eq!(raised(negative), "ValueError: 'timeout' must be a non-negative number");
        assert!(raised(small.proxy().call("put", &[])).starts_with("TypeError: "));
        let nope = small.proxy().call("nope", ());
        assert!(matches!(&nope, Err(Error::NoSuchMethod(what)) if what.contains("'nope'")), "{nope:?}");
        assert!(matches!(small.take(), Err(Error::Unsupported { method }) if method == "lend"));
        let nothing = manager.queue("get_nothing");
        assert!(matches!(&nothing, Err(Error::NoSuchObject(what)) if what.contains("'get_nothing'")));
        assert!(
            matches!(manager.dispatch("stat"), Err(Error::NoSuchMethod(what)) if what.contains("'stat'"))
        );
        let wrong = manager.proxy_with("Queue", (), &[("size", 1.into())]);
        assert!(
            matches!(&wrong, Err(Error::RemoteTraceback(text)) if text.contains("TypeError: ")),
            "{wrong:?}"
        );
        assert_eq!(small.get().unwrap(), "the only item".into(), "the connection has outlived these");
        // It has no methods for batches.
        let mut items = vec!["first".into(), "second".into(), "third".into()];
        assert_eq!(small.put_many(&mut items, Some(Duration::from_millis(10))).unwrap(), 1);
        assert_eq!(items, ["second".into(), "third".into()]);
        assert_eq!(small.get_many(9, None).unwrap(), ["first".into()]);
        assert!(matches!(small.get_many(9, Some(Duration::from_millis(10))), Err(Error::Empty)));
        let large = manager.queue("get_task_queue").unwrap();
        assert_eq!(large.put_many(&mut items, None).unwrap(), 2);
        assert!(items.is_empty());
        assert_eq!(large.get_many(9, None).unwrap(), ["second".into(), "third".into()]);
        if python.version >= (3, 13, 0) {
            small.shutdown(false).unwrap();
            assert!(matches!(small.get(), Err(Error::ShutDown)));
            assert!(matches!(small.put(1), Err(Error::ShutDown)));
            let stopped = small.put_all(1..=1000).unwrap_err();
            assert!(matches!(stopped.error, Error::ShutDown));
            assert_eq!(stopped.put, 0);
            // As many were sent as fit before the first reply came.
            assert_eq!(stopped.rest, (1..=stopped.rest.len()).map(Value::from).collect::<Vec<_>>());
        }
    });
}

#[test]
fn objects_of_cpython_s_server_are_called_made_and_given_back() {
    with_each(|python| {
        let (server, address) = cpython_hub(python);
        let manager = BaseManager::new(address, KEY.as_bytes());
        manager.connect().unwrap();
        let counter = manager.proxy("get_counter", &[]).unwrap();
        assert_eq!(counter.call("add", &[]).unwrap(), 1.into());
        assert_eq!(counter.call_with("add", &[2.into()], &[("times", 3.into())]).unwrap(), 7.into());
        let echo = counter.call_with("echo", &["option".into()], &[("option", "echo".into())]);
        assert_eq!(echo.unwrap(), ("option", "echo").into());
        let lock = counter.call("lock", ());
        assert!(matches!(&lock, Err(Error::Unpicklable(text)) if text.contains("pickle")), "{lock:?}");
        assert!(lock.unwrap_err().to_string().lines().count() == 1);
        let error = counter.call("fail", &["as asked".into()]).unwrap_err();
        assert!(matches!(&error, Error::Raised(e) if e.to_string() == "RuntimeError: as asked"), "{error:?}");
        let spare = counter.call_for_proxy("spare", &[]).unwrap();
        assert_eq!(spare.call("add", &[5.into()]).unwrap(), 5.into());
        let other = counter.call_for_proxy_with("spare", (), &[("total", 40.into())]).unwrap();
        assert_eq!(other.call("add", (2,)).unwrap(), 42.into());
        drop(other);
        assert!(
            matches!(counter.call("spare", ()), Err(Error::Misuse(what)) if what.contains("call_for_proxy"))
        );
        assert!(matches!(counter.call_for_proxy("value", ()), Err(Error::Misuse(_))));
        assert_eq!(counter.call("value", &[]).unwrap(), 7.into());

        let count = || manager.dispatch("number_of_objects").unwrap();
        assert_eq!(count(), 2.into(), "the counter and its spare");
        let queue = QueueProxy::new(manager.proxy_with("Queue", (), &[("maxsize", 2.into())]).unwrap());
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        assert!(matches!(queue.try_put(3), Err(Error::Full)));
        let clone = queue.clone();
        drop(queue);
        assert_eq!(thread::spawn(move || clone.get().unwrap()).join().unwrap(), 1.into());
        assert_eq!(count(), 2.into(), "the queue is gone with the second of its proxies");
        let information = manager.dispatch("debug_info").unwrap();
        assert!(information.as_str().unwrap().contains(&counter.token().ident), "{information}");

        manager.shutdown_remote().unwrap();
        server.finish();
    });
}

#[test]
fn a_wrong_key_is_refused_by_cpython_s_server() {
    with_each(|python| {
        let (_server, address) = cpython_hub(python);
        let error = BaseManager::new(address, b"not the key").connect().unwrap_err();
        let rejected =
            matches!(&error, Error::Handshake { source: HandshakeError::Auth(AuthError::Rejected), .. });
        assert!(rejected, "{error:?}");
    });
}
