//! The connections of one proxy: each thread that uses it has its own, as in Python.
//!
//! What a connection has, such as a lock, or an item that is not done yet, is the thread's that got it; and a thread
//! that waits for a reply holds up no other.

use std::fmt;
use std::io::ErrorKind;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::auth::random_bytes;
use crate::connection::{Connection, is_gone};
use crate::message::Reply;
use crate::pickle::{Value, Walker};
use crate::proxy::remote::{Accepted, Failure, Remote, is_timeout, receive};

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
    /// For how long its socket waits, where that is known.
    patience: Option<Duration>,
    /// Whether somebody was told that the connection is lost.
    lost: bool,
    /// When the last call began.
    pub used: Instant,
    pub walker: Walker,
}

impl Line {
    fn new(thread: Weak<()>) -> Self {
        Self {
            thread,
            connection: None,
            run: None,
            client: String::new(),
            puts: 0,
            got: 0,
            stale: 0,
            patience: None,
            lost: false,
            used: Instant::now(),
            walker: Walker::new(),
        }
    }

    /// A line of no thread, for a single call.
    pub(super) fn over(connection: Connection) -> Self {
        Self { connection: Some(connection), ..Self::new(Weak::new()) }
    }

    /// Goes on over this connection.
    pub(super) fn open(&mut self, accepted: Accepted) {
        self.connection = Some(accepted.connection);
        self.run = accepted.run;
        self.patience = None;
    }

    /// Whether the server has closed the connection.
    pub(super) fn is_gone(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| is_gone(connection.stream()))
    }

    /// The server that it is connected to.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.connection.as_ref()?.peer()
    }

    /// Sends a request and waits for the reply for as long as `patience`, or, again and again, as long as `wait_on` says.
    /// A failure ends the connection.
    pub(super) fn exchange(
        &mut self,
        request: &[u8],
        patience: Duration,
        wait_on: Option<&dyn Fn() -> bool>,
    ) -> Result<Reply, Failure> {
        let reply = self.send(request, patience).and_then(|()| self.receive(wait_on));
        if reply.is_err() {
            self.close();
        }
        reply
    }

    /// Sends a request. From now on the socket waits for at most `patience`, for each part of what is sent and received.
    pub(super) fn send(&mut self, request: &[u8], patience: Duration) -> Result<(), Failure> {
        let connection =
            self.connection.as_mut().ok_or(ErrorKind::NotConnected.into()).map_err(Failure::NotSent)?;
        if self.patience != Some(patience) {
            let stream = connection.stream();
            let set = stream.set_read_timeout(Some(patience)).and(stream.set_write_timeout(Some(patience)));
            set.map_err(Failure::NotSent)?;
            self.patience = Some(patience);
        }
        // A frame that was not written whole is not a request yet.
        connection.send(&[request]).map_err(Failure::NotSent)
    }

    /// Waits for the reply to a request that was sent.
    pub(super) fn receive(&mut self, wait_on: Option<&dyn Fn() -> bool>) -> Result<Reply, Failure> {
        let connection =
            self.connection.as_mut().ok_or(ErrorKind::NotConnected.into()).map_err(Failure::NoReply)?;
        while let Some(wait_on) = wait_on
            && !connection.has_message()
            && connection.stream().peek(&mut [0]).is_err_and(|error| is_timeout(&error))
        {
            if !wait_on() {
                return Err(Failure::silence());
            }
        }
        receive(connection, &mut self.walker)
    }

    /// Says that the connection is lost, unless that was said already.
    pub(super) fn tell_lost(&mut self, remote: &Remote, cause: &dyn fmt::Display) {
        if !mem::replace(&mut self.lost, true) {
            remote.tell(&format!("lost the hub at {} ({cause}): reconnecting", remote.address()));
        }
    }

    /// Says that it is back, if it was lost.
    pub(super) fn tell_back(&mut self, remote: &Remote) {
        if mem::take(&mut self.lost) {
            remote.tell(&format!("back at the hub at {}", remote.address()));
        }
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
        self.lock().iter().any(Line::is_gone)
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
