//! One queue in Redis, as one hub serves it: its methods are scripts, and waits between them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::bell::Bell;
use super::client::{Client, Trouble, lock};
use super::clients::{Clients, Out};
use super::resp::{Reply, STRING, Strings, digits};
use super::scripts::{END, LOOK, PUT, SHUTDOWN, TAKE, TICK};
use crate::message::Exception;
use crate::pickle::{Pickled, Value};
use crate::shared::seam::{Asked, Engine, Once, Progress, Stopped, Tag, Wish, out_of_order};
use crate::shared::{Answer, Handover, QueueOptions};

/// Whoever waits looks after this time, for whether his client is still there, and for what a bell did not say.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// For how long a call tries to reach Redis, if its own timeout is no shorter.
const PATIENCE: Duration = Duration::from_secs(10);
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// For how long those tries that nobody waits for.
const BRIEF: Duration = Duration::from_secs(1);

/// What one `get_many` takes at most, in bytes: its reply is built in memory.
const GET_MANY_BYTES: u64 = 1 << 20;

/// What one script is given at most: for that long Redis serves nobody else.
const PUT_ITEMS: usize = 1024;
const PUT_BYTES: usize = 4 << 20;

/// How many items one script is told about, of which there is no hurry to tell.
const TOLD: usize = 256;

/// A numbered put is remembered for so long, in seconds: one that comes again without a client's number comes from here.
const REMEMBERED: u64 = 3600;
const BRIEFLY: u64 = 300;

/// The bells of a queue: the names of their keys, and of their fields in `n`.
const BELLS: [&str; 3] = ["getters", "putters", "joiners"];
const GETTERS: usize = 0;
const PUTTERS: usize = 1;
const JOINERS: usize = 2;

/// What `look.lua` returns, and whether a put would wait.
const LOOKED: [&str; 9] =
    ["length", "out", "resting", "unfinished", "puts", "gets", "returned", "hubs", "bytes"];

