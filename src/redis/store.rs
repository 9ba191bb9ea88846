//! [`RedisStore`]: queues in Redis as a program uses them.

use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::address::Address;
use super::client::{Client, Trouble, lock};
use super::error::RedisError;
use super::queue::Queue;
use super::served::Served;
use crate::auth::random_bytes;
use crate::pickle::Value;
use crate::shared::{QueueOptions, SharedQueue};
use crate::threads::spawn;

/// How often what is not urgent is told.
const TELL: Duration = Duration::from_secs(1);

/// How a [`RedisStore`] is used.
#[derive(Clone)]
pub struct RedisOptions {
    /// A hub that was not heard of for so long is no more, and the others give back what its clients had. Each says
    /// three times as often that it is there. The same for all hubs of one Redis. 15 seconds.
    pub dead_after: Duration,
    /// Told when Redis cannot be reached, when it is back, and what was given back, in lines for people.
    pub notify: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self { dead_after: Duration::from_secs(15), notify: Arc::new(|_| {}) }
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions").field("dead_after", &self.dead_after).finish_non_exhaustive()
    }
}

/// Queues in a Redis, which any number of hubs serve. `netq serve --store redis://...`.
///
/// A put is answered once Redis has it, and what that is worth Redis' own settings say: with `appendonly yes` it
/// outlives Redis, with `appendfsync always` a loss of power too. Hubs keep nothing: one that ends is missed by nobody,
/// and what its clients had is given to others.
///
/// ```no_run
/// use netq::{BaseManager, Options, QueueOptions, RedisOptions, RedisStore};
///
/// let store = RedisStore::open("redis://127.0.0.1:6379", RedisOptions::default())?;
/// let mut hub = BaseManager::new("0.0.0.0:8001", b"a secret of the whole team");
/// hub.register("get_task_queue", store.queue("get_task_queue", QueueOptions::default()));
/// store.load()?; // once all queues are made
/// hub.set_options(Options { run: Some(store.id().to_owned()), ..Options::default() });
/// hub.get_server()?.serve_forever();
/// store.flush();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedisStore {
    inner: Arc<Inner>,
    id: String,
    notes: Vec<String>,
    version: String,
    /// Who tells Redis what is not urgent.
    teller: Mutex<Option<Thread>>,
}

struct Inner {
    client: Arc<Client>,
    queues: Mutex<Vec<Arc<Queue>>>,
    options: RedisOptions,
}

impl RedisStore {
    /// Reaches the Redis at an address such as `redis://user:password@host:6379/0`, of which all but the host may be
    /// left out.
    ///
    /// # Errors
    /// See [`RedisError`].
    pub fn open(address: &str, options: RedisOptions) -> Result<Self, RedisError> {
        let address = Address::parse(address).map_err(RedisError::Address)?;
        let name = address.name();
        let client = Arc::new(Client::new(address, format!("h{:08x}", random())));
        let (info, id) = match client.open(&format!("{:08x}", random())) {
            Ok(said) => said,
            Err(trouble) => return Err(RedisError::unusable(name, &trouble)),
        };
        let policy = field(&info, "maxmemory_policy:");
        if policy != "noeviction" {
            return Err(RedisError::Evicts { address: name, policy: policy.to_owned() });
        }
        let mut notes = Vec::new();
        if field(&info, "aof_enabled:") == "0" {
            notes.push(
                "appendonly is off: what was put since it last wrote its file is lost when it ends. Start it with \
                 --appendonly yes"
                    .to_owned(),
            );
        }
        let version = field(&info, "redis_version:").to_owned();
        let inner = Arc::new(Inner { client, queues: Mutex::default(), options });
        Ok(Self { inner, id, notes, version, teller: Mutex::default() })
    }

    /// Where it is, without the password.
    pub fn name(&self) -> String {
        self.inner.client.name()
    }

