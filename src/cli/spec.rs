//! `NAME[:MAXSIZE]`: a queue as `netq serve` is told about it.

use super::failure::Failure;

/// A queue that is to be served.
#[derive(Debug, PartialEq)]
pub struct QueueSpec {
    /// What clients call it. In Python: `manager.NAME()`.
    pub name: String,
    /// How many items it holds at most; 0 is without a bound.
    pub maxsize: usize,
}

/// The names that a hub registers by itself.
pub const FACTORIES: [&str; 2] = ["Queue", "JoinableQueue"];

/// What a Python `BaseManager` has already: a queue of that name would replace it in the clients' class.
const MANAGER: [&str; 7] = ["address", "connect", "get_server", "join", "register", "shutdown", "start"];

const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

impl QueueSpec {
    /// Parses `NAME[:MAXSIZE]`.
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
        if let Some(option) = options.and_then(|options| options.split(',').next()) {
            return Err(wrong(format!("unknown option '{option}': leave it out")));
        }
        Ok(Self { name: name.to_owned(), maxsize })
    }
}

fn name_error(name: &str) -> Option<String> {
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|c| c == '_' || c.is_alphabetic());
    if !starts || !chars.all(|c| c == '_' || c.is_alphanumeric()) {
        return Some(format!(
            "'{name}' cannot be a method's name in Python: use letters, digits and _, and no digit first"
        ));
    }
    if KEYWORDS.contains(&name) {
        return Some(format!("'{name}' is a keyword of Python: choose another name"));
    }
    if MANAGER.contains(&name) {
        return Some(format!("'{name}' is a method of Python's managers: choose another name"));
    }
    if FACTORIES.contains(&name) {
        return Some(format!("'{name}' is what makes new queues in every hub: choose another name"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_may_have_a_bound() {
        let spec = |name: &str, maxsize| QueueSpec { name: name.into(), maxsize };
        assert_eq!(QueueSpec::parse("tasks").unwrap(), spec("tasks", 0));
        assert_eq!(QueueSpec::parse("get_task_queue:10").unwrap(), spec("get_task_queue", 10));
        assert_eq!(QueueSpec::parse("_größe2:0").unwrap(), spec("_größe2", 0));
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
            ("Queue:5", "makes new queues"),
            ("tasks:", "not a number of items"),
            ("tasks:-1", "not a number of items"),
            ("tasks:ten", "such as tasks:100"),
            ("tasks:10,fast", "unknown option 'fast'"),
            ("tasks,", "unknown option ''"),
        ] {
            let failure = QueueSpec::parse(text).unwrap_err();
            assert_eq!(failure.code(), 2);
            assert!(failure.message().contains(reason), "{text}: {}", failure.message());
        }
    }
}
