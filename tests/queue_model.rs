//! The queue against a model: random calls, from one thread and compared with a plain list, and from many
//! threads with the promises checked that hold for any order of events.
//!
//! A failure names its seed; `NETQ_SEED=<seed> cargo test --test queue_model` runs that one alone.

use netq::queue::{BoundedQueue, GetError, Limits, PutError, Stats, Taken, Wait};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Far more than a run takes, so that only a lost wake-up gets there.
const DEADLINE: Duration = Duration::from_secs(60);

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("NETQ_SEED") {
        Ok(seed) => vec![seed.parse().expect("NETQ_SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}

/// Marsaglia's xorshift64*, well enough mixed to choose what to do next.
struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Self {
        let mut rng = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            rng.below(2);
        }
        rng
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Item {
    producer: usize,
    number: usize,
    weight: usize,
}

fn limits(rng: &mut Rng) -> Limits<Item> {
    Limits {
        maxsize: rng.pick(&[0, 1, 1, 2, 5, 200]),
        max_weight: rng.pick(&[None, None, Some(4), Some(10), Some(100)]),
        weigh: |item| item.weight,
    }
}

/// What always holds, at any moment.
fn check(stats: &Stats, bounds_hold: bool) {
    let Stats {
        len, reserved, out, ..
    } = *stats;
    assert_eq!(
        stats.puts,
        stats.gets + stats.discarded + (len + out) as u64,
        "{stats:?}"
    );
    assert!(reserved <= out, "{stats:?}");
    if bounds_hold {
        assert!(
            stats.maxsize == 0 || len + reserved <= stats.maxsize,
            "{stats:?}"
        );
        assert!(
            stats.max_weight.is_none_or(|max| stats.weight <= max),
            "{stats:?}"
        );
    }
}

/// The queue as a plain list, for one thread.
struct Model {
    maxsize: usize,
    max_weight: usize,
    /// In the order of the puts: item, how often it came back.
    queue: BTreeMap<usize, (Item, u32)>,
    weight: usize,
    reserved: usize,
    unfinished: usize,
    shut_down: Option<bool>,
}

impl Model {
    fn put(&mut self, item: Item) -> Result<(), PutError<Item>> {
        if self.shut_down.is_some() {
            Err(PutError::ShutDown(item))
        } else if item.weight > self.max_weight {
            Err(PutError::TooLarge(item))
        } else if self.maxsize > 0 && self.queue.len() + self.reserved >= self.maxsize
            || self.weight + item.weight > self.max_weight
        {
            Err(PutError::Full(item))
        } else {
            self.queue.insert(item.number, (item, 0));
            self.weight += item.weight;
            self.unfinished += 1;
            Ok(())
        }
    }

    fn take(&mut self) -> Result<(Item, u32), GetError> {
        let empty = if self.shut_down.is_some() {
            GetError::ShutDown
        } else {
            GetError::Empty
        };
        let (_, next) = self.queue.pop_first().ok_or(empty)?;
        self.reserved += 1;
        Ok(next)
    }

    fn release(&mut self, item: Item) {
        self.reserved -= 1;
        self.weight -= item.weight;
    }

    fn put_back(&mut self, item: Item, returns: u32, has_slot: bool) {
        if has_slot {
            self.release(item);
        }
        if self.shut_down == Some(true) {
            self.unfinished = self.unfinished.saturating_sub(1);
        } else {
            self.weight += item.weight;
            self.queue.insert(item.number, (item, returns + 1));
        }
    }

    fn shutdown(&mut self, immediate: bool) {
        self.shut_down = Some(immediate || self.shut_down == Some(true));
        if immediate {
            for (item, _) in std::mem::take(&mut self.queue).into_values() {
                self.weight -= item.weight;
                self.unfinished = self.unfinished.saturating_sub(1);
            }
        }
    }
}

#[test]
fn one_thread_sees_what_a_plain_list_would_do() {
    for seed in seeds(200) {
        let trace = RefCell::new(Vec::new());
        let run = || one_thread(seed, &trace);
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
            let trace = trace.into_inner();
            let last = trace.len().saturating_sub(20);
            eprintln!("NETQ_SEED={seed}; the last calls: {:?}", &trace[last..]);
            std::panic::resume_unwind(panic);
        }
    }
}

fn one_thread(seed: u64, trace: &RefCell<Vec<&'static str>>) {
    let mut rng = Rng::new(seed);
    let limits = limits(&mut rng);
    let mut model = Model {
        maxsize: limits.maxsize,
        max_weight: limits.max_weight.unwrap_or(usize::MAX),
        queue: BTreeMap::new(),
        weight: 0,
        reserved: 0,
        unfinished: 0,
        shut_down: None,
    };
    let queue = BoundedQueue::with_limits(limits);
    let mut guards: Vec<(Taken<Item>, bool)> = Vec::new();
    let mut number = 0;
    let mut bounds_hold = true;
    let now = Wait::not_at_all();
    for _ in 0..1000 {
        let mut new_item = |rng: &mut Rng| {
            number += 1;
            Item {
                producer: 0,
                number,
                weight: rng.below(6),
            }
        };
        let call = rng.pick(&[
            "put",
            "put",
            "put_many",
            "get",
            "take",
            "take",
            "take_many",
            "drop",
            "drop",
            "commit",
            "commit",
            "release",
            "task_done",
            "shutdown",
        ]);
        trace.borrow_mut().push(call);
        match call {
            "put" => {
                let item = new_item(&mut rng);
                assert_eq!(queue.try_put(item), model.put(item));
            }
            "put_many" => {
                let mut items: VecDeque<Item> =
                    (0..rng.below(5)).map(|_| new_item(&mut rng)).collect();
                let refused = items.iter().find_map(|item| model.put(*item).err());
                let stopped = queue.put_many(&mut items, now).err();
                assert_eq!(
                    stopped.map(|stopped| stopped.reason.to_string()),
                    refused.map(|e| e.to_string())
                );
                assert_eq!(items.front().copied(), refused.map(PutError::into_item));
            }
            "get" => {
                let expected = model.take().map(|(item, _)| item);
                assert_eq!(queue.try_get(), expected);
                let _ = expected.map(|item| model.release(item));
            }
            "take" => match (queue.take(now), model.take()) {
                (Ok(taken), Ok(expected)) => {
                    assert_eq!((*taken, taken.returns()), expected);
                    guards.push((taken, true));
                }
                (taken, expected) => assert_eq!(taken.err(), expected.err()),
            },
            "take_many" => {
                let max = 1 + rng.below(4);
                let expected: Vec<_> = (0..max).map_while(|_| model.take().ok()).collect();
                let taken = queue.take_many(max, now).unwrap_or_default();
                assert_eq!(
                    taken.iter().map(|t| (**t, t.returns())).collect::<Vec<_>>(),
                    expected
                );
                guards.extend(taken.into_iter().map(|taken| (taken, true)));
            }
            "shutdown" if rng.one_in(20) => {
                let immediate = rng.one_in(2);
                queue.shutdown(immediate);
                model.shutdown(immediate);
            }
            "task_done" => {
                assert_eq!(queue.task_done().is_ok(), model.unfinished > 0);
                model.unfinished = model.unfinished.saturating_sub(1);
            }
            _ if guards.is_empty() => {}
            "drop" => {
                let (taken, has_slot) = guards.swap_remove(rng.below(guards.len()));
                bounds_hold &= has_slot;
                model.put_back(*taken, taken.returns(), has_slot);
                drop(taken);
            }
            "commit" => {
                let (taken, has_slot) = guards.swap_remove(rng.below(guards.len()));
                let item = taken.commit();
                if has_slot {
                    model.release(item);
                }
            }
            "release" => {
                let n = rng.below(guards.len());
                let (taken, has_slot) = &mut guards[n];
                taken.release_slot();
                if std::mem::take(has_slot) {
                    model.release(**taken);
                }
            }
            _ => {}
        }
        let stats = queue.stats();
        check(&stats, bounds_hold);
        assert_eq!(
            (
                stats.len,
                stats.out,
                stats.reserved,
                stats.weight,
                stats.unfinished
            ),
            (
                model.queue.len(),
                guards.len(),
                model.reserved,
                model.weight,
                model.unfinished
            )
        );
        assert_eq!(queue.join(now).is_ok(), model.unfinished == 0);
    }
}

/// What one run with many threads is about.
struct Plan {
    seed: u64,
    queue: Arc<BoundedQueue<Item>>,
    /// Consumers drop guards, so that items come back.
    drops: bool,
    /// Guards give up their slots before they end.
    releases: bool,
    /// Clients vanish while they wait.
    vanish: bool,
    producers: usize,
    each: usize,
    consumers: usize,
    done: AtomicBool,
    dropped: AtomicU64,
    refused: AtomicUsize,
}

impl Plan {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            seed,
            queue: BoundedQueue::with_limits(limits(&mut rng)),
            drops: rng.one_in(2),
            releases: rng.one_in(3),
            vanish: rng.one_in(2),
            producers: 1 + rng.below(4),
            each: 300,
            consumers: 1 + rng.below(4),
            done: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            refused: AtomicUsize::new(0),
        }
    }

    /// Hand `call` a random wait: mostly one without an end, which only a wake-up ends.
    fn waiting<R>(&self, rng: &RefCell<Rng>, call: impl FnOnce(Wait<'_>) -> R) -> R {
        let vanishes = || !rng.borrow_mut().one_in(3);
        let kind = rng.borrow_mut().below(8);
        match kind {
            0 => call(Wait::not_at_all()),
            1 => call(Wait::at_most(Duration::from_micros(50))),
            2 if self.vanish => {
                call(Wait::at_most(Duration::from_micros(50)).while_alive(&vanishes))
            }
            3 | 4 if self.vanish => call(Wait::forever().while_alive(&vanishes)),
            _ => call(Wait::forever()),
        }
    }

    /// Put all items of one producer in order, each once; stops at a shutdown.
    fn produce(&self, producer: usize) {
        let rng = RefCell::new(Rng::new(self.seed ^ (0xA000 + producer as u64)));
        let mut next = 0;
        while next < self.each {
            let count = if rng.borrow_mut().one_in(3) {
                1 + rng.borrow_mut().below(9)
            } else {
                1
            };
            let mut items: VecDeque<Item> = (next..self.each.min(next + count))
                .map(|number| Item {
                    producer,
                    number,
                    weight: rng.borrow_mut().below(5),
                })
                .collect();
            let before = items.len();
            let refused = if before == 1 {
                let item = items.pop_front().unwrap();
                match self.waiting(&rng, |wait| self.queue.put(item, wait)) {
                    Ok(()) => None,
                    Err(error) => {
                        items.push_back(item);
                        Some(error.to_string())
                    }
                }
            } else {
                let result = self.waiting(&rng, |wait| self.queue.put_many(&mut items, wait));
                assert_eq!(
                    result.unwrap_or_else(|stopped| stopped.put),
                    before - items.len()
                );
                result.err().map(|stopped| stopped.reason.to_string())
            };
            next += before - items.len();
            assert_eq!(items.is_empty(), refused.is_none());
            if refused == Some(PutError::ShutDown(()).to_string()) {
                break;
            }
        }
        self.refused.fetch_add(self.each - next, Ordering::Relaxed);
    }

    /// Take items in all the ways there are until the queue is shut down; says which ones were committed.
    fn consume(&self, consumer: usize) -> Vec<Item> {
        let rng = RefCell::new(Rng::new(self.seed ^ (0xB000 + consumer as u64)));
        let mut got = Vec::new();
        loop {
            let how = rng.borrow_mut().below(3);
            let taken = match how {
                0 => match self.waiting(&rng, |wait| self.queue.get(wait)) {
                    Ok(item) => {
                        got.push(item);
                        self.queue.task_done().unwrap();
                        continue;
                    }
                    Err(error) => Err(error),
                },
                1 => self
                    .waiting(&rng, |wait| self.queue.take(wait))
                    .map(|taken| vec![taken]),
                _ => {
                    let max = 1 + rng.borrow_mut().below(6);
                    self.waiting(&rng, |wait| self.queue.take_many(max, wait))
                }
            };
            match taken {
                Ok(guards) => self.end(guards, &mut rng.borrow_mut(), &mut got),
                Err(GetError::ShutDown) => return got,
                Err(GetError::Empty | GetError::Gone) => {}
            }
        }
    }

    fn end(&self, guards: Vec<Taken<Item>>, rng: &mut Rng, got: &mut Vec<Item>) {
        for mut taken in guards {
            if self.releases && rng.one_in(2) {
                taken.release_slot();
            }
            if rng.one_in(4) {
                thread::yield_now();
            }
            if self.drops && rng.one_in(3) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                drop(taken);
            } else {
                got.push(taken.commit());
                self.queue.task_done().unwrap();
            }
        }
    }

    fn watch(&self) {
        while !self.done.load(Ordering::Acquire) {
            check(&self.queue.stats(), !(self.drops && self.releases));
            thread::yield_now();
        }
    }
}

