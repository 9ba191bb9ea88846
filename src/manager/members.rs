//! Who is connected: admission, and the end of all connections.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::number::Numbers;
use crate::pickle::Value;

/// The numbers of connections, of all servers of the process together: two of them, or one that was stopped and
/// the next, may serve the same queue, which knows by these numbers alone who has which item.
static NUMBERS: Numbers = Numbers::new();

/// A connection and its number.
type Connection = (u64, Arc<TcpStream>);

#[derive(Default)]
struct State {
    /// Connections in their handshake, the oldest first.
    strangers: Vec<Connection>,
    members: Vec<Connection>,
    accepted: u64,
    refused: u64,
    evicted: u64,
    failed: u64,
    closed: bool,
}

/// All connections of a server, within their limits.
pub(super) struct Members {
    state: Mutex<State>,
    all_gone: Condvar,
    max_connections: usize,
    max_strangers: usize,
}

impl Members {
    pub(super) fn new(max_connections: usize, max_strangers: usize) -> Self {
        Self {
            state: Mutex::default(),
            all_gone: Condvar::new(),
            max_connections,
            max_strangers: max_strangers.max(1),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a new connection in as a stranger, under a number; `None` if there are too many already.
    ///
    /// Where only the strangers are too many, the oldest of them is closed: an honest handshake takes
    /// milliseconds, so whoever has waited longest is not honest, and cannot lock out those who are.
    pub(super) fn admit(self: &Arc<Self>, stream: &Arc<TcpStream>) -> Option<Membership> {
        let mut state = self.lock();
        let full = state.members.len() + state.strangers.len() >= self.max_connections;
        if state.closed || (full && state.strangers.is_empty()) {
            state.refused += 1;
            return None;
        }
        if full || state.strangers.len() >= self.max_strangers {
            evict_oldest(&mut state);
        }
        // Under the lock, so that they grow as connections come.
        let id = NUMBERS.next();
        state.accepted += 1;
        state.strangers.push((id, stream.clone()));
        Some(Membership { members: self.clone(), id })
    }

    /// Closes the oldest stranger, whose descriptor somebody else needs more.
    pub(super) fn evict(&self) {
        evict_oldest(&mut self.lock());
    }

    /// Counts a connection that could not be served.
    pub(super) fn count_refused(&self) {
        self.lock().refused += 1;
    }

    /// Closes every connection, or only what comes by it, so that replies still go out; and waits, up to `patience`,
    /// until their threads have let go of them.
    pub(super) fn close_all(&self, how: Shutdown, patience: Duration) {
        let mut state = self.lock();
        state.closed = true;
        for (_, stream) in state.strangers.iter().chain(&state.members) {
            // It may be closed already; its thread notices either way.
            let _ = stream.shutdown(how);
        }
        let some_left = |state: &mut State| !(state.strangers.is_empty() && state.members.is_empty());
        drop(self.all_gone.wait_timeout_while(state, patience, some_left));
    }

    /// Figures for `netq stat`.
    pub(super) fn stats(&self) -> Vec<(Value, Value)> {
        let state = self.lock();
        vec![
            ("connections".into(), state.members.len().into()),
            ("max_connections".into(), self.max_connections.into()),
            ("strangers".into(), state.strangers.len().into()),
            ("max_strangers".into(), self.max_strangers.into()),
            ("accepted".into(), state.accepted.into()),
            ("refused".into(), state.refused.into()),
            ("evicted".into(), state.evicted.into()),
            ("failed_handshakes".into(), state.failed.into()),
        ]
    }
}

fn evict_oldest(state: &mut State) {
    if !state.strangers.is_empty() {
        let (_, stream) = state.strangers.remove(0);
        state.evicted += 1;
        // Wakes the thread that reads from it, which then lets go of it.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn remove(connections: &mut Vec<Connection>, id: u64) -> Option<Connection> {
    let at = connections.iter().position(|(other, _)| *other == id)?;
    Some(connections.remove(at))
}

/// A connection's place among the others, given back when this is dropped.
pub(super) struct Membership {
    members: Arc<Members>,
    id: u64,
}

impl Membership {
    /// The connection's number.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The stranger has shown that it holds the key. False if it was evicted in that moment.
    pub(super) fn promote(&self) -> bool {
        let mut state = self.members.lock();
        match remove(&mut state.strangers, self.id) {
            Some(stranger) => {
                state.members.push(stranger);
                true
            }
            None => false,
        }
    }

    /// Counts a handshake that failed.
    pub(super) fn count_failed(&self) {
        self.members.lock().failed += 1;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.members.lock();
        if remove(&mut state.strangers, self.id).is_none() {
            remove(&mut state.members, self.id);
        }
        if state.strangers.is_empty() && state.members.is_empty() {
            self.members.all_gone.notify_all();
        }
    }
}
