//! What a queue asks of whatever keeps its items.
//!
//! [`SharedQueue`](crate::SharedQueue) reads a method's arguments and says its errors, once for all queues. What it
//! asks for then is in [`Engine`]: a queue in memory ([`in_memory`](super::in_memory)) is one, and what keeps items
//! elsewhere is another.

use std::collections::VecDeque;
use std::time::Duration;

use crate::message::{Caller, Exception};
use crate::pickle::{Pickled, Value};
use crate::shared::Answer;
use crate::shared::once::{Once, Progress};
use crate::shared::tag::Tag;

/// Who asks for something, and how long he is ready to wait for it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'c> {
    pub by: &'c Caller,
    /// `None`: for ever.
    pub limit: Option<Duration>,
}

/// What a caller wants to take, and so what its answer is like.
#[derive(Clone, Copy)]
pub(crate) enum Wish {
    /// One item.
    One,
    /// Up to so many, as a list.
    Some(usize),
    /// Up to so many, each with its tag. Never forgotten, not even by a queue that does not redeliver.
    Lent(usize),
}

/// Why something was not done. What was asked for has not happened at all, or as far as it is said.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// No item came in time.
    Empty,
    /// There was no room in time.
    Full,
    ShutDown,
    /// Nobody is there any more who asks.
    Gone,
    /// The item is larger than all the room there is.
    TooLarge,
    /// There are not so many unfinished items.
    TooManyDone,
    /// That, of which the engine knows more than these: what keeps the items has failed.
    Failed(Exception),
}

/// What keeps a queue's items, and knows who has which.
///
/// A *caller* is a connection, by its number. Where a method can fail, an engine in memory does not.
pub(crate) trait Engine: Send + Sync {
    /// Whether a put may find no room.
    fn has_bound(&self) -> bool;

    /// Whether what a plain `get` took comes back too.
    fn redelivers(&self) -> bool;

    /// How long a client may take for an item.
    fn lease(&self) -> Option<Duration>;

    /// Begins a put that may be a repeated one, or goes on with it. Unless it was answered before, [`end`](Self::end)
    /// follows.
    fn begin(&self, once: &Once, asked: Asked<'_>) -> Result<Progress, Stopped>;

    /// Ends it: so many of its items are in the queue, and `answered` says whether that is its client's answer.
    fn end(&self, once: &Once, put: usize, answered: bool);

    /// Puts one item. Waits for room.
    fn put(&self, item: Pickled, once: Option<&Once>, asked: Asked<'_>) -> Result<(), Stopped>;

    /// Puts items from the front of `items`, which come behind the first `already` of a put that is numbered. Waits
    /// for room. Says how many went in, and why not all of them did.
    fn put_many(
        &self,
        items: &mut VecDeque<Pickled>,
        once: Option<(&Once, usize)>,
        asked: Asked<'_>,
    ) -> (usize, Option<Stopped>);

    /// Takes items for the caller. Waits for the first of them.
    fn take(&self, wish: Wish, asked: Asked<'_>) -> Result<Answer, Stopped>;

    /// Whether this queue may have given that tag.
    fn check(&self, tag: Tag) -> bool;

    /// The next item that a plain `task_failed()` of this caller means.
    fn first(&self, caller: u64) -> Option<Tag>;

    /// The caller is done with the oldest `count` items of its latest `get`; a queue that does not redeliver has
    /// forgotten what a plain `get` took, and counts. All or none.
    fn done(&self, caller: u64, count: usize) -> Result<(), Stopped>;

    /// These items are done, wherever they are. Says how many were not before.
    fn finish(&self, caller: u64, tags: &[Tag]) -> Result<usize, Stopped>;

    /// Work on these items has failed: they rest for `delay`, by default as the queue has it, and then come back, or go
    /// to the dead letters. Says how many were still out by these deliveries.
    fn fail(&self, caller: u64, tags: &[Tag], delay: Option<Duration>) -> Result<usize, Stopped>;

    /// These items were not tried, and go back to their places. Says how many were still out by these deliveries.
    fn give_back(&self, caller: u64, tags: &[Tag]) -> Result<usize, Stopped>;

    /// The lease of these items begins anew, or that of all that the caller has. Says how many were still out.
    fn touch(&self, caller: u64, tags: Option<&[Tag]>) -> Result<usize, Stopped>;

    /// Waits until each item that was put is done.
    fn join(&self, asked: Asked<'_>) -> Result<(), Stopped>;

    /// Takes no more puts; `immediate`: drops what waits.
    fn shutdown(&self, immediate: bool) -> Result<(), Stopped>;

    /// How many items wait to be got.
    fn len(&self) -> Result<usize, Stopped>;

    /// Whether a put would have to wait.
    fn is_full(&self) -> Result<bool, Stopped>;

    /// The caller's connection has ended: what it was not done with comes back. Says how many items these are.
    fn disconnected(&self, caller: u64) -> usize;

    /// What people call the largest number of items; 0 is without a bound.
    fn maxsize(&self) -> usize;

    /// Figures for `netq stat`, by name.
    fn stats(&self) -> Vec<(&'static str, Value)>;
}
