//! HMAC (RFC 2104): a keyed digest, made of two passes of an ordinary one.

use sha2::Digest;

/// The size, in bytes, of the largest [`Hash::BLOCK`].
const LONGEST_BLOCK: usize = 128;

/// A hash function as HMAC needs it. `digest` hashes the concatenation of its parts.
pub(super) trait Hash {
    /// The size, in bytes, of the blocks that the function works through.
    const BLOCK: usize;
    fn digest(parts: [&[u8]; 2]) -> Vec<u8>;
}

impl Hash for sha2::Sha256 {
    const BLOCK: usize = 64;
    fn digest(parts: [&[u8]; 2]) -> Vec<u8> {
        let mut hash = Self::new();
        for part in parts {
            hash.update(part);
        }
        hash.finalize().to_vec()
    }
}

/// SHA-384, which no peer of CPython's asks for by itself.
pub(super) struct Sha384;

impl Hash for Sha384 {
    const BLOCK: usize = 128;
    fn digest(parts: [&[u8]; 2]) -> Vec<u8> {
        super::sha384::sha384(&parts.concat()).to_vec()
    }
}

/// MD5, which only Python 3.11 and older need.
pub(super) struct Md5;

impl Hash for Md5 {
    const BLOCK: usize = 64;
    fn digest(parts: [&[u8]; 2]) -> Vec<u8> {
        super::md5::md5(&parts.concat()).to_vec()
    }
}

/// `H((key ^ opad) + H((key ^ ipad) + message))`.
pub(super) fn hmac<H: Hash>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let digest;
    let key = if key.len() > H::BLOCK {
        digest = H::digest([key, b""]);
        &digest
    } else {
        key
    };
    let mut block = [0; LONGEST_BLOCK];
    block[..key.len()].copy_from_slice(key);
    let pad = |byte: u8| block.map(|b| b ^ byte);
    let inner = H::digest([&pad(0x36)[..H::BLOCK], message]);
    H::digest([&pad(0x5c)[..H::BLOCK], &inner])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn rfc_2202_and_4231_test_vectors() {
        let (key, message) = (b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(&hmac::<Md5>(key, message)), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(
            hex(&hmac::<sha2::Sha256>(key, message)),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&hmac::<Sha384>(key, message)),
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e\
             8e2240ca5e69e2c78b3239ecfab21649"
        );
    }

    #[test]
    fn a_key_longer_than_a_block_is_hashed_first() {
        let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(hex(&hmac::<Md5>(&[0xaa; 80], message)), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
        assert_eq!(
            hex(&hmac::<sha2::Sha256>(&[0xaa; 131], message)),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
