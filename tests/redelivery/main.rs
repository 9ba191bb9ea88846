//! At-least-once delivery, with real processes that are killed at random points: each item that was put is
//! done at least once, none is invented, and what comes back comes back in order.
//!
//! A failure prints its seed; `NETQ_SEED=<seed> cargo test --test redelivery` begins with that one.

mod backoff;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the command line")]
mod cli;
mod clients;
#[cfg(unix)]
mod drain;
#[cfg(unix)]
mod leases;
mod python_workers;
#[path = "../common/pythons.rs"]
#[allow(dead_code, reason = "shared with the tests of Python programs")]
mod pythons;
#[path = "../common/redis.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod server;
#[path = "../common/stores.rs"]
#[allow(dead_code, reason = "shared with the tests of hubs in their own process")]
mod stores;
#[path = "../support/mod.rs"]
mod support;
#[cfg(unix)]
mod workers;

use std::collections::BTreeMap;

use netq::{Error, Value};

use cli::{Hub, wait_for, wait_for_or};
use support::Rng;

#[cfg(feature = "journal")]
#[test]
fn again_with_the_queues_in_a_journal() {
    stores::again_on_a_journal("redelivery", &[]);
}

#[cfg(feature = "redis")]
#[test]
fn again_with_the_queues_in_redis() {
    stores::again_on_redis(&[]);
}

/// Random numbers for a test, whose seed is in its output.
fn random(default: u64) -> Rng {
    let seed =
        std::env::var("NETQ_SEED").map_or(default, |seed| seed.parse().expect("NETQ_SEED is a number"));
    println!("NETQ_SEED={seed}");
    Rng::new(seed)
}

/// How often each of the numbers from 0 to `count` is among the items. Fails if one is missing, or if there is
/// something else.
#[track_caller]
fn tally(count: i64, items: impl IntoIterator<Item = i64>) -> BTreeMap<i64, usize> {
    let mut tally: BTreeMap<i64, usize> = (0..count).map(|number| (number, 0)).collect();
    for item in items {
        *tally.get_mut(&item).unwrap_or_else(|| panic!("{item} was never put")) += 1;
    }
    let missing: Vec<_> = tally.iter().filter(|(_, times)| **times == 0).map(|(item, _)| item).collect();
    assert!(missing.is_empty(), "lost: {missing:?}");
    tally
}

/// How many items came more often than once, counted as often as they did.
fn duplicates(tally: &BTreeMap<i64, usize>) -> usize {
    tally.values().map(|times| times - 1).sum()
}

/// What is left in a queue, once nobody has any of its items.
fn rest(hub: &Hub, queue: &str) -> Vec<i64> {
    wait_for("the return of all items", || (hub.figure(queue, "out") == 0).then_some(()));
    let proxy = hub.queue(queue);
    let mut items = Vec::new();
    loop {
        match proxy.try_get() {
            Ok(item) => items.push(number(&item)),
            Err(Error::Empty) => return items,
            Err(error) => panic!("{error}"),
        }
        proxy.task_done().unwrap();
    }
}

/// Python's `join()`, which ends at once here: a queue that has lost something would never let it.
fn join(hub: &Hub, queue: &str) {
    let figures = || ["unfinished", "length", "out", "returned"].map(|name| (name, hub.figure(queue, name)));
    let ended = || (hub.figure(queue, "unfinished") == 0).then_some(());
    wait_for_or("the end of all work", ended, || format!("{:?}", figures()));
    hub.queue(queue).join().unwrap();
}

fn number(item: &Value) -> i64 {
    match item {
        Value::Str(text) => text.parse().unwrap(),
        other => other.as_i64().unwrap(),
    }
}
