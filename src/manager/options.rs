//! What a server allows.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::manager::log::LogLine;
use crate::pickle::Value;

/// Figures, by name.
type Figures = dyn Fn() -> Vec<(&'static str, Value)> + Send + Sync;

/// Limits and switches of a [`Server`](crate::Server). The defaults suit a hub that strangers can reach.
///
/// ```
/// use netq::Options;
/// let options = Options { max_message: 1024 * 1024, remote_shutdown: false, ..Options::default() };
/// assert_eq!(options.max_connections, 10_000);
/// ```
#[derive(Clone)]
pub struct Options {
    /// How long a whole handshake may take, however slowly its bytes come. 10 seconds.
    pub handshake_timeout: Duration,
    /// How long a client may leave a reply unread before its connection is closed. 60 seconds.
    pub write_timeout: Duration,
    /// How many connections there may be at once; one more is closed as soon as it is accepted. 10,000.
    pub max_connections: usize,
    /// How many of them may be in their handshake; one more closes the oldest of those. 256.
    pub max_strangers: usize,
    /// The longest message, in bytes; a longer one is answered with a `ValueError`. 128 MiB.
    pub max_message: u64,
    /// Refuse to queue objects whose pickles hold code, such as class instances. Off.
    pub data_only: bool,
    /// Whether clients may stop the server, as Python's manager lets them. On.
    pub remote_shutdown: bool,
    /// What clients are told that this is the same server by, after it was started again too: what it remembers of
    /// their puts outlives it. `None`: a name that no other run has.
    pub run: Option<String>,
    /// Figures about where its queues are kept, as `store` in its method `stat`.
    pub store: Option<Arc<Figures>>,
    /// Receives one line for each thing that a person who runs the server may want to know, in a thread of its own:
    /// when it is slow, lines are left out, and counted, and no client waits for it.
    pub log: Arc<dyn Fn(&LogLine) + Send + Sync>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(60),
            max_connections: 10_000,
            max_strangers: 256,
            max_message: 128 << 20,
            data_only: false,
            remote_shutdown: true,
            run: None,
            store: None,
            log: Arc::new(|_| {}),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("handshake_timeout", &self.handshake_timeout)
            .field("write_timeout", &self.write_timeout)
            .field("max_connections", &self.max_connections)
            .field("max_strangers", &self.max_strangers)
            .field("max_message", &self.max_message)
            .field("data_only", &self.data_only)
            .field("remote_shutdown", &self.remote_shutdown)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}
