//! One call of a method: its request, its reply, and what happens when a connection breaks in between or stays silent.
//!
//! Everything is bounded. A call has one deadline and one back-off, however often its connection breaks. A reply that
//! does not come is missed: a hub that was stopped, whose machine lost power, or that is behind a network which
//! forgets, does not close the connection.

use std::io::{self, ErrorKind};
use std::mem;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::message::{Exception, Reply, encode_request};
use crate::pickle::Value;
use crate::proxy::Proxy;
use crate::proxy::line::Line;
use crate::proxy::remote::{CONNECT, Failure};

/// A connection that was used less than this ago is taken to be alive without a look.
const FRESH: Duration = Duration::from_millis(100);

/// A call that may wait longer is made of several that wait for so long.
pub(super) const SLICE: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 20_000 });

/// A hub that has said nothing for so long, although it should have, is gone. The same for all calls but those with a
/// short timeout: to change a socket's costs a system call.
pub(super) const SILENCE: Duration = Duration::from_millis(if cfg!(test) { 300 } else { 30_000 });

/// How long the reply may be on its way, once the call's own timeout is over.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// Pauses between attempts to connect: the first, and the longest.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Whether a call is repeated of which it is not known whether it was carried out.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Repeat {
    Never,
    /// By the same run of a hub of netq's, which remembers it.
    SameRun,
    /// Although it may then happen twice.
    Twice,
    /// To no harm.
    Always,
}

/// When a reply is to be expected.
#[derive(Clone, Copy)]
pub(super) enum Await {
    /// At once.
    Prompt,
    /// Nobody knows: the server is asked now and then whether it is still there.
    Open,
    /// After this time at the latest, or never. The method's last two arguments are `block` and `timeout`, which the
    /// exchange adds.
    Timed(Option<Duration>),
    /// At once, because the method is not to wait: the exchange adds `block=False`.
    Not,
}

/// A call.
pub(super) struct Ask<'a> {
    pub method: &'a str,
    pub args: &'a [Value],
    pub kwargs: &'a [(&'a str, Value)],
    pub repeat: Repeat,
    pub reply: Await,
}

impl Ask<'_> {
    fn is_timed(&self) -> bool {
        matches!(self.reply, Await::Timed(_))
    }
}

/// How far a call is.
struct Progress {
    started: Instant,
    /// How long it may take; `None` is for ever.
    limit: Option<Duration>,
    /// How much longer, if what is awaited is the server's word that the time is over.
    grace: Duration,
    outage: Option<Outage>,
    /// The run of the hub that may have carried it out.
    unsure: Option<String>,
}

/// The time since the server last gave a reply.
struct Outage {
    since: Instant,
    pause: Duration,
}

impl Progress {
    fn new(limit: Option<Duration>) -> Self {
        Self { started: Instant::now(), limit, grace: Duration::ZERO, outage: None, unsure: None }
    }

    /// What is left of the call's time.
    fn left(&self) -> Option<Duration> {
        self.limit.map(|limit| limit.saturating_sub(self.started.elapsed()))
    }

