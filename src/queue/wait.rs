//! How long a call may wait.

use std::fmt;
use std::time::{Duration, Instant};

/// How often a waiter with a liveness check looks up. Short enough that a vanished client's thread is soon
/// free, long enough that a thousand idle ones cost next to nothing.
const SLICE: Duration = Duration::from_millis(750);

/// How long a call may wait. Python: the arguments `block` and `timeout`.
///
/// ```
/// use netq::queue::{BoundedQueue, GetError, Wait};
/// use std::time::Duration;
///
/// let queue = BoundedQueue::<i32>::new(0);
/// assert_eq!(queue.get(Wait::not_at_all()), Err(GetError::Empty)); // get(block=False)
/// assert_eq!(queue.get(Wait::at_most(Duration::from_millis(1))), Err(GetError::Empty)); // get(timeout=0.001)
/// # queue.try_put(1).unwrap();
/// assert_eq!(queue.get(Wait::forever()), Ok(1)); // get()
/// ```
#[derive(Clone, Copy)]
pub struct Wait<'a> {
    limit: Option<Duration>,
    alive: Option<&'a dyn Fn() -> bool>,
}

impl Wait<'static> {
    /// For as long as it takes. Python: `timeout=None`.
    #[must_use]
    pub const fn forever() -> Self {
        Self { limit: None, alive: None }
    }

    /// At most for this long. Python: `timeout=seconds`.
    #[must_use]
    pub const fn at_most(limit: Duration) -> Self {
        Self { limit: Some(limit), alive: None }
    }

    /// Not at all: do it now or fail. Python: `block=False`.
    #[must_use]
    pub const fn not_at_all() -> Self {
        Self::at_most(Duration::ZERO)
    }
}

impl<'a> Wait<'a> {
    /// Wait only while `alive` says true; the call ends with `Gone` once it says false.
    ///
    /// A call that need not wait does not ask. A waiting one asks every 750 ms, and once more when it has
    /// been woken, before it takes or puts anything. The queue is not locked meanwhile, so the check may
    /// take a moment, but a getter asking it for a second gets its item a second later.
    ///
    /// ```
    /// use netq::queue::{BoundedQueue, GetError, Wait};
    /// use std::time::Duration;
    ///
    /// let queue = BoundedQueue::<i32>::new(0);
    /// let client_is_there = || false;
    /// let wait = Wait::at_most(Duration::from_millis(5)).while_alive(&client_is_there);
    /// assert_eq!(queue.get(wait), Err(GetError::Gone));
    /// ```
    #[must_use]
    pub fn while_alive<'b>(self, alive: &'b dyn Fn() -> bool) -> Wait<'b> {
        Wait { limit: self.limit, alive: Some(alive) }
    }

    /// Start counting at the first nap: a call that need not wait does not read the clock.
    pub(super) fn patience(self) -> Patience<'a> {
        Patience { wait: self, since: None }
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("limit", &self.limit).field("alive", &self.alive.map(|_| "..")).finish()
    }
}

/// What is left of a [`Wait`].
pub(super) struct Patience<'a> {
    wait: Wait<'a>,
    since: Option<Instant>,
}

impl<'a> Patience<'a> {
    /// How long to sleep next; `None` once the time is up.
    pub fn nap(&mut self) -> Option<Duration> {
        let left = match self.wait.limit {
            None => Duration::MAX,
            // Elapsed time, not a deadline: now plus a long timeout would overflow.
            Some(limit) => limit.saturating_sub(self.since.get_or_insert_with(Instant::now).elapsed()),
        };
        let nap = if self.wait.alive.is_some() { left.min(SLICE) } else { left };
        (!nap.is_zero()).then_some(nap)
    }

    pub fn alive(&self) -> Option<&'a dyn Fn() -> bool> {
        self.wait.alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_no_nap() {
        assert_eq!(Wait::not_at_all().patience().nap(), None);
        assert_eq!(Wait::not_at_all().while_alive(&|| true).patience().nap(), None);
    }

    #[test]
    fn only_a_wait_with_a_check_is_sliced() {
        let hour = Duration::from_secs(3600);
        assert_eq!(Wait::forever().patience().nap(), Some(Duration::MAX));
        assert!(Wait::at_most(hour).patience().nap() > Some(hour / 2));
        assert_eq!(Wait::forever().while_alive(&|| true).patience().nap(), Some(SLICE));
        assert_eq!(Wait::at_most(hour).while_alive(&|| true).patience().nap(), Some(SLICE));
        let short = Duration::from_millis(5);
        assert!(Wait::at_most(short).while_alive(&|| true).patience().nap() <= Some(short));
    }

    #[test]
    fn the_longest_timeout_does_not_overflow() {
        let mut patience = Wait::at_most(Duration::MAX).patience();
        assert!(patience.nap() > Some(Duration::from_secs(u64::MAX / 2)));
    }
}
