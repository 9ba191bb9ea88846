//! `netq put` and `netq get`.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use netq::{BaseManager, Pickled, SharedQueue, Value};

use crate::support::{Hub, KEY, Plain, Running, netq, run, wait_for};

#[test]
fn items_from_the_command_line_come_back_in_order() {
    let hub = Hub::start(&["tasks"]);
    hub.run(&["put", "tasks", "one", "--bytes", "--", "--two", ""]).ok();
    hub.run(&["put", "tasks", "it's\nthree"]).ok();
    assert_eq!(hub.run(&["get", "tasks"]).ok(), "b'one'\n");
    assert_eq!(hub.run(&["get", "tasks", "-n", "3", "--repr"]).ok(), "b'--two'\nb''\n\"it's\\nthree\"\n");
    hub.run(&["put", "tasks", "it's\nfour"]).ok();
    assert_eq!(hub.run(&["get", "tasks"]).ok(), "it's\nfour\n");
}

#[test]
fn hundred_thousand_lines_come_back_in_order() {
    let hub = Hub::start(&["tasks"]);
    let lines: String = (0..100_000).map(|number| format!("line {number}\n")).collect();
    let mut put = Running::start(hub.command(&["put", "tasks"]).stdin(Stdio::piped()));
    put.write(lines.as_bytes());
    put.wait().ok();
    assert!(hub.run(&["get", "tasks", "-n", "100000"]).ok() == lines, "not the same lines");
}

#[test]
fn line_of_a_slow_producer_is_put_at_once() {
    let hub = Hub::start(&["tasks"]);
    let mut put = Running::start(hub.command(&["put", "tasks"]).stdin(Stdio::piped()));
    for line in ["one", "two", "three"] {
        put.write(format!("{line}\n").as_bytes());
        assert_eq!(hub.take("tasks"), line.into());
    }
    put.wait().ok();
}

#[test]
fn put_waits_for_room_and_loses_nothing() {
    let hub = Hub::start(&["tasks:3"]);
    let mut put = Running::start(hub.command(&["put", "tasks", "--timeout", "20"]).stdin(Stdio::piped()));
    let lines: String = (0..1000).map(|number| format!("{number}\n")).collect();
    put.write(lines.as_bytes());
    assert_eq!(hub.run(&["get", "tasks", "-n", "1000"]).ok(), lines);
    put.wait().ok();
}

#[test]
fn line_that_is_not_utf8_is_named_and_bytes_take_it() {
    let hub = Hub::start(&["tasks"]);
    let put = |words: &[&str]| {
        let mut put = Running::start(hub.command(words).stdin(Stdio::piped()));
        put.write(b"good\n\xff\xfe\nnever\n");
        put.wait()
    };
    let ended = put(&["put", "tasks"]);
    let line = ended.error(1);
    assert!(
        line.starts_with("netq: line 2 of standard input is not UTF-8") && line.contains("--bytes"),
        "{line}"
    );
    assert_eq!(hub.rest("tasks"), ["good".into()]);
    put(&["put", "--bytes", "tasks"]).ok();
    assert_eq!(hub.run(&["get", "tasks", "-n3"]).ok(), "b'good'\nb'\\xff\\xfe'\nb'never'\n");
}

#[test]
fn any_bytes_go_through_files() {
    let hub = Hub::start(&["tasks"]);
    let put = |words: &[&str], input: &[u8]| {
        let mut put = Running::start(hub.command(words).stdin(Stdio::piped()));
        put.write(input);
        put.wait().ok();
    };
    let all: Vec<u8> = (0..=255).chain([b'\r', b'\n', 0]).collect();
    put(&["put", "--raw", "tasks"], &all);
    assert_eq!(hub.run(&["get", "--raw", "tasks"]).stdout, all);
    put(&["put", "--raw", "tasks"], b"");
    assert_eq!(hub.take("tasks"), Value::Bytes(vec![]));
    let names = b"a\nb\0caf\xe9\0";
    put(&["put", "--null", "--bytes", "tasks"], names);
    assert_eq!(hub.run(&["get", "--null", "tasks", "-n2"]).stdout, names);
    put(&["put", "--null", "tasks"], "a\nb\0é".as_bytes());
    assert_eq!(hub.rest("tasks"), ["a\nb", "é"].map(Value::from));
}

