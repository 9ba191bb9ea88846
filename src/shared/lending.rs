//! The methods of a queue that are about items at clients: taking some on loan, and saying what became of them.

use crate::message::{Argument, Call, Exception};
use crate::pickle::Value;
use crate::shared::engine::Stopped;
use crate::shared::tag::Tag;
use crate::shared::{Answer, SharedQueue};

/// One tag or several: what a method is to answer depends on it.
enum Tags {
    One(Tag),
    Many(Vec<Tag>),
}

impl Tags {
    fn as_slice(&self) -> &[Tag] {
        match self {
            Self::One(tag) => std::slice::from_ref(tag),
            Self::Many(tags) => tags,
        }
    }

    /// Of one, whether it was; of several, how many were.
    fn answer(&self, count: usize) -> Answer {
        match self {
            Self::One(_) => (count > 0).into(),
            Self::Many(_) => count.into(),
        }
    }
}

impl SharedQueue {
    pub(super) fn task_done(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        let (caller, argument) = (call.caller().id(), tag_argument(call, "count")?);
        if let Some(tags) = self.tags(call, argument)? {
            return Ok(tags.answer(self.engine.finish(caller, tags.as_slice())?));
        }
        let count = usize::try_from(call.int(argument, 1)?)
            .map_err(|_| Exception::value_error("'count' must be a non-negative number"))?;
        match self.engine.done(caller, count) {
            Ok(()) => Ok(Value::None.into()),
            Err(Stopped::TooManyDone) if self.engine.redelivers() => Err(Exception::value_error(
                "task_done() called too many times: this connection's latest get() or get_many() has not so many \
                 unfinished items. This queue delivers again what is not done: call task_done() after each get(), \
                 in the thread that got the item; to take several first, use get_many()",
            )),
            Err(stopped) => Err(stopped.into()),
        }
    }

    pub(super) fn task_failed(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        let [tag, delay] = call.bind(["tag", "delay"], 0)?;
        let delay = call.seconds(delay, "delay")?;
        let caller = call.caller().id();
        let tags = match self.tags(call, tag)? {
            Some(tags) => tags,
            None => Tags::One(self.engine.first(caller).ok_or_else(|| {
                Exception::value_error(
                    "task_failed() called too many times: this connection's latest get() has no unfinished item. \
                     A queue that does not redeliver knows only what was taken with lend()",
                )
            })?),
        };
        Ok(tags.answer(self.engine.fail(caller, tags.as_slice(), delay)?))
    }

    pub(super) fn give_back(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        let [tag] = call.bind(["tag"], 1)?;
        let tags = self.tags(call, tag)?.ok_or_else(|| Exception::type_error("give_back() needs a tag"))?;
        Ok(tags.answer(self.engine.give_back(call.caller().id(), tags.as_slice())?))
    }

    pub(super) fn touch(&self, call: &Call<'_>) -> Result<Answer, Exception> {
        let [tag] = call.bind(["tag"], 0)?;
        let caller = call.caller().id();
        match self.tags(call, tag)? {
            Some(tags) => Ok(tags.answer(self.engine.touch(caller, Some(tags.as_slice()))?)),
            None => Ok((self.engine.touch(caller, None)? > 0).into()),
        }
    }

    /// A tag, a list of tags, or `None` for anything else: a number, `None`, nothing.
    fn tags(&self, call: &Call<'_>, argument: Option<Argument>) -> Result<Option<Tags>, Exception> {
        let Some(argument) = argument else { return Ok(None) };
        let tag = |value| match value {
            Value::Str(text) => self.tag(&text),
            other => Err(call.wrong_type("tags, each a str,", &other)),
        };
        let mut tags = Vec::new();
        if let Some(elements) = call.elements(argument) {
            for element in elements {
                tags.push(tag(call.small(element)?)?);
            }
            return Ok(Some(Tags::Many(tags)));
        }
        match call.small(argument)? {
            Value::Str(text) => Ok(Some(Tags::One(self.tag(&text)?))),
            // Given by name it lies too deep in the request for the walk to have noted its elements.
            Value::List(values) | Value::Tuple(values) => {
                for value in values {
                    tags.push(tag(value)?);
                }
                Ok(Some(Tags::Many(tags)))
            }
            _ => Ok(None),
        }
    }

    fn tag(&self, text: &str) -> Result<Tag, Exception> {
        text.parse().ok().filter(|&tag| self.engine.check(tag)).ok_or_else(no_such_delivery)
    }
}

/// A tag that this queue has not given.
pub(crate) fn no_such_delivery() -> Exception {
    Exception::value_error(
        "no such delivery: the tag is not of this queue, or from before the hub was started again, and then the item \
         has been given back",
    )
}

/// The only argument: by position, by its name, or as `tag`.
fn tag_argument(call: &Call<'_>, name: &str) -> Result<Option<Argument>, Exception> {
    let name = if call.names("tag") { "tag" } else { name };
    call.bind([name], 0).map(|[argument]| argument)
}
