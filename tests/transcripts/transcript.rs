//! Reads the recordings. The format is described in `record.py`.

use std::fs;
use std::path::Path;

/// Each side sends a challenge, an answer and a verdict.
const HANDSHAKE: usize = 6;

/// Who sent a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// A frame, without its length.
pub struct Frame {
    pub side: Side,
    pub body: Vec<u8>,
    /// What the program did that led to this frame, and perhaps to some more.
    pub note: String,
}

/// All frames of one TCP connection, the handshake's first.
pub struct Connection {
    pub frames: Vec<Frame>,
}

impl Connection {
    /// The requests and their replies; none if the handshake failed. Python's server replies twice to
    /// `shutdown`, once to everything else.
    pub fn exchanges(&self) -> impl Iterator<Item = Exchange<'_>> {
        let welcomed = self.frames[2].body == b"#WELCOME#";
        let frames = if welcomed { &self.frames[HANDSHAKE..] } else { &[] };
        frames.windows(2).filter(|pair| pair[0].side == Side::Client).map(|pair| {
            assert_eq!(pair[1].side, Side::Server, "a request without a reply");
            Exchange { note: &pair[0].note, request: &pair[0].body, reply: &pair[1].body }
        })
    }
}

/// One recording.
pub struct Transcript {
    pub name: String,
    pub authkey: Vec<u8>,
    /// In the order of their opening.
    pub connections: Vec<Connection>,
}

/// A request and its reply.
pub struct Exchange<'a> {
    pub note: &'a str,
    pub request: &'a [u8],
    pub reply: &'a [u8],
}

impl Transcript {
    /// All exchanges on connections whose handshake succeeded.
    pub fn exchanges(&self) -> impl Iterator<Item = Exchange<'_>> {
        self.connections.iter().flat_map(Connection::exchanges)
    }
}

/// All recordings, the name being the file's without its extension.
pub fn all() -> Vec<Transcript> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    assert!(!paths.is_empty(), "there are no recordings");
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Transcript {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut transcript = Transcript { name, authkey: Vec::new(), connections: Vec::new() };
    let mut note = String::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let side = match word {
            "#" => {
                note = rest.to_owned();
                continue;
            }
            "authkey" => {
                transcript.authkey = bytes(rest);
                continue;
            }
            "connection" => {
                transcript.connections.push(Connection { frames: Vec::new() });
                continue;
            }
            "C" => Side::Client,
            "S" => Side::Server,
            _ => continue,
        };
        let frame = bytes(rest);
        let (length, body) = frame.split_first_chunk().unwrap();
        assert_eq!(u32::from_be_bytes(*length) as usize, body.len(), "{line}");
        let frames = &mut transcript.connections.last_mut().unwrap().frames;
        frames.push(Frame { side, body: body.to_vec(), note: note.clone() });
    }
    transcript
}

/// `0102 61*3` -> 01 02 61 61 61.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        let (hex, times) = word.split_once('*').map_or((word, 1), |(hex, n)| (hex, n.parse().unwrap()));
        let part: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        bytes.extend(part.repeat(times));
    }
    bytes
}
