//! Items that clients take on loan, and what is said of items over a connection that is not theirs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use netq::{BaseManager, Error, Options, Pickled, QueueProxy, SharedQueue, Value};

use crate::relay::Relay;
use crate::{KEY, figure, hub, tasks, until};

/// A hub with nothing but this queue, at that address.
fn plain(address: &str) -> BaseManager {
    let mut hub = BaseManager::new(address, KEY);
    hub.register("get_task_queue", SharedQueue::new(0));
    hub.start().unwrap();
    hub
}

#[test]
fn what_is_dropped_comes_back_to_its_place_and_what_is_done_does_not() {
    let hub = hub(Options::default());
    let queue = tasks(&hub);
    queue.put("first").unwrap();
    queue.put("second").unwrap();
    let early = |queue: &QueueProxy| -> Result<(), Error> {
        let item = queue.take()?;
        String::try_from(item.clone()).map(drop).unwrap();
        Err(Error::Empty)
    };
    early(&queue).unwrap_err();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _item = queue.take().unwrap();
        panic!("a worker panics, as this test wants");
    }));
    assert!(panicked.is_err());
    drop(queue.take().unwrap());
    assert_eq!(queue.qsize().unwrap(), 2);

    let first = queue.take().unwrap();
    assert_eq!(first.as_str(), Some("first"));
    first.done().unwrap();
    assert_eq!(queue.take().unwrap().as_str(), Some("second"));
    assert!(queue.take().unwrap().give_back().unwrap());
    queue.take_timeout(Duration::from_secs(9)).unwrap().done().unwrap();
    queue.join().unwrap();
    assert!(matches!(queue.try_take(), Err(Error::Empty)));
    assert!(matches!(queue.take_timeout(Duration::from_millis(5)), Err(Error::Empty)));
}

#[test]
fn several_items_are_taken_ahead_and_reported_in_any_order_and_by_any_thread() {
    let hub = hub(Options::default());
    let queue = hub.queue("get_careful_queue").unwrap();
    let date = b"\x80\x04\x95\x20\0\0\0\0\0\0\0\x8c\x08datetime\x94\x8c\x04date\x94\x93\x94C\x04\x07\xe8\x02\x1d\x94\x85\x94R\x94.";
    let date = Value::Opaque(Pickled::from_pickle(date).unwrap());
    queue.put_all([0.into(), 1.into(), date.clone(), 3.into()]).unwrap();
    let mut loans = queue.take_many(3, None).unwrap();
    assert_eq!(loans.iter().map(|loan| (**loan).clone()).collect::<Vec<_>>(), [0.into(), 1.into(), date]);
    let last = loans.pop().unwrap();
    thread::scope(|scope| scope.spawn(|| last.done().unwrap()).join().unwrap());
    assert!(loans.pop().unwrap().fail(None).unwrap());
    assert!(loans[0].touch().unwrap());
    drop(loans);
    let rest = queue.take_many(9, None).unwrap();
    assert_eq!(rest.iter().map(|loan| loan.as_i64().unwrap()).collect::<Vec<_>>(), [0, 1, 3]);
    rest.into_iter().for_each(|loan| loan.done().unwrap());
    queue.join().unwrap();
}

#[test]
fn an_item_that_fails_too_often_goes_to_the_dead_letters() {
    let hub = hub(Options::default());
    let queue = hub.queue("get_careful_queue").unwrap();
    queue.put("poison").unwrap();
    for _ in 0..3 {
        assert!(queue.take().unwrap().fail(None).unwrap());
    }
    assert_eq!(hub.queue("get_careful_queue_dead").unwrap().get().unwrap(), "poison".into());
    queue.put("rests").unwrap();
    queue.take().unwrap().fail(Some(Duration::from_secs(3600))).unwrap();
    assert!(matches!(queue.try_take(), Err(Error::Empty)));
    assert_eq!(figure(&hub, "get_careful_queue", "resting"), 1);
}

#[test]
fn the_deliveries_of_a_queue_end_when_it_is_shut_down() {
    let hub = plain("127.0.0.1:0");
    let queue = tasks(&hub);
    queue.put_all(0..3).unwrap();
    let worker = queue.clone();
    let working = thread::spawn(move || {
        let done = worker.deliveries().map(|item| {
            let item = item.unwrap();
            let number = item.as_i64().unwrap();
            item.done().unwrap();
            number
        });
        done.collect::<Vec<_>>()
    });
    queue.join().unwrap();
    queue.shutdown(false).unwrap();
    assert_eq!(working.join().unwrap(), [0, 1, 2]);
    assert!(queue.next().unwrap().is_none());
}

#[test]
fn a_loan_of_a_hub_that_was_restarted_is_stale_and_says_nothing_about_the_new_one_s_items() {
    let mut first = plain("127.0.0.1:0");
    let address = first.address().to_owned();
    let client = BaseManager::new(&address, KEY);
    let (queue, by_count) = (tasks(&client), tasks(&client));
    queue.put_all(["a", "b", "c"]).unwrap();
    let loans = queue.take_many(2, None).unwrap();
    assert_eq!(by_count.get().unwrap(), "c".into());
    first.shutdown().unwrap();
    let _second = plain(&address);
    queue.put("new").unwrap();

    let mut loans = loans.into_iter();
    assert!(matches!(loans.next().unwrap().done(), Err(Error::Stale)));
    assert!(matches!(loans.next().unwrap().touch(), Err(Error::Stale)));
    assert!(matches!(by_count.task_done(), Err(Error::Stale)));
    let unfinished = || figure(&client, "get_task_queue", "unfinished");
    assert_eq!(unfinished(), 1, "join() must wait for the new item");

    assert_eq!(by_count.get().unwrap(), "new".into());
    by_count.task_done().unwrap();
    assert_eq!(unfinished(), 0);
}

#[test]
fn a_report_after_the_connection_was_cut_is_about_its_item_or_about_none() {
    let hub = hub(Options::default());
    let relay = Relay::to(hub.address());
    let client = BaseManager::new(relay.address.to_string(), KEY);
    let queue = client.queue("get_careful_queue").unwrap();
    queue.put_all(["a", "b"]).unwrap();

    // `get a`, and the connection is cut; `get` gives it again. There is one item to report done by it, not two.
    assert_eq!(queue.get().unwrap(), "a".into());
    relay.cut();
    until("it is back", || figure(&hub, "get_careful_queue", "out") == 0);
    assert!(matches!(queue.task_done(), Err(Error::Stale)));
    assert_eq!(queue.get().unwrap(), "a".into());
    queue.task_done().unwrap();

    // What was lent can be reported by any connection.
    let b = queue.take().unwrap();
    relay.cut();
    until("it is back", || figure(&hub, "get_careful_queue", "length") == 1);
    b.done().unwrap();
    queue.join().unwrap();
    assert!(matches!(queue.try_take(), Err(Error::Empty)));
}
