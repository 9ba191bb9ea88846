//! Puts that may be repeated: what each client's latest put has come to.
//!
//! A client whose connection breaks during a put cannot know whether the item is in the queue. If it has numbered its
//! puts, it can repeat the put on another connection, and the queue knows what is left to do.

use std::collections::BTreeMap;
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
    clients: Mutex<BTreeMap<String, Latest>>,
    /// Some put has ended.
    ended: Condvar,
}

#[derive(Debug)]
struct Latest {
    number: i64,
    /// How many of its items are in the queue.
    put: usize,
    state: State,
    since: Instant,
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
            let latest = clients.get_mut(&client);
            match latest {
                Some(latest) if latest.number == number && latest.state == State::Answered => {
                    return Ok(Progress::Answered(latest.put));
                }
                Some(latest) if latest.state == State::Busy => {
                    // Whoever is at it learns within a moment that its client is gone.
                    let left = limit.map_or(SLICE, |limit| limit.saturating_sub(begun.elapsed()).min(SLICE));
                    if left.is_zero() || call.caller().is_gone() {
                        return Err(Exception::full());
                    }
                    (clients, _) =
                        self.ended.wait_timeout(clients, left).unwrap_or_else(PoisonError::into_inner);
                }
                Some(latest) if number < latest.number => {
                    return Err(Exception::value_error(format!(
                        "put number {number} of this client comes after its number {}: it must number its puts in \
                         the order in which it makes them, one at a time",
                        latest.number
                    )));
                }
                Some(latest) => {
                    if latest.number < number {
                        (latest.number, latest.put) = (number, 0);
                    }
                    (latest.state, latest.since) = (State::Busy, begun);
                    let put = latest.put;
                    return Ok(Progress::ToDo(Some(Begun { puts: self, client, put, answered: false })));
                }
                None => {
                    forget_one(&mut clients);
                    let latest = Latest { number, put: 0, state: State::Busy, since: begun };
                    clients.insert(client.clone(), latest);
                    return Ok(Progress::ToDo(Some(Begun { puts: self, client, put: 0, answered: false })));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Latest>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for one more client.
fn forget_one(clients: &mut BTreeMap<String, Latest>) {
    if clients.len() < CLIENTS {
        return;
    }
    // Each thread is at one put, and there may be more threads than clients to remember.
    let idle = clients.iter().filter(|(_, latest)| latest.state != State::Busy);
    let oldest = idle.min_by_key(|(_, latest)| latest.since).map(|(client, _)| client.clone());
    oldest.and_then(|client| clients.remove(&client));
}

impl Begun<'_> {
    /// It has its answer: it is not to be done again.
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(latest) = self.puts.lock().get_mut(&self.client) {
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
