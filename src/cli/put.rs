//! `netq put`: items into a queue.

use std::ffi::OsString;
use std::io::{self, BufReader, IsTerminal};
use std::time::{Duration, Instant};

use netq::{Error, QueueProxy, Retry, Value};

use super::access::{Access, access_help, reconnect_help, retry};
use super::args::{Arg, Args};
use super::failure::Failure;
use super::lines::{BATCH_ITEMS, End, Lines, size};
use super::out;

/// What `netq put --help` prints.
pub const HELP: &str = concat!(
    "\
netq put: put items into a queue, from the arguments or from standard input

usage: netq put [OPTION]... NAME [ITEM]...

Puts every ITEM, or, if there is none, every line of standard input, as a Python str. A line is put as soon as
it is there; those that come faster than the hub takes them are put in batches. Waits while the queue is full.

options:
  --bytes               put Python bytes, which need not be UTF-8
  --null                items on standard input end with a NUL byte instead of a line's end: find -print0
  --raw                 put all of standard input as one item, as Python bytes
  --timeout S           give up when the queue stays full for S seconds (exit code 3)
",
    reconnect_help!("30"),
    access_help!(),
    "
example:
  find . -name '*.png' | netq put tasks --authkey-file key
"
);

struct Put {
    access: Access,
    name: String,
    items: Vec<OsString>,
    bytes: bool,
    end: End,
    timeout: Option<Duration>,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let put = parse(args)?;
    let items = put.items.into_iter().map(|item| to_item(item, put.bytes)).collect::<Result<Vec<_>, _>>()?;
    let patience = Retry::default().patience;
    let queue = put.access.hub(retry(put.timeout.map_or(patience, |timeout| timeout.min(patience))))?;
    let mut sink = Sink::new(queue.queue(&put.name)?, put.name, put.timeout);
    if !items.is_empty() {
        return items.chunks(BATCH_ITEMS).try_for_each(|items| sink.put(items.to_vec()));
    }
    // Somebody who types lines at a terminal sees them there already.
    let shown = io::stderr().is_terminal() && !io::stdin().is_terminal();
    let mut progress = Progress::new(shown);
    let mut lines = Lines::of(BufReader::with_capacity(64 * 1024, io::stdin()), put.bytes, put.end);
    while let Some(batch) = lines.next_batch()? {
        sink.put(batch)?;
        progress.show(sink.count);
    }
    progress.finish(sink.count);
    Ok(())
}

fn parse(mut args: Args) -> Result<Put, Failure> {
    let mut name = None;
    let mut put = Put {
        access: Access::reconnecting(),
        name: String::new(),
        items: Vec::new(),
        bytes: false,
        end: End::Line,
        timeout: None,
    };
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Option(option) => match option.as_str() {
                "--bytes" => put.bytes = true,
                "--null" => put.end = End::Null,
                "--raw" => (put.bytes, put.end) = (true, End::Input),
                "--timeout" => put.timeout = Some(args.seconds()?),
                _ => put.access.option(&option, &mut args)?,
            },
            Arg::Word(word) if name.is_none() => name = Some(args.utf8(word)?),
            Arg::Word(word) => put.items.push(word),
        }
    }
    put.name = name.ok_or_else(|| args.missing("the name of a queue"))?;
    Ok(put)
}

fn to_item(word: OsString, bytes: bool) -> Result<Value, Failure> {
    if bytes {
        return Ok(word.into_encoded_bytes().into());
    }
    word.into_string().map(Value::from).map_err(|word| {
        let shown = word.to_string_lossy();
        Failure::usage(format!("item '{shown}' is not UTF-8: use --bytes to put it as Python bytes"))
    })
}

/// About what an item costs in a message beside its own bytes.
const ITEM_BYTES: usize = 16;

/// Where items go.
struct Sink {
    queue: QueueProxy,
    name: String,
    timeout: Option<Duration>,
    /// Whether the hub takes several items at once: CPython's manager does not.
    batches: bool,
    /// How many bytes at most the hub takes at once, as far as is known: it says only what is too much.
    batch_bytes: usize,
    /// How many items were put.
    count: u64,
}

impl Sink {
    fn new(queue: QueueProxy, name: String, timeout: Option<Duration>) -> Self {
        let batches = queue.proxy().exposed().iter().any(|method| method == "put_many");
        Self { queue, name, timeout, batches, batch_bytes: usize::MAX, count: 0 }
    }

