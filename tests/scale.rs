//! Thousands of connections and of items: served, and all memory and threads given back when they leave.
//!
//! The figures are Linux's. Each side of a connection needs a descriptor, so the hub and its clients are
//! processes of their own, and fewer connections are made (and that is said) where the limit is lower.
#![cfg(target_os = "linux")]

mod support;

use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use netq::pickle::Value;
use netq::{Options, QueueProxy};
use support::process::{Process, eventually, hear, say, status};
use support::*;

/// The other processes of these tests.
#[test]
fn role() {
    let Some((role, address)) = process::role() else { return };
    match (&*role, address) {
        ("hub", address) => process::be_a_hub(address, Options::default()),
        ("crowd", Some(address)) => be_a_crowd(address),
        _ => panic!("no role {role}"),
    }
}

const CROWD: u64 = 5_000;

/// How long a put and a get may take while thousands are connected: they take well under a millisecond.
const NOTICEABLE: Duration = Duration::from_secs(5);

/// How many files this process may have open.
fn descriptors() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap_or(u64::MAX)
}

/// Many authenticated connections that then do nothing, until a line says that they may leave.
fn be_a_crowd(address: SocketAddr) {
    let count = CROWD.min(descriptors() - 50);
    let half = |count| move || (0..count).map(|_| accepted(address)).collect::<Vec<_>>();
    let other = thread::spawn(half(count / 2));
    let crowd = (half(count - count / 2)(), other.join().unwrap());
    say(count);
    hear();
    drop(crowd);
    say("left");
    hear();
}

/// Descriptors for a crowd, and some more.
const ROOM: Option<u32> = Some(CROWD as u32 + 200);

/// A hub that has served something already, and the client that it served.
fn warm_hub(environment: &[(&str, &str)]) -> (Process, SocketAddr, QueueProxy) {
    let hub = Process::start_with("hub", None, ROOM, environment);
    let address: SocketAddr = hub.line().parse().unwrap();
    let worker = client(address).queue(TASKS).unwrap();
    worker.put("warm").unwrap();
    worker.get().unwrap();
    (hub, address, worker)
}

/// A crowd that has come to the hub, and how many they are.
fn crowd(address: SocketAddr) -> (Process, u64) {
    let crowd = Process::start_with("crowd", Some(address), ROOM, &[]);
    let count = crowd.line_within(Duration::from_secs(60)).parse().unwrap();
    (crowd, count)
}

fn leave(mut crowd: Process) {
    crowd.tell("leave");
    assert_eq!(crowd.line(), "left");
}

#[test]
fn five_thousand_idle_workers_are_served_and_leave_nothing_behind() {
    let (hub, address, worker) = warm_hub(&[]);
    let (threads, memory) = (status(hub.id(), "Threads"), status(hub.id(), "VmRSS"));

    let begun = Instant::now();
    let (crowd, count) = self::crowd(address);
    if count < CROWD {
        println!("SCALED DOWN to {count} connections: the limit of descriptors allows no more");
    }
    let (crowded_threads, crowded_memory) = (status(hub.id(), "Threads"), status(hub.id(), "VmRSS"));
    let each = (crowded_memory - memory) as f64 / count as f64;
    println!("{count} connections in {:?}: {crowded_memory} KiB, {each:.1} KiB each", begun.elapsed());
    // Not `threads` more: those of the first calls may still have been there, on a busy machine.
    assert!(crowded_threads >= count, "{crowded_threads} threads");
    assert_eq!(figure(&client(address), "connections") as u64, count + 2);
    let bound = if cfg!(debug_assertions) { 32.0 } else { 16.0 };
    assert!(each < bound, "{each} KiB for each idle connection");

    let begun = Instant::now();
    for number in 0..100 {
        worker.put(number).unwrap();
        assert_eq!(worker.get().unwrap(), Value::Int(number));
    }
    assert!(begun.elapsed() < NOTICEABLE, "100 puts and gets took {:?}", begun.elapsed());
    let begun = Instant::now();
    client(address).queue(TASKS).unwrap().put("from a new connection").unwrap();
    assert!(begun.elapsed() < NOTICEABLE, "a new connection took {:?}", begun.elapsed());

    leave(crowd);
    wait_until("all threads have ended", || status(hub.id(), "Threads") <= threads);
    let left = || status(hub.id(), "VmRSS").saturating_sub(memory);
    let most = (crowded_memory - memory) / 4;
    let returned = eventually(PATIENCE, || left() < most);
    let first = left();
    println!("when they have left: {first} KiB more than before");
    assert!(returned, "{first} KiB are kept");

    // What the C library keeps of that is for the next ones: it does not grow.
    leave(self::crowd(address).0);
    wait_until("all threads have ended again", || status(hub.id(), "Threads") <= threads);
    let returned = eventually(PATIENCE, || left() < first + most / 4);
    println!("when as many have come and left again: {} KiB", left());
    assert!(returned, "{} KiB after {first} KiB", left());
}

