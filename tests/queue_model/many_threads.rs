//! Many threads at once: every item arrives once, the bounds hold at any moment, and nobody waits for ever.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use netq::queue::{BoundedQueue, GetError, PutError, Taken, Wait};

use crate::{Item, Rng, check, limits, seeds};

/// Far more than a run takes, so that only a lost wake-up gets there.
const DEADLINE: Duration = Duration::from_secs(60);

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
            2 if self.vanish => call(Wait::at_most(Duration::from_micros(50)).while_alive(&vanishes)),
            3 | 4 if self.vanish => call(Wait::forever().while_alive(&vanishes)),
            _ => call(Wait::forever()),
        }
    }

    /// Put all items of one producer in order, each once; stops at a shutdown.
    fn produce(&self, producer: usize) {
        let rng = RefCell::new(Rng::new(self.seed ^ (0xA000 + producer as u64)));
        let mut next = 0;
        while next < self.each {
            let count = if rng.borrow_mut().one_in(3) { 1 + rng.borrow_mut().below(9) } else { 1 };
            let mut items: VecDeque<Item> = (next..self.each.min(next + count))
                .map(|number| Item { producer, number, weight: rng.borrow_mut().below(5) })
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
                assert_eq!(result.unwrap_or_else(|stopped| stopped.put), before - items.len());
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
                1 => self.waiting(&rng, |wait| self.queue.take(wait)).map(|taken| vec![taken]),
                _ => {
                    let max = 1 + rng.borrow_mut().below(6);
                    let max_weight = rng.borrow_mut().pick(&[0, 5, 10, usize::MAX]);
                    self.waiting(&rng, |wait| self.queue.take_many(max, max_weight, wait))
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
            if name == "producer" { *producers.borrow() } else { got.borrow().len() }
        };
        while so_far() < count {
            match reports.recv_timeout(DEADLINE) {
                Ok(("producer", Some(_))) => *producers.borrow_mut() += 1,
                Ok(("consumer", Some(items))) => got.borrow_mut().push(items),
                other => panic!("NETQ_SEED={}: {name}s: {other:?}, {:?}", plan.seed, plan.queue.stats()),
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
    assert_eq!(distinct.len(), total, "NETQ_SEED={seed}: an item was got twice");
    assert_eq!(stats.gets, total as u64, "NETQ_SEED={seed}");
    let put = plan.producers * plan.each - plan.refused.load(Ordering::Relaxed);
    assert_eq!(stats.puts, put as u64, "NETQ_SEED={seed}");
    let idle =
        (stats.len, stats.out, stats.reserved, stats.weight, stats.waiting_getters, stats.waiting_putters);
    assert_eq!(idle, (0, 0, 0, 0, 0, 0), "NETQ_SEED={seed}");
    assert_eq!(plan.queue.join(Wait::not_at_all()), Ok(()), "NETQ_SEED={seed}");
    if !plan.drops {
        for items in got {
            let mut last = vec![None; plan.producers];
            for item in items {
                let before = last[item.producer].replace(item.number);
                assert!(before < Some(item.number), "NETQ_SEED={seed}: {item:?} after {before:?}");
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
            assert_eq!(plan.queue.join(Wait::at_most(DEADLINE)), Ok(()), "NETQ_SEED={seed}");
            plan.queue.shutdown(false);
        });
        check_at_rest(&plan, &got);
        let stats = plan.queue.stats();
        assert_eq!(
            (stats.puts, stats.discarded),
            ((plan.producers * plan.each) as u64, 0),
            "NETQ_SEED={seed}"
        );
        assert_eq!(stats.returned, plan.dropped.load(Ordering::Relaxed), "NETQ_SEED={seed}");
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
