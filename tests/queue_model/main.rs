//! The queue against a model: random calls, from one thread and compared with a plain list, and from many
//! threads with the promises checked that hold for any order of events.
//!
//! A failure names its seed; `NETQ_SEED=<seed> cargo test --test queue_model` runs that one alone.

mod many_threads;
mod one_thread;

use netq::queue::{Limits, Stats};

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
    let Stats { len, reserved, out, .. } = *stats;
    assert_eq!(stats.puts, stats.gets + stats.discarded + (len + out) as u64, "{stats:?}");
    assert!(reserved <= out, "{stats:?}");
    if bounds_hold {
        assert!(stats.maxsize == 0 || len + reserved <= stats.maxsize, "{stats:?}");
        assert!(stats.max_weight.is_none_or(|max| stats.weight <= max), "{stats:?}");
    }
}