/// What one thread of a run does; a consumer answers with what it got.
type Work = Box<dyn FnOnce(&Plan) -> Vec<Item> + Send>;

/// Run the threads of a plan, `end` the run, and hand back what each consumer got. A thread that never ends
/// or panics fails the test with the seed: it is not waited for.
fn run(plan: &Arc<Plan>, end: impl FnOnce(&dyn Fn(usize))) -> Vec<Vec<Item>> {
    let (report, reports) = mpsc::channel();
    let start = |name: &'static str, work: Work| {
        let (plan, report) = (Arc::clone(plan), report.clone());
        thread::spawn(move || {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&plan)));
            let _ = report.send((name, result.ok()));
        });
    };
    (0..plan.producers).for_each(|n| {
        start(
            "producer",
            Box::new(move |plan| {
                plan.produce(n);
                Vec::new()
            }),
        );
    });
    (0..plan.consumers).for_each(|n| start("consumer", Box::new(move |plan| plan.consume(n))));
    start(
        "watcher",
        Box::new(|plan| {
            plan.watch();
            Vec::new()
        }),
    );
    let got = RefCell::new(Vec::new());
    let producers = RefCell::new(0);
    let wait_for = |name: &str, count: usize| {
        let so_far = || {
            if name == "producer" {
                *producers.borrow()
            } else {
                got.borrow().len()
            }
        };
        while so_far() < count {
            match reports.recv_timeout(DEADLINE) {
                Ok(("producer", Some(_))) => *producers.borrow_mut() += 1,
                Ok(("consumer", Some(items))) => got.borrow_mut().push(items),
                other => panic!(
                    "NETQ_SEED={}: {name}s: {other:?}, {:?}",
                    plan.seed,
                    plan.queue.stats()
                ),
            }
        }
    };
    end(&|count| wait_for("producer", count));
    wait_for("consumer", plan.consumers);
    wait_for("producer", plan.producers);
    plan.done.store(true, Ordering::Release);
    match reports.recv_timeout(DEADLINE) {
        Ok(("watcher", Some(_))) => {}
        other => panic!("NETQ_SEED={}: watcher: {other:?}", plan.seed),
    }
    got.into_inner()
}

