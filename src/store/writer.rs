//! Writing batches: one thread at a time does it, for all that wait.

use std::collections::VecDeque;
use std::io;

use super::batch;
use super::disk::{Blocks, Disk};
use super::plan::Planned;

/// The file that is being written.
#[derive(Default)]
pub(super) struct Writer {
    file: Option<Box<dyn Blocks>>,
    segment: u64,
    /// Something was written and not synced.
    dirty: bool,
    /// The batches before this number are on disk.
    pub synced: u64,
    pub syncs: u64,
    pub written: u64,
}

impl Writer {
    /// Goes on in a segment at whose end everything is on disk.
    pub fn open(disk: &dyn Disk, newest: Option<&(u64, String)>, synced: u64) -> io::Result<Self> {
        let file = newest.map(|(_, name)| disk.open(name)).transpose()?;
        Ok(Self { file, segment: newest.map_or(0, |(id, _)| *id), synced, ..Self::default() })
    }

    /// Writes batches, the last of those before number `through`, and syncs if asked to. `next_file` opens the file for
    /// a new segment.
    ///
    /// # Errors
    /// If there is no file for a segment, or it takes nothing: then all of these can be written again. And if a sync
    /// fails: then nobody knows what is on disk, nor ever will.
    pub fn write(
        &mut self,
        batches: &mut VecDeque<Planned>,
        through: u64,
        sync: bool,
        next_file: &mut dyn FnMut(u64) -> io::Result<Box<dyn Blocks>>,
    ) -> io::Result<()> {
        for Planned { segment, number, at, bytes } in batches.iter_mut() {
            if *segment != self.segment {
                // So only the newest segment can have been torn.
                self.sync(*number)?;
                self.file = Some(next_file(*segment)?);
                self.segment = *segment;
            }
            batch::seal(bytes, *segment, *number, self.synced);
            if let Some(file) = &mut self.file {
                file.write(*at, bytes)?;
            }
            self.dirty = true;
            self.written += bytes.len() as u64;
        }
        if sync { self.sync(through) } else { Ok(()) }
    }

    /// All batches before this number, which have been written, are on disk.
    pub fn sync(&mut self, number: u64) -> io::Result<()> {
        if let Some(file) = self.file.as_mut().filter(|_| self.dirty) {
            // Whatever the reason: what the disk has kept is unknown, so it must not look like one to wait for.
            file.sync().map_err(|error| io::Error::other(format!("cannot sync: {error}")))?;
            self.syncs += 1;
            self.dirty = false;
        }
        self.synced = self.synced.max(number);
        Ok(())
    }
}
