//! The connections of one proxy: each thread that uses it has its own, as in Python.
//!
//! What a connection has, such as a lock, or an item that is not done yet, is the thread's that got it; and a thread
//! that waits for a reply holds up no other.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crate::auth::random_bytes;
use crate::connection::{Connection, is_gone};
use crate::pickle::{Value, Walker};
use crate::proxy::remote::Accepted;

thread_local! {
    /// Lives as long as its thread.
    static ALIVE: Arc<()> = Arc::new(());
}

/// What a thread needs to call an object.
pub(super) struct Line {
    /// Dangling when the thread has ended.
    thread: Weak<()>,
    /// Made for the first call.
    pub connection: Option<Connection>,
    /// Which run of the hub the latest connection is to, if the hub is netq's.
    pub run: Option<String>,
    /// What this line calls itself when it numbers its puts.
    client: String,
    /// How many puts it has numbered.
    puts: i64,
    /// How many items were got by this connection, and not reported done.
    pub got: usize,
    /// The same of connections that have ended. A report would be about another item now.
    pub stale: usize,
    /// When the last call began.
    pub used: Instant,
    pub walker: Walker,
}

impl Line {
    fn new(thread: Weak<()>) -> Self {
        let (used, walker) = (Instant::now(), Walker::new());
        let (client, puts) = (String::new(), 0);
        Self { thread, connection: None, run: None, client, puts, got: 0, stale: 0, used, walker }
    }

    /// Goes on over this connection.
    pub(super) fn open(&mut self, accepted: Accepted) {
        self.connection = Some(accepted.connection);
        self.run = accepted.run;
    }

    /// What makes a put one that may be repeated: the argument `once`, with a number that no put of this line has had.
    /// The line makes one put at a time, as its thread does.
    pub(super) fn once(&mut self) -> Value {
        if self.client.is_empty() {
            let mut bytes = [0; 8];
            random_bytes(&mut bytes);
            self.client = format!("{:016x}", u64::from_be_bytes(bytes));
        }
        self.puts += 1;
        (self.client.as_str(), self.puts).into()
    }

    /// Ends the connection.
    pub(super) fn close(&mut self) {
        self.connection = None;
        self.stale += mem::take(&mut self.got);
    }
}

/// The lines that no thread is using at the moment.
#[derive(Default)]
pub(super) struct Lines(Mutex<Vec<Line>>);

impl Lines {
    /// This thread's line, which the caller puts [back](Self::give).
    pub(super) fn take(&self) -> Line {
        // A thread that is ending has lost it: it gets a line for one call, which the next thread throws away.
        let thread = ALIVE.try_with(Arc::downgrade).unwrap_or_default();
        let mut lines = self.lock();
        if let Some(at) = lines.iter().position(|line| line.thread.ptr_eq(&thread)) {
            return lines.swap_remove(at);
        }
        // To close a connection needs no lock.
        let ended: Vec<_> = lines.extract_if(.., |line| line.thread.strong_count() == 0).collect();
        drop(lines);
        drop(ended);
        Line::new(thread)
    }

    pub(super) fn give(&self, mut line: Line) {
        if line.connection.is_none() {
            line.close();
        }
        self.lock().push(line);
    }

    /// Whether a server has closed one of the connections.
    pub(super) fn any_gone(&self) -> bool {
        self.lock().iter().filter_map(|line| line.connection.as_ref()).any(|line| is_gone(line.stream()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_has_the_same_line_again_and_nobody_else_has_it() {
        let lines = Lines::default();
        let line = lines.take();
        let thread = line.thread.clone();
        lines.give(line);
        assert!(thread::scope(|scope| scope.spawn(|| !lines.take().thread.ptr_eq(&thread)).join().unwrap()));
        assert!(lines.take().thread.ptr_eq(&thread));
    }

    #[test]
    fn the_line_of_a_thread_that_has_ended_is_closed_when_another_one_comes() {
        let lines = Lines::default();
        thread::scope(|scope| scope.spawn(|| lines.give(lines.take())).join().unwrap());
        assert_eq!(lines.lock().len(), 1);
        lines.give(lines.take());
        assert_eq!(lines.lock().len(), 1);
    }
}
