//! CRC-32, by which a torn or damaged batch is told from a whole one: the one of zip, PNG and Ethernet.

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut word, mut bit) = (byte as u32, 0);
        while bit < 8 {
            word = if word & 1 == 1 { word >> 1 ^ 0xedb8_8320 } else { word >> 1 };
            bit += 1;
        }
        table[byte] = word;
        byte += 1;
    }
    table
}

/// The checksum of these pieces, one behind the other.
pub(super) fn crc32(pieces: [&[u8]; 2]) -> u32 {
    let mut crc = u32::MAX;
    for piece in pieces {
        for &byte in piece {
            crc = crc >> 8 ^ TABLE[usize::from(crc as u8 ^ byte)];
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_standard_one() {
        assert_eq!(crc32([b"123456789", b""]), 0xcbf4_3926);
        assert_eq!(crc32([b"1234", b"56789"]), 0xcbf4_3926);
        assert_eq!(crc32([b"", b""]), 0);
    }
}
