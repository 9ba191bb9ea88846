//! Why a store cannot be used.

use std::fmt;
use std::io;

/// Why a store cannot be used, and what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process uses it: its process id, where that can be told.
    InUse(String),
    /// A file of it was damaged after it had been written.
    Damaged {
        /// The file's name.
        file: String,
        /// Where in the file, in bytes.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Another version of netq has written this file of it.
    OtherVersion(String),
    /// It holds items of a queue that is not to be served: nobody would get them.
    NotServed {
        /// The queue's name.
        queue: String,
        /// How many items.
        items: u64,
    },
    /// There is no room to keep anything in.
    Full(io::Error),
    /// The disk does not do what it is asked to.
    Io(io::Error),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(process) if process.is_empty() => {
                f.write_str("another hub uses it: stop that hub first")
            }
            Self::InUse(process) => write!(f, "another hub uses it, process {process}: stop that hub first"),
            Self::Damaged { file, offset, what } => write!(
                f,
                "{file} is damaged at byte {offset} ({what}): copy the directory, then start with --repair, which \
                 keeps everything else"
            ),
            Self::OtherVersion(file) => {
                write!(
                    f,
                    "{file} was written by another version of netq: start that version, or use a new directory"
                )
            }
            Self::NotServed { queue, items } => write!(
                f,
                "it keeps {items} items of the queue '{queue}', which is not to be served from it: name {queue} too, \
                 and get them if they are not needed"
            ),
            Self::Full(error) => write!(f, "it has no room for 4 MiB ({error}): free some"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        if is_full(&error) { Self::Full(error) } else { Self::Io(error) }
    }
}

/// Whether the disk has no room, which may change; anything else is final.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
