//! Clients and hubs that die at any moment: every item is accounted for.
//!
//! What a plain queue promises: an item whose reply was not read goes back to the front, in order; an item
//! whose reply was read has left the queue. So a worker that is killed after it has read its reply has its
//! item, and takes it along: nobody but a redelivering queue could know better. The tests that cannot see
//! from outside whether a reply was read allow one such item for each kill, and no more; the others allow
//! none.

mod support;

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

use netq::pickle::Value;
use netq::queue::Wait;
use netq::{BaseManager, Error, Options, Pickled};
use support::process::{Process, end_with_parent, hear, say};
use support::*;

/// The other processes of these tests.
#[test]
fn role() {
    let Some((role, address)) = process::role() else { return };
    match (&*role, address) {
        ("hub", address) => process::be_a_hub(address, Options::default()),
        ("deaf", Some(address)) => be_deaf(address),
        ("reader", Some(address)) => be_a_reader(address),
        ("putter", Some(address)) => be_a_putter(address),
        ("careful", Some(address)) => be_careful(address),
        _ => panic!("no role {role}"),
    }
}

/// Asks for an item on many connections and never reads a reply.
fn be_deaf(address: SocketAddr) {
    let get = request(Some(TASKS), "get", vec![]);
    let mut connections: Vec<_> = (0..DEAF).map(|_| accepted(address)).collect();
    say("ready");
    connections.iter_mut().for_each(|connection| connection.send(&[&get]).unwrap());
    hear();
}

const DEAF: usize = 10;

/// Gets items, and says the number of each as soon as it has it.
fn be_a_reader(address: SocketAddr) {
    end_with_parent();
    let queue = client(address).queue(TASKS).unwrap();
    say("ready");
    loop {
        say(queue.get().unwrap());
    }
}

/// Puts the numbers from the one that it is told on, and says each once the put was answered.
fn be_a_putter(address: SocketAddr) {
    let first: i64 = hear().parse().unwrap();
    end_with_parent();
    let queue = client(address).queue(TASKS).unwrap();
    for number in first.. {
        queue.put(number).unwrap();
        say(number);
    }
}

/// Gets items of the queue that redelivers and reports each done, and says when it has it, when it begins to
/// report it, and when that was answered.
fn be_careful(address: SocketAddr) {
    end_with_parent();
    let queue = client(address).queue(CAREFUL).unwrap();
    say("ready");
    loop {
        let item = number(&queue.get().unwrap());
        say(format!("got {item}"));
        say(format!("reports {item}"));
        queue.task_done().unwrap();
        say(format!("done {item}"));
    }
}

/// What comes out of the queue when nobody else is there: its numbers.
fn drain(hub: &Hub) -> Vec<i64> {
    wait_until("no item is on its way", || hub.queue.stats().out == 0);
    std::iter::from_fn(|| hub.queue.try_get().ok()).map(|item| number(&item.decode())).collect()
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        // Padded, so that a reply can be read in part.
        Value::Tuple(parts) => parts[0].as_i64().unwrap(),
        other => panic!("never put: {other}"),
    }
}

/// A moment of up to three milliseconds, in which the other side is somewhere.
fn a_moment(rng: &mut Rng) {
    thread::sleep(Duration::from_micros(rng.below(3_000) as u64));
}

/// One client that asks for an item and closes its connection at some point; the item that it has got, if
/// it has read the whole reply.
fn cut(hub: SocketAddr, rng: &mut Rng) -> Option<i64> {
    let mut connection = accepted(hub);
    let timeout = 1.0 + rng.below(5) as f64;
    connection.send(&[&request(Some(TASKS), "get", vec![true.into(), timeout.into()])]).unwrap();
    let stream = connection.stream().clone();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match rng.below(8) {
        // Before the reply, or while it comes.
        0 => {}
        1 => a_moment(rng),
        // The reply is there, unread.
        2 | 3 => drop(stream.peek(&mut [0])),
        // Read in part.
        4 => drop((&*stream).read(&mut vec![0; 1 + rng.below(100)])),
        // Read; after that the client leaves, at once or after another request, or has half closed before.
        _ => {
            let manner = rng.below(20);
            if manner == 0 {
                stream.shutdown(Shutdown::Write).unwrap();
            }
            // A hub that sees the half-closed connection before its reply may take the client to be gone.
            if let Ok(Some(reply)) = connection.receive()
                && let Some(item) = reply.strip_prefix(b"\x80\x04\x8c\x07#RETURN")
            {
                let item = [b"\x80\x04", &item[..item.len() - 2], b"."].concat();
                let got = number(&Pickled::from_pickle(&item).unwrap().decode());
                if manner > 1 {
                    ask(&mut connection, &request(Some(TASKS), "qsize", vec![]));
                }
                return Some(got);
            }
        }
    }
    None
}

