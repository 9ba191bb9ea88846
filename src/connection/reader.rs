//! Cutting a stream into frames: CPython's `Connection._recv_bytes`, with two differences. A reader here has a
//! limit, and never allocates by a length that was only announced.

use byteorder::{BigEndian, ByteOrder};

use super::frame::{Frame, FrameError, Source, retry};
use crate::memory::Buffer;

/// Size, in bytes, to which a reader's own buffer grows when reads fill it up. Frames that fit are served from
/// it without an allocation, and one read of the socket brings as many small requests as a client has sent
/// ahead; 8 KiB holds a batch of 64 small items.
const BUFFER: usize = 8 * 1024;

/// The same for a reader that is one of few: a client's. A reply of 20 KB takes one read instead of two.
const ROOMY: usize = 32 * 1024;

/// Size, in bytes, of the buffer at first, and again once [`CALM`] reads in a row would have fitted: each
/// connection owns one, and most are idle. A handshake fits, and the usual small request.
const SMALL: usize = 256;

/// So many small reads mean that no large ones are to be expected.
const CALM: u8 = 64;

/// A longer frame gets memory of its own in steps, of at first this many bytes, and then as many as have
/// arrived already, up to [`STEP`]. A peer that announces a gigabyte costs what it sends. One read brings what
/// fits in the first: with half of this, a put and get of 20 KB took 3 % more time.
const FIRST: usize = 32 * 1024;

/// So much of that memory, in bytes, is filled with zeros for one read, unless a former message has filled it
/// already. Safe Rust has no other way to read into it but `read_to_end`, which feels its way from 8 KiB up: of
/// 20 system calls for a message of 1 MB, this leaves 8, and what was just zeroed is still in the processor's
/// cache when the bytes arrive.
const STEP: usize = 256 * 1024;

/// Cuts a stream of bytes into frames.
///
/// ```
/// use netq::connection::FrameReader;
/// let mut stream: &[u8] = b"\0\0\0\x02hi\0\0\0\x05there";
/// let mut reader = FrameReader::new(1024);
/// assert_eq!(&*reader.read(&mut stream).unwrap().unwrap(), b"hi");
/// assert_eq!(&*reader.read(&mut stream).unwrap().unwrap(), b"there");
/// assert!(reader.read(&mut stream).unwrap().is_none());
/// ```
#[derive(Debug)]
pub struct FrameReader {
    buffer: Vec<u8>,
    /// What was read and not yet given out is `buffer[start..end]`.
    start: usize,
    end: usize,
    /// How many reads in a row were small.
    calm: u8,
    limit: u64,
    /// The buffer's largest size.
    most: usize,
}

