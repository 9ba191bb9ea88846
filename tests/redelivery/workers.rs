//! `netq work`, killed. Its commands here are Unix's.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use netq::Value;

use crate::cli::{Directory, Hub, Running, entry, wait_for};
use crate::{duplicates, join, number, random, tally};

fn work(hub: &Hub, options: &[&str], command: &[&str]) -> Running {
    let words = ["work", "q", "--results", "results"].iter().chain(options).chain(&["--"]).chain(command);
    Running::start(&mut hub.command(&words.copied().collect::<Vec<_>>()))
}

fn tasks_of(results: Vec<Value>) -> Vec<i64> {
    results.iter().map(|result| number(entry(result, "task").unwrap())).collect()
}

#[test]
fn each_task_has_a_result_though_workers_are_killed_all_the_time() {
    let mut rng = random(3);
    let hub = Hub::start(&["q,redeliver", "results"]);
    let count = 400;
    hub.queue("q").put_all(0..count).unwrap();
    let kills = 240;
    let mut workers = [(); 3].map(|()| work(&hub, &[], &["true"]));
    for _ in 0..kills {
        thread::sleep(Duration::from_micros(rng.below(25_000) as u64));
        let victim = rng.below(workers.len());
        workers[victim].child.kill().unwrap();
        workers[victim] = work(&hub, &[], &["true"]);
    }
    drop(workers);
    work(&hub, &["--idle-exit", "0.2"], &["true"]).wait().ok();
    join(&hub, "q");
    let again = duplicates(&tally(count, tasks_of(hub.rest("results"))));
    // Each can have had one item, of which it had put the result.
    assert!(again <= kills + 3, "{again} second results after {kills} kills");
    println!("{again} second results, {} redeliveries, {kills} kills", hub.figure("q", "returned"));
    assert!(hub.figure("q", "returned") > 0, "no worker was killed at work: the test proves nothing");
}

#[test]
fn a_task_that_kills_its_workers_is_given_up_and_the_others_are_not() {
    let hub = Hub::start(&["q,redeliver,attempts=1", "results"]);
    hub.queue("q").put_all(0..3).unwrap();
    // The task 0 kills the worker, which is the shell's parent.
    let kill = r#"[ "$0" != 0 ] || { kill -9 $PPID; sleep 0.2; }"#;
    let mut ends = 0;
    while hub.figure("q", "unfinished") > 0 {
        let ended = work(&hub, &["--idle-exit", "0.1"], &["sh", "-c", kill]).wait();
        ends += usize::from(ended.code.is_none());
        wait_for("its end", || (hub.figure("q", "out") == 0).then_some(()));
    }
    assert_eq!(ends, 2);
    assert_eq!(hub.rest("q_dead"), [0.into()]);
    assert_eq!(tasks_of(hub.rest("results")), [1, 2]);
}

#[test]
fn a_failed_command_is_a_result_and_not_run_again() {
    let hub = Hub::start(&["q,redeliver,attempts=1", "results"]);
    hub.queue("q").put_all(0..2).unwrap();
    work(&hub, &["--keep-going", "--idle-exit", "0.1"], &["false"]).wait().error(1);
    join(&hub, "q");
    assert_eq!(tasks_of(hub.rest("results")), [0, 1]);
    assert_eq!((hub.figure("q", "returned"), hub.figure("q_dead", "length")), (0, 0));
}

#[test]
fn an_item_whose_program_cannot_be_started_was_not_tried() {
    let hub = Hub::start(&["q,redeliver,attempts=1", "results"]);
    hub.queue("q").put("job").unwrap();
    let directory = Directory::new("no-interpreter");
    let path = directory.file("program");
    std::fs::write(&path, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    for _ in 0..3 {
        let ended = work(&hub, &["--keep-going", "--idle-exit", "0.1"], &[&path]).wait();
        assert!(ended.error(1).starts_with(&format!("netq: cannot run '{path}': ")), "{ended:?}");
    }
    assert_eq!((hub.figure("q_dead", "length"), hub.rest("results").len()), (0, 0));
    assert_eq!(hub.rest("q"), ["job".into()]);
}
