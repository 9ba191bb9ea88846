//! One queue in Redis, and what one hub has to say to Redis about it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bell::Bell;
use super::client::{Client, Trouble, lock};
use super::clients::{Clients, Out, out};
use super::resp::{Reply, Strings, digits};
use super::scripts::{END, LOOK, TAKE, TICK};
use crate::message::Exception;
use crate::shared::QueueOptions;
use crate::shared::seam::{Asked, LONGEST_BACKOFF, Stopped, Tag, no_such_delivery};

/// Whoever waits looks after this time, for whether his client is still there, and for what a bell did not say.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// For how long a call tries to reach Redis, if its own timeout is no shorter.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// For how long those tries that nobody waits for.
pub(super) const BRIEF: Duration = Duration::from_secs(1);

/// What one `get_many` takes at most, in bytes: its reply is built in memory.
const GET_MANY_BYTES: u64 = 1 << 20;

/// How many items one script is told about, of which there is no hurry to tell.
const TOLD: usize = 256;

/// The bells of a queue: the names of their keys, and of their fields in `n`.
const BELLS: [&str; 3] = ["getters", "putters", "joiners"];
pub(super) const GETTERS: usize = 0;
pub(super) const PUTTERS: usize = 1;
pub(super) const JOINERS: usize = 2;

pub(super) struct Queue {
    client: Arc<Client>,
    /// What the names of its keys begin with.
    prefix: String,
    dead: String,
    pub maxsize: usize,
    pub redelivers: bool,
    pub lease: Option<Duration>,
    pub attempts: Option<u32>,
    backoff: Option<Duration>,
    /// Part of its tags, the same for all hubs.
    pub run: AtomicU32,
    pub clients: Mutex<Clients>,
    /// What Redis is still to be told of items, and how.
    owed: Mutex<Vec<(&'static str, Out)>>,
    pub bells: [Bell; 3],
}

/// What the names of the keys begin with of the queue of this name. Those that take each other's dead letters have the
/// same word in braces, by which a cluster would keep them on one node.
fn prefix(name: &str) -> String {
    let mut word = name;
    while let Some(shorter) = word.strip_suffix("_dead") {
        word = shorter;
    }
    ["{netq:", word, "}", &name[word.len()..], ":"].concat()
}

impl Queue {
    pub(super) fn new(client: Arc<Client>, name: &str, options: &QueueOptions) -> Self {
        let redelivery = options.redelivery.as_ref();
        Self {
            client,
            prefix: prefix(name),
            dead: prefix(&[name, "_dead"].concat()),
            maxsize: options.maxsize,
            redelivers: redelivery.is_some(),
            lease: redelivery.and_then(|redelivery| redelivery.lease),
            attempts: redelivery.and_then(|redelivery| Some(redelivery.dead_letters.as_ref()?.attempts)),
            backoff: redelivery.and_then(|redelivery| redelivery.backoff),
            run: AtomicU32::new(0),
            clients: Mutex::default(),
            owed: Mutex::default(),
            bells: Default::default(),
        }
    }

    pub(super) fn run(&self, script: usize, args: &Strings, patience: Duration) -> Result<Reply, Trouble> {
        self.client.run(script, &self.prefix, None, args, patience)
    }

    /// Runs a script for a client, which may have numbered what it asks for.
    pub(super) fn run_as(
        &self,
        who: Option<(&str, i64)>,
        script: usize,
        args: &Strings,
        asked: Asked<'_>,
    ) -> Result<Reply, Trouble> {
        let patience = asked.limit.map_or(PATIENCE, |limit| limit.clamp(LEAST_PATIENCE, PATIENCE));
        self.client.run(script, &self.prefix, who, args, patience)
    }

    pub(super) fn failed(&self, trouble: &Trouble) -> Stopped {
        let (name, said) = (self.client.name(), trouble.to_string());
        let what = ["the hub keeps this queue in ", &name, ": ", &said, trouble.outcome()].concat();
        Stopped::Failed(Exception::runtime_error(what))
    }

    /// Waits for a bell, until it is time to look again.
    pub(super) fn wait(&self, bell: usize, patience: Duration) {
        self.bells[bell].wait(&self.client, &[&self.prefix, BELLS[bell]].concat(), patience.min(LOOK_AGAIN));
    }

