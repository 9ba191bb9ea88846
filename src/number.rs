//! Numbers that are given once in the life of the process.

use std::sync::{Mutex, PoisonError};

/// Counts from 1. A mutex, because MIPS and ARMv5 have no atomic of 64 bits, and one of 32 would come round.
pub(crate) struct Numbers(Mutex<u64>);

impl Numbers {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(0))
    }

    /// The number after the last one that was given.
    pub(crate) fn next(&self) -> u64 {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        *last
    }
}
