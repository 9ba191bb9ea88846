//! The other objects of Python's `SyncManager`, beside queues: what they hold is kept as it was pickled, and only
//! what Python must compare is decoded.
//!
//! Reading order: `table` (keys in the order in which they came), `dict`.

mod dict;
mod table;

pub use dict::SharedDict;

pub(crate) use dict::KIND as DICT;