    /// Says that the hub is there for `stays` more, or, with zero, that it leaves. Gives back what other hubs had that
    /// are no more: says how many items that were.
    pub(super) fn tick(&self, stays: Duration, started: bool, new_run: u32) -> Result<i64, Trouble> {
        let mut args = Strings::default();
        args.add(self.client.hub().as_bytes());
        args.number(stays.as_millis() as u64);
        args.number(started.into());
        let run = self.run.load(Ordering::Relaxed);
        args.number(if run > 0 { run } else { new_run }.into());
        args.number(self.maxsize as u64);
        args.number(self.lease.map_or(0, |lease| (lease.as_millis() as u64).max(1)));
        match self.attempts {
            Some(attempts) => args.number(attempts.into()),
            None => args.add(b""),
        }
        args.add(self.dead.as_bytes());
        args.number(self.backoff.map_or(0, |backoff| backoff.min(LONGEST_BACKOFF).as_millis() as u64));
        let parts = self.run(TICK, &args, BRIEF)?.list();
        let number = |at: usize| parts.get(at).and_then(Reply::int).unwrap_or(0);
        self.run.store(number(0) as u32, Ordering::Relaxed);
        Ok(number(1))
    }

    /// Tells Redis what became of items. Says of how many it was true.
    pub(super) fn end(
        &self,
        verb: &str,
        items: &[Out],
        more: usize,
        rest: Option<Duration>,
        patience: Duration,
    ) -> Result<i64, Trouble> {
        let mut args = Strings::default();
        args.add(verb.as_bytes());
        match rest {
            Some(rest) => args.number((rest.as_millis() as u64).min(1 << 40)),
            None => args.add(b""),
        }
        args.number(more as u64);
        add_items(&mut args, items);
        Ok(self.run(END, &args, patience)?.int().unwrap_or(0))
    }

    /// As [`end`](Self::end), of items that these tags name, for a client that waits.
    pub(super) fn end_tags(
        &self,
        caller: u64,
        verb: &str,
        tags: &[Tag],
        rest: Option<Duration>,
    ) -> Result<usize, Stopped> {
        let items: Vec<_> = tags.iter().map(|tag| out(tag.item, tag.delivery)).collect();
        let count = self.end(verb, &items, 0, rest, PATIENCE).map_err(|trouble| self.failed(&trouble))?;
        if verb != "touch" {
            lock(&self.clients).forget(caller, &items);
        }
        match count {
            -2 => Err(Stopped::Failed(no_such_delivery())),
            count => usize::try_from(count).map_err(|_| Stopped::TooManyDone),
        }
    }

    /// Something is to be told when there is time for it, or, if it matters to others, now.
    pub(super) fn owe(&self, verb: &'static str, items: &[Out], now: bool) {
        let mut owed = lock(&self.owed);
        for &out in items {
            owed.push((verb, out));
        }
        let many = owed.len() > 4 * TOLD;
        drop(owed);
        if now || many {
            // If it is not possible now, it is done later.
            let _ = self.tell();
        }
    }

    /// Tells Redis what it is still to be told.
    pub(super) fn tell(&self) -> Result<(), Trouble> {
        for verb in ["gone", "back", "fail"] {
            loop {
                let items = self.take_owed(verb);
                if items.is_empty() {
                    break;
                }
                if let Err(trouble) = self.end(verb, &items, 0, None, BRIEF) {
                    self.owe(verb, &items, false);
                    return Err(trouble);
                }
            }
        }
        Ok(())
    }

    fn take_owed(&self, verb: &str) -> Vec<Out> {
        let mut owed = lock(&self.owed);
        let mut items = Vec::new();
        owed.retain(|&(other, out)| {
            let goes = other == verb && items.len() < TOLD;
            if goes {
                items.push(out);
            }
            !goes
        });
        items
    }

    pub(super) fn look(&self, waits: bool, patience: Duration) -> Result<[i64; 10], Stopped> {
        let reply = self.run(LOOK, &flag(waits), patience);
        let parts = reply.map_err(|trouble| self.failed(&trouble))?.list();
        Ok(std::array::from_fn(|at| parts.get(at).and_then(Reply::int).unwrap_or(0)))
    }

    /// Asks for items once.
    pub(super) fn take_once(
        &self,
        lends: bool,
        max: usize,
        asked: Asked<'_>,
        waits: bool,
    ) -> Result<Reply, Stopped> {
        let gone = self.take_owed("gone");
        let mut client = vec![b'.'];
        digits(&mut client, asked.by.id());
        let mut args = Strings::default();
        args.add(if lends { b"l" } else { b"p" });
        args.add_two(self.client.hub().as_bytes(), &client);
        args.number(max as u64);
        args.number(GET_MANY_BYTES);
        args.number(waits.into());
        add_items(&mut args, &gone);
        self.run_as(None, TAKE, &args, asked).map_err(|trouble| {
            self.owe("gone", &gone, false);
            self.failed(&trouble)
        })
    }
}

/// Each item's number and its delivery's.
fn add_items(args: &mut Strings, items: &[Out]) {
    for out in items {
        args.number(out.item);
        args.number(out.delivery);
    }
}

pub(super) fn flag(flag: bool) -> Strings {
    let mut args = Strings::default();
    args.number(flag.into());
    args
}
