//! What the journal's own thread does: it writes what nobody waits for, and sees to the files.

use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::batch::{Batches, SEGMENT};
use super::error::is_full;
use super::journal::{Inner, State};
use super::record::{Record, Records};
use super::waiters::Woken;

/// How long a record that nobody waits for may stay in memory, and how long a full disk is left alone.
const SOON: Duration = Duration::from_secs(1);

impl Inner {
    /// The life of the journal's own thread.
    pub(super) fn run(&self) {
        let mut state = self.lock();
        while !(state.stop || state.failed) {
            if let Some(chore) = self.chore(&state) {
                drop(state);
                self.do_chore(chore);
                state = self.lock();
                continue;
            }
            let due = self.due(&state);
            state.armed = due.is_some();
            state = match due.map(|due| due.saturating_duration_since(Instant::now())) {
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => self.write_late(state),
                Some(nap) => self.work.wait_timeout(state, nap).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// When this thread has to write, or to look whether the disk is still full.
    pub(super) fn due(&self, state: &State) -> Option<Instant> {
        let late = self.sync.unwrap_or(SOON);
        let pending = state.pending.filter(|_| !state.stuck).map(|since| since + late.min(SOON));
        let unsynced = state.unsynced.map(|since| since + late);
        let again = state.full.filter(|_| state.wanted > 0 || state.stuck).map(|since| since + SOON);
        pending.into_iter().chain(unsynced).chain(again).min()
    }

    fn write_late<'s>(&'s self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let late = self.sync.unwrap_or_default();
        let old = state.unsynced.or(state.pending).is_some_and(|since| since.elapsed() >= late);
        if state.stuck { state } else { self.lead(state, old) }
    }

    /// What is to be done now for the files, if anything is.
    pub(super) fn chore(&self, state: &State) -> Option<Chore> {
        let oldest = state.plan.files.front().map_or(u64::MAX, |(id, _)| *id);
        if state.wants_spare() {
            return Some(Chore::AddSpare);
        }
        if state.stuck {
            return None;
        }
        if oldest < state.plan.book.floor {
            return Some(if state.synced > state.floor { Chore::DropOldest } else { Chore::Sync });
        }
        state.plan.is_wasteful(state.full.is_some()).then_some(Chore::Compact)
    }

    pub(super) fn do_chore(&self, chore: Chore) {
        match chore {
            Chore::AddSpare => self.add_spare(),
            Chore::Sync => drop(self.lead(self.lock(), true)),
            Chore::DropOldest => self.drop_oldest(),
            Chore::Compact => self.compact(),
        }
    }

    fn add_spare(&self) {
        match self.create_file() {
            Ok(name) => {
                let mut state = self.lock();
                state.plan.spares.push_back(name);
                state.has_spare().tell();
            }
            Err(error) if is_full(&error) => self.lock().full = Some(Instant::now()),
            Err(error) => self.fail(&error),
        }
        self.changed.notify_all();
    }

    /// Copies what is left in the oldest segment to the end, so that it is not needed any more.
    pub(super) fn compact(&self) {
        let Some((id, name)) = self.lock().plan.files.front().cloned() else { return };
        let bytes = match self.disk.read(&name, SEGMENT) {
            Ok(bytes) => bytes,
            Err(error) => return self.fail(&error),
        };
        for (_, batch) in Batches::new(&bytes, Some(id)) {
            // One at a time: others want to note something too.
            let mut state = self.lock();
            for mut record in Records(batch.records).flatten() {
                if !state.plan.book.needs(&record) {
                    continue;
                }
                if let Record::Put { queue, number, attempts, again, .. }
                | Record::Part { queue, number, attempts, again, .. } = &mut record
                {
                    let live = state.plan.book.queues.get(*queue as usize).map(|queue| &queue.live);
                    *attempts = live.and_then(|live| live.get(*number)).unwrap_or(0).into();
                    *again = true;
                }
                state.plan.append(&record);
            }
        }
        let mut state = self.lock();
        state.floor = state.plan.append(&Record::Floor { segment: id + 1 });
        state.pending.get_or_insert_with(Instant::now);
    }

    /// The oldest segment's file is free: that the segment is not needed is known on disk.
    pub(super) fn drop_oldest(&self) {
        let mut state = self.lock();
        let Some((_, name)) = state.plan.files.pop_front() else { return };
        if state.plan.wants_spare(state.wanted) {
            state.plan.spares.push_back(name);
            state.has_spare().tell();
            self.changed.notify_all();
            return;
        }
        drop(state);
        // If it stays, it is in nobody's way: it is known not to be needed.
        let _ = self.disk.remove(&name);
    }
}

impl State {
    pub(super) fn wants_spare(&self) -> bool {
        let again = |since: Instant| (self.wanted > 0 || self.stuck) && since.elapsed() >= SOON;
        self.plan.wants_spare(self.wanted) && self.full.is_none_or(again)
    }

    /// There is a new file without a segment.
    #[must_use = "somebody may be able to lead now"]
    fn has_spare(&mut self) -> Woken {
        self.stuck = false;
        if !self.plan.wants_spare(0) {
            self.full = None;
        }
        if self.plan.has_room(self.wanted) {
            self.wanted = 0;
        }
        self.waiters.kept(0)
    }
}

/// What the journal's thread does for the files.
pub(super) enum Chore {
    AddSpare,
    /// Write and sync, so that the oldest segment can go.
    Sync,
    DropOldest,
    Compact,
}
