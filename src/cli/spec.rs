//! `NAME[:MAXSIZE][,redeliver][,lease=SECONDS][,attempts=N][,backoff=SECONDS][,memory]`: a queue as `netq serve` is told
//! about it.

use std::time::Duration;

use netq::KINDS;
use netq::name::typeid_fault;

use super::failure::Failure;

/// A queue that is to be served.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSpec {
    /// What clients call it. In Python: `manager.NAME()`.
    pub name: String,
    /// How many items it holds at most; 0 is without a bound.
    pub maxsize: usize,
    /// Set if it delivers again what clients are not done with.
    pub redelivery: Option<RedeliverySpec>,
    /// It is not kept in the hub's store.
    pub memory: bool,
}

/// How a queue delivers again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RedeliverySpec {
    /// When an item is taken back even though its client is still there.
    pub lease: Option<Duration>,
    /// How often an item is delivered again before it is given up.
    pub attempts: Option<u32>,
    /// How long an item rests that has failed for the first time.
    pub backoff: Option<Duration>,
}

impl QueueSpec {
    /// Parses `NAME[:MAXSIZE][,OPTION]...`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |why: String| Failure::usage(format!("queue '{text}': {why}"));
        // A comma is where a queue's options begin.
        let (queue, options) =
            text.split_once(',').map_or((text, None), |(queue, options)| (queue, Some(options)));
        let (name, maxsize) = queue.split_once(':').map_or((queue, None), |(name, size)| (name, Some(size)));
        if let Some(why) = name_error(name) {
            return Err(wrong(why));
        }
        let maxsize = match maxsize {
            Some(size) => size.parse().map_err(|_| {
                wrong(format!(
                    "'{size}' is not a number of items: give one such as {name}:100, or 0 for no bound"
                ))
            })?,
            None => 0,
        };
        let (redelivery, memory) = options.map_or(Ok((None, false)), parse_options).map_err(wrong)?;
        Ok(Self { name: name.to_owned(), maxsize, redelivery, memory })
    }

    /// Where its items go that it gives up, if it does.
    pub fn dead_name(&self) -> Option<String> {
        self.redelivery.as_ref()?.attempts.map(|_| format!("{}_dead", self.name))
    }
}

/// Parses `redeliver,lease=SECONDS,attempts=N,backoff=SECONDS,memory`, in any order, of which all but the last need the
/// first. Says whether `memory` is there.
fn parse_options(options: &str) -> Result<(Option<RedeliverySpec>, bool), String> {
    let mut spec = RedeliverySpec::default();
    let mut seen: Vec<&str> = Vec::new();
    for option in options.split(',') {
        let (name, value) =
            option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("redeliver" | "memory", None) => {}
            ("lease" | "backoff", Some(value)) => {
                let time = value.parse().ok().and_then(|it| Duration::try_from_secs_f64(it).ok());
                let time = Some(time.filter(|time| !time.is_zero()).ok_or_else(|| {
                    format!("'{value}' is not a number of seconds: give more than 0, such as {name}=60")
                })?);
                if name == "lease" { spec.lease = time } else { spec.backoff = time }
            }
            ("attempts", Some(value)) => {
                let attempts = value.parse().ok().filter(|&attempts| attempts > 0);
                spec.attempts = Some(attempts.ok_or_else(|| {
                    format!("'{value}' is not a number of attempts: give at least 1, such as attempts=3")
                })?);
            }
            ("redeliver" | "memory", Some(_)) => {
                return Err(format!("'{name}' takes no value: leave it out"));
            }
            ("lease" | "attempts" | "backoff", None) => {
                return Err(format!("'{name}' needs a value: give {name}=3"));
            }
            _ => {
                return Err(format!(
                    "unknown option '{option}': there are redeliver, lease=SECONDS, attempts=N, backoff=SECONDS and \
                     memory"
                ));
            }
        }
        if seen.contains(&name) {
            return Err(format!("'{name}' is given twice: leave one out"));
        }
        seen.push(name);
    }
    let memory = seen.iter().position(|&name| name == "memory").map(|at| seen.swap_remove(at)).is_some();
    match seen.contains(&"redeliver") {
        true => Ok((Some(spec), memory)),
        false if seen.is_empty() => Ok((None, memory)),
        false => Err(format!("'{}' is about redelivery: add redeliver", seen.join("' and '"))),
    }
}

