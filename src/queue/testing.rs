//! What the unit tests of this layer share.

use std::thread;
use std::time::{Duration, Instant};

use super::Wait;

/// Longer than anything here takes, unless it never comes.
pub(super) const LONG: Duration = Duration::from_secs(10);

/// Wait until the state is as the test needs it.
#[track_caller]
pub(super) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "not {what} in time");
        thread::yield_now();
    }
}

/// A call whose wait must be ended by a wake-up: at its timeout it would look again and succeed all the same.
#[track_caller]
pub(super) fn woken<T>(call: impl FnOnce(Wait<'static>) -> T) -> T {
    let start = Instant::now();
    let result = call(Wait::at_most(LONG));
    assert!(start.elapsed() < LONG, "not woken");
    result
}
