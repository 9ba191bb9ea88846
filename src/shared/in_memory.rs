//! The engine of a queue that is in this process's memory: the queue itself, and a ledger of what is out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::message::Exception;
use crate::pickle::{Pickled, Value};
use crate::queue::{BoundedQueue, GetError, Origin, PutError, Ticket, Wait};
use crate::shared::engine::{Asked, Engine, Stopped, Wish};
use crate::shared::ledger::Ledger;
use crate::shared::once::{Once, Progress, Puts};
use crate::shared::tag::Tag;
use crate::shared::{Answer, Redelivery, answer};

/// What one `get_many` takes at most, in bytes: its reply is built in memory.
const GET_MANY_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct InMemory {
    queue: Arc<BoundedQueue<Pickled>>,
    /// What clients have and are not done with, where the queue delivers at least once; and what they were lent.
    ledger: Arc<Ledger>,
    puts: Puts,
    maxsize: usize,
    has_bound: bool,
}

impl InMemory {
    pub(super) fn new(queue: Arc<BoundedQueue<Pickled>>, redelivery: Option<Redelivery>, puts: Puts) -> Self {
        let stats = queue.stats();
        // A disk can be full.
        let has_bound = stats.maxsize > 0 || stats.max_weight.is_some() || queue.log().get().is_some();
        let ledger = Arc::new(Ledger::new(Arc::clone(&queue), redelivery));
        Self { queue, ledger, puts, maxsize: stats.maxsize, has_bound }
    }

    /// Asked while a call waits: whether somebody still waits for its answer.
    fn is_wanted(&self, asked: Asked<'_>) -> bool {
        self.ledger.expire();
        !asked.by.is_gone()
    }

    /// What was put is kept, if it has to be.
    fn kept(&self, ticket: Ticket) -> Result<(), Stopped> {
        match self.queue.log().get() {
            Some(log) if !log.wait(ticket) => Err(Stopped::Failed(Exception::runtime_error(
                "the hub's store has failed, and whether it has kept the item is not known: see the hub's log",
            ))),
            _ => Ok(()),
        }
    }

    fn tasks_done(&self, count: usize) -> Result<(), Stopped> {
        self.queue.task_done_many(count).map_err(|_| Stopped::TooManyDone)
    }
}

impl Engine for InMemory {
    fn has_bound(&self) -> bool {
        self.has_bound
    }

    fn redelivers(&self) -> bool {
        self.ledger.redelivers()
    }

    fn lease(&self) -> Option<Duration> {
        self.ledger.lease()
    }

    fn begin(&self, once: &Once, asked: Asked<'_>) -> Result<Progress, Stopped> {
        self.puts.begin(once, asked)
    }

    fn end(&self, once: &Once, put: usize, answered: bool) {
        self.puts.end(once, put, answered);
    }

    fn put(&self, item: Pickled, once: Option<&Once>, asked: Asked<'_>) -> Result<(), Stopped> {
        let alive = || !asked.by.is_gone();
        let origin = origin(once.map(|once| (once, 0)));
        let ticket =
            self.queue.put_noted(item, wait(asked).while_alive(&alive), origin).map_err(put_error)?;
        self.kept(ticket)
    }

    fn put_many(
        &self,
        items: &mut VecDeque<Pickled>,
        once: Option<(&Once, usize)>,
        asked: Asked<'_>,
    ) -> (usize, Option<Stopped>) {
        let alive = || !asked.by.is_gone();
        let (ticket, result) =
            self.queue.put_many_noted(items, wait(asked).while_alive(&alive), origin(once));
        let (put, stopped) = match result {
            Ok(put) => (put, None),
            Err(stopped) => (stopped.put, Some(put_error(stopped.reason))),
        };
        match self.kept(ticket) {
            Ok(()) => (put, stopped),
            Err(failed) => (0, Some(failed)),
        }
    }

    fn take(&self, wish: Wish, asked: Asked<'_>) -> Result<Answer, Stopped> {
        self.ledger.expire();
        let alive = || self.is_wanted(asked);
        let wait = wait(asked).while_alive(&alive);
        let (max, lent) = match wish {
            Wish::One => {
                let item = self.queue.take(wait).map_err(get_error)?;
                if !self.ledger.redelivers() {
                    self.ledger.took(asked.by.id());
                    return Ok(Answer::item(item));
                }
                let payload = Value::Opaque(Pickled::clone(&item));
                return Ok(Answer::delivering(payload, self.ledger.lend(asked.by.id(), vec![item]).1));
            }
            Wish::Some(max) => (max, false),
            Wish::Lent(max) => (max, true),
        };
        let items = self.queue.take_many(max, GET_MANY_BYTES, wait).map_err(get_error)?;
        if !lent && !self.ledger.redelivers() {
            self.ledger.took(asked.by.id());
            return Ok(Answer::items(items));
        }
        let payloads: Vec<_> = items.iter().map(|item| Pickled::clone(item)).collect();
        let (tags, loan) = self.ledger.lend(asked.by.id(), items);
        let list = match lent {
            true => answer::tagged(&tags, payloads),
            false => Value::List(payloads.into_iter().map(Value::Opaque).collect()),
        };
        Ok(Answer::delivering(list, loan))
    }

