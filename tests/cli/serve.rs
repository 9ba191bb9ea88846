//! `netq serve`, `netq stat` and `netq shutdown`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use netq::{Error, KINDS, Pickled};

use crate::support::{DEADLINE, Directory, Hub, KEY, Running, run, wait_for};

#[test]
fn hub_says_what_it_serves_and_how_python_gets_there() {
    let hub = Hub::start(&["tasks:10", "results,redeliver,attempts=2", "--memory", "3M"]);
    assert_eq!(hub.line(), "netq: queue tasks (maxsize 10, memory 1M)");
    let redelivery = "redeliver, given up to results_dead after 2 redeliveries";
    assert_eq!(hub.line(), format!("netq: queue results (any number of items, memory 1M, {redelivery})"));
    assert_eq!(hub.line(), "netq: queue results_dead (any number of items: those that results gives up)");
    let factories = KINDS.iter().map(|kind| kind.typeid).collect::<Vec<_>>().join(", ");
    assert_eq!(hub.line(), format!("netq: factories {factories} (up to 256 objects, memory 4K each)"));
    let mut program = String::new();
    while !program.contains(".get()") {
        program += &hub.line();
        program += "\n";
    }
    let port = hub.address.rsplit(':').next().unwrap();
    for part in [
        "class QueueManager(BaseManager):",
        "QueueManager.register('tasks')\nQueueManager.register('results')\nQueueManager.register('results_dead')\n",
        &format!("address=('127.0.0.1', {port})"),
        "os.environ['NETQ_AUTHKEY'].encode()",
        "tasks.put('hello')",
    ] {
        assert!(program.contains(part), "{part} is not in {program}");
    }
    assert!(!program.contains(KEY));
}

#[test]
fn factories_make_queues_with_a_bound_by_position_or_by_name() {
    let hub = Hub::start(&["tasks"]);
    for factory in ["Queue", "JoinableQueue"] {
        let bounded = hub.manager().proxy(factory, &[1.into()]).map(netq::QueueProxy::new).unwrap();
        bounded.try_put("a").unwrap();
        assert!(matches!(bounded.try_put("b"), Err(Error::Full)));
        let unbounded = hub.manager().queue(factory).unwrap();
        (0..100).for_each(|number| unbounded.try_put(number).unwrap());
    }
}

#[test]
fn shutdown_ends_the_hub() {
    let mut hub = Hub::start(&["tasks"]);
    hub.run(&["shutdown"]).ok();
    let status = wait_for("the hub's end", || hub.running.child.try_wait().unwrap());
    assert!(status.success());
}

#[test]
fn hub_can_refuse_to_be_stopped_by_clients() {
    let hub = Hub::start(&["tasks", "--no-remote-shutdown"]);
    let ended = hub.run(&["shutdown"]);
    assert!(ended.error(1).contains("cannot be stopped by its clients"), "{ended:?}");
    hub.run(&["put", "tasks", "still there"]).ok();
}

#[test]
fn limits_are_kept() {
    let hub = Hub::start(&["tasks", "--max-message", "1K", "--data-only", "--sha256-only"]);
    let ended = hub.run(&["put", "tasks", &"x".repeat(2000)]);
    assert!(ended.error(1).contains("over the hub's limit of 1024 bytes"), "{ended:?}");
    let class = Pickled::from_pickle(b"\x80\x02cfractions\nFraction\nq\x00.").unwrap();
    assert!(matches!(hub.queue("tasks").put(class), Err(Error::Raised(_))));
    hub.run(&["put", "tasks", "short"]).ok();
    let text = hub.run(&["stat"]).ok();
    for limit in ["messages up to 1K, data only", "handshakes within 10 s, by SHA-256 only"] {
        assert!(text.contains(limit), "{text}");
    }
}

#[test]
fn each_queue_has_its_own_share_of_the_memory() {
    let hub = Hub::start(&["tasks,redeliver,attempts=1", "results", "--memory", "300K"]);
    let (tasks, item) = (hub.queue("tasks"), "x".repeat(60_000));
    tasks.try_put(item.clone()).unwrap();
    assert!(matches!(tasks.try_put(item.clone()), Err(Error::Full)));
    let ended = hub.run(&["put", "tasks", "--timeout", "0.05", &item]);
    assert!(ended.error(3).contains("stayed full"), "{ended:?}");
    hub.run(&["put", "results", &item]).ok();
    let error = tasks.put("x".repeat(200_000)).unwrap_err().to_string();
    assert!(error.starts_with("ValueError") && error.contains("--memory"), "{error}");
    // What is given up has to go somewhere.
    (0..5).for_each(|_| hub.queue("tasks_dead").try_put(item.clone()).unwrap());
    let text = hub.run(&["stat"]).ok();
    assert!(text.contains("58.6K/100K"), "{text}");
}

#[test]
fn factories_make_no_more_queues_than_there_is_memory_for() {
    let hub = Hub::start(&["tasks", "--memory", "1M"]);
    let mut made: Vec<_> =
        (0..256).map(|n| hub.manager().queue(["Queue", "JoinableQueue"][n % 2]).unwrap()).collect();
    let error = hub.manager().queue("Queue").unwrap_err().to_string();
    assert!(error.contains("RuntimeError: 256 objects") && error.contains("name more queues"), "{error}");
    let share = (512 << 10) / 256;
    assert!(made[0].put("x".repeat(share)).unwrap_err().to_string().starts_with("ValueError"));
    made[0].put("x".repeat(share - 200)).unwrap();
    made.pop();
    hub.manager().queue("Queue").unwrap();
}

