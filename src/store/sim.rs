//! A disk for tests, which loses power, is full, or fails when it is told to.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Blocks, Disk};

/// What a disk writes as a whole or not at all.
const SECTOR: usize = 512;

/// Random numbers that are the same for the same seed.
pub(super) struct Random(pub u64);

impl Random {
    /// Below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31) % bound
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

#[derive(Clone, Default)]
struct Content {
    /// As programs see it.
    now: Vec<u8>,
    /// As it is sure to be after a loss of power.
    synced: Vec<u8>,
}

#[derive(Default)]
struct State {
    files: Vec<Content>,
    /// Names, and which files they are of.
    now: Vec<(String, usize)>,
    synced: Vec<(String, usize)>,
    /// How many operations there were.
    operations: u64,
    /// If the power is lost at each operation: how chance decides, and the disks that were found after it.
    losses: Option<(Random, Vec<Sim>)>,
    /// No more than so many bytes of files.
    room: Option<usize>,
    /// Syncs fail.
    broken: bool,
    syncs: u64,
    written: u64,
}

/// The disk. A clone is the same one.
#[derive(Clone, Default)]
pub(super) struct Sim(Arc<Mutex<State>>);

impl Sim {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn operation(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.operations += 1;
        state.lose_power();
        Ok(state)
    }

    pub fn written(&self) -> u64 {
        self.state().written
    }

    /// From now on the power is lost before, and in the middle of, each operation: but not on this disk, on copies of it.
    pub fn lose_power_again_and_again(&self, random: Random) {
        self.state().losses = Some((random, Vec::new()));
    }

    /// The disks as they were found after those losses.
    pub fn losses(&self) -> Vec<Self> {
        self.state().losses.as_mut().map_or(Vec::new(), |(_, found)| std::mem::take(found))
    }

    pub fn set_room(&self, bytes: Option<usize>) {
        self.state().room = bytes;
    }

    pub fn break_syncs(&self) {
        self.state().broken = true;
    }

    /// The disk as another process finds it: as it is.
    pub fn after_kill(&self) -> Self {
        let state = self.state();
        let (files, now, synced) = (state.files.clone(), state.now.clone(), state.synced.clone());
        Self(Arc::new(Mutex::new(State { files, now, synced, ..State::default() })))
    }

    /// Changes a file behind the journal's back.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let at = state.find(name).unwrap();
        change(&mut state.files[at].now);
        state.files[at].synced = state.files[at].now.clone();
    }

    pub fn names(&self) -> Vec<String> {
        self.state().now.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl State {
    fn find(&self, name: &str) -> io::Result<usize> {
        let found = self.now.iter().find(|(known, _)| known == name);
        found.map(|&(_, at)| at).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Keeps a copy of the disk as it is found after the power was lost now: of what was not synced, some.
    fn lose_power(&mut self) {
        let Some((mut random, mut found)) = self.losses.take() else { return };
        let mut names: Vec<(String, usize)> = Vec::new();
        for entry in self.now.iter().chain(&self.synced) {
            let sure = self.now.contains(entry) && self.synced.contains(entry);
            if !names.contains(entry) && (sure || random.chance(2)) {
                names.push(entry.clone());
            }
        }
        let files = self.files.iter().map(|file| file.after_power_loss(&mut random)).collect();
        let after = State { files, synced: names.clone(), now: names, ..State::default() };
        found.push(Sim(Arc::new(Mutex::new(after))));
        self.losses = Some((random, found));
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        if self.broken { Err(io::Error::other("a sync that fails")) } else { Ok(()) }
    }
}

impl Content {
    fn after_power_loss(&self, random: &mut Random) -> Self {
        let mut bytes = self.synced.clone();
        let length = if random.chance(2) { self.now.len() } else { self.synced.len() };
        bytes.resize(length.max(self.synced.len()), 0);
        for at in (0..bytes.len()).step_by(SECTOR) {
            let end = (at + SECTOR).min(bytes.len()).min(self.now.len());
            // In most there is no difference, and then no need of a random number.
            if at < end && bytes[at..end] != self.now[at..end] && random.chance(2) {
                bytes[at..end].copy_from_slice(&self.now[at..end]);
            }
        }
        Self { now: bytes.clone(), synced: bytes }
    }
}

impl Disk for Sim {
    fn lock(&self) -> io::Result<Option<String>> {
        Ok(None)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        drop(self.operation()?);
        Ok(self.names())
    }

    fn read(&self, name: &str, most: usize) -> io::Result<Vec<u8>> {
        let state = self.operation()?;
        let bytes = &state.files[state.find(name)?].now;
        Ok(bytes[..most.min(bytes.len())].to_vec())
    }

    fn create(&self, name: &str, length: usize) -> io::Result<()> {
        let mut state = self.operation()?;
        if state.find(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let used: usize = state.now.iter().map(|&(_, at)| state.files[at].now.len()).sum();
        if state.room.is_some_and(|room| used + length > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let at = state.files.len();
        state.files.push(Content { now: vec![0; length], synced: Vec::new() });
        state.now.push((name.to_owned(), at));
        Ok(())
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Blocks>> {
        let at = self.operation()?.find(name)?;
        Ok(Box::new(Open(self.clone(), at)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.operation()?;
        state.find(name)?;
        state.now.retain(|(known, _)| known != name);
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.operation()?;
        state.sync()?;
        state.synced = state.now.clone();
        Ok(())
    }
}

struct Open(Sim, usize);

impl Blocks for Open {
    fn write(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.operation()?;
        state.written += bytes.len() as u64;
        state.files[self.1].now[at..at + bytes.len()].copy_from_slice(bytes);
        state.lose_power();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.0.operation()?;
        state.sync()?;
        let file = &mut state.files[self.1];
        file.synced.clone_from(&file.now);
        Ok(())
    }
}
