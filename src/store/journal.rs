//! The journal: records gather in one buffer, and whoever waits for one to be on disk writes all of them.
//!
//! That is a *group commit*. The first thread that waits becomes the leader: it writes what has gathered, and syncs,
//! while the records of others gather for the next. Only puts wait. Records of what has left ride along, or are
//! written by the journal's own thread a second later, which also sees to the files: it makes them, and copies what is
//! left in the oldest so that it can go.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::auth::random_bytes;
use crate::threads::spawn;

use super::batch::SEGMENT;
use super::book::{LatestPut, item_size};
use super::disk::{Directory, Disk};
use super::error::{StoreError, is_full};
use super::plan::{PART, Plan};
use super::record::Record;
use super::recover::{self, Found, Item};
use super::waiters::Waiters;
use super::writer::Writer;

/// How long after it was answered a put is synced; `None`: before.
pub(super) type Delay = Option<Duration>;

/// What is told to somebody when the store has failed.
pub(super) type OnFailure = Box<dyn Fn(&str) + Send + Sync>;

/// A store that fails: what is on disk is unknown, and nothing can be kept any more.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failed;

/// A journal that is open.
pub(super) struct Journal {
    inner: Arc<Inner>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

pub(super) struct Inner {
    pub disk: Box<dyn Disk>,
    pub sync: Delay,
    /// All files together take no more bytes than that.
    pub limit: Option<u64>,
    pub on_failure: OnFailure,
    state: Mutex<State>,
    /// Batches were written, or a file was made, or neither can be any more. Not for those who have put something.
    pub changed: Condvar,
    /// There is something to do for the journal's own thread.
    pub work: Condvar,
}

pub(super) struct State {
    pub plan: Plan,
    /// Not here while somebody writes.
    pub writer: Option<Writer>,
    /// The batches before these numbers are written, and on disk.
    pub written: u64,
    pub synced: u64,
    /// Since when there has been a record that is not written, or written and not synced.
    pub pending: Option<Instant>,
    pub unsynced: Option<Instant>,
    /// The disk had no room for another file, at that time.
    pub full: Option<Instant>,
    /// Batches cannot be written for that reason.
    pub stuck: bool,
    pub waiters: Waiters,
    /// So many bytes of an item wait for a file.
    pub wanted: usize,
    /// The batch that says which segments are not needed any more.
    pub floor: u64,
    pub next_file: u64,
    /// The journal's thread will look by itself within a second.
    pub armed: bool,
    pub failed: bool,
    pub stop: bool,
    pub syncs: u64,
    pub bytes_written: u64,
}

/// Figures about a store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    /// Of all its files.
    pub bytes: u64,
    /// What the items in it take.
    pub live: u64,
    pub segments: usize,
    pub syncs: u64,
    pub written: u64,
    /// How old the oldest record is that a loss of power would lose.
    pub unsynced: Option<Duration>,
    pub full: bool,
}

impl Journal {
    /// Opens the store in a directory, and makes it if it is missing. Returns what was left out, for people.
    pub fn open(
        path: &Path,
        sync: Delay,
        limit: Option<u64>,
        repair: bool,
        on_failure: OnFailure,
    ) -> Result<(Self, Vec<String>), StoreError> {
        Self::on(Box::new(Directory::open(path)?), sync, limit, repair, on_failure)
    }

    /// Begins to see to the files, and to what nobody waits for.
    pub fn start(&self) -> io::Result<()> {
        let inner = Arc::clone(&self.inner);
        let thread = spawn("netq-journal".into(), 256 << 10, Box::new(move || inner.run()))?;
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(())
    }

