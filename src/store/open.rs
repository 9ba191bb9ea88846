//! [`Store`]: the journal as a program uses it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::StoreError;
use super::journal::{Delay, Journal, Kept};
use super::keeper::Keeper;
use super::spill::Spill;
use crate::pickle::{Pickled, Value};
use crate::queue::{BoundedQueue, Logged, Restoring};
use crate::shared::{QueueOptions, SharedQueue};

/// How a [`Store`] is opened. The default is the safest.
#[derive(Clone)]
pub struct StoreOptions {
    /// `None`: a put is answered once it is on disk, and survives a loss of power. Otherwise it is answered once the
    /// system has it, which survives the end of the process, and is on disk at most so long after that.
    pub sync: Option<Duration>,
    /// The files of the store take at most so many bytes: beyond that it is full, as if the disk were. What waits on disk
    /// because there is no memory for it is not among these, and never takes more than they do.
    pub limit: Option<u64>,
    /// If the store is damaged, keep everything that is whole, and note what was left out. Otherwise it is refused.
    pub repair: bool,
    /// Called, once, when the disk has failed: what is on it is unknown from then on, and no put is answered any more.
    /// `netq serve` ends.
    pub on_failure: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { sync: None, limit: None, repair: false, on_failure: Arc::new(|_| {}) }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sync, limit, repair, .. } = self;
        f.debug_struct("StoreOptions")
            .field("sync", sync)
            .field("limit", limit)
            .field("repair", repair)
            .finish_non_exhaustive()
    }
}

/// Queues that outlive the process: a journal in a directory. `netq serve --store`.
///
/// A put by a client is answered once it is kept. An item comes back, with its number and its attempts, unless it was
/// handed over, or done if its queue redelivers, at least a second before the end.
///
/// What is beyond the [`max_bytes`](QueueOptions::max_bytes) of a queue waits on disk too, in blocks of 256 KiB, and
/// comes back as the queue gets there. Only items of more than 128 KiB, and what is at clients or has come back, are
/// always in memory.
///
/// ```
/// use netq::{QueueOptions, Store, StoreOptions, Value};
///
/// # let path = std::env::temp_dir().join(format!("netq-store-example-{}", std::process::id()));
/// # let _ = std::fs::remove_dir_all(&path);
/// # for expected in [0, 1] {
/// let store = Store::open(&path, StoreOptions::default())?;
/// let tasks = store.queue("get_task_queue", QueueOptions::default());
/// store.load()?; // once all queues are made
/// # assert_eq!(tasks.queue().len(), expected);
/// tasks.queue().try_put(Value::from(7).into()).unwrap();
/// store.flush();
/// # }
/// # std::fs::remove_dir_all(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What this process puts itself, by [`SharedQueue::queue`], is kept within a second, or after [`flush`](Self::flush).
pub struct Store {
    path: PathBuf,
    journal: Arc<Journal>,
    kept: Vec<Kept>,
    /// The queues that were made, by their numbers.
    made: Mutex<Vec<Made>>,
    loaded: Arc<AtomicBool>,
    spill: Arc<Spill>,
    sync: Delay,
    notes: Vec<String>,
}

struct Made {
    number: u64,
    queue: Arc<BoundedQueue<Pickled>>,
    redelivers: bool,
}

impl Store {
    /// Opens the store in a directory, and makes the directory if it is missing. Nobody else can open it then.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: impl AsRef<Path>, options: StoreOptions) -> Result<Self, StoreError> {
        let StoreOptions { sync, limit, repair, on_failure } = options;
        let on_failure = Box::new(move |text: &str| on_failure(text));
        let (journal, notes) = Journal::open(path.as_ref(), sync, limit, repair, on_failure)?;
        Ok(Self {
            path: path.as_ref().to_owned(),
            kept: journal.queues(),
            journal: Arc::new(journal),
            made: Mutex::default(),
            spill: Arc::new(Spill::new(path.as_ref())),
            loaded: Arc::default(),
            sync,
            notes,
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was left out of a damaged or unfinished store, for people.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The queue of this name, which is empty, and refuses puts, until [`load`](Self::load). Each name is for one queue.
    pub fn queue(&self, name: &str, options: QueueOptions) -> Arc<SharedQueue> {
        let known = self.kept.iter().position(|kept| kept.name == name);
        let number = known.map_or_else(|| self.journal.add_queue(name), |at| at as u64);
        let redelivers = options.redelivery.is_some();
        let (journal, spill) = (Arc::clone(&self.journal), Arc::clone(&self.spill));
        let loaded = Arc::clone(&self.loaded);
        let log = Logged::by(Arc::new(Keeper { journal, queue: number, redelivers, loaded, spill }));
        let puts = known.map_or(&[][..], |at| &self.kept[at].puts).iter().map(|put| {
            let client = String::from_utf8_lossy(&put.client).into_owned();
            (client, put.number as i64, usize::try_from(put.items).unwrap_or(usize::MAX))
        });
        let queue = SharedQueue::kept(options, log, puts);
        let made = Made { number, queue: Arc::clone(queue.queue()), redelivers };
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(made);
        queue
    }

    /// Fills the queues with what was kept, and takes puts from now on. Does nothing the second time.
    ///
    /// # Errors
    /// [`StoreError::NotServed`] if it holds items of a queue that was not made; and if it cannot be read.
    pub fn load(&self) -> Result<(), StoreError> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if self.loaded.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut restoring: Vec<Option<(Restoring<Pickled>, bool)>> = Vec::new();
        for (number, kept) in self.kept.iter().enumerate() {
            let queue = made.iter().find(|made| made.number == number as u64);
            if queue.is_none() && kept.items > 0 {
                return Err(StoreError::NotServed { queue: kept.name.clone(), items: kept.items });
            }
            restoring.push(queue.map(|made| {
                let row = self.journal.row(made.number);
                (Restoring::new(Arc::clone(&made.queue), row), made.redelivers)
            }));
        }
        self.journal.items(&mut |item| {
            if let Some(Some((queue, _))) = restoring.get_mut(item.queue) {
                queue.item(item.number, item.attempts, Pickled::unpack(item.payload));
            }
        })?;
        for (queue, kept) in restoring.into_iter().zip(&self.kept) {
            if let Some((queue, redelivers)) = queue {
                queue.end(kept.next, (!redelivers).then_some(kept.unfinished));
            }
        }
        self.journal.start()?;
        self.loaded.store(true, Ordering::Release);
        Ok(())
    }

    /// Waits until everything that was done until now is on disk.
    pub fn flush(&self) {
        self.journal.flush();
    }

    /// What no other store has: for [`Options::run`](crate::Options::run), so that a client can repeat a put after the
    /// hub was started again.
    pub fn id(&self) -> String {
        format!("{:08x}", self.journal.id())
    }

    /// Figures, for [`Options::store`](crate::Options::store).
    pub fn figures(&self) -> Vec<(&'static str, Value)> {
        let figures = self.journal.figures();
        vec![
            ("path", self.path.to_string_lossy().as_ref().into()),
            ("sync", self.sync.map(|sync| sync.as_secs_f64()).into()),
            ("bytes", figures.bytes.into()),
            ("live_bytes", figures.live.into()),
            ("segments", figures.segments.into()),
            ("syncs", figures.syncs.into()),
            ("bytes_written", figures.written.into()),
            ("oldest_unsynced", figures.unsynced.map(|age| age.as_secs_f64()).into()),
            ("full", figures.full.into()),
        ]
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}
