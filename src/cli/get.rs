//! `netq get`: items out of a queue.

use std::io::ErrorKind;
use std::time::Duration;

use netq::{Error, QueueProxy, Retry, Value};

use super::access::{Access, access_help, reconnect_help, retry};
use super::args::{Arg, Args};
use super::failure::Failure;
use super::out;

/// What `netq get --help` prints.
pub const HELP: &str = concat!(
    "\
netq get: take items from a queue and print each on a line

usage: netq get [OPTION]... NAME

Takes one item, waiting until there is one. A str is printed as it is, anything else as a Python literal, and
an object that has none as its type's name in angle brackets: <__main__.Job>.

options:
  -n COUNT              take COUNT items
  --follow              go on until the queue is shut down
  --timeout S           give up when no item comes for S seconds (exit code 3); what came before is printed
  --repr                print a str as a Python literal too, so that every item is on one line
",
    reconnect_help!("30"),
    access_help!(),
    "
Items that cannot be printed because nobody reads any more, as in `netq get tasks -n 9999 | head`, go back to
the end of the queue (exit code 1); those that `head` was sent and did not read are gone. A queue that
redelivers is told task_done() for what was printed, and gets the rest back at its front; if this process is
killed in between, items that were printed come again.

example:
  netq get results --authkey-file key --follow --timeout 60 > results.txt
"
);

/// How many items to take at once. They are this process's alone until they are printed, so not too many.
const BATCH: usize = 64;

struct Get {
    access: Access,
    name: String,
    /// `None` is without end.
    count: Option<usize>,
    timeout: Option<Duration>,
    literal: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let get = parse(args)?;
    let patience = Retry::default().patience;
    let hub = get.access.hub(retry(get.timeout.map_or(patience, |timeout| timeout.min(patience))))?;
    let mut queue = hub.queue(&get.name)?;
    let batches = queue.proxy().exposed().iter().any(|method| method == "get_many");
    let redelivers = queue.redelivers()?;
    let mut left = get.count;
    while left != Some(0) {
        let result = match batches {
            true => queue.get_many(left.unwrap_or(BATCH).min(BATCH), get.timeout),
            false => get_one(&mut queue, get.timeout).map(|item| vec![item]),
        };
        let items = match result {
            Ok(items) => items,
            Err(Error::Empty) => {
                let seconds = get.timeout.unwrap_or_default().as_secs_f64();
                return Err(Failure::timed_out(format!("'{}' stayed empty for {seconds} seconds", get.name)));
            }
            // That is the end that was to be followed to.
            Err(Error::ShutDown) if left.is_none() => return Ok(()),
            Err(error) => return Err(Failure::about(format_args!("'{}'", get.name), &error)),
        };
        left = left.map(|left| left.saturating_sub(items.len()));
        print(items, &get, &mut queue, redelivers)?;
    }
    Ok(())
}

fn parse(mut args: Args) -> Result<Get, Failure> {
    let mut name = None;
    let mut count = None;
    let mut follow = false;
    let mut get = Get {
        access: Access::reconnecting(),
        name: String::new(),
        count: None,
        timeout: None,
        literal: false,
    };
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Option(option) => match option.as_str() {
                "-n" => count = Some(args.number(0)?),
                "--follow" => follow = true,
                "--timeout" => get.timeout = Some(args.seconds()?),
                "--repr" => get.literal = true,
                _ => get.access.option(&option, &mut args)?,
            },
            Arg::Word(word) if name.is_none() => name = Some(args.utf8(word)?),
            Arg::Word(word) => return Err(args.unexpected(&word)),
        }
    }
    if follow && count.is_some() {
        return Err(Failure::usage("-n and --follow contradict each other: leave one out"));
    }
    get.count = if follow { None } else { count.or(Some(1)) };
    get.name = name.ok_or_else(|| args.missing("the name of a queue"))?;
    Ok(get)
}

fn get_one(queue: &mut QueueProxy, timeout: Option<Duration>) -> Result<Value, Error> {
    match timeout {
        None => queue.get(),
        Some(timeout) => queue.get_timeout(timeout),
    }
}

/// Prints items. What cannot be printed goes back.
fn print(items: Vec<Value>, get: &Get, queue: &mut QueueProxy, redelivers: bool) -> Result<(), Failure> {
    let total = items.len();
    let mut items = items.into_iter();
    // Item by item, because of a larger write nobody would know how much was done.
    let failed = items
        .by_ref()
        .find_map(|item| out::write(line(&item, get.literal).as_bytes()).err().map(|error| (item, error)));
    let left = items.len() + usize::from(failed.is_some());
    if redelivers {
        queue.task_done_many(total - left).unwrap_or_else(|error| {
            out::note(&format!("what was printed may come again: task_done(): {error}"));
        });
    }
    let Some((item, error)) = failed else { return Ok(()) };
    let name = &get.name;
    let why = match error.kind() {
        ErrorKind::BrokenPipe => "nobody reads standard output any more".to_owned(),
        _ => format!("cannot write to standard output: {error}"),
    };
    if redelivers {
        // It does so by itself, as soon as this process has ended.
        return Err(Failure::failed(format!(
            "{why}: of what was taken, {left} go back to the front of '{name}'"
        )));
    }
    let back = [item].into_iter().chain(items).map_while(|item| queue.try_put(item).ok()).count();
    Err(Failure::failed(match left - back {
        0 => format!("{why}: of what was taken, {back} went back to the end of '{name}'"),
        lost => format!(
            "{why}: of what was taken, {back} went back to the end of '{name}', and {lost} are lost: \
             '{name}' takes no more"
        ),
    }))
}

fn line(item: &Value, literal: bool) -> String {
    match item {
        Value::Str(text) if !literal => format!("{text}\n"),
        // What is text in it is quoted already, but names of types are as their sender chose them.
        other => format!("{}\n", out::escaped(&other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Get, Failure> {
        parse(Args::new("get", words.iter().map(|word| word.into()).collect()))
    }

    #[test]
    fn one_item_is_taken_unless_told_otherwise() {
        let count = |words: &[&str]| parsed(words).map(|get| get.count).map_err(|f| f.message().to_owned());
        assert_eq!(count(&["tasks"]), Ok(Some(1)));
        assert_eq!(count(&["-n", "7", "tasks"]), Ok(Some(7)));
        assert_eq!(count(&["tasks", "--follow"]), Ok(None));
        assert!(count(&["tasks", "--follow", "-n1"]).unwrap_err().contains("contradict"));
        assert!(count(&["tasks", "more"]).unwrap_err().contains("unexpected argument 'more'"));
        assert!(count(&[]).unwrap_err().contains("missing"));
    }

    #[test]
    fn text_is_printed_raw_and_all_else_as_a_literal() {
        let text = Value::from("it's\n2");
        assert_eq!(line(&text, false), "it's\n2\n");
        assert_eq!(line(&text, true), "\"it's\\n2\"\n");
        assert_eq!(line(&("a", 1.5, ()).into(), false), "('a', 1.5, None)\n");
        assert_eq!(line(&b"\xff".to_vec().into(), false), "b'\\xff'\n");
    }
}
