//! A page about a hub, for people, and its figures for Prometheus: what `netq serve --status` shows.
//!
//! Read-only, and without the key: whoever reaches the address may read it, but nothing of what the items hold. It
//! knows of the hub no more than the method `stat` tells every client.

mod figures;
mod history;
mod http;
mod metrics;
mod page;

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::wake;
use crate::manager::{Server, Stopper};
use crate::status::history::History;
use crate::status::http::{Get, Response};
use crate::threads::spawn;

/// How many who ask are answered at once; one more closes the oldest. A browser opens some ahead of need.
const VISITORS: usize = 32;

/// Its own work is small, and the hub's answer to `stat` is made on it too.
const STACK: usize = 256 * 1024;

/// Serves a page about a server over HTTP, until it is dropped: `/` for people, `/metrics` for Prometheus, and
/// `/health`, which answers `ok`.
///
/// ```
/// use std::io::{Read, Write};
/// use netq::{BaseManager, SharedQueue, StatusPage};
///
/// let mut manager = BaseManager::new("127.0.0.1:0", b"secret");
/// manager.register("tasks", SharedQueue::new(10));
/// let server = manager.get_server()?;
/// let page = StatusPage::start("127.0.0.1:0", &server)?;
///
/// let mut stream = std::net::TcpStream::connect(page.address())?;
/// stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("\r\n\r\nok\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the page is there until this is dropped"]
pub struct StatusPage {
    address: SocketAddr,
    site: Arc<Site>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// What the page's threads share.
struct Site {
    stopper: Stopper,
    /// Where the hub is, as the page says it.
    hub: String,
    /// Whether only this machine's users can reach the page.
    local: bool,
    history: History,
    visitors: Mutex<Vec<Arc<TcpStream>>>,
    stopping: AtomicBool,
    asleep: Condvar,
}

impl StatusPage {
    /// Binds the address, such as `"127.0.0.1:8002"`, and serves the page in threads of its own.
    ///
    /// # Errors
    /// If the address is in use or not ours, or no thread can be started.
    pub fn start(address: &str, server: &Server) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let site = Arc::new(Site {
            stopper: server.stopper(),
            hub: server.address().to_string(),
            local: address.ip().is_loopback(),
            history: History::default(),
            visitors: Mutex::default(),
            stopping: AtomicBool::new(false),
            asleep: Condvar::new(),
        });
        let mut page = Self { address, site, threads: Vec::new() };
        let site = page.site.clone();
        page.threads.push(spawn("status history".into(), STACK, Box::new(move || site.watch()))?);
        let site = page.site.clone();
        page.threads.push(spawn("status".into(), STACK, Box::new(move || site.serve(&listener)))?);
        Ok(page)
    }

    /// Where the page is, with the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for StatusPage {
    fn drop(&mut self) {
        // With the lock, so that whoever is about to sleep sees it.
        let visitors = self.site.lock();
        self.site.stopping.store(true, Ordering::SeqCst);
        visitors.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        drop(visitors);
        self.site.asleep.notify_all();
        wake(self.address);
        // A panic in one has been printed by its own thread.
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl fmt::Debug for StatusPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusPage").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Site {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<TcpStream>>> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Notes the queues' figures now and then.
    fn watch(&self) {
        while !self.is_stopping() {
            let figures = self.stopper.stat();
            self.history.note(Instant::now(), figures::named(&figures).map(figures::sample).collect());
            let until = Instant::now() + history::INTERVAL;
            let mut visitors = self.lock();
            while !self.is_stopping() && Instant::now() < until {
                let nap = until.saturating_duration_since(Instant::now());
                visitors = self.asleep.wait_timeout(visitors, nap).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    fn serve(self: &Arc<Self>, listener: &TcpListener) {
        while !self.is_stopping() {
            let Ok((stream, _)) = listener.accept() else {
                // Out of descriptors: they are back when others are done.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            let stream = Arc::new(stream);
            let mut visitors = self.lock();
            if visitors.len() == VISITORS {
                let _ = visitors.remove(0).shutdown(Shutdown::Both);
            }
            visitors.push(stream.clone());
            drop(visitors);
            let site = self.clone();
            let visit = Visit { site: self.clone(), stream };
            // If there is no thread, the visit ends here.
            let _ = spawn("status visitor".into(), STACK, Box::new(move || drop(site.answer(&visit.stream))));
        }
    }

    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        match http::read(stream, self.local)? {
            Ok(get) => http::write(stream, &self.response(&get), get.head_only),
            Err(refusal) => http::write(stream, &refusal, false),
        }
    }

    fn response(&self, get: &Get) -> Response {
        match get.path.as_str() {
            "/" => {
                let page = page::render(&self.hub, &self.stopper.stat(), &self.history, Instant::now());
                Response::ok("text/html; charset=utf-8", page)
            }
            "/metrics" => {
                let metrics = metrics::render(&self.stopper.stat());
                Response::ok("text/plain; version=0.0.4; charset=utf-8", metrics)
            }
            "/health" => Response::ok("text/plain; charset=utf-8", "ok\n".into()),
            _ => Response::refusal("404 Not Found", "there are /, /metrics and /health"),
        }
    }
}

/// One connection, which is forgotten when this is dropped.
struct Visit {
    site: Arc<Site>,
    stream: Arc<TcpStream>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.site.lock().retain(|stream| !Arc::ptr_eq(stream, &self.stream));
    }
}

#[cfg(test)]
mod testing {
    use crate::pickle::Value;

    pub fn dict(entries: &[(&str, Value)]) -> Value {
        Value::Dict(entries.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    }
}
