//! A bounded queue with the semantics of Python's `queue.Queue`, usable with no network at all.
//!
//! [`BoundedQueue`] is one mutex and three lines of waiters, as `queue.Queue` is one mutex and three conditions, and each
//! of its methods has the same shape: lock, wait, change the state, wake who can go on. Waiting is [`Monitor`]'s, which
//! is there for other objects too. A queue adds what a queue needs
//! whose users may vanish: taking an item yields a guard ([`Taken`]) that puts the item back unless it is
//! committed, and a waiter can name a check ([`Wait::while_alive`]) that ends its wait when nobody is there
//! any more to want the result.
//!
//! ```
//! use netq::queue::{BoundedQueue, GetError, Wait};
//! use std::thread;
//!
//! let queue = BoundedQueue::new(2);
//! let producer = {
//!     let queue = queue.clone();
//!     thread::spawn(move || (0..5).all(|n| queue.put(n, Wait::forever()).is_ok()))
//! };
//! for n in 0..5 {
//!     assert_eq!(queue.get(Wait::forever()), Ok(n));
//! }
//! assert!(producer.join().unwrap());
//! assert_eq!(queue.try_get(), Err(GetError::Empty));
//! ```
//!
//! Reading order: `bounded` and `many` (the methods), `steps` (what they share, and who is woken when), `state` (what
//! the mutex protects), `taken` (the guard), `monitor`, `line` and `wait` (waiting, in which order, how long), `backlog`
//! (where the items are), `log` and `restore` (for who keeps a journal).

mod backlog;
mod bounded;
mod error;
mod line;
mod log;
mod many;
mod monitor;
#[cfg(feature = "journal")]
mod restore;
mod state;
mod stats;
mod steps;
mod taken;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod wait;

pub use backlog::Packing;
pub use bounded::BoundedQueue;
pub use error::{GetError, JoinError, PutError, PutManyError, TooManyDone};
#[cfg(feature = "journal")]
pub(crate) use log::{Log, Place};
pub(crate) use log::{Logged, Origin, Ticket};
pub use monitor::{GaveUp, Locked, Monitor};
#[cfg(feature = "journal")]
pub(crate) use restore::Restoring;
pub use state::Limits;
pub use stats::Stats;
pub use taken::Taken;
pub use wait::Wait;
