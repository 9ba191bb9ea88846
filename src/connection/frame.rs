//! Frames: a length, then that many bytes.
//!
//! The length is a 4-byte big-endian signed integer; -1 means that the length did not fit and follows in 8
//! more bytes. What a frame is, and how one is written: CPython's `Connection._send_bytes`.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::ops::Deref;

use crate::memory::Buffer;

/// Where frames come from: a reader that can be asked to acknowledge what it got.
pub trait Source: Read {
    /// Called after a read that left a frame incomplete. A Python peer writes a long message in two parts,
    /// and its kernel holds the second until the first is acknowledged, which ours delays by 40 ms.
    fn acknowledge(&mut self) {}
}

impl Source for &[u8] {}

/// One message, as it arrived.
#[derive(Debug)]
pub enum Frame<'a> {
    /// A message in the reader's own buffer, valid until the next read.
    Small(&'a [u8]),
    /// A message in memory of its own, which may be kept as it is.
    Large {
        /// The frame: its header, then the message.
        buffer: Buffer,
        /// Where in the buffer the message begins.
        start: usize,
    },
}

impl Deref for Frame<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Small(bytes) => bytes,
            Self::Large { buffer, start } => &buffer[*start..],
        }
    }
}

/// Why no frame could be read.
#[derive(Debug)]
pub enum FrameError {
    /// The stream failed, or a deadline passed ([`ErrorKind::TimedOut`]).
    Io(io::Error),
    /// The stream ended inside a frame.
    Truncated,
    /// The frame is over the reader's limit. Its bytes are still in the stream:
    /// [`FrameReader::skip`](super::FrameReader::skip) reads past them.
    TooLong {
        /// The announced length, in bytes.
        length: u64,
        /// The reader's limit, in bytes.
        limit: u64,
    },
    /// A negative length other than -1, which no peer sends.
    BadLength(i32),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Truncated => f.write_str("the connection ended in the middle of a message"),
            Self::TooLong { length, limit } => {
                write!(f, "a message of {length} bytes is over the limit of {limit} bytes")
            }
            Self::BadLength(length) => write!(f, "not a multiprocessing peer: message length {length}"),
        }
    }
}

impl std::error::Error for FrameError {}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What a read with a timeout returns when it passes differs between platforms.
            ErrorKind::WouldBlock => Self::Io(ErrorKind::TimedOut.into()),
            _ => Self::Io(error),
        }
    }
}
pub(super) fn retry(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Up to this many bytes are copied into one buffer and written at once; above it, the copy costs more than
/// a vectored write does.
const COPY: usize = 4 * 1024;

/// Writes one frame whose body is the concatenation of `parts`, in a single system call if the socket takes
/// it. `scratch` is overwritten; it is the caller's so that it can be used again.
///
/// # Errors
/// Those of the stream; a frame that was written in part cannot be resumed.
///
/// ```
/// let (mut stream, mut scratch) = (Vec::new(), Vec::new());
/// netq::connection::write_frame(&mut stream, &mut scratch, &[b"h", b"i"]).unwrap();
/// assert_eq!(stream, b"\0\0\0\x02hi");
/// ```
pub fn write_frame<W: Write>(stream: &mut W, scratch: &mut Vec<u8>, parts: &[&[u8]]) -> io::Result<()> {
    let length = parts.iter().map(|part| part.len()).sum();
    scratch.clear();
    push_header(scratch, length);
    if length <= COPY {
        for part in parts {
            scratch.extend_from_slice(part);
        }
        return stream.write_all(scratch);
    }
    let mut slices: Vec<IoSlice<'_>> =
        [scratch.as_slice()].iter().chain(parts).map(|part| IoSlice::new(part)).collect();
    let mut rest = slices.as_mut_slice();
    // Empty parts at the front would make a write of nothing look like the end of the stream.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        let count = retry(|| stream.write_vectored(rest))?;
        if count == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut rest, count);
    }
    Ok(())
}

/// Appends the header of a frame whose body has `length` bytes.
fn push_header(out: &mut Vec<u8>, length: usize) {
    match i32::try_from(length) {
        Ok(length) => out.extend(length.to_be_bytes()),
        Err(_) => {
            out.extend((-1_i32).to_be_bytes());
            out.extend((length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_whether_copied_or_not() {
        for size in [0, 10, COPY, COPY + 1, 100_000] {
            let (mut stream, mut scratch) = (Vec::new(), Vec::new());
            let part = vec![7; size];
            write_frame(&mut stream, &mut scratch, &[b"", &part, b"", b"end"]).unwrap();
            assert_eq!(stream.len(), 4 + size + 3);
            assert!(stream.ends_with(b"end"));
        }
        let mut header = Vec::new();
        push_header(&mut header, 0x8000_0000);
        assert_eq!(header, b"\xff\xff\xff\xff\x00\x00\x00\x00\x80\x00\x00\x00");
    }
}
