//! Replays what CPython's `multiprocessing.managers` put on the wire: no Python is needed to run these tests.
//!
//! The recordings are in `tests/transcripts`, with the program that made them and a description of the format.

#[path = "common/hub.rs"]
mod hub;
#[path = "transcripts/transcript.rs"]
mod transcript;

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use netq::auth::{self, AuthError};
use netq::connection::{self, AuthKey, Stranger};
use netq::pickle::{Instance, Pickled, Value, Walker};

use transcript::{Connection, Frame, Side, Transcript};

const PATIENCE: Duration = Duration::from_secs(20);

/// Each side sends a challenge, an answer and a verdict.
const HANDSHAKE: usize = 6;

#[test]
fn the_recorded_handshakes_are_those_that_our_key_gives() {
    for Transcript { name, authkey, connections } in transcript::all() {
        let mut refused = 0;
        for Connection { frames, .. } in &connections {
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
fn netq_answers_each_recorded_request_as_cpython_s_server_did() {
    for Transcript { name, authkey, connections } in transcript::all() {
        let hub = hub::start(&authkey);
        let mut requests = 0;
        for Connection { frames } in connections.iter().filter(|connection| connection.welcomed()) {
            let mut link = connect(&hub, &authkey);
            let mut frames = frames[HANDSHAKE..].iter();
            while let Some(request) = frames.next() {
                assert_eq!(request.side, Side::Client);
                link.send(&[&request.body]).unwrap();
                let reply = link.receive().unwrap().expect("a reply");
                let expected = frames.find(|frame| frame.side == Side::Server).expect("a recorded reply");
                same_meaning(&format!("{name}: {}", request.note), request, &expected.body, &reply);
                requests += 1;
                if method(request) == "shutdown" {
                    break; // CPython answers this one twice.
                }
            }
        }
        assert!(requests > 140, "{name}: only {requests} requests");
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

/// A reply's kind and its result.
fn parse(reply: &[u8]) -> (String, Pickled) {
    let mut walker = Walker::new();
    let root = walker.walk(reply).unwrap();
    let &[kind, result] = walker.sequence(reply, root).unwrap() else { panic!("no (kind, result)") };
    (walker.text(reply, kind).unwrap().to_owned(), walker.extract(reply, result).unwrap())
}

fn method(request: &Frame) -> String {
    let mut walker = Walker::new();
    let root = walker.walk(&request.body).unwrap();
    let method = walker.sequence(&request.body, root).unwrap()[1];
    walker.text(&request.body, method).unwrap().to_owned()
}

fn same_meaning(what: &str, request: &Frame, expected: &[u8], reply: &[u8]) {
    let ((expected_kind, expected), (kind, result)) = (parse(expected), parse(reply));
    match &*kind {
        "#RETURN" => {
            assert_eq!(kind, expected_kind, "{what}");
            match (&*method(request), expected.decode(), result.decode()) {
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
