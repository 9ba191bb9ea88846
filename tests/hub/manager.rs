//! The manager: keys, stopping, restarting.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use netq::{Answer, BaseManager, Call, Error, Exception, Options, Retry, Shared, SharedQueue};

use crate::relay::Relay;
use crate::{DEADLINE, KEY, figure, hub, tasks, until};

#[test]
fn a_wrong_key_is_refused_and_logged_in_one_line() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = lines.clone();
    let options = Options {
        log: Arc::new(move |line| log.lock().unwrap().push(line.to_string())),
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
    let client = BaseManager::new(hub.address(), KEY);
    let error = client.shutdown_remote().unwrap_err().to_string();
    assert!(error.contains("PermissionError"), "{error}");
    client.connect().unwrap();

    let server = BaseManager::new("127.0.0.1:0", KEY).get_server().unwrap();
    let client = BaseManager::new(server.address().to_string(), KEY);
    let running = thread::spawn(move || server.serve_forever());
    client.connect().unwrap();
    client.shutdown_remote().unwrap();
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
        notify: Arc::new(move |line| notify.lock().unwrap().push(line.to_string())),
        ..Retry::default()
    });
    let queue = tasks(&client);
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
fn a_put_of_which_only_a_hub_that_is_gone_knows_is_not_repeated() {
    for comes_back in [true, false] {
        let mut first = hub(Options::default());
        let address = first.address().to_owned();
        let mut client = BaseManager::new(&address, KEY);
        let patience = if comes_back { DEADLINE } else { Duration::from_millis(100) };
        client.set_retry(Retry { patience, ..Retry::default() });
        let queue = tasks(&client);
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        let putting = thread::spawn(move || queue.put(3));
        until("it waits", || figure(&first, "get_task_queue", "waiting_putters") == 1);
        first.shutdown().unwrap();
        let mut second = BaseManager::new(&address, KEY);
        second.register("get_task_queue", SharedQueue::new(0));
        if comes_back {
            second.start().unwrap();
        }
        let error = putting.join().unwrap().unwrap_err();
        assert!(matches!(&error, Error::Lost { method, .. } if method == "put"), "{error}");
        if comes_back {
            assert_eq!(tasks(&client).qsize().unwrap(), 0);
        }
    }
}

#[test]
fn a_put_whose_connection_breaks_is_repeated_and_happens_once() {
    let hub = hub(Options::default());
    let relay = Relay::to(hub.address());
    let queue = tasks(&BaseManager::new(relay.address.to_string(), KEY));
    let put = |put: &dyn Fn()| {
        queue.qsize().unwrap();
        relay.swallow_replies(true);
        thread::scope(|scope| {
            scope.spawn(|| {
                until("it is in the queue", || figure(&hub, "get_task_queue", "length") > 0);
                relay.swallow_replies(false);
                relay.cut();
            });
            put();
        });
    };
    put(&|| queue.put("a").unwrap());
    assert_eq!(queue.get().unwrap(), "a".into());
    put(&|| queue.put_timeout("b", DEADLINE).unwrap());
    assert_eq!(queue.get().unwrap(), "b".into());
    assert!(matches!(queue.try_get(), Err(Error::Empty)));

    // The queue holds 2: the second and the third wait there while the connection is cut.
    put(&|| assert_eq!(queue.put_many(&mut vec!["a".into(), "b".into()], None).unwrap(), 2));
    thread::scope(|scope| {
        let putting = scope.spawn(|| queue.put_all(["c", "d"]).unwrap());
        until("it waits", || figure(&hub, "get_task_queue", "waiting_putters") == 1);
        relay.cut();
        let got: Vec<_> = (0..4).map(|_| queue.get().unwrap().to_string()).collect();
        assert_eq!(got, ["'a'", "'b'", "'c'", "'d'"]);
        assert_eq!(putting.join().unwrap(), 2);
    });
    assert!(matches!(queue.try_get(), Err(Error::Empty)));
}

/// Gives each number once; the first one only to a caller that is gone.
struct Numbers(AtomicI64);

impl Shared for Numbers {
    fn exposed(&self) -> &[&'static str] {
        &["get"]
    }

    fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            until("the caller is gone", || call.caller().is_gone());
        }
        Ok(number.into())
    }
}

#[test]
fn a_call_of_somebody_s_own_object_is_not_repeated_though_a_queue_has_such_a_method() {
    let numbers = Arc::new(Numbers(AtomicI64::new(0)));
    let serve = |address: &str| {
        let mut hub = BaseManager::new(address, KEY);
        hub.register("get_numbers", numbers.clone());
        hub.start().unwrap();
        hub
    };
    let mut first = serve("127.0.0.1:0");
    let address = first.address().to_owned();
    let proxy = BaseManager::new(&address, KEY).proxy("get_numbers", &[]).unwrap();
    let getting = thread::spawn(move || proxy.call("get", &[]));
    until("it waits", || numbers.0.load(Ordering::Relaxed) == 1);
    first.shutdown().unwrap();
    let _second = serve(&address);
    let error = getting.join().unwrap().unwrap_err();
    assert!(matches!(&error, Error::Lost { method, .. } if method == "get"), "{error}");
    assert_eq!(numbers.0.load(Ordering::Relaxed), 1, "it is called once");
}
