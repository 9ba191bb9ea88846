//! Redis that is killed, frozen, full, a replica, closed to strangers, or has forgotten the scripts: each has one outcome.

use std::thread;
use std::time::{Duration, Instant};

use netq::{Error, Value};

use crate::cli::{DEADLINE, Hub, wait_for};
use crate::server::{self, Redis};

fn start() -> Option<(Redis, Hub)> {
    let redis = server::is_there().then(Redis::start)?;
    let hub = Hub::start(&["--store", &redis.url(), "q", "careful,redeliver"]);
    Some((redis, hub))
}

/// The `RuntimeError` of a call.
#[track_caller]
fn raised<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Raised(exception)) if exception.is("builtins", "RuntimeError") => exception.message(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("nothing was raised"),
    }
}

#[test]
fn what_was_answered_outlives_redis_and_its_clients_wait_for_it() {
    let Some((mut redis, hub)) = start() else { return };
    let queue = hub.queue("careful");
    queue.put_all(0..3).unwrap();
    assert_eq!(queue.get().unwrap(), 0.into());
    let other = queue.clone();
    redis.kill();
    thread::scope(|scope| {
        let put = scope.spawn(|| other.put(3));
        let get = scope.spawn(|| other.get_timeout(DEADLINE));
        thread::sleep(Duration::from_millis(300));
        redis.restart();
        put.join().unwrap().unwrap();
        assert_eq!(get.join().unwrap().unwrap(), 1.into());
    });
    // Redis does not know the scripts any more, but it does know what is out.
    queue.task_done().unwrap();
    drop(other);
    wait_for("what nobody was done with", || (hub.figure("careful", "length") == 3).then_some(()));
    assert_eq!(hub.rest("careful"), [1.into(), 2.into(), 3.into()]);
}

#[test]
fn without_redis_a_call_says_so_after_a_while_and_nothing_is_done() {
    let Some((mut redis, hub)) = start() else { return };
    let queue = hub.queue("q");
    queue.put("kept").unwrap();
    redis.kill();
    // Which is long enough for the hub to look at its connections before it uses one.
    thread::sleep(Duration::from_millis(150));
    let begun = Instant::now();
    let error = raised(queue.get_timeout(Duration::from_millis(10)));
    assert!(error.contains("it cannot be reached (") && error.ends_with("nothing was done"), "{error}");
    assert!(error.starts_with(&format!("the hub keeps this queue in {}/0: ", redis.url())), "{error}");
    let taken = begun.elapsed();
    assert!(taken < DEADLINE / 2, "{taken:?}");
    // The command line has one line about it.
    let ended = hub.run(&["put", "q", "another", "--timeout", "0.1"]);
    assert!(ended.error(1).contains("it cannot be reached"), "{ended:?}");
    // In the meantime the hub itself has had something to say to Redis.
    hub.run(&["get", "q", "--timeout", "2"]).error(1);
    let text = hub.run(&["stat"]).ok();
    assert!(text.contains("store redis://"), "{text}");
    redis.restart();
    assert_eq!(hub.rest("q"), ["kept".into()]);
    // Which the hub itself learns within a second.
    assert!(matches!(queue.get_timeout(Duration::from_millis(1500)), Err(Error::Empty)));
    hub.run(&["shutdown"]).ok();
    let log = hub.running.wait().stderr;
    assert!(log.contains("trying on") && log.contains("is back"), "{log}");
}

#[test]
fn a_step_whose_answer_did_not_come_is_done_once() {
    let Some((redis, hub)) = start() else { return };
    let queue = hub.queue("q");
    let careful = hub.queue("careful");
    queue.put(0).unwrap();
    assert!(careful.is_empty().unwrap());
    redis.signal("-STOP");
    thread::scope(|scope| {
        let puts = [1, 2, 3].map(|number| {
            let queue = &queue;
            scope.spawn(move || queue.put(number))
        });
        let get = scope.spawn(|| careful.get_timeout(DEADLINE));
        // For longer than the hub waits for an answer: it asks again, and Redis hears both.
        thread::sleep(Duration::from_millis(6500));
        redis.signal("-CONT");
        puts.into_iter().for_each(|put| put.join().unwrap().unwrap());
        careful.put("something").unwrap();
        assert_eq!(get.join().unwrap().unwrap(), "something".into());
    });
    let mut items = hub.rest("q");
    items.sort_by_key(Value::as_i64);
    assert_eq!(items, [0, 1, 2, 3].map(Value::from));
    assert_eq!(hub.figure("q", "puts"), 4);
}

