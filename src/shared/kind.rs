//! The kinds of objects that every hub makes for who asks, in one list: [`KINDS`].
//!
//! Another kind is a file of its own, which has its [`Kind`], a line in the list, and its tests. The command line,
//! the proxies and the tests of Python's programs read the list.

use std::fmt;
use std::sync::Arc;

use crate::message::{Call, Exception};
use crate::shared::{Shared, queue};

/// What a hub can make: the factories of `netq serve`.
pub const KINDS: &[Kind] = &[
    queue::KIND,
    Kind { typeid: "JoinableQueue", ..queue::KIND },
    #[cfg(feature = "objects")]
    crate::objects::DICT,
];

/// A new object, or what Python's class raises.
pub(crate) type Made = Result<Arc<dyn Shared>, Exception>;

/// A kind of objects: what clients call it, how it is made, and what a client must know of it.
///
/// ```
/// use netq::{BaseManager, KINDS};
///
/// let mut hub = BaseManager::new("127.0.0.1:0", b"secret");
/// for kind in KINDS {
///     hub.register_factory(kind.typeid, |call| kind.make(call, None));
/// }
/// hub.start()?;
/// assert!(hub.queue("JoinableQueue")?.is_empty()?);
/// # Ok::<(), netq::Error>(())
/// ```
pub struct Kind {
    /// What clients ask for. In Python: `manager.Queue(...)`, where Python's `SyncManager` has such a method.
    pub typeid: &'static str,
    /// What is made, for people: `a queue of at most MAXSIZE items`.
    pub what: &'static str,
    /// The arguments that make it, as Python writes them.
    pub arguments: &'static str,
    /// Methods that no other kind has. One of them is enough to know the kind by: a hub may expose no more of an
    /// object than its clients need.
    pub(crate) own: &'static [&'static str],
    pub(crate) again: fn(method: &str) -> Again,
    pub(crate) make: fn(Call<'_>, Option<usize>) -> Made,
}

/// What it does to call a method once more of which it is not known whether it was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// Nothing: it only looks, or twice is as once, or what it takes comes back when its reply was not read.
    NoHarm,
    /// What it puts may be there twice.
    PutTwice,
    /// Something that cannot be undone.
    Harm,
}

impl Kind {
    /// Makes an object from the arguments of the call, which keeps at most `max_bytes` of what it is given.
    ///
    /// # Errors
    /// What Python's class raises for such arguments.
    pub fn make(&self, call: Call<'_>, max_bytes: Option<usize>) -> Result<Arc<dyn Shared>, Exception> {
        (self.make)(call, max_bytes)
    }

    /// The kind of an object that has these methods; `None` for what is no kind of netq's own.
    ///
    /// ```
    /// let of = |exposed: &[&str]| netq::Kind::of(exposed).map(|kind| kind.typeid);
    /// assert_eq!(of(&["get", "put"]), Some("Queue"));
    /// assert_eq!(of(&["get", "set"]), None);
    /// ```
    pub fn of(exposed: &[impl AsRef<str>]) -> Option<&'static Self> {
        let has = |name: &&str| exposed.iter().any(|method| method.as_ref() == *name);
        KINDS.iter().find(|kind| kind.own.iter().any(has))
    }

    pub(crate) fn again(&self, method: &str) -> Again {
        (self.again)(method)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({})", self.typeid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typeids_are_different() {
        for (at, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..at].iter().all(|other| other.typeid != kind.typeid), "{kind:?}");
        }
    }

    #[test]
    fn a_kind_is_known_by_any_method_of_its_own() {
        for kind in KINDS {
            for &method in kind.own {
                let found = Kind::of(&["value", method]).unwrap();
                assert_eq!((found.what, found.own), (kind.what, kind.own), "{method}");
            }
        }
        assert!(Kind::of(&["get", "join", "shutdown"]).is_none(), "others have such methods too");
        assert!(Kind::of(&[""; 0]).is_none());
    }

    #[test]
    fn what_changes_a_queue_is_not_called_again_without_leave() {
        let queue = Kind::of(&["put"]).unwrap();
        assert_eq!(queue.again("get_many"), Again::NoHarm);
        assert_eq!(queue.again("put_nowait"), Again::PutTwice);
        for method in ["task_done", "shutdown", "what_no_queue_has"] {
            assert_eq!(queue.again(method), Again::Harm, "{method}");
        }
    }
}
