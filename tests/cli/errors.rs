//! Every mistake has its line and its code.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use netq::{Answer, BaseManager, Call, Exception, KINDS, Shared};

use crate::support::{Directory, Hub, KEY, netq, run};

#[test]
fn wrong_usage_is_code_2_and_says_what_is_right() {
    for (words, reason) in [
        (&[][..], "no command: see netq help"),
        (&["frob"], "unknown command 'frob'"),
        (&["put"], "the name of a queue is missing: see netq put --help"),
        (&["put", "tasks", "--frob"], "unknown option --frob: see netq put --help"),
        (&["put", "tasks", "--timeout"], "--timeout needs a value"),
        (&["put", "tasks", "--timeout", "soon"], "'soon' is not a number of seconds"),
        (&["put", "tasks", "--bytes=yes", "x"], "--bytes takes no value"),
        (&["get", "tasks", "more"], "unexpected argument 'more'"),
        (&["get", "tasks", "-n", "-1"], "'-1' is not a whole number"),
        (&["get", "tasks", "-n", "1", "--follow"], "contradict"),
        (&["get", "tasks", "--connect", "hub:http"], "'hub:http' is not an address"),
        (&["serve", "tasks", "--listen", "/run/netq"], "'/run/netq' is a path: netq speaks TCP"),
        (&["work", "tasks", "--", "no-such-program"], "no directory of PATH has a program 'no-such-program'"),
        (&["work", "tasks", "--", "/no/such/program"], "there is no '/no/such/program'"),
        (&["work", "tasks"], "the command behind --"),
        (&["serve"], "the name of a queue is missing"),
        (&["serve", "my-queue"], "cannot be a method's name in Python"),
        (&["serve", "tasks", "tasks:5"], "'tasks' is named twice"),
        (&["serve", "tasks:5,fast"], "unknown option 'fast'"),
        (&["serve", "tasks,lease=5"], "'lease' is about redelivery: add redeliver"),
        (&["serve", "tasks,redeliver,attempts=3", "tasks_dead:5"], "must not refuse it: leave out :5"),
        (&["serve", "tasks", "--memory", "0"], "'0' is not a size"),
        (&["serve", "tasks", "--max-message", "1T"], "'1T' is not a size"),
        (&["demo", "--workers", "0"], "at least 1"),
        (&["help", "frob"], "unknown command 'frob'"),
    ] {
        let ended = run(netq(words.iter().copied()));
        assert!(ended.error(2).contains(reason), "{words:?}: {ended:?}");
        assert_eq!((ended.stdout.len(), ended.stderr.lines().count()), (0, 1), "{words:?}: {ended:?}");
    }
}

#[test]
fn every_command_has_help_in_both_ways() {
    for command in ["serve", "put", "get", "work", "stat", "shutdown", "demo"] {
        let help = run(netq(["help", command])).ok();
        assert!(help.starts_with(&format!("netq {command}: ")), "{help}");
        assert_eq!(run(netq([command, "--frob", "--help"])).ok(), help);
        assert!(run(netq(["help"])).ok().contains(&format!("\n  {command} ")));
    }
    assert_eq!(run(netq(["--help"])).ok(), run(netq(["help"])).ok());
    assert_eq!(run(netq(["--version"])).ok(), concat!("netq ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn key_that_is_missing_or_empty_is_reported_with_how_to_make_one() {
    let directory = Directory::new("no-key");
    let (empty, missing) = (directory.file("empty"), directory.file("missing"));
    std::fs::write(&empty, "\n").unwrap();
    for (words, variable, code, reason) in [
        (
            &["stat"][..],
            None,
            2,
            "no key: make one with `(umask 077; head -c 32 /dev/urandom | base64 > key)`",
        ),
        (&["stat"], Some(""), 2, "the key in NETQ_AUTHKEY is empty"),
        (&["stat", "--authkey-file", &empty], None, 2, "is empty"),
        (&["serve", "tasks", "--authkey-file", &missing], None, 1, "cannot read the key"),
    ] {
        let mut command = netq(words.iter().copied());
        match variable {
            Some(value) => command.env("NETQ_AUTHKEY", value),
            None => command.env_remove("NETQ_AUTHKEY"),
        };
        let ended = run(command);
        assert!(ended.error(code).contains(reason), "{words:?}: {ended:?}");
    }
}

#[test]
fn hub_that_is_not_there_is_reported() {
    // Bound and closed: nobody listens there now.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for words in [&["put", "tasks", "x"][..], &["get", "tasks"], &["stat"], &["shutdown"]] {
        let ended = run(netq(words.iter().copied().chain(["--connect", &address])));
        let line = ended.error(1);
        assert!(
            line.contains(&format!("cannot reach a hub at {address}")) && line.contains("netq serve"),
            "{line}"
        );
        assert_eq!(ended.stderr.lines().count(), 1);
    }
}

#[test]
fn peer_that_is_no_hub_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let web = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        stream
    });
    let ended = run(netq(["stat", "--connect", &address]));
    web.join().unwrap();
    let line = ended.error(1);
    assert!(line.contains("something else than a hub listens there"), "{line}");
}