/// At rest: nobody waits, nothing is out, and the counts agree with what was seen from outside.
fn check_at_rest(plan: &Plan, got: &[Vec<Item>]) {
    let (stats, seed) = (plan.queue.stats(), plan.seed);
    check(&stats, true);
    let total: usize = got.iter().map(Vec::len).sum();
    let distinct: HashSet<Item> = got.iter().flatten().copied().collect();
    assert_eq!(
        distinct.len(),
        total,
        "NETQ_SEED={seed}: an item was got twice"
    );
    assert_eq!(stats.gets, total as u64, "NETQ_SEED={seed}");
    let put = plan.producers * plan.each - plan.refused.load(Ordering::Relaxed);
    assert_eq!(stats.puts, put as u64, "NETQ_SEED={seed}");
    let idle = (
        stats.len,
        stats.out,
        stats.reserved,
        stats.weight,
        stats.waiting_getters,
        stats.waiting_putters,
    );
    assert_eq!(idle, (0, 0, 0, 0, 0, 0), "NETQ_SEED={seed}");
    assert_eq!(
        plan.queue.join(Wait::not_at_all()),
        Ok(()),
        "NETQ_SEED={seed}"
    );
    if !plan.drops {
        for items in got {
            let mut last = vec![None; plan.producers];
            for item in items {
                let before = last[item.producer].replace(item.number);
                assert!(
                    before < Some(item.number),
                    "NETQ_SEED={seed}: {item:?} after {before:?}"
                );
            }
        }
    }
}

