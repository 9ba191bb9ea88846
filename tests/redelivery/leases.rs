//! Clients that hang: their connection lives on, but a lease takes their items back.

use std::process::Command;
use std::time::Duration;

use netq::{Error, Value};

use crate::cli::{DEADLINE, Directory, Hub, Running, entry, wait_for};

/// Stops a process, or lets it go on.
fn signal(process: &Running, name: &str) {
    let id = process.child.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

#[test]
fn an_idle_client_s_items_go_to_another_when_the_lease_ends() {
    let hub = Hub::start(&["q,redeliver,lease=1"]);
    let idle = hub.queue("q");
    idle.put_all(0..3).unwrap();
    assert_eq!(idle.get_many(2, None).unwrap(), [0.into(), 1.into()]);
    let other = hub.queue("q");
    assert_eq!(other.get().unwrap(), 2.into());
    other.task_done().unwrap();
    // It waits when the lease ends.
    for number in 0..2 {
        assert_eq!(other.get_timeout(DEADLINE).unwrap(), number.into());
        // Late, but done is done, also at another client.
        idle.task_done().unwrap();
        assert_eq!(hub.figure("q", "unfinished"), 1 - number);
        other.task_done().unwrap();
        assert_eq!(hub.figure("q", "unfinished"), 1 - number);
    }
    assert!(idle.task_done().is_err());
    idle.join().unwrap();
}

#[test]
fn a_stopped_worker_s_task_is_done_by_another_and_its_late_result_does_no_harm() {
    let hub = Hub::start(&["q,redeliver,lease=1", "results"]);
    let directory = Directory::new("stopped");
    // Begins, and ends when it may.
    let script = r#"touch "$1/started"; i=0
        until [ -e "$1/go" ]; do i=$((i + 1)); [ $i -lt 1000 ] || exit 1; sleep 0.01; done"#;
    let path = directory.file("");
    let words =
        ["work", "q", "--results", "results", "--idle-exit", "0.3", "--", "sh", "-c", script, "sh", &path];
    hub.queue("q").put("job").unwrap();
    let hung = Running::start(&mut hub.command(&words));
    wait_for("the command's start", || directory.0.join("started").exists().then_some(()));
    signal(&hung, "-STOP");
    let other = hub.queue("q");
    assert_eq!(other.get_timeout(DEADLINE).unwrap(), "job".into());
    other.task_done().unwrap();
    other.join().unwrap();
    std::fs::write(directory.0.join("go"), "").unwrap();
    signal(&hung, "-CONT");
    let late = hub.queue("results").get_timeout(DEADLINE).unwrap();
    assert_eq!(entry(&late, "task"), Some(&Value::from("job")));
    let ended = hung.wait();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "its task_done() is accepted");
    assert_eq!((hub.figure("q", "puts"), hub.figure("q", "gets"), hub.figure("q", "unfinished")), (1, 1, 0));
}

#[test]
fn a_command_longer_than_the_lease_runs_once() {
    let hub = Hub::start(&["q,redeliver,lease=0.3,attempts=1", "results"]);
    let directory = Directory::new("long");
    let path = directory.file("go");
    let script = r#"i=0; until [ -e "$0" ]; do i=$((i + 1)); [ $i -lt 1000 ] || exit 1; sleep 0.01; done"#;
    let words = ["work", "q", "--results", "results", "--idle-exit", "0.3", "--", "sh", "-c", script, &path];
    hub.queue("q").put("job").unwrap();
    let long = Running::start(&mut hub.command(&words));
    wait_for("the command's start", || (hub.figure("q", "out") == 1).then_some(()));
    // Somebody waits for it for five leases, which is what makes the hub look at them.
    let other = hub.queue("q");
    assert!(matches!(other.get_timeout(Duration::from_millis(1500)), Err(Error::Empty)));
    std::fs::write(path, "").unwrap();
    let result = hub.queue("results").get_timeout(DEADLINE).unwrap();
    assert_eq!(entry(&result, "task"), Some(&Value::from("job")));
    long.wait().ok();
    assert_eq!(
        (hub.figure("q", "gets"), hub.figure("q", "returned"), hub.figure("q", "unfinished")),
        (1, 0, 0)
    );
}

#[test]
fn a_join_ends_when_the_last_item_is_given_up_after_its_lease() {
    let hub = Hub::start(&["q,redeliver,lease=0.2,attempts=1"]);
    let mut idle = [hub.queue("q"), hub.queue("q")];
    idle[0].put("job").unwrap();
    for client in &mut idle {
        assert_eq!(client.get_timeout(DEADLINE).unwrap(), "job".into());
    }
    // Nobody asks for an item any more: whoever waits in join() sees to it.
    hub.queue("q").join().unwrap();
    assert_eq!(hub.rest("q_dead"), ["job".into()]);
    drop(idle);
    assert!(hub.queue("q").get_timeout(Duration::ZERO).is_err());
}
