//! The queue's semantics, and several hubs on one Redis.

use std::thread;
use std::time::Duration;

use netq::{Error, Value};

use crate::cli::{DEADLINE, Hub, wait_for};
use crate::server::{self, Redis};

/// A Redis, if there is one, and a hub with these queues.
fn start(words: &[&str]) -> Option<(Redis, Hub)> {
    let redis = server::is_there().then(Redis::start)?;
    let hub = hub(&redis, words);
    Some((redis, hub))
}

fn hub(redis: &Redis, words: &[&str]) -> Hub {
    Hub::start(&[&["--store", &redis.url()], words].concat())
}

fn numbers(range: std::ops::Range<i64>) -> Vec<Value> {
    range.map(Value::from).collect()
}

#[test]
fn items_come_in_order_by_whichever_hub() {
    let Some((redis, one)) = start(&["q:5"]) else { return };
    let two = hub(&redis, &["q:5"]);
    let (here, there) = (one.queue("q"), two.queue("q"));
    assert!(here.is_empty().unwrap());
    here.put_all(0..3).unwrap();
    there.put_all(3..5).unwrap();
    assert!(here.is_full().unwrap() && there.is_full().unwrap());
    assert_eq!(there.qsize().unwrap(), 5);
    assert!(matches!(here.try_put(5), Err(Error::Full)));
    assert!(matches!(here.put_timeout(5, Duration::from_millis(30)), Err(Error::Full)));
    assert_eq!(there.get().unwrap(), 0.into());
    here.put("a text").unwrap();
    assert_eq!(here.get_many(3, None).unwrap(), numbers(1..4));
    assert_eq!(there.get_many(9, None).unwrap(), [4.into(), "a text".into()]);
    assert!(matches!(there.try_get(), Err(Error::Empty)));
    assert!(matches!(there.get_timeout(Duration::from_millis(30)), Err(Error::Empty)));
    (0..6).for_each(|_| here.task_done().unwrap());
    assert!(here.task_done().unwrap_err().to_string().contains("called too many times"));
    there.join().unwrap();
}

#[test]
fn who_waits_at_one_hub_is_woken_by_another() {
    let Some((redis, one)) = start(&["q:1"]) else { return };
    let two = hub(&redis, &["q:1"]);
    let (here, there) = (one.queue("q"), two.queue("q"));
    thread::scope(|scope| {
        let getter = scope.spawn(|| here.get_timeout(DEADLINE).unwrap());
        wait_for("it waits", || (one.figure("q", "waiting_getters") == 1).then_some(()));
        there.put("first").unwrap();
        assert_eq!(getter.join().unwrap(), "first".into());
        there.put("second").unwrap();
        let putter = scope.spawn(|| there.put_timeout("third", DEADLINE).unwrap());
        wait_for("it waits", || (two.figure("q", "waiting_putters") == 1).then_some(()));
        let joiner = scope.spawn(|| there.clone().join().unwrap());
        assert_eq!(here.get().unwrap(), "second".into());
        putter.join().unwrap();
        assert_eq!(here.get().unwrap(), "third".into());
        (0..3).for_each(|_| here.task_done().unwrap());
        joiner.join().unwrap();
    });
}

#[test]
fn a_put_that_is_repeated_by_another_hub_is_there_once() {
    let Some((redis, one)) = start(&["q:3"]) else { return };
    let two = hub(&redis, &["q:3"]);
    let put = |hub: &Hub, method: &str, item: Value, number: i64| {
        let once = ("a client".to_owned(), number);
        let once = Value::Tuple(vec![once.0.into(), once.1.into()]);
        let proxy = hub.manager().proxy("q", &[]).unwrap();
        proxy.call_with(method, &[item, false.into()], &[("once", once)])
    };
    assert_eq!(put(&one, "put", 0.into(), 1).unwrap(), Value::None);
    assert_eq!(put(&two, "put", 0.into(), 1).unwrap(), Value::None);
    assert_eq!(put(&one, "put_many", Value::List(numbers(1..9)), 2).unwrap(), 2.into());
    assert_eq!(one.queue("q").get().unwrap(), 0.into());
    // What is there already is left out, and the others follow.
    assert_eq!(put(&two, "put_many", Value::List(numbers(1..9)), 2).unwrap(), 3.into());
    assert_eq!(two.rest("q"), numbers(1..4));
    let error = put(&two, "put", 0.into(), 1).unwrap_err().to_string();
    assert!(error.contains("put number 1 of this client comes after its number 2"), "{error}");
}

#[test]
fn what_fails_comes_back_rests_and_is_given_up() {
    let Some((redis, one)) = start(&["q,redeliver,attempts=1"]) else { return };
    let two = hub(&redis, &["q,redeliver,attempts=1"]);
    let (here, there) = (one.queue("q"), two.queue("q"));
    here.put_all(0..4).unwrap();
    let mut lent = here.take_many(4, None).unwrap();
    assert!(lent[0].touch().unwrap());
    let rests = lent.remove(1);
    assert!(rests.fail(Some(Duration::from_millis(300))).unwrap());
    lent.remove(2).done().unwrap();
    assert!(lent.remove(1).give_back().unwrap());
    assert_eq!((two.figure("q", "out"), two.figure("q", "resting"), two.figure("q", "length")), (2, 1, 1));
    // By a tag every hub can say it.
    let tag = lent[0].tag().to_owned();
    let failed =
        |hub: &Hub| hub.manager().proxy("q", &[]).unwrap().call("task_failed", &[tag.as_str().into()]);
    assert_eq!(failed(&two).unwrap(), true.into());
    assert_eq!(failed(&one).unwrap(), false.into());
    drop(lent);
    let again = there.take_many(4, None).unwrap();
    assert_eq!(again.iter().map(|item| (**item).clone()).collect::<Vec<_>>(), [0.into(), 2.into()]);
    again.into_iter().for_each(|item| assert!(item.fail(None).unwrap()));
    assert_eq!(one.rest("q_dead"), numbers(0..1));
    let (rested, other) = (there.take().unwrap(), there.take().unwrap());
    assert_eq!((&*rested, &*other), (&2.into(), &1.into()));
    rested.done().unwrap();
    other.done().unwrap();
    here.join().unwrap();
    assert_eq!((one.figure("q", "unfinished"), one.figure("q", "out")), (0, 0));
}