    /// As `open`, on any disk.
    fn on(
        disk: Box<dyn Disk>,
        sync: Delay,
        limit: Option<u64>,
        repair: bool,
        on_failure: OnFailure,
    ) -> Result<(Self, Vec<String>), StoreError> {
        if let Some(process) = disk.lock()? {
            return Err(StoreError::InUse(process));
        }
        let Found { book, files, end, number, next_file, notes, damaged } = recover::read(&*disk, repair)?;
        let writer = Writer::open(&*disk, files.back(), number)?;
        let (old, id) = (files.len(), book.id);
        let state = State {
            plan: Plan::new(book, files, end, number),
            writer: Some(writer),
            written: number,
            synced: number,
            pending: None,
            unsynced: None,
            full: None,
            stuck: false,
            waiters: Waiters::default(),
            wanted: 0,
            floor: 0,
            next_file,
            armed: false,
            failed: false,
            stop: false,
            syncs: 0,
            bytes_written: 0,
        };
        let new_id = (id == 0).then(|| {
            let mut bytes = [0; 4];
            random_bytes(&mut bytes);
            u64::from(u32::from_le_bytes(bytes)).max(1)
        });
        let (state, changed, work) = (Mutex::new(state), Condvar::new(), Condvar::new());
        let inner = Arc::new(Inner { disk, sync, limit, on_failure, state, changed, work });
        // Here, so that who starts a hub learns that there is no room.
        while inner.lock().plan.wants_spare(0) {
            match inner.create_file() {
                Ok(name) => inner.lock().plan.spares.push_back(name),
                // What is there can be got, and that makes room.
                Err(error) if old > 0 && is_full(&error) => {
                    inner.lock().full = Some(Instant::now());
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        if damaged {
            inner.lock().plan.begin_segment();
            for _ in 0..old {
                inner.compact();
                inner.flush();
                if inner.lock().stuck {
                    return Err(StoreError::Full(io::ErrorKind::StorageFull.into()));
                }
                let oldest = inner.lock().plan.files.pop_front();
                // Not for another segment: it may look like anything, such as a file of another version.
                oldest.map_or(Ok(()), |(_, name)| inner.disk.remove(&name))?;
            }
            inner.disk.sync_dir()?;
        }
        if let Some(id) = new_id {
            inner.note(&mut inner.lock(), &Record::Store { id });
        }
        Ok((Self { inner, thread: Mutex::new(None) }, notes))
    }

    /// The queues in the store: each one's number is its place.
    pub fn queues(&self) -> Vec<Kept> {
        let state = self.inner.lock();
        let queues = state.plan.book.queues.iter();
        let kept = queues.map(|queue| Kept {
            name: queue.name.clone(),
            items: queue.live.len(),
            next: queue.next,
            unfinished: queue.unfinished,
            puts: queue.puts.clone(),
        });
        kept.collect()
    }

    /// What no other store has.
    pub fn id(&self) -> u64 {
        self.inner.lock().plan.book.id
    }

    /// From here on all items of a queue are there, to the last one, and none has failed.
    pub fn row(&self, queue: u64) -> u64 {
        let state = self.inner.lock();
        let queue = usize::try_from(queue).ok().and_then(|at| state.plan.book.queues.get(at));
        queue.map_or(0, |queue| {
            let mut row = queue.next;
            while row > 0 && queue.live.get(row - 1) == Some(0) {
                row -= 1;
            }
            row
        })
    }

    /// Adds a queue, and says its number.
    pub fn add_queue(&self, name: &str) -> u64 {
        let mut state = self.inner.lock();
        let queue = state.plan.book.queues.len() as u64;
        self.inner.note(&mut state, &Record::Queue { queue, next: 0, unfinished: 0, name: name.as_bytes() });
        queue
    }

    /// Reads all items, each once, mostly in the order of their numbers. Before anything is put: from then on it is
    /// known what they take of the store.
    pub fn items(&self, each: &mut dyn FnMut(Item<'_>)) -> Result<(), StoreError> {
        let mut state = self.inner.lock();
        let size = recover::items(&*self.inner.disk, &state.plan.files, &state.plan.book, each)?;
        state.plan.book.size = size;
        Ok(())
    }

    /// Notes an item, which is `head` and then `body`, and in the same batch `also` what happens with it: what its
    /// client's latest put has thereby come to, or that it has left another queue. Returns what [`wait`](Self::wait)
    /// is for. An item is a pickle, so it is never empty. The caller makes sure that its numbers grow: so it holds the
    /// lock under which they are given.
    pub fn put(
        &self,
        queue: u64,
        number: u64,
        (head, body): (&[u8], &[u8]),
        also: Option<&Record<'_>>,
    ) -> u64 {
        let length = head.len() + body.len();
        let (body, rest) = body.split_at(body.len().min(PART.saturating_sub(head.len())));
        // Few bytes, or few beside the rest.
        let first = [head, body].concat();
        let parts = 1 + rest.len().div_ceil(PART);
        let mut state = self.inner.lock();
        let (mut ticket, mut at) = (0, 0);
        for (index, part) in std::iter::once(&first[..]).chain(rest.chunks(PART)).enumerate() {
            let record = match parts {
                1 => Record::Put { queue, number, attempts: 0, again: false, payload: part },
                _ => {
                    let total = length as u64;
                    Record::Part { queue, number, attempts: 0, again: false, total, at, payload: part }
                }
            };
            ticket = match also.filter(|_| index + 1 == parts) {
                Some(also) => state.plan.append_with(&record, also),
                None => state.plan.append(&record),
            };
            at += part.len() as u64;
        }
        state.plan.book.size += item_size(length);
        state.pending.get_or_insert_with(Instant::now);
        // Somebody may not wait.
        self.inner.arm(&mut state);
        ticket
    }

    /// Notes that an item has left for good, whose payload is so long.
    pub fn done(&self, queue: u64, number: u64, payload: usize) {
        let mut state = self.inner.lock();
        // One that was moved to another queue has left already.
        if state.plan.book.has(queue, number) {
            state.plan.book.size = state.plan.book.size.saturating_sub(item_size(payload));
            self.inner.note(&mut state, &Record::Done { queue, number, count: 1 });
        }
    }

    /// Notes that so many items from this number on, of so many bytes altogether, have left for good.
    pub fn all_done(&self, queue: u64, number: u64, count: u64, payloads: usize) {
        let mut state = self.inner.lock();
        let size = payloads as u64 + count * item_size(0);
        state.plan.book.size = state.plan.book.size.saturating_sub(size);
        self.inner.note(&mut state, &Record::Done { queue, number, count });
    }

    /// Notes how often work on an item has failed.
    pub fn back(&self, queue: u64, number: u64, attempts: u32) {
        self.inner.note(&mut self.inner.lock(), &Record::Back { queue, number, attempts: attempts.into() });
    }

    /// Notes how many tasks are unfinished.
    pub fn tasks(&self, queue: u64, unfinished: u64) {
        self.inner.note(&mut self.inner.lock(), &Record::Tasks { queue, unfinished });
    }

    /// Waits until what was noted up to this ticket is kept, as the journal's way of syncing has it.
    pub fn wait(&self, ticket: u64) -> Result<(), Failed> {
        let inner = &*self.inner;
        let mut state = inner.lock();
        loop {
            if inner.kept(&state) > ticket {
                return Ok(());
            }
            if state.failed {
                return Err(Failed);
            }
            if state.writer.is_some() && !state.stuck {
                state = inner.lead(state, inner.sync.is_none());
                continue;
            }
            let waiter = state.waiters.enter(ticket);
            drop(state);
            if waiter.wait() {
                return Ok(());
            }
            state = inner.lock();
        }
    }

    /// Waits, not for long, until there is a file with room for an item of so many bytes, or there will be none. Says
    /// whether there is.
    pub fn prepare(&self, payload: usize) -> bool {
        let mut state = self.inner.lock();
        while !(state.plan.has_room(payload) || state.full.is_some() || state.failed) {
            self.inner.want(&mut state, payload);
            state = self.inner.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let room = state.failed || state.plan.has_room(payload);
        if !room {
            self.inner.want(&mut state, payload);
        }
        room
    }

    /// Whether there is room for an item of so many bytes. In a store that has failed nobody needs any.
    pub fn has_room(&self, payload: usize) -> bool {
        let state = self.inner.lock();
        state.failed || state.plan.has_room(payload)
    }

    /// Something else in the store's directory has failed.
    pub fn fail(&self, error: &io::Error) {
        self.inner.fail(error);
    }

    /// Everything that was noted is on disk.
    pub fn flush(&self) {
        self.inner.flush();
    }

    /// Figures for people.
    pub fn figures(&self) -> Figures {
        let state = self.inner.lock();
        let files = state.plan.files.len() + state.plan.spares.len();
        Figures {
            bytes: (files * SEGMENT) as u64,
            live: state.plan.book.size,
            segments: files,
            syncs: state.syncs,
            written: state.bytes_written,
            unsynced: state.unsynced.or(state.pending).map(|since| since.elapsed()),
            full: state.full.is_some(),
        }
    }
}

/// A queue that was kept.
#[derive(Debug, PartialEq)]
pub(super) struct Kept {
    pub name: String,
    pub items: u64,
    pub next: u64,
    pub unfinished: u64,
    pub puts: Vec<LatestPut>,
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.inner.lock().stop = true;
        self.inner.work.notify_one();
        if let Some(thread) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
        self.inner.flush();
    }
}

impl Inner {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a record for which nobody waits.
    fn note(&self, state: &mut State, record: &Record<'_>) {
        if state.full.is_some() && state.plan.is_scarce() {
            // To lose one of these means that an item is delivered again; without that file, nothing could go.
            state.plan.book.apply(record);
            return;
        }
        state.plan.append(record);
        state.pending.get_or_insert_with(Instant::now);
        self.arm(state);
    }

    /// The journal's thread must look within a second.
    pub(super) fn arm(&self, state: &mut State) {
        if !state.armed {
            state.armed = true;
            self.work.notify_one();
        }
    }

    fn want(&self, state: &mut State, payload: usize) {
        state.wanted = state.wanted.max(payload.max(1));
        self.work.notify_one();
    }
}

#[cfg(test)]
#[path = "sim_tests.rs"]
mod tests;
