//! What a proxy does when its connection breaks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a proxy does when its connection breaks: reconnect, and how.
///
/// A call that did not reach the server is sent again, and so is one whose repetition does no harm, such as a
/// queue's `qsize` or `get`. A `put` whose reply did not come may have been carried out. A netq hub knows that, as long as
/// it has not been restarted: there it is repeated, and happens once. Otherwise it is repeated only if
/// [`repeat_puts`](Self::repeat_puts) says so, and is [`Error::Lost`](crate::Error::Lost) if not.
///
/// ```
/// use std::time::Duration;
/// use netq::Retry;
///
/// let stubborn = Retry { patience: Duration::from_secs(600), ..Retry::default() };
/// let not_at_all = Retry::never();
/// assert!(not_at_all.patience.is_zero() && !stubborn.repeat_puts);
/// ```
#[derive(Clone)]
pub struct Retry {
    /// For how long to try to reconnect before giving up. 30 seconds; zero for not at all.
    pub patience: Duration,
    /// Whether to repeat a `put` of which not even the hub knows whether it was carried out: then an item may be
    /// queued twice. Off.
    pub repeat_puts: bool,
    /// Receives a line when the connection is lost, and one when it is back.
    pub notify: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Retry {
    /// Every broken connection is an error at once.
    pub fn never() -> Self {
        Self { patience: Duration::ZERO, ..Self::default() }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { patience: Duration::from_secs(30), repeat_puts: false, notify: Arc::new(|_| {}) }
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("patience", &self.patience)
            .field("repeat_puts", &self.repeat_puts)
            .finish_non_exhaustive()
    }
}
