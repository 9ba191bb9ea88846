//! `netq serve --store`: what outlives the hub, and when it does not start.

use std::fs;
use std::time::Duration;

use netq::Value;

use crate::support::{DEADLINE, Directory, Hub, netq, run, wait_for};

/// A hub with a store, and a little directory around it.
fn start(directory: &Directory, words: &[&str]) -> Hub {
    Hub::start(&[&["--store", &directory.file("store")], words].concat())
}

/// SIGKILL.
fn kill(mut hub: Hub) {
    hub.running.child.kill().unwrap();
    hub.running.child.wait().unwrap();
}

fn numbers(range: std::ops::Range<i64>) -> Vec<Value> {
    range.map(Value::from).collect()
}

#[test]
fn what_was_answered_is_there_after_a_kill_in_order_with_its_attempts() {
    let directory = Directory::new("kill");
    let words = ["tasks,redeliver,attempts=1", "plain"];
    let hub = start(&directory, &words);
    let tasks = hub.queue("tasks");
    for number in 0..10 {
        tasks.put(number).unwrap();
    }
    hub.queue("plain").put_many(&mut numbers(0..2000), None).unwrap();
    // 0 becomes a dead letter, 1 has failed once, 2 is done, 3 is out when the hub dies, 4 rests after it has failed.
    for _ in 0..2 {
        tasks.try_take().unwrap().fail(None).unwrap();
    }
    let taken = tasks.take_many(4, None).unwrap();
    assert_eq!(taken.iter().map(|item| (**item).clone()).collect::<Vec<_>>(), numbers(1..5));
    let mut taken = taken.into_iter();
    taken.next().unwrap().fail(None).unwrap();
    taken.next().unwrap().done().unwrap();
    let out = taken.next();
    taken.next().unwrap().fail(Some(Duration::from_secs(3600))).unwrap();
    assert_eq!(hub.take("plain"), 0.into());
    // What nobody waits for is on disk within a second or so.
    wait_for("all is on disk", || (hub.store_figure("oldest_unsynced") == Value::None).then_some(()));
    kill(hub);
    std::mem::forget(out);

    let hub = start(&directory, &words);
    assert_eq!(hub.rest("tasks_dead"), numbers(0..1));
    assert_eq!((hub.figure("tasks", "length"), hub.figure("tasks", "unfinished")), (8, 8));
    let tasks = hub.queue("tasks");
    let first = tasks.try_take().unwrap();
    assert_eq!(*first, 1.into());
    first.fail(None).unwrap();
    assert_eq!(hub.rest("tasks_dead"), numbers(1..2), "it had failed once before");
    let taken = tasks.take_many(10, None).unwrap();
    assert_eq!(taken.iter().map(|item| (**item).clone()).collect::<Vec<_>>(), numbers(3..10));
    let mut taken = taken.into_iter();
    taken.next().unwrap().done().unwrap();
    taken.next().unwrap().fail(None).unwrap();
    assert_eq!(hub.rest("tasks_dead"), numbers(4..5), "so had this");
    taken.for_each(|item| item.done().unwrap());
    tasks.join().unwrap();
    // A plain queue's get is known once its client has made another call, or left.
    let plain = hub.rest("plain");
    assert_eq!(plain, numbers(1..2000));
}

#[test]
fn what_is_in_memory_only_is_gone_and_a_hub_that_is_stopped_keeps_all() {
    let directory = Directory::new("memory");
    let words = ["kept", "brief,memory", "--sync", "1000"];
    let hub = start(&directory, &words);
    hub.run(&["put", "kept", "a", "b"]).ok();
    hub.run(&["put", "brief", "c"]).ok();
    hub.run(&["get", "kept"]).ok();
    hub.run(&["shutdown"]).ok();
    assert_eq!(hub.running.wait().code, Some(0));
    let hub = start(&directory, &words);
    assert_eq!((hub.rest("kept"), hub.rest("brief")), (vec!["b".into()], vec![]));
}

#[test]
fn a_queue_that_was_kept_and_is_not_named_is_refused_by_name() {
    let directory = Directory::new("named");
    let hub = start(&directory, &["tasks", "results"]);
    hub.run(&["put", "tasks", "a"]).ok();
    kill(hub);
    let store = directory.file("store");
    for words in [&["results"][..], &["tasks,memory", "results"]] {
        let ended =
            run(netq(["serve", "--listen", "127.0.0.1:0", "--store", &store].iter().chain(words).copied()));
        let line = ended.error(1);
        assert!(
            line.contains("keeps 1 items of the queue 'tasks'") && line.contains("name tasks too"),
            "{line}"
        );
    }
    // Without items there is nothing to miss.
    assert_eq!(start(&directory, &["tasks"]).take("tasks"), "a".into());
}

