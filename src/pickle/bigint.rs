//! [`BigInt`]: the integers beyond 64 bits. They are carried and printed, not calculated with.

use std::fmt;

/// Numbers of more bytes than this (about 4,300 digits, where CPython stops, too) are printed in
/// hexadecimal: decimal takes time that grows with the square of the length.
const DECIMAL_BYTES: usize = 1786;

/// An integer of any size, as the shortest little-endian two's complement (pickle's LONG1).
///
/// ```
/// use netq::pickle::BigInt;
///
/// let big = BigInt::from(u128::MAX);
/// assert_eq!(big.to_string(), "340282366920938463463374607431768211455");
/// assert_eq!(big.to_i128(), None);
/// assert_eq!(BigInt::from(-5_i128).to_i128(), Some(-5));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BigInt(Box<[u8]>);

impl BigInt {
    /// From little-endian two's complement of any length; no bytes at all are 0.
    pub fn from_le_bytes(bytes: &[u8]) -> Self {
        let mut len = bytes.len();
        while let Some(last) = len.checked_sub(1) {
            let sign = if last > 0 { bytes[last - 1] & 0x80 } else { 0 };
            match (bytes[last], sign) {
                (0, 0) => len = last,
                (0xff, 0x80) => len = last,
                _ => break,
            }
        }
        BigInt(bytes[..len].into())
    }

    /// From digits of radix 2, 8, 10 or 16, which have been checked.
    pub(super) fn from_digits(negative: bool, digits: &str, radix: u32) -> Self {
        let values = digits.chars().map(|c| c.to_digit(radix).unwrap_or(0));
        let bytes = if radix == 10 {
            let mut magnitude: Vec<u32> = Vec::new();
            for digit in values {
                let mut carry = u64::from(digit);
                for part in &mut magnitude {
                    carry += u64::from(*part) * 10;
                    *part = carry as u32;
                    carry >>= 32;
                }
                if carry > 0 {
                    magnitude.push(carry as u32);
                }
            }
            magnitude.iter().flat_map(|part| part.to_le_bytes()).collect()
        } else {
            let (mut bytes, mut bits, mut count) = (Vec::new(), 0, 0);
            for digit in values.rev() {
                bits |= digit << count;
                count += radix.trailing_zeros();
                if count >= 8 {
                    bytes.push(bits as u8);
                    bits >>= 8;
                    count -= 8;
                }
            }
            bytes.push(bits as u8);
            bytes
        };
        Self::from_magnitude(negative, bytes)
    }

    /// From the absolute value in little-endian bytes.
    pub(super) fn from_magnitude(negative: bool, mut bytes: Vec<u8>) -> Self {
        bytes.push(0);
        if negative {
            let mut carry = true;
            for byte in &mut bytes {
                (*byte, carry) = (!*byte).overflowing_add(carry.into());
            }
        }
        Self::from_le_bytes(&bytes)
    }

    /// The shortest little-endian two's complement; of 0 no bytes.
    ///
    /// ```
    /// # use netq::pickle::BigInt;
    /// assert_eq!(BigInt::from(-129_i128).as_le_bytes(), [0x7f, 0xff]);
    /// ```
    pub fn as_le_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the number is less than 0.
    pub fn is_negative(&self) -> bool {
        self.0.last().is_some_and(|&b| b >= 0x80)
    }

    /// The number, when it is in range.
    pub fn to_i128(&self) -> Option<i128> {
        let mut bytes = [if self.is_negative() { 0xff } else { 0 }; 16];
        bytes.get_mut(..self.0.len())?.copy_from_slice(&self.0);
        Some(i128::from_le_bytes(bytes))
    }

    /// The absolute value in 32-bit digits, the lowest first.
    fn magnitude(&self) -> Vec<u32> {
        let negative = self.is_negative();
        let mut carry = u64::from(negative);
        let fill = if negative { 0xff } else { 0 };
        let mut digits: Vec<u32> = (self.0.chunks(4))
            .map(|chunk| {
                let mut bytes = [fill; 4];
                bytes[..chunk.len()].copy_from_slice(chunk);
                let digit = u32::from_le_bytes(bytes);
                let digit = u64::from(if negative { !digit } else { digit }) + carry;
                carry = digit >> 32;
                digit as u32
            })
            .collect();
        digits.push(carry as u32);
        while digits.last() == Some(&0) {
            digits.pop();
        }
        digits
    }
}

impl From<i128> for BigInt {
    fn from(number: i128) -> Self {
        Self::from_le_bytes(&number.to_le_bytes())
    }
}

impl From<u128> for BigInt {
    fn from(number: u128) -> Self {
        let mut bytes = [0; 17];
        bytes[..16].copy_from_slice(&number.to_le_bytes());
        Self::from_le_bytes(&bytes)
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_negative() {
            f.write_str("-")?;
        }
        let mut digits = self.magnitude();
        if self.0.len() > DECIMAL_BYTES {
            f.write_str("0x")?;
            let highest = digits.pop().unwrap_or(0);
            write!(f, "{highest:x}")?;
            return digits.iter().rev().try_for_each(|d| write!(f, "{d:08x}"));
        }
        let mut groups = Vec::new();
        while !digits.is_empty() {
            let mut remainder = 0;
            for digit in digits.iter_mut().rev() {
                let dividend = remainder << 32 | u64::from(*digit);
                *digit = (dividend / 1_000_000_000) as u32;
                remainder = dividend % 1_000_000_000;
            }
            groups.push(remainder);
            while digits.last() == Some(&0) {
                digits.pop();
            }
        }
        write!(f, "{}", groups.pop().unwrap_or(0))?;
        groups.iter().rev().try_for_each(|g| write!(f, "{g:09}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_shortest_that_keep_the_sign() {
        for (number, bytes) in [
            (0_i128, &[][..]),
            (127, &[0x7f]),
            (128, &[0x80, 0]),
            (-1, &[0xff]),
            (-128, &[0x80]),
            (-129, &[0x7f, 0xff]),
            (1 << 64, &[0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ] {
            assert_eq!(BigInt::from(number).as_le_bytes(), bytes, "{number}");
            assert_eq!(BigInt::from(number).to_i128(), Some(number));
        }
    }

    #[test]
    fn prints_as_the_standard_library_does() {
        for shift in 0..127 {
            for number in [1_i128 << shift, -(1 << shift), (1 << shift) - 1, i128::MIN >> shift] {
                assert_eq!(BigInt::from(number).to_string(), number.to_string());
            }
        }
    }

    #[test]
    fn very_long_number_is_printed_in_hexadecimal() {
        let mut bytes = vec![0; 1_000_000];
        bytes.push(0x12);
        let text = BigInt::from_le_bytes(&bytes).to_string();
        assert!(text.starts_with("0x12000") && text.len() == 2_000_004);
        bytes.push(0xff);
        assert!(BigInt::from_le_bytes(&bytes).to_string().starts_with("-0xee"));
    }
}
