//! Servers that say what Redis says when something is the matter, or what it never says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use super::*;
use crate::redis::scripts::{PUT, TAKE};

/// A server that answers the nth command with the nth of these, and all later ones with the last; nothing closes the
/// connection. Returns what it was told.
fn server(answers: &'static [&'static str]) -> (Client, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (told, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let heard = told.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (heard, count) = (heard.clone(), count.clone());
            thread::spawn(move || {
                while let Some(command) = command(&stream) {
                    heard.lock().unwrap().push(command);
                    let at = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
                    if answers[at].is_empty() || (&stream).write_all(answers[at].as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let address = Address { host, user: String::new(), password: String::new(), db: 0 };
    (Client::new(address, "h1".into()), told)
}

/// The next command, as words with spaces between.
fn command(stream: &TcpStream) -> Option<String> {
    let number = |mut stream: &TcpStream, kind: char| -> Option<usize> {
        let (mut line, mut byte) = (String::new(), [0]);
        while !line.ends_with("\r\n") {
            stream.read_exact(&mut byte).ok()?;
            line.push(byte[0].into());
        }
        line.trim_end().strip_prefix(kind)?.parse().ok()
    };
    let mut words = Vec::new();
    for _ in 0..number(stream, '*')? {
        let mut word = vec![0; number(stream, '$')? + 2];
        let mut stream = stream;
        stream.read_exact(&mut word).ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).ok()?);
    }
    Some(words.join(" "))
}

fn run(client: &Client, patience: Duration) -> Result<Reply, Trouble> {
    *lock(&client.hashes) = vec!["abc".into(); SCRIPTS.len()];
    client.run(PUT, "{netq:q}:", Some(("somebody", 7)), &Strings::default(), patience)
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn what_passes_is_waited_for_and_the_same_step_is_sent_again() {
    let says: &[&[&str]] = &[
        &["-LOADING Redis is loading the dataset in memory\r\n", ":1\r\n"],
        &["-BUSY Redis is busy running a script\r\n", "-MASTERDOWN Link with MASTER is down\r\n", ":1\r\n"],
        &["-READONLY You can't write against a read only replica.\r\n", ":1\r\n"],
        &["-ERR Error running script (call to f_1): @user_script:7: -READONLY You can't write\r\n", ":1\r\n"],
        &["-MISCONF Errors writing to the AOF file: No space left on device\r\n", ":1\r\n"],
        // The connection breaks before the answer, twice.
        &["", "", ":1\r\n"],
    ];
    for &answers in says {
        let (client, told) = server(answers);
        assert_eq!(run(&client, LONG).unwrap(), Reply::Int(1), "{answers:?}");
        let told = told.lock().unwrap();
        assert_eq!(told.len(), answers.len());
        assert!(told.iter().all(|step| step == "EVALSHA abc 1 {netq:q}: csomebody 7"), "{told:?}");
    }
}

#[test]
fn what_does_not_pass_is_said_at_once_with_what_can_be_done() {
    for (answer, why) in [
        ("-MOVED 3999 127.0.0.1:6381\r\n", "netq speaks to one Redis only"),
        ("-NOAUTH Authentication required.\r\n", "redis://user:password@host"),
        ("-WRONGPASS invalid username-password pair\r\n", "give the right user"),
        (
            "-NOPERM this user has no permissions to run the 'evalsha' command\r\n",
            "may not do what netq needs",
        ),
        ("-ERR something new\r\n", "ERR something new"),
        ("HTTP/1.1 400 Bad Request\r\n", "this is not Redis: "),
        ("$99999999999999999999\r\n", "this is not Redis: "),
    ] {
        let (client, told) = server(Box::leak(Box::new([answer])));
        let begun = Instant::now();
        let trouble = run(&client, LONG).unwrap_err();
        assert!(trouble.to_string().contains(why), "{trouble}");
        assert!(begun.elapsed() < LONG / 2 && told.lock().unwrap().len() == 1, "{answer}");
        assert!(!trouble.is_full());
    }
    let (client, _) = server(&["-OOM command not allowed when used memory > 'maxmemory'.\r\n"]);
    assert!(run(&client, LONG).unwrap_err().is_full());
}

#[test]
fn nobody_waits_for_ever_and_it_is_said_whether_anything_was_done() {
    let (client, told) = server(&["-LOADING Redis is loading\r\n"]);
    let trouble = run(&client, Duration::from_millis(300)).unwrap_err();
    assert!(trouble.to_string().ends_with("it reads its file: wait until it has"), "{trouble}");
    // The pauses grow.
    assert!((3..20).contains(&told.lock().unwrap().len()), "{:?}", told.lock().unwrap().len());

    let (client, _) = server(&[""]);
    let trouble = run(&client, Duration::from_millis(300)).unwrap_err();
    assert!(trouble.outcome().ends_with("whether this was done is not known"), "{trouble}");

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let address = Address { host: nobody, user: String::new(), password: String::new(), db: 0 };
    let trouble = run(&Client::new(address, "h1".into()), Duration::from_millis(300)).unwrap_err();
    assert!(trouble.outcome().ends_with("nothing was done"), "{trouble}");
}

#[test]
fn a_script_that_redis_does_not_know_is_sent_whole() {
    let (client, told) = server(&["-NOSCRIPT No matching script.\r\n", ":1\r\n"]);
    assert_eq!(run(&client, LONG).unwrap(), Reply::Int(1));
    let told = told.lock().unwrap();
    assert_eq!(told[0], "EVALSHA abc 1 {netq:q}: csomebody 7");
    let script = String::from_utf8(whole(PUT)).unwrap();
    assert_eq!(told[1], format!("EVAL {script} 1 {{netq:q}}: csomebody 7"));
}

#[test]
fn each_step_of_a_connection_has_a_number_of_its_own() {
    let (client, told) = server(&[":1\r\n"]);
    *lock(&client.hashes) = vec!["abc".into(); SCRIPTS.len()];
    for _ in 0..2 {
        client.run(TAKE, "q:", None, &Strings::default(), LONG).unwrap();
    }
    let other = client.link();
    client.run(TAKE, "q:", None, &Strings::default(), LONG).unwrap();
    client.keep(other);
    let told = told.lock().unwrap();
    let steps: Vec<&str> = told.iter().filter_map(|step| step.strip_prefix("EVALSHA abc 1 q: ")).collect();
    assert_eq!(steps[..2], ["h1.0 1", "h1.0 2"]);
    assert!(steps[2].ends_with(" 1") && !steps[2].starts_with("h1.0"), "{steps:?}");
}

#[test]
fn what_threads_ask_at_once_each_gets_its_own_answer() {
    let (client, told) = server(&[":1\r\n"]);
    *lock(&client.hashes) = vec!["abc".into(); SCRIPTS.len()];
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let reply = client.run(TAKE, "q:", None, &Strings::default(), LONG);
                    assert_eq!(reply.unwrap(), Reply::Int(1));
                }
            });
        }
    });
    let mut steps = told.lock().unwrap().clone();
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps.len(), 16 * 50, "each step once");
    // They did not each need a connection.
    let connections = lock(&client.links).iter().filter(|link| link.stream.is_some()).count();
    assert_eq!(connections, 0);
}

#[test]
fn connections_beyond_the_idle_ones_are_closed() {
    let (client, _) = server(&[":1\r\n"]);
    let links: Vec<Link> = (0..IDLE + 3)
        .map(|_| {
            let mut link = client.link();
            client.connect(&mut link).unwrap();
            link
        })
        .collect();
    links.into_iter().for_each(|link| client.keep(link));
    let links = lock(&client.links);
    assert_eq!(links.len(), IDLE + 3);
    assert_eq!(links.iter().filter(|link| link.stream.is_some()).count(), IDLE);
    assert!(links.last().unwrap().stream.is_some(), "the next call has one");
}
