//! Servers that close, or fall silent, at the wrong moment.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{GRACE, SILENCE};
use crate::connection::{AuthKey, Stranger};
use crate::error::Error;
use crate::message::Exception;
use crate::message::{Request, Token, send_error, send_value};
use crate::pickle::{Value, Walker};
use crate::proxy::{Proxy, QueueProxy, Remote, Retry};

/// What a server does about a request.
enum Does {
    Answers(Value),
    Raises(Exception),
    Closes,
    Nothing,
}

/// Requests that came: the number of the connection, the method, and the arguments' code.
type Requests = Arc<Mutex<Vec<(usize, String)>>>;

/// A server that does as `plan` says to each request for an object, and answers those to the server itself.
fn server(plan: impl Fn(usize, &str) -> Does + Send + Sync + 'static) -> (Remote, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (plan, requests) = (Arc::new(plan), Requests::default());
    let heard = requests.clone();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let (plan, heard) = (plan.clone(), heard.clone());
            thread::spawn(move || {
                let stranger = Stranger::new(Arc::new(stream), Duration::from_secs(9)).unwrap();
                let mut connection = stranger.welcome(&AuthKey::new(b"k"), 1 << 20).unwrap();
                let mut walker = Walker::new();
                while let Ok(Some(frame)) = connection.receive() {
                    let request = Request::parse(&mut walker, frame).unwrap();
                    let (of_object, method) = (request.ident().is_some(), request.method().to_owned());
                    let does = match &*method {
                        "accept_connection" => Does::Answers("run".into()),
                        _ if of_object || method == "dummy" => {
                            heard.lock().unwrap().push((number, method.clone()));
                            plan(number, &method)
                        }
                        _ => Does::Answers(Value::None),
                    };
                    match does {
                        Does::Answers(value) => drop(send_value(&mut connection, &value)),
                        Does::Raises(exception) => drop(send_error(&mut connection, &exception)),
                        Does::Closes => return,
                        Does::Nothing => {}
                    }
                }
            });
        }
    });
    (Remote::new(address, AuthKey::new(b"k"), Retry::default()), requests)
}

/// A queue there with these methods.
fn queue(remote: Remote, exposed: &[&str]) -> QueueProxy {
    let token = Token { typeid: "tasks".into(), ident: "tasks".into() };
    QueueProxy::new(Proxy::new(Arc::new(remote), token, exposed.iter().map(|&name| name.into()).collect()))
}

const NETQ: &[&str] = &["put", "get", "lend", "put_many"];

#[test]
fn a_wait_without_end_is_made_of_several_and_outlives_a_server_that_falls_silent() {
    let (remote, requests) = server(|connection, _| match connection {
        0 => Does::Nothing,
        _ => Does::Answers("item".into()),
    });
    let begun = Instant::now();
    assert_eq!(queue(remote, NETQ).get().unwrap(), "item".into());
    assert!(begun.elapsed() >= SILENCE);
    assert_eq!(*requests.lock().unwrap(), [(0, "get".into()), (1, "get".into())]);

    let times = Mutex::new(0);
    let (remote, requests) = server(move |_, _| {
        *times.lock().unwrap() += 1;
        if *times.lock().unwrap() < 3 { Does::Raises(Exception::full()) } else { Does::Answers(Value::None) }
    });
    queue(remote, NETQ).put("item").unwrap();
    assert_eq!(requests.lock().unwrap().len(), 3);
}

#[test]
fn a_numbered_put_is_repeated_when_no_answer_comes_and_another_is_lost() {
    for (exposed, repeated) in [(NETQ, true), (&["put", "get"], false)] {
        let (mut remote, requests) = server(|connection, _| match connection {
            0 => Does::Nothing,
            _ => Does::Answers(Value::None),
        });
        remote.retry.patience = Duration::from_secs(9);
        let begun = Instant::now();
        let put = queue(remote, exposed).put_timeout("item", SILENCE * 4);
        assert!(begun.elapsed() < SILENCE * 4 + GRACE);
        match repeated {
            true => put.unwrap(),
            false => assert!(matches!(&put, Err(Error::Lost { method, .. }) if method == "put"), "{put:?}"),
        }
        assert_eq!(requests.lock().unwrap().len(), 1 + usize::from(repeated));
    }
}

#[test]
fn a_call_that_may_take_any_time_goes_on_as_long_as_the_server_shows_that_it_is_there() {
    let (remote, requests) = server(|_, method| match method {
        "join" => Does::Nothing,
        _ => Does::Answers(Value::None),
    });
    let queue = queue(remote, &["get", "put", "join"]);
    let mut impatient = queue.clone();
    let asked = SILENCE * 3;
    impatient.set_timeout(Some(asked));
    let begun = Instant::now();
    let error = impatient.join().unwrap_err();
    assert!(matches!(&error, Error::Lost { method, .. } if method == "join"), "{error}");
    assert!((asked..asked + GRACE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    let requests = requests.lock().unwrap();
    assert_eq!(requests.iter().filter(|(_, method)| method == "join").count(), 1);
    assert!(requests.iter().any(|(_, method)| method == "dummy"));
    drop(requests);
    assert!(!queue.join_timeout(Duration::from_millis(10)).unwrap());
}

#[test]
fn a_call_that_may_take_any_time_ends_when_the_server_does_not_show_that_it_is_there() {
    let (mut remote, _) = server(|_, _| Does::Nothing);
    remote.retry = Retry::never();
    let error = queue(remote, &["get", "put", "join"]).join().unwrap_err();
    assert!(error.to_string().ends_with("the hub does not answer: is it frozen?"), "{error}");
}

#[test]
fn a_server_that_accepts_and_then_closes_is_tried_at_growing_intervals_until_the_patience_is_over() {
    let (mut remote, requests) = server(|_, _| Does::Closes);
    remote.retry.patience = Duration::from_millis(500);
    let begun = Instant::now();
    let error = queue(remote, NETQ).get().unwrap_err();
    assert!(matches!(&error, Error::Lost { .. }), "{error}");
    // At 0, 0, 20, 60, 140 and 300 milliseconds, and not at 620.
    let attempts = requests.lock().unwrap().len();
    assert!((2..=6).contains(&attempts), "{attempts} attempts in {:?}", begun.elapsed());
}

#[test]
fn the_time_of_a_call_bounds_its_reconnecting_and_patience_may_be_longer_than_any_clock_runs() {
    let (mut remote, _) = server(|_, _| Does::Closes);
    remote.retry.patience = Duration::MAX;
    let queue = queue(remote, NETQ);
    let begun = Instant::now();
    let error = queue.get_timeout(Duration::from_millis(200)).unwrap_err();
    assert!(matches!(&error, Error::Lost { .. }), "{error}");
    assert!(begun.elapsed() < GRACE, "{:?}", begun.elapsed());
}

#[test]
fn a_put_that_may_be_there_twice_is_not_called_undone_when_its_repetition_fails() {
    let (mut remote, _) = server(|_, _| Does::Closes);
    remote.retry = Retry { repeat_puts: true, patience: Duration::from_millis(50), ..Retry::default() };
    let queue = queue(remote, &["put", "get"]);
    let error = queue.put("item").unwrap_err();
    assert!(error.maybe_carried_out(), "{error:?}");
}
