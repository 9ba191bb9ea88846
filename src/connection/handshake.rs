//! The handshake: the only way from a stranger to a connection. CPython's `deliver_challenge` and
//! `answer_challenge`, with a deadline for the whole.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Connection, Deadline, FrameError, FrameReader, Source};
use crate::auth::{self, AuthError};

/// No frame of a handshake is longer, in bytes; CPython has the same bound.
const HANDSHAKE_FRAME: u64 = 256;

/// The key that both peers hold, and what proof of it is accepted. Python's `authkey`.
///
/// ```
/// let key = netq::connection::AuthKey::new(b"a secret of at least 16 bytes").sha256_only();
/// assert_eq!(format!("{key:?}"), "AuthKey(29 bytes)"); // a key never gets into a log
/// ```
#[derive(Clone)]
pub struct AuthKey {
    bytes: Arc<[u8]>,
    allow_legacy: bool,
}

impl AuthKey {
    /// A key that accepts both of CPython's dialects.
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), allow_legacy: true }
    }

    /// The same key, which refuses the HMAC-MD5 answers of Python 3.11 and older.
    pub fn sha256_only(self) -> Self {
        Self { allow_legacy: false, ..self }
    }

    /// Whether [`sha256_only`](Self::sha256_only) was said.
    pub fn is_sha256_only(&self) -> bool {
        !self.allow_legacy
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthKey({} bytes)", self.bytes.len())
    }
}

