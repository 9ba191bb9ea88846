//! The group commit: one thread writes what has gathered, and syncs, for all that wait.

use std::io;
use std::mem;
use std::sync::{MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::batch::SEGMENT;
use super::disk::Blocks;
use super::error::is_full;
use super::journal::{Inner, State};
use super::recover;

impl Inner {
    /// Writes what has gathered, for all; or waits until somebody else has.
    pub(super) fn lead<'s>(&'s self, mut state: MutexGuard<'s, State>, sync: bool) -> MutexGuard<'s, State> {
        let Some(mut writer) = state.writer.take() else {
            return self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        if sync {
            // Whoever is about to put something, too: where the processors are busy that makes fewer, larger batches.
            drop(state);
            thread::yield_now();
            state = self.lock();
        }
        let (mut batches, through) = (state.plan.take(), state.plan.next());
        let (pending, unsynced) = (state.pending.take(), state.unsynced);
        // On its way it is not on disk.
        state.unsynced = unsynced.or(pending);
        drop(state);
        let panics = Panics(self);
        let result = writer.write(&mut batches, through, sync, &mut |segment| self.next_file(segment));
        mem::forget(panics);
        if let Err(error) = &result
            && !is_full(error)
        {
            self.fail(error);
        }
        let mut state = self.lock();
        state.synced = writer.synced;
        state.stuck = result.is_err();
        if state.stuck {
            state.plan.give_back(batches);
            state.pending = pending.or(state.pending);
            state.unsynced = unsynced;
            state.full = Some(Instant::now());
        } else {
            state.written = through;
            state.unsynced = state.unsynced.filter(|_| !sync);
        }
        (state.syncs, state.bytes_written) = (writer.syncs, writer.written);
        state.writer = Some(writer);
        if state.unsynced.is_some() {
            self.arm(&mut state);
        }
        if state.wants_spare() || state.plan.is_wasteful(state.full.is_some()) {
            self.work.notify_one();
        }
        self.changed.notify_all();
        let kept = self.kept(&state);
        let woken = state.waiters.kept(kept);
        drop(state);
        woken.tell();
        self.lock()
    }

    /// The batches before this number are kept, as the journal's way of syncing has it.
    pub(super) fn kept(&self, state: &State) -> u64 {
        if self.sync.is_none() { state.synced } else { state.written }
    }

    /// Opens a file for this segment.
    fn next_file(&self, segment: u64) -> io::Result<Box<dyn Blocks>> {
        let spare = self.lock().plan.spares.pop_front();
        let name = spare.map_or_else(|| self.create_file(), Ok)?;
        let file = self.disk.open(&name)?;
        self.lock().plan.files.push_back((segment, name));
        Ok(file)
    }

    /// Makes a file, which will be there after a loss of power.
    pub(super) fn create_file(&self) -> io::Result<String> {
        let name = {
            let mut state = self.lock();
            let files = state.plan.files.len() + state.plan.spares.len() + 1;
            if self.limit.is_some_and(|limit| (files * SEGMENT) as u64 > limit) {
                // As the disk says it.
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.next_file += 1;
            recover::file_name(state.next_file - 1)
        };
        self.disk.create(&name, SEGMENT)?;
        self.disk.sync_dir()?;
        Ok(name)
    }

    /// Nothing that is noted now, or waits to be on disk, will ever be known to be there.
    pub(super) fn fail(&self, error: &io::Error) {
        // First, so that a process that ends now has answered nobody.
        (self.on_failure)(&error.to_string());
        let mut state = self.lock();
        state.failed = true;
        let woken = state.waiters.all();
        drop(state);
        woken.tell();
        self.changed.notify_all();
        self.work.notify_one();
    }

    pub(super) fn flush(&self) {
        let mut state = self.lock();
        let through = state.plan.next();
        while state.synced < through && !state.failed && !state.stuck {
            state = self.lead(state, true);
        }
    }
}

/// A leader that panics has failed: nobody knows what it has written.
struct Panics<'i>(&'i Inner);

impl Drop for Panics<'_> {
    fn drop(&mut self) {
        self.0.fail(&io::Error::other("the thread that wrote has panicked"));
    }
}
