//! What a method returns, and what becomes of it once the caller has it, or has not.

use std::fmt;
use std::io;

use crate::pickle::{Pickled, Value};
use crate::queue::Taken;
use crate::shared::tag::Tag;

/// What a method returns.
///
/// Any value becomes one with `into()`. What must not be lost on its way, such as an item of a queue, brings a
/// [`Handover`].
///
/// ```
/// use netq::{Answer, Value};
///
/// let answer: Answer = 42.into();
/// assert_eq!(answer.value(), &Value::Int(42));
/// ```
pub struct Answer {
    value: Value,
    handover: Option<Box<dyn Handover>>,
}

/// What leaves an object with an answer, and is gone for good only once the caller has it.
///
/// A reply can get lost: the caller dies before it has read it. So what goes out with one stays in doubt until the
/// caller is heard of again, or closes its connection in order. **Dropping a handover takes it back**: the reply was
/// not written, or certainly not read.
///
/// A [`Taken`] is one, by which an item goes back to its place in the queue.
pub trait Handover: Send {
    /// The reply was written to the caller's socket, which does not say that it was read.
    fn written(&mut self) {}

    /// The caller has it.
    ///
    /// # Errors
    /// If what keeps the object cannot note it. The hub logs that, and the caller keeps what it got.
    fn commit(self: Box<Self>) -> io::Result<()>;
}

impl Handover for Taken<Pickled> {
    /// Its slot is free now: as in Python, who has got an item leaves room for another.
    fn written(&mut self) {
        self.release_slot();
    }

    fn commit(self: Box<Self>) -> io::Result<()> {
        drop(Taken::commit(*self));
        Ok(())
    }
}

impl Handover for Vec<Taken<Pickled>> {
    fn written(&mut self) {
        self.iter_mut().for_each(Taken::release_slot);
    }

    fn commit(self: Box<Self>) -> io::Result<()> {
        self.into_iter().for_each(|item| drop(item.commit()));
        Ok(())
    }
}

impl Answer {
    /// A value that is taken back if the caller does not get it.
    pub fn delivering(value: Value, handover: impl Handover + 'static) -> Self {
        Self { value, handover: Some(Box::new(handover)) }
    }

    /// An item of a queue, which leaves the queue only once the caller has it.
    ///
    /// ```
    /// use netq::{Answer, Pickled, Value};
    /// use netq::queue::{BoundedQueue, Wait};
    ///
    /// let queue = BoundedQueue::new(0);
    /// queue.try_put(Pickled::from(Value::from("job"))).unwrap();
    /// let answer = Answer::item(queue.take(Wait::not_at_all()).unwrap());
    /// assert!(queue.is_empty());
    /// drop(answer); // nobody got it
    /// assert_eq!(queue.len(), 1);
    /// ```
    pub fn item(item: Taken<Pickled>) -> Self {
        Self::delivering(Value::Opaque(Pickled::clone(&item)), item)
    }

    /// Several, which the caller gets as a list.
    pub fn items(items: Vec<Taken<Pickled>>) -> Self {
        Self::delivering(list(&items), items)
    }

    /// What the caller gets.
    pub fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn into_handover(self) -> Option<Box<dyn Handover>> {
        self.handover
    }
}

/// Payloads as one list.
pub(super) fn list(items: &[Taken<Pickled>]) -> Value {
    Value::List(items.iter().map(|item| Value::Opaque(Pickled::clone(item))).collect())
}

/// Payloads as one list of pairs, each with its tag.
pub(super) fn tagged(tags: &[Tag], payloads: Vec<Pickled>) -> Value {
    let pair = |(tag, payload): (&Tag, _)| Value::Tuple(vec![tag.to_string().into(), Value::Opaque(payload)]);
    Value::List(tags.iter().zip(payloads).map(pair).collect())
}

impl<T: Into<Value>> From<T> for Answer {
    fn from(value: T) -> Self {
        Self { value: value.into(), handover: None }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("value", &self.value).finish_non_exhaustive()
    }
}