pub(super) struct Queue {
    client: Arc<Client>,
    /// What the names of its keys begin with.
    prefix: String,
    dead: String,
    maxsize: usize,
    redelivers: bool,
    lease: Option<Duration>,
    attempts: Option<u32>,
    /// Part of its tags, the same for all hubs.
    run: AtomicU32,
    clients: Mutex<Clients>,
    /// What Redis is still to be told of items, and how.
    owed: Mutex<Vec<(&'static str, Out)>>,
    bells: [Bell; 3],
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
            run: AtomicU32::new(0),
            clients: Mutex::default(),
            owed: Mutex::default(),
            bells: Default::default(),
        }
    }

    fn run(&self, script: usize, args: &Strings, patience: Duration) -> Result<Reply, Trouble> {
        self.client.run(script, &self.prefix, None, args, patience)
    }

    fn failed(&self, trouble: &Trouble) -> Stopped {
        let what = ["the hub keeps this queue in ", &self.client.name(), ": ", &trouble.to_string()].concat();
        Stopped::Failed(Exception::runtime_error(what))
    }

    /// Waits for a bell, until it is time to look again.
    fn wait(&self, bell: usize, patience: Duration) {
        self.bells[bell].wait(&self.client, &[&self.prefix, BELLS[bell]].concat(), patience.min(LOOK_AGAIN));
    }

    /// Says that the hub is there for `stays` more, or, with zero, that it leaves. Gives back what other hubs had that are
    /// no more: says how many items that were.
    pub(super) fn tick(&self, stays: Duration, started: bool, new_run: u32) -> Result<i64, Trouble> {
        let mut args = Strings::default();
        args.add(self.client.hub().as_bytes());
        args.number(stays.as_millis() as u64);
        args.number(started.into());
        args.number(new_run.into());
        args.number(self.maxsize as u64);
        args.number(self.lease.map_or(0, |lease| (lease.as_millis() as u64).max(1)));
        match self.attempts {
            Some(attempts) => args.number(attempts.into()),
            None => args.add(b""),
        }
        args.add(self.dead.as_bytes());
        let parts = self.run(TICK, &args, BRIEF)?.list();
        let number = |at: usize| parts.get(at).and_then(Reply::int).unwrap_or(0);
        self.run.store(number(0) as u32, Ordering::Relaxed);
        Ok(number(1))
    }

    /// Tells Redis what became of items. Says of how many it was true.
    fn end(
        &self,
        verb: &str,
        items: &[Out],
        more: usize,
        rest: Duration,
        patience: Duration,
    ) -> Result<i64, Trouble> {
        let mut args = Strings::default();
        args.add(verb.as_bytes());
        args.number((rest.as_millis() as u64).min(1 << 40));
        args.number(more as u64);
        add_items(&mut args, items);
        Ok(self.run(END, &args, patience)?.int().unwrap_or(0))
    }

    /// As [`end`](Self::end), of items that these tags name, for a client that waits.
    fn end_tags(&self, caller: u64, verb: &str, tags: &[Tag], rest: Duration) -> Result<usize, Stopped> {
        let items: Vec<_> = tags.iter().map(|tag| out(tag.item, tag.delivery)).collect();
        let count = self.end(verb, &items, 0, rest, PATIENCE).map_err(|trouble| self.failed(&trouble))?;
        if verb != "touch" {
            lock(&self.clients).forget(caller, &items);
        }
        usize::try_from(count).map_err(|_| Stopped::TooManyDone)
    }

    /// Something is to be told when there is time for it, or, if it matters to others, now.
    fn owe(&self, verb: &'static str, items: &[Out], now: bool) {
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
                if let Err(trouble) = self.end(verb, &items, 0, Duration::ZERO, BRIEF) {
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

    fn look(&self, waits: bool, patience: Duration) -> Result<[i64; 10], Stopped> {
        let reply = self.run(LOOK, &flag(waits), patience);
        let parts = reply.map_err(|trouble| self.failed(&trouble))?.list();
        Ok(std::array::from_fn(|at| parts.get(at).and_then(Reply::int).unwrap_or(0)))
    }

    /// Asks for items once.
    fn take_once(&self, lends: bool, max: usize, asked: Asked<'_>, waits: bool) -> Result<Reply, Stopped> {
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
        self.run(TAKE, &args, patience(asked)).map_err(|trouble| {
            self.owe("gone", &gone, false);
            self.failed(&trouble)
        })
    }
}

fn out(item: u64, delivery: u64) -> Out {
    Out { item, delivery, begun: false }
}

/// Each item's number and its delivery's.
fn add_items(args: &mut Strings, items: &[Out]) {
    for out in items {
        args.number(out.item);
        args.number(out.delivery);
    }
}

fn flag(flag: bool) -> Strings {
    let mut args = Strings::default();
    args.number(flag.into());
    args
}

/// For how long this call may wait for Redis.
fn patience(asked: Asked<'_>) -> Duration {
    asked.limit.map_or(PATIENCE, |limit| limit.clamp(LEAST_PATIENCE, PATIENCE))
}

/// A queue as the hub's sessions call it.
pub(super) struct Served(pub Arc<Queue>);

impl Engine for Served {
    /// Redis can be full.
    fn has_bound(&self) -> bool {
        true
    }

    fn redelivers(&self) -> bool {
        self.0.redelivers
    }

    fn lease(&self) -> Option<Duration> {
        self.0.lease
    }

    /// The script of the put itself knows what was put before, so that nothing is to be asked.
    fn begin(&self, _: &Once, _: Asked<'_>) -> Result<Progress, Stopped> {
        Ok(Progress::ToDo(0))
    }

    fn end(&self, _: &Once, _: usize, _: bool) {}

    fn put(&self, item: Pickled, once: Option<&Once>, asked: Asked<'_>) -> Result<(), Stopped> {
        self.put_many(&mut VecDeque::from([item]), once.map(|once| (once, 0)), asked).1.map_or(Ok(()), Err)
    }

    fn put_many(
        &self,
        items: &mut VecDeque<Pickled>,
        once: Option<(&Once, usize)>,
        asked: Asked<'_>,
    ) -> (usize, Option<Stopped>) {
        let queue = &self.0;
        let (begun, mut total) = (Instant::now(), 0);
        let who = once.map(|(once, _)| (once.client.as_str(), once.number));
        let remembered = if once.is_some() { REMEMBERED } else { BRIEFLY };
        while !items.is_empty() {
            if items[0].len() >= STRING - 1024 {
                return (total, Some(Stopped::TooLarge));
            }
            let left = asked.limit.map(|limit| limit.saturating_sub(begun.elapsed()));
            let waits = !left.is_some_and(|left| left.is_zero());
            let mut args = Strings::default();
            args.number(remembered);
            // Of a put without a client's number, each script is a step of its own.
            args.number(once.map_or(0, |(_, before)| before + total) as u64);
            args.number(waits.into());
            let mut size = 0;
            for item in items.iter().take(PUT_ITEMS) {
                size += item.len();
                if size > PUT_BYTES && size > item.len() {
                    break;
                }
                args.add_two(&item.head(), item.as_bytes());
            }
            let (put, why, latest) = match queue.client.run(PUT, &queue.prefix, who, &args, patience(asked)) {
                Ok(reply) => {
                    let parts = reply.list();
                    let number = |at: usize| parts.get(at).and_then(Reply::int).unwrap_or(0);
                    (number(0) as usize, number(1), number(2))
                }
                Err(trouble) if trouble.is_full() => (0, 1, 0),
                Err(trouble) => return (total, Some(queue.failed(&trouble))),
            };
            (0..put).for_each(|_| drop(items.pop_front()));
            total += put;
            let stopped = match why {
                0 => continue,
                2 => Stopped::ShutDown,
                3 => out_of_order(who.map_or(0, |(_, number)| number), latest),
                _ if !waits => Stopped::Full,
                _ => {
                    queue.wait(PUTTERS, left.unwrap_or(LOOK_AGAIN));
                    if !asked.by.is_gone() {
                        continue;
                    }
                    Stopped::Gone
                }
            };
            return (total, Some(stopped));
        }
        (total, None)
    }

    fn take(&self, wish: Wish, asked: Asked<'_>) -> Result<Answer, Stopped> {
        let queue = &self.0;
        let begun = Instant::now();
        let lends = queue.redelivers || matches!(wish, Wish::Lent(_));
        let max = match wish {
            Wish::One => 1,
            Wish::Some(max) | Wish::Lent(max) => max,
        };
        loop {
            let left = asked.limit.map_or(LOOK_AGAIN, |limit| limit.saturating_sub(begun.elapsed()));
            let due = match queue.take_once(lends, max, asked, !left.is_zero())? {
                Reply::List(parts) => return Ok(queue.answer(wish, lends, asked.by.id(), parts)),
                Reply::Int(_) if left.is_zero() => return Err(Stopped::Empty),
                Reply::Int(due) => u64::try_from(due).map_or(LOOK_AGAIN, Duration::from_millis),
                _ => return Err(Stopped::ShutDown),
            };
            queue.wait(GETTERS, left.min(due));
            if asked.by.is_gone() {
                return Err(Stopped::Gone);
            }
        }
    }

    fn check(&self, tag: Tag) -> bool {
        tag.run == self.0.run.load(Ordering::Relaxed)
    }

    fn first(&self, caller: u64) -> Option<Tag> {
        let first = lock(&self.0.clients).latest(caller).first().copied()?;
        Some(Tag { item: first.item, delivery: first.delivery, run: self.0.run.load(Ordering::Relaxed) })
    }

    fn done(&self, caller: u64, count: usize) -> Result<(), Stopped> {
        let queue = &self.0;
        let items: Vec<Out> = lock(&queue.clients).latest(caller).iter().take(count).copied().collect();
        let more = count - items.len();
        if queue.redelivers && more > 0 {
            return Err(Stopped::TooManyDone);
        }
        if count == 0 {
            return Ok(());
        }
        let done = queue.end("done", &items, more, Duration::ZERO, PATIENCE);
        let done = done.map_err(|trouble| queue.failed(&trouble))?;
        lock(&queue.clients).forget(caller, &items);
        if done < 0 { Err(Stopped::TooManyDone) } else { Ok(()) }
    }

    fn finish(&self, caller: u64, tags: &[Tag]) -> Result<usize, Stopped> {
        self.0.end_tags(caller, "done", tags, Duration::ZERO)
    }

    fn fail(&self, caller: u64, tags: &[Tag], delay: Duration) -> Result<usize, Stopped> {
        self.0.end_tags(caller, "fail", tags, delay)
    }

    fn give_back(&self, caller: u64, tags: &[Tag]) -> Result<usize, Stopped> {
        self.0.end_tags(caller, "back", tags, Duration::ZERO)
    }

    fn touch(&self, caller: u64, tags: Option<&[Tag]>) -> Result<usize, Stopped> {
        if let Some(tags) = tags {
            return self.0.end_tags(caller, "touch", tags, Duration::ZERO);
        }
        let items = lock(&self.0.clients).all(caller);
        let touched = self.0.end("touch", &items, 0, Duration::ZERO, PATIENCE);
        touched.map(|count| count as usize).map_err(|trouble| self.0.failed(&trouble))
    }

    fn join(&self, asked: Asked<'_>) -> Result<(), Stopped> {
        while self.0.look(true, PATIENCE)?[3] > 0 {
            self.0.wait(JOINERS, LOOK_AGAIN);
            if asked.by.is_gone() {
                return Err(Stopped::Gone);
            }
        }
        Ok(())
    }

    fn shutdown(&self, immediate: bool) -> Result<(), Stopped> {
        let shut = self.0.run(SHUTDOWN, &flag(immediate), PATIENCE);
        shut.map(drop).map_err(|trouble| self.0.failed(&trouble))
    }

    fn len(&self) -> Result<usize, Stopped> {
        Ok(self.0.look(false, PATIENCE)?[0] as usize)
    }

    fn is_full(&self) -> Result<bool, Stopped> {
        Ok(self.0.look(false, PATIENCE)?[9] > 0)
    }

    fn disconnected(&self, caller: u64) -> usize {
        let items = lock(&self.0.clients).ended(caller);
        let count = items.len();
        if count > 0 {
            // It hangs with at most one item of each of its calls.
            for out in items.iter().filter(|out| out.begun) {
                self.0.owe("fail", &[*out], false);
            }
            let rest: Vec<Out> = items.into_iter().filter(|out| !out.begun).collect();
            self.0.owe("back", &rest, true);
        }
        count
    }

    fn maxsize(&self) -> usize {
        self.0.maxsize
    }

    fn stats(&self) -> Vec<(&'static str, Value)> {
        let queue = &self.0;
        let mut figures = vec![
            ("maxsize", queue.maxsize.into()),
            ("redelivers", queue.redelivers.into()),
            ("lease", queue.lease.map(|lease| lease.as_secs_f64()).into()),
            ("attempts", queue.attempts.map(i64::from).into()),
            ("waiting_getters", queue.bells[GETTERS].waiting().into()),
            ("waiting_putters", queue.bells[PUTTERS].waiting().into()),
        ];
        // Without Redis there is no more to say.
        if let Ok(seen) = queue.look(false, BRIEF) {
            for (name, figure) in LOOKED.iter().zip(seen) {
                figures.push((name, Value::Int(figure)));
            }
        }
        figures
    }
}

impl Queue {
    /// Items for a client, as the script has given them.
    fn answer(self: &Arc<Self>, wish: Wish, lends: bool, caller: u64, parts: Vec<Reply>) -> Answer {
        let run = self.run.load(Ordering::Relaxed);
        let mut parts = parts.into_iter();
        let first = parts.next().and_then(|first| first.int()).unwrap_or(0) as u64;
        let (mut items, mut values) = (Vec::new(), Vec::new());
        while let (Some(item), Some(Reply::Text(payload))) = (parts.next(), parts.next()) {
            let out = out(item.int().unwrap_or(0) as u64, first + items.len() as u64);
            items.push(out);
            let value = Value::Opaque(Pickled::unpack(&payload));
            values.push(match wish {
                Wish::Lent(_) => {
                    let tag = Tag { item: out.item, delivery: out.delivery, run };
                    Value::Tuple(vec![tag.to_string().into(), value])
                }
                _ => value,
            });
        }
        match lends {
            true => lock(&self.clients).lend(caller, &items),
            false => lock(&self.clients).took(caller),
        }
        let value = match wish {
            Wish::One => values.pop().unwrap_or(Value::None),
            _ => Value::List(values),
        };
        Answer::delivering(value, Handed { queue: Arc::clone(self), lends, caller, items, read: false })
    }
}

/// Items on their way to a client, which has them for good then, or will have to finish them.
struct Handed {
    queue: Arc<Queue>,
    lends: bool,
    caller: u64,
    items: Vec<Out>,
    read: bool,
}

impl Handover for Handed {
    fn written(&mut self) {
        if self.lends {
            lock(&self.queue.clients).written(self.caller);
        }
    }

    fn commit(mut self: Box<Self>) -> std::io::Result<()> {
        self.read = true;
        if !self.lends {
            self.queue.owe("gone", &self.items, false);
        }
        Ok(())
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if self.read {
            return;
        }
        if self.lends {
            lock(&self.queue.clients).unread(self.caller);
        }
        self.queue.owe("back", &self.items, true);
    }
}
