//! One connection for many threads: what gathers while commands are under way goes out together, with the next write.
//!
//! With a connection for each thread, Redis and the hub would read and write for each command by itself, which costs
//! both more than the command. One of the threads leads: it writes what has gathered, reads the answers, and hands the
//! lead over to one that has come meanwhile.

use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::vec;

use super::client::{ANSWER, Client, Link, Trouble, lock};
use super::resp::Reply;

/// A connection, and who waits for it.
#[derive(Default)]
pub(super) struct Pipe(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Vec<Call>,
    /// Some thread leads.
    led: bool,
    link: Option<Link>,
}

/// A command, and the thread that waits for its answer.
struct Call {
    command: Vec<u8>,
    waits: Arc<Waits>,
}

struct Waits {
    thread: Thread,
    turn: Mutex<Turn>,
}

enum Turn {
    Waits,
    /// It is to lead.
    Leads,
    Answered(Result<Reply, Trouble>),
}

impl Waits {
    fn tell(&self, turn: Turn) {
        *lock(&self.turn) = turn;
        self.thread.unpark();
    }
}

impl Pipe {
    /// Whether a command would have to wait.
    pub(super) fn is_led(&self) -> bool {
        lock(&self.0).led
    }

    /// Sends a command and waits for its answer, for a while.
    pub(super) fn call(&self, client: &Client, command: Vec<u8>) -> Result<Reply, Trouble> {
        let waits = Arc::new(Waits { thread: thread::current(), turn: Mutex::new(Turn::Waits) });
        let mut state = lock(&self.0);
        state.waiting.push(Call { command, waits: Arc::clone(&waits) });
        let led = mem::replace(&mut state.led, true);
        drop(state);
        if !led {
            self.lead(client);
        }
        loop {
            let turn = mem::replace(&mut *lock(&waits.turn), Turn::Waits);
            match turn {
                Turn::Waits => thread::park(),
                Turn::Leads => self.lead(client),
                Turn::Answered(answer) => return answer,
            }
        }
    }

    /// Has what has gathered answered, of which a command of this thread is a part.
    fn lead(&self, client: &Client) {
        let mut state = lock(&self.0);
        let calls = mem::take(&mut state.waiting);
        let link = state.link.take().unwrap_or_else(|| client.link());
        drop(state);
        let mut lead = Lead { pipe: self, link: Some(link), calls: Vec::new().into_iter() };
        let commands: Vec<&[u8]> = calls.iter().map(|call| call.command.as_slice()).collect();
        let commands = commands.concat();
        lead.calls = calls.into_iter();
        lead.exchange(client, &commands);
    }
}

/// The thread that leads. Whatever becomes of it, all others get an answer.
struct Lead<'p> {
    pipe: &'p Pipe,
    link: Option<Link>,
    /// Those that are not answered.
    calls: vec::IntoIter<Call>,
}

impl Lead<'_> {
    fn exchange(&mut self, client: &Client, commands: &[u8]) {
        let Some(link) = &mut self.link else { return };
        let mut failure = client.enliven(link).err();
        if let (None, Some(mut stream)) = (&failure, link.stream.as_ref()) {
            failure = stream.write_all(commands).map_err(Trouble::Lost).err();
        }
        for call in self.calls.by_ref() {
            let answer = match (&failure, &link.stream) {
                (None, Some(stream)) => link.replies.next(stream, ANSWER).map_err(Trouble::Lost),
                (Some(trouble), _) => Err(trouble.again()),
                (None, None) => Err(Trouble::Lost(ErrorKind::NotConnected.into())),
            };
            let answer = answer.and_then(Reply::checked);
            if let Err(trouble @ Trouble::Lost(_)) = &answer {
                link.stream = None;
                failure = Some(trouble.again());
            }
            call.waits.tell(Turn::Answered(answer));
        }
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        for call in self.calls.by_ref() {
            call.waits
                .tell(Turn::Answered(Err(Trouble::Lost(io::Error::other("a thread of the hub panicked")))));
        }
        let mut state = lock(&self.pipe.0);
        state.link = self.link.take();
        match state.waiting.first() {
            Some(next) => next.waits.tell(Turn::Leads),
            None => state.led = false,
        }
    }
}
