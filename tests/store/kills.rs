//! A hub that is killed again and again while Rust and Python programs put and take.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use netq::Value;

use crate::cli::{Directory, Hub, KEY, wait_for};
use crate::pythons;

/// Items that name who put them, and when: `who-number`.
type Names = Mutex<Vec<String>>;

/// A client that puts as fast as it can, and notes what was answered. What the end of a hub has left unknown is
/// repeated by netq's clients.
fn put(address: &str, queue: &str, who: &str, stop: &AtomicBool, answered: &Names) {
    let manager = netq::BaseManager::new(address, KEY.as_bytes());
    let queue = manager.queue(queue).unwrap();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        // One of 40 is larger than what a batch of records holds.
        let item = format!("{who}-{number}");
        let padding = if number % 40 == 7 { 100_000 } else { 10 };
        queue.put(vec![Value::from(item.clone()), "x".repeat(padding).into()]).unwrap();
        answered.lock().unwrap().push(item);
    }
}

/// A client that takes, and is done with what it took.
fn work(address: &str, queue: &str, stop: &AtomicBool, got: &Names) {
    let manager = netq::BaseManager::new(address, KEY.as_bytes());
    let queue = manager.queue(queue).unwrap();
    while !stop.load(Ordering::Relaxed) {
        // If it fails there is nothing, or no hub for a moment.
        if let Ok(item) = queue.take_timeout(Duration::from_millis(50)) {
            got.lock().unwrap().push(name(&item));
            // The hub that gave it may have ended: then it comes again.
            let _ = item.done();
        }
    }
}

fn name(item: &Value) -> String {
    match item {
        Value::List(parts) => parts[0].as_str().unwrap().to_owned(),
        other => other.as_str().unwrap().to_owned(),
    }
}

fn count(names: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    names.iter().for_each(|name| *counts.entry(name.as_str()).or_default() += 1);
    counts
}

#[test]
fn no_answered_put_is_lost_and_none_is_there_twice_however_often_the_hub_is_killed() {
    let soak = std::env::var_os("NETQ_SOAK").is_some();
    for sync in ["always", "20"] {
        let directory = Directory::new(&format!("kills-{sync}"));
        let store = directory.file("store");
        let words = ["--store", &store, "--sync", sync, "tasks,redeliver", "kept", "stop", "--quiet"];
        let mut hub = Hub::start(&words);
        let address = hub.address.clone();
        let (stop, finished) = (AtomicBool::new(false), AtomicBool::new(false));
        let (kept, tasks, got) = (Names::default(), Names::default(), Names::default());
        // A Python program repeats nothing: what was answered is there once.
        let python = pythons::all().last();
        let mut putter = python.map(|python| python.start("store_putter.py", &[&address, KEY, "kept"]));
        let mut by_python = Vec::new();
        thread::scope(|scope| {
            let putters: Vec<_> = ["a", "b", "c"]
                .map(|who| {
                    let (queue, answered) = if who == "c" { ("tasks", &tasks) } else { ("kept", &kept) };
                    let (address, stop) = (&address, &stop);
                    scope.spawn(move || put(address, queue, who, stop, answered))
                })
                .into();
            let workers = [(); 2].map(|()| scope.spawn(|| work(&address, "tasks", &finished, &got)));
            let mut random = 7u64;
            for _ in 0..if soak { 400 } else { 20 } {
                let before = kept.lock().unwrap().len();
                wait_for("some puts", || (kept.lock().unwrap().len() > before + 20).then_some(()));
                // In the middle of whatever it does.
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                thread::sleep(Duration::from_micros(random >> 50));
                hub.running.child.kill().unwrap();
                hub.running.child.wait().unwrap();
                hub = Hub::start_at(&address, &words);
            }
            stop.store(true, Ordering::Relaxed);
            putters.into_iter().for_each(|putter| putter.join().unwrap());
            if let Some(mut putter) = putter.take() {
                hub.queue("stop").put("now").unwrap();
                by_python =
                    std::iter::from_fn(|| putter.next().filter(|line| !line.starts_with("ok"))).collect();
            }
            wait_for("all work", || (hub.figure("tasks", "unfinished") == 0).then_some(()));
            finished.store(true, Ordering::Relaxed);
            workers.into_iter().for_each(|worker| worker.join().unwrap());
        });

        let rest: Vec<String> = hub.rest("kept").iter().map(name).collect();
        let found = count(&rest);
        for put in kept.lock().unwrap().iter().chain(&by_python) {
            assert_eq!(found.get(put.as_str()), Some(&1), "--sync {sync}: {put}");
        }
        assert!(python.is_none() || by_python.len() > 20, "{} by Python", by_python.len());
        // Each client's items are in its order.
        for who in ["a", "b", "python"] {
            let numbers =
                rest.iter().filter_map(|item| item.strip_prefix(who)?.strip_prefix('-')?.parse::<u64>().ok());
            assert!(numbers.is_sorted(), "{who}'s are not in order");
        }
        let (tasks, got) = (tasks.into_inner().unwrap(), got.into_inner().unwrap());
        let (done, put) = (count(&got), count(&tasks));
        let lost: Vec<_> = put.keys().filter(|item| !done.contains_key(*item)).collect();
        assert!(lost.is_empty(), "--sync {sync}: {lost:?}");
        assert!(done.keys().all(|item| put.contains_key(item)), "work that nobody has put");
    }
}
