//! Items at work here: on loan from a hub that lends, so that it gives to others what is not reported done.
//!
//! CPython's manager does not lend. What was got from one of its queues is this process's alone, and can only be put
//! again, at the end.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use netq::{Error, QueueProxy, Value};

use super::failure::Failure;
use super::lease::Leases;

/// For how long at most to wait for an item before looking whether to go on at all. Who waits without an end and
/// leaves, could be given an item of a hub that does not lend in that moment, and lose it.
pub const SLICE: Duration = Duration::from_millis(500);

/// An item, and how the hub calls this delivery of it, if it does.
pub struct Loan {
    pub item: Value,
    tag: Option<String>,
}

/// A queue from which items are taken.
pub struct Lender {
    queue: QueueProxy,
    lends: bool,
    /// CPython's `multiprocessing.Queue` does not count what is done.
    counts_done: bool,
    leases: Option<Arc<Leases>>,
}

impl Lender {
    /// Takes items from that queue.
    pub fn new(queue: QueueProxy) -> Self {
        let exposes = |name| queue.proxy().exposed().iter().any(|method| method == name);
        let (lends, counts_done) = (exposes("lend"), exposes("task_done"));
        Self { queue, lends, counts_done, leases: None }
    }

    /// Keeps the leases of what is taken, until it is reported on or given back.
    pub fn keeping(self, leases: Option<Arc<Leases>>) -> Self {
        Self { leases, ..self }
    }

    /// Whether what is not reported done comes back by itself.
    pub fn lends(&self) -> bool {
        self.lends
    }

    /// Waits for one item and takes what is there, up to `most`; only one from a hub that does not lend.
    pub fn take(&mut self, most: usize, timeout: Duration) -> Result<Vec<Loan>, Error> {
        if !self.lends {
            return Ok(vec![Loan { item: self.queue.get_timeout(timeout)?, tag: None }]);
        }
        let args = [most.into(), true.into(), timeout.as_secs_f64().into()];
        let lent = self.queue.proxy().call("lend", &args)?;
        let loans = elements(lent).and_then(|pairs| pairs.into_iter().map(loan).collect::<Option<Vec<_>>>());
        let loans = loans.ok_or_else(|| Error::Protocol("lend() without tags and items".into()))?;
        if let Some(leases) = &self.leases {
            leases.add(loans.iter().filter_map(|loan| loan.tag.clone()));
        }
        Ok(loans)
    }

    /// Reports items done.
    pub fn done(&mut self, loans: &[Loan]) -> Result<(), Error> {
        match self.lends {
            true => self.report("task_done", loans).map(drop),
            false if self.counts_done => loans.iter().try_for_each(|_| self.queue.task_done()),
            false => Ok(()),
        }
    }

    /// Gives items back, untried, and says how many went: to their places if they were lent, to the end otherwise.
    pub fn give_back(&mut self, loans: Vec<Loan>) -> usize {
        if !self.lends {
            return loans.into_iter().map_while(|loan| self.queue.try_put(loan.item).ok()).count();
        }
        // Those of which the hub did not hear go back when it sees the end of the connection.
        let _ = self.report("give_back", &loans);
        loans.len()
    }

    /// Gives an item back that cannot be worked on here: a failed attempt, and nobody gets it before `delay` has
    /// passed. A hub that does not lend gets it at the end, when the time has passed.
    pub fn failed(&mut self, loan: Loan, delay: Duration) -> Result<(), Error> {
        if !self.lends {
            thread::sleep(delay);
            return self.queue.put(loan.item);
        }
        self.release(std::slice::from_ref(&loan));
        let args = [loan.tag.into(), delay.as_secs_f64().into()];
        self.queue.proxy().call("task_failed", &args).map(drop)
    }

    /// Whether an error of [`take`](Self::take) is the usual end of a manager of CPython's: its program has ended, and
    /// its queues with it.
    pub fn is_end(&self, error: &Error) -> bool {
        !self.lends && matches!(error, Error::Lost { .. } | Error::Connect { .. })
    }

    /// What an error of [`take`](Self::take) means to who waits for items of that queue.
    pub fn failure(&self, name: &str, error: &Error) -> Failure {
        match error {
            Error::Lost { source, .. } if self.lends => Failure::failed(format!(
                "lost the hub ({source}) while waiting for an item of '{name}': nothing was taken"
            )),
            error if self.is_end(error) => {
                Failure::failed(format!("the hub has ended while this waited for an item of '{name}'"))
            }
            error => Failure::about(format_args!("'{name}'"), error),
        }
    }

    fn report(&mut self, method: &str, loans: &[Loan]) -> Result<Value, Error> {
        self.release(loans);
        let tags = [Value::List(loans.iter().map(|loan| loan.tag.clone().into()).collect())];
        match self.queue.proxy().call(method, &tags) {
            // To say it twice of a tag is as good as once.
            Err(Error::Lost { .. }) => self.queue.proxy().call(method, &tags),
            result => result,
        }
    }

    /// Lets their leases end.
    fn release(&self, loans: &[Loan]) {
        if let Some(leases) = &self.leases {
            loans.iter().filter_map(|loan| loan.tag.as_deref()).for_each(|tag| leases.remove(tag));
        }
    }
}

fn loan(pair: Value) -> Option<Loan> {
    let [Value::Str(tag), item] = <[Value; 2]>::try_from(elements(pair)?).ok()? else { return None };
    Some(Loan { item, tag: Some(tag) })
}

/// What is in a list or tuple, which is opaque as a whole if anything in it is.
fn elements(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::List(values) | Value::Tuple(values) => Some(values),
        Value::Opaque(list) => Some(list.elements()?.iter().map(netq::Pickled::decode).collect()),
        _ => None,
    }
}
