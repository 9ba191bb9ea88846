//! Nobody reads: an error like any other, and no panic.

use std::io::{BufRead, BufReader, pipe};
use std::process::{Command, Stdio};

use netq::{BaseManager, SharedQueue, Value};

use crate::support::{Ended, Hub, KEY, Plain, Running, netq, run, wait_for};

/// Runs a command whose output has no reader any more.
fn unread(mut command: Command) -> Ended {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    Running::start(command.stdout(Stdio::from(writer))).wait()
}

#[test]
fn commands_end_quietly() {
    let hub = Hub::start(&["tasks"]);
    for command in [netq(["help"]), netq(["put", "--help"]), netq(["--version"]), hub.command(&["stat"])] {
        let ended = unread(command);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    }
}

#[test]
fn items_that_could_not_be_printed_go_back_to_their_place_untried_and_are_not_put_again() {
    for spec in ["tasks", "tasks,redeliver,attempts=1"] {
        let hub = Hub::start(&[spec]);
        hub.run(&["put", "tasks", "1", "2", "3", "4", "5"]).ok();
        for _ in 0..3 {
            let ended = unread(hub.command(&["get", "tasks", "-n", "3"]));
            let expected = "netq: nobody reads standard output any more: of what was taken, 1 went back to its \
                            place in 'tasks'";
            assert_eq!(ended.error(1), expected);
        }
        assert_eq!((hub.figure("tasks", "puts"), hub.figure("tasks", "unfinished")), (5, 5));
        assert_eq!(hub.rest("tasks"), ["1", "2", "3", "4", "5"].map(Into::into));
    }
}

#[cfg(unix)]
#[test]
fn nothing_is_taken_for_a_standard_output_that_is_closed() {
    let hub = Hub::start(&["tasks"]);
    hub.run(&["put", "tasks", "a"]).ok();
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec "$0" get --connect "$1" tasks >&-"#, env!("CARGO_BIN_EXE_netq"), &hub.address]);
    shell.env("NETQ_AUTHKEY", KEY).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = run(shell);
    assert!(ended.error(1).contains("standard output is closed, so nothing was taken"), "{ended:?}");
    assert_eq!((hub.figure("tasks", "gets"), hub.rest("tasks")), (0, vec!["a".into()]));
}

/// What was taken and not printed is there again as soon as the process has ended, however it did.
#[test]
fn follow_that_is_killed_loses_nothing_that_its_reader_has_not_taken() {
    let hub = Hub::start(&["tasks"]);
    // More than a pipe holds, so that it hangs in the middle.
    let item = |number: usize| format!("{number:-<1000}");
    hub.queue("tasks").put_all((0..300).map(item)).unwrap();
    let mut follow = hub.command(&["get", "tasks", "--follow"]).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut read: Vec<String> = lines.by_ref().take(100).collect();
    wait_for("a full pipe", || (hub.figure("tasks", "out") > 0).then_some(()));
    follow.kill().unwrap();
    follow.wait().unwrap();
    read.extend(lines.filter(|line| line.len() == 1000));
    wait_for("the return", || (hub.figure("tasks", "out") == 0).then_some(()));
    let rest = hub.rest("tasks");
    // What was in the pipe when it was killed may be there again.
    assert!(read.len() + rest.len() >= 300 && !rest.is_empty(), "{} and {}", read.len(), rest.len());
    let from = 300 - rest.len();
    assert_eq!(read, (0..read.len()).map(item).collect::<Vec<_>>());
    assert_eq!(rest, (from..300).map(|number| item(number).into()).collect::<Vec<Value>>());
}

#[cfg(target_os = "linux")]
#[test]
fn follow_ends_when_its_reader_has_left_and_takes_nothing_any_more() {
    let hub = Hub::start(&["tasks"]);
    let mut follow = hub.command(&["get", "tasks", "--follow"]).spawn().unwrap();
    let mut stdout = BufReader::new(follow.stdout.take().unwrap());
    hub.run(&["put", "tasks", "first"]).ok();
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "first\n");
    drop(stdout);
    // Nothing comes, so nothing is written.
    let status = wait_for("its end", || follow.try_wait().unwrap());
    assert_eq!((status.code(), hub.figure("tasks", "gets")), (Some(1), 1));
}

#[test]
fn items_of_a_hub_that_does_not_lend_go_back_to_the_end_or_are_counted_as_lost() {
    let queue = SharedQueue::new(0);
    let mut manager = BaseManager::new("127.0.0.1:0", KEY.as_bytes());
    manager.register("tasks", Plain::new(queue.clone()));
    let address = manager.start().unwrap().to_string();
    let tasks = manager.queue("tasks").unwrap();
    tasks.put_all(["1", "2", "3"]).unwrap();
    let ended = unread(netq(["get", "tasks", "-n", "3", "--connect", &address]));
    assert!(ended.error(1).ends_with("of what was taken, 1 went back to the end of 'tasks'"), "{ended:?}");
    assert_eq!(tasks.get().unwrap(), "2".into());
    // It gives what it has, and takes nothing any more.
    queue.queue().shutdown(false);
    let ended = unread(netq(["get", "tasks", "-n", "3", "--connect", &address]));
    assert!(ended.error(1).contains("and 1 are lost: 'tasks' takes no more"), "{ended:?}");
}

#[cfg(unix)]
#[test]
fn worker_stops_when_it_cannot_print() {
    let hub = Hub::start(&["tasks"]);
    hub.run(&["put", "tasks", "a", "b"]).ok();
    let ended = unread(hub.command(&["work", "tasks", "--", "echo"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    // Nobody has read what the first one printed.
    wait_for("its return", || (hub.figure("tasks", "out") == 0).then_some(()));
    assert_eq!(hub.rest("tasks"), ["a", "b"].map(Into::into));
}