fn padded(number: i64) -> Pickled {
    Pickled::from(Value::from((number, "x".repeat(200))))
}

#[test]
fn an_item_whose_reply_was_not_read_whole_is_the_next_one_again() {
    const ROUNDS: u64 = 800;
    let hub = Hub::start(Options::default());
    let mut next = 0;
    for number in 0..ROUNDS as i64 {
        hub.queue.try_put(padded(number)).unwrap();
    }
    for seed in 0..ROUNDS {
        let got = cut(hub.address, &mut Rng::new(seed));
        if got.is_some() {
            assert_eq!(got, Some(next), "seed {seed}");
            next += 1;
        }
        wait_until("the item is back or gone", || hub.figure("connections") == 1);
        assert_eq!(hub.queue.len() as i64, ROUNDS as i64 - next, "seed {seed}");
    }
    println!("seeds 0 to {ROUNDS}: {next} got, {} came back", hub.queue.stats().returned);
    assert!(next > 100 && hub.queue.stats().returned > 100);
    assert_eq!(drain(&hub), (next..ROUNDS as i64).collect::<Vec<_>>());
}

#[test]
fn many_clients_that_break_off_at_once_lose_nothing_and_double_nothing() {
    const ROUNDS: u64 = 2_000;
    const CLIENTS: u64 = 8;
    let hub = Hub::start(Options::default());
    let mut got = Vec::new();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|worker| {
                let address = hub.address;
                scope.spawn(move || {
                    let seeds = (worker..ROUNDS).step_by(CLIENTS as usize);
                    seeds.filter_map(|seed| cut(address, &mut Rng::new(seed ^ 0xc0ffee))).collect::<Vec<_>>()
                })
            })
            .collect();
        // So that now the items wait for the clients, and now the clients for the items.
        let mut rng = Rng::new(7);
        for number in 0..ROUNDS as i64 {
            hub.queue.put(padded(number), Wait::forever()).unwrap();
            if rng.below(50) == 0 {
                a_moment(&mut rng);
            }
        }
        for client in clients {
            let items = client.join().unwrap();
            got.extend(items);
        }
    });
    let left = drain(&hub);
    println!("{ROUNDS} rounds: {} got, {} came back", got.len(), hub.queue.stats().returned);
    assert!(left.is_sorted(), "what came back is not in its place");
    let mut all = [got, left].concat();
    all.sort_unstable();
    assert_eq!(all, (0..ROUNDS as i64).collect::<Vec<_>>(), "lost, doubled or invented");
}

#[test]
fn workers_killed_while_they_wait_or_before_they_read_lose_nothing() {
    const KILLS: u64 = 60;
    let hub = Hub::start(Options::default());
    let mut put = 0;
    for seed in 0..KILLS {
        let mut rng = Rng::new(seed);
        let mut workers = Process::start("deaf", Some(hub.address));
        assert_eq!(workers.line(), "ready");
        // Some of the items are there before the kill, some come in the middle of it, some after it.
        let mut feed = |count: usize| {
            for _ in 0..count {
                hub.queue.try_put(padded(put)).unwrap();
                put += 1;
            }
        };
        feed(rng.below(DEAF));
        a_moment(&mut rng);
        feed(rng.below(DEAF));
        workers.kill();
        feed(rng.below(DEAF));
    }
    wait_until("the hub knows that all are gone", || hub.figure("connections") == 1);
    let stats = hub.queue.stats();
    println!("seeds 0 to {KILLS}: {put} items, {} of them came back", stats.returned);
    assert!(stats.returned > KILLS, "the kills come too early to show anything");
    assert_eq!(drain(&hub), (0..put).collect::<Vec<_>>(), "all of them, in their order");
}

