//! Any bytes as a stream of frames, cut anywhere: the reader gives the same frames, and never more memory
//! than what has arrived.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use netq::connection::{FrameError, FrameReader, Source};

const LIMIT: u64 = 20_000;

struct Pieces<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let step = self.step.min(buffer.len());
        self.bytes.read(&mut buffer[..step])
    }
}

impl Source for Pieces<'_> {}

/// The lengths and first bytes of the frames, and how the stream ended.
fn frames(bytes: &[u8], step: usize) -> (Vec<Vec<u8>>, String) {
    let mut stream = Pieces { bytes, step };
    let mut reader = FrameReader::new(LIMIT);
    let mut found = Vec::new();
    loop {
        let ahead = reader.has_frame();
        match reader.read(&mut stream) {
            Ok(Some(frame)) => {
                assert!(frame.len() as u64 <= LIMIT);
                found.push(frame.to_vec());
            }
            Ok(None) => return (found, "end".into()),
            Err(FrameError::TooLong { length, limit }) => {
                assert!(length > limit && !ahead | (length <= 20_000));
                if let Err(error) = reader.skip(&mut stream, length) {
                    return (found, error.to_string());
                }
                found.push(length.to_be_bytes().to_vec());
            }
            Err(error) => return (found, error.to_string()),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&step, stream)) = data.split_first() else { return };
    assert_eq!(frames(stream, usize::from(step) + 1), frames(stream, usize::MAX));
});
