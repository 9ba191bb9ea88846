//! Random bytes from the standard library alone, on every platform.

use std::hash::{BuildHasher, RandomState};
#[cfg(unix)]
use std::io::Read;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::number::Numbers;

/// Fills `bytes` with what nobody outside this process can predict.
///
/// A secret seed is taken once; each block of output is the SHA-256 of the seed and a number that is never
/// used again. That costs no system call and no descriptor for each connection, and still works when the
/// process has run out of descriptors.
pub fn random_bytes(bytes: &mut [u8]) {
    static SEED: OnceLock<[u8; 64]> = OnceLock::new();
    static NUMBERS: Numbers = Numbers::new();
    let seed = SEED.get_or_init(seed);
    for block in bytes.chunks_mut(32) {
        let number = NUMBERS.next();
        let digest = Sha256::new().chain_update(seed).chain_update(number.to_le_bytes()).finalize();
        block.copy_from_slice(&digest[..block.len()]);
    }
}

/// Half from the system's random device, where there is one, and half from the keys of std's hash maps,
/// which std takes from the operating system's generator: either half alone is enough.
fn seed() -> [u8; 64] {
    let mut seed = [0; 64];
    #[cfg(unix)]
    if let Ok(mut device) = std::fs::File::open("/dev/urandom") {
        // A failure leaves the other half, which does not depend on a file.
        let _ = device.read_exact(&mut seed[..32]);
    }
    for (i, word) in seed[32..].chunks_mut(8).enumerate() {
        let keyed = RandomState::new().hash_one((i, std::time::Instant::now()));
        word.copy_from_slice(&keyed.to_le_bytes());
    }
    seed
}

#[cfg(test)]
mod tests {
    use super::random_bytes;

    #[test]
    fn every_call_gives_other_bytes_of_any_length() {
        let mut seen = std::collections::HashSet::new();
        for len in 16..200 {
            let mut bytes = vec![0; len];
            random_bytes(&mut bytes);
            assert!(seen.insert(bytes[..16].to_vec()));
            assert!(len < 64 || bytes[len - 16..].iter().any(|&b| b != 0));
        }
    }
}