#[test]
fn a_worker_killed_while_its_reply_is_half_written_loses_nothing() {
    let hub = Hub::start(Options::default());
    let photo = Pickled::from(Value::Bytes(vec![7; 24 << 20]));
    for _ in 0..5 {
        let mut workers = Process::start("deaf", Some(hub.address));
        assert_eq!(workers.line(), "ready");
        hub.queue.try_put(photo.clone()).unwrap();
        // More than the kernel takes: the hub's write waits for a reader.
        wait_until("the item is on its way", || hub.queue.stats().out == 1);
        workers.kill();
        // Each of the others that waited, and is dead as well, may be given it before it stays.
        wait_until("the hub knows that all are gone", || hub.figure("connections") == 1);
        assert_eq!(hub.queue.try_get(), Ok(photo.clone()));
    }
}

#[test]
fn workers_killed_at_any_moment_take_along_one_item_each_at_the_most() {
    const KILLS: usize = 60;
    let hub = Hub::start(Options::default());
    let mut rng = Rng::new(11);
    let mut put = 0_i64;
    let mut dead = Vec::new();
    for _ in 0..KILLS / 4 {
        let mut workers: Vec<_> = (0..4).map(|_| Process::start("reader", Some(hub.address))).collect();
        workers.iter().for_each(|worker| assert_eq!(worker.line(), "ready"));
        for worker in &mut workers {
            for _ in 0..rng.below(60) {
                hub.queue.try_put(padded(put)).unwrap();
                put += 1;
            }
            a_moment(&mut rng);
            worker.kill();
        }
        dead.append(&mut workers);
    }
    wait_until("the hub knows that all are gone", || hub.figure("connections") == 1);
    let mut seen = BTreeSet::new();
    for worker in &dead {
        let numbers: Vec<i64> =
            worker.rest().iter().map(|line| line[1..].split(',').next().unwrap().parse().unwrap()).collect();
        numbers.iter().for_each(|&number| assert!(seen.insert(number), "{number} was got twice"));
    }
    let got = seen.len();
    let left = drain(&hub);
    assert!(left.is_sorted(), "what came back is not in its place");
    left.iter().for_each(|&number| assert!(seen.insert(number), "{number} was got and is still there"));
    let missing = put as usize - seen.len();
    println!("{put} items: {got} got, {} left, {missing} taken along in {KILLS} kills", left.len());
    assert!(got > KILLS && missing <= KILLS, "{missing} of {put} are lost");
    assert!(seen.iter().all(|&number| (0..put).contains(&number)), "an item was invented");
}

#[test]
fn a_redelivering_queue_loses_nothing_whenever_its_workers_are_killed() {
    const KILLS: usize = 60;
    let hub = Hub::start(Options::default());
    let mut rng = Rng::new(19);
    let mut put = 0_i64;
    let mut dead = Vec::new();
    for _ in 0..KILLS / 4 {
        let mut workers: Vec<_> = (0..4).map(|_| Process::start("careful", Some(hub.address))).collect();
        workers.iter().for_each(|worker| assert_eq!(worker.line(), "ready"));
        for worker in &mut workers {
            for _ in 0..rng.below(60) {
                hub.careful.try_put(padded(put)).unwrap();
                put += 1;
            }
            a_moment(&mut rng);
            worker.kill();
        }
        dead.append(&mut workers);
    }
    wait_until("the hub knows that all are gone", || hub.figure("connections") == 1);
    wait_until("no item is out", || hub.careful.stats().out == 0);
    let left: BTreeSet<i64> = {
        let items: Vec<i64> =
            std::iter::from_fn(|| hub.careful.try_get().ok()).map(|item| number(&item.decode())).collect();
        assert!(items.is_sorted_by(|a, b| a < b), "what came back is not in its place: {items:?}");
        items.into_iter().collect()
    };
    let (mut got, mut reported, mut done) = (0, BTreeSet::new(), BTreeSet::new());
    for line in dead.iter().flat_map(Process::rest) {
        let (word, number) = line.split_once(' ').unwrap();
        let number: i64 = number.parse().unwrap();
        assert!((0..put).contains(&number), "{number} was invented");
        match word {
            "got" => got += 1,
            "reports" => drop(reported.insert(number)),
            _ => assert!(done.insert(number), "{number} was done twice"),
        }
    }
    println!("{put} items: {got} got, {} done, {} left after {KILLS} kills", done.len(), left.len());
    for number in 0..put {
        match (done.contains(&number), left.contains(&number)) {
            (true, true) => panic!("{number} is done, and came back"),
            // The report arrived, and its answer, or the word about it, did not.
            (false, false) => assert!(reported.contains(&number), "{number} is lost"),
            _ => {}
        }
    }
    assert!(done.len() > KILLS && got > done.len(), "the kills show nothing");
}

