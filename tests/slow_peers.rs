//! Peers that are silent, slow, stuck or too many, while others go on at their usual speed.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use netq::connection::{AuthKey, Stranger};
use netq::pickle::Value;
use netq::{BaseManager, Error, Options, Pickled};
use support::process::Process;
use support::*;

/// The other processes of these tests.
#[test]
fn role() {
    if let Some((_, address)) = process::role() {
        process::be_a_hub(address, Options::default());
    }
}

/// What no normal client ever waits for a put and a get: they take well under a millisecond, and the
/// machine that runs the tests may be busy.
const NOTICEABLE: Duration = Duration::from_secs(5);

/// Strangers, each of which the hub has accepted: a burst of them would be held back by the listener's queue.
fn strangers(hub: &Hub, count: usize) -> Vec<TcpStream> {
    let streams = (0..count).map(|_| TcpStream::connect(hub.address).unwrap());
    streams.inspect(challenged).collect()
}

/// Waits for the challenge: the hub has given the connection its thread.
fn challenged(mut stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut header = [0; 4];
    stream.read_exact(&mut header).unwrap();
    stream.read_exact(&mut vec![0; u32::from_be_bytes(header) as usize]).unwrap();
}

#[test]
fn hundreds_of_silent_slow_and_stuck_strangers_are_closed_at_the_deadline_and_disturb_nobody() {
    let deadline = Duration::from_secs(2);
    let hub = Hub::start(Options { handshake_timeout: deadline, max_strangers: 1000, ..Options::default() });
    let normal = Normal::start(hub.address);
    let begun = Instant::now();
    let silent = strangers(&hub, 100);
    let slow = strangers(&hub, 100);
    let stuck = strangers(&hub, 100);
    for stream in &stuck {
        // A header and a part of the answer that it announces.
        (&*stream).write_all(b"\0\0\0\x28{sha256}abc").unwrap();
    }
    // A frame of 250 bytes, ten bytes a second for each: every read of the hub's brings something.
    let (stop, stopped) = channel::<()>();
    let trickle = thread::spawn(move || {
        slow.iter().for_each(|mut stream| stream.write_all(b"\0\0\0\xfa").unwrap());
        while stopped.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
            slow.iter().for_each(|stream| try_write(stream, b"x"));
        }
        slow
    });
    for stream in silent.iter().chain(&stuck) {
        assert_eq!(expect_closed(stream), b"", "a challenge, and no more");
    }
    let took = begun.elapsed();
    assert!(took > deadline / 2, "{took:?}: closed before the deadline");
    assert!(took < deadline + NOTICEABLE, "{took:?}: closed too late");
    wait_until("the slow ones are gone too", || hub.figure("failed_handshakes") == 300);
    assert!(begun.elapsed() < deadline + NOTICEABLE, "{:?}: a trickle moves the deadline", begun.elapsed());
    drop(stop);
    trickle.join().unwrap().iter().for_each(|stream| drop(expect_closed(stream)));

    let (rounds, slowest) = normal.finish();
    println!("{rounds} rounds of a normal client, the slowest {slowest:?}");
    assert!(slowest < NOTICEABLE, "{slowest:?}");
    let late = || hub.log().iter().filter(|line| line.ends_with("no handshake before the deadline")).count();
    wait_until("one line for each", || late() == 300);
}

#[test]
fn members_that_stop_in_the_middle_of_a_request_disturb_nobody() {
    let hub = Hub::start(Options::default());
    let normal = Normal::start(hub.address);
    let request = frame(&request(Some(TASKS), "put", vec!["an item that is not to arrive".into()]));
    let stuck: Vec<_> = (0..200)
        .map(|n| {
            let connection = accepted(hub.address);
            let cut = 1 + n % (request.len() - 1);
            (&**connection.stream()).write_all(&request[..cut]).unwrap();
            connection
        })
        .collect();
    // One that announces a gigabyte costs what it sends.
    let liar = accepted(hub.address);
    (&**liar.stream()).write_all(b"\x07\0\0\0\x80\x04").unwrap();
    let (rounds, slowest) = normal.finish();
    println!("{rounds} rounds of a normal client, the slowest {slowest:?}");
    assert!(slowest < NOTICEABLE, "{slowest:?}");
    drop((stuck, liar));
    wait_until("their threads have ended", || hub.figure("connections") == 1);
    assert_eq!(hub.queue.stats().puts, 0, "no part of a request is a request");
}

#[test]
fn a_client_that_does_not_read_its_reply_is_closed_and_its_item_goes_to_the_next() {
    let hub = Hub::start(Options { write_timeout: Duration::from_millis(300), ..Options::default() });
    let normal = Normal::start(hub.address);
    // More than the kernel keeps for a reader that does not read.
    let large = Pickled::from(Value::Bytes(vec![7; 24 << 20]));
    let count = 6;
    for _ in 0..count {
        hub.queue.try_put(large.clone()).unwrap();
    }
    let deaf: Vec<_> = (0..count)
        .map(|_| {
            let mut connection = accepted(hub.address);
            connection.send(&[&support::request(Some(TASKS), "get", vec![])]).unwrap();
            connection
        })
        .collect();
    wait_until("each was given an item, and lost it", || hub.queue.stats().returned >= count);
    wait_until("each was closed", || hub.log().iter().filter(|l| l.contains("does not read")).count() == 6);
    assert_eq!(hub.queue.stats().len, count as usize);
    let reader = hub.proxy();
    for _ in 0..count {
        assert_eq!(reader.get().unwrap(), large.decode());
    }
    assert_eq!(reader.qsize().unwrap(), 0);
    for connection in deaf {
        let received = expect_closed(connection.stream());
        assert!(received.len() < large.len(), "it was never sent whole");
    }
    let (_, slowest) = normal.finish();
    assert!(slowest < NOTICEABLE, "{slowest:?}");
}

