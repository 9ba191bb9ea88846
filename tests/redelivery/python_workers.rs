//! Workers in Python, which know nothing of netq: `get`, then `task_done`.

use std::thread;

use crate::cli::{Hub, KEY};
use crate::pythons::{self, Python};
use crate::support::Rng;
use crate::{duplicates, join, number, random, tally};

#[test]
fn each_task_of_killed_python_workers_has_a_result() {
    let mut rng = random(4);
    let seeds: Vec<u64> = pythons::all().iter().map(|_| rng.next()).collect();
    thread::scope(|scope| {
        for (python, seed) in pythons::all().iter().zip(seeds) {
            scope.spawn(move || kill_workers(python, Rng::new(seed)));
        }
    });
}

#[test]
fn python_clients_borrow_items_and_say_by_tags_what_became_of_them() {
    thread::scope(|scope| {
        for python in pythons::all() {
            scope.spawn(move || {
                let hub = Hub::start(&["plain", "careful,redeliver", "leased,redeliver,lease=60,attempts=9"]);
                for queue in ["plain", "careful", "leased"] {
                    python.run("lending.py", &[&hub.address, KEY, queue]);
                    assert_eq!((hub.figure(queue, "unfinished"), hub.figure(queue, "out")), (0, 0));
                }
            });
        }
    });
}

#[test]
fn a_python_worker_goes_on_after_a_restart_with_the_lines_of_the_readme() {
    thread::scope(|scope| {
        for python in pythons::all() {
            scope.spawn(move || {
                let queues = ["get_task_queue,redeliver", "get_result_queue"];
                let mut hub = Hub::start(&queues);
                let _worker = python.start("readme_worker.py", &[&hub.address, KEY]);
                for item in ["before", "after"] {
                    hub.queue("get_task_queue").put(item).unwrap();
                    let result = hub.take("get_result_queue");
                    assert_eq!(result.as_str(), Some(&*format!("{item}--->success")), "{python:?}");
                    let address = hub.address.clone();
                    drop(hub);
                    hub = Hub::start_at(&address, &queues);
                }
            });
        }
    });
}

fn kill_workers(python: &Python, mut rng: Rng) {
    let hub = Hub::start(&["get_task_queue,redeliver", "get_result_queue"]);
    let (count, kills) = (200, 8);
    hub.queue("get_task_queue").put_all(0..count).unwrap();
    for _ in 0..kills {
        let mut worker = python.start("careful_worker.py", &[&hub.address, KEY]);
        // It goes on while this reads its lines, so that it is killed somewhere behind the last one.
        for _ in 0..1 + rng.below(12) {
            worker.next();
        }
    }
    python.run("careful_worker.py", &[&hub.address, KEY]);
    join(&hub, "get_task_queue");
    let results = hub.rest("get_result_queue");
    let again = duplicates(&tally(count, results.iter().map(number)));
    assert!(hub.figure("get_task_queue", "returned") > 0, "none was killed at work: this proves nothing");
    assert!(again <= kills, "{again} second results after {kills} kills");
}
