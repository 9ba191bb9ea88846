//! Puts that may be repeated: what each client's latest put has come to.
//!
//! A client whose connection breaks during a put cannot know whether the item is in the queue. If it has numbered its
//! puts, it can repeat the put on another connection, and the queue knows what is left to do.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::message::{Argument, Call, Exception};
use crate::pickle::Value;
use crate::shared::engine::{Asked, Stopped};

/// How many clients a queue remembers. The one that put longest ago is forgotten first.
const CLIENTS: usize = 1024;

/// The longest name of a client, in bytes.
const NAME: usize = 64;

/// How often a repeated put that waits for the first one looks whether its caller is still there.
const SLICE: Duration = Duration::from_millis(750);

/// The latest put of each client.
#[derive(Debug, Default)]
pub(super) struct Puts {
    /// Who put longest ago comes first. Clients are looked for from the end: there are few at a time.
    clients: Mutex<Vec<Latest>>,
    /// Some put has ended.
    ended: Condvar,
}

#[derive(Debug)]
struct Latest {
    client: String,
    number: i64,
    /// How many of its items are in the queue.
    put: usize,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    /// Some thread is at it.
    Busy,
    /// It was given up before it had an answer: its connection broke, or it failed.
    Open,
    Answered,
}

/// What is left to do of a put.
pub(crate) enum Progress<T = usize> {
    /// Nothing: it was done before, with so many items.
    Answered(usize),
    /// What is not in the queue yet; by default, of a put of which so many items are.
    ToDo(T),
}

/// Which put it is: `once=(client, number)`.
#[derive(Debug)]
pub(crate) struct Once {
    pub client: String,
    pub number: i64,
}

impl Puts {
    /// As a journal has kept them, who put longest ago first: client, number, items. Whether they were answered nobody
    /// knows.
    #[cfg(feature = "journal")]
    pub(super) fn kept(puts: impl Iterator<Item = (String, i64, usize)>) -> Self {
        let latest = |(client, number, put)| Latest { client, number, put, state: State::Open };
        Self { clients: Mutex::new(puts.map(latest).collect()), ended: Condvar::new() }
    }

    /// Begins that put, or goes on with it.
    pub(super) fn begin(&self, once: &Once, asked: Asked<'_>) -> Result<Progress, Stopped> {
        let Once { client, number } = once;
        let begun = Instant::now();
        let mut clients = self.lock();
        loop {
            let known = clients.iter().rposition(|latest| latest.client == *client);
            let put = match known.map(|index| &clients[index]) {
                Some(latest) if latest.state == State::Busy => {
                    // Whoever is at it learns within a moment that its client is gone.
                    let left =
                        asked.limit.map_or(SLICE, |limit| limit.saturating_sub(begun.elapsed()).min(SLICE));
                    if left.is_zero() || asked.by.is_gone() {
                        return Err(Stopped::Full);
                    }
                    (clients, _) =
                        self.ended.wait_timeout(clients, left).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                Some(latest) if *number < latest.number => return Err(out_of_order(*number, latest.number)),
                Some(latest) if *number == latest.number => match latest.state {
                    State::Answered => return Ok(Progress::Answered(latest.put)),
                    _ => latest.put,
                },
                _ => 0,
            };
            if let Some(index) = known {
                clients.remove(index);
            }
            // Each thread is at one put, and there may be more threads than clients to remember.
            if clients.len() >= CLIENTS
                && let Some(idle) = clients.iter().position(|latest| latest.state != State::Busy)
            {
                clients.remove(idle);
            }
            clients.push(Latest { client: client.clone(), number: *number, put, state: State::Busy });
            return Ok(Progress::ToDo(put));
        }
    }

    /// So many of its items are in the queue. If that is its answer, it is not to be done again.
    pub(super) fn end(&self, once: &Once, put: usize, answered: bool) {
        if let Some(latest) = self.lock().iter_mut().rfind(|latest| latest.client == once.client) {
            latest.put = put;
            latest.state = if answered { State::Answered } else { State::Open };
        }
        self.ended.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Latest>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Once {
    /// The put that a call's argument `once=(client, number)` names.
    pub(super) fn named(call: &Call<'_>, once: Argument) -> Result<Self, Exception> {
        // Not by its elements: given by name it lies too deep in the request for the walk to have noted them.
        if let Value::Tuple(parts) | Value::List(parts) = call.small(once)?
            && let [Value::Str(client), Value::Int(number)] = &parts[..]
            && client.len() <= NAME
        {
            return Ok(Self { client: client.clone(), number: *number });
        }
        Err(Exception::value_error(
            "'once' must be a tuple of the client's name, a str of at most 64 bytes, and a number",
        ))
    }
}

/// A put whose number is lower than that of its client's latest one.
pub(crate) fn out_of_order(number: i64, latest: i64) -> Stopped {
    Stopped::Failed(Exception::value_error(format!(
        "put number {number} of this client comes after its number {latest}: it must number its puts in the order in \
         which it makes them, one at a time"
    )))
}
