//! The spill file: blocks of a backlog that is larger than memory.
//!
//! The journal has all the items, so this file is never synced, and one that is found at the start is of no use.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The room for one block, in bytes.
const PLACE: u64 = 400 << 10;

/// The file, which is made when it is needed.
pub(super) struct Spill {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    file: Option<File>,
    /// Places that were used and are not.
    free: Vec<u32>,
    /// How many places there are.
    places: u32,
}

impl Spill {
    /// In a store's directory.
    pub fn new(directory: &Path) -> Self {
        let path = directory.join("spill");
        let _ = fs::remove_file(&path);
        Self { path, state: Mutex::default() }
    }

    /// Keeps a block, and says where.
    pub fn write(&self, bytes: &[u8]) -> io::Result<u32> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let place = state.free.pop().unwrap_or(state.places);
        let written = state.file(&self.path).and_then(|file| {
            file.seek(SeekFrom::Start(u64::from(place) * PLACE))?;
            file.write_all(bytes)
        });
        state.places = state.places.max(place + 1);
        written.map(|()| place).inspect_err(|_| state.free.push(place))
    }

    /// Appends what is kept at that place, if it is wanted, and frees the place.
    pub fn take(&self, place: u32, length: usize, bytes: Option<&mut Vec<u8>>) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = bytes {
            let before = bytes.len();
            bytes.resize(before + length, 0);
            let file = state.file(&self.path)?;
            file.seek(SeekFrom::Start(u64::from(place) * PLACE))?;
            file.read_exact(&mut bytes[before..])?;
        }
        state.free.push(place);
        if state.free.len() == state.places as usize {
            // Nothing is in it any more: the room is the disk's again.
            state.file(&self.path)?.set_len(0)?;
            (state.free, state.places) = (Vec::new(), 0);
        }
        Ok(())
    }
}

impl State {
    fn file(&mut self, path: &Path) -> io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?,
        };
        Ok(self.file.insert(file))
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_as_they_were_and_an_empty_file_takes_no_room() {
        let path = std::env::temp_dir().join(format!("netq-spill-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("spill"), "left by a crash").unwrap();
        let spill = Spill::new(&path);
        assert!(!path.join("spill").exists());
        let block = |n: u8| vec![n; 1000 + usize::from(n)];
        let places = [0, 1, 2].map(|n| spill.write(&block(n)).unwrap());
        assert_eq!(places, [0, 1, 2]);
        spill.take(1, 1001, None).unwrap();
        assert_eq!(spill.write(&block(7)).unwrap(), 1, "the place is free again");
        for (place, n) in [(2, 2), (0, 0), (1, 7)] {
            let mut bytes = b"before".to_vec();
            spill.take(place, block(n).len(), Some(&mut bytes)).unwrap();
            assert_eq!(bytes, [b"before", &block(n)[..]].concat());
        }
        assert_eq!(fs::metadata(path.join("spill")).unwrap().len(), 0);
        assert_eq!(spill.write(&block(9)).unwrap(), 0);
        drop(spill);
        fs::remove_dir(path).unwrap();
    }
}