/// Why a stranger did not become a connection.
#[derive(Debug)]
pub enum HandshakeError {
    /// The stream failed, ended or was too slow.
    Frame(FrameError),
    /// The peer does not hold the key, or does not speak the protocol.
    Auth(AuthError),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(FrameError::Io(error)) if error.kind() == ErrorKind::TimedOut => {
                f.write_str("no handshake before the deadline")
            }
            Self::Frame(error) => write!(f, "handshake: {error}"),
            Self::Auth(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for HandshakeError {}

impl From<FrameError> for HandshakeError {
    fn from(error: FrameError) -> Self {
        match error {
            // `GET ` and a TLS hello are, read as a length, hundreds of megabytes.
            FrameError::TooLong { .. } | FrameError::BadLength(_) => {
                Self::Auth(AuthError::NotAHandshake("a short frame"))
            }
            error => Self::Frame(error),
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        Self::Frame(error.into())
    }
}

impl From<AuthError> for HandshakeError {
    fn from(error: AuthError) -> Self {
        Self::Auth(error)
    }
}

/// A peer that has not yet shown that it holds the key.
#[derive(Debug)]
pub struct Stranger {
    link: Connection,
    started: Instant,
    patience: Duration,
}

impl Stranger {
    /// Takes a connected socket. The whole handshake, however slowly its bytes come, must end within
    /// `patience`.
    ///
    /// # Errors
    /// Those of the socket, which may be closed already.
    pub fn new(stream: Arc<TcpStream>, patience: Duration) -> io::Result<Self> {
        // Each reply is one write; waiting for more to send would only delay it.
        stream.set_nodelay(true)?;
        let reader = FrameReader::new(HANDSHAKE_FRAME);
        let link = Connection { stream, reader, scratch: Vec::new() };
        Ok(Self { link, started: Instant::now(), patience })
    }

    /// The server's side: challenge, then answer. `limit` bounds, in bytes, the messages that follow.
    ///
    /// # Errors
    /// [`HandshakeError`]; the peer has been told `#FAILURE#` if its answer was wrong.
    pub fn welcome(mut self, key: &AuthKey, limit: u64) -> Result<Connection, HandshakeError> {
        self.deliver_challenge(key)?;
        self.answer_challenge(key)?;
        let link = self.authenticated(limit)?;
        // A Python client sends its request right behind the #WELCOME# that we have just read, as a second
        // small write, and its kernel holds it back until the first is acknowledged: by itself, 40 ms later.
        if !link.reader.has_frame() {
            (&*link.stream).acknowledge();
        }
        Ok(link)
    }

    /// The client's side: answer, then challenge. `limit` as for [`welcome`](Self::welcome).
    ///
    /// # Errors
    /// [`HandshakeError`].
    pub fn introduce(mut self, key: &AuthKey, limit: u64) -> Result<Connection, HandshakeError> {
        self.answer_challenge(key)?;
        self.deliver_challenge(key)?;
        self.link.reader.make_roomy();
        self.authenticated(limit)
    }

    fn authenticated(self, limit: u64) -> Result<Connection, HandshakeError> {
        let mut link = self.link;
        link.stream.set_read_timeout(None)?;
        link.reader.set_limit(limit);
        Ok(link)
    }

    fn deliver_challenge(&mut self, key: &AuthKey) -> Result<(), HandshakeError> {
        let message = auth::challenge();
        self.link.send(&[auth::CHALLENGE, &message])?;
        let answer = self.read("an answer to the challenge", <[u8]>::to_vec)?;
        match auth::verify(key.as_bytes(), &message, &answer, key.allow_legacy) {
            Ok(()) => Ok(self.link.send(&[auth::WELCOME])?),
            Err(error) => {
                // The peer may be gone already; what it did wrong is the error worth reporting.
                let _ = self.link.send(&[auth::FAILURE]);
                Err(error.into())
            }
        }
    }

    fn answer_challenge(&mut self, key: &AuthKey) -> Result<(), HandshakeError> {
        const EXPECTED: &str = "a #CHALLENGE#";
        let message = self.read(EXPECTED, |frame| frame.strip_prefix(auth::CHALLENGE).map(<[u8]>::to_vec))?;
        let message = message.ok_or(AuthError::NotAHandshake(EXPECTED))?;
        let answer = auth::answer(key.as_bytes(), &message)?;
        self.link.send(&[&answer])?;
        match self.read("a #WELCOME#", |frame| frame == auth::WELCOME)? {
            true => Ok(()),
            false => Err(AuthError::Rejected.into()),
        }
    }

    fn read<T>(
        &mut self,
        expected: &'static str,
        parse: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, HandshakeError> {
        let mut source =
            Deadline { stream: &self.link.stream, started: self.started, patience: self.patience };
        match self.link.reader.read(&mut source)? {
            Some(frame) => Ok(parse(&frame)),
            // A hub that stops, or has no room, does that too: it says nothing about who the peer is.
            None => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                format!("the peer closed the connection instead of sending {expected}"),
            )
            .into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener};
    use std::thread;

    use super::*;
    use crate::connection::is_gone;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn pair() -> (Arc<TcpStream>, Arc<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Arc::new(client), Arc::new(listener.accept().unwrap().0))
    }

    type Outcome = Result<Connection, HandshakeError>;

    fn handshake(client_key: AuthKey, server_key: AuthKey) -> (Outcome, Outcome) {
        let (client, server) = pair();
        let client = thread::spawn(move || Stranger::new(client, PATIENCE)?.introduce(&client_key, 100));
        let server = Stranger::new(server, PATIENCE).unwrap().welcome(&server_key, 100);
        (client.join().unwrap(), server)
    }

    #[test]
    fn peers_with_the_same_key_can_talk() {
        let (client, server) = handshake(AuthKey::new(b"k"), AuthKey::new(b"k").sha256_only());
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        client.send(&[b"hel", b"lo"]).unwrap();
        assert_eq!(&*server.receive().unwrap().unwrap(), b"hello");
        assert!(!is_gone(server.stream()));
        drop(client);
        assert!(server.receive().unwrap().is_none());
        assert!(is_gone(server.stream()));
    }

    #[test]
    fn a_wrong_key_is_told_so_and_named_on_both_sides() {
        let (client, server) = handshake(AuthKey::new(b"k"), AuthKey::new(b"other"));
        assert!(matches!(client, Err(HandshakeError::Auth(AuthError::Rejected))));
        assert!(matches!(server, Err(HandshakeError::Auth(AuthError::WrongKey))));
    }

    #[test]
    fn a_peer_that_speaks_another_protocol_is_named() {
        for hello in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"] {
            let (mut client, server) = pair();
            Arc::get_mut(&mut client).unwrap().write_all(hello).unwrap();
            let error =
                Stranger::new(server, PATIENCE).unwrap().welcome(&AuthKey::new(b"k"), 100).unwrap_err();
            assert!(error.to_string().starts_with("not a multiprocessing peer"), "{error}");
        }
    }

    #[test]
    fn a_peer_that_leaves_is_not_taken_for_a_stranger_to_the_protocol() {
        let (client, server) = pair();
        drop(server);
        let error = Stranger::new(client, PATIENCE).unwrap().introduce(&AuthKey::new(b"k"), 100).unwrap_err();
        assert!(
            matches!(&error, HandshakeError::Frame(FrameError::Io(e)) if e.kind() == ErrorKind::UnexpectedEof),
            "{error}"
        );
    }

    #[test]
    fn patience_may_be_longer_than_any_clock_runs() {
        let (client, server) = pair();
        let client = thread::spawn(move || {
            let mut link =
                Stranger::new(client, Duration::MAX).unwrap().introduce(&AuthKey::new(b"k"), 100)?;
            Ok::<_, HandshakeError>(link.send(&[&[0; 200]])?)
        });
        let mut link =
            Stranger::new(server, Duration::MAX).unwrap().welcome(&AuthKey::new(b"k"), 100).unwrap();
        let Err(FrameError::TooLong { .. }) = link.receive() else { panic!() };
        link.skip(200, Duration::MAX).unwrap();
        client.join().unwrap().unwrap();
    }

    #[test]
    fn a_trickle_of_bytes_does_not_move_the_deadline() {
        let (client, server) = pair();
        let trickle = thread::spawn(move || {
            // A frame of 200 bytes, one at a time: each would arrive in time for a deadline per read.
            (&*client).write_all(b"\0\0\0\xc8").unwrap();
            while (&*client).write_all(b"\0").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        let stranger = Stranger::new(server.clone(), Duration::from_millis(70)).unwrap();
        let error = stranger.welcome(&AuthKey::new(b"k"), 100).unwrap_err();
        assert!(
            matches!(&error, HandshakeError::Frame(FrameError::Io(e)) if e.kind() == ErrorKind::TimedOut),
            "{error}"
        );
        server.shutdown(Shutdown::Both).unwrap();
        drop(server);
        trickle.join().unwrap();
    }
}
