//! One connection's life: a handshake, then either one request to the server itself, or calls of shared
//! objects until the client leaves. CPython's `Server.handle_request` and `serve_client`.

use std::any::Any;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::{Connection, FrameError, HandshakeError, Stranger};
use crate::manager::hub::Hub;
use crate::manager::members::Membership;
use crate::manager::objects::unknown;
use crate::message::{Caller, Exception, Request, send_error, send_traceback, send_value};
use crate::pickle::{Value, Walker};
use crate::shared::{Answer, Handover};

/// For how long after a reply a reset of the connection means that the reply was not read. A killed
/// client's kernel resets at once; a reset much later has some other reason, such as a router that forgot
/// the connection, and then the client may well be at work on the item.
const DOUBT: Duration = Duration::from_secs(5);

/// How long after a reply its refusal may take to arrive: a round trip through the network. A client that
/// dies between its request and the reply says goodbye first, and only then its kernel refuses the reply.
const REFUSAL: Duration = Duration::from_millis(250);

/// Items up to this size, in bytes, stay in doubt, and so in memory, until the client's next sign of life,
/// which costs nothing to wait for. Larger ones are let go after [`DOUBT`].
const SMALL: usize = 64 * 1024;

/// How long a message that is over the limit may take to be read past.
const SKIP: Duration = Duration::from_secs(60);

/// Makes a connection of a stranger.
// Inlined, its frame would stay on the stack of the connection's thread.
#[inline(never)]
pub(super) fn handshake(
    hub: &Hub,
    membership: &Membership,
    stream: Arc<TcpStream>,
    peer: SocketAddr,
) -> Result<Connection, HandshakeError> {
    let stranger = Stranger::new(stream, hub.options.handshake_timeout)?;
    let connection = stranger.welcome(&hub.key, hub.options.max_message)?;
    if !membership.promote() {
        return Err(io::Error::new(ErrorKind::ConnectionAborted, format!("{peer} waited too long")).into());
    }
    connection.stream().set_write_timeout(Some(hub.options.write_timeout))?;
    Ok(connection)
}

/// Serves an authenticated connection until it ends.
pub(super) fn serve(hub: &Hub, id: u64, connection: Connection, peer: SocketAddr) {
    let caller = Caller::new(id, peer, connection.stream().clone());
    // Most call one object only: for more, a push makes room for four.
    let attached = Vec::with_capacity(1);
    let mut session = Box::new(Session { hub, connection, caller, attached, doubt: None });
    if let Err(error) = session.run() {
        // A client that is killed is nothing to report, and after a stop all connections end.
        let usual = matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
        if !usual && !hub.is_stopping() {
            let what = if is_timeout(&error) { "closed: it does not read its replies" } else { "closed" };
            hub.log(peer, format_args!("{what}: {error}"));
        }
    }
}

struct Session<'h> {
    hub: &'h Hub,
    connection: Connection,
    caller: Caller,
    /// The idents of the objects that this connection has called.
    attached: Vec<String>,
    doubt: Option<Doubt>,
}

/// What went out with a reply that was written, but perhaps never read.
struct Doubt {
    handover: Box<dyn Handover>,
    since: Instant,
    large: bool,
}

/// What a request leads to.
enum Outcome {
    Answer(Answer),
    Error(Exception),
    Traceback(String),
    /// Reply `None`, then take calls of objects.
    Accept,
    /// Reply `None`, then stop the server.
    Shutdown,
}

