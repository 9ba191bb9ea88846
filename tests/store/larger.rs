//! Queues that are larger than the memory that they may use.

use std::fs;

use netq::Value;

use crate::cli::{Directory, Hub};

/// How many items, of 100 bytes: ten million with `NETQ_SOAK=1`.
fn count() -> i64 {
    if std::env::var_os("NETQ_SOAK").is_some() { 10_000_000 } else { 400_000 }
}

fn item(number: i64) -> Value {
    format!("{number:0100}").into()
}

/// The most memory that a hub has ever used, in KiB.
fn peak(hub: &Hub) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", hub.running.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Takes the items with these numbers, and nothing else.
fn take(hub: &Hub, numbers: std::ops::Range<i64>) {
    let queue = hub.queue("tasks");
    let mut next = numbers.start;
    while next < numbers.end {
        for got in queue.get_many(usize::min(1000, (numbers.end - next) as usize), None).unwrap() {
            assert_eq!(got, item(next));
            next += 1;
        }
    }
    // Now the hub knows that the last ones were read.
    queue.qsize().unwrap();
}

#[test]
fn a_backlog_that_is_larger_than_memory_waits_on_disk_and_comes_back_in_order_after_a_kill_too() {
    let directory = Directory::new("larger");
    let store = directory.file("store");
    // Half of it is for what the factories make.
    let words = ["--store", &store, "--memory", "8M", "tasks"];
    let mut hub = Hub::start(&words);
    let (count, half) = (count(), count() / 2);
    assert_eq!(hub.queue("tasks").put_all((0..count).map(item)).unwrap() as i64, count);
    assert!(
        hub.figure("tasks", "bytes") <= 4 << 20 && hub.figure("tasks", "spilled_bytes") > 100 * count * 3 / 4
    );
    take(&hub, 0..half);
    assert!(peak(&hub) < 24 << 10, "{} KiB", peak(&hub));
    crate::cli::wait_for("all is on disk", || {
        (hub.store_figure("oldest_unsynced") == Value::None).then_some(())
    });
    hub.running.child.kill().unwrap();
    hub.running.child.wait().unwrap();
    assert!(fs::exists(format!("{store}/spill")).unwrap());

    let hub = Hub::start(&words);
    assert_eq!(hub.figure("tasks", "length"), count - half);
    hub.queue("tasks").put(item(count)).unwrap();
    take(&hub, half..count + 1);
    assert!(peak(&hub) < 24 << 10, "{} KiB after the kill", peak(&hub));
    assert_eq!(hub.figure("tasks", "spilled_bytes"), 0);
    assert_eq!(fs::metadata(format!("{store}/spill")).unwrap().len(), 0);
}

#[test]
fn a_shutdown_drops_what_waits_on_disk_too() {
    let directory = Directory::new("dropped");
    let store = directory.file("store");
    let words = ["--store", &store, "--memory", "4M", "tasks"];
    let hub = Hub::start(&words);
    hub.queue("tasks").put_all((0..50_000).map(item)).unwrap();
    assert!(hub.figure("tasks", "spilled_bytes") > 0);
    hub.queue("tasks").shutdown(true).unwrap();
    let figures = ["length", "bytes", "spilled_bytes", "unfinished"].map(|name| hub.figure("tasks", name));
    assert_eq!(figures, [0; 4]);
    hub.run(&["shutdown"]).ok();
    // What needs no answer is written at the end at the latest, which a kill would forestall.
    assert_eq!(hub.running.wait().code, Some(0));
    let hub = Hub::start(&words);
    assert_eq!(hub.figure("tasks", "length"), 0);
    hub.queue("tasks").put("new").unwrap();
    assert_eq!(hub.take("tasks"), "new".into());
}

#[test]
fn a_store_takes_no_more_of_the_disk_than_it_may() {
    let directory = Directory::new("limit");
    let store = directory.file("store");
    let hub = Hub::start(&["--store", &store, "--disk", "9M", "tasks"]);
    let queue = hub.queue("tasks");
    let large = |number: i64| Value::List(vec![number.into(), "x".repeat(50_000).into()]);
    let put = (0..400).take_while(|&number| queue.try_put(large(number)).is_ok()).count() as i64;
    assert!((80..180).contains(&put), "{put} items");
    assert_eq!((hub.store_figure("bytes"), hub.store_figure("full")), ((9 << 20).into(), true.into()));
    assert!(matches!(queue.try_put(large(put)), Err(netq::Error::Full)));
    (0..put).for_each(|number| assert_eq!(queue.try_get().unwrap(), large(number)));
    queue.put_timeout(large(put), crate::cli::DEADLINE).unwrap();
}
