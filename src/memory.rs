//! Large buffers, and how they are freed, so that a hub is as small after a backlog as it was before.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// From this size on, in bytes, allocators map memory for one allocation alone.
const MAPPED: usize = 128 * 1024;

/// How much memory, in bytes, is kept for the next large messages.
const SPARE: usize = 4 * 1024 * 1024;

/// Buffers of large messages that are gone, for those to come, with what was in them. Memory that is fresh from
/// the system has to be zeroed by the kernel page by page, and again by us: without this a put and get of 1 MB
/// took 40 % longer, measured.
static SPARES: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Bytes whose memory goes back to the system when they are dropped.
///
/// glibc maps large allocations, and unmaps them when they are freed. But when it sees one freed, it takes
/// the size for a usual one, and from then on such allocations come from its heap, where whatever small thing
/// is allocated next pins them: after a backlog of 20,000 items of 10 KB was drained, 200 MB of the process
/// stayed, measured. It goes by the size at the end, and to shrink a mapped buffer costs no copy.
#[derive(Clone, Debug, Default)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// An empty buffer with room for so many bytes, in memory that a former message has left if there is any.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let Some(mut spare) = Self::spare(capacity) else { return Vec::with_capacity(capacity).into() };
        spare.clear();
        spare
    }

    /// A buffer that a former message has left, if there is one that holds `capacity` bytes. It is as long as that
    /// message was, and to be overwritten.
    pub(crate) fn spare(capacity: usize) -> Option<Self> {
        if capacity < MAPPED {
            return None;
        }
        let mut spares = SPARES.lock().unwrap_or_else(PoisonError::into_inner);
        // In one that is much too large, the message would have to be copied to be kept.
        let fits = capacity..=capacity + capacity / 2;
        let index = spares.iter().position(|spare| fits.contains(&spare.capacity()))?;
        Some(Self(spares.remove(index)))
    }

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
        if self.0.capacity() < MAPPED {
            return;
        }
        let mut surplus = vec![mem::take(&mut self.0)];
        if surplus[0].capacity() <= SPARE {
            let mut spares = SPARES.lock().unwrap_or_else(PoisonError::into_inner);
            spares.append(&mut surplus);
            // The oldest go first: they may be of a size that nobody sends any more.
            while spares.iter().map(Vec::capacity).sum::<usize>() > SPARE {
                surplus.push(spares.remove(0));
            }
        }
        for mut spare in surplus {
            spare.clear();
            spare.shrink_to(1);
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

/// Has the C library look through what this thread's part of its heap has free, and give back what it can.
///
/// glibc puts small pieces that are freed aside, where they keep the larger ones around them from becoming
/// one, until something of 64 KiB or more is freed. When 5,000 connections had left, 18 of their 60 MB stayed,
/// measured. The piece that is freed here is never touched, and so takes no memory.
pub(crate) fn tidy() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(MAPPED * 3 / 4)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spares_are_used_again_and_bounded() {
        let buffers: Vec<Buffer> = (0..20).map(|_| Vec::with_capacity(1 << 20).into()).collect();
        drop(buffers);
        let kept: usize = SPARES.lock().unwrap().iter().map(Vec::capacity).sum();
        assert!(kept <= SPARE, "{kept} bytes are kept");
        let spare = Buffer::with_capacity(1 << 20);
        assert!(spare.is_empty() && spare.capacity() >= 1 << 20);
        assert!(Buffer::spare(1 << 30).is_none());
        // Of a size that no other test here has.
        assert!(Buffer::spare(690_000).is_none(), "those that are left are much too large");
        drop(Buffer::from(Vec::with_capacity(690_000)));
        assert!(Buffer::spare(690_000).is_some(), "the latest size counts");
        assert!(Buffer::spare(10).is_none());
    }
}