    fn put(&mut self, mut items: Vec<Value>) -> Result<(), Failure> {
        if !self.batches {
            return match self.timeout {
                None => self.put_pipelined(items),
                Some(timeout) => items.into_iter().try_for_each(|item| self.put_one(item, timeout)),
            };
        }
        let mut timeout = self.timeout;
        while !items.is_empty() {
            let (some, bytes) = self.first(&items);
            let mut rest = items.split_off(some);
            let result = self.queue.put_many(&mut items, timeout);
            let put = some - items.len();
            self.count += put as u64;
            items.append(&mut rest);
            match result {
                // Over the hub's limit for messages, or one that is too large by itself: in smaller batches the
                // others get in, and the one is found.
                Err(Error::Raised(exception)) if some > 1 && exception.name() == "ValueError" => {
                    self.batch_bytes = bytes / 2;
                    continue;
                }
                result => result.map_err(|error| self.failure(&error, some - put))?,
            };
            if put == 0 {
                return Err(self.failure(&Error::Full, 0));
            }
            // Too few mean that the time is over, or another error, which the next call brings to light. Those
            // that follow a whole batch have their own time.
            timeout = if put < some { timeout.map(|_| Duration::ZERO) } else { self.timeout };
        }
        Ok(())
    }

    /// How many of the items go to the hub at once, at least one, and about how many bytes they are.
    fn first(&self, items: &[Value]) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        for item in items {
            let more = bytes + size(item) + ITEM_BYTES;
            if count > 0 && more > self.batch_bytes {
                break;
            }
            (count, bytes) = (count + 1, more);
        }
        (count, bytes)
    }

    fn put_pipelined(&mut self, items: Vec<Value>) -> Result<(), Failure> {
        let total = items.len();
        let result = self.queue.put_all(items);
        let put = result.as_ref().map_or_else(|stopped| stopped.put, |&put| put);
        self.count += put as u64;
        result.map(drop).map_err(|stopped| self.failure(&stopped.error, total - put))
    }

    fn put_one(&mut self, item: Value, timeout: Duration) -> Result<(), Failure> {
        self.queue.put_timeout(item, timeout).map_err(|error| self.failure(&error, 1))?;
        self.count += 1;
        Ok(())
    }

    /// An error, with what it means for the items, of which `tried` were on their way.
    fn failure(&self, error: &Error, tried: usize) -> Failure {
        let Self { name, count, .. } = self;
        match error {
            Error::Full => {
                let seconds = self.timeout.unwrap_or_default().as_secs_f64();
                Failure::timed_out(format!(
                    "'{name}' stayed full for {seconds} seconds: {count} items were put, the next one was not"
                ))
            }
            // Nobody knows of the last ones.
            Error::Lost { .. } => {
                let most = count + tried as u64;
                Failure::about(format_args!("'{name}': {count} to {most} items were put"), error)
            }
            _ => Failure::about(format_args!("'{name}': {count} items were put"), error),
        }
    }
}

/// A line on the terminal that says how far it is.
struct Progress {
    visible: bool,
    started: Instant,
    shown: Option<Instant>,
}

impl Progress {
    const INTERVAL: Duration = Duration::from_millis(500);

    fn new(visible: bool) -> Self {
        Self { visible, started: Instant::now(), shown: None }
    }

    fn show(&mut self, count: u64) {
        if self.visible && self.shown.unwrap_or(self.started).elapsed() >= Self::INTERVAL {
            self.shown = Some(Instant::now());
            out::error(format!("\rnetq: {}", self.text(count)).as_bytes());
        }
    }

    /// The last word, if there was a first one.
    fn finish(&self, count: u64) {
        if self.shown.is_some() {
            out::error(format!("\rnetq: {}\n", self.text(count)).as_bytes());
        }
    }

    fn text(&self, count: u64) -> String {
        let rate = count as f64 / self.started.elapsed().as_secs_f64();
        format!("{count} items put, {rate:.0} a second ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_word_is_the_queue_and_the_others_are_items() {
        let words = ["--timeout=2", "tasks", "a", "--bytes", "--", "--b"];
        let put =
            parse(Args::new("put", words.iter().map(OsString::from).collect())).unwrap_or_else(|_| panic!());
        assert_eq!(
            (put.name.as_str(), put.bytes, put.timeout),
            ("tasks", true, Some(Duration::from_secs(2)))
        );
        assert_eq!(put.items, ["a", "--b"]);
        let none = parse(Args::new("put", vec![])).map(|_| ()).unwrap_err();
        assert!(none.message().contains("the name of a queue is missing"));
    }

    #[cfg(unix)]
    #[test]
    fn item_that_is_not_utf8_needs_bytes() {
        use std::os::unix::ffi::OsStringExt;
        let raw = OsString::from_vec(b"caf\xe9".to_vec());
        assert!(to_item(raw.clone(), false).unwrap_err().message().contains("--bytes"));
        assert_eq!(to_item(raw, true).unwrap(), Value::Bytes(b"caf\xe9".to_vec()));
    }
}