#[test]
fn item_cannot_forge_a_line_or_move_the_cursor() {
    let hub = Hub::start(&["tasks"]);
    // An object whose class is called like a line of output, and one that clears the screen.
    let pickle = b"\x80\x04\x8c\x04jobs\x8c\x0aA\n'b'\n\x1b[2J\x93)\x81.";
    for option in ["--repr", "-n1"] {
        hub.queue("tasks").put(Pickled::from_pickle(pickle).unwrap()).unwrap();
        let shown = hub.run(&["get", "tasks", option]).ok();
        assert!(shown.contains(r"A\n'b'\n\u{1b}[2J"), "{shown}");
        assert_eq!(shown.trim_end_matches('\n').find(char::is_control), None, "{shown:?}");
    }
    let ended = hub.run(&["get", "no\n\x1b[2Jnetq: such"]);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains('\x1b'), "{ended:?}");
}

/// On a terminal, which `script` is.
#[cfg(target_os = "linux")]
#[test]
fn text_does_not_move_the_cursor_of_a_terminal() {
    use std::process::Command;
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no `script` on this machine");
        return;
    }
    let hub = Hub::start(&["tasks"]);
    for command in ["get -n 1 tasks", "work tasks --idle-exit 0.1 -- echo"] {
        hub.queue("tasks").put("\x1b[2Jtab\t\r\u{202e}\nline 2").unwrap();
        let (command, options) = command.split_once(' ').unwrap();
        let netq = format!("{} {command} --connect {} {options}", env!("CARGO_BIN_EXE_netq"), hub.address);
        let mut script = Command::new("script");
        script.args(["-qec", &netq, "/dev/null"]).env("NETQ_AUTHKEY", KEY);
        script.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // The terminal's own line ends.
        assert_eq!(run(script).ok(), "\\u{1b}[2Jtab\t\\r\\u{202e}\r\nline 2\r\n");
    }
}

#[test]
fn batch_is_split_where_the_hub_takes_less_at_once() {
    let hub = Hub::start(&["tasks", "--max-message", "4K"]);
    // Of many sizes: empty ones, and such as fit only alone.
    let lines: String = (0..500).map(|number| format!("{}\n", "x".repeat(number * 7 % 3900))).collect();
    let mut put = Running::start(hub.command(&["put", "tasks", "--timeout", "20"]).stdin(Stdio::piped()));
    put.write(lines.as_bytes());
    put.wait().ok();
    assert!(hub.run(&["get", "tasks", "-n", "500"]).ok() == lines, "not the same lines");
}

#[test]
fn item_that_can_never_fit_is_not_waited_for_whatever_the_timeout() {
    for (option, size, reason) in
        [("--memory", "8K", "larger than all the memory"), ("--max-message", "8K", "the hub's limit")]
    {
        let hub = Hub::start(&["tasks", option, size]);
        let large = "x".repeat(9000);
        let ended = hub.run(&["put", "tasks", "--timeout", "60", "one", "two", &large, "four"]);
        let line = ended.error(1);
        assert!(line.starts_with("netq: 'tasks': 2 items were put: ") && line.contains(reason), "{line}");
        assert_eq!(hub.rest("tasks"), ["one", "two"].map(Value::from));
    }
}

#[cfg(unix)]
#[test]
fn item_that_is_not_utf8_is_refused_before_anything_is_put() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let hub = Hub::start(&["tasks"]);
    let put = |words: &[&str]| {
        let mut command = hub.command(words);
        command.arg(OsStr::from_bytes(b"caf\xe9"));
        run(command)
    };
    assert!(put(&["put", "tasks", "first"]).error(2).contains("is not UTF-8: use --bytes"));
    assert_eq!(hub.rest("tasks"), []);
    put(&["put", "tasks", "--bytes"]).ok();
    assert_eq!(hub.take("tasks"), Value::Bytes(b"caf\xe9".to_vec()));
}

#[test]
fn waiting_ends_at_the_timeout_with_a_code_of_its_own() {
    let hub = Hub::start(&["tasks:2"]);
    let ended = hub.run(&["put", "tasks", "--timeout", "0.05", "a", "b", "c"]);
    let expected = "netq: 'tasks' stayed full for 0.05 seconds: 2 items were put, the next one was not";
    assert_eq!(ended.error(3), expected);
    let ended = hub.run(&["get", "tasks", "-n", "5", "--timeout=0.05"]);
    assert_eq!(ended.error(3), "netq: 'tasks' stayed empty for 0.05 seconds");
    assert_eq!(ended.stdout, b"a\nb\n");
    assert_eq!(hub.run(&["get", "tasks", "--timeout", "0"]).code, Some(3));
}

#[test]
fn values_are_printed_as_python_literals() {
    let hub = Hub::start(&["tasks"]);
    let queue = hub.queue("tasks");
    queue.put(("resize", 640, 0.5, None::<bool>)).unwrap();
    // What pickle.dumps gives for an instance of `class Job` in the module `jobs`.
    queue.put(Pickled::from_pickle(b"\x80\x02cjobs\nJob\n)\x81.").unwrap()).unwrap();
    queue.put(vec!["a", "b"]).unwrap();
    let text = hub.run(&["get", "tasks", "-n", "3"]).ok();
    assert_eq!(text, "('resize', 640, 0.5, None)\n<jobs.Job>\n['a', 'b']\n");
}

