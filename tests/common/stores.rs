//! The same tests with queues in memory, in a journal, and in Redis: a test binary runs itself again, with `NETQ_TEST_STORE`
//! in its environment, and then its hubs keep their queues there.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use netq::{QueueOptions, SharedQueue};

use super::server::{self, Redis};

const STORE: &str = "NETQ_TEST_STORE";

/// What `--store` is for the next hub, if it is to have one: a directory, or a database, that no other hub has.
pub fn next() -> Option<String> {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let store = std::env::var(STORE).ok()?;
    Some(format!("{store}/{}", GIVEN.fetch_add(1, Ordering::Relaxed)))
}

/// Whether the queues are in Redis this time.
pub fn is_redis() -> bool {
    std::env::var(STORE).is_ok_and(|store| store.contains("://"))
}

/// Runs all tests of this binary again, but those whose names begin with `again_` or hold one of these words, on a
/// store of this kind.
pub fn again(store: &str, but: &[&str]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--skip", "again_", "--test-threads=4"])
        .args(but.iter().flat_map(|word| ["--skip", word]))
        .env(STORE, store)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("running 0 tests"), "{text}");
}

/// Runs them on a journal.
pub fn again_on_a_journal(name: &str, but: &[&str]) {
    let directory = std::env::temp_dir().join(format!("netq-again-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    again(directory.to_str().unwrap(), but);
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Runs them on a Redis, with a database for each hub.
pub fn again_on_redis(but: &[&str]) {
    if server::is_there() {
        let redis = Redis::start_with(&["--appendonly", "yes", "--databases", "4000"]);
        again(&redis.url(), but);
    }
}

/// Where the queues of a hub in this process are.
pub enum Keeper {
    Memory,
    #[cfg(feature = "journal")]
    Journal(netq::Store),
    #[cfg(feature = "redis")]
    Redis(netq::RedisStore),
}

impl Keeper {
    /// A new one.
    pub fn open() -> Self {
        match next() {
            None => Self::Memory,
            #[cfg(feature = "redis")]
            Some(address) if address.contains("://") => {
                Self::Redis(netq::RedisStore::open(&address, netq::RedisOptions::default()).unwrap())
            }
            #[cfg(feature = "journal")]
            Some(path) => Self::Journal(netq::Store::open(path, netq::StoreOptions::default()).unwrap()),
            #[cfg(not(feature = "journal"))]
            Some(other) => panic!("no store {other} without its feature"),
        }
    }

    pub fn queue(&self, name: &str, options: QueueOptions) -> Arc<SharedQueue> {
        let _ = name;
        match self {
            Self::Memory => SharedQueue::with_options(options),
            #[cfg(feature = "journal")]
            Self::Journal(store) => store.queue(name, options),
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.queue(name, options),
        }
    }

    /// Once all queues are made. What keeps them is there until the process ends.
    pub fn load(self) {
        match &*Box::leak(Box::new(self)) {
            Self::Memory => {}
            #[cfg(feature = "journal")]
            Self::Journal(store) => store.load().unwrap(),
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.load().unwrap(),
        }
    }
}
