//! `netq get`: items out of a queue.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use netq::{Error, Retry, Value};

use super::access::{Access, access_help, reconnect_help, retry};
use super::args::{Arg, Args};
use super::argument;
use super::failure::Failure;
use super::loan::{Lender, Loan, SLICE};
use super::out;
use super::stdout::Stdout;

/// What `netq get --help` prints.
pub const HELP: &str = concat!(
    "\
netq get: take items from a queue and print each on a line

usage: netq get [OPTION]... NAME

Takes one item, waiting until there is one. A str is printed as it is (on a terminal without what would move
the cursor), anything else as a Python literal, and an object that has none as its type's name in angle
brackets: <__main__.Job>.

options:
  -n COUNT              take COUNT items
  --follow              go on until the queue is shut down, or a hub of CPython's has ended
  --timeout S           give up when no item comes for S seconds (exit code 3); what came before is printed
  --repr                print a str as a Python literal too, so that every item is on one line
  --raw                 print a str and bytes as they are, with nothing behind them: what was put into a
                        queue by `netq put --raw` comes out as it was
  --null                likewise, with a NUL byte behind each item: for names of files, and xargs -0
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
/// How much longer than its timeout a call of a hub may take.
const FROZEN: Duration = Duration::from_secs(3);

struct Get {
    access: Access,
    name: String,
    /// `None` is without end.
    count: Option<usize>,
    timeout: Option<Duration>,
    form: Form,
}

/// How items are printed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// Texts as they are, and anything else as a literal, each on a line.
    Lines,
    /// All as literals.
    Literals,
    /// Texts and bytes as they are, and this behind each.
    Raw(&'static [u8]),
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
    let mut queue = hub.queue(&get.name)?;
    // Of a hub that is frozen no call returns by itself.
    queue.set_timeout(get.timeout.map(|timeout| timeout.saturating_add(FROZEN)));
    let mut tasks = Lender::new(queue);
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
            Err(error) if get.count.is_none() && tasks.is_end(&error) => {
                out::note("the hub has ended");
                return Ok(None);
            }
            Err(error) => return Err(tasks.failure(&get.name, &error)),
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
        form: Form::Lines,
    };
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Option(option) => match option.as_str() {
                "-n" => count = Some(args.number(0)?),
                "--follow" => follow = true,
                "--timeout" => get.timeout = Some(args.seconds()?),
                "--repr" => get.form = Form::Literals,
                "--raw" => get.form = Form::Raw(b""),
                "--null" => get.form = Form::Raw(b"\0"),
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
        append(&mut text, &loan.item, get.form, stdout.is_terminal());
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

fn append(text: &mut Vec<u8>, item: &Value, form: Form, terminal: bool) {
    let bytes = match (item, form) {
        (_, Form::Literals) => None,
        (_, Form::Lines) => argument::line(item),
        _ => argument::bytes(item).or_else(|| argument::line(item)),
    };
    match bytes {
        Some(bytes) => text.extend_from_slice(&out::shown(&bytes, terminal)),
        // What is text in it is quoted already, but names of types are as their sender chose them.
        None => text.extend_from_slice(out::escaped(&item.to_string()).as_bytes()),
    }
    text.extend_from_slice(if let Form::Raw(end) = form { end } else { b"\n" });
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
    fn text_is_printed_raw_and_all_else_as_a_literal_unless_told_otherwise() {
        let printed = |item: Value| {
            [Form::Lines, Form::Literals, Form::Raw(b"\0")].map(|form| {
                let mut text = Vec::new();
                append(&mut text, &item, form, false);
                text
            })
        };
        assert_eq!(printed("it's\n2".into()), [&b"it's\n2\n"[..], b"\"it's\\n2\"\n", b"it's\n2\0"]);
        assert_eq!(printed(("a", ()).into())[0], b"('a', None)\n");
        assert_eq!(printed(b"\xff".to_vec().into()), [&b"b'\\xff'\n"[..], b"b'\\xff'\n", b"\xff\0"]);
        let name = netq::Pickled::from_pickle(b"\x8c\x06caf\xed\xb3\xa9.").unwrap();
        assert_eq!(printed(Value::Opaque(name))[0], b"caf\xe9\n");
        let path = netq::Pickled::from_pickle(b"cpathlib\nPosixPath\nX\x04\0\0\0/tmp\x85R.").unwrap();
        assert_eq!(printed(Value::Opaque(path)), [&b"/tmp\n"[..], b"<pathlib.PosixPath>\n", b"/tmp\0"]);
    }

    #[cfg(feature = "objects")]
    #[test]
    fn times_are_printed_as_text_and_a_bytearray_as_bytes() {
        let printed = |pickle: &[u8]| {
            let item = Value::Opaque(netq::Pickled::from_pickle(pickle).unwrap());
            [Form::Lines, Form::Raw(b"")].map(|form| {
                let mut text = Vec::new();
                append(&mut text, &item, form, false);
                text
            })
        };
        assert_eq!(
            printed(b"cdatetime\ndate\nC\x04\x07\xe8\x02\x1d\x85R."),
            [&b"2024-02-29\n"[..], b"2024-02-29"]
        );
        assert_eq!(printed(b"cbuiltins\nbytearray\nC\x02a\xff\x85R."), [&b"b'a\\xff'\n"[..], b"a\xff"]);
    }
}
