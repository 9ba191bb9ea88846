//! At-least-once delivery: what a queue does with what its clients did not finish.
//!
//! A plain queue forgets an item once its client has it; if the client dies at work, the item is gone. A
//! redelivering queue keeps each item until the connection that got it calls `task_done()`. Unmodified
//! Python workers do that already, for `join()`'s sake.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::pickle::Pickled;
use crate::queue::BoundedQueue;

/// How a queue takes back what its clients did not finish. The default is: whenever a connection ends.
///
/// ```
/// use std::time::Duration;
/// use netq::{BoundedQueue, DeadLetters, QueueOptions, Redelivery, SharedQueue};
///
/// let dead = SharedQueue::new(0);
/// let tasks = SharedQueue::with_options(QueueOptions {
///     redelivery: Some(Redelivery {
///         lease: Some(Duration::from_secs(60)),
///         dead_letters: Some(DeadLetters { attempts: 3, queue: dead.queue().clone() }),
///     }),
///     ..QueueOptions::default()
/// });
/// # let _ = tasks;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Redelivery {
    /// Also take back an item that is not done after this time: from a client that hangs, or whose machine
    /// has lost its power, which no connection tells.
    pub lease: Option<Duration>,
    /// Where items go that came back too often. Without it they come back for ever.
    pub dead_letters: Option<DeadLetters>,
}

/// Where items go that may be what kills their workers.
#[derive(Clone)]
pub struct DeadLetters {
    /// How many times an item is delivered again before it is given up.
    pub attempts: u32,
    /// The queue that receives it. Should have no bound: while it is full, items come back all the same.
    pub queue: Arc<BoundedQueue<Pickled>>,
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("attempts", &self.attempts).finish_non_exhaustive()
    }
}
