//! Challenge and response: how two peers prove that they hold the same key without sending it.
//!
//! The challenger sends a message that it never sent before; the other side answers with a MAC of that
//! message under the shared key; the challenger computes the same MAC and compares. A recorded answer is
//! worthless, because the next message differs. Both sides challenge, one after the other, so each knows
//! that the other holds the key.
//!
//! Two dialects are spoken, as CPython's `multiprocessing.connection` speaks them:
//!
//! | | challenge | answer |
//! |---|---|---|
//! | Python 3.12 and later | `{sha256}` and 40 random bytes | `{sha256}` and the 32-byte MAC |
//! | Python 3.11 and older | 20 random bytes | the 16-byte HMAC-MD5 |
//!
//! The MAC covers the whole message, its `{sha256}` included: an attacker in the middle who rewrites the
//! prefix to ask for a weaker digest gets a MAC that does not match. This module is pure computation; who
//! sends what when is [`connection`](crate::connection)'s business.
//!
//! The key authenticates, and no more: nothing here encrypts what follows.

mod hmac;
mod md5;
mod random;
mod sha384;

use std::fmt;

pub use random::random_bytes;

/// The first bytes of every challenge frame; the message follows.
pub const CHALLENGE: &[u8] = b"#CHALLENGE#";
/// What the challenger sends when the answer was right.
pub const WELCOME: &[u8] = b"#WELCOME#";
/// What the challenger sends, before it closes, when the answer was wrong.
pub const FAILURE: &[u8] = b"#FAILURE#";

/// Python 3.11 and older send messages of exactly this length, in bytes, and without a prefix.
const LEGACY_MESSAGE: usize = 20;
/// And answer with a bare MAC of this length, in bytes.
const LEGACY_ANSWER: usize = 16;
/// Random bytes in the messages that [`challenge`] makes: CPython 3.12's number.
const MESSAGE: usize = 40;
/// No fewer may follow a prefix in a message that [`answer`] answers. CPython counts its prefix too; but none
/// sends less than [`MESSAGE`].
const FEWEST: usize = 20;

/// The digests that netq computes, of the five that CPython 3.12 allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Digest {
    Md5,
    Sha256,
    Sha384,
}

impl Digest {
    fn named(name: &[u8]) -> Result<Self, AuthError> {
        match name {
            b"md5" => Ok(Self::Md5),
            b"sha256" => Ok(Self::Sha256),
            b"sha384" => Ok(Self::Sha384),
            other => Err(AuthError::UnsupportedDigest(String::from_utf8_lossy(other).into_owned())),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
        }
    }

    fn mac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => hmac::hmac::<hmac::Md5>(key, message),
            Self::Sha256 => hmac::hmac::<sha2::Sha256>(key, message),
            Self::Sha384 => hmac::hmac::<hmac::Sha384>(key, message),
        }
    }
}

/// Why a handshake did not succeed. Python's `multiprocessing.AuthenticationError`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// The peer's MAC is not the one that our key gives.
    WrongKey,
    /// The peer refused our answer with `#FAILURE#`: it holds another key, or refuses our digest.
    Rejected,
    /// The peer used HMAC-MD5 (Python 3.11 and older), which this side was told to refuse.
    LegacyRefused,
    /// The peer asks for a digest that netq does not compute.
    UnsupportedDigest(String),
    /// The peer sent something that does not belong to a handshake; the text says what was expected.
    NotAHandshake(&'static str),
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongKey => f.write_str("wrong key: the peer's answer does not match our authkey"),
            Self::Rejected => f.write_str("key rejected: the peer uses another authkey"),
            Self::LegacyRefused => f.write_str(
                "HMAC-MD5 refused: the peer is Python 3.11 or older, and only SHA-256 is accepted",
            ),
            Self::UnsupportedDigest(name) => {
                write!(f, "unsupported digest {name:?}: md5, sha256 and sha384 are known")
            }
            Self::NotAHandshake(expected) => {
                write!(f, "not a multiprocessing peer: expected {expected}")
            }
        }
    }
}

impl std::error::Error for AuthError {}

/// Makes a message that has never been sent before: `{sha256}` and 40 random bytes.
///
/// ```
/// let message = netq::auth::challenge();
/// assert_eq!(message.len(), 48);
/// assert_ne!(message, netq::auth::challenge());
/// ```
pub fn challenge() -> Vec<u8> {
    let mut message = b"{sha256}".to_vec();
    message.resize(8 + MESSAGE, 0);
    random_bytes(&mut message[8..]);
    message
}

/// Answers a challenge's message in the dialect that the message asks for.
///
/// Mirrors CPython's `multiprocessing.connection.answer_challenge`, without the sending.
///
/// # Errors
/// [`AuthError::UnsupportedDigest`] if the message names a digest that netq does not compute, and
/// [`AuthError::NotAHandshake`] if it is neither a prefixed message nor 20 bytes long. Without that check a
/// peer could have us compute a MAC over bytes of its own choice in the old dialect, whatever it claims to be.
/// The latter too if fewer than 20 bytes follow the prefix: the answers to all short messages can be collected,
/// and replayed to whoever challenges with one of them.
///
/// ```
/// let answer = netq::auth::answer(b"secret", b"{sha256}0123456789012345678901234567890123456789").unwrap();
/// assert!(answer.starts_with(b"{sha256}"));
/// let legacy = netq::auth::answer(b"secret", b"01234567890123456789").unwrap();
/// assert_eq!(legacy.len(), 16);
/// ```
pub fn answer(key: &[u8], message: &[u8]) -> Result<Vec<u8>, AuthError> {
    if message.len() == LEGACY_MESSAGE {
        return Ok(Digest::Md5.mac(key, message));
    }
    let (digest, random) = split_prefix(message)?;
    if random.len() < FEWEST {
        return Err(AuthError::NotAHandshake("a challenge of at least 20 random bytes"));
    }
    let mut answer = format!("{{{}}}", digest.name()).into_bytes();
    answer.extend(digest.mac(key, message));
    Ok(answer)
}