    /// What its settings cost, for people.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The queue of this name, of which all hubs should say the same: the last word counts. Of
    /// `redelivery.dead_letters` the number of attempts is used; they go to the queue `NAME_dead`. `max_bytes` is not:
    /// Redis has its own `maxmemory`.
    ///
    /// What [`SharedQueue::queue`] gives of it is not it, but one that is shut down: the items are not in this process.
    pub fn queue(&self, name: &str, options: QueueOptions) -> Arc<SharedQueue> {
        let queue = Arc::new(Queue::new(Arc::clone(&self.inner.client), name, &options));
        lock(&self.inner.queues).push(Arc::clone(&queue));
        SharedQueue::over(Box::new(Served(queue)))
    }

    /// Tells Redis of this hub and its queues, and goes on to do so until this is dropped. Once all queues are made.
    ///
    /// # Errors
    /// [`RedisError::Unusable`].
    pub fn load(&self) -> Result<(), RedisError> {
        let unusable = |trouble: &Trouble| RedisError::unusable(self.name(), trouble);
        self.inner.tick(true).map_err(|trouble| unusable(&trouble))?;
        let inner = Arc::downgrade(&self.inner);
        let teller = spawn("redis".into(), 256 * 1024, Box::new(move || tell(&inner)));
        let teller = teller.map_err(|error| unusable(&Trouble::Away(error)))?;
        *lock(&self.teller) = Some(teller.thread().clone());
        Ok(())
    }

    /// Takes leave of Redis, at the hub's end: what its clients had goes back now.
    pub fn flush(&self) {
        for queue in self.inner.queues() {
            // What cannot be told now, the other hubs find out.
            let _ = queue.tell();
            let _ = queue.tick(Duration::ZERO, false, 0);
        }
    }

    /// What no other Redis has: for [`Options::run`](crate::Options::run), so that a client can repeat a put by any
    /// hub.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Figures, for [`Options::store`](crate::Options::store).
    pub fn figures(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("path", self.name().into()),
            ("redis_version", self.version.as_str().into()),
            ("hub", self.inner.client.hub().into()),
        ]
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        if let Some(teller) = lock(&self.teller).take() {
            teller.unpark();
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Inner {
    fn queues(&self) -> Vec<Arc<Queue>> {
        lock(&self.queues).clone()
    }

    /// Says that this hub is there.
    fn tick(&self, started: bool) -> Result<(), Trouble> {
        let mut back = 0;
        for queue in self.queues() {
            back += queue.tick(self.options.dead_after, started, random())?;
        }
        if back > 0 {
            (self.options.notify)(&format!("{back} items came back from hubs that are no more"));
        }
        Ok(())
    }

    fn tell(&self) -> Result<(), Trouble> {
        self.queues().iter().try_for_each(|queue| queue.tell())
    }
}

/// Tells Redis what there was no hurry to tell, and that this hub is there, for as long as it is.
fn tell(inner: &Weak<Inner>) {
    let (mut ticked, mut away) = (Instant::now(), false);
    loop {
        thread::park_timeout(TELL);
        let Some(inner) = inner.upgrade() else { return };
        let due = ticked.elapsed() + TELL > inner.options.dead_after / 3;
        let done = inner.tell().and_then(|()| if due || away { inner.tick(false) } else { Ok(()) });
        if due && done.is_ok() {
            ticked = Instant::now();
        }
        if away != done.is_err() {
            away = done.is_err();
            let name = inner.client.name();
            (inner.options.notify)(&match done {
                Ok(()) => format!("{name} is back"),
                Err(trouble) => format!("{name}: {trouble}: trying on"),
            });
        }
    }
}

/// What Redis says of itself by this name.
fn field<'i>(info: &'i str, name: &str) -> &'i str {
    let rest = info.split_once(name).map_or("", |(_, rest)| rest);
    rest.split_once('\r').map_or(rest, |(value, _)| value)
}

fn random() -> u32 {
    let mut bytes = [0; 4];
    random_bytes(&mut bytes);
    u32::from_be_bytes(bytes)
}
