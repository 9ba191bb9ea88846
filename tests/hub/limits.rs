//! Limits: of messages, memory, payloads and stacks.

use std::time::Duration;

use netq::{BaseManager, Error, Options, Pickled, QueueOptions, Redelivery, SharedQueue, Value};

use crate::{KEY, figure, hub, tasks};

#[test]
fn one_get_many_takes_so_many_items_and_bytes_and_no_more() {
    let hub = hub(Options::default());
    let queue = hub.queue("get_careful_queue").unwrap();
    queue.put_all(0..1928).unwrap();
    assert_eq!(queue.get_many(usize::MAX >> 1, None).unwrap().len(), 1024);
    assert_eq!(queue.get_many(1928, None).unwrap().len(), 904);
    let lengths = [400_000, 400_000, 400_000, 3_000_000, 10];
    queue.put_all(lengths.map(|length| "x".repeat(length))).unwrap();
    let got = [(); 4].map(|()| queue.get_many(10, None).unwrap().len());
    assert_eq!(got, [2, 1, 1, 1]);
}

#[test]
fn a_message_over_the_limit_is_an_error_and_the_connection_goes_on() {
    let hub = hub(Options { max_message: 100_000, ..Options::default() });
    let queue = tasks(&hub);
    let error = queue.put("x".repeat(3_000_000)).unwrap_err().to_string();
    assert!(error.starts_with("ValueError") && error.contains("100000 bytes"), "{error}");
    queue.put("small").unwrap();
    assert_eq!(queue.get().unwrap(), "small".into());
    assert_eq!(figure(&hub, "get_task_queue", "connections"), 1);
}

#[test]
fn data_only_refuses_objects_that_are_made_by_code() {
    let hub = hub(Options { data_only: true, ..Options::default() });
    let queue = tasks(&hub);
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
    let queue = tasks(&hub);
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
    let queue = tasks(&hub);
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
fn the_deepest_path_fits_a_connection_s_small_stack() {
    // A value as deep as arguments are decoded, in the places where they are decoded, printed and freed; and a
    // pickle far deeper than that.
    let hub = hub(Options { data_only: true, ..Options::default() });
    let proxy = hub.proxy("get_task_queue", &[]).unwrap();
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
