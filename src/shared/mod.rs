//! Shared objects: what a hub serves, and whose methods are called from elsewhere.
//!
//! [`Shared`] is all that an object has to be. [`SharedQueue`] is one implementation, made of nothing that
//! another one could not use too.

mod options;
mod queue;
mod redelivery;

use crate::message::{Call, Caller, Exception};
use crate::pickle::{Pickled, Value};
use crate::queue::Taken;

pub use options::QueueOptions;
pub use queue::SharedQueue;
pub use redelivery::{DeadLetters, Redelivery};

/// An object whose methods can be called from other processes: Python's *referent*.
///
/// Many connections call it at once, each from its own thread, which has a small stack (256 KiB): an object
/// that needs deep recursion starts a thread of its own.
///
/// ```
/// use std::sync::atomic::{AtomicI64, Ordering};
/// use netq::{Answer, Call, Exception, Shared};
///
/// /// A counter. In Python: `m.counter().increment(5)`.
/// struct Counter(AtomicI64);
///
/// impl Shared for Counter {
///     fn exposed(&self) -> &[&'static str] {
///         &["increment", "value"]
///     }
///
///     fn call(&self, call: Call<'_>) -> Result<Answer, Exception> {
///         match call.method() {
///             "increment" => {
///                 let [step] = call.bind(["step"], 0)?;
///                 let step = call.int(step, 1)?;
///                 Ok((self.0.fetch_add(step, Ordering::Relaxed) + step).into())
///             }
///             "value" => Ok(self.0.load(Ordering::Relaxed).into()),
///             _ => Err(call.unknown_method()),
///         }
///     }
/// }
/// ```
pub trait Shared: Send + Sync {
    /// The names of the methods that can be called: Python's `exposed`, of which a Python client makes its
    /// proxy class.
    fn exposed(&self) -> &[&'static str];

    /// Calls a method, whose name is one of [`exposed`](Self::exposed). May block: a thread of its own
    /// serves each connection.
    ///
    /// # Errors
    /// The exception to raise in the caller.
    fn call(&self, call: Call<'_>) -> Result<Answer, Exception>;

    /// What Python's `str(proxy)` shows, and `debug_info`.
    fn describe(&self) -> String {
        "<netq object>".into()
    }

    /// A copy of the whole object, as Python's `proxy._getvalue()` asks for it.
    ///
    /// # Errors
    /// By default `TypeError`: the object cannot be copied.
    fn value(&self) -> Result<Value, Exception> {
        Err(Exception::type_error("this object cannot be copied: call its methods instead"))
    }

    /// Called when the reply with an answer's items was written to the caller's socket. By default their slots
    /// are free then.
    ///
    /// What is returned stays in doubt for a moment: its items are committed when the caller is heard of again
    /// or closes its connection, and go back if the connection is reset, because then the reply was never read.
    fn delivered(&self, caller: &Caller, mut answer: Answer) -> Option<Answer> {
        let _ = caller;
        answer.items_mut().iter_mut().for_each(Taken::release_slot);
        Some(answer)
    }

    /// Called when the caller's last answer from this object, whose items were [`delivered`](Self::delivered), has
    /// turned out never to have been read: the connection was reset. [`disconnected`](Self::disconnected) follows.
    fn unread(&self, caller: &Caller) {
        let _ = caller;
    }

    /// Called when a connection that has called this object ends, however it ends. May return a line for the
    /// hub's log, which names the peer and the object itself.
    fn disconnected(&self, caller: &Caller) -> Option<String> {
        let _ = caller;
        None
    }

    /// Figures for `netq stat`, by name.
    fn stats(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
}

/// What a method returns.
#[derive(Debug)]
pub enum Answer {
    /// A value.
    Value(Value),
    /// An item of a queue, which leaves the queue only once it has been handed over.
    Item(Taken<Pickled>),
    /// Several, which the caller gets as a list.
    Items(Vec<Taken<Pickled>>),
}

impl Answer {
    /// The guards of the items that the answer carries.
    pub fn items(&self) -> &[Taken<Pickled>] {
        match self {
            Self::Value(_) => &[],
            Self::Item(item) => std::slice::from_ref(item),
            Self::Items(items) => items,
        }
    }

    /// As [`items`](Self::items), to release their slots.
    pub fn items_mut(&mut self) -> &mut [Taken<Pickled>] {
        match self {
            Self::Value(_) => &mut [],
            Self::Item(item) => std::slice::from_mut(item),
            Self::Items(items) => items,
        }
    }

    /// The guards of the items that the answer carries, to keep them.
    pub fn into_items(self) -> Vec<Taken<Pickled>> {
        match self {
            Self::Value(_) => Vec::new(),
            Self::Item(item) => vec![item],
            Self::Items(items) => items,
        }
    }

    /// Lets the items go for good. An answer that is dropped instead puts them back into their queues.
    pub fn commit(self) {
        match self {
            Self::Value(_) => {}
            Self::Item(item) => drop(item.commit()),
            Self::Items(items) => items.into_iter().for_each(|item| drop(item.commit())),
        }
    }
}

impl<T: Into<Value>> From<T> for Answer {
    fn from(value: T) -> Self {
        Self::Value(value.into())
    }
}
