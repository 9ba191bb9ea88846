//! The methods of a queue in Redis, as the sessions of a hub call them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::client::lock;
use super::clients::Out;
use super::handed::answer;
use super::queue::{BRIEF, GETTERS, JOINERS, LOOK_AGAIN, PATIENCE, PUTTERS, Queue, flag};
use super::resp::{Reply, STRING, Strings};
use super::scripts::{PUT, SHUTDOWN};
use crate::pickle::{Pickled, Value};
use crate::shared::Answer;
use crate::shared::seam::{Asked, Engine, Once, Progress, Stopped, Tag, Wish, out_of_order};

/// What one script is given at most: for that long Redis serves nobody else.
const PUT_ITEMS: usize = 1024;
const PUT_BYTES: usize = 4 << 20;

/// A put is remembered for so long, in seconds, if a client has numbered it; if not, only this hub repeats it.
const REMEMBERED: u64 = 3600;
const BRIEFLY: u64 = 300;

/// What `look.lua` returns, and whether a put would wait.
const LOOKED: [&str; 9] =
    ["length", "out", "resting", "unfinished", "puts", "gets", "returned", "hubs", "bytes"];

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
            let (put, why, latest) = match queue.run_as(who, PUT, &args, asked) {
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
                Reply::List(parts) => return Ok(answer(queue, wish, lends, asked.by.id(), parts)),
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
        let done = queue.end("done", &items, more, None, PATIENCE);
        let done = done.map_err(|trouble| queue.failed(&trouble))?;
        lock(&queue.clients).forget(caller, &items);
        if done < 0 { Err(Stopped::TooManyDone) } else { Ok(()) }
    }

    fn finish(&self, caller: u64, tags: &[Tag]) -> Result<usize, Stopped> {
        self.0.end_tags(caller, "done", tags, None)
    }

    fn fail(&self, caller: u64, tags: &[Tag], delay: Option<Duration>) -> Result<usize, Stopped> {
        self.0.end_tags(caller, "fail", tags, delay)
    }

    fn give_back(&self, caller: u64, tags: &[Tag]) -> Result<usize, Stopped> {
        self.0.end_tags(caller, "back", tags, None)
    }

    fn touch(&self, caller: u64, tags: Option<&[Tag]>) -> Result<usize, Stopped> {
        if let Some(tags) = tags {
            return self.0.end_tags(caller, "touch", tags, None);
        }
        let items = lock(&self.0.clients).all(caller);
        let touched = self.0.end("touch", &items, 0, None, PATIENCE);
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
