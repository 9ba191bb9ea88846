//! Clients that leave in the middle of an exchange, and `netq get` that is killed.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use netq::connection::{AuthKey, Connection, Stranger};
use netq::{Error, Value};

use crate::cli::{DEADLINE, Hub, KEY, Running, wait_for};
use crate::support::{Rng, ask, reply, request};
use crate::{duplicates, join, number, random, rest, tally};

/// A connection that takes calls of objects.
fn accepted(hub: &str) -> Connection {
    let stream = Arc::new(TcpStream::connect(hub).unwrap());
    let stranger = Stranger::new(stream, DEADLINE).unwrap();
    let mut connection = stranger.introduce(&AuthKey::new(KEY.as_bytes()), 1 << 30).unwrap();
    let accepted = ask(&mut connection, &request(None, "accept_connection", vec!["x".into()]));
    assert!(accepted.starts_with("#RETURN "), "{accepted}");
    connection
}

/// What a client that has left has finished: for sure, and perhaps.
#[derive(Default)]
struct Finished {
    surely: Vec<i64>,
    perhaps: Vec<i64>,
}

/// One client: gets some items a few times, each time is done with some of them and skips the others, and leaves
/// at some point.
fn come_and_go(hub: &str, rng: &mut Rng, finished: &mut Finished) {
    let mut connection = accepted(hub);
    for _ in 0..rng.below(4) {
        let get = request(Some("q"), "get_many", vec![(1 + rng.below(3)).into(), false.into()]);
        connection.send(&[&get]).unwrap();
        match rng.below(8) {
            // It leaves before the reply, while the reply comes, with the reply unread, or in the middle.
            0 => return,
            1 => return thread::sleep(Duration::from_micros(rng.below(500) as u64)),
            2 => return drop(connection.stream().peek(&mut [0])),
            3 => return drop((&**connection.stream()).read(&mut vec![0; 1 + rng.below(40)])),
            _ => {}
        }
        let (kind, Value::List(has)) = reply(&mut connection) else { return };
        assert_eq!(kind, "#RETURN");
        let mut has = has.iter().map(number);
        while has.len() > 0 && rng.below(4) > 0 {
            let count = 1 + rng.below(has.len());
            let done: Vec<i64> = has.by_ref().take(count).collect();
            connection.send(&[&request(Some("q"), "task_done", vec![count.into()])]).unwrap();
            if rng.below(4) == 0 {
                finished.perhaps.extend(done);
                return;
            }
            assert_eq!(reply(&mut connection), ("#RETURN".into(), Value::None));
            finished.surely.extend(done);
        }
    }
}

#[test]
fn whatever_clients_leave_unfinished_comes_back_in_order_and_only_that() {
    let mut rng = random(1);
    let hub = Hub::start(&["q,redeliver"]);
    let putter = hub.queue("q");
    for round in 0..20 {
        let count = 50;
        putter.put_all(0..count).unwrap();
        let seeds: Vec<u64> = (0..4).map(|_| rng.next()).collect();
        let finished = thread::scope(|scope| {
            let clients = seeds.into_iter().map(|seed| {
                let hub = &hub.address;
                scope.spawn(move || {
                    let (mut rng, mut finished) = (Rng::new(seed), Finished::default());
                    (0..10).for_each(|_| come_and_go(hub, &mut rng, &mut finished));
                    finished
                })
            });
            clients.collect::<Vec<_>>().into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>()
        });
        let surely: Vec<i64> = finished.iter().flat_map(|it| it.surely.clone()).collect();
        let perhaps: BTreeSet<i64> = finished.iter().flat_map(|it| it.perhaps.clone()).collect();
        let left = rest(&hub, "q");
        assert!(left.is_sorted_by(|a, b| a < b), "round {round}: out of order: {left:?}");
        let accounted = left.iter().chain(&surely).copied();
        let missing = perhaps.iter().copied().filter(|item| !left.contains(item));
        // Nothing that was surely done came back.
        let all = tally(count, accounted.chain(missing));
        assert_eq!(duplicates(&all), 0, "round {round}: {all:?}");
        assert_eq!(hub.figure("q", "unfinished"), 0);
    }
}

#[test]
fn all_that_is_put_is_printed_by_some_netq_get_though_all_are_killed() {
    let mut rng = random(2);
    let hub = Hub::start(&["q,redeliver"]);
    let (count, rounds) = (20_000, 60);
    let putter = hub.queue("q");
    let putting = thread::spawn(move || putter.put_all(0..count).unwrap());
    let mut printed = Vec::new();
    let mut kills = 0;
    for _ in 0..rounds {
        let mut get = Running::start(&mut hub.command(&["get", "q", "--follow"]));
        thread::sleep(Duration::from_micros(rng.below(12_000) as u64));
        get.child.kill().unwrap();
        kills += 1;
        let text = String::from_utf8(get.wait().stdout).unwrap();
        printed.extend(text.lines().map(|line| line.parse::<i64>().unwrap()));
    }
    putting.join().unwrap();
    // What the last of them had has to be there again, or the next one leaves before it comes.
    wait_for("the return of all items", || (hub.figure("q", "out") == 0).then_some(()));
    let last = hub.command(&["get", "q", "--follow", "--timeout", "0.2"]);
    let ended = crate::cli::run(last);
    printed.extend(String::from_utf8(ended.stdout).unwrap().lines().map(|line| line.parse::<i64>().unwrap()));
    join(&hub, "q");
    // What a killed one had printed of its last batch, at most, came again.
    let again = duplicates(&tally(count, printed));
    assert!(again <= kills * 64, "{again} items came again after {kills} kills");
}

#[test]
fn join_waits_for_items_that_are_out_and_for_those_that_came_back() {
    let hub = Hub::start(&["q,redeliver"]);
    let boss = hub.queue("q");
    boss.put("job").unwrap();
    let worker = hub.queue("q");
    worker.get().unwrap();
    let (send, joined) = mpsc::channel();
    let joining = thread::spawn(move || send.send(boss.join().map(|()| "joined")));
    let still_waits = || joined.recv_timeout(Duration::from_millis(50)).is_err();
    assert!(still_waits(), "the item is at a worker");
    drop(worker);
    wait_for("its return", || (hub.figure("q", "length") == 1).then_some(()));
    assert!(still_waits(), "the item is in the queue again");
    let other = hub.queue("q");
    assert_eq!(other.get().unwrap(), "job".into());
    assert!(still_waits(), "the item is at another worker");
    other.task_done().unwrap();
    assert_eq!(joined.recv_timeout(DEADLINE).unwrap().unwrap(), "joined");
    joining.join().unwrap().unwrap();
}

#[test]
fn an_item_whose_clients_die_too_often_goes_to_the_dead_letter_queue() {
    let hub = Hub::start(&["q,redeliver,attempts=2"]);
    let boss = hub.queue("q");
    boss.put("poison").unwrap();
    boss.put("job").unwrap();
    for _ in 0..3 {
        assert_eq!(hub.figure("q_dead", "length"), 0);
        let client = hub.queue("q");
        assert_eq!(client.get().unwrap(), "poison".into());
        drop(client);
        wait_for("its end", || (hub.figure("q", "out") == 0).then_some(()));
    }
    assert_eq!(boss.get().unwrap(), "job".into());
    boss.task_done().unwrap();
    boss.join().unwrap();
    assert_eq!(hub.rest("q_dead"), ["poison".into()]);
    assert!(matches!(boss.try_get(), Err(Error::Empty)));
}