#[test]
fn follow_prints_items_as_they_come_until_the_queue_is_shut_down() {
    let hub = Hub::start(&["tasks"]);
    let follow = Running::start(&mut hub.command(&["get", "tasks", "--follow"]));
    for number in 0..200 {
        hub.queue("tasks").put(number).unwrap();
    }
    hub.queue("tasks").shutdown(false).unwrap();
    let expected: String = (0..200).map(|number| format!("{number}\n")).collect();
    assert_eq!(follow.wait().ok(), expected);
    let ended = hub.run(&["put", "tasks", "late"]);
    assert_eq!(ended.error(1), "netq: 'tasks': 0 items were put: the queue was shut down");
    assert_eq!(hub.run(&["get", "tasks"]).error(1), "netq: 'tasks': the queue was shut down");
}

#[test]
fn what_was_printed_is_done_where_it_would_come_back() {
    let hub = Hub::start(&["tasks,redeliver"]);
    hub.run(&["put", "tasks", "1", "2", "3"]).ok();
    assert_eq!(hub.run(&["get", "tasks", "-n", "2"]).ok(), "1\n2\n");
    assert_eq!(hub.figure("tasks", "unfinished"), 1);
    assert_eq!(hub.run(&["get", "tasks", "-n", "5", "--timeout", "0.05"]).stdout, b"3\n");
    assert_eq!(hub.run(&["get", "tasks", "--timeout", "0"]).code, Some(3));
    hub.queue("tasks").join().unwrap();
}

#[test]
fn managers_that_take_no_batches_are_served_item_by_item() {
    let mut manager = BaseManager::new("127.0.0.1:0", KEY.as_bytes());
    manager.register("tasks", Plain::new(SharedQueue::new(3)));
    let address = manager.start().unwrap().to_string();
    let client = |words: [&str; 4]| run(netq(words.into_iter().chain(["--connect", &address])));
    let mut put = netq(["put", "tasks", "--connect", &address]);
    let mut put = Running::start(put.stdin(Stdio::piped()));
    put.child.stdin.as_mut().unwrap().write_all(b"1\n2\n3\n4\n5\n").unwrap();
    assert_eq!(client(["get", "tasks", "-n", "5"]).ok(), "1\n2\n3\n4\n5\n");
    put.wait().ok();
    assert_eq!(client(["get", "tasks", "--timeout", "0.01"]).code, Some(3));
}

#[test]
fn get_goes_on_at_a_hub_that_was_restarted() {
    let hub = Hub::start(&["tasks"]);
    let get = Running::start(&mut hub.command(&["get", "tasks", "-n", "2"]));
    hub.queue("tasks").put("before").unwrap();
    // The next call of `get` is waiting at the hub.
    wait_for("the second get", || (hub.figure("tasks", "waiting_getters") == 1).then_some(()));
    let address = hub.address.clone();
    drop(hub);
    let hub = Hub::start_at(&address, &["tasks"]);
    hub.queue("tasks").put_timeout("after", Duration::from_secs(1)).unwrap();
    let ended = get.wait();
    assert!(ended.stderr.contains("lost the hub") && ended.stderr.contains("back at the hub"), "{ended:?}");
    assert_eq!(ended.ok(), "before\nafter\n");
}

#[test]
fn get_gives_up_at_once_when_it_is_told_not_to_reconnect() {
    let hub = Hub::start(&["tasks"]);
    let get = Running::start(&mut hub.command(&["get", "tasks", "--reconnect", "0"]));
    wait_for("the get", || (hub.figure("tasks", "waiting_getters") == 1).then_some(()));
    drop(hub);
    let ended = get.wait();
    assert!(ended.error(1).ends_with("while waiting for an item of 'tasks': nothing was taken"), "{ended:?}");
}

#[cfg(unix)]
#[test]
fn get_gives_up_when_its_time_is_over_though_the_hub_is_frozen() {
    let hub = Hub::start(&["tasks"]);
    let get = Running::start(&mut hub.command(&["get", "tasks", "--timeout", "0.7", "--reconnect", "1e19"]));
    wait_for("the get", || (hub.figure("tasks", "waiting_getters") == 1).then_some(()));
    let status =
        std::process::Command::new("kill").args(["-STOP", &hub.running.child.id().to_string()]).status();
    assert!(status.unwrap().success());
    let ended = get.wait();
    assert!(ended.error(1).contains("the hub does not answer: is it frozen?"), "{ended:?}");
}