#[test]
fn a_put_that_was_answered_is_in_the_queue_once_and_in_order_when_its_putter_is_killed() {
    const KILLS: i64 = 60;
    const EACH: i64 = 1_000_000;
    let hub = Hub::start(Options::default());
    let mut rng = Rng::new(13);
    let mut putters = Vec::new();
    for round in 0..KILLS / 4 {
        let mut some: Vec<_> = (0..4).map(|_| Process::start("putter", Some(hub.address))).collect();
        for (place, putter) in some.iter_mut().enumerate() {
            putter.tell(&((round * 4 + place as i64) * EACH).to_string());
        }
        // One at least has begun.
        let first = some[0].line();
        for putter in &mut some {
            a_moment(&mut rng);
            putter.kill();
        }
        putters.push((some, first));
    }
    wait_until("the hub knows that all are gone", || hub.figure("connections") == 1);
    let queued = drain(&hub);
    let mut answered_in_all = 0;
    for (number, putter) in putters.iter().flat_map(|(some, _)| some).enumerate() {
        let range = number as i64 * EACH..(number as i64 + 1) * EACH;
        let mine: Vec<i64> = queued.iter().copied().filter(|n| range.contains(n)).collect();
        // Its numbers from the first on: none lost, doubled or out of order.
        assert_eq!(mine, (range.start..range.start + mine.len() as i64).collect::<Vec<_>>());
        let taken_before = usize::from(number % 4 == 0);
        let answered = putter.rest().len() + taken_before;
        // One more may be in than was answered: the answer to it, or the word about it, was under way.
        assert!((answered..=answered + 1).contains(&mine.len()), "{answered} answered, {} in", mine.len());
        answered_in_all += answered;
    }
    println!("{KILLS} kills: {answered_in_all} puts answered, {} in the queue", queued.len());
    assert!(queued.iter().all(|n| *n < KILLS * EACH), "an item was invented");
}

#[test]
fn a_hub_that_is_killed_under_its_clients_doubles_and_invents_nothing() {
    const KILLS: u64 = 40;
    let mut hub = Process::start("hub", None);
    let address: SocketAddr = hub.line().parse().unwrap();
    let mut rng = Rng::new(17);

    // The putter is told where an outcome is not known; the getter goes on by itself.
    let (numbers, put) = std::sync::mpsc::channel();
    let putter = thread::spawn(move || {
        let queue = BaseManager::new(address.to_string(), KEY).queue(TASKS).unwrap();
        let mut unknown = 0;
        let mut number = 0;
        while number >= 0 {
            match queue.put(number) {
                Ok(()) => {}
                Err(Error::Lost { method, .. }) if method == "put" => unknown += 1,
                Err(error) => panic!("put: {error}"),
            }
            number += 1;
            if numbers.send(()).is_err() {
                break;
            }
        }
        (number, unknown)
    });
    let queue = BaseManager::new(address.to_string(), KEY).queue(TASKS).unwrap();
    let getter = thread::spawn(move || {
        let mut got = Vec::new();
        loop {
            match queue.get().unwrap() {
                Value::Str(end) if end == "end" => return got,
                item => got.push(number(&item)),
            }
        }
    });
    for _ in 0..KILLS {
        // Some puts with this hub at least, and then a kill at any moment.
        put.recv_timeout(PATIENCE).unwrap();
        put.recv_timeout(PATIENCE).unwrap();
        a_moment(&mut rng);
        hub.kill();
        let again = Process::start("hub", Some(address));
        assert_eq!(again.line(), address.to_string(), "at the same address");
        hub = again;
        put.try_iter().for_each(drop);
    }
    drop(put);
    let (offered, unknown) = putter.join().unwrap();
    client(address).queue(TASKS).unwrap().put("end").unwrap();
    let got = getter.join().unwrap();
    println!("{KILLS} kills: {offered} put, {unknown} with an unknown outcome, {} got", got.len());
    assert!(got.is_sorted_by(|a, b| a < b), "an item was doubled, or passed another: {got:?}");
    assert!(got.iter().all(|number| (0..offered).contains(number)), "an item was invented");
    // Each kill may take what is in the hub, and break one put.
    assert!(unknown <= KILLS as i64, "{unknown} outcomes are unknown");
}
