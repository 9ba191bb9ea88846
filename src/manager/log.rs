//! The log, off the threads that serve: who reads it slowly, or not at all, holds nobody up.

use crate::threads::spawn;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// How many lines wait to be read; what comes when there are so many is counted, and left out.
const LINES: usize = 1024;

/// One thing that a person who runs the server may want to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogLine {
    /// When it happened.
    pub time: SystemTime,
    /// What happened, in one line: with whose address, if it is about a peer.
    pub text: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What receives the lines.
type Sink = dyn Fn(&LogLine) + Send + Sync;

/// Lines on their way to a sink, which gets them in a thread of its own.
pub(super) struct Log(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    state: Mutex<State>,
    /// Something in the state has changed.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<LogLine>,
    /// How many were left out since the last that was not.
    left_out: u64,
    /// The sink has a line at this moment.
    busy: bool,
    ended: bool,
}

impl Log {
    /// Starts the thread, which ends when this is dropped.
    pub(super) fn to(sink: Arc<Sink>) -> io::Result<Self> {
        let waiting = Arc::new(Waiting::default());
        let lines = waiting.clone();
        // It is not joined: the sink may never return.
        let run = move || {
            while let Some(line) = lines.next() {
                // One that panics has said so, and gets the next line all the same.
                let _ = catch_unwind(AssertUnwindSafe(|| sink(&line)));
            }
        };
        // A stack as std gives: the sink is the program's.
        spawn("log".into(), 2 << 20, Box::new(run))?;
        Ok(Self(waiting))
    }

    /// Adds a line, without waiting for anybody to read it.
    pub(super) fn add(&self, text: String) {
        let mut state = self.0.lock();
        match state.lines.len() < LINES {
            true => state.lines.push_back(LogLine { time: SystemTime::now(), text }),
            false => state.left_out += 1,
        }
        self.0.changed.notify_all();
    }

    /// Waits until all lines have been read, but not for longer than `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let unread = |state: &mut State| state.busy || state.left_out > 0 || !state.lines.is_empty();
        drop(self.0.changed.wait_timeout_while(self.0.lock(), patience, unread));
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next line; `None` at the end.
    fn next(&self) -> Option<LogLine> {
        let mut state = self.lock();
        state.busy = false;
        self.changed.notify_all();
        let nothing = |state: &mut State| state.lines.is_empty() && state.left_out == 0 && !state.ended;
        state = self.changed.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
        let line = state.lines.pop_front().or_else(|| {
            let count = std::mem::take(&mut state.left_out);
            let text = format!("{count} lines were left out here: they came faster than they were read");
            (count > 0).then(|| LogLine { time: SystemTime::now(), text })
        });
        state.busy = line.is_some();
        line
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_that_does_not_return_holds_nobody_up_and_the_lines_that_were_left_out_are_counted() {
        let gate = Arc::new(Mutex::new(()));
        let read = Arc::new(Mutex::new(Vec::new()));
        let (sink_gate, sink_read) = (gate.clone(), read.clone());
        let closed = gate.lock().unwrap();
        let log = Log::to(Arc::new(move |line| {
            drop(sink_gate.lock());
            sink_read.lock().unwrap().push(line.to_string());
        }));
        let log = log.unwrap();
        log.add("first".into());
        // The sink has it, and does not return.
        let first = |state: &mut State| !state.busy;
        drop(log.0.changed.wait_while(log.0.lock(), first));
        for number in 0..LINES + 7 {
            log.add(number.to_string());
        }
        log.flush(Duration::from_millis(1));
        assert!(read.lock().unwrap().is_empty());
        drop(closed);
        log.flush(Duration::from_secs(60));
        let read = read.lock().unwrap();
        assert_eq!((read.len(), read[1].as_str()), (1 + LINES + 1, "0"));
        assert_eq!(read[LINES + 1], "7 lines were left out here: they came faster than they were read");
    }
    #[test]
    fn a_sink_that_panics_gets_the_next_line() {
        let read = Arc::new(Mutex::new(0));
        let count = read.clone();
        let log = Log::to(Arc::new(move |line| {
            assert!(line.text != "panic", "a sink panics, as this test wants");
            *count.lock().unwrap() += 1;
        }));
        let log = log.unwrap();
        ["one", "panic", "two"].into_iter().for_each(|line| log.add(line.into()));
        log.flush(Duration::from_secs(60));
        assert_eq!(*read.lock().unwrap(), 2);
    }
}