#[test]
fn every_item_is_got_exactly_once_and_no_thread_waits_for_ever() {
    for seed in seeds(100) {
        let plan = Arc::new(Plan::new(seed));
        let got = run(&plan, |wait_for_producers| {
            wait_for_producers(plan.producers);
            assert_eq!(
                plan.queue.join(Wait::at_most(DEADLINE)),
                Ok(()),
                "NETQ_SEED={seed}"
            );
            plan.queue.shutdown(false);
        });
        check_at_rest(&plan, &got);
        let stats = plan.queue.stats();
        assert_eq!(
            (stats.puts, stats.discarded),
            ((plan.producers * plan.each) as u64, 0),
            "NETQ_SEED={seed}"
        );
        assert_eq!(
            stats.returned,
            plan.dropped.load(Ordering::Relaxed),
            "NETQ_SEED={seed}"
        );
    }
}

#[test]
fn an_immediate_shutdown_at_any_moment_ends_every_thread_and_accounts_for_every_item() {
    for seed in seeds(150) {
        let plan = Arc::new(Plan::new(seed));
        let got = run(&plan, |_| {
            let puts = Rng::new(seed).below(plan.producers * plan.each) as u64;
            while plan.queue.stats().puts < puts {
                thread::yield_now();
            }
            plan.queue.shutdown(true);
        });
        check_at_rest(&plan, &got);
    }
}
