//! The manager: keys, stopping, restarting.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use netq::{Answer, BaseManager, Call, Error, Exception, Options, Retry, Shared, SharedQueue};

use crate::{KEY, figure, hub, tasks, until};

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
fn a_put_whose_outcome_is_unknown_is_not_repeated() {
    let mut hub = hub(Options::default());
    let queue = tasks(&hub);
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    let stuck = queue.clone();
    let putting = thread::spawn(move || stuck.put(3));
    until("it waits", || figure(&hub, "get_task_queue", "waiting_putters") == 1);
    hub.shutdown().unwrap();
    let error = putting.join().unwrap().unwrap_err();
    assert!(matches!(&error, Error::Lost { method, .. } if method == "put"), "{error}");
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
