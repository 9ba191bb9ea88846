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
///         backoff: Some(Duration::from_secs(10)),
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
    /// How long an item rests that has failed, before it is given again: so long the first time, twice as long after
    /// each failure more, at most an hour; and up to a tenth less, so that what failed together does not come back together.
    /// It holds up no other item. Without it, and where `task_failed` is told a `delay`, it does not rest by itself.
    pub backoff: Option<Duration>,
}

/// No item rests for longer than this by itself.
pub(crate) const LONGEST_BACKOFF: Duration = Duration::from_secs(3600);

impl Redelivery {
    /// How long an item rests that has failed once more, after so many failures.
    pub(super) fn rest(&self, number: u64, failures: u32) -> Duration {
        let doubled =
            self.backoff.unwrap_or_default().saturating_mul(1 << failures.min(31)).min(LONGEST_BACKOFF);
        // Neighbours get different parts of the tenth, and the same item another one each time.
        let spread = (number % 128 * 37 + u64::from(failures) * 11) % 128;
        doubled - doubled / 1280 * spread as u32
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_rests_for_twice_as_long_each_time_up_to_an_hour_and_not_all_for_the_same_time() {
        let redelivery =
            |seconds| Redelivery { backoff: Some(Duration::from_secs(seconds)), ..Redelivery::default() };
        let rests = |number, failures| redelivery(10).rest(number, failures).as_secs_f64();
        for (failures, longest) in
            [(0, 10.0), (1, 20.0), (2, 40.0), (8, 2560.0), (9, 3600.0), (u32::MAX, 3600.0)]
        {
            let times: Vec<_> = (0..200).map(|number| rests(number, failures)).collect();
            assert!(
                times.iter().all(|&time| time > 0.9 * longest && time <= longest),
                "{failures}: {times:?}"
            );
            let first = times[0];
            assert!(times[1..4].iter().all(|&time| (time - first).abs() > longest / 200.0), "{times:?}");
        }
        assert_eq!(redelivery(u64::MAX).rest(0, 0), LONGEST_BACKOFF);
        assert_eq!(Redelivery::default().rest(0, 5), Duration::ZERO);
    }
}
