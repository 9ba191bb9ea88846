//! The command line at a manager of CPython's own.

use std::io::{BufRead, BufReader};

use netq::BaseManager;

use crate::pythons::{self, Program};
use crate::support::{KEY, Running, netq, run, wait_for};

/// A manager with queues, if there is a Python, and its address.
fn manager() -> Option<(Program, String)> {
    let mut server = pythons::all().last()?.start("server.py", &[KEY]);
    let address = server.line();
    Some((server, address))
}

/// Starts a command that takes items, and ends the manager once the command has printed the first and waits.
fn taking(words: &[&str]) -> Option<(Option<i32>, String)> {
    let (server, address) = manager()?;
    let queue = BaseManager::new(&address, KEY.as_bytes()).queue("get_task_queue").unwrap();
    queue.put("first").unwrap();
    let mut command =
        netq([words[0], "--connect", &address, "get_task_queue"].iter().chain(&words[1..]).copied());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "first\n");
    if words[0] == "work" {
        // It has reported the item done, too.
        queue.join().unwrap();
    }
    drop(server);
    let ended = Running::of(child).wait();
    Some((ended.code, ended.stderr))
}

#[test]
fn the_end_of_the_manager_is_the_end_of_who_waits_for_its_items() {
    let Some(ended) = taking(&["work", "--", "echo"]) else { return };
    assert_eq!(ended, (Some(0), "netq: the hub has ended, and so the work\n".into()));
    let ended = taking(&["get", "--follow"]).unwrap();
    assert_eq!(ended, (Some(0), "netq: the hub has ended\n".into()));
    // Who asked for a number of items did not get them.
    let ended = taking(&["get", "-n", "2"]).unwrap();
    let expected = "netq: the hub has ended while this waited for an item of 'get_task_queue'\n";
    assert_eq!(ended, (Some(1), expected.into()));
}

#[test]
fn stat_says_that_there_is_nothing_to_show() {
    let Some((_server, address)) = manager() else { return };
    let stat = || run(netq(["stat", "--connect", &address])).ok();
    let header = format!("a manager of CPython's at {address}");
    assert_eq!(stat(), format!("{header}: nobody uses an object of it now\n"));
    let queue = BaseManager::new(&address, KEY.as_bytes()).queue("get_task_queue").unwrap();
    let shown = wait_for("an object", || Some(stat()).filter(|text| text.contains("refcount=1")));
    assert!(shown.starts_with(&format!("{header}\n  ")), "{shown}");
    drop(queue);
}
