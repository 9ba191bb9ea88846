//! netq: networked queues that Python's `multiprocessing` managers and Rust programs share.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod auth;
pub mod connection;
mod error;
mod manager;
mod message;
pub mod pickle;
mod proxy;
pub mod queue;
mod shared;

pub use connection::AuthKey;
pub use error::Error;
pub use manager::{BaseManager, Options, Server, Stopper};
pub use message::{Argument, Call, Caller, Exception, Token};
pub use pickle::{Pickled, Value};
pub use proxy::{Proxy, QueueProxy, Retry};
pub use queue::BoundedQueue;
pub use shared::{Answer, DeadLetters, QueueOptions, Redelivery, Shared, SharedQueue};
