//! Calls: values, arguments, exceptions, objects of one's own.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use netq::{BaseManager, Error, Options, Pickled, QueueProxy, Retry, SharedQueue, Value};

use crate::{DEADLINE, KEY, Raw, figure, hub, tasks, until};

#[test]
fn an_item_can_be_put_by_the_name_that_either_of_pythons_queues_has_for_it() {
    let hub = hub(Options::default());
    let queue = tasks(&hub);
    queue.proxy().call_with("put", &[], &[("obj", 1.into()), ("block", false.into())]).unwrap();
    queue.proxy().call_with("put_nowait", &[], &[("item", 2.into())]).unwrap();
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (1.into(), 2.into()));
    let both = queue.proxy().call_with("put", &[], &[("obj", 1.into()), ("item", 2.into())]).unwrap_err();
    assert!(both.to_string().contains("unexpected keyword argument 'item'"), "{both}");
}

#[test]
fn every_kind_of_value_comes_back_equal() {
    let hub = hub(Options::default());
    let queue = tasks(&hub);
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
    let queue = tasks(&hub);
    // pickle.dumps(datetime.date(2024, 2, 29), 4)
    let date = b"\x80\x04\x95\x20\0\0\0\0\0\0\0\x8c\x08datetime\x94\x8c\x04date\x94\x93\x94C\x04\x07\xe8\x02\x1d\x94\x85\x94R\x94.";
    let date = Value::Opaque(Pickled::from_pickle(date).unwrap());
    let dict = Value::Dict(vec![("first".into(), date.clone()), ("second".into(), date.clone())]);
    queue.put(date.clone()).unwrap();
    let got = queue.get().unwrap();
    assert_eq!((got.to_string(), &got), ("<datetime.date>".into(), &date));
    queue.put(dict.clone()).unwrap();
    let got = queue.get().unwrap();
    assert_eq!(Pickled::from(got.clone()), Pickled::from(dict));
    #[cfg(feature = "objects")]
    assert_eq!(got.get("first"), Some(&date));
    assert_eq!(queue.put_many(&mut vec![1.into(), date.clone()], None).unwrap(), 2);
    assert_eq!(queue.get_many(9, None).unwrap(), [1.into(), date]);
}

