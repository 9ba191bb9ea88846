//! Queues in a real Redis, each on a port of its own: what they have in common with those in memory, what several hubs do
//! with them, and what becomes of all that when Redis is not there.
//!
//! Without a `redis-server` on the path they are skipped, and say so. `NETQ_REQUIRE_REDIS=1` forbids that.
#![cfg(feature = "redis")]

mod chaos;
#[path = "../cli/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the command line")]
mod cli;
mod faults;
#[path = "../common/pythons.rs"]
#[allow(dead_code, reason = "shared with the tests of Python programs")]
mod pythons;
mod queue;
mod serve;
#[path = "../common/redis.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod server;
mod several;
#[path = "../support/mod.rs"]
mod support;
