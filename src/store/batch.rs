//! Batches: what is written to a segment at once, and holds or does not hold as a whole.

use super::crc::crc32;

/// The size of a segment's file, in bytes. Small in unit tests, which then fill many of them in no time.
pub(super) const SEGMENT: usize = if cfg!(test) { 1 << 14 } else { 1 << 20 };

/// A batch takes no more records beyond this many bytes, so that little of a segment is left unused at its end.
pub(super) const BATCH: usize = SEGMENT / 16;

/// Bytes in front of a batch's records, all numbers little-endian: magic (4), segment (8), number (8), how many
/// batches before it were not known to be on disk (4), length of the records (4), CRC-32 of all that (4).
pub(super) const HEADER: usize = 32;

/// What each batch begins with. Its last byte is the version of the format.
pub(super) const MAGIC: [u8; 4] = *b"nqj1";

/// A batch that was read, and is whole.
#[derive(Debug, PartialEq)]
pub(super) struct Batch<'a> {
    pub segment: u64,
    pub number: u64,
    /// The batches before this number were on disk when this one was written: if one of those cannot be read, that
    /// is damage. One from here on may have been torn by a power loss.
    pub synced: u64,
    pub records: &'a [u8],
}

/// Completes a batch, whose bytes begin with [`HEADER`] bytes for its header.
pub(super) fn seal(bytes: &mut [u8], segment: u64, number: u64, synced: u64) {
    let Some((header, records)) = bytes.split_first_chunk_mut::<HEADER>() else { return };
    // A batch never reaches 4 GiB, nor do the batches that wait to be synced reach that number.
    let unsynced = number.saturating_sub(synced).min(u64::from(u32::MAX)) as u32;
    header[..4].copy_from_slice(&MAGIC);
    header[4..12].copy_from_slice(&segment.to_le_bytes());
    header[12..20].copy_from_slice(&number.to_le_bytes());
    header[20..24].copy_from_slice(&unsynced.to_le_bytes());
    header[24..28].copy_from_slice(&(records.len() as u32).to_le_bytes());
    let crc = crc32([&header[..28], records]);
    header[28..].copy_from_slice(&crc.to_le_bytes());
}

/// The segment of which this is a batch's header, though the batch may not be whole. An error if another version
/// has written it.
pub(super) fn segment(header: &[u8]) -> Result<Option<u64>, u8> {
    let Some(header) = header.first_chunk::<HEADER>() else { return Ok(None) };
    match header[..4] {
        [b'n', b'q', b'j', version] if version == MAGIC[3] => Ok(Some(long(header, 4))),
        [b'n', b'q', b'j', version] => Err(version),
        _ => Ok(None),
    }
}

/// The batch at this place, if it is a whole one, and of this segment if it matters of which.
pub(super) fn batch(bytes: &[u8], at: usize, of: Option<u64>) -> Option<Batch<'_>> {
    let (header, rest) = bytes.get(at..)?.split_first_chunk::<HEADER>()?;
    let segment = long(header, 4);
    if header[..4] != MAGIC || of.is_some_and(|of| of != segment) {
        return None;
    }
    let number = long(header, 12);
    let records = rest.get(..usize::try_from(word(header, 24)).ok()?)?;
    let synced = number.saturating_sub(u64::from(word(header, 20)));
    (crc32([&header[..28], records]) == word(header, 28)).then_some(Batch {
        segment,
        number,
        synced,
        records,
    })
}

fn word(header: &[u8; HEADER], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&header[at..at + 4]);
    u32::from_le_bytes(bytes)
}

fn long(header: &[u8; HEADER], at: usize) -> u64 {
    u64::from(word(header, at)) | u64::from(word(header, at + 4)) << 32
}

/// All whole batches in a file, of one segment or of any, with their places. It passes over what lies between them,
/// if anything does.
pub(super) struct Batches<'a> {
    bytes: &'a [u8],
    of: Option<u64>,
    at: usize,
}

impl<'a> Batches<'a> {
    pub fn new(bytes: &'a [u8], of: Option<u64>) -> Self {
        Self { bytes, of, at: 0 }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = (usize, Batch<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let at = self.at;
            if let Some(batch) = batch(self.bytes, at, self.of) {
                self.at += HEADER + batch.records.len();
                return Some((at, batch));
            }
            self.at += 1;
            // Mostly that is the end, and zeros; then looking at each byte would take a while.
            while self.bytes.get(self.at..self.at + 64) == Some(&[0; 64]) {
                self.at += 64;
            }
            let rest = self.bytes.get(self.at..)?;
            self.at += rest.windows(MAGIC.len()).position(|window| window == MAGIC)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(records: &[u8], segment: u64, number: u64, synced: u64) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes.extend(records);
        seal(&mut bytes, segment, number, synced);
        bytes
    }

    #[test]
    fn a_batch_is_whole_or_is_none() {
        let bytes = sealed(b"records", 7, u64::MAX, u64::MAX - 3);
        let expected = Batch { segment: 7, number: u64::MAX, synced: u64::MAX - 3, records: b"records" };
        assert_eq!(batch(&bytes, 0, Some(7)), Some(expected));
        assert_eq!(segment(&bytes), Ok(Some(7)));
        assert_eq!(
            (batch(&bytes, 0, Some(8)), batch(&bytes, 1, None), batch(&bytes, 100, None)),
            (None, None, None)
        );
        for length in 0..bytes.len() {
            assert_eq!(batch(&bytes[..length], 0, None), None, "cut to {length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(batch(&bytes, 0, Some(7)), None, "bit {bit}");
        }
    }

    #[test]
    fn whole_batches_are_found_behind_what_is_not() {
        let (one, two, old) = (sealed(b"one", 7, 1, 0), sealed(b"two", 7, 2, 2), sealed(b"old", 6, 1, 0));
        let all = [&one[..], b"nqj1nq", &two, &old, &one[..20], b"\0\0nqj1", &one, &[0; 100]].concat();
        let found: Vec<_> = Batches::new(&all, Some(7)).map(|(at, batch)| (at, batch.number)).collect();
        let second = one.len() + 6;
        let third = second + two.len() + old.len() + 20 + 6;
        assert_eq!(found, [(0, 1), (second, 2), (third, 1)]);
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = sealed(b"", 7, 1, 0);
        bytes[3] = b'2';
        assert_eq!(segment(&bytes), Err(b'2'));
        assert_eq!((segment(b"short"), segment(&[0; 64])), (Ok(None), Ok(None)));
    }
}