#[test]
fn what_a_client_had_comes_back_to_its_place_when_it_leaves() {
    let Some((redis, one)) = start(&["q,redeliver,attempts=3", "plain"]) else { return };
    let two = hub(&redis, &["q,redeliver,attempts=3", "plain"]);
    one.queue("q").put_all(0..4).unwrap();
    let client = one.queue("q");
    assert_eq!(client.get_many(3, None).unwrap(), numbers(0..3));
    client.task_done().unwrap();
    drop(client);
    wait_for("its return", || (two.figure("q", "length") == 3).then_some(()));
    assert_eq!(two.rest("q"), numbers(1..4));
    // A plain queue gives for good what was read.
    one.queue("plain").put_all(0..2).unwrap();
    assert_eq!(one.take("plain"), 0.into());
    wait_for("that is known", || (two.figure("plain", "gets") == 1).then_some(()));
    assert_eq!(two.rest("plain"), numbers(1..2));
}

#[test]
fn a_lease_that_ends_gives_the_item_to_another_hub_s_client() {
    let Some((redis, one)) = start(&["q,redeliver,lease=0.3,attempts=1"]) else { return };
    let two = hub(&redis, &["q,redeliver,lease=0.3,attempts=1"]);
    let idle = one.queue("q");
    idle.put_all(0..2).unwrap();
    assert_eq!(idle.get_many(2, None).unwrap(), numbers(0..2));
    let other = two.queue("q");
    assert_eq!(other.get_timeout(DEADLINE).unwrap(), 0.into());
    other.task_done().unwrap();
    // Late, but done is done, also at another client.
    assert_eq!(other.get_timeout(DEADLINE).unwrap(), 1.into());
    assert!(idle.task_done().is_ok() && idle.task_done().is_ok());
    assert_eq!(two.figure("q", "unfinished"), 0);
    other.join().unwrap();
}

#[test]
fn a_queue_that_is_shut_down_is_so_at_every_hub() {
    let Some((redis, one)) = start(&["q,redeliver"]) else { return };
    let two = hub(&redis, &["q,redeliver"]);
    let (here, there) = (one.queue("q"), two.queue("q"));
    here.put_all(0..2).unwrap();
    there.shutdown(false).unwrap();
    assert!(matches!(here.put(3), Err(Error::ShutDown)));
    let item = here.take().unwrap();
    there.take().unwrap().done().unwrap();
    // What is out may come back.
    assert!(matches!(there.try_take(), Err(Error::Empty)));
    thread::scope(|scope| {
        let waits = scope.spawn(|| there.next().unwrap().map(|item| item.done().unwrap()));
        wait_for("it waits", || (two.figure("q", "waiting_getters") == 1).then_some(()));
        item.done().unwrap();
        assert!(waits.join().unwrap().is_none());
    });
    drop((one, two));
    let three = hub(&redis, &["q,redeliver"]);
    // As if it were new, once no hub has it any more.
    let open = || three.queue("q").put(4).is_ok().then_some(());
    if open().is_none() {
        println!("the others are taken to be there still");
    }
}

#[test]
fn a_shutdown_at_once_drops_what_waits() {
    let Some((_redis, hub)) = start(&["q"]) else { return };
    let queue = hub.queue("q");
    queue.put_all(0..5).unwrap();
    let item = queue.take().unwrap();
    queue.shutdown(true).unwrap();
    assert!(matches!(queue.get(), Err(Error::ShutDown)));
    assert_eq!(hub.figure("q", "unfinished"), 1);
    item.give_back().unwrap();
    queue.join().unwrap();
    assert_eq!(hub.figure("q", "length"), 0);
}

#[test]
fn a_put_a_get_and_a_report_are_one_round_trip_each() {
    let Some((redis, hub)) = start(&["q,redeliver", "plain"]) else { return };
    // What a script calls is not counted in these.
    let scripts = || {
        let figures = redis.command("INFO commandstats");
        let calls = |name: &str| {
            let rest = figures.split_once(&format!("cmdstat_{name}:calls="));
            rest.and_then(|(_, rest)| rest.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        calls("evalsha") + calls("eval") + calls("blpop")
    };
    for name in ["q", "plain"] {
        let queue = hub.queue(name);
        let (before, rounds) = (scripts(), 300);
        for number in 0..rounds {
            queue.put(number).unwrap();
            queue.get().unwrap();
            queue.task_done().unwrap();
        }
        let used = scripts() - before;
        // What the hub tells each second comes in between.
        assert!(
            (3 * rounds as u64..3 * rounds as u64 + 40).contains(&used),
            "{name}: {used} for {rounds} rounds"
        );
    }
}
