//! Replays what CPython's `multiprocessing.managers` put on the wire: no Python is needed to run these tests.
//!
//! The recordings are in `tests/transcripts`, with the program that made them and a description of the format.

#[path = "transcripts/canned.rs"]
mod canned;
#[path = "common/hub.rs"]
mod hub;
#[path = "transcripts/request.rs"]
mod request;
#[path = "common/redis.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod server;
#[path = "common/stores.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod stores;
#[path = "transcripts/transcript.rs"]
mod transcript;

use std::collections::{HashMap, VecDeque};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use netq::auth::{self, AuthError};
use netq::connection::{self, AuthKey, HandshakeError, Stranger};
use netq::pickle::{Instance, Pickled, Value};
use netq::{BaseManager, Error, Proxy};

use request::{Reply, Request};
use transcript::{Connection, Exchange, Transcript};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn the_recorded_handshakes_are_those_that_our_key_gives() {
    for Transcript { name, authkey, connections } in transcript::all() {
        let mut refused = 0;
        for Connection { frames } in &connections {
            let [challenge, answer, verdict, rest @ ..] = &frames[..] else { panic!("{name}: no handshake") };
            let message = challenge.body.strip_prefix(auth::CHALLENGE).unwrap();
            match auth::verify(&authkey, message, &answer.body, true) {
                Ok(()) => assert_eq!(verdict.body, auth::WELCOME, "{name}"),
                Err(error) => {
                    assert_eq!((error, &verdict.body[..]), (AuthError::WrongKey, auth::FAILURE), "{name}");
                    refused += 1;
                    continue;
                }
            }
            let message = rest[0].body.strip_prefix(auth::CHALLENGE).unwrap();
            assert_eq!(auth::answer(&authkey, message).unwrap(), rest[1].body, "{name}");
            assert_eq!(rest[2].body, auth::WELCOME);
        }
        assert_eq!(refused, 1, "{name}: one client used a wrong key");
    }
}

#[test]
fn clients_of_python_3_11_and_older_are_the_ones_that_answer_with_md5() {
    for Transcript { name, authkey, connections } in transcript::all() {
        let [challenge, answer, ..] = &connections[0].frames[..] else { panic!("{name}: no handshake") };
        let message = challenge.body.strip_prefix(auth::CHALLENGE).unwrap();
        let strict = auth::verify(&authkey, message, &answer.body, false);
        let old = name.starts_with("python-3.8") || name.starts_with("python-3.11");
        assert_eq!(strict, if old { Err(AuthError::LegacyRefused) } else { Ok(()) }, "{name}");
    }
}

#[test]
fn a_netq_hub_answers_each_recorded_request_as_cpython_s_server_did() {
    for transcript in transcript::all() {
        let hub = hub::start(&transcript.authkey);
        let mut requests = 0;
        for connection in &transcript.connections {
            let mut link = connect(&hub, &transcript.authkey);
            for Exchange { note, request, reply } in connection.exchanges() {
                link.send(&[request]).unwrap();
                let answer = link.receive().unwrap().expect("a reply");
                let what = format!("{}: {note}", transcript.name);
                same_meaning(&what, &Request::parse(request), Reply::parse(reply), Reply::parse(&answer));
                requests += 1;
            }
        }
        assert!(requests > 140, "{}: only {requests} requests", transcript.name);
    }
}

#[test]
fn netq_s_client_understands_each_recorded_reply_of_cpython_s_server() {
    for transcript in transcript::all() {
        let name = &transcript.name;
        let manager = BaseManager::new(canned::start(&transcript).to_string(), &transcript.authkey);
        manager.connect().unwrap();
        let error = manager.proxy("get_nothing", &[]).unwrap_err();
        assert!(matches!(&error, Error::NoSuchObject(text) if text.contains("get_nothing")), "{error:?}");
        assert_eq!(manager.dispatch("number_of_objects").unwrap(), 3.into());

        let mut proxies = HashMap::<String, Proxy>::new();
        let mut queued = HashMap::<String, VecDeque<(&str, Value)>>::new();
        let mut raised = Vec::new();
        for Exchange { note, request, .. } in transcript.exchanges() {
            let request = Request::parse(request);
            let Some(ident) = &request.ident else { continue };
            let proxy = proxies.entry(ident.clone()).or_insert_with(|| manager.proxy(ident, &[]).unwrap());
            let kwargs: Vec<_> =
                request.kwargs.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            let queue = queued.entry(ident.clone()).or_default();
            match proxy.call_with(&request.method, &request.args, &kwargs) {
                Ok(value) => {
                    let expected = match &*request.method {
                        "get" | "get_nowait" => {
                            let (note, item) = queue.pop_front().expect("an item that was put");
                            if is_number(&value) && note.starts_with("tasks.put(") {
                                assert_eq!(format!("tasks.put({value})"), note, "Python's own text");
                            }
                            item
                        }
                        "qsize" => 0.into(),
                        "empty" => true.into(),
                        "full" => (ident == "get_small_queue").into(),
                        "__repr__" => {
                            assert!(value.as_str().unwrap().starts_with("<queue.Queue object at "));
                            continue;
                        }
                        _ => Value::None,
                    };
                    assert_eq!(value, expected, "{name}: {note}");
                    if request.method.starts_with("put") {
                        queue.extend(request.item().map(|item| (note, item.clone())));
                    }
                }
                Err(error) => {
                    let (_, expected) = note.rsplit_once(": ").expect("a note that names the error");
                    assert_eq!(python_name(&error), expected, "{name}: {note}");
                    raised.push(expected.to_owned());
                }
            }
        }
        for error in ["Empty", "Full", "ValueError", "TypeError", "RemoteError"] {
            assert!(raised.iter().any(|name| name == error), "{name}: {error} did not occur");
        }
        assert_eq!(name == "python-3.13", raised.iter().any(|name| name == "ShutDown"), "{name}");
    }
}

