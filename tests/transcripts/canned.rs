//! A server that says what CPython's server said in a recording.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use netq::auth;
use netq::connection::{FrameReader, write_frame};

use crate::request::Request;
use crate::transcript::{Exchange, Transcript};

const PATIENCE: Duration = Duration::from_secs(20);

/// The recording, as what to say when.
struct Lines {
    authkey: Vec<u8>,
    /// The first frame and its answer.
    challenge: (Vec<u8>, Vec<u8>),
    /// The replies to the server's own methods, by method and first argument.
    own: HashMap<String, Vec<u8>>,
    /// The calls of objects with their replies, in reverse order.
    calls: Mutex<Vec<(Request, Vec<u8>)>>,
}

/// Serves at the returned address until the test process ends.
pub fn start(transcript: &Transcript) -> SocketAddr {
    let mut own = HashMap::new();
    let mut calls = Vec::new();
    for Exchange { request, reply, .. } in transcript.exchanges() {
        let request = Request::parse(request);
        match request.ident {
            Some(_) => calls.push((request, reply.to_vec())),
            None => drop(own.insert(key(&request), reply.to_vec())),
        }
    }
    calls.reverse();
    let first = &transcript.connections[0].frames;
    let lines = Arc::new(Lines {
        authkey: transcript.authkey.clone(),
        challenge: (first[0].body.clone(), first[1].body.clone()),
        own,
        calls: Mutex::new(calls),
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let lines = lines.clone();
            thread::spawn(move || lines.serve(&stream.unwrap()));
        }
    });
    address
}

fn key(request: &Request) -> String {
    match request.args.first() {
        // The name of the client's thread is of no importance.
        Some(_) if request.method == "accept_connection" => request.method.clone(),
        Some(argument) => format!("{} {argument}", request.method),
        None => request.method.clone(),
    }
}

impl Lines {
    /// A panic here ends the connection, which the client under test does not survive.
    fn serve(&self, stream: &TcpStream) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = FrameReader::new(u32::MAX.into());
        let mut receive = || reader.read(&mut &*stream).unwrap().map(|frame| frame.to_vec());
        let send = |parts: &[&[u8]]| write_frame(&mut &*stream, &mut Vec::new(), parts).unwrap();

        let (challenge, recorded) = &self.challenge;
        send(&[challenge]);
        let answer = receive().unwrap();
        let message = challenge.strip_prefix(auth::CHALLENGE).unwrap();
        if auth::verify(&self.authkey, message, &answer, true).is_err() {
            return send(&[auth::FAILURE]);
        }
        // One key and one message have one answer; Python 3.11 and older know no other dialect than MD5.
        assert!(answer == *recorded || recorded.len() == 16, "an answer unlike Python's");
        send(&[auth::WELCOME]);
        let challenge = receive().unwrap();
        let message = challenge.strip_prefix(auth::CHALLENGE).unwrap();
        send(&[&auth::answer(&self.authkey, message).unwrap()]);
        assert_eq!(receive().unwrap(), auth::WELCOME);

        while let Some(request) = receive() {
            let request = Request::parse(&request);
            if request.ident.is_none() {
                send(&[&self.own[&key(&request)]]);
            } else {
                let (expected, reply) = self.calls.lock().unwrap().pop().unwrap();
                assert_eq!(request, expected, "not the request that Python sent");
                send(&[&reply]);
            }
        }
    }
}