impl Session<'_> {
    fn run(&mut self) -> io::Result<()> {
        // Not on the stack, which fits in two pages without it.
        let mut walker = Box::new(Walker::new());
        // The first request is to the server itself, and the last one too, unless it asks to go on.
        let Some(first) = self.next(&mut walker, server_method)? else { return Ok(()) };
        let goes_on = matches!(first, Outcome::Accept);
        self.reply(first)?;
        while goes_on && let Some(outcome) = self.next(&mut walker, call)? {
            self.reply(outcome)?;
        }
        Ok(())
    }

    /// Waits for the next request and carries it out; `None` when the client has left.
    fn next(&mut self, walker: &mut Walker, carry_out: CarryOut) -> io::Result<Option<Outcome>> {
        self.let_go_of_large_items()?;
        // The next request may be a long time coming.
        walker.clear();
        let frame = match self.connection.receive() {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                let read = self.was_accepted();
                self.settle(read);
                return Ok(None);
            }
            Err(FrameError::TooLong { length, limit }) => {
                self.settle(true);
                self.connection.skip(length, SKIP).map_err(frame_to_io)?;
                let what = format!(
                    "the message of {length} bytes is over the hub's limit of {limit} bytes: send less at \
                     once, or raise max_message"
                );
                self.hub.log(self.caller.address(), format_args!("{what}"));
                return Ok(Some(Outcome::Error(Exception::value_error(what))));
            }
            Err(error) => {
                let error = frame_to_io(error);
                match error.kind() {
                    // The peer's machine has never acknowledged the reply, and for that time is no sign.
                    ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                        self.doubt = None;
                    }
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => self.settle(false),
                    // It has sent something since.
                    _ => self.settle(true),
                }
                return Err(error);
            }
        };
        // Not by `settle`: the frame is still in the connection's buffer.
        if let Some(doubt) = self.doubt.take() {
            doubt.commit(self.hub, &self.caller);
        }
        Ok(Some(match Request::parse(walker, frame) {
            Ok(request) => {
                // What is shared beyond the unwinding is behind locks that outlive a panic, or a shared object's
                // own, which other connections go on to call in any case.
                let carry_out =
                    AssertUnwindSafe(|| carry_out(self.hub, &mut self.attached, &self.caller, request));
                catch_unwind(carry_out).unwrap_or_else(|panic| Outcome::Traceback(panicked(&*panic)))
            }
            Err(text) => Outcome::Traceback(text),
        }))
    }

    /// Whether the client, which has closed its connection, accepted the last reply. If it had closed it
    /// before the reply came, a reset follows: the end of the stream hides it from reads, not from the
    /// socket's error.
    fn was_accepted(&self) -> bool {
        let Some(doubt) = &self.doubt else { return true };
        loop {
            if !matches!(self.connection.stream().take_error(), Ok(None)) {
                return false;
            }
            if doubt.since.elapsed() >= REFUSAL {
                return true;
            }
            // There is nothing to wait on: a socket does not tell of its errors by itself.
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Items in doubt go for good, or, if the reply cannot have been read, back to their queues.
    fn settle(&mut self, read: bool) {
        let Some(doubt) = self.doubt.take() else { return };
        if read || doubt.since.elapsed() > DOUBT {
            doubt.commit(self.hub, &self.caller);
        }
    }

    /// Waits for the next sign of life before the next message is read: two large messages at once would take
    /// twice the memory.
    fn let_go_of_large_items(&mut self) -> io::Result<()> {
        // A message that came with the one before it is here: waiting for more took the whole five seconds.
        if self.connection.has_message() || !self.doubt.as_ref().is_some_and(|doubt| doubt.large) {
            return Ok(());
        }
        let stream = self.connection.stream();
        stream.set_read_timeout(Some(DOUBT))?;
        let sign = stream.peek(&mut [0]);
        stream.set_read_timeout(None)?;
        match sign {
            // The end of the stream is looked at where it is read.
            Ok(0) => Ok(()),
            Ok(_) => {
                self.settle(true);
                Ok(())
            }
            Err(error) if is_timeout(&error) => {
                self.settle(true);
                Ok(())
            }
            // The only answer there is: a socket tells of its error once, and then reads as one that has ended.
            Err(error) => {
                self.settle(false);
                Err(error)
            }
        }
    }

    fn reply(&mut self, outcome: Outcome) -> io::Result<()> {
        let connection = &mut self.connection;
        match outcome {
            Outcome::Answer(answer) => {
                // If this fails, dropping the answer takes it back.
                let length = send_value(connection, answer.value())?;
                if let Some(mut handover) = answer.into_handover() {
                    handover.written();
                    self.doubt = Some(Doubt { handover, since: Instant::now(), large: length > SMALL });
                }
                Ok(())
            }
            Outcome::Error(exception) => send_error(connection, &exception),
            Outcome::Traceback(text) => {
                // No manager's client sends such a request: a program is wrong, or not what it seems.
                self.hub.log(self.caller.address(), format_args!("request refused: {text}"));
                send_traceback(connection, &text)
            }
            // CPython's is `None`, which nobody looks at.
            Outcome::Accept => {
                let run = self.hub.options.run.as_ref().unwrap_or(&self.hub.objects.run);
                send_value(connection, &run.as_str().into()).map(drop)
            }
            Outcome::Shutdown => {
                let sent = send_value(connection, &Value::None).map(drop);
                self.hub.log(self.caller.address(), format_args!("shutdown"));
                self.hub.stop();
                sent
            }
        }
    }
}

impl Doubt {
    /// The reply was read.
    fn commit(self, hub: &Hub, caller: &Caller) {
        if let Err(error) = self.handover.commit() {
            hub.log(caller.address(), format_args!("what it got cannot be noted: {error}"));
        }
    }
}

impl Drop for Session<'_> {
    /// Also when an object panicked after its reply: then the panic ends this connection and no other.
    fn drop(&mut self) {
        // First what was not read, of which nothing was begun.
        self.doubt = None;
        for ident in self.attached.drain(..) {
            let line = self.hub.objects.detach(&ident).and_then(|object| object.disconnected(&self.caller));
            if let Some(line) = line
                && !self.hub.is_stopping()
            {
                self.hub.log(self.caller.address(), format_args!("'{ident}': {line}"));
            }
        }
    }
}

