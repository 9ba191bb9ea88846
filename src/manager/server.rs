//! The server: accepts connections and gives each a thread.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::AuthKey;
use crate::manager::hub::Hub;
use crate::manager::members::Membership;
use crate::manager::objects::Registry;
use crate::manager::options::Options;
use crate::manager::session;
use crate::memory::tidy;
use crate::pickle::Value;
use crate::threads::spawn;

/// The stack of a connection's thread, in bytes. Only the pages that are touched cost memory: about 8 KiB
/// for a connection that has done everything a queue can do. More than that needs: glibc keeps 40 MB of the
/// stacks of threads that have ended, and the larger they are, the fewer of them stay in memory.
pub(super) const STACK: usize = 256 * 1024;

/// How long to leave the listener alone when the process has no descriptor or thread left: it would report
/// the same connection again at once, and keep a processor busy with that.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// How often to look whether clients have come to an end.
const LOOK: Duration = Duration::from_millis(10);

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
        Ok(Self { listener, hub: Arc::new(Hub::new(address, key, registry, options)?) })
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
                        self.hub.note(format!("cannot accept connections: {error}"));
                    }
                    self.hub.members.evict();
                    thread::sleep(EXHAUSTED);
                }
            }
        }
        drop(self.listener);
        self.hub.members.close_all(Shutdown::Both, Duration::from_secs(2));
        self.hub.flush_log();
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

    /// Stops the server when its clients have come to an end, or the time is over.
    ///
    /// 1. Its queues are shut down, as by their method `shutdown()`: puts are refused, and who waits to put or to get is
    ///    told [`ShutDown`](crate::Error::ShutDown). Gets go on until a queue is empty; other objects do what their
    ///    [`Shared::retire`](crate::Shared::retire) says.
    /// 2. When the queues are empty, and clients done with what they got, no further calls are taken; those that are
    ///    running may end.
    /// 3. Then, or after `grace`, it ends as after [`stop`](Self::stop). This returns by then.
    ///
    /// A worker that puts results finds that queue shut down too: where there are such, shut down the queues of tasks by
    /// [`BoundedQueue::shutdown`](crate::BoundedQueue::shutdown), [`join`](crate::BoundedQueue::join) them, and only then
    /// do this. Queues in a Redis, which other hubs serve too, go on.
    pub fn stop_within(&self, grace: Duration) {
        let started = Instant::now();
        let left = || grace.saturating_sub(started.elapsed());
        while !self.hub.objects.retire() && !left().is_zero() && !self.hub.is_stopping() {
            // Objects do not tell when they are done.
            thread::sleep(LOOK.min(left()));
        }
        self.hub.members.close_all(Shutdown::Read, left());
        self.stop();
    }

    /// The server's figures, as the method `stat` answers them to clients: a dict.
    ///
    /// ```
    /// use netq::{BaseManager, Value};
    ///
    /// let server = BaseManager::new("127.0.0.1:0", b"secret").get_server()?;
    /// assert!(matches!(server.stopper().stat(), Value::Dict(_)));
    /// # Ok::<(), netq::Error>(())
    /// ```
    pub fn stat(&self) -> Value {
        self.hub.stat()
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
    if let Err(error) = spawn(peer.to_string(), STACK, Box::new(serve)) {
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
