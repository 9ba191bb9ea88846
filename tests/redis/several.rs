//! Hubs that come and go, and clients that know several of them.

use std::thread;
use std::time::Duration;

use netq::{BaseManager, Retry, Value};

use crate::cli::{DEADLINE, Hub, KEY, Running, netq, run, wait_for};
use crate::pythons;
use crate::server::{self, Redis};

const QUEUES: [&str; 2] = ["tasks,redeliver", "results"];

fn hub(redis: &Redis) -> Hub {
    Hub::start(&[&["--store", &redis.url(), "--quiet"], &QUEUES[..]].concat())
}

fn kill(mut hub: Hub) {
    hub.running.child.kill().unwrap();
    hub.running.child.wait().unwrap();
}

#[test]
fn a_client_goes_on_with_another_hub_and_its_puts_happen_once() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let (one, two) = (hub(&redis), hub(&redis));
    let addresses = format!("{},{}", one.address, two.address);
    let count = 600;
    thread::scope(|scope| {
        let putter = scope.spawn(|| {
            let queue = BaseManager::new(&addresses, KEY.as_bytes()).queue("tasks").unwrap();
            (0..count).for_each(|number| queue.put(number).unwrap());
        });
        // They begin at different ones, by chance.
        for round in 0..4 {
            let enough = || (two.figure("tasks", "puts") >= 60 * (round + 1)).then_some(());
            wait_for("some puts", enough);
        }
        kill(one);
        putter.join().unwrap();
    });
    let mut manager = BaseManager::new(&addresses, KEY.as_bytes());
    manager.set_retry(Retry { patience: Duration::from_secs(5), ..Retry::default() });
    let queue = manager.queue("tasks").unwrap();
    assert_eq!(queue.get_many(1000, None).unwrap(), (0..count).map(Value::from).collect::<Vec<_>>());
    (0..count).for_each(|_| queue.task_done().unwrap());
    queue.join().unwrap();
}

#[test]
fn the_command_line_takes_several_addresses() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let (one, two) = (hub(&redis), hub(&redis));
    let addresses = format!("{},{}", one.address, two.address);
    let command =
        |words: &[&str]| netq([words[0], "--connect", &addresses].iter().chain(&words[1..]).copied());
    run(command(&["put", "tasks", "a", "b", "c", "d"])).ok();
    let worker = ["work", "tasks", "--results", "results", "--", "sh", "-c", "sleep 0.05"];
    let mut working = Running::start(&mut command(&worker));
    wait_for("a result", || (two.figure("results", "puts") >= 1).then_some(()));
    let error = run(command(&["shutdown"])).error(2).to_owned();
    assert!(error.contains("the one hub that is to stop"), "{error}");
    one.run(&["shutdown"]).ok();
    drop(one);
    wait_for("all results", || (two.figure("results", "length") >= 4).then_some(()));
    wait_for("all is done", || (two.figure("tasks", "unfinished") == 0).then_some(()));
    working.child.kill().unwrap();
    for _ in 0..8 {
        assert!(run(command(&["stat"])).ok().contains("tasks"), "whichever it asks first");
    }
}

#[test]
fn what_a_dead_hub_had_out_is_given_back_by_another() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let (one, two) = (hub(&redis), hub(&redis));
    let client = one.queue("tasks");
    client.put_all(0..3).unwrap();
    assert_eq!(client.get_many(2, None).unwrap(), [0.into(), 1.into()]);
    let other = two.queue("tasks");
    assert_eq!(other.get().unwrap(), 2.into());
    kill(one);
    // After fifteen seconds, and what is at the client of a hub that lives stays there.
    let late = 2 * DEADLINE;
    assert_eq!(other.clone().get_timeout(late).unwrap(), 0.into());
    assert_eq!(two.figure("tasks", "hubs"), 1);
    assert_eq!((two.figure("tasks", "length"), two.figure("tasks", "out")), (1, 2));
    other.task_done().unwrap();
}

#[test]
fn a_python_worker_goes_on_with_another_hub_with_the_lines_of_the_readme() {
    if !server::is_there() {
        return;
    }
    thread::scope(|scope| {
        for python in pythons::all() {
            scope.spawn(move || {
                let redis = Redis::start();
                let queues =
                    ["get_task_queue,redeliver", "get_result_queue", "--quiet", "--store", &redis.url()];
                let (one, two) = (Hub::start(&queues), Hub::start(&queues));
                let _worker =
                    python.start("readme_several.py", &[&format!("{},{}", one.address, two.address), KEY]);
                two.queue("get_task_queue").put("before").unwrap();
                assert_eq!(two.take("get_result_queue").as_str(), Some("before--->success"), "{python:?}");
                kill(one);
                two.queue("get_task_queue").put("after").unwrap();
                assert_eq!(two.take("get_result_queue").as_str(), Some("after--->success"), "{python:?}");
            });
        }
    });
}
