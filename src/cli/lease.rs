//! Leases that begin anew for as long as the work lasts: the hub takes an item back from a worker that hangs or has
//! vanished, not from one whose command takes long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use netq::{Error, QueueProxy, Value};

/// How often a lease is renewed before it would end: a call may take its time, or fail.
const RENEWALS: u32 = 3;

/// The items of one queue that are at work here, whose leases a thread renews.
pub struct Leases {
    at_work: Mutex<Vec<String>>,
}

impl Leases {
    /// Renews the leases that the queue gives, with this proxy; `None` if it gives none.
    pub fn of(queue: QueueProxy) -> Result<Option<Arc<Self>>, Error> {
        if !queue.proxy().exposed().iter().any(|method| method == "lease") {
            return Ok(None);
        }
        let lease = match queue.proxy().call("lease", &[])? {
            Value::Float(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            _ => None,
        };
        let Some(lease) = lease else { return Ok(None) };
        let leases = Arc::new(Self { at_work: Mutex::default() });
        let weak = Arc::downgrade(&leases);
        // Not joined: it may be waiting for a hub that is away.
        super::background(Box::new(move || renew(&weak, queue, lease / RENEWALS)));
        Ok(Some(leases))
    }

    /// Work on these begins.
    pub fn add(&self, tags: impl Iterator<Item = String>) {
        self.lock().extend(tags);
    }

    /// Work on this one has ended.
    pub fn remove(&self, tag: &str) {
        self.lock().retain(|known| known != tag);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn renew(leases: &Weak<Leases>, queue: QueueProxy, pause: Duration) {
    loop {
        thread::sleep(pause);
        let Some(leases) = leases.upgrade() else { return };
        let tags: Vec<Value> = leases.lock().iter().map(|tag| tag.as_str().into()).collect();
        // A hub that was started again does not know them, and has none of these items.
        if !tags.is_empty() {
            let _ = queue.proxy().call("touch", &[Value::List(tags)]);
        }
    }
}
