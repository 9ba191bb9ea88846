//! `netq shutdown --drain`: a hub that stops when its work is done.

use netq::{Error, Value};

use crate::cli::{Directory, Hub, Running, entry, wait_for};

#[test]
fn a_hub_that_drains_takes_no_more_work_and_stops_when_all_is_done_and_fetched() {
    let mut hub = Hub::start(&["tasks,redeliver,backoff=0.2", "results"]);
    let directory = Directory::new("drain");
    let path = directory.file("go");
    let script = r#"i=0; until [ -e "$0" ]; do i=$((i + 1)); [ $i -lt 1000 ] || exit 1; sleep 0.01; done"#;
    let queue = hub.queue("tasks");
    queue.put_all(0..4).unwrap();
    assert!(queue.take().unwrap().fail(None).unwrap(), "it rests, and is not forgotten");
    let words = ["work", "tasks", "-j", "2", "--results", "results", "--", "sh", "-c", script, &path];
    let worker = Running::start(&mut hub.command(&words));
    wait_for("a command", || (hub.figure("tasks", "out") >= 2).then_some(()));
    let drain = Running::start(&mut hub.command(&["shutdown", "--drain", "tasks", "results"]));
    // What gets in before the refusal is done like everything else.
    let mut accepted = 4;
    let refused = || match queue.try_put(accepted) {
        Ok(()) => {
            accepted += 1;
            None
        }
        Err(error) => Some(error),
    };
    assert!(matches!(wait_for("the refusal", refused), Error::ShutDown));
    hub.run(&["put", "results", "this one still takes them"]).ok();
    std::fs::write(path, "").unwrap();
    worker.wait().ok();
    let results = hub.queue("results");
    assert_eq!(results.get().unwrap(), "this one still takes them".into());
    let task = |result: Value| entry(&result, "task").and_then(Value::as_i64).unwrap();
    let mut tasks: Vec<_> = (0..accepted).map(|_| task(results.get().unwrap())).collect();
    tasks.sort_unstable();
    assert_eq!(tasks, (0..accepted).collect::<Vec<_>>());
    drop(results);
    drain.wait().ok();
    assert!(wait_for("the hub's end", || hub.running.child.try_wait().unwrap()).success());
}

#[test]
fn a_drain_that_lasts_too_long_ends_and_the_hub_goes_on() {
    let hub = Hub::start(&["tasks,redeliver", "results"]);
    let queue = hub.queue("tasks");
    queue.put_all(0..2).unwrap();
    let item = queue.take().unwrap();
    let ended = hub.run(&["shutdown", "--timeout", "0.1", "--drain", "tasks"]);
    assert!(ended.error(3).contains("tasks: 1 items wait and 1 are out"), "{ended:?}");
    item.done().unwrap();
    assert!(matches!(queue.try_put(2), Err(Error::ShutDown)));
    assert_eq!(hub.run(&["get", "tasks"]).ok(), "1\n");
    for (words, code, text) in [
        (&["shutdown", "--drain", "task"][..], 1, "no queue of this name"),
        (&["shutdown", "--drain"], 2, "name the queues"),
        (&["shutdown", "tasks"], 2, "give --drain too"),
        (&["shutdown", "--timeout", "1"], 2, "is about --drain"),
    ] {
        assert!(hub.run(words).error(code).contains(text), "{words:?}");
    }
}
