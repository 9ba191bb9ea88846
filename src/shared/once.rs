//! Puts that may be repeated: what each client's latest put has come to.
//!
//! A client whose connection breaks during a put cannot know whether the item is in the queue. If it has numbered its
//! puts, it can repeat the put on another connection, and the queue knows what is left to do.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::message::{Argument, Call, Exception};
use crate::pickle::Value;

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
pub(super) enum Progress<'p> {
    /// Nothing: it was done before, with so many items.
    Answered(usize),
    /// All of it, or the rest; `None` if its client has not said which put it is.
    ToDo(Option<Begun<'p>>),
}

/// A put that has begun. Dropped before it is [`answered`](Self::answered), it can be begun again.
pub(super) struct Begun<'p> {
    puts: &'p Puts,
    client: String,
    /// How many of its items are in the queue.
    pub put: usize,
    answered: bool,
}

impl Puts {
    /// Begins the put that a call's argument `once=(client, number)` names, or goes on with it.
    pub(super) fn begin(
        &self,
        call: &Call<'_>,
        once: Argument,
        limit: Option<Duration>,
    ) -> Result<Progress<'_>, Exception> {
        let (client, number) = name(call, once)?;
        let begun = Instant::now();
        let mut clients = self.lock();
        loop {
            let known = clients.iter().rposition(|latest| latest.client == client);
            let put = match known.map(|index| &clients[index]) {
                Some(latest) if latest.state == State::Busy => {
                    // Whoever is at it learns within a moment that its client is gone.
                    let left = limit.map_or(SLICE, |limit| limit.saturating_sub(begun.elapsed()).min(SLICE));
                    if left.is_zero() || call.caller().is_gone() {
                        return Err(Exception::full());
                    }
                    (clients, _) =
                        self.ended.wait_timeout(clients, left).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                Some(latest) if number < latest.number => {
                    return Err(Exception::value_error(format!(
                        "put number {number} of this client comes after its number {}: it must number its puts in \
                         the order in which it makes them, one at a time",
                        latest.number
                    )));
                }
                Some(latest) if number == latest.number => match latest.state {
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
            clients.push(Latest { client: client.clone(), number, put, state: State::Busy });
            return Ok(Progress::ToDo(Some(Begun { puts: self, client, put, answered: false })));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Latest>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun<'_> {
    /// It has its answer: it is not to be done again.
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(latest) = self.puts.lock().iter_mut().rfind(|latest| latest.client == self.client) {
            latest.put = self.put;
            latest.state = if self.answered { State::Answered } else { State::Open };
        }
        self.puts.ended.notify_all();
    }
}

fn name(call: &Call<'_>, once: Argument) -> Result<(String, i64), Exception> {
    let wrong = || {
        Exception::value_error(
            "'once' must be a tuple of the client's name, a str of at most 64 bytes, and a number",
        )
    };
    // Not by its elements: given by name it lies too deep in the request for the walk to have noted them.
    match call.small(once)? {
        Value::Tuple(parts) | Value::List(parts) => match &parts[..] {
            [Value::Str(client), Value::Int(number)] if client.len() <= NAME => Ok((client.clone(), *number)),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}
