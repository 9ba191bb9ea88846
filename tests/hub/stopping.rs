//! The end of a hub: which one it is, what becomes of its calls, and how long it takes.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use netq::{Answer, BaseManager, Call, Error, Exception, Retry, Shared, SharedQueue, Value};

use crate::{DEADLINE, KEY, figure, until};

#[test]
fn shutdown_stops_the_manager_s_own_server_and_no_other_at_its_address() {
    let mut first = BaseManager::new("127.0.0.1:0", KEY);
    let not_started = first.shutdown().unwrap_err();
    assert!(not_started.to_string().ends_with("there is shutdown_remote()"), "{not_started}");
    first.start().unwrap();
    first.shutdown().unwrap();

    let mut second = BaseManager::new(first.address(), KEY);
    second.start().unwrap();
    let mut client = BaseManager::new(first.address(), KEY);
    for manager in [&mut first, &mut client] {
        assert!(matches!(manager.shutdown(), Err(Error::NotStarted)));
        assert!(matches!(manager.shutdown_within(DEADLINE), Err(Error::NotStarted)));
    }
    drop(first);
    client.connect().unwrap();
    client.shutdown_remote().unwrap();
    until("it has ended", || client.connect().is_err());
    // It was started, and has ended already.
    second.shutdown().unwrap();
}

/// Says when it is called, and returns when it is told to.
struct Work {
    begun: Mutex<Sender<()>>,
    end: Mutex<Receiver<()>>,
}

impl Shared for Work {
    fn exposed(&self) -> &[&'static str] {
        &["work"]
    }

    fn call(&self, _: Call<'_>) -> Result<Answer, Exception> {
        self.begun.lock().unwrap().send(()).unwrap();
        let _ = self.end.lock().unwrap().recv();
        Ok("done".into())
    }
}

/// A hub with queues and work, and when the work begins and is to end.
fn hub() -> (BaseManager, Receiver<()>, Sender<()>) {
    let (begun, has_begun) = channel();
    let (end, is_to_end) = channel();
    let mut hub = BaseManager::new("127.0.0.1:0", KEY);
    hub.register("tasks", SharedQueue::new(0));
    hub.register("empty", SharedQueue::new(0));
    hub.register("full", SharedQueue::new(1));
    hub.register("work", Arc::new(Work { begun: Mutex::new(begun), end: Mutex::new(is_to_end) }));
    hub.start().unwrap();
    (hub, has_begun, end)
}

fn client(hub: &BaseManager) -> BaseManager {
    let mut client = BaseManager::new(hub.address(), KEY);
    client.set_retry(Retry::never());
    client
}

#[test]
fn a_stop_with_calls_that_wait_and_one_that_does_not_end_takes_three_seconds_at_the_most() {
    let (mut hub, has_begun, end) = hub();
    let client = client(&hub);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.queue("empty")?.get());
        let working = scope.spawn(|| client.proxy("work", &[])?.call("work", &[]));
        has_begun.recv_timeout(DEADLINE).unwrap();
        until("it waits", || figure(&hub, "empty", "waiting_getters") == 1);
        let begun = Instant::now();
        hub.shutdown().unwrap();
        // What a machine with other work adds is its own.
        assert!(begun.elapsed() < Duration::from_secs(3) + DEADLINE / 3, "{:?}", begun.elapsed());
        for call in [waiting, working] {
            assert!(matches!(call.join().unwrap(), Err(Error::Lost { .. })));
        }
        drop(end);
    });
}

#[test]
fn a_stop_with_grace_shuts_the_queues_down_first_and_lets_clients_come_to_an_end() {
    let (mut hub, has_begun, end) = hub();
    let client = client(&hub);
    let queue = client.queue("tasks").unwrap();
    let full = client.queue("full").unwrap();
    queue.put_all(1..=3).unwrap();
    full.put("one").unwrap();
    let taken = queue.take().unwrap();
    thread::scope(|scope| {
        let getting = scope.spawn(|| client.queue("empty")?.get());
        let putting = scope.spawn(|| full.put("another"));
        let working = scope.spawn(|| client.proxy("work", &[])?.call("work", &[]));
        has_begun.recv_timeout(DEADLINE).unwrap();
        until("they wait", || {
            figure(&hub, "empty", "waiting_getters") == 1 && figure(&hub, "full", "waiting_putters") == 1
        });
        let stopping = scope.spawn(|| hub.shutdown_within(Duration::MAX).unwrap());
        assert!(matches!(getting.join().unwrap(), Err(Error::ShutDown)));
        assert!(matches!(putting.join().unwrap(), Err(Error::ShutDown)));
        assert!(matches!(queue.put(4), Err(Error::ShutDown)));
        // What is there is still given out.
        taken.done().unwrap();
        let mut got = Vec::new();
        while let Some(item) = queue.next().unwrap() {
            got.push(item.as_i64().unwrap());
            item.done().unwrap();
        }
        assert_eq!(got, [2, 3]);
        assert!(!stopping.is_finished(), "there is an item in the full one");
        assert_eq!(full.get().unwrap(), "one".into());
        assert!(matches!(full.get(), Err(Error::ShutDown)));
        // The hub takes no more calls, and waits for this one.
        until("it takes no more calls", || client.connect().is_err());
        end.send(()).unwrap();
        assert_eq!(working.join().unwrap().unwrap(), "done".into());
        stopping.join().unwrap();
    });
}

#[test]
fn a_grace_that_is_not_enough_ends_all_the_same() {
    let (mut hub, _has_begun, _end) = hub();
    let queue = client(&hub).queue("tasks").unwrap();
    queue.put("an item that nobody gets").unwrap();
    hub.shutdown_within(Duration::from_millis(30)).unwrap();
    assert!(matches!(queue.qsize(), Err(Error::Connect { .. } | Error::Lost { .. })));
}

#[test]
fn an_object_of_one_s_own_is_asked_whether_it_is_done() {
    struct Countdown(Mutex<i64>);

    impl Shared for Countdown {
        fn exposed(&self) -> &[&'static str] {
            &[]
        }

        fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
            Err(call.unknown_method())
        }

        fn value(&self) -> Result<Value, Exception> {
            Ok((*self.0.lock().unwrap()).into())
        }

        fn retire(&self) -> bool {
            let mut left = self.0.lock().unwrap();
            *left -= 1;
            *left == 0
        }
    }

    let countdown = Arc::new(Countdown(Mutex::new(3)));
    let mut hub = BaseManager::new("127.0.0.1:0", KEY);
    hub.register("countdown", countdown.clone());
    hub.start().unwrap();
    hub.shutdown_within(Duration::MAX).unwrap();
    assert_eq!(*countdown.0.lock().unwrap(), 0);
}
