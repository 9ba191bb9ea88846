//! Nobody reads: an error like any other, and no panic.

use std::io::pipe;
use std::process::{Command, Stdio};

use crate::support::{Ended, Hub, Running, netq, wait_for};

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
fn items_that_could_not_be_printed_go_back() {
    let hub = Hub::start(&["tasks"]);
    hub.run(&["put", "tasks", "1", "2", "3", "4", "5"]).ok();
    let ended = unread(hub.command(&["get", "tasks", "-n", "3"]));
    let expected =
        "netq: nobody reads standard output any more: of what was taken, 3 went back to the end of 'tasks'";
    assert_eq!(ended.error(1), expected);
    assert_eq!(hub.rest("tasks"), ["4", "5", "1", "2", "3"].map(Into::into));
}

#[test]
fn items_that_could_not_be_printed_go_back_to_the_front_where_that_is_possible() {
    let hub = Hub::start(&["tasks,redeliver"]);
    hub.run(&["put", "tasks", "1", "2", "3", "4", "5"]).ok();
    let ended = unread(hub.command(&["get", "tasks", "-n", "3"]));
    assert!(ended.error(1).ends_with("of what was taken, 3 go back to the front of 'tasks'"), "{ended:?}");
    wait_for("their return", || (hub.figure("tasks", "out") == 0).then_some(()));
    assert_eq!(hub.rest("tasks"), ["1", "2", "3", "4", "5"].map(Into::into));
}

#[test]
fn items_that_cannot_go_back_are_counted() {
    let hub = Hub::start(&["tasks"]);
    hub.run(&["put", "tasks", "1", "2", "3"]).ok();
    // It gives what it has, and takes nothing any more.
    hub.queue("tasks").shutdown(false).unwrap();
    let ended = unread(hub.command(&["get", "tasks", "-n", "3"]));
    assert!(ended.error(1).contains("and 3 are lost: 'tasks' takes no more"), "{ended:?}");
}

#[cfg(unix)]
#[test]
fn worker_stops_when_it_cannot_print() {
    let hub = Hub::start(&["tasks"]);
    hub.run(&["put", "tasks", "a", "b"]).ok();
    let ended = unread(hub.command(&["work", "tasks", "--", "echo"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    assert_eq!(hub.rest("tasks"), ["b".into()]);
}
