//! A client of Redis: connections that are kept for the next call, and calls that outlive a connection.
//!
//! A call is a script. Each connection has a name, and numbers its calls: the script remembers the latest number of
//! each name, so that a call can be made again on a new connection when the old one broke before its answer came.

use std::fmt;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::address::Address;
use super::pipe::Pipe;
use super::resp::{Replies, Reply, Strings, digits};
use super::scripts::{END, SCRIPTS, whole};
use crate::connection::is_gone;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);

/// How long Redis may take for an answer that it has at hand.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// A connection that was used less than this ago is taken to be alive without a look.
const FRESH: Duration = Duration::from_millis(100);

/// Connections for the commands of all threads.
const PIPES: usize = 2;

/// A command of so many bytes has a connection for itself.
const LARGE: usize = 16 * 1024;

/// Connections that are kept though nobody uses them.
const IDLE: usize = 64;

/// Pauses between attempts: the first, and the longest.
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why Redis has not done something.
#[cfg_attr(test, derive(Debug))]
pub(super) enum Trouble {
    /// It cannot be reached, and was told nothing.
    Away(io::Error),
    /// It was told, and did not answer: whether it has done it nobody knows.
    Lost(io::Error),
    /// It says no.
    Says(String),
}

/// What Redis may say: by which word, whether it may be over in a moment, and what can be done.
const SAYINGS: [(&str, bool, &str); 14] = [
    ("OOM", false, "make room, or raise its maxmemory"),
    ("LOADING", true, "it reads its file: wait until it has"),
    ("BUSY", true, "somebody's script keeps it busy: SCRIPT KILL ends that"),
    ("READONLY", true, "this is a replica: give the address of the master"),
    ("MASTERDOWN", true, "this is a replica without a master"),
    ("MISCONF", true, "see to its disk"),
    ("NOREPLICAS", true, "see to its replicas"),
    ("CLUSTERDOWN", true, "see to its cluster"),
    ("TRYAGAIN", true, "see to its cluster"),
    (
        "MOVED",
        false,
        "this is a node of a cluster, and netq speaks to one Redis only: give the address of one that is alone",
    ),
    ("CROSSSLOT", false, "this is a node of a cluster, and netq speaks to one Redis only"),
    ("NOAUTH", false, "give the password: redis://:password@host or redis://user:password@host"),
    ("WRONGPASS", false, "give the right user and password: redis://user:password@host"),
    ("NOPERM", false, "its user may not do what netq needs: scripts, BLPOP, INFO, and the keys {netq:*"),
];