/// Checks the answer to a message that we sent. `allow_legacy` accepts Python 3.11's bare HMAC-MD5.
///
/// Mirrors CPython's `multiprocessing.connection.deliver_challenge`, without the sending.
///
/// # Errors
/// [`AuthError::WrongKey`] if the MAC differs, [`AuthError::LegacyRefused`] for an HMAC-MD5 where
/// `allow_legacy` is false, and as for [`answer`] if the answer has neither dialect's shape.
///
/// ```
/// use netq::auth;
/// let message = auth::challenge();
/// let answer = auth::answer(b"secret", &message).unwrap();
/// assert!(auth::verify(b"secret", &message, &answer, false).is_ok());
/// assert_eq!(auth::verify(b"other", &message, &answer, false), Err(auth::AuthError::WrongKey));
/// ```
pub fn verify(key: &[u8], message: &[u8], answer: &[u8], allow_legacy: bool) -> Result<(), AuthError> {
    let (digest, mac) =
        if answer.len() == LEGACY_ANSWER { (Digest::Md5, answer) } else { split_prefix(answer)? };
    if digest == Digest::Md5 && !allow_legacy {
        return Err(AuthError::LegacyRefused);
    }
    if same_bytes(&digest.mac(key, message), mac) { Ok(()) } else { Err(AuthError::WrongKey) }
}

/// `{digest}rest` -> the digest and the rest.
fn split_prefix(message: &[u8]) -> Result<(Digest, &[u8]), AuthError> {
    const NO_PREFIX: AuthError = AuthError::NotAHandshake("a {digest} prefix");
    let rest = message.strip_prefix(b"{").ok_or(NO_PREFIX)?;
    // The longest name that CPython allows is "sha3_256"; a brace further on is random data.
    let end = rest.iter().take(9).position(|&b| b == b'}').ok_or(NO_PREFIX)?;
    Ok((Digest::named(&rest[..end])?, &rest[end + 1..]))
}

/// Compares in a time that depends on the lengths only: a comparison that stops at the first difference
/// tells a patient attacker, byte by byte, what the right MAC would have been.
fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_is_answered_and_verified() {
        for message in [
            challenge(),
            b"{md5}0123456789012345678901234567890123456789".to_vec(),
            b"{sha384}0123456789012345678901234567890123456789".to_vec(),
            b"a legacy 20-byte msg".to_vec(),
        ] {
            let reply = answer(b"key", &message).unwrap();
            assert_eq!(verify(b"key", &message, &reply, true), Ok(()));
            assert_eq!(verify(b"yek", &message, &reply, true), Err(AuthError::WrongKey));
        }
    }

    #[test]
    fn a_bare_md5_over_a_prefixed_message_is_the_old_client_s_answer() {
        let message = challenge();
        let mac = Digest::Md5.mac(b"key", &message);
        assert_eq!(verify(b"key", &message, &mac, true), Ok(()));
        assert_eq!(verify(b"key", &message, &mac, false), Err(AuthError::LegacyRefused));
    }

    #[test]
    fn a_spelled_out_md5_is_refused_too_where_md5_is_refused() {
        let message = challenge();
        let mut reply = b"{md5}".to_vec();
        reply.extend(Digest::Md5.mac(b"key", &message));
        assert_eq!(verify(b"key", &message, &reply, false), Err(AuthError::LegacyRefused));
    }

    #[test]
    fn a_challenge_of_fewer_than_20_random_bytes_is_not_answered() {
        for prefix in [&b"{sha256}"[..], b"{md5}", b"{sha384}"] {
            let message = |random| [prefix, &vec![b'r'; random]].concat();
            for random in 0..20 {
                let answer = answer(b"key", &message(random));
                // With its prefix, this one has the length of a message without.
                if message(random).len() != 20 {
                    assert!(matches!(answer, Err(AuthError::NotAHandshake(_))), "{random}: {answer:?}");
                }
            }
            assert!(answer(b"key", &message(20)).is_ok());
        }
    }

    #[test]
    fn what_is_neither_dialect_is_refused() {
        assert!(matches!(answer(b"key", b""), Err(AuthError::NotAHandshake(_))));
        assert!(matches!(answer(b"key", &[b'x'; 21]), Err(AuthError::NotAHandshake(_))));
        assert_eq!(
            answer(b"key", b"{sha3_256}0123456789012345678901234567890123456789"),
            Err(AuthError::UnsupportedDigest("sha3_256".into()))
        );
        assert!(verify(b"key", b"message", b"", true).is_err());
        assert!(verify(b"key", b"message", b"{sha256}short", true).is_err());
    }
}
