//! Peers that send what no manager's client sends: each gets the protocol's answer or a closed connection,
//! the hub says one line about it, and nobody else notices.

mod support;

use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use netq::connection::{AuthKey, Stranger};
use netq::pickle::Value;
use netq::{Options, Pickled};
use support::process::Process;
use support::*;

/// The other processes of these tests.
#[test]
fn role() {
    if let Some((_, address)) = process::role() {
        process::be_a_hub(address, Options::default());
    }
}

/// A hub whose handshakes and messages are bounded tightly enough for a test to wait for.
fn small_hub() -> Hub {
    Hub::start(Options { max_message: 100_000, remote_shutdown: false, ..Options::default() })
}

#[test]
fn a_peer_that_is_no_manager_is_closed_with_one_line_in_the_log() {
    let hub = small_hub();
    let normal = Normal::start(hub.address);
    let mut rng = Rng::new(1);
    let noise: Vec<u8> = (0..2000).map(|_| rng.byte()).collect();
    // Read as a length it is short enough to wait for, so the end of the stream has to end it.
    let short = [&[0, 0, 0, 200][..], &noise[..50]].concat();
    for (peer, hello) in [
        ("HTTP", &b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"[..]),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n"),
        ("random bytes", &noise),
        ("half a frame", &short),
        ("a negative length", b"\xff\xff\xff\xfe\0\0\0\0"),
        ("a huge length", b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff"),
        ("an empty answer", b"\0\0\0\0"),
        ("nothing", b""),
    ] {
        let stream = TcpStream::connect(hub.address).unwrap();
        let local = stream.local_addr().unwrap();
        try_write(&stream, hello);
        let _ = stream.shutdown(Shutdown::Write);
        let sent = expect_closed(&stream);
        assert!(sent.len() < 200 && !sent.windows(9).any(|w| w == b"#WELCOME#"), "{peer}: {sent:?}");
        wait_until(peer, || !hub.log_about(local).is_empty());
        let lines = hub.log_about(local);
        assert_eq!(lines.len(), 1, "{peer}: {lines:?}");
    }
    normal.finish();
    assert_eq!(hub.figure("failed_handshakes"), 9);
}

#[test]
fn a_wrong_key_is_answered_with_failure_and_named_in_the_log() {
    let hub = small_hub();
    let normal = Normal::start(hub.address);
    let stream = std::sync::Arc::new(TcpStream::connect(hub.address).unwrap());
    let local = stream.local_addr().unwrap();
    let error =
        Stranger::new(stream, PATIENCE).unwrap().introduce(&AuthKey::new(b"another"), 100).unwrap_err();
    assert_eq!(error.to_string(), "key rejected: the peer uses another authkey");
    wait_until("a line about it", || !hub.log_about(local).is_empty());
    assert_eq!(hub.log_about(local), ["wrong key: the peer's answer does not match our authkey"]);
    normal.finish();
}

#[test]
fn a_message_that_is_too_long_is_drained_and_answered_with_the_limit() {
    let hub = small_hub();
    let normal = Normal::start(hub.address);
    let mut connection = accepted(hub.address);
    let local = connection.stream().local_addr().unwrap();
    for long in [100_001, 5_000_000] {
        connection.send(&[&vec![b'x'; long]]).unwrap();
        let answer = reply_text(&mut connection);
        assert!(answer.starts_with("#ERROR ValueError"), "{answer}");
        assert!(answer.contains(&long.to_string()) && answer.contains("limit of 100000 bytes"), "{answer}");
        assert_eq!(ask(&mut connection, &request(Some(TASKS), "close", vec![])), "#RETURN None");
    }
    wait_until("two lines about it", || hub.log_about(local).len() > 1);
    let lines = hub.log_about(local);
    assert!(lines.len() == 2 && lines[0].contains("100001"), "{lines:?}");
    normal.finish();
}

/// Requests that are answered with a text, and what the text says.
#[test]
fn a_request_that_makes_no_sense_is_answered_and_logged_and_the_connection_goes_on() {
    let hub = small_hub();
    let normal = Normal::start(hub.address);
    let nested = [&b"(".repeat(4_000)[..], &b"t".repeat(3_000)].concat();
    let long_name = "x".repeat(2_000);
    let forged = "x\n127.0.0.1:1: all is well";
    let dict_key: &[u8] = b"\x80\x04(\x8c\x01q\x8c\x03put)}K\x01K\x02st.";
    for (what, message, answer) in [
        ("nothing", b"".to_vec(), "the pickle ends at offset 0 without STOP"),
        ("no pickle", b"hello".to_vec(), "UnpicklingError"),
        ("a truncated pickle", request(Some(TASKS), "qsize", vec![])[..20].to_vec(), "cut off"),
        ("a pickle and more", [&request(Some(TASKS), "qsize", vec![])[..], b"x"].concat(), "1 bytes follow"),
        ("an unknown opcode", put_of(b"\xf0"), "unknown opcode 0xf0"),
        ("a persistent id", put_of(b"Pid\n"), "PERSID"),
        ("a buffer that is elsewhere", put_of(b"\x97"), "NEXT_BUFFER"),
        ("an undefined memo entry", put_of(b"h\x63"), "memo entry 99"),
        ("a protocol of the future", b"\x80\x09N.".to_vec(), "protocol 9"),
        ("marks without end", put_of(&nested), "finds"),
        ("a number", b"\x80\x04K\x01.".to_vec(), "a request must be a tuple"),
        ("three parts", b"\x80\x04NNN\x87.".to_vec(), "a request must be a tuple"),
        (
            "arguments that are no tuple",
            b"\x80\x04(\x8c\x01q\x8c\x03putK\x01}t.".to_vec(),
            "a request must be",
        ),
        ("keywords that are no names", dict_key.to_vec(), "a request must be"),
        ("a method that is no name", b"\x80\x04(\x8c\x01qK\x01)}t.".to_vec(), "a request must be"),
        ("a name that is too long", request(Some(TASKS), &long_name, vec![]), "a request must be"),
        ("an unknown ident", request(Some("nobody"), "get", vec![]), "no object 'nobody'"),
        ("no ident", request(None, "dummy", vec![]), "no object 'None'"),
        ("an unknown method", request(Some(TASKS), "steal", vec![]), "no method 'steal'"),
        ("a name with a line feed", request(Some(forged), "get", vec![]), "no object 'x"),
    ] {
        let mut connection = accepted(hub.address);
        let local = connection.stream().local_addr().unwrap();
        let text = ask(&mut connection, &message);
        assert!(text.starts_with("#TRACEBACK ") && text.contains(answer), "{what}: {text}");
        wait_until(what, || !hub.log_about(local).is_empty());
        let lines = hub.log_about(local);
        assert!(lines.len() == 1 && lines[0].contains(answer), "{what}: {lines:?}");
        assert!(!lines[0].contains('\n') && lines[0].len() < 500, "{what}: {lines:?}");
        assert_eq!(ask(&mut connection, &request(Some(TASKS), "close", vec![])), "#RETURN None", "{what}");
    }
    normal.finish();
    assert_eq!(hub.queue.stats().len, 0);
}

#[test]
fn a_wrong_request_to_the_server_itself_is_answered_with_what_would_be_right() {
    let hub = small_hub();
    for (method, args, answer) in [
        ("launch", vec![], "no method 'launch'"),
        (
            "create",
            vec!["get_tusk_queue".into()],
            "this hub serves get_careful_queue, get_other_queue, get_task_queue",
        ),
        ("create", vec![], "typeid"),
        ("create", vec![Value::List(vec![])], "typeid"),
        ("incref", vec!["nobody".into()], "no object 'nobody'"),
        ("decref", vec![7.into()], "ident"),
        ("get_methods", vec!["no token".into()], "Token"),
        ("shutdown", vec![], "cannot be stopped"),
    ] {
        let mut connection = authenticate(hub.address);
        let local = connection.stream().local_addr().unwrap();
        let text = ask(&mut connection, &request(None, method, args));
        assert!(text.starts_with("#TRACEBACK ") && text.contains(answer), "{method}: {text}");
        assert_eq!(expect_closed(connection.stream()), b"", "one request, and no more");
        wait_until(method, || !hub.log_about(local).is_empty());
        assert_eq!(hub.log_about(local).len(), 1, "{method}: {:?}", hub.log_about(local));
    }
}

#[test]
fn mutated_handshakes_and_requests_harm_nobody() {
    const SEED: u64 = 20_240_601;
    println!("seed {SEED}");
    let hub = small_hub();
    let normal = Normal::start(hub.address);
    let mut rng = Rng::new(SEED);

    // Answers to a challenge that nobody can know, in both dialects, and what follows them.
    let answers = [frame(&[b"{sha256}", &[7; 32][..]].concat()), frame(&[7; 16]), frame(b"#WELCOME#")];
    let everything = answers.concat();
    for _ in 0..300 {
        let mut bytes = answers[rng.below(3)].clone();
        rng.mutate(&mut bytes, &everything);
        let stream = TcpStream::connect(hub.address).unwrap();
        try_write(&stream, &bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let sent = expect_closed(&stream);
        assert!(!sent.windows(9).any(|w| w == b"#WELCOME#"), "{bytes:?}");
    }

    // Requests of members. None of them waits, unless it is changed so that it does: then it is left alone.
    let block = |flag: bool| vec![Value::Bool(flag)];
    let requests = [
        request(Some(TASKS), "put_nowait", vec![("a", 1, vec![Value::None]).into()]),
        request(Some(TASKS), "put_many", vec![Value::List(vec![1.into(), "b".into()])]),
        request(Some(TASKS), "get", block(false)),
        request(Some(TASKS), "get_many", vec![3.into(), false.into()]),
        request(Some(TASKS), "qsize", vec![]),
        b"\x80\x04(\x8c\x0eget_task_queue\x94\x8c\x03put\x94h\x01\x85}\x8c\x07timeoutG?\xe0\0\0\0\0\0\0st."
            .to_vec(),
    ];
    let everything = requests.concat();
    let (mut answered, mut ended) = (0, 0);
    let mut connection = accepted(hub.address);
    for case in 0..4_000 {
        let mut bytes = requests[rng.below(requests.len())].clone();
        rng.mutate(&mut bytes, &everything);
        connection.send(&[&bytes]).unwrap();
        connection.stream().set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        match connection.receive() {
            Ok(Some(reply)) => {
                assert!(reply.starts_with(b"\x80\x04\x8c"), "case {case}: {bytes:?}");
                answered += 1;
            }
            // It waits for an item, because a `false` is a `true` now, or for one more byte.
            _ => {
                connection = accepted(hub.address);
                ended += 1;
            }
        }
    }
    println!("{answered} answered, {ended} left alone");
    assert!(answered > 3_900, "{answered}");
    normal.finish();
    drop(connection);
    wait_until("all threads have ended", || hub.figure("connections") == 1);
}

/// What a pickle bomb may cost: of memory at the most, and still a second later, in KiB beyond its message.
struct Cost {
    peak: u64,
    after: u64,
}

/// Sends `message`, which is a bomb, to a hub of its own, and returns the answer and, if that is `None`, what
/// was stored. The hub is asked for it, so the time and the memory include what a getter costs.
#[cfg(target_os = "linux")]
fn explode(name: &str, message: &[u8], cost: Cost) -> (String, Vec<u8>) {
    use support::process::{eventually, status};

    let hub = Process::start("hub", None);
    let mut connection = accepted(hub.line().parse().unwrap());
    let before = status(hub.id(), "VmRSS");
    let begun = Instant::now();
    let answer = ask(&mut connection, message);
    let mut stored = Vec::new();
    if answer == "#RETURN None" {
        connection.send(&[&request(Some(TASKS), "get", vec![false.into()])]).unwrap();
        let reply = connection.receive().unwrap().unwrap();
        let item =
            reply.strip_prefix(b"\x80\x04\x8c\x07#RETURN").and_then(|rest| rest.strip_suffix(b"\x86."));
        stored = item.expect("an item").to_vec();
    }
    let took = begun.elapsed();
    let length = message.len() as u64 >> 10;
    let peak = status(hub.id(), "VmHWM").saturating_sub(before);
    println!("{name}: {length} KiB, {took:?}, {peak} KiB at the most: {answer:.80}");
    assert!(peak < cost.peak + 3 * length, "{name}: {peak} KiB for a message of {length} KiB");
    assert!(took < Duration::from_secs(10), "{name}: {took:?}");
    // A sign of life, by which the hub lets go of the item.
    assert_eq!(ask(&mut connection, &request(Some(TASKS), "close", vec![])), "#RETURN None");
    let left = || status(hub.id(), "VmRSS").saturating_sub(before);
    assert!(eventually(Duration::from_secs(3), || left() < cost.after), "{name}: {} KiB are kept", left());
    (answer, stored)
}

/// Puts `item`, which is a bomb: it comes back as it went in, or is refused.
#[cfg(target_os = "linux")]
fn put_bomb(name: &str, item: &[u8], cost: Cost, stays: bool) {
    let (answer, stored) = explode(name, &put_of(item), cost);
    assert_eq!(answer == "#RETURN None", stays, "{name}: {answer:.200}");
    if stays {
        let expected = Pickled::from_pickle(&[item, b"."].concat()).unwrap();
        assert!(stored == expected.as_bytes(), "{name}: it is not what was put");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn pickle_bombs_cost_what_they_weigh_and_no_more() {
    let kilo = 1 << 10;
    let many = 1 << 20;
    let cheap = || Cost { peak: 4 * kilo, after: 4 * kilo };
    let bomb = |parts: &[&[u8]]| parts.concat();

    // A memo number that would size a table of 16 GB.
    put_bomb("huge memo index", b"Nr\xff\xff\xff\xff", cheap(), true);
    put_bomb("huge memo index, in digits", b"Np4294967295\n", cheap(), true);
    put_bomb("memo index beyond all numbers", b"Np99999999999999999999\n", cheap(), false);
    // Lengths that are announced and never come.
    for announced in
        [&b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"[..], b"X\xff\xff\xff\xff", b"\x8b\xff\xff\xff\x7f"]
    {
        put_bomb("huge announced length", announced, cheap(), false);
    }
    put_bomb("huge announced frame", b"\x95\xff\xff\xff\xff\xff\xff\xff\x7fN", cheap(), true);
    // A million marks, and a million lists in each other: a reader that recurses would be out of stack.
    let marks = bomb(&[&b"(".repeat(many), &b"t".repeat(many)]);
    put_bomb("nested marks", &marks, Cost { peak: 40 * kilo, after: 8 * kilo }, true);
    let deep = bomb(&[&b"]".repeat(many), &b"a".repeat(many - 1)]);
    put_bomb("a million-deep list", &deep, Cost { peak: 40 * kilo, after: 8 * kilo }, true);
    // DUP doubles what is on the stack for a byte; nothing writes it, so it is refused.
    put_bomb("quadratic dup", &bomb(&[b"](", &b"2".repeat(1000), b"e"]), cheap(), false);
    // Each list holds the one before twice: as a tree, 2^60 elements.
    let laughs: Vec<u8> = (0..60_u8).flat_map(|n| [b']', 0x94, b'(', b'h', n, b'h', n, b'e']).collect();
    put_bomb("amplification through shared references", &bomb(&[b"](]\x94", &laughs, b"e"]), cheap(), true);
    // Filing one object again and again took 35 bytes of notes for each byte.
    put_bomb(
        "one object in the memo for ever",
        &bomb(&[b"N", &b"\x94".repeat(4 * many)]),
        Cost { peak: 96 * kilo, after: 16 * kilo },
        false,
    );
    put_bomb(
        "nothing but references",
        &bomb(&[b"]\x94(", &b"h\x00".repeat(many), b"e"]),
        Cost { peak: 64 * kilo, after: 8 * kilo },
        true,
    );
    put_bomb(
        "nothing but empty lists that are thrown away",
        &bomb(&[b"]", &b"]0".repeat(5 * many)]),
        Cost { peak: 200 * kilo, after: 16 * kilo },
        false,
    );
    // A flag that is a list of two million lists: it is true, and need not be built for that.
    let flag =
        [b"\x80\x04(\x8c\x0eget_task_queue\x8c\x03putN](", &b"]".repeat(2 * many)[..], b"e\x86}t."].concat();
    let (answer, stored) = explode("a huge flag", &flag, Cost { peak: 64 * kilo, after: 8 * kilo });
    assert_eq!((&*answer, &*stored), ("#RETURN None", &b"N"[..]));
}

/// These took time with the square of their length: minutes for a megabyte.
#[test]
fn messages_that_refer_to_the_same_thing_for_ever_are_read_in_linear_time() {
    let hub = Hub::start(Options::default());
    let count = 60_000;
    // A name with many filing opcodes behind it, which is the name of each parameter.
    let names = [
        b"\x80\x04(\x8c\x0eget_task_queue\x8c\x03put\x94",
        &b"\x80\x04".repeat(count)[..],
        b")}(",
        &b"h\x00N".repeat(count),
        b"ut.",
    ];
    // Tuples in tuples that begin at one place, and references to the innermost.
    let starts = [
        b"\x80\x04(\x8c\x0eget_task_queue\x8c\x08put_many](N",
        &b"\x85\x94".repeat(count)[..],
        &b"h\x00".repeat(count),
        b"e\x85}t.",
    ];
    // A large string for each of many items.
    let copies = [
        b"\x80\x04(\x8c\x0eget_task_queue\x8c\x08put_many](X\0\0\x10\0",
        &[b'x'; 1 << 20][..],
        b"\x94",
        &b"h\x00".repeat(count),
        b"e\x85}t.",
    ];
    for (what, message, answer) in [
        ("names", names.concat(), "#TRACEBACK ValueError: a request must be"),
        ("starts", starts.concat(), "#RETURN 60001"),
        ("copies", copies.concat(), "#ERROR ValueError"),
    ] {
        let begun = Instant::now();
        let mut connection = accepted(hub.address);
        let text = ask(&mut connection, &message);
        assert!(text.starts_with(answer), "{what}: {text:.200}");
        println!("{what}: {} KiB, {:?}", message.len() >> 10, begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(8), "{what}: {:?}", begun.elapsed());
    }
}