/// As the test above, in a hub whose C library was told to keep neither stacks of threads that have ended nor a
/// heap for every few threads: then it shows that the hub itself keeps nothing.
#[test]
fn what_stays_of_a_crowd_is_only_what_the_c_library_keeps() {
    let version = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let version =
        version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let minor = version.trim().strip_prefix("glibc 2.").and_then(|minor| minor.parse::<u32>().ok());
    if minor.is_none_or(|minor| minor < 34) {
        println!("SKIPPED: only glibc 2.34 and later can be told so, and this is {version:?}");
        return;
    }
    let tunables = "glibc.malloc.arena_max=1:glibc.pthread.stack_cache_size=0";
    let (hub, address, _worker) = warm_hub(&[("GLIBC_TUNABLES", tunables)]);
    let (threads, memory) = (status(hub.id(), "Threads"), status(hub.id(), "VmRSS"));

    let (crowd, _) = crowd(address);
    let crowded = status(hub.id(), "VmRSS") - memory;
    leave(crowd);
    wait_until("all threads have ended", || status(hub.id(), "Threads") <= threads);
    let left = || status(hub.id(), "VmRSS").saturating_sub(memory);
    // When a later connection ends, the heap is looked through for what is free since then.
    let returned = eventually(PATIENCE, || {
        client(address).queue(TASKS).unwrap().qsize().unwrap();
        left() < crowded / 20
    });
    println!("of {crowded} KiB for the crowd {} KiB are left", left());
    assert!(returned, "{} of {crowded} KiB are kept", left());
}

#[test]
fn the_memory_of_a_large_backlog_is_given_back_when_it_is_drained() {
    let hub = Process::start("hub", None);
    let address: SocketAddr = hub.line().parse().unwrap();
    let manager = client(address);
    let putter = manager.queue(TASKS).unwrap();
    let getter = manager.queue(TASKS).unwrap();
    putter.put("warm").unwrap();
    getter.get().unwrap();
    for (what, count, size) in
        [("small items", 200_000, 60), ("pages", 10_000, 10_000), ("photos", 60, 2 << 20)]
    {
        let before = status(hub.id(), "VmRSS");
        let item = Value::Bytes(vec![7; size]);
        let batch = ((64 << 10) / size).max(1);
        let mut left = count;
        while left > 0 {
            let some = left.min(batch);
            assert_eq!(putter.put_many(&mut vec![item.clone(); some], None).unwrap(), some);
            left -= some;
        }
        let full = status(hub.id(), "VmRSS");
        // Nearly all of it: the hub has a little memory to spare.
        assert!(full - before > (count * size * 9 / 10) as u64 >> 10, "{what}: {full} KiB");
        let mut got = 0;
        while got < count {
            got += getter.get_many(batch, None).unwrap().len();
        }
        assert_eq!(getter.qsize().unwrap(), 0);
        let left = || status(hub.id(), "VmRSS").saturating_sub(before);
        let returned = eventually(Duration::from_secs(1), || left() < 12 << 10);
        println!("{what}: {before} KiB, full {full} KiB, drained {} KiB more than before", left());
        assert!(returned, "{what}: {} of {} KiB are kept", left(), full - before);
    }
}