#[test]
fn wrong_key_is_reported() {
    let hub = Hub::start(&["tasks"]);
    let mut command = hub.command(&["put", "tasks", "x"]);
    command.env("NETQ_AUTHKEY", "another key");
    let ended = run(command);
    let line = ended.error(1);
    assert!(
        line.contains("another authkey") && line.contains("check --authkey-file or NETQ_AUTHKEY"),
        "{line}"
    );
    assert_eq!(hub.rest("tasks"), []);
}

#[test]
fn unknown_queue_is_reported_with_the_known_ones() {
    let hub = Hub::start(&["tasks", "results"]);
    let mut known: Vec<_> = KINDS.iter().map(|kind| kind.typeid).chain(["results", "tasks"]).collect();
    known.sort_unstable();
    let expected = format!("netq: no queue 'task': this hub serves {}", known.join(", "));
    for words in
        [&["put", "task", "x"][..], &["get", "task"], &["work", "tasks", "--results", "task", "--", "cargo"]]
    {
        let ended = hub.run(words);
        assert_eq!(ended.error(1), expected);
    }
}

/// As a dict on a Python hub: it gives its second argument for a key that it does not have.
struct Settings;

impl Shared for Settings {
    fn exposed(&self) -> &[&'static str] {
        &["get", "update"]
    }

    fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
        let [_, default] = call.bind(["key", "default"], 1)?;
        Ok(default.map_or(0.into(), |_| 0.5.into()))
    }
}

#[test]
fn object_that_is_no_queue_is_refused_with_its_methods() {
    let mut manager = BaseManager::new("127.0.0.1:0", KEY.as_bytes());
    manager.register("settings", Arc::new(Settings));
    let address = manager.start().unwrap().to_string();
    for words in [
        &["get", "settings"][..],
        &["put", "settings", "x"],
        &["work", "settings", "--idle-exit", "0.05", "--", "cargo"],
    ] {
        let options = ["--connect", &address];
        let ended = run(netq(words[..1].iter().chain(&options).chain(&words[1..]).copied()));
        let expected = "netq: 'settings' is no queue but an object with the methods get, update";
        assert_eq!(ended.error(1), expected);
        assert_eq!(ended.stdout, b"");
    }
}

#[test]
fn queue_that_nobody_else_would_ever_see_is_refused() {
    let hub = Hub::start(&["tasks"]);
    let ended = hub.run(&["put", "Queue", "lost"]);
    assert!(ended.error(1).contains("'Queue' makes a new queue for each who asks"), "{ended:?}");
}

#[test]
fn address_in_use_is_reported() {
    let hub = Hub::start(&["tasks"]);
    let ended = run(netq(["serve", "--listen", &hub.address, "tasks"]));
    let line = ended.error(1);
    assert!(line.starts_with(&format!("netq: cannot listen on {}", hub.address)), "{line}");
    assert!(line.contains("is another program using it?"), "{line}");
}
