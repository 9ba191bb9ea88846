//! The server: accepts connections and gives each a thread.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::AuthKey;
use crate::manager::members::{Members, Membership};
use crate::manager::objects::{Objects, Registry};
use crate::manager::options::Options;
use crate::manager::session;
use crate::memory::tidy;
use crate::pickle::Value;

/// The stack of a connection's thread, in bytes. Only the pages that are touched cost memory: about 8 KiB
/// for a connection that has done everything a queue can do. More than that needs: glibc keeps 40 MB of the
/// stacks of threads that have ended, and the larger they are, the fewer of them stay in memory.
pub(super) const STACK: usize = 256 * 1024;

/// How long to leave the listener alone when the process has no descriptor or thread left: it would report
/// the same connection again at once, and keep a processor busy with that.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// How many characters about a peer are logged at once.
const LONGEST_LINE: usize = 400;

/// What all threads of one server share.
pub(super) struct Hub {
    pub(super) key: AuthKey,
    pub(super) options: Options,
    pub(super) objects: Objects,
    pub(super) members: Arc<Members>,
    address: SocketAddr,
    started: Instant,
    stopping: AtomicBool,
}

impl Hub {
    /// Tells whoever runs the server one thing about one peer, in one line of a bounded length: it may
    /// quote the peer, who must not be able to forge another line.
    pub(super) fn log(&self, peer: SocketAddr, what: fmt::Arguments<'_>) {
        let mut line = format!("{peer}: ");
        for c in what.to_string().chars().take(LONGEST_LINE) {
            if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
        }
        (self.options.log)(&line);
    }

    /// Makes `serve_forever` return.
    pub(super) fn stop(&self) {
        if !self.stopping.swap(true, Ordering::SeqCst) {
            // The listener waits in `accept`, and a connection is what it waits for. If none can be made,
            // the next that comes from elsewhere ends the wait.
            let mut address = self.address;
            if address.ip().is_unspecified() {
                address.set_ip(match address.ip() {
                    IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                    IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
                });
            }
            let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
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
        figures.push(("objects".into(), self.objects.stats()));
        Value::Dict(figures)
    }
}

/// A bound, listening server. Python's `multiprocessing.managers.Server`, as `get_server()` returns it.
///
/// ```
/// use netq::{BaseManager, SharedQueue};
///
/// let mut manager = BaseManager::new("127.0.0.1:0", b"secret");
/// manager.register("get_task_queue", SharedQueue::new(10));
/// let server = manager.get_server()?;
/// assert_ne!(server.address().port(), 0);
/// let stopper = server.stopper();
/// let running = std::thread::spawn(move || server.serve_forever());
/// stopper.stop();
/// running.join().unwrap();
/// # Ok::<(), netq::Error>(())
/// ```
pub struct Server {
    listener: TcpListener,
    hub: Arc<Hub>,
}

impl Server {
    pub(super) fn bind(
        address: &str,
        key: AuthKey,
        registry: Registry,
        options: Options,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let members = Arc::new(Members::new(options.max_connections, options.max_strangers));
        let hub = Hub {
            key,
            options,
            objects: Objects::new(registry),
            members,
            address,
            started: Instant::now(),
            stopping: AtomicBool::new(false),
        };
        Ok(Self { listener, hub: Arc::new(hub) })
    }

    /// Where the server listens, with the real port where 0 was asked for. Python's `server.address`.
    pub fn address(&self) -> SocketAddr {
        self.hub.address
    }

    /// A handle by which another thread can stop the server.
    pub fn stopper(&self) -> Stopper {
        Stopper { hub: self.hub.clone() }
    }

    /// Serves until a client calls `shutdown` or a [`Stopper`] says so; then closes every connection.
    /// Python's `server.serve_forever()`.
    pub fn serve_forever(self) {
        let mut exhausted = false;
        while !self.hub.is_stopping() {
            match self.listener.accept() {
                _ if self.hub.is_stopping() => break,
                Ok((stream, peer)) => {
                    exhausted = false;
                    welcome(&self.hub, stream, peer);
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    // Once, and not 20 times a second for as long as it lasts.
                    if !std::mem::replace(&mut exhausted, true) {
                        (self.hub.options.log)(&format!("cannot accept connections: {error}"));
                    }
                    self.hub.members.evict();
                    thread::sleep(EXHAUSTED);
                }
            }
        }
        drop(self.listener);
        self.hub.members.close_all(Duration::from_secs(2));
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// Stops a [`Server`] from another thread.
#[derive(Clone)]
pub struct Stopper {
    hub: Arc<Hub>,
}

impl Stopper {
    /// Makes [`Server::serve_forever`] return. Does not wait until it has.
    pub fn stop(&self) {
        self.hub.stop();
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").field("address", &self.hub.address).finish_non_exhaustive()
    }
}

/// A client that gave up before it was accepted is not our trouble.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Gives a new connection its thread, if there is room for it.
fn welcome(hub: &Arc<Hub>, stream: TcpStream, peer: SocketAddr) {
    let stream = Arc::new(stream);
    let Some(membership) = hub.members.admit(&stream) else {
        hub.log(peer, format_args!("refused: there are {} connections already", hub.options.max_connections));
        return;
    };
    let serve = {
        let hub = hub.clone();
        move || serve(&hub, membership, stream, peer)
    };
    if let Err(error) = thread::Builder::new().name(peer.to_string()).stack_size(STACK).spawn(serve) {
        hub.log(peer, format_args!("refused: no thread for it: {error}"));
        hub.members.count_refused();
        thread::sleep(EXHAUSTED);
    }
}

fn serve(hub: &Arc<Hub>, membership: Membership, stream: Arc<TcpStream>, peer: SocketAddr) {
    match session::handshake(hub, &membership, stream, peer) {
        Ok(connection) => session::serve(hub, membership.id(), connection, peer),
        Err(error) => {
            membership.count_failed();
            if !hub.is_stopping() {
                hub.log(peer, format_args!("{error}"));
            }
        }
    }
    drop(membership);
    tidy();
}