impl FrameReader {
    /// A reader that refuses frames of more than `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { buffer: vec![0; SMALL], start: 0, end: 0, calm: 0, limit, most: BUFFER }
    }

    /// Allows a buffer of 32 KiB instead of 8, which is more than thousands of connections should have.
    pub(super) fn make_roomy(&mut self) {
        self.most = ROOMY;
    }

    /// Changes the limit, in bytes, for the frames that follow.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Whether a whole frame is here already, so that the next [`read`](Self::read) will not touch the stream.
    pub fn has_frame(&self) -> bool {
        match self.header() {
            Ok(Some((header, length))) => (self.end - self.start - header) as u64 >= length,
            _ => false,
        }
    }

    /// Reads the next frame; `None` when the stream ended between two frames.
    ///
    /// # Errors
    /// As [`FrameError`] says. After [`FrameError::TooLong`] the reader can go on once the frame was
    /// skipped; after the others it cannot.
    pub fn read<S: Source>(&mut self, stream: &mut S) -> Result<Option<Frame<'_>>, FrameError> {
        let (header, length) = loop {
            if let Some(found) = self.header()? {
                break found;
            }
            if self.fill(stream)? == 0 {
                return if self.start == self.end { Ok(None) } else { Err(FrameError::Truncated) };
            }
        };
        if length > self.limit {
            self.start += header;
            return Err(FrameError::TooLong { length, limit: self.limit });
        }
        if length > (self.most - header) as u64 {
            let buffer = self.read_large(stream, length.saturating_add(header as u64))?;
            return Ok(Some(Frame::Large { buffer, start: header }));
        }
        let total = header + length as usize;
        while self.end - self.start < total {
            stream.acknowledge();
            if self.fill(stream)? == 0 {
                return Err(FrameError::Truncated);
            }
        }
        let body = self.start + header..self.start + total;
        self.start = body.end;
        Ok(Some(Frame::Small(&self.buffer[body])))
    }

    /// Reads and forgets `length` bytes, without keeping them: the rest of a frame that was too long.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] if the stream ends first, [`FrameError::Io`] if it fails.
    pub fn skip<S: Source>(&mut self, stream: &mut S, mut length: u64) -> Result<(), FrameError> {
        loop {
            let here = ((self.end - self.start) as u64).min(length);
            self.start += here as usize;
            length -= here;
            if length == 0 {
                return Ok(());
            }
            stream.acknowledge();
            if self.fill(stream)? == 0 {
                return Err(FrameError::Truncated);
            }
        }
    }

    /// The next frame's header size and length, once the whole header is here.
    fn header(&self) -> Result<Option<(usize, u64)>, FrameError> {
        let bytes = &self.buffer[self.start..self.end];
        if bytes.len() < 4 {
            return Ok(None);
        }
        match BigEndian::read_i32(bytes) {
            -1 if bytes.len() < 12 => Ok(None),
            -1 => Ok(Some((12, BigEndian::read_u64(&bytes[4..])))),
            length if length < 0 => Err(FrameError::BadLength(length)),
            length => Ok(Some((4, length as u64))),
        }
    }

    /// One read into the free part of the buffer; how many bytes came.
    fn fill<S: Source>(&mut self, stream: &mut S) -> Result<usize, FrameError> {
        let is_full = self.end == self.buffer.len();
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if is_full {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if is_full {
            self.buffer.resize(self.most, 0);
        } else if self.calm == CALM && self.end == 0 && self.buffer.len() > SMALL {
            self.buffer = vec![0; SMALL];
        }
        let count = retry(|| stream.read(&mut self.buffer[self.end..]))?;
        self.end += count;
        self.calm = if count < SMALL { (self.calm + 1).min(CALM) } else { 0 };
        Ok(count)
    }

    /// Reads a whole frame of `length` bytes, with its header. Nobody needs that, but it keeps the bytes where
    /// they are in the page: the sender's kernel has them from the start of a page on, memory for a large buffer
    /// begins 16 bytes into one, and some processors (AMD's EPYC) copy 7 times slower to an address that is, within
    /// its page, up to 15 bytes behind that of the source. Without the 4 bytes of the header it is 12 behind.
    fn read_large<S: Source>(&mut self, stream: &mut S, length: u64) -> Result<Buffer, FrameError> {
        // The last read got less than it had asked for: the rest is held back, perhaps for our sake.
        if self.end < self.buffer.len() {
            stream.acknowledge();
        }
        // The limit has passed it. (No machine could hold a frame that is longer than a usize.)
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let here = (self.end - self.start).min(length);
        let mut bytes = Buffer::spare(length).unwrap_or_else(|| Vec::with_capacity(length.min(FIRST)).into());
        if bytes.len() < here {
            bytes.resize(here, 0);
        }
        bytes[..here].copy_from_slice(&self.buffer[self.start..self.start + here]);
        self.start += here;
        if self.start == self.end {
            // Full of a frame that has memory of its own, the buffer need not grow.
            (self.start, self.end) = (0, 0);
        }
        let mut filled = here;
        while filled < length {
            if filled == bytes.len() {
                let step = filled.clamp(FIRST, STEP).min(length - filled);
                if bytes.capacity() < filled + step {
                    // To twice its size, so that in all no byte is moved more often than once or twice.
                    bytes.reserve_exact(step.max(filled).min(length - filled));
                }
                bytes.resize(filled + step, 0);
            }
            let end = bytes.len().min(length);
            let count = retry(|| stream.read(&mut bytes[filled..end]))?;
            filled += count;
            if count == 0 {
                return Err(FrameError::Truncated);
            }
            if filled < end {
                stream.acknowledge();
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}
#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use super::*;
    use crate::connection::write_frame;

    /// Gives out its bytes a few at a time, as a network does.
    struct Trickle<'a> {
        bytes: &'a [u8],
        step: usize,
        acknowledged: usize,
    }

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.step.min(buffer.len());
            self.bytes.read(&mut buffer[..count])
        }
    }

    impl Source for Trickle<'_> {
        fn acknowledge(&mut self) {
            self.acknowledged += 1;
        }
    }

    fn frames(lengths: &[usize]) -> Vec<u8> {
        let (mut stream, mut scratch) = (Vec::new(), Vec::new());
        for &length in lengths {
            let body: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            write_frame(&mut stream, &mut scratch, &[&body]).unwrap();
        }
        stream
    }

    #[test]
    fn frames_arrive_whole_however_they_are_cut() {
        let lengths = [0, 1, 250, BUFFER - 4, BUFFER - 3, BUFFER, 3, ROOMY - 4, ROOMY - 3, 600_000, 1];
        let bytes = frames(&lengths);
        for (step, roomy) in
            [1, 3, 1000, 8191, 70_000, usize::MAX].into_iter().flat_map(|step| [(step, false), (step, true)])
        {
            let mut stream = Trickle { bytes: &bytes, step, acknowledged: 0 };
            let mut reader = FrameReader::new(1 << 20);
            if roomy {
                reader.make_roomy();
            }
            for &length in &lengths {
                let frame = reader.read(&mut stream).unwrap().unwrap();
                assert_eq!(frame.len(), length, "read in steps of {step}");
                assert!(frame.iter().enumerate().all(|(i, &byte)| byte == (i % 251) as u8));
            }
            assert!(reader.read(&mut stream).unwrap().is_none());
        }
    }

    #[test]
    fn a_large_frame_has_its_header_before_it() {
        let bytes = frames(&[100_000]);
        let mut reader = FrameReader::new(1 << 20);
        match reader.read(&mut &bytes[..]).unwrap() {
            Some(Frame::Large { buffer, start }) => assert_eq!((&buffer[..], start), (&bytes[..], 4)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_buffer_grows_for_those_who_fill_it_and_shrinks_when_they_stop() {
        let mut reader = FrameReader::new(1 << 20);
        let mut size_after = |lengths: &[usize], step: usize| {
            let bytes = frames(lengths);
            let mut stream = Trickle { bytes: &bytes, step, acknowledged: 0 };
            lengths.iter().for_each(|_| drop(reader.read(&mut stream).unwrap().unwrap()));
            reader.buffer.len()
        };
        assert_eq!(size_after(&[10], 14), SMALL);
        assert_eq!(size_after(&[100_000], 100_004), SMALL);
        assert_eq!(size_after(&[4000; 3], 12_012), BUFFER);
        assert_eq!(size_after(&[10; CALM as usize], 14), BUFFER);
        assert_eq!(size_after(&[10], 14), SMALL);
    }

    #[test]
    fn an_incomplete_frame_is_acknowledged_and_a_complete_one_is_not() {
        let bytes = frames(&[10, 10]);
        let mut stream = Trickle { bytes: &bytes, step: 28, acknowledged: 0 };
        let mut reader = FrameReader::new(100);
        reader.read(&mut stream).unwrap().unwrap();
        assert!(reader.has_frame());
        reader.read(&mut stream).unwrap().unwrap();
        assert!(!reader.has_frame());
        assert_eq!(stream.acknowledged, 0);
        let mut stream = Trickle { bytes: &bytes, step: 4, acknowledged: 0 };
        reader.read(&mut stream).unwrap().unwrap();
        assert!(stream.acknowledged > 0);
    }

    #[test]
    fn a_frame_over_the_limit_can_be_skipped() {
        let bytes = frames(&[50, 20_000, 7]);
        let mut stream = Trickle { bytes: &bytes, step: 999, acknowledged: 0 };
        let mut reader = FrameReader::new(100);
        assert_eq!(reader.read(&mut stream).unwrap().unwrap().len(), 50);
        let Err(FrameError::TooLong { length: 20_000, limit: 100 }) = reader.read(&mut stream) else {
            panic!("a frame of 20,000 bytes passed a limit of 100")
        };
        reader.skip(&mut stream, 20_000).unwrap();
        assert_eq!(reader.read(&mut stream).unwrap().unwrap().len(), 7);
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_an_error() {
        let bytes = frames(&[10, 300_000]);
        for cut in [1, 3, 4, 13, 15, 18, 5000, bytes.len() - 1] {
            let mut stream = &bytes[..cut];
            let mut reader = FrameReader::new(1 << 20);
            let end = loop {
                match reader.read(&mut stream) {
                    Ok(Some(_)) => {}
                    other => break other.map(|_| ()),
                }
            };
            assert!(matches!(end, Err(FrameError::Truncated)), "cut at {cut}");
        }
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        let mut stream: &[u8] = b"\xff\xff\xff\xff\x00\x00\x00\xff\xff\xff\xff\xffabc";
        let mut reader = FrameReader::new(u64::MAX);
        assert!(matches!(reader.read(&mut stream), Err(FrameError::Truncated)));
        let mut stream: &[u8] = b"\xff\xff\xff\xfe";
        assert!(matches!(FrameReader::new(9).read(&mut stream), Err(FrameError::BadLength(-2))));
    }
}
