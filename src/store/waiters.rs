//! Threads that wait for their batch to be on disk.
//!
//! Each sleeps by itself, and learns from a word of its own what became of it. On one condition all would be woken
//! for each batch, and then queue for the journal's lock, which is the one that puts need: with 64 clients that took
//! more than half of the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, Thread};

/// It waits.
const WAITS: u8 = 0;
/// Its batch is kept.
const KEPT: u8 = 1;
/// It has to look: to lead, or because the store has failed.
const LOOKS: u8 = 2;

/// A thread that waits.
pub(super) struct Waiter {
    word: AtomicU8,
    thread: Thread,
}

impl Waiter {
    /// Sleeps until it is told something: true if its batch is kept.
    pub fn wait(&self) -> bool {
        loop {
            match self.word.load(Ordering::Acquire) {
                WAITS => thread::park(),
                word => return word == KEPT,
            }
        }
    }

    fn tell(&self, word: u8) {
        self.word.store(word, Ordering::Release);
        self.thread.unpark();
    }
}

/// All of them, with the batches that they wait for.
#[derive(Default)]
pub(super) struct Waiters(Vec<(u64, Arc<Waiter>)>);

impl Waiters {
    /// The current thread is about to wait for this batch.
    pub fn enter(&mut self, batch: u64) -> Arc<Waiter> {
        let waiter = Arc::new(Waiter { word: AtomicU8::new(WAITS), thread: thread::current() });
        self.0.push((batch, Arc::clone(&waiter)));
        waiter
    }

    /// The batches before this number are kept. One of those who wait for another has to look: it leads.
    #[must_use = "they are to be told, without the journal's lock"]
    pub fn kept(&mut self, before: u64) -> Woken {
        let mut kept = Vec::with_capacity(self.0.len());
        let mut at = 0;
        while at < self.0.len() {
            match self.0[at].0 < before {
                true => kept.push(self.0.swap_remove(at).1),
                false => at += 1,
            }
        }
        Woken { kept, look: self.0.pop().into_iter().map(|(_, waiter)| waiter).collect() }
    }

    /// All have to look.
    #[must_use = "they are to be told, without the journal's lock"]
    pub fn all(&mut self) -> Woken {
        Woken { kept: Vec::new(), look: self.0.drain(..).map(|(_, waiter)| waiter).collect() }
    }
}

/// Those who are to be told something.
pub(super) struct Woken {
    kept: Vec<Arc<Waiter>>,
    look: Vec<Arc<Waiter>>,
}

impl Woken {
    /// Tells them. The next leader first: the disk has nothing to do.
    pub fn tell(self) {
        self.look.iter().for_each(|waiter| waiter.tell(LOOKS));
        self.kept.iter().for_each(|waiter| waiter.tell(KEPT));
    }
}
