//! Networked queues that Python's `multiprocessing` managers and Rust programs share.
//!
//! Python's `BaseManager` puts a queue on the network: one machine finds work, others fetch it from a task
//! queue, do it, and put results on a result queue. This crate is that, in Rust, and speaks the same
//! protocol, so that Python programs take part without a changed line, on either side:
//!
//! ```
//! use netq::{BaseManager, SharedQueue};
//!
//! // The hub. `netq serve get_task_queue:10` does the same.
//! let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
//! hub.register("get_task_queue", SharedQueue::new(10));
//! let address = hub.start()?;
//!
//! // A client, on any machine. The hub could be a Python program, and so could the client.
//! let tasks = BaseManager::new(address.to_string(), b"secret").queue("get_task_queue")?;
//! tasks.put("https://example.org/1.png")?;
//! assert_eq!(tasks.get()?.as_str(), Some("https://example.org/1.png"));
//! # Ok::<(), netq::Error>(())
//! ```
//!
//! It blocks: each connection has a thread, which waits in `read`. Threads are what a queue's clients are, and
//! a page of the kernel's scheduler is less to learn than a runtime.
//!
//! # Layout, in reading order
//!
//! Each layer knows only those above it in this list.
//!
//! | module | what it is |
//! |---|---|
//! | `memory` | large buffers, and how they are freed |
//! | `name` | names that Python programs can call |
//! | `number` | numbers that are given once |
//! | `threads` | how they are started |
//! | `units` | times and sizes as people read them |
//! | [`auth`] | challenge and response, for two peers that hold one key |
//! | [`connection`] | frames over TCP, and the handshake that makes a connection of a stranger |
//! | [`pickle`] | Python's serialization: spans, opaque payloads, values |
//! | [`queue`] | a bounded queue for threads, and its guards; no network |
//! | `message` | requests and replies: [`Call`], [`Exception`] |
//! | `error` | [`Error`]: what a client's call can come to |
//! | `shared` | what can be served: [`Shared`], [`SharedQueue`], and delivery at least once |
//! | `objects` | what can be served beside queues: `SharedDict` (feature `objects`) |
//! | `store` | `Store`: a journal on disk, for queues that outlive the process (feature `journal`) |
//! | `redis` | `RedisStore`: queues in Redis, for any number of hubs (feature `redis`) |
//! | `proxy` | clients: [`Proxy`], [`QueueProxy`], reconnecting |
//! | `manager` | [`BaseManager`]; the server: its objects, its connections, one session each |
//! | `status` | a page about the server, over HTTP (feature `status`) |
//! | `cli` | the `netq` command: parse, call, print |
//!
//! [`tour`] follows one item through all of it, and says which 2,300 lines are an afternoon's reading. [`protocol`] has
//! every byte that goes over the wire, and every error; `redis_keys` what is in which key of a Redis.
//!
//! # What it will not do
//!
//! Encrypt (use a tunnel), execute what it carries, or grow a second protocol.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod auth;
pub mod connection;
mod error;
mod manager;
mod memory;
mod message;
#[doc(hidden)]
pub mod name;
mod number;
#[cfg(feature = "objects")]
mod objects;
pub mod pickle;
mod proxy;
pub mod queue;
#[cfg(feature = "redis")]
mod redis;
mod shared;
#[cfg(feature = "status")]
mod status;
#[cfg(feature = "journal")]
mod store;
mod threads;
#[doc(hidden)]
pub mod units;

#[doc = include_str!("protocol.md")]
pub mod protocol {}

#[doc = include_str!("tour.md")]
pub mod tour {}

#[cfg(feature = "redis")]
#[doc = include_str!("redis/keys.md")]
pub mod redis_keys {}

pub use connection::AuthKey;
pub use error::Error;
#[doc(hidden)]
pub use error::last_line;
pub use manager::{BaseManager, LogLine, Options, Server, Stopper};
pub use message::{Argument, Call, Caller, Exception, Token};
#[cfg(feature = "objects")]
pub use objects::SharedDict;
pub use pickle::{Pickled, Value};
pub use proxy::{Args, Delivery, Item, Proxy, PutAllError, QueueProxy, Retry};
pub use queue::{BoundedQueue, GaveUp, Monitor, Wait};
#[cfg(feature = "redis")]
pub use redis::{RedisError, RedisOptions, RedisStore};
pub use shared::{
    Answer, DeadLetters, Handover, IntoShared, KINDS, Kind, Methods, QueueOptions, Redelivery, Shared,
    SharedQueue,
};
#[cfg(feature = "status")]
pub use status::StatusPage;
#[cfg(feature = "journal")]
pub use store::{Store, StoreError, StoreOptions};

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
