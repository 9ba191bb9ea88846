//! Shared objects: what a hub serves, and whose methods are called from elsewhere.
//!
//! [`Shared`] is all that an object has to be. [`SharedQueue`] is one implementation, made of nothing that
//! another one could not use too. [`KINDS`] lists what a hub makes for who asks.

mod answer;
mod engine;
mod in_memory;
mod kind;
mod ledger;
mod lending;
mod methods;
mod once;
mod options;
mod out;
mod queue;
mod redelivery;
mod tag;

use std::sync::Arc;

use crate::message::{Call, Caller, Exception};
use crate::pickle::Value;

/// What an engine is made with that is not in this module.
#[cfg(feature = "redis")]
pub(crate) mod seam {
    pub(crate) use super::engine::{Asked, Engine, Stopped, Wish};
    pub(crate) use super::lending::no_such_delivery;
    pub(crate) use super::once::{Once, Progress, out_of_order};
    pub(crate) use super::redelivery::LONGEST_BACKOFF;
    pub(crate) use super::tag::Tag;
}

pub use answer::{Answer, Handover};
pub(crate) use kind::Again;
pub use kind::{KINDS, Kind};
pub use methods::Methods;
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
///                 let ([], [step]) = call.parameters([], ["step"])?;
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

    /// Called when a connection that has called this object ends, however it ends. May return a line for the
    /// hub's log, which names the peer and the object itself.
    fn disconnected(&self, caller: &Caller) -> Option<String> {
        let _ = caller;
        None
    }

    /// Called, again and again, when the server is to end as soon as its clients have: see
    /// [`Stopper::stop_within`](crate::Stopper::stop_within). The object takes nothing new from now on, tells those who
    /// wait for it, and says whether nothing is left that a client might still want. Returns at once.
    fn retire(&self) -> bool {
        true
    }

    /// Figures for `netq stat`, by name.
    fn stats(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
}

/// What can be registered: an object, or an `Arc` of one that the program uses too.
///
/// ```
/// use std::sync::Arc;
/// use netq::{BaseManager, Methods, SharedQueue};
///
/// let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
/// hub.register("get_echo", Methods::new().with("echo", |call| {
///     let ([what], []) = call.parameters(["what"], [])?;
///     Ok(call.value(what)?.into())
/// }));
/// let tasks = SharedQueue::new(10);
/// hub.register("get_task_queue", Arc::clone(&tasks));
/// # drop(tasks);
/// ```
pub trait IntoShared {
    /// The object.
    fn into_shared(self) -> Arc<dyn Shared>;
}

impl<T: Shared + 'static> IntoShared for T {
    fn into_shared(self) -> Arc<dyn Shared> {
        Arc::new(self)
    }
}

impl<T: Shared + 'static> IntoShared for Arc<T> {
    fn into_shared(self) -> Arc<dyn Shared> {
        self
    }
}

impl IntoShared for Arc<dyn Shared> {
    fn into_shared(self) -> Arc<dyn Shared> {
        self
    }
}
