//! Replays what CPython's `multiprocessing.managers` put on the wire: no Python is needed to run these tests.
//!
//! The recordings are in `tests/transcripts`, with the program that made them and a description of the format.

#[path = "transcripts/transcript.rs"]
mod transcript;

use netq::auth::{self, AuthError};
use transcript::{Connection, Transcript};

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
