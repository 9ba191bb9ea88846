//! Everything dies at random, and nothing is lost: hubs and workers are killed, Redis is killed and started again.
//!
//! `NETQ_SOAK=1` goes on for a minute. A failure prints its seed; `NETQ_SEED=<seed>` begins with that one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use netq::{BaseManager, Error, Value};

use crate::cli::{Hub, KEY, Running, entry, netq};
use crate::server::{self, Redis};
use crate::support::Rng;

/// What has come back from the dead is there within this time: a hub is missed after fifteen seconds, and after an end
/// of Redis' nobody for as long again.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one client has put: for sure, and perhaps.
#[derive(Default)]
struct Put {
    surely: Vec<String>,
    perhaps: Vec<String>,
}

fn put(addresses: &str, who: &str, stop: &AtomicBool) -> Put {
    let queue = BaseManager::new(addresses, KEY.as_bytes()).queue("tasks").unwrap();
    let mut put = Put::default();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let item = format!("{who}{number}");
        match queue.put(item.as_str()) {
            Ok(()) => put.surely.push(item),
            Err(Error::Raised(_) | Error::Lost { .. } | Error::Connect { .. }) => put.perhaps.push(item),
            Err(error) => panic!("{error}"),
        }
        thread::sleep(Duration::from_millis(4));
    }
    put
}

fn work(addresses: &str) -> Running {
    Running::start(&mut netq([
        "work",
        "tasks",
        "--connect",
        addresses,
        "--results",
        "results",
        "--reconnect",
        "60",
        "--",
        "true",
    ]))
}

fn serve(redis: &Redis, address: &str) -> Hub {
    Hub::start_at(address, &["--store", &redis.url(), "--quiet", "tasks,redeliver", "results"])
}

#[test]
fn no_answered_put_is_lost_whatever_dies() {
    if !server::is_there() {
        return;
    }
    let seed = std::env::var("NETQ_SEED").map_or(5, |seed| seed.parse().unwrap());
    println!("NETQ_SEED={seed}");
    let mut rng = Rng::new(seed);
    let time = Duration::from_secs(if std::env::var_os("NETQ_SOAK").is_some() { 60 } else { 6 });
    let mut redis = Redis::start();
    let mut hubs = [(); 2].map(|()| serve(&redis, "127.0.0.1:0"));
    let addresses = hubs.each_ref().map(|hub| hub.address.clone()).join(",");
    let mut workers = [(); 4].map(|()| work(&addresses));
    let stop = AtomicBool::new(false);
    let (mut killed_hubs, mut killed_workers, mut restarts) = (0, 0, 0);
    let put = thread::scope(|scope| {
        let putters = ["a", "b"].map(|who| scope.spawn(|| put(&addresses, who, &stop)));
        let begun = Instant::now();
        while begun.elapsed() < time {
            thread::sleep(Duration::from_millis(20 + rng.below(120) as u64));
            match rng.below(12) {
                0 => {
                    let hub = &mut hubs[rng.below(2)];
                    hub.running.child.kill().unwrap();
                    hub.running.child.wait().unwrap();
                    *hub = serve(&redis, &hub.address);
                    killed_hubs += 1;
                }
                _ => {
                    let worker = &mut workers[rng.below(4)];
                    worker.child.kill().unwrap();
                    *worker = work(&addresses);
                    killed_workers += 1;
                }
            }
            if begun.elapsed() > time * (restarts + 1) / 3 && restarts < 2 {
                redis.kill();
                thread::sleep(Duration::from_millis(rng.below(500) as u64));
                redis.restart();
                restarts += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
        putters.map(|putter| putter.join().unwrap())
    });
    let deadline = Instant::now() + PATIENCE;
    while hubs[0].figure("tasks", "unfinished") > 0 {
        assert!(Instant::now() < deadline, "{} unfinished", hubs[0].figure("tasks", "unfinished"));
        thread::sleep(Duration::from_millis(50));
    }
    drop(workers);
    let mut done: Vec<String> = Vec::new();
    for result in hubs[1].rest("results") {
        done.push(entry(&result, "task").and_then(Value::as_str).unwrap().to_owned());
    }
    done.sort_unstable();
    let results = done.len();
    done.dedup();
    let twice = results - done.len();
    let surely: Vec<&String> = put.iter().flat_map(|put| &put.surely).collect();
    let perhaps: Vec<&String> = put.iter().flat_map(|put| &put.perhaps).collect();
    println!(
        "{} puts answered, {} not; {killed_hubs} hubs and {killed_workers} workers killed, Redis {restarts} times: {twice} \
         results twice",
        surely.len(),
        perhaps.len(),
    );
    let lost: Vec<_> = surely.iter().filter(|item| done.binary_search(item).is_err()).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let known = |item: &&String| surely.contains(item) || perhaps.contains(item);
    assert!(done.iter().all(|item| known(&item)), "work that nobody has put");
    assert!(surely.len() > 100 && killed_hubs > 0 && killed_workers > 5 && restarts == 2);
    // A worker that is killed, or whose hub is, has one item that it may have put the result of. Each end of a hub meets
    // those of four workers.
    assert!(twice <= killed_workers + 4 * killed_hubs, "{twice} results twice");
}
