//! Why a Redis cannot be used.

use std::fmt;

use super::client::Trouble;

/// Why queues cannot be kept in a Redis. Shows what can be done about it.
///
/// ```
/// use netq::{RedisError, RedisOptions, RedisStore};
///
/// let error = RedisStore::open("redis://127.0.0.1:0", RedisOptions::default()).unwrap_err();
/// assert!(matches!(error, RedisError::Unusable { .. }));
/// let error = RedisStore::open("rediss://127.0.0.1", RedisOptions::default()).unwrap_err();
/// assert!(error.to_string().contains("no TLS"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RedisError {
    /// The text is no address of one.
    Address(String),
    /// It cannot be reached, or refuses.
    Unusable {
        /// Where it is.
        address: String,
        /// What it says, or how it cannot be reached.
        reason: String,
    },
    /// It drops what it keeps when its memory is full, and with that the items.
    Evicts {
        /// Where it is.
        address: String,
        /// Its `maxmemory-policy`.
        policy: String,
    },
}

impl RedisError {
    pub(super) fn unusable(address: String, trouble: &Trouble) -> Self {
        Self::Unusable { address, reason: trouble.to_string() }
    }
}

impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(what) => f.write_str(what),
            Self::Unusable { address, reason } => write!(f, "{address}: {reason}"),
            Self::Evicts { address, policy } => write!(
                f,
                "{address}: its maxmemory-policy is {policy}, by which it drops items when its memory is full: start it \
                 with --maxmemory-policy noeviction"
            ),
        }
    }
}

impl std::error::Error for RedisError {}
