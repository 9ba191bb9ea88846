//! Large buffers, and how they are freed, so that a hub is as small after a backlog as it was before.

use std::mem;
use std::ops::{Deref, DerefMut};

/// From this size on, in bytes, allocators map memory for one allocation alone.
const MAPPED: usize = 128 * 1024;

/// Bytes whose memory goes back to the system when they are dropped.
///
/// glibc maps large allocations, and unmaps them when they are freed. But when it sees one freed, it takes
/// the size for a usual one, and from then on such allocations come from its heap, where whatever small thing
/// is allocated next pins them: after a backlog of 20,000 items of 10 KB was drained, 200 MB of the process
/// stayed, measured. It goes by the size at the end, and to shrink a mapped buffer costs no copy.
#[derive(Clone, Debug, Default)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// The bytes, to be freed like any others.
    pub fn into_vec(mut self) -> Vec<u8> {
        mem::take(&mut self.0)
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.0.capacity() >= MAPPED {
            self.0.clear();
            self.0.shrink_to(1);
        }
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}
