//! `netq get`: items out of a queue.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use netq::{Error, Retry, Value};

use super::access::{Access, access_help, reconnect_help, retry};
use super::args::{Arg, Args};
use super::failure::Failure;
use super::loan::{Lender, Loan, SLICE};
use super::out;
use super::stdout::Stdout;

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
Nothing is lost on the way: the hub is told task_done() for what was printed, and gets the rest back in its
place, also if this process is killed; if that is between the two, items that were printed come again. What
`head` was sent and did not read, in `netq get tasks -n 9999 | head`, is gone; once it has left nothing more
is taken (exit code 1). A hub that is not netq's knows only get(): there, what cannot be printed goes back to
the end of the queue, and what a killed process had taken is lost.

example:
  netq get results --authkey-file key --follow --timeout 60 > results.txt
"
);

/// How many items to take at once, at most: so many of a million cost no more than they would in larger batches.
const BATCH: usize = 1024;
/// A reader that keeps a write waiting for so long does not keep up. What it has not asked for yet is better left to
/// others.
const SLOW: Duration = Duration::from_millis(20);

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
    let mut stdout = Stdout::open().map_err(|error| Failure::stdout(&error))?;
    if stdout.is_closed() {
        return Err(Failure::failed(
            "standard output is closed, so nothing was taken: to throw items away, print them to /dev/null with \
             > /dev/null",
        ));
    }
    let patience = Retry::default().patience;
    let hub = get.access.hub(retry(get.timeout.map_or(patience, |timeout| timeout.min(patience))))?;
    let mut tasks = Lender::new(hub.queue(&get.name)?);
    let (mut left, mut batch) = (get.count, 1);
    while left != Some(0) {
        let most = left.unwrap_or(BATCH).min(batch);
        let Some(loans) = take(&mut tasks, most, &get, &stdout)? else { return Ok(()) };
        left = left.map(|left| left.saturating_sub(loans.len()));
        let started = Instant::now();
        print(loans, &get, &mut tasks, &mut stdout)?;
        batch = if started.elapsed() < SLOW { BATCH.min(batch * 2) } else { 1 };
    }
    Ok(())
}

/// Waits for items as long as somebody reads them; `None` at the end that was to be followed to.
fn take(tasks: &mut Lender, most: usize, get: &Get, stdout: &Stdout) -> Result<Option<Vec<Loan>>, Failure> {
    // Not by the clock: a hub that is away has nothing to offer, and that does not count.
    let mut waited = Duration::ZERO;
    loop {
        let slice = get.timeout.map_or(SLICE, |timeout| timeout.saturating_sub(waited).min(SLICE));
        match tasks.take(most, slice) {
            Ok(loans) => return Ok(Some(loans)),
            Err(Error::Empty) => waited += slice,
            Err(Error::ShutDown) if get.count.is_none() => return Ok(None),
            Err(error) => return Err(Failure::about(format_args!("'{}'", get.name), &error)),
        }
        if let Some(timeout) = get.timeout.filter(|&timeout| waited >= timeout) {
            let seconds = timeout.as_secs_f64();
            return Err(Failure::timed_out(format!("'{}' stayed empty for {seconds} seconds", get.name)));
        }
        if stdout.has_no_reader() {
            return Err(Failure::stdout(&ErrorKind::BrokenPipe.into()));
        }
    }
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

/// Prints items, in one write. What cannot be printed goes back.
fn print(mut loans: Vec<Loan>, get: &Get, tasks: &mut Lender, stdout: &mut Stdout) -> Result<(), Failure> {
    let (mut text, mut ends) = (Vec::new(), Vec::new());
    for loan in &loans {
        text.extend_from_slice(line(&loan.item, get.literal).as_bytes());
        ends.push(text.len());
    }
    let (written, failed) = match stdout.write(&text) {
        Ok(()) => (text.len(), None),
        Err((written, error)) => (written, Some(error)),
    };
    let rest = loans.split_off(ends.partition_point(|&end| end <= written));
    if tasks.lends() && !loans.is_empty() {
        tasks.done(&loans).unwrap_or_else(|error| {
            out::note(&format!("what was printed may come again: task_done(): {error}"));
        });
    }
    let Some(error) = failed else { return Ok(()) };
    let why = match error.kind() {
        ErrorKind::BrokenPipe => "nobody reads standard output any more".to_owned(),
        _ => format!("cannot write to standard output: {error}"),
    };
    let (name, count) = (&get.name, rest.len());
    let place = if tasks.lends() { "its place in" } else { "the end of" };
    let back = tasks.give_back(rest);
    let lost = match count - back {
        0 => String::new(),
        lost => format!(", and {lost} are lost: '{name}' takes no more"),
    };
    Err(Failure::failed(format!("{why}: of what was taken, {back} went back to {place} '{name}'{lost}")))
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