#[test]
fn connections_beyond_the_limit_are_refused() {
    let hub = Hub::start(&["tasks", "--max-connections", "2"]);
    // A client's short connections count until the hub has seen their end.
    let proxy = || wait_for("room for a proxy", || hub.manager().queue("tasks").ok());
    let mut proxies = [proxy(), proxy()];
    proxies.iter_mut().for_each(|proxy| wait_for("room for a connection", || proxy.put("x").ok()));
    let ended = hub.run(&["stat"]);
    assert!(ended.error(1).contains("has it room for one more connection?"), "{ended:?}");
}

#[test]
fn stranger_is_closed_after_the_deadline_and_logged_unless_quiet() {
    for (words, logged) in [(&["tasks"][..], true), (&["tasks", "--quiet"], false)] {
        let words: Vec<&str> = words.iter().copied().chain(["--handshake-timeout", "0.05"]).collect();
        let hub = Hub::start(&words);
        let mut stranger = TcpStream::connect(&hub.address).unwrap();
        stranger.set_read_timeout(Some(DEADLINE)).unwrap();
        stranger.write_all(&[0]).unwrap();
        stranger.read_to_end(&mut Vec::new()).unwrap();
        hub.run(&["shutdown"]).ok();
        let Hub { running, .. } = hub;
        let log = running.wait().stderr;
        assert_eq!(log.contains("no handshake before the deadline"), logged, "{log}");
        for line in log.lines() {
            // netq: 2026-11-27T06:30:12Z 127.0.0.1:50000: ...
            let (time, rest) = line.strip_prefix("netq: ").and_then(|line| line.split_once(' ')).expect(line);
            assert!(time.len() == 20 && time.starts_with("20") && time.ends_with('Z'), "{line}");
            assert!(rest.starts_with("127.0.0.1:"), "{line}");
        }
    }
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up_and_not_the_end_either() {
    let (hub, mut log) = Hub::start_unread(&["tasks"]);
    // More than any pipe holds.
    for _ in 0..3000 {
        drop(TcpStream::connect(&hub.address).unwrap());
    }
    hub.run(&["put", "tasks", "item"]).ok();
    assert_eq!(hub.run(&["get", "tasks"]).ok(), "item\n");
    hub.run(&["shutdown"]).ok();
    assert_eq!(hub.running.wait().code, Some(0));
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    assert!(text.len() > 50_000 && text.lines().count() < 3000, "{}", text.len());
}

#[test]
fn stat_shows_the_hub_and_its_objects() {
    let hub = Hub::start(&["tasks:10", "results"]);
    hub.run(&["put", "tasks", "a", "b", "c"]).ok();
    hub.run(&["get", "tasks"]).ok();
    // A connection is counted until the hub has seen that its last reply was read.
    let start = Instant::now();
    let text = loop {
        let text = hub.run(&["stat"]).ok();
        if text.contains("connections 1/10000") {
            break text;
        }
        assert!(start.elapsed() < DEADLINE, "{text}");
    };
    let lines: Vec<&str> = text.lines().collect();
    let header = format!("netq {} at {}, up ", env!("CARGO_PKG_VERSION"), hub.address);
    assert!(lines[0].starts_with(&header), "{text}");
    let cell = |row: &str, column: &str| {
        let headings: Vec<&str> = lines[6].split_whitespace().collect();
        let at = headings.iter().position(|heading| *heading == column).expect(column);
        let row = lines[7..].iter().find(|line| line.starts_with(row)).expect(row);
        row.split_whitespace().nth(at).unwrap().to_owned()
    };
    for (column, value) in [("length", "2/10"), ("out", "0"), ("puts", "3"), ("gets", "1"), ("undone", "2")] {
        assert_eq!(cell("tasks", column), value, "{column} in {text}");
    }
    assert_eq!(cell("results", "length"), "0");
}

#[test]
fn stat_watches_until_nobody_reads() {
    let hub = Hub::start(&["tasks"]);
    let mut child = hub.command(&["stat", "--watch", "0.01"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let headers = (&mut lines).map(Result::unwrap).filter(|line| line.starts_with("netq ")).take(3);
    // No terminal reads it, so nothing in it is for one.
    assert!(headers.inspect(|line| assert!(!line.contains('\x1b'))).count() == 3);
    drop(lines);
    let status = wait_for("the end of stat", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
}

#[cfg(unix)]
#[test]
fn key_file_that_others_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let hub = Hub::start(&["tasks"]);
    let directory = Directory::new("open-key");
    let file = directory.file("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    for (mode, warned) in [(0o644, true), (0o640, false), (0o600, false)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let ended = hub.run(&["put", "tasks", "x", "--authkey-file", &file]);
        let warning =
            format!("netq: every user of this machine can read the key in '{file}': chmod 600 '{file}'");
        assert_eq!(ended.stderr.contains(&warning), warned, "{ended:?}");
        ended.ok();
    }
}

#[test]
fn key_comes_from_a_file_the_environment_or_the_command_line() {
    let directory = Directory::new("keys");
    let file = directory.file("key");
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    let hub = Hub::start(&["tasks", "--authkey-file", &file]);
    hub.run(&["put", "tasks", "from the environment"]).ok();
    let mut with_file = hub.command(&["get", "tasks", "--authkey-file", &file]);
    with_file.env("NETQ_AUTHKEY", "another key");
    assert_eq!(run(with_file).ok(), "from the environment\n");
    let mut with_option = hub.command(&["put", "tasks", "--authkey", KEY, "x"]);
    let ended = Running::start(with_option.env_remove("NETQ_AUTHKEY")).wait();
    assert!(ended.stderr.contains("netq: other users can see --authkey"), "{ended:?}");
    ended.ok();
    let ended = hub.run(&["put", "tasks", "--authkey", "another key", "x"]);
    assert!(ended.stderr.contains("--authkey is not used"), "{ended:?}");
    ended.ok();
}