#[test]
fn when_redis_is_full_puts_wait_and_gets_make_room() {
    let Some((redis, hub)) = start() else { return };
    let (queue, careful) = (hub.queue("q"), hub.queue("careful"));
    let large = "x".repeat(100_000);
    for _ in 0..20 {
        queue.put(large.as_str()).unwrap();
        careful.put(large.as_str()).unwrap();
    }
    let set =
        |bytes: u64| assert!(redis.command(&format!("CONFIG SET maxmemory {bytes}")).starts_with("+OK"));
    set(redis.figure("used_memory") - 1_000_000);
    assert!(matches!(queue.try_put("more"), Err(Error::Full)));
    assert!(matches!(queue.put_timeout("more", Duration::from_millis(50)), Err(Error::Full)));
    // All that is no put goes on, for as long as it takes.
    let item = careful.take().unwrap();
    item.touch().unwrap();
    item.fail(Some(Duration::from_millis(20))).unwrap();
    careful.take().unwrap().give_back().unwrap();
    careful.get().unwrap();
    careful.task_done().unwrap();
    assert_eq!(hub.figure("careful", "unfinished"), 19);
    thread::scope(|scope| {
        let putter = scope.spawn(|| queue.put_timeout("more", DEADLINE));
        wait_for("it waits", || (hub.figure("q", "waiting_putters") == 1).then_some(()));
        (0..20).for_each(|_| drop(queue.get().unwrap()));
        putter.join().unwrap().unwrap();
    });
    assert_eq!(queue.get().unwrap(), "more".into());
}

#[test]
fn a_replica_is_waited_for_until_it_is_the_master_and_then_said_to_be_one() {
    let Some((redis, hub)) = start() else { return };
    let queue = hub.queue("q");
    queue.put(0).unwrap();
    let master = Redis::start();
    // Its own data are gone once it has those of the other.
    redis.command(&format!("REPLICAOF 127.0.0.1 {}", master.port));
    thread::scope(|scope| {
        let put = scope.spawn(|| queue.put(1));
        thread::sleep(Duration::from_millis(300));
        redis.command("REPLICAOF NO ONE");
        put.join().unwrap().unwrap();
    });
    assert_eq!(hub.rest("q").last(), Some(&1.into()));
    redis.command(&format!("REPLICAOF 127.0.0.1 {}", master.port));
    let error = raised(queue.put_timeout(2, Duration::from_millis(10)));
    assert!(error.contains("READONLY") && error.ends_with("give the address of the master"), "{error}");
}

#[test]
fn a_password_that_is_set_meanwhile_and_scripts_that_are_forgotten() {
    let Some((redis, hub)) = start() else { return };
    let queue = hub.queue("q");
    queue.put(0).unwrap();
    redis.command("SCRIPT FLUSH");
    queue.put(1).unwrap();
    assert_eq!(queue.get().unwrap(), 0.into());
    redis.command("CONFIG SET requirepass secret");
    redis.command("AUTH secret\r\nCLIENT KILL TYPE normal SKIPME yes");
    let begun = Instant::now();
    let error = raised(queue.put(2));
    assert!(error.contains("NOAUTH Authentication required.: give the password: "), "{error}");
    assert!(begun.elapsed() < DEADLINE / 4, "there is nothing to wait for");
    let again = Hub::start(&["--store", &redis.url().replace("://", "://:secret@"), "q"]);
    assert_eq!(again.rest("q"), [1.into()]);
}