#[test]
fn full_and_empty_are_python_s() {
    let hub = hub(Options::default());
    let queue = tasks(&hub);
    let moment = Duration::from_millis(20);
    assert!(matches!(queue.try_get(), Err(Error::Empty)));
    assert!(matches!(queue.get_timeout(moment), Err(Error::Empty)));
    queue.put(1).unwrap();
    queue.try_put(2).unwrap();
    assert!(matches!(queue.try_put(3), Err(Error::Full)));
    assert!(matches!(queue.put_timeout(3, moment), Err(Error::Full)));
    assert_eq!(queue.put_many(&mut vec![3.into()], Some(moment)).unwrap(), 0);
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
    let proxy = hub.proxy("get_task_queue", &[]).unwrap();
    let error = |method: &str, args: &[Value], kwargs: &[(&str, Value)]| {
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
}

#[test]
fn what_is_not_there_is_a_kind_of_error() {
    let hub = hub(Options::default());
    let proxy = hub.proxy("get_task_queue", ()).unwrap();
    let error = proxy.call("explode", ()).unwrap_err();
    assert!(matches!(&error, Error::NoSuchMethod(what) if what.contains("'explode'")), "{error:?}");
    assert!(error.to_string().contains("its methods are put, get, "), "{error}");
    let error = hub.dispatch("explode").unwrap_err();
    assert!(matches!(&error, Error::NoSuchMethod(what) if what.contains("'explode'")), "{error:?}");
    let error = hub.queue("get_tusk_queue").unwrap_err();
    assert!(matches!(&error, Error::NoSuchObject(what) if what.contains("'get_tusk_queue'")), "{error:?}");
    assert!(error.to_string().contains("this hub serves Queue, get_careful_queue, "), "{error}");
    // One that was made, and is no more since the hub was started again.
    let mut first = with_factory("127.0.0.1:0");
    let mut client = BaseManager::new(first.address(), KEY);
    client.set_retry(Retry::never());
    let made = QueueProxy::new(client.proxy("Queue", ()).unwrap());
    made.put(1).unwrap();
    first.shutdown().unwrap();
    let _second = with_factory(first.address());
    assert!(made.put(2).unwrap_err().is_disconnect());
    let error = made.put(3).unwrap_err();
    assert!(matches!(&error, Error::NoSuchObject(what) if what.contains(&made.proxy().token().ident)));
    assert!(!error.is_disconnect() && !error.is_timeout(), "{error:?}");
}

fn with_factory(address: &str) -> BaseManager {
    let mut hub = BaseManager::new(address, KEY);
    hub.register_factory("Queue", |_| Ok(SharedQueue::new(0)));
    hub.start().unwrap();
    hub
}

#[test]
fn errors_say_whether_the_time_was_over_the_hub_gone_and_the_call_perhaps_carried_out() {
    let kinds = |error: Error| (error.is_timeout(), error.is_disconnect(), error.maybe_carried_out());
    let mut hub = hub(Options::default());
    let mut client = BaseManager::new(hub.address(), KEY);
    client.set_retry(Retry::never());
    let queue = tasks(&client);
    assert_eq!(kinds(queue.try_get().unwrap_err()), (true, false, false));
    let mut impatient = queue.clone();
    impatient.set_timeout(Some(Duration::from_millis(20)));
    queue.put("not done").unwrap();
    assert_eq!(kinds(impatient.join().unwrap_err()), (true, true, true));
    queue.put("full").unwrap();
    assert_eq!(kinds(queue.try_put("fuller").unwrap_err()), (true, false, false));
    thread::scope(|scope| {
        let putting = scope.spawn(|| queue.put("waits"));
        until("it waits", || figure(&hub, "get_task_queue", "waiting_putters") == 1);
        hub.shutdown().unwrap();
        assert_eq!(kinds(putting.join().unwrap().unwrap_err()), (false, true, true));
    });
    assert_eq!(kinds(queue.put("nobody is there").unwrap_err()), (false, true, false));
    let error = client.connect().unwrap_err();
    assert!(error.to_string().ends_with(": is it running?"), "{error}");
    assert_eq!(kinds(error), (false, true, false));
    for address in ["nonsense", "127.0.0.1", ":8001", "127.0.0.1:http", "127.0.0.1:1,nonsense"] {
        let manager = BaseManager::new(address, KEY);
        for error in [manager.connect().unwrap_err(), manager.get_server().unwrap_err()] {
            assert!(error.to_string().contains("is no address: give HOST:PORT"), "{error}");
            assert!(matches!(error, Error::Misuse(_)));
        }
    }
}

#[test]
fn an_object_of_one_s_own_is_called_like_any_other() {
    let hub = hub(Options::default());
    let counter = hub.proxy("get_counter", &[]).unwrap();
    assert_eq!(counter.exposed(), ["increment", "fail", "panic"]);
    assert_eq!(counter.call("increment", &[]).unwrap(), 1.into());
    assert_eq!(counter.call_with("increment", &[], &[("step", 5.into())]).unwrap(), 6.into());
    assert_eq!(counter.call("#GETVALUE", &[]).unwrap(), 6.into());
    assert_eq!(counter.call("__str__", &[]).unwrap(), "<netq object>".into());
    let Err(Error::Raised(raised)) = counter.call("fail", &[]) else { panic!("nothing raised") };
    assert_eq!(raised.to_string(), "decimal.InvalidOperation: ('no', 7)");
}

#[test]
fn a_panic_is_a_traceback_for_the_caller_and_a_line_in_the_log_and_its_connection_goes_on() {
    let (log, lines) = mpsc::channel();
    let log = Mutex::new(log);
    let log = Arc::new(move |line: &netq::LogLine| drop(log.lock().unwrap().send(line.to_string())));
    let hub = hub(Options { log, ..Options::default() });
    let (one, other) = (hub.proxy("get_counter", &[]).unwrap(), hub.proxy("get_counter", &[]).unwrap());
    other.call("increment", &[]).unwrap();
    let mut raw = Raw::new(&hub);
    let reply = raw.call("get_counter".into(), "panic", vec![]);
    assert!(reply.starts_with("('#TRACEBACK', 'panic in the hub") && reply.contains("as this test wants"));
    assert!(lines.recv_timeout(DEADLINE).unwrap().contains("as this test wants"));
    assert_eq!(raw.call("get_counter".into(), "increment", vec![]), "('#RETURN', 2)");
    assert!(matches!(one.call("panic", &[]), Err(Error::RemoteTraceback(_))));
    assert_eq!(other.call("increment", &[]).unwrap(), 3.into());
    assert_eq!(one.call("increment", &[]).unwrap(), 4.into());
}

#[test]
fn a_factory_that_panics_tells_its_caller_so() {
    let mut hub = BaseManager::new("127.0.0.1:0", KEY);
    hub.register_factory("Broken", |_| -> Result<Arc<SharedQueue>, _> {
        panic!("a factory panics, as this test wants")
    });
    hub.start().unwrap();
    let Err(Error::RemoteTraceback(text)) = hub.proxy("Broken", &[]) else { panic!("no traceback") };
    assert!(text.contains("a factory panics, as this test wants"), "{text}");
}

#[test]
fn a_factory_makes_a_queue_for_each_client_and_drops_it_after_the_last() {
    let hub = hub(Options::default());
    let first = QueueProxy::new(hub.proxy("Queue", &[1.into()]).unwrap());
    let second = QueueProxy::new(hub.proxy("Queue", &[1.into()]).unwrap());
    first.put("mine").unwrap();
    assert!(second.is_empty().unwrap());
    let clone = first.clone();
    assert_eq!(hub.dispatch("number_of_objects").unwrap(), 2.into());
    drop(first);
    assert_eq!(clone.get().unwrap(), "mine".into());
    drop(clone);
    drop(second);
    assert_eq!(hub.dispatch("number_of_objects").unwrap(), 0.into());
}

#[test]
fn each_proxy_of_an_object_has_an_ident_of_its_own_and_all_are_the_one_object() {
    let hub = hub(Options::default());
    let mut proxies: Vec<_> = (0..3).map(|_| hub.proxy("get_counter", &[]).unwrap()).collect();
    let idents: Vec<&str> = proxies.iter().map(|proxy| proxy.token().ident.as_str()).collect();
    assert_eq!(idents, ["get_counter", "get_counter#2", "get_counter#3"]);
    let mut raw = Raw::new(&hub);
    // The number may be from before a restart.
    for (count, ident) in ["get_counter#3", "get_counter", "get_counter#700"].into_iter().enumerate() {
        let answer = raw.call(ident.into(), "increment", vec![]);
        assert_eq!(answer, format!("('#RETURN', {})", count + 1));
    }
    assert_eq!(
        (figure(&hub, "get_counter", "connections"), figure(&hub, "get_counter", "references")),
        (1, 3)
    );
    for unknown in ["get_counter#", "get_counter#x", "get_counter#2#2", "#2", "nothing#2"] {
        let answer = raw.call(unknown.into(), "increment", vec![]);
        assert!(answer.starts_with("('#TRACEBACK', 'KeyError"), "{unknown}: {answer}");
    }
    proxies.remove(1);
    assert_eq!(figure(&hub, "get_counter", "references"), 2);
    // Of a made object there is one ident.
    let queue = hub.proxy("Queue", &[]).unwrap();
    let answer = raw.call(format!("{}#2", queue.token().ident).into(), "qsize", vec![]);
    assert!(answer.starts_with("('#TRACEBACK'"), "{answer}");
}

#[test]
fn threads_share_a_proxy_or_have_clones_and_none_waits_for_another() {
    let hub = hub(Options::default());
    let shared = tasks(&hub);
    let clone = shared.clone();
    thread::scope(|scope| {
        let getters = [&shared, &shared, &clone].map(|queue| scope.spawn(|| queue.get().unwrap()));
        until("all of them wait", || figure(&hub, "get_task_queue", "waiting_getters") == 3);
        (0..3).for_each(|number| shared.put(number).unwrap());
        let mut got = getters.map(|getter| getter.join().unwrap().as_i64());
        got.sort_unstable();
        assert_eq!(got, [Some(0), Some(1), Some(2)]);
    });
}

#[test]
fn what_a_clone_has_comes_back_when_it_is_dropped_and_no_sooner() {
    let hub = hub(Options::default());
    let queue = hub.queue("get_careful_queue").unwrap();
    let clone = queue.clone();
    queue.put("job").unwrap();
    assert_eq!(clone.get().unwrap(), "job".into());
    assert_eq!(figure(&hub, "get_careful_queue", "out"), 1);
    drop(clone);
    until("it is back", || queue.qsize().unwrap() == 1);
    queue.get().unwrap();
    queue.task_done().unwrap();
}

#[test]
fn put_many_takes_its_items_by_name_too() {
    let hub = hub(Options::default());
    let queue = hub.queue("get_careful_queue").unwrap();
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
fn all_items_of_an_iterator_go_in_in_order() {
    let hub = hub(Options::default());
    let queue = tasks(&hub);
    let reader = tasks(&hub);
    let count = 2000;
    let reading = thread::spawn(move || (0..count).map(|_| reader.get().unwrap()).collect::<Vec<_>>());
    // The queue holds 2: most of each batch waits.
    assert_eq!(queue.put_all(0..count).unwrap(), count as usize);
    assert_eq!(reading.join().unwrap(), (0..count).map(Value::from).collect::<Vec<_>>());
    assert_eq!(queue.put_all(Vec::<Value>::new()).unwrap(), 0);
}

#[test]
fn what_could_not_be_put_is_given_back() {
    let hub = hub(Options::default());
    let queue = tasks(&hub);
    let item = Value::from("kept by its owner");
    queue.put(&item).unwrap();
    queue.put_timeout(&item, DEADLINE).unwrap();
    assert!(matches!(queue.try_put(&item), Err(Error::Full)));
    assert_eq!([queue.get().unwrap(), queue.get().unwrap()], [item.clone(), item]);

    // The queue holds 2, and is shut down while the third waits.
    let mut items = 0..1000;
    let (stopped, some) = thread::scope(|scope| {
        let putting = scope.spawn(|| queue.put_all(&mut items).unwrap_err());
        let several = scope.spawn(|| {
            until("the other waits", || figure(&hub, "get_task_queue", "waiting_putters") == 1);
            let mut some = vec!["a".into(), "b".into()];
            assert!(matches!(queue.put_many(&mut some, None), Err(Error::ShutDown)));
            some
        });
        until("both wait", || figure(&hub, "get_task_queue", "waiting_putters") == 2);
        queue.shutdown(false).unwrap();
        (putting.join().unwrap(), several.join().unwrap())
    });
    assert_eq!(some, ["a".into(), "b".into()]);
    assert!(matches!(stopped.error, Error::ShutDown));
    assert_eq!(stopped.put, 2);
    let rest: Vec<_> = stopped.rest.into_iter().chain(items.map(Value::from)).collect();
    assert_eq!(rest, (2..1000).map(Value::from).collect::<Vec<_>>());
}

#[test]
fn arguments_are_tuples_arrays_slices_and_vecs_and_keywords() {
    let hub = hub(Options::default());
    let counter = hub.proxy("get_counter", ()).unwrap();
    let args = vec![Value::from(1)];
    assert_eq!(counter.call("increment", ()).unwrap(), 1.into());
    assert_eq!(counter.call("increment", (1,)).unwrap(), 2.into());
    assert_eq!(counter.call("increment", [1.into()]).unwrap(), 3.into());
    assert_eq!(counter.call("increment", &[1.into()]).unwrap(), 4.into());
    assert_eq!(counter.call("increment", &args).unwrap(), 5.into());
    assert_eq!(counter.call("increment", &args[..]).unwrap(), 6.into());
    assert_eq!(counter.call("increment", args).unwrap(), 7.into());
    let error = counter.call("increment", (1, "two", 3.0)).unwrap_err().to_string();
    assert!(error.contains("at most 1 positional arguments but 3"), "{error}");
    let made = QueueProxy::new(hub.proxy_with("Queue", (), &[("maxsize", 1.into())]).unwrap());
    made.put("one").unwrap();
    assert!(made.is_full().unwrap());
    let error = hub.proxy_with("Queue", (1,), &[("maxsize", 1.into())]).unwrap_err().to_string();
    assert!(error.contains("multiple values for argument 'maxsize'"), "{error}");
    let error = hub.proxy_with("get_task_queue", (), &[("maxsize", 1.into())]).unwrap_err().to_string();
    assert!(error.contains("unexpected keyword argument 'maxsize'"), "{error}");
    assert!(matches!(counter.call_for_proxy("increment", ()), Err(Error::Misuse(_))));
}
