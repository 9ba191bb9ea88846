//! What the unit tests of this layer share.

use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes, unless it never comes.
pub(super) const LONG: Duration = Duration::from_secs(20);

/// Wait until the state is as the test needs it.
#[track_caller]
pub(super) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "not {what} in time");
        thread::yield_now();
    }
}