fn name_error(name: &str) -> Option<String> {
    if let Some(fault) = typeid_fault(name) {
        return Some(fault);
    }
    if KINDS.iter().any(|kind| kind.typeid == name) {
        return Some(format!("'{name}' is what makes new objects in every hub: choose another name"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_may_have_a_bound() {
        let spec =
            |name: &str, maxsize| QueueSpec { name: name.into(), maxsize, redelivery: None, memory: false };
        assert_eq!(QueueSpec::parse("tasks").unwrap(), spec("tasks", 0));
        assert_eq!(QueueSpec::parse("get_task_queue:10").unwrap(), spec("get_task_queue", 10));
        assert_eq!(QueueSpec::parse("_größe2:0").unwrap(), spec("_größe2", 0));
    }

    #[test]
    fn redelivery_has_options_in_any_order() {
        let redelivery = |text: &str| QueueSpec::parse(text).unwrap().redelivery;
        assert_eq!(redelivery("a:5,redeliver"), Some(RedeliverySpec::default()));
        let all = RedeliverySpec {
            lease: Some(Duration::from_millis(1500)),
            attempts: Some(3),
            backoff: Some(Duration::from_secs(10)),
        };
        for text in
            ["a,redeliver,lease=1.5,attempts=3,backoff=10", "a,backoff=10,attempts=3,lease=1.5,redeliver"]
        {
            assert_eq!(redelivery(text), Some(all.clone()));
        }
        assert_eq!(redelivery("a,memory"), None);
        for (text, memory) in [("a,memory", true), ("a,redeliver,memory", true), ("a,redeliver", false)] {
            assert_eq!(QueueSpec::parse(text).unwrap().memory, memory, "{text}");
        }
        assert_eq!(QueueSpec::parse("a,redeliver,attempts=1").unwrap().dead_name().unwrap(), "a_dead");
        assert_eq!(QueueSpec::parse("a,redeliver,lease=1").unwrap().dead_name(), None);
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "cannot be a method's name"),
            (":10", "cannot be a method's name"),
            ("2fast", "no digit first"),
            ("my-queue", "letters, digits and _"),
            ("a b", "letters, digits and _"),
            ("class", "keyword"),
            ("connect", "method of Python's managers"),
            ("Queue:5", "makes new objects"),
            ("tasks:", "not a number of items"),
            ("tasks:-1", "not a number of items"),
            ("tasks:ten", "such as tasks:100"),
            ("tasks:10,fast", "unknown option 'fast'"),
            ("tasks,", "unknown option ''"),
            ("tasks,redeliver,", "unknown option ''"),
            ("tasks,redeliver=1", "takes no value"),
            ("tasks,redeliver,redeliver", "'redeliver' is given twice"),
            ("tasks,redeliver,lease=1,lease=2", "'lease' is given twice"),
            ("tasks,lease=5", "'lease' is about redelivery: add redeliver"),
            ("tasks,lease=5,attempts=2", "'lease' and 'attempts' is about redelivery"),
            ("tasks,redeliver,lease", "needs a value"),
            ("tasks,redeliver,lease=0", "more than 0"),
            ("tasks,redeliver,backoff=0", "more than 0, such as backoff=60"),
            ("tasks,backoff=5", "'backoff' is about redelivery: add redeliver"),
            ("tasks,redeliver,lease=-1", "more than 0"),
            ("tasks,redeliver,lease=nan", "more than 0"),
            ("tasks,redeliver,attempts=0", "at least 1"),
            ("tasks,redeliver,attempts=many", "at least 1"),
        ] {
            let failure = QueueSpec::parse(text).unwrap_err();
            assert_eq!(failure.code(), 2);
            assert!(failure.message().contains(reason), "{text}: {}", failure.message());
        }
    }
}
