//! netq: networked queues that Python's `multiprocessing` managers and Rust programs share.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod auth;
pub mod connection;
pub mod pickle;
pub mod queue;