    fn check(&self, tag: Tag) -> bool {
        self.ledger.check(tag)
    }

    fn first(&self, caller: u64) -> Option<Tag> {
        self.ledger.first(caller)
    }

    fn done(&self, caller: u64, count: usize) -> Result<(), Stopped> {
        let counted = match self.ledger.redelivers() {
            true => 0,
            false => count.saturating_sub(self.ledger.unfinished(caller)),
        };
        let finished = self.ledger.done(caller, count - counted).ok_or(Stopped::TooManyDone)?;
        self.tasks_done(finished + counted)
    }

    fn finish(&self, caller: u64, tags: &[Tag]) -> Result<usize, Stopped> {
        let finished = self.ledger.finish(caller, tags);
        self.tasks_done(finished)?;
        Ok(finished)
    }

    fn fail(&self, caller: u64, tags: &[Tag], delay: Option<Duration>) -> Result<usize, Stopped> {
        Ok(self.ledger.fail(caller, tags, delay))
    }

    fn give_back(&self, caller: u64, tags: &[Tag]) -> Result<usize, Stopped> {
        Ok(self.ledger.give_back(caller, tags))
    }

    fn touch(&self, caller: u64, tags: Option<&[Tag]>) -> Result<usize, Stopped> {
        // What has ended already is somebody else's.
        self.ledger.expire();
        Ok(tags.map_or_else(|| self.ledger.touch_all(caller), |tags| self.ledger.touch(tags)))
    }

    fn join(&self, asked: Asked<'_>) -> Result<(), Stopped> {
        self.ledger.expire();
        // The only way to give up is that nobody waits for the answer.
        self.queue.join(wait(asked).while_alive(&|| self.is_wanted(asked))).map_err(|_| Stopped::Gone)
    }

    fn shutdown(&self, immediate: bool) -> Result<(), Stopped> {
        self.queue.shutdown(immediate);
        if immediate {
            self.ledger.wake_all();
        }
        Ok(())
    }

    fn len(&self) -> Result<usize, Stopped> {
        self.ledger.expire();
        Ok(self.queue.len())
    }

    fn is_full(&self) -> Result<bool, Stopped> {
        self.ledger.expire();
        Ok(self.queue.is_full())
    }

    fn disconnected(&self, caller: u64) -> usize {
        self.ledger.ended(caller)
    }

    fn maxsize(&self) -> usize {
        self.maxsize
    }

    fn stats(&self) -> Vec<(&'static str, Value)> {
        self.ledger.expire();
        let stats = self.queue.stats();
        vec![
            ("length", stats.len.into()),
            ("maxsize", stats.maxsize.into()),
            ("bytes", stats.weight.into()),
            ("spilled_bytes", stats.spilled.into()),
            ("max_bytes", stats.max_weight.into()),
            ("redelivers", self.ledger.redelivers().into()),
            ("lease", self.ledger.lease().map(|lease| lease.as_secs_f64()).into()),
            ("attempts", self.ledger.attempts().map(i64::from).into()),
            ("out", stats.out.into()),
            ("resting", self.ledger.resting().into()),
            ("puts", stats.puts.into()),
            ("gets", stats.gets.into()),
            ("returned", stats.returned.into()),
            ("waiting_getters", stats.waiting_getters.into()),
            ("waiting_putters", stats.waiting_putters.into()),
            ("unfinished", stats.unfinished.into()),
        ]
    }
}

/// Where the items of a put come from, of which so many are in the queue already.
fn origin<'o>(once: Option<(&'o Once, usize)>) -> Origin<'o> {
    once.map_or(Origin::Put, |(once, before)| Origin::Numbered {
        client: &once.client,
        number: once.number,
        before,
    })
}

fn wait(asked: Asked<'_>) -> Wait<'static> {
    asked.limit.map_or(Wait::forever(), Wait::at_most)
}

fn put_error<T>(error: PutError<T>) -> Stopped {
    match error {
        PutError::Full(_) => Stopped::Full,
        PutError::ShutDown(_) => Stopped::ShutDown,
        PutError::Gone(_) => Stopped::Gone,
        PutError::TooLarge(_) => Stopped::TooLarge,
    }
}

fn get_error(error: GetError) -> Stopped {
    match error {
        GetError::Empty => Stopped::Empty,
        GetError::ShutDown => Stopped::ShutDown,
        GetError::Gone => Stopped::Gone,
    }
}