impl Trouble {
    fn saying(&self) -> Option<&'static (&'static str, bool, &'static str)> {
        // What goes wrong in a script is the script's error, which says where, and only then what.
        let Self::Says(text) = self else { return None };
        SAYINGS.iter().find(|(word, ..)| text.split([' ', '-', ':']).any(|part| part == *word))
    }

    /// The same once more.
    pub(super) fn again(&self) -> Self {
        let copy = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        match self {
            Self::Away(error) => Self::Away(copy(error)),
            Self::Lost(error) => Self::Lost(copy(error)),
            Self::Says(text) => Self::Says(text.clone()),
        }
    }

    /// Whether it may be over in a moment.
    fn may_pass(&self) -> bool {
        match self {
            Self::Away(error) | Self::Lost(error) => error.kind() != ErrorKind::InvalidData,
            Self::Says(_) => self.saying().is_some_and(|saying| saying.1),
        }
    }

    /// What that means for who has asked for something.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Away(_) => ": nothing was done",
            Self::Lost(_) => ": whether this was done is not known",
            Self::Says(_) => "",
        }
    }

    /// Whether it refuses to keep more.
    pub(super) fn is_full(&self) -> bool {
        self.saying().is_some_and(|saying| saying.0 == "OOM")
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(error) => write!(f, "it cannot be reached ({error})"),
            Self::Lost(error) => {
                let why: &dyn fmt::Display = if is_timeout(error) { &"is it frozen?" } else { error };
                write!(f, "it did not answer ({why})")
            }
            Self::Says(text) => {
                f.write_str(text)?;
                match self.saying() {
                    Some(saying) => write!(f, ": {}", saying.2),
                    None => Ok(()),
                }
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// A connection, or the place of one.
pub(super) struct Link {
    /// Its part of the name by which its calls are known.
    slot: u32,
    calls: u64,
    pub stream: Option<TcpStream>,
    pub replies: Replies,
    /// For how long its socket waits.
    patience: Duration,
    /// When the last command was sent.
    used: Instant,
}

impl Link {
    /// Sets for how long the socket waits.
    fn wait_for(&mut self, patience: Duration) -> io::Result<()> {
        let Some(stream) = self.stream.as_ref().filter(|_| self.patience != patience) else { return Ok(()) };
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        self.patience = patience;
        Ok(())
    }
}

/// A Redis, and connections to it.
pub(super) struct Client {
    address: Address,
    /// What no other hub is called.
    hub: String,
    /// The places that nobody uses, of which the first have no connection any more.
    links: Mutex<Vec<Link>>,
    slots: AtomicU32,
    pipes: [Pipe; PIPES],
    /// By which the scripts are called, as Redis said.
    hashes: Mutex<Vec<String>>,
}

impl Client {
    pub(super) fn new(address: Address, hub: String) -> Self {
        let (links, slots, pipes) = (Mutex::default(), AtomicU32::new(0), Default::default());
        Self { address, hub, links, slots, pipes, hashes: Mutex::default() }
    }

    pub(super) fn hub(&self) -> &str {
        &self.hub
    }

    pub(super) fn name(&self) -> String {
        self.address.name()
    }

    /// Has Redis know the scripts. Returns what it says of itself, and what it is called: `new_id` if it has no name
    /// yet.
    pub(super) fn open(&self, new_id: &str) -> Result<(String, String), Trouble> {
        let mut hashes = Vec::new();
        for script in 0..SCRIPTS.len() {
            hashes.push(self.text(&[b"SCRIPT", b"LOAD", &whole(script)])?);
        }
        *lock(&self.hashes) = hashes;
        self.command(&[b"SET", b"netq:id", new_id.as_bytes(), b"NX"], ANSWER)?;
        Ok((self.text(&[b"INFO"])?, self.text(&[b"GET", b"netq:id"])?))
    }

    /// What a command answers that answers a text.
    fn text(&self, words: &[&[u8]]) -> Result<String, Trouble> {
        match self.command(words, ANSWER)? {
            Reply::Text(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
            _ => Err(Trouble::Says("its answer is not one of Redis".into())),
        }
    }

    /// Runs a script about the queue whose keys begin with `prefix`, and again on a new connection when one breaks, for
    /// as long as `patience`. `who` and a number are for who numbers his own calls.
    pub(super) fn run(
        &self,
        script: usize,
        prefix: &str,
        who: Option<(&str, i64)>,
        args: &Strings,
        patience: Duration,
    ) -> Result<Reply, Trouble> {
        let mut link = self.link();
        link.calls += 1;
        let mut step = Strings::default();
        step.add(b"1");
        step.add(prefix.as_bytes());
        if script <= END {
            match who {
                Some((who, number)) => {
                    step.add_two(b"c", who.as_bytes());
                    step.add(number.to_string().as_bytes());
                }
                None => {
                    let mut slot = vec![b'.'];
                    digits(&mut slot, link.slot.into());
                    step.add_two(self.hub.as_bytes(), &slot);
                    step.number(link.calls);
                }
            }
        }
        let hash = lock(&self.hashes).get(script).cloned().unwrap_or_default();
        let (begun, mut pause, mut lost) = (Instant::now(), Duration::ZERO, false);
        // The first time with those of others, unless it would keep them waiting.
        let mut piped = args.len() < LARGE;
        let result = loop {
            let words = [&b"EVALSHA"[..], hash.as_bytes()];
            let mut reply = match mem::take(&mut piped) {
                true => self.pipe().call(self, whole_command(words, &step, args)),
                false => self.ask(&mut link, words, &step, args, ANSWER),
            };
            // Redis forgets scripts when it is started again.
            if matches!(&reply, Err(Trouble::Says(text)) if text.starts_with("NOSCRIPT")) {
                reply = self.ask(&mut link, [b"EVAL", &whole(script)], &step, args, ANSWER);
            }
            lost |= matches!(reply, Err(Trouble::Lost(_)));
            match reply {
                Err(trouble) if trouble.may_pass() && begun.elapsed() + pause < patience => {
                    // By another name the master may be another one by now.
                    link.stream = None;
                    thread::sleep(pause);
                    pause = (pause * 2).clamp(PAUSE, LONGEST_PAUSE);
                }
                Err(Trouble::Away(error)) if lost => break Err(Trouble::Lost(error)),
                result => break result,
            }
        };
        self.keep(link);
        result
    }

    /// The one that is not busy, if there is one.
    fn pipe(&self) -> &Pipe {
        let free = self.pipes.iter().find(|pipe| !pipe.is_led());
        free.unwrap_or(&self.pipes[self.slots.load(Ordering::Relaxed) as usize % PIPES])
    }

    /// Waits until a bell is rung, or for so long.
    pub(super) fn listen(&self, bell: &str, patience: Duration) -> Result<(), Trouble> {
        // Zero is for ever.
        let milliseconds = (patience.as_millis() as u64).max(1);
        let seconds = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
        self.command(&[b"BLPOP", bell.as_bytes(), seconds.as_bytes()], patience + ANSWER).map(drop)
    }

    /// One command that may be lost, or come twice.
    fn command(&self, words: &[&[u8]], patience: Duration) -> Result<Reply, Trouble> {
        let mut link = self.link();
        let (mut rest, nothing) = (Strings::default(), Strings::default());
        words[1..].iter().for_each(|word| rest.add(word));
        // One that was idle may have been closed meanwhile.
        let used = link.stream.is_some();
        let mut reply = self.ask(&mut link, [words[0], &[]], &rest, &nothing, patience);
        if used && matches!(&reply, Err(Trouble::Lost(error)) if !is_timeout(error)) {
            reply = self.ask(&mut link, [words[0], &[]], &rest, &nothing, patience);
        }
        self.keep(link);
        reply
    }

    /// Sends a command and waits for the answer, on a new connection if there is none. What fails ends it.
    fn ask(
        &self,
        link: &mut Link,
        words: [&[u8]; 2],
        step: &Strings,
        args: &Strings,
        patience: Duration,
    ) -> Result<Reply, Trouble> {
        self.enliven(link)?;
        exchange(link, words, step, args, patience)
    }

    /// Makes sure of a connection, whose socket waits for an answer as long as it takes to be at hand.
    pub(super) fn enliven(&self, link: &mut Link) -> Result<(), Trouble> {
        // Seen before anything is sent, that Redis has closed it costs nothing.
        if link.used.elapsed() > FRESH && link.stream.as_ref().is_some_and(is_gone) {
            link.stream = None;
        }
        link.used = Instant::now();
        if link.stream.is_none() {
            self.connect(link)?;
        }
        link.wait_for(ANSWER).map_err(Trouble::Away)
    }

    fn connect(&self, link: &mut Link) -> Result<(), Trouble> {
        let Address { host, user, password, db } = &self.address;
        let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in host.to_socket_addrs().map_err(Trouble::Away)? {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(Trouble::Away)?;
                    (link.stream, link.replies, link.patience) =
                        (Some(stream), Replies::new(), Duration::ZERO);
                    break;
                }
                Err(error) => failure = error,
            }
        }
        if link.stream.is_none() {
            return Err(Trouble::Away(failure));
        }
        let mut login = Strings::default();
        if !user.is_empty() {
            login.add(user.as_bytes());
        }
        login.add(password.as_bytes());
        let mut select = Strings::default();
        select.number((*db).into());
        for (word, wanted, args) in
            [(&b"AUTH"[..], !password.is_empty(), &login), (b"SELECT", *db > 0, &select)]
        {
            let said = if wanted {
                exchange(link, [word, &[]], args, &Strings::default(), ANSWER)
            } else {
                continue;
            };
            if let Err(trouble) = said {
                link.stream = None;
                return Err(match trouble {
                    Trouble::Lost(error) => Trouble::Away(error),
                    trouble => trouble,
                });
            }
        }
        Ok(())
    }

    /// A connection for a call, or only the place of one.
    pub(super) fn link(&self) -> Link {
        lock(&self.links).pop().unwrap_or_else(|| Link {
            slot: self.slots.fetch_add(1, Ordering::Relaxed),
            calls: 0,
            stream: None,
            replies: Replies::new(),
            patience: Duration::ZERO,
            used: Instant::now(),
        })
    }

    fn keep(&self, mut link: Link) {
        let mut links = lock(&self.links);
        let idle = links.len();
        if idle >= IDLE {
            link.stream = None;
        }
        let at = if link.stream.is_some() { idle } else { 0 };
        links.insert(at, link);
    }
}

/// The command that is these words, of which the second may be missing, and what follows them.
fn head(words: [&[u8]; 2], step: &Strings) -> Strings {
    let mut head = Strings::default();
    words.iter().filter(|word| !word.is_empty()).for_each(|word| head.add(word));
    head.append(step);
    head
}

fn whole_command(words: [&[u8]; 2], step: &Strings, args: &Strings) -> Vec<u8> {
    let mut head = head(words, step);
    head.append(args);
    head.command()
}

/// Sends a command and waits for the answer.
fn exchange(
    link: &mut Link,
    words: [&[u8]; 2],
    step: &Strings,
    args: &Strings,
    patience: Duration,
) -> Result<Reply, Trouble> {
    link.wait_for(patience).map_err(Trouble::Away)?;
    let Some(stream) = &link.stream else { return Err(Trouble::Away(ErrorKind::NotConnected.into())) };
    let sent = args.write(&head(words, step), stream);
    match sent.and_then(|()| link.replies.next(stream, patience)) {
        Ok(reply) => reply.checked(),
        Err(error) => {
            link.stream = None;
            Err(Trouble::Lost(error))
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
