//! Texts that are no Unicode.

use std::borrow::Cow;

use super::decode::unescape;
use super::opcode::byte;
use super::payload::Pickled;
use super::walk::Walker;

impl Pickled {
    /// The bytes that a Python `str` stands for: its UTF-8, and for each of the surrogates U+DC80 to U+DCFF the byte
    /// in whose place Python has put it (PEP 383). `None` for other objects, and for other surrogates.
    ///
    /// A file's name that is not UTF-8 becomes such a `str` in Python. It is no [`Value::Str`](super::Value::Str).
    ///
    /// ```
    /// use netq::pickle::Pickled;
    ///
    /// let name = Pickled::from_pickle(b"\x80\x04\x8c\x06caf\xed\xb3\xa9\x94.")?; // os.fsdecode(b'caf\xe9')
    /// assert_eq!(name.text_bytes().unwrap(), b"caf\xe9");
    /// # Ok::<(), netq::pickle::PickleError>(())
    /// ```
    pub fn text_bytes(&self) -> Option<Vec<u8>> {
        let mut walker = Walker::new();
        let root = walker.walk_code(self.as_bytes()).ok()?;
        let i = walker.atom(self.as_bytes(), root)?;
        let text = match i.byte {
            byte::SHORT_BINUNICODE | byte::BINUNICODE | byte::BINUNICODE8 => Cow::from(i.data),
            byte::UNICODE => unescape(i.data)?.into(),
            _ => return None,
        };
        unescaped(&text)
    }
}

/// Replaces each surrogate by its byte; `None` for those that stand for none.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        rest = match rest {
            // In UTF-8, U+D800 to U+DFFF would begin with ED and A0 to BF: nothing that is valid does.
            [0xed, second @ 0xa0..=0xbf, third, behind @ ..] => {
                let unit = (u32::from(*second) & 0x3f) << 6 | u32::from(*third) & 0x3f;
                bytes.push(u8::try_from(unit.checked_sub(0xc00)?).ok().filter(|byte| *byte >= 0x80)?);
                behind
            }
            _ => {
                bytes.push(first);
                behind
            }
        };
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pickle::Value;

    /// What Python pickles for `text.encode('utf-8', 'surrogatepass')`.
    fn bytes_of(utf8: &[u8]) -> Option<Vec<u8>> {
        let pickle = [b"\x8c", &[utf8.len() as u8][..], utf8, b"."].concat();
        Pickled::from_pickle(&pickle).unwrap().text_bytes()
    }

    #[test]
    fn a_surrogate_is_the_byte_in_whose_place_it_stands() {
        assert_eq!(bytes_of(b"").unwrap(), b"");
        assert_eq!(bytes_of("\u{d7ff}é\u{e000}".as_bytes()).unwrap(), "\u{d7ff}é\u{e000}".as_bytes());
        // os.fsdecode(bytes([0x80, 0x78, 0xff]))
        assert_eq!(bytes_of(b"\xed\xb2\x80x\xed\xb3\xbf").unwrap(), b"\x80x\xff");
    }

    #[test]
    fn protocol_0_escapes_surrogates() {
        let name = Pickled::from_pickle(b"Vcaf\\udce9\np0\n.").unwrap();
        assert_eq!(name.text_bytes().unwrap(), b"caf\xe9");
        assert_eq!(Pickled::from_pickle(b"V\\ud800\n.").unwrap().text_bytes(), None);
        assert_eq!(Pickled::from_pickle(b"V\\U00110000\n.").unwrap().text_bytes(), None);
    }

    #[test]
    fn other_surrogates_and_other_objects_have_no_bytes() {
        for lone in [b"\xed\xa0\x80", b"\xed\xb1\xbf", b"\xed\xb0\x80", b"\xed\xb4\x80", b"\xed\xbf\xbf"] {
            assert_eq!(bytes_of(lone), None, "{lone:?}");
        }
        for value in [Value::None, b"\xff".to_vec().into(), vec!["a"].into()] {
            assert_eq!(value.to_pickled().text_bytes(), None);
        }
    }
}