    fn is_over(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// For how long to wait for what may take that long at most.
    fn bounded(&self, most: Duration) -> Duration {
        let left =
            self.limit.map(|limit| limit.saturating_add(self.grace).saturating_sub(self.started.elapsed()));
        // A socket takes zero for no timeout at all.
        left.map_or(most, |left| left.min(most)).max(Duration::from_millis(1))
    }
}

impl Proxy {
    /// One request, one reply; over a new connection if the old one broke and that does no harm.
    pub(super) fn exchange(&self, line: &mut Line, ask: &Ask<'_>) -> Result<Reply, Error> {
        let mut call = Progress::new(self.timeout);
        if let Await::Timed(limit) = ask.reply {
            call.limit = limit.into_iter().chain(call.limit).min();
            call.grace = GRACE;
        }
        let unused = call.started.duration_since(mem::replace(&mut line.used, call.started));
        let mut cause: Option<Failure> = None;
        // A hub that was restarted has closed this: seen before the request is sent, that costs nothing.
        if unused > FRESH && line.is_gone() {
            line.close();
            let closed = io::Error::new(ErrorKind::ConnectionReset, "it closed the connection");
            cause = Some(Failure::NotSent(closed));
        }
        loop {
            if line.connection.is_none() {
                let back = self.reach(line, &mut call, cause.as_ref());
                match cause {
                    // What it came to with a hub that is not there any more, nobody knows.
                    Some(cause) if call.unsure.is_some() && (back.is_err() || line.run != call.unsure) => {
                        return Err(cause.into_error(ask.method));
                    }
                    Some(cause @ Failure::NoReply(_)) if ask.repeat == Repeat::Twice && back.is_err() => {
                        return Err(cause.into_error(ask.method));
                    }
                    _ => back?,
                }
            }
            let failure = match self.exchange_once(line, ask, &call) {
                // In vain, but there is time left.
                Ok(Reply::Error(exception)) if is_vain(&exception) && ask.is_timed() && !call.is_over() => {
                    (call.outage, call.unsure, cause) = (None, None, None);
                    continue;
                }
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let harmless = match (&failure, ask.repeat) {
                (Failure::NotSent(_), _) | (Failure::NoReply(_), Repeat::Always | Repeat::Twice) => true,
                (Failure::NoReply(_), Repeat::SameRun) if line.run.is_some() => {
                    call.unsure = line.run.take();
                    true
                }
                _ => false,
            };
            if !harmless || !self.may_try_again(&call) {
                return Err(failure.into_error(ask.method));
            }
            cause = Some(failure);
        }
    }

    /// Makes sure of a connection for calls that are not made one by one.
    pub(super) fn enliven(&self, line: &mut Line) -> Result<(), Error> {
        if line.is_gone() {
            line.close();
        }
        match line.connection {
            Some(_) => Ok(()),
            None => self.reach(line, &mut Progress::new(self.timeout), None),
        }
    }

    /// One request, one reply, over the connection that is there. A failure ends it.
    fn exchange_once(&self, line: &mut Line, ask: &Ask<'_>, call: &Progress) -> Result<Reply, Failure> {
        let slice = call.left().map_or(SLICE, |left| left.min(SLICE));
        let wait = [ask.is_timed().into(), slice.as_secs_f64().into()];
        let more = match ask.reply {
            Await::Timed(_) => &wait[..],
            Await::Not => &wait[..1],
            Await::Prompt | Await::Open => &[],
        };
        let request = encode_request(Some(&self.token().ident), ask.method, [ask.args, more], ask.kwargs);
        let patience = match ask.reply {
            // If it is in vain, the method is called again: that the time is over need not be seen here.
            Await::Timed(_) if slice == SLICE => SILENCE,
            _ => call.bounded(SILENCE),
        };
        let peer = if let Await::Open = ask.reply { line.peer() } else { None };
        let wait_on = || !call.is_over() && self.object.remote.is_alive(peer);
        let wait_on: Option<&dyn Fn() -> bool> = match ask.reply {
            Await::Open => Some(&wait_on),
            _ => None,
        };
        line.exchange(&request, patience, wait_on)
    }

    /// Makes a connection, and tries again for as long as the retry policy and the call's time allow.
    fn reach(&self, line: &mut Line, call: &mut Progress, cause: Option<&Failure>) -> Result<(), Error> {
        let remote = &self.object.remote;
        if let Some(cause) = cause.filter(|_| self.survives()) {
            line.tell_lost(remote, cause);
        }
        loop {
            match &mut call.outage {
                // A hub that accepts and then closes is no reason to hurry either.
                Some(outage) => {
                    let pause = outage.pause;
                    outage.pause = (pause * 2).min(LONGEST_PAUSE);
                    thread::sleep(call.bounded(pause));
                }
                None => call.outage = Some(Outage { since: Instant::now(), pause: PAUSE }),
            }
            match remote.connect_and_accept(call.bounded(CONNECT)) {
                Ok(accepted) => {
                    line.open(accepted);
                    line.tell_back(remote);
                    return Ok(());
                }
                // Only a hub that is not there can come back; a wrong key stays wrong.
                Err(error) if error.is_disconnect() && self.may_try_again(call) => {
                    line.tell_lost(remote, &error)
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether there is time for another attempt. The proxy exists, so the hub was there: if it is not there now, it
    /// may be restarting.
    fn may_try_again(&self, call: &Progress) -> bool {
        let patience = self.object.remote.retry.patience;
        let waited = call.outage.as_ref().map(|outage| outage.since.elapsed() + outage.pause);
        self.survives() && !call.is_over() && waited.is_none_or(|waited| waited < patience)
    }

    /// Whether the object is still the same one after its server was restarted, and worth waiting for.
    fn survives(&self) -> bool {
        self.token().is_lasting() && !self.object.remote.retry.patience.is_zero()
    }

    /// Calls a method that reports on `count` items that this line's connection got. By another it would be about others.
    pub(super) fn report(
        &self,
        line: &mut Line,
        method: &str,
        args: &[Value],
        count: usize,
    ) -> Result<Reply, Error> {
        if line.is_gone() {
            line.close();
        }
        let ask = Ask { method, args, kwargs: &[], repeat: Repeat::Never, reply: Await::Prompt };
        let reply = match (line.got, line.stale) {
            // Something else has got them: a proxy of another program, perhaps.
            (0, 0) => return self.exchange(line, &ask),
            (got, 1..) if got < count => Err(Error::Stale),
            _ => self.exchange_once(line, &ask, &Progress::new(self.timeout)).map_err(
                |failure| match failure {
                    Failure::NotSent(_) => Error::Stale,
                    failure => failure.into_error(method),
                },
            ),
        };
        match &reply {
            Ok(Reply::Return(_)) => line.got = line.got.saturating_sub(count),
            Ok(_) => {}
            // They are lost to this client: by whichever connection, no report means them any more.
            Err(_) => line.stale -= count.min(line.stale),
        }
        reply
    }

    /// Calls a method whose result does not matter, with little patience.
    pub(super) fn tell(&self, method: &str, args: &[Value]) {
        let mut line = self.lines.take();
        let ask = Ask { method, args, kwargs: &[], repeat: Repeat::Never, reply: Await::Prompt };
        let call = Progress::new(Some(GRACE));
        // With the connection that this thread had, what it had is back already; one that had none is another matter.
        if line.connection.is_none() && line.run.is_none() {
            let accepted = self.object.remote.connect_and_accept(call.bounded(GRACE));
            accepted.into_iter().for_each(|accepted| line.open(accepted));
        }
        let _ = self.exchange_once(&mut line, &ask, &call);
        self.lines.give(line);
    }
}

/// Whether a queue says that it has waited in vain.
fn is_vain(exception: &Exception) -> bool {
    exception.is("queue", "Empty") || exception.is("queue", "Full")
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