#[test]
fn two_hubs_never_use_one_store() {
    let directory = Directory::new("lock");
    let hub = start(&directory, &["tasks"]);
    let store = directory.file("store");
    let ended = run(netq(["serve", "--listen", "127.0.0.1:0", "--store", &store, "tasks"]));
    let expected = format!("another hub uses it, process {}: stop that hub first", hub.running.child.id());
    assert!(ended.error(1).contains(&expected), "{ended:?}");
}

#[test]
fn a_damaged_store_is_refused_with_the_place_and_repaired_if_that_is_asked_for() {
    let directory = Directory::new("damage");
    let hub = start(&directory, &["tasks"]);
    for number in 0..20 {
        hub.queue("tasks").put(number).unwrap();
    }
    kill(hub);
    // In the middle of it, with more that is whole behind.
    let segment =
        fs::read_dir(directory.file("store")).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
            let bytes = fs::read(path).unwrap();
            path.to_string_lossy().contains("segment-") && bytes[..4] == *b"nqj1"
        });
    let segment = segment.expect("a segment with something in it");
    let mut bytes = fs::read(&segment).unwrap();
    let used = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    bytes[used / 2] ^= 1;
    fs::write(&segment, bytes).unwrap();

    let store = directory.file("store");
    let words = ["serve", "--listen", "127.0.0.1:0", "--store", &store, "tasks"];
    let ended = run(netq(words));
    let line = ended.error(1);
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(line.contains(&format!("{name} is damaged at byte ")) && line.contains("--repair"), "{line}");
    let hub = start(&directory, &["tasks", "--repair"]);
    let rest = hub.rest("tasks");
    assert!(rest.len() >= 17 && rest.iter().all(|item| numbers(0..20).contains(item)), "{rest:?}");
}

#[test]
fn store_s_options_need_a_store() {
    for option in [&["--repair"][..], &["--sync", "always"], &["--sync=100"], &["--disk", "9M"]] {
        let ended = run(netq(["serve", "tasks"].iter().chain(option).copied()));
        assert!(ended.error(2).contains("give --store DIR too"), "{ended:?}");
    }
    let ended = run(netq(["serve", "tasks", "--store", "x", "--sync", "never"]));
    assert!(ended.error(2).contains("--sync"), "{ended:?}");
}

#[test]
fn a_put_that_is_repeated_after_the_hub_was_killed_happens_once() {
    let directory = Directory::new("once");
    let hub = start(&directory, &["tasks"]);
    let address = hub.address.clone();
    let mut tasks = hub.queue("tasks");
    tasks.set_timeout(Some(DEADLINE));
    let putter = std::thread::spawn(move || {
        for number in 0..300 {
            tasks.put(number).unwrap();
        }
    });
    let mut hub = Some(hub);
    for share in 1..=3 {
        let running = hub.take().unwrap();
        wait_for("some puts", || (running.figure("tasks", "puts") >= share * 50).then_some(()));
        kill(running);
        let words = ["--store", &directory.file("store"), "tasks"];
        hub = Some(Hub::start_at(&address, &words));
    }
    putter.join().unwrap();
    assert_eq!(hub.unwrap().rest("tasks"), numbers(0..300), "each once, in order");
}

#[test]
fn nothing_is_written_while_nothing_happens() {
    let directory = Directory::new("idle");
    let hub = start(&directory, &["tasks"]);
    hub.run(&["put", "tasks", "a"]).ok();
    let idle = || (hub.store_figure("oldest_unsynced") == Value::None).then_some(());
    wait_for("all is on disk", idle);
    let text = hub.run(&["stat"]).ok();
    let store = directory.file("store");
    let mut lines =
        text.lines().skip_while(|line| !line.starts_with(&format!("store {store}: 4M in 4 segments, ")));
    assert!(
        lines.nth(1).is_some_and(|line| line.ends_with("before a put is answered; all on disk")),
        "{text}"
    );
    let before = (hub.store_figure("syncs"), hub.store_figure("bytes_written"));
    // As long as any of its timers runs.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!((hub.store_figure("syncs"), hub.store_figure("bytes_written")), before);
}
