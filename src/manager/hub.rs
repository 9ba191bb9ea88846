//! What all threads of one server share.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::connection::{AuthKey, wake};
use crate::manager::log::Log;
use crate::manager::members::Members;
use crate::manager::objects::{Objects, Registry};
use crate::manager::options::Options;
use crate::pickle::Value;

/// How many characters about a peer are logged at once.
const LONGEST_LINE: usize = 400;

/// How long the end of a server waits for those who read its log.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A server's objects and connections, its limits, and its key.
pub(super) struct Hub {
    pub(super) key: AuthKey,
    pub(super) options: Options,
    pub(super) objects: Objects,
    pub(super) members: Arc<Members>,
    pub(super) address: SocketAddr,
    log: Log,
    started: Instant,
    stopping: AtomicBool,
}

impl Hub {
    /// The hub of a server that listens at `address`.
    pub(super) fn new(
        address: SocketAddr,
        key: AuthKey,
        registry: Registry,
        options: Options,
    ) -> io::Result<Self> {
        let log = Log::to(options.log.clone())?;
        let members = Arc::new(Members::new(options.max_connections, options.max_strangers));
        let (started, stopping) = (Instant::now(), AtomicBool::new(false));
        let objects = Objects::new(registry);
        Ok(Self { key, options, objects, members, address, log, started, stopping })
    }

    /// Tells whoever runs the server one thing about one peer, in one line of a bounded length: it may
    /// quote the peer, who must not be able to forge another line.
    pub(super) fn log(&self, peer: SocketAddr, what: fmt::Arguments<'_>) {
        let mut line = format!("{peer}: ");
        for c in what.to_string().chars().take(LONGEST_LINE) {
            if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
        }
        self.log.add(line);
    }

    /// As [`log`](Self::log), of what is about no peer.
    pub(super) fn note(&self, text: String) {
        self.log.add(text);
    }

    /// Waits until the log has been read, but not for long.
    pub(super) fn flush_log(&self) {
        self.log.flush(LAST_LINES);
    }

    /// Makes `serve_forever` return.
    pub(super) fn stop(&self) {
        if !self.stopping.swap(true, Ordering::SeqCst) {
            wake(self.address);
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// The reply to the server method `stat`: netq's own, which CPython's manager does not have.
    pub(super) fn stat(&self) -> Value {
        let mut figures: Vec<(Value, Value)> = vec![
            ("version".into(), env!("CARGO_PKG_VERSION").into()),
            ("uptime".into(), self.started.elapsed().as_secs_f64().into()),
            ("max_message".into(), self.options.max_message.into()),
            ("handshake_timeout".into(), self.options.handshake_timeout.as_secs_f64().into()),
            ("write_timeout".into(), self.options.write_timeout.as_secs_f64().into()),
            ("data_only".into(), self.options.data_only.into()),
            ("sha256_only".into(), self.key.is_sha256_only().into()),
            ("remote_shutdown".into(), self.options.remote_shutdown.into()),
        ];
        figures.extend(self.members.stats());
        if let Some(store) = &self.options.store {
            let store = store().into_iter().map(|(name, value)| (name.into(), value));
            figures.push(("store".into(), Value::Dict(store.collect())));
        }
        figures.push(("objects".into(), self.objects.stats()));
        Value::Dict(figures)
    }
}