/// What the caller, and the log, are told of a panic.
#[cold]
fn panicked(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panic in the hub, which is a fault of its program: {}", message.unwrap_or("without a message"))
}

type CarryOut = fn(&Hub, &mut Vec<String>, &Caller, Request<'_>) -> Outcome;

/// Calls a method of a shared object.
fn call(hub: &Hub, attached: &mut Vec<String>, caller: &Caller, request: Request<'_>) -> Outcome {
    let Some((ident, object)) = request.ident().and_then(|ident| hub.objects.get(ident)) else {
        return Outcome::Traceback(unknown(request.ident().unwrap_or("None")).to_string());
    };
    if !attached.iter().any(|known| known == ident) {
        // A connection may live longer than all the objects that it makes.
        if attached.len() == attached.capacity() {
            hub.objects.retain(attached);
        }
        hub.objects.attach(ident);
        attached.push(ident.to_owned());
    }
    let method = request.method();
    let exposed = object.exposed();
    let result = match (exposed.iter().find(|&&known| known == method), method) {
        (Some(&method), _) => object.call(request.into_call(method, caller, hub.options.data_only)),
        (None, "__str__" | "__repr__") => Ok(object.describe().into()),
        (None, "#GETVALUE") => object.value().map(Answer::from),
        _ => {
            return Outcome::Traceback(format!(
                "AttributeError: no method '{method}' of '{ident}': its methods are {}",
                exposed.join(", ")
            ));
        }
    };
    match result {
        Ok(answer) => Outcome::Answer(answer),
        Err(exception) => Outcome::Error(exception),
    }
}

/// The server's own methods: CPython's, and netq's `stat`.
const SERVER_METHODS: &[&str] = &[
    "dummy",
    "create",
    "accept_connection",
    "get_methods",
    "debug_info",
    "number_of_objects",
    "incref",
    "decref",
    "stat",
    "shutdown",
];

/// Carries out one of the server's own methods, for which the ident is `None`.
fn server_method(hub: &Hub, _: &mut Vec<String>, caller: &Caller, request: Request<'_>) -> Outcome {
    let answer = |value: Value| Ok(Outcome::Answer(value.into()));
    let Some(method) = SERVER_METHODS.iter().find(|&&known| known == request.method()) else {
        let method = request.method();
        let known = SERVER_METHODS.join(", ");
        return Outcome::Traceback(format!(
            "AttributeError: the hub has no method '{method}': it has {known}"
        ));
    };
    let call = request.into_call(method, caller, hub.options.data_only);
    let carry_out = || -> Result<Outcome, Exception> {
        match *method {
            "dummy" => answer(Value::None),
            "create" => {
                let typeid = call.name(0, "typeid")?;
                answer(hub.objects.create(&typeid, call.skip(1))?)
            }
            "accept_connection" => Ok(Outcome::Accept),
            "get_methods" => {
                let ident = call.token()?.ident;
                let (_, object) = hub.objects.get(&ident).ok_or_else(|| unknown(&ident))?;
                answer(Value::Tuple(object.exposed().iter().map(|&name| name.into()).collect()))
            }
            "debug_info" => answer(hub.objects.debug_info().into()),
            "number_of_objects" => answer(hub.objects.count().into()),
            "incref" => hub.objects.incref(&call.name(0, "ident")?).map(|()| Value::None).and_then(answer),
            "decref" => hub.objects.decref(&call.name(0, "ident")?).map(|()| Value::None).and_then(answer),
            "stat" => answer(hub.stat()),
            "shutdown" if hub.options.remote_shutdown => Ok(Outcome::Shutdown),
            "shutdown" => Err(Exception::new(
                "builtins",
                "PermissionError",
                vec!["this hub cannot be stopped by its clients".into()],
            )),
            _ => Err(call.unknown_method()),
        }
    };
    // CPython answers all errors of these as text.
    carry_out().unwrap_or_else(|exception| Outcome::Traceback(exception.to_string()))
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn frame_to_io(error: FrameError) -> io::Error {
    match error {
        FrameError::Io(error) => error,
        other => io::Error::new(ErrorKind::InvalidData, other.to_string()),
    }
}