#[test]
fn the_oldest_stranger_makes_room_for_the_newest_so_that_workers_are_never_locked_out() {
    let hub = Hub::start(Options { max_strangers: 10, ..Options::default() });
    let mut strangers = std::collections::VecDeque::new();
    for number in 0..50 {
        let stream = TcpStream::connect(hub.address).unwrap();
        challenged(&stream);
        strangers.push_back(stream);
        if number >= 10 {
            expect_closed(&strangers.pop_front().unwrap());
        }
    }
    // The last ten are still there, and a worker comes in all the same: over 10 strangers.
    let worker = hub.proxy();
    worker.put(1).unwrap();
    assert_eq!(worker.get().unwrap(), 1.into());
    let evicted = hub.figure("evicted");
    assert!((40..60).contains(&evicted), "{evicted}");
    assert_eq!(hub.figure("refused"), 0);
}

#[test]
fn connections_over_the_limit_are_closed_at_once_counted_and_logged() {
    let limit = 20;
    let hub = Hub::start(Options { max_connections: limit, ..Options::default() });
    let members: Vec<_> = (0..limit).map(|_| accepted(hub.address)).collect();
    for _ in 0..30 {
        let stream = TcpStream::connect(hub.address).unwrap();
        assert_eq!(expect_closed(&stream), b"", "not even a challenge");
    }
    let refusals =
        || hub.log().iter().filter(|line| line.contains("refused: there are 20 connections")).count();
    wait_until("all are logged", || refusals() == 30);
    drop(members);
    wait_until("there is room again", || hub.manager.connect().is_ok());
    let refused = hub.figure("refused");
    let lines = || hub.log().iter().filter(|line| line.contains("refused")).count() as i64;
    wait_until("each is logged", || lines() == refused);
    assert_eq!(hub.figure("accepted") as usize, limit + 3);
}

#[test]
#[cfg(target_os = "linux")]
fn a_hub_without_descriptors_does_not_spin_and_recovers() {
    let hub = Process::start_with("hub", None, Some(40), &[]);
    let address = hub.line().parse().unwrap();
    let worker = client(address).queue(TASKS).unwrap();
    worker.put(0).unwrap();
    // Members, so that no stranger can be closed for another one. Past the hub's limit the kernel still
    // accepts, so that a handshake waits.
    let mut members = Vec::new();
    let waiting = loop {
        let stream = Arc::new(TcpStream::connect(address).unwrap());
        let stranger = Stranger::new(stream.clone(), Duration::from_millis(500)).unwrap();
        match stranger.introduce(&AuthKey::new(KEY), 100) {
            Ok(member) => members.push(member),
            Err(_) => break stream,
        }
        assert!(members.len() < 60, "the limit of descriptors does not hold");
    };
    assert!(members.len() > 10, "{}", members.len());

    let (used, begun) = (process::processor_time(hub.id()), Instant::now());
    let mut rounds = 0;
    // What is measured is a stretch of time: the worker, who is inside, is served in it.
    while begun.elapsed() < Duration::from_secs(1) {
        assert_eq!(worker.get().unwrap(), Value::Int(rounds));
        rounds += 1;
        worker.put(rounds).unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    let used = process::processor_time(hub.id()) - used;
    assert!(used < begun.elapsed() / 4, "{used:?} in {:?}", begun.elapsed());

    drop(members);
    drop(waiting);
    wait_until("somebody comes in again", || client(address).connect().is_ok());
    assert_eq!(worker.get().unwrap(), Value::Int(rounds));
}

/// A listener that takes connections and says nothing, ever.
fn black_hole() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    address
}

#[cfg(unix)]
#[test]
fn a_client_s_timeout_holds_though_its_hub_is_frozen_gone_or_replaced_by_one_that_says_nothing() {
    let timeout = Duration::from_millis(200);
    let bounded = |call: &dyn Fn() -> Result<Value, Error>| {
        let begun = Instant::now();
        let error = call().unwrap_err();
        assert!(
            matches!(error, Error::Lost { .. } | Error::Connect { .. } | Error::Handshake { .. }),
            "{error}"
        );
        assert!(begun.elapsed() < timeout + NOTICEABLE, "{:?}", begun.elapsed());
    };
    let mut hub = Process::start("hub", None);
    let address: SocketAddr = hub.line().parse().unwrap();
    // With all the patience of a client that reconnects.
    let manager = BaseManager::new(address.to_string(), KEY);
    let [frozen, fresh, gone] = [(); 3].map(|()| manager.queue(TASKS).unwrap());
    frozen.qsize().unwrap();
    gone.qsize().unwrap();
    hub.signal("-STOP");
    bounded(&|| frozen.get_timeout(timeout));
    bounded(&|| frozen.put_timeout("x".repeat(16 << 20), timeout).map(|()| Value::None));
    bounded(&|| fresh.take_timeout(timeout).map(|_| Value::None));
    hub.signal("-CONT");
    hub.kill();
    bounded(&|| gone.get_timeout(timeout));
    assert!(matches!(
        BaseManager::new(black_hole().to_string(), KEY).connect(),
        Err(Error::Handshake { .. })
    ));
}