#[test]
fn netq_s_client_says_that_its_key_was_rejected() {
    for transcript in transcript::all() {
        let manager = BaseManager::new(canned::start(&transcript).to_string(), b"another key");
        let error = manager.connect().unwrap_err();
        let rejected = HandshakeError::Auth(AuthError::Rejected).to_string();
        assert!(
            matches!(&error, Error::Handshake { source, .. } if source.to_string() == rejected),
            "{error:?}"
        );
    }
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::BigInt(_) | Value::Float(_) | Value::Bool(_))
}

/// The class that a Python program would catch.
fn python_name(error: &Error) -> &str {
    match error {
        Error::Empty => "Empty",
        Error::Full => "Full",
        Error::ShutDown => "ShutDown",
        Error::Raised(exception) => exception.name(),
        Error::RemoteTraceback(_) | Error::NoSuchObject(_) | Error::NoSuchMethod(_) => "RemoteError",
        other => panic!("{other:?}"),
    }
}

fn connect(hub: &netq::BaseManager, authkey: &[u8]) -> connection::Connection {
    let stream = TcpStream::connect(hub.address()).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let link = Stranger::new(Arc::new(stream), PATIENCE).unwrap();
    let link = link.introduce(&AuthKey::new(authkey), u32::MAX.into()).unwrap();
    link.stream().set_read_timeout(Some(PATIENCE)).unwrap();
    link
}

fn same_meaning(what: &str, request: &Request, expected: Reply, reply: Reply) {
    let (expected_kind, expected) = (expected.kind, expected.result);
    let (kind, result) = (reply.kind, reply.result);
    match &*kind {
        "#RETURN" => {
            assert_eq!(kind, expected_kind, "{what}");
            match (&*request.method, expected.decode(), result.decode()) {
                // Which methods an object has besides Python's, and how it describes itself, is its own affair.
                ("create", Value::Tuple(expected), Value::Tuple(created)) => {
                    assert_eq!(created[0], expected[0], "{what}: the ident");
                    let (Value::Tuple(expected), Value::Tuple(created)) = (&expected[1], &created[1]) else {
                        panic!("{what}: the exposed methods must be a tuple");
                    };
                    for method in expected {
                        assert!(created.contains(method), "{what}: {method} is not exposed");
                    }
                }
                ("__str__" | "__repr__" | "debug_info", Value::Str(_), Value::Str(_)) => {}
                // Where no Python looks at the result, netq says which run of the hub it is.
                ("accept_connection", Value::None, Value::Str(_)) => {}
                (_, Value::Opaque(_), Value::Opaque(_)) => assert_eq!(result, expected, "{what}"),
                (_, expected, got) => assert_eq!(got, expected, "{what}"),
            }
        }
        "#ERROR" => {
            assert_eq!(kind, expected_kind, "{what}");
            let (expected, error) = (exception(&expected), exception(&result));
            assert_eq!((&error.module, &error.name), (&expected.module, &expected.name), "{what}");
            // The text of a TypeError differs from one Python to the next.
            if error.name != "TypeError" {
                assert_eq!(error.args, expected.args, "{what}");
            }
        }
        "#TRACEBACK" => {
            let (Value::Str(expected), Value::Str(text)) = (expected.decode(), result.decode()) else {
                panic!("{what}: a traceback must be a str");
            };
            assert_eq!(kind, expected_kind, "{what}: {text}");
            // CPython's text ends with the exception, such as `KeyError: 'get_nothing'`.
            let last = expected.lines().last().unwrap();
            let name = last.split('\'').nth(1).unwrap_or_else(|| panic!("{what}: {expected}"));
            assert!(text.contains(name), "{what}: {text:?} does not name {name:?}");
        }
        kind => panic!("{what}: {kind} instead of {expected_kind}"),
    }
}

fn exception(payload: &Pickled) -> Instance {
    let mut instance = payload.decode_instance().expect("an exception");
    if instance.module == "_queue" {
        instance.module = "queue".into();
    }
    instance
}
