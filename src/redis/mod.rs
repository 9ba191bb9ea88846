//! Queues in Redis, or Valkey: any number of hubs serve the same ones, and none of them keeps anything.
//!
//! Each step is one Lua script, which happens as a whole or not at all: `put.lua`, `take.lua`, `end.lua` (done, failed,
//! given back), `look.lua`, `shutdown.lua` and `tick.lua` (a hub is there), each behind `common.lua`. A hub sends a
//! step again on a new connection when one breaks, by the same number, and the script knows what it has done. Nobody
//! polls: who waits listens to a bell that scripts ring. What is in which key is in `keys.md`.
//!
//! Reading order: `address`, `resp` (the protocol), `client` (connections, calls), `pipe`, `scripts` and the Lua files,
//! `clients` (what this hub's clients have), `bell` (waiting), `queue` (what is said of one), `served` (its methods),
//! `handed` (what goes out with a reply), `store`.

mod address;
mod bell;
mod client;
mod clients;
mod error;
mod handed;
mod pipe;
mod queue;
mod resp;
mod scripts;
mod served;
mod store;

pub use error::RedisError;
pub use store::{RedisOptions, RedisStore};
