//! Waiting for a bell in Redis, which whoever changes something rings.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Client, lock};

/// How many threads listen at once, each on a connection of its own to Redis. The others wait for one of these.
const LISTENERS: usize = 16;

/// How long a thread pauses that cannot listen.
const DEAF: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct Bell {
    waiting: Mutex<Waiting>,
    /// One that listened has left.
    left: Condvar,
}

#[derive(Default)]
struct Waiting {
    all: usize,
    listening: usize,
}

impl Bell {
    /// How many threads of this hub wait.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.waiting).all
    }

    /// Waits until this bell is rung for the caller, or for `patience` and a little longer. May be woken for nothing.
    pub(super) fn wait(&self, client: &Client, key: &str, patience: Duration) {
        let begun = Instant::now();
        let left = || patience.saturating_sub(begun.elapsed());
        let mut waiting = lock(&self.waiting);
        waiting.all += 1;
        while waiting.listening >= LISTENERS && !left().is_zero() {
            (waiting, _) = self.left.wait_timeout(waiting, left()).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.listening < LISTENERS && !left().is_zero() {
            waiting.listening += 1;
            drop(waiting);
            if client.listen(key, left()).is_err() {
                // Nobody may spin, whatever Redis says. The next look at the queue learns what is the matter.
                thread::sleep(left().min(DEAF));
            }
            waiting = lock(&self.waiting);
            waiting.listening -= 1;
            self.left.notify_one();
        }
        waiting.all -= 1;
    }
}
