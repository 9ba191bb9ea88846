//! Each call's answer, compared with what a plain list would answer.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use netq::queue::{BoundedQueue, GetError, PutError, Taken, Wait};

use crate::{Item, Rng, check, limits, seeds};

/// The queue as a plain list, for one thread.
struct Model {
    maxsize: usize,
    max_weight: usize,
    /// In the order of the puts: item, how often it failed.
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
        let exhausted = self.shut_down == Some(true) || self.shut_down.is_some() && self.reserved == 0;
        let empty = if exhausted { GetError::ShutDown } else { GetError::Empty };
        let (_, next) = self.queue.pop_first().ok_or(empty)?;
        self.reserved += 1;
        Ok(next)
    }

    fn take_many(&mut self, max: usize, max_weight: usize) -> Vec<(Item, u32)> {
        let (mut taken, mut weight) = (Vec::new(), 0);
        while taken.len() < max
            && let Some((_, (next, _))) = self.queue.first_key_value()
            && (taken.is_empty() || weight + next.weight <= max_weight)
        {
            weight += next.weight;
            taken.extend(self.take());
        }
        taken
    }

    fn release(&mut self, item: Item) {
        self.reserved -= 1;
        self.weight -= item.weight;
    }

    fn put_back(&mut self, item: Item, attempts: u32, has_slot: bool) {
        if has_slot {
            self.release(item);
        }
        if self.shut_down == Some(true) {
            self.unfinished = self.unfinished.saturating_sub(1);
        } else {
            self.weight += item.weight;
            self.queue.insert(item.number, (item, attempts));
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
            Item { producer: 0, number, weight: rng.below(6) }
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
                let mut items: VecDeque<Item> = (0..rng.below(5)).map(|_| new_item(&mut rng)).collect();
                let refused = items.iter().find_map(|item| model.put(*item).err());
                let stopped = queue.put_many(&mut items, now).err();
                assert_eq!(stopped.map(|stopped| stopped.reason.to_string()), refused.map(|e| e.to_string()));
                assert_eq!(items.front().copied(), refused.map(PutError::into_item));
            }
            "get" => {
                let expected = model.take().map(|(item, _)| item);
                assert_eq!(queue.try_get(), expected);
                let _ = expected.map(|item| model.release(item));
            }
            "take" => match (queue.take(now), model.take()) {
                (Ok(taken), Ok(expected)) => {
                    assert_eq!((*taken, taken.attempts()), expected);
                    guards.push((taken, true));
                }
                (taken, expected) => assert_eq!(taken.err(), expected.err()),
            },
            "take_many" => {
                let max = 1 + rng.below(4);
                let max_weight = rng.pick(&[0, 5, 10, usize::MAX]);
                let expected = model.take_many(max, max_weight);
                let taken = queue.take_many(max, max_weight, now).unwrap_or_default();
                assert_eq!(taken.iter().map(|t| (**t, t.attempts())).collect::<Vec<_>>(), expected);
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
                let fails = rng.one_in(2);
                model.put_back(*taken, taken.attempts() + u32::from(fails), has_slot);
                if fails { taken.fail() } else { drop(taken) }
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
            (stats.len, stats.out, stats.reserved, stats.weight, stats.unfinished),
            (model.queue.len(), guards.len(), model.reserved, model.weight, model.unfinished)
        );
        assert_eq!(queue.join(now).is_ok(), model.unfinished == 0);
    }
}
