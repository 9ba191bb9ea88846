//! All that the journal asks of a disk, so that tests can give it one that loses power, is full, or fails.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process;

/// A directory of files. What was written, made or removed is sure to be there after a loss of power only once it
/// has been synced; before that any part of it may be.
pub(super) trait Disk: Send + Sync {
    /// Keeps everybody else out for as long as this lives; or says who is in.
    fn lock(&self) -> io::Result<Option<String>>;
    fn list(&self) -> io::Result<Vec<String>>;
    /// Reads a file's beginning, of at most so many bytes.
    fn read(&self, name: &str, most: usize) -> io::Result<Vec<u8>>;
    /// Makes a file of so many zeros, which it has room for from then on; or makes none.
    fn create(&self, name: &str, length: usize) -> io::Result<()>;
    fn open(&self, name: &str) -> io::Result<Box<dyn Blocks>>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Which files there are is on disk.
    fn sync_dir(&self) -> io::Result<()>;
}

/// A file of a fixed length that is open.
pub(super) trait Blocks: Send {
    fn write(&mut self, at: usize, bytes: &[u8]) -> io::Result<()>;
    /// What was written is on disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// A real directory.
pub(super) struct Directory {
    path: PathBuf,
    /// Holds the lock for as long as it is open.
    lock: File,
}

impl Directory {
    /// Makes the directory if it is missing, but not those above it.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Err(error) = fs::create_dir(path)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        let lock =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join("lock"))?;
        Ok(Self { path: path.into(), lock })
    }
}

impl Disk for Directory {
    fn lock(&self) -> io::Result<Option<String>> {
        match self.lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                // Where a lock keeps others from reading too, they do not learn whose it is.
                let _ = (&self.lock).take(20).read_to_string(&mut process);
                return Ok(Some(process.trim().to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        self.lock.set_len(0)?;
        (&self.lock).write_all(format!("{}\n", process::id()).as_bytes())?;
        Ok(None)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(io::Result::transpose).collect()
    }

    fn read(&self, name: &str, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path.join(name))?.take(most as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn create(&self, name: &str, length: usize) -> io::Result<()> {
        let path = self.path.join(name);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        // Written, and not only made long: so a full disk shows now, and a sync later has less to do.
        let zeros = [0; 16 << 10];
        let written = (0..length).step_by(zeros.len()).try_for_each(|_| file.write_all(&zeros));
        // Some file systems find out only here that they are full.
        written.and_then(|()| file.sync_data()).inspect_err(|_| drop(fs::remove_file(&path)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Blocks>> {
        let file = OpenOptions::new().write(true).open(self.path.join(name))?;
        Ok(Box::new(Open { file, at: 0 }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        // Elsewhere a directory cannot be opened as a file, and need not be synced.
        if cfg!(unix) { File::open(&self.path)?.sync_all() } else { Ok(()) }
    }
}

struct Open {
    file: File,
    /// Where the next write goes if nobody says otherwise: mostly that is where it is to go.
    at: usize,
}

impl Blocks for Open {
    fn write(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        if at != self.at {
            self.file.seek(SeekFrom::Start(at as u64))?;
        }
        // Until it has succeeded nobody knows where the file is.
        self.at = usize::MAX;
        self.file.write_all(bytes)?;
        self.at = at + bytes.len();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_hub_s_alone_and_its_files_are_written_in_place() {
        let path = std::env::temp_dir().join(format!("netq-disk-{}", process::id()));
        let disk = Directory::open(&path).unwrap();
        assert_eq!(disk.lock().unwrap(), None);
        let other = Directory::open(&path).unwrap();
        assert_eq!(other.lock().unwrap(), Some(process::id().to_string()));
        drop((disk, other));
        let disk = Directory::open(&path).unwrap();
        assert_eq!(disk.lock().unwrap(), None, "free again");
        disk.create("one", 40_000).unwrap();
        assert!(disk.create("one", 40_000).is_err(), "it is there");
        let mut file = disk.open("one").unwrap();
        for (at, bytes) in [(3, "abc"), (6, "def"), (0, "x"), (1, "y")] {
            file.write(at, bytes.as_bytes()).unwrap();
        }
        file.sync().unwrap();
        disk.sync_dir().unwrap();
        assert_eq!(disk.read("one", 10).unwrap(), b"xy\0abcdef\0");
        let mut names = disk.list().unwrap();
        names.sort_unstable();
        assert_eq!(names, ["lock", "one"]);
        disk.remove("one").unwrap();
        assert!(disk.open("one").is_err());
        fs::remove_dir_all(path).unwrap();
    }
}
