//! Delivery: what happens to an item whose client dies.

use std::thread;
use std::time::{Duration, Instant};

use netq::{BaseManager, Error, Options, QueueOptions, Redelivery, SharedQueue};

use crate::{DEADLINE, KEY, Raw, figure, hub, tasks, until};

#[test]
fn an_item_whose_reply_was_not_read_goes_back_to_the_front() {
    let hub = hub(Options::default());
    let queue = tasks(&hub);
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
    let queue = tasks(&hub);
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
    let queue = tasks(&hub);
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
    let queue = tasks(&hub);
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
    let boss = hub.queue("get_careful_queue").unwrap();
    for number in 0..3 {
        boss.put(number).unwrap();
    }
    let worker = hub.queue("get_careful_queue").unwrap();
    assert_eq!(worker.get().unwrap(), 0.into());
    assert_eq!(worker.get().unwrap(), 1.into());
    worker.task_done().unwrap(); // of the latest get: 1
    let error = worker.task_done().unwrap_err().to_string();
    assert!(error.contains("this connection's latest get()"), "{error}");
    drop(worker);
    until("what it had skipped is back", || boss.qsize().unwrap() == 2);
    for _ in 0..2 {
        let worker = hub.queue("get_careful_queue").unwrap();
        assert_eq!(worker.get().unwrap(), 0.into());
        drop(worker);
        until("it let go", || figure(&hub, "get_careful_queue", "out") == 0);
    }
    assert_eq!(hub.queue("get_careful_queue_dead").unwrap().get().unwrap(), 0.into());
    assert_eq!(boss.get().unwrap(), 2.into());
    boss.task_done().unwrap();
    boss.join().unwrap();
    assert!(boss.task_done().is_err());
}

#[test]
fn a_queue_that_was_shut_down_sends_nobody_home_before_the_last_item_is_done() {
    let hub = hub(Options::default());
    let boss = hub.queue("get_careful_queue").unwrap();
    boss.put("job").unwrap();
    let mortal = hub.queue("get_careful_queue").unwrap();
    assert_eq!(mortal.get().unwrap(), "job".into());
    boss.shutdown(false).unwrap();
    thread::scope(|scope| {
        let workers = [(); 2].map(|()| {
            let worker = hub.queue("get_careful_queue").unwrap();
            scope.spawn(move || match worker.get() {
                Ok(item) => {
                    worker.task_done().unwrap();
                    Some(item)
                }
                Err(Error::ShutDown) => None,
                Err(error) => panic!("{error}"),
            })
        });
        until("both wait", || figure(&hub, "get_careful_queue", "waiting_getters") == 2);
        drop(mortal);
        let mut got = workers.map(|worker| worker.join().unwrap());
        got.sort_unstable_by_key(Option::is_none);
        assert_eq!(got, [Some("job".into()), None]);
    });
    boss.join().unwrap();
}

#[test]
fn a_large_item_whose_reply_was_not_read_goes_back_too() {
    let hub = hub(Options::default());
    let queue = tasks(&hub);
    // All of it fits into the sockets' buffers: the hub has written the reply when the client dies.
    let item = "x".repeat(100_000);
    queue.put(item.as_str()).unwrap();
    let mut victim = Raw::new(&hub);
    victim.send("get_task_queue".into(), "get", vec![]);
    until("the reply was written", || {
        let taken = figure(&hub, "get_task_queue", "out") == 1;
        // The slot of an item is free once its reply was written.
        let released = figure(&hub, "get_task_queue", "bytes") == 0;
        // In Redis it stays until the hub has said that it was read.
        taken && !queue.is_full().unwrap() && (released || crate::stores::is_redis())
    });
    victim.die_with_a_reply_unread();
    until("the item is back", || queue.qsize().unwrap() == 1);
    assert_eq!(queue.get().unwrap(), item.as_str().into());
}

#[test]
fn a_redelivered_item_whose_reply_was_never_read_is_no_attempt() {
    let hub = hub(Options::default());
    let boss = hub.queue("get_careful_queue").unwrap();
    boss.put("job").unwrap();
    // More often than its two attempts.
    for _ in 0..5 {
        let mut victim = Raw::new(&hub);
        victim.send("get_careful_queue".into(), "get", vec![]);
        victim.die_with_a_reply_unread();
        until("it is back", || boss.qsize().unwrap() == 1);
    }
    assert_eq!(figure(&hub, "get_careful_queue_dead", "length"), 0);
    assert_eq!(boss.get().unwrap(), "job".into());
}

#[test]
fn several_are_done_at_once_or_none() {
    let hub = hub(Options::default());
    for name in ["get_task_queue", "get_careful_queue"] {
        let queue = hub.queue(name).unwrap();
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
fn many_clients_share_a_queue_and_each_item_arrives_once() {
    let hub = hub(Options::default());
    let (putters, each) = (4, 250);
    thread::scope(|scope| {
        for putter in 0..putters {
            let queue = tasks(&hub);
            scope.spawn(move || (0..each).for_each(|i| queue.put(putter * each + i).unwrap()));
        }
        let getters: Vec<_> = (0..putters)
            .map(|_| {
                let queue = tasks(&hub);
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
fn a_request_that_was_sent_with_a_get_of_a_large_item_does_not_wait_for_more() {
    let hub = hub(Options::default());
    tasks(&hub).put("x".repeat(200_000)).unwrap();
    let mut client = Raw::new(&hub);
    client.send_together("get_task_queue", &["get", "qsize"]);
    assert!(client.receive().len() > 200_000);
    let asked = Instant::now();
    assert_eq!(client.receive(), "('#RETURN', 0)");
    // It waited for five seconds for a sign of life, which it had already.
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

#[test]
fn a_client_finishes_no_item_of_a_client_of_another_server_of_the_same_queue() {
    let shared = SharedQueue::with_options(QueueOptions {
        redelivery: Some(Redelivery::default()),
        ..QueueOptions::default()
    });
    let serve = || {
        let mut hub = BaseManager::new("127.0.0.1:0", KEY);
        hub.register("shared", shared.clone());
        hub.start().unwrap();
        hub
    };
    // Alike up to the last connection: whatever each server counts for itself, it counts the same.
    let (first, second) = (serve(), serve());
    let mut clients = [&first, &second].map(|hub| hub.queue("shared").unwrap());
    for (client, item) in clients.iter_mut().zip([1, 2]) {
        client.put(item).unwrap();
        assert_eq!(client.get().unwrap(), item.into());
    }
    let [one, other] = clients;
    one.task_done().unwrap();
    drop(other);
    assert_eq!(one.get_timeout(DEADLINE).unwrap(), 2.into(), "the item that nobody has finished");
}
