//! `netq stat`: what a hub serves, and how busy it is.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use netq::units::{duration, natural_order, size};
use netq::{BaseManager, Error, Retry, Value};

use super::access::{Access, access_help};
use super::args::{Arg, Args};
use super::failure::Failure;
use super::out;
use super::table::Table;

/// What `netq stat --help` prints.
pub const HELP: &str = concat!(
    "\
netq stat: show a hub's queues and figures

usage: netq stat [OPTION]...

Prints the hub's figures and limits, a table of its queues, and one of its other objects. Of a queue:
  length                items in it, and how many it holds at most
  bytes                 their size, and the memory that there is for them
  out                   items at clients, which may come back
  rest                  items that failed, and are not given to anybody yet
  puts, gets            items put and got since the hub was started
  back                  items that came back: their client died, failed, or was not done in time
  wait                  clients that wait to get, or to put
  undone                items for which task_done() was not called yet
Of a store: its size, and what its items take of it; what was written to it, how often it was synced, and for
how long something has not been on disk. Numbers from 10,000 on are rounded: 12k, 1.2M. Of a manager of
CPython's, prints what its debug_info says.

options:
  --watch [S]           again every S seconds (default 1), until stopped
",
    access_help!(),
    "
example:
  netq stat --authkey-file key --watch 5
"
);

/// Runs the command.
pub fn run(mut args: Args) -> Result<(), Failure> {
    let mut access = Access::default();
    let mut watch = None;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Option(option) if option == "--watch" => {
                let interval = args.optional_value().map(|word| args.to_seconds(word)).transpose()?;
                watch = Some(interval.unwrap_or(Duration::from_secs(1)));
            }
            Arg::Option(option) => access.option(&option, &mut args)?,
            Arg::Word(word) => return Err(args.unexpected(&word)),
        }
    }
    let manager = access.hub(Retry::never())?.manager;
    let clear = if watch.is_some() && io::stdout().is_terminal() { "\x1b[2J\x1b[H" } else { "" };
    loop {
        let text = report(&manager)?;
        out::print(&format!("{clear}{text}"))?;
        match watch {
            Some(interval) => thread::sleep(interval),
            None => return Ok(()),
        }
    }
}

fn report(manager: &BaseManager) -> Result<String, Failure> {
    match manager.dispatch("stat") {
        Ok(figures) => Ok(describe(manager.address(), &figures)),
        // CPython's manager has no such method.
        Err(Error::NoSuchMethod(_)) => {
            let info = manager.dispatch("debug_info")?;
            let header = format!("a manager of CPython's at {}", manager.address());
            Ok(match info.as_str() {
                // It knows its objects only as long as somebody has a proxy of them.
                Some("") => format!("{header}: nobody uses an object of it now\n"),
                Some(text) => format!("{header}\n{}\n", out::escaped_lines(text)),
                None => format!("{header}\n{}\n", out::escaped(&info.to_string())),
            })
        }
        Err(error) => Err(error.into()),
    }
}

fn describe(address: &str, figures: &Value) -> String {
    let figure = |name| get(figures, name).map_or_else(|| "?".to_owned(), plain);
    let seconds = |name| number(figures, name).map_or_else(|| "?".to_owned(), duration);
    let limit = number(figures, "max_message").map_or_else(|| "?".to_owned(), |bytes| size(bytes as u64));
    let either = |name, yes, no| match get(figures, name) {
        Some(Value::Bool(true)) => yes,
        Some(Value::Bool(false)) => no,
        _ => "?",
    };
    let mut text = format!(
        "netq {} at {address}, up {}\n\
         connections {}/{}, strangers {}/{}\n\
         accepted {}, refused {}, evicted {}, failed handshakes {}\n\
         messages up to {limit}, {}; handshakes within {}, by {}\n\
         replies read within {}; {}\n",
        figure("version"),
        seconds("uptime"),
        figure("connections"),
        figure("max_connections"),
        figure("strangers"),
        figure("max_strangers"),
        figure("accepted"),
        figure("refused"),
        figure("evicted"),
        figure("failed_handshakes"),
        either("data_only", "data only", "of any objects"),
        seconds("handshake_timeout"),
        either("sha256_only", "SHA-256 only", "SHA-256 or MD5"),
        seconds("write_timeout"),
        either("remote_shutdown", "clients may stop the hub", "no client may stop the hub"),
    );
    text.extend(get(figures, "store").map(store));
    let Some(Value::List(objects)) = get(figures, "objects") else { return text };
    let name = |object: &Value| get(object, "name").map(plain).unwrap_or_default();
    let (mut queues, mut others): (Vec<&Value>, Vec<&Value>) = (Vec::new(), Vec::new());
    for object in objects {
        let sorted = if get(object, "redelivers").is_some() { &mut queues } else { &mut others };
        let at = sorted.partition_point(|other| natural_order(&name(other), &name(object)).is_le());
        sorted.insert(at, object);
    }
    for (objects, row) in [(queues.as_slice(), queue as fn(&Value) -> Row), (&others, other)] {
        if !objects.is_empty() {
            text += &format!("\n{}", Table::new(objects.iter().map(|object| row(object)).collect()));
        }
    }
    let delivery: String = queues.iter().filter_map(|queue| delivery(&name(queue), queue)).collect();
    if !delivery.is_empty() {
        text += &format!("\n{delivery}");
    }
    text
}

/// Lines about where the queues are kept.
fn store(store: &Value) -> String {
    let path = || get(store, "path").map_or_else(|| "?".to_owned(), plain);
    if let Some(version) = get(store, "redis_version") {
        return format!("store {}, Redis {}\n", path(), plain(version));
    }
    let bytes = |name| number(store, name).map_or_else(|| "?".to_owned(), |bytes| size(bytes as u64));
    let figure = |name| number(store, name).map_or_else(|| "?".to_owned(), count);
    let sync = number(store, "sync")
        .map_or_else(|| "before a put is answered".to_owned(), |late| format!("within {}", duration(late)));
    let oldest = number(store, "oldest_unsynced");
    format!(
        "store {}: {} in {} segments, {} of items\n{} written, {} syncs, {sync}; {}{}\n",
        path(),
        bytes("bytes"),
        figure("segments"),
        bytes("live_bytes"),
        bytes("bytes_written"),
        figure("syncs"),
        oldest.map_or_else(|| "all on disk".to_owned(), |age| format!("not on disk for {}", duration(age))),
        if get(store, "full") == Some(&Value::Bool(true)) { "; the disk is full" } else { "" },
    )
}

/// Headings and texts, short enough for all of them to stand side by side.
type Row = Vec<(String, String)>;

fn queue(object: &Value) -> Row {
    let bytes = |name| number(object, name).map(|bytes| size(bytes as u64));
    let of = |amount: Option<String>, bound: Option<String>| match (amount, bound) {
        (Some(amount), Some(bound)) => format!("{amount}/{bound}"),
        (amount, _) => amount.unwrap_or_else(|| "-".to_owned()),
    };
    let figure = |name| number(object, name).map(count);
    let maxsize = number(object, "maxsize").filter(|&bound| bound > 0.0).map(count);
    let waits =
        |name, what| number(object, name).filter(|&n| n > 0.0).map(|n| format!("{} {what}", count(n)));
    let wait = waits("waiting_getters", "get").or_else(|| waits("waiting_putters", "put"));
    let cells = [
        ("name", get(object, "name").map_or_else(|| "?".to_owned(), plain)),
        ("length", of(figure("length"), maxsize)),
        ("bytes", of(bytes("bytes"), bytes("max_bytes"))),
        ("out", of(figure("out"), None)),
        ("rest", of(figure("resting"), None)),
        ("puts", of(figure("puts"), None)),
        ("gets", of(figure("gets"), None)),
        ("back", of(figure("returned"), None)),
        ("wait", wait.unwrap_or_else(|| "-".to_owned())),
        ("undone", of(figure("unfinished"), None)),
    ];
    cells.map(|(heading, text)| (heading.to_owned(), text)).into()
}

/// What is no queue has figures of its own.
fn other(object: &Value) -> Row {
    let Value::Dict(figures) = object else { return Row::new() };
    let cells = figures.iter().filter(|(name, value)| name.as_str() != Some("type") && !value.is_none());
    let heading = |name: &Value| match name.as_str() {
        Some("references") => "refs".to_owned(),
        Some("connections") => "conns".to_owned(),
        _ => plain(name),
    };
    cells.map(|(name, value)| (heading(name), plain(value))).collect()
}

/// How a queue delivers again, if it does.
fn delivery(name: &str, object: &Value) -> Option<String> {
    if get(object, "redelivers") != Some(&Value::Bool(true)) {
        return None;
    }
    let lease = number(object, "lease").map(|lease| format!(", after a lease of {} too", duration(lease)));
    let attempts = number(object, "attempts").map(|attempts| format!(", up to {attempts} times"));
    Some(format!(
        "{name}: redelivers what is not done{}{}\n",
        lease.unwrap_or_default(),
        attempts.unwrap_or_default()
    ))
}

/// A number of things, in at most four characters: `9999`, `12k`, `1.2M`.
fn count(number: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.into_iter().find(|(unit, _)| number >= 1e4 && number >= *unit) {
        Some((unit, name)) if number < 10.0 * unit => format!("{:.1}{name}", number / unit),
        Some((unit, name)) => format!("{:.0}{name}", number / unit),
        None => number.to_string(),
    }
}

pub(super) fn get<'v>(dict: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Dict(entries) = dict else { return None };
    entries.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

pub(super) fn number(dict: &Value, name: &str) -> Option<f64> {
    match get(dict, name)? {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// A text without quotes, unless it could disturb a terminal.
fn plain(value: &Value) -> String {
    match value {
        Value::Str(text) if !text.contains(char::is_control) => text.clone(),
        Value::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_has_a_line_for_the_hub_and_one_for_each_object() {
        let dict = |entries: &[(&str, Value)]| {
            Value::Dict(entries.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
        };
        let queue = dict(&[
            ("name", "tasks".into()),
            ("type", "tasks".into()),
            ("references", 3.into()),
            ("length", 7.into()),
            ("maxsize", 10.into()),
            ("bytes", 700.into()),
            ("max_bytes", (3 << 20).into()),
            ("redelivers", true.into()),
            ("lease", 2.5.into()),
            ("attempts", Value::None),
            ("waiting_getters", 2.into()),
        ]);
        let Value::Dict(mut alias) = queue.clone() else { panic!() };
        alias[0].1 = "tasks#2".into();
        let counter = dict(&[("name", "counter".into()), ("value", 5.into())]);
        let figures = dict(&[
            ("version", "0.1.0".into()),
            ("uptime", 61.0.into()),
            ("connections", 2.into()),
            ("max_connections", 10.into()),
            ("max_message", (1 << 20).into()),
            ("handshake_timeout", 10.0.into()),
            ("write_timeout", 60.0.into()),
            ("data_only", true.into()),
            ("sha256_only", false.into()),
            ("remote_shutdown", false.into()),
            ("objects", Value::List(vec![Value::Dict(alias), queue, counter])),
        ]);
        let expected = "\
netq 0.1.0 at 127.0.0.1:8001, up 1 min 1 s
connections 2/10, strangers ?/?
accepted ?, refused ?, evicted ?, failed handshakes ?
messages up to 1M, data only; handshakes within 10 s, by SHA-256 or MD5
replies read within 1 min; no client may stop the hub

name     length   bytes  out  rest  puts  gets  back   wait  undone
tasks      7/10  700/3M    -     -     -     -     -  2 get       -
tasks#2    7/10  700/3M    -     -     -     -     -  2 get       -

name     value
counter      5

tasks: redelivers what is not done, after a lease of 2.5 s too
tasks#2: redelivers what is not done, after a lease of 2.5 s too
";
        assert_eq!(describe("127.0.0.1:8001", &figures), expected);
    }

    #[test]
    fn what_is_large_still_fits_a_terminal() {
        let names = ["length", "maxsize", "bytes", "max_bytes", "out", "resting", "puts", "gets", "returned"]
            .into_iter()
            .chain(["waiting_getters", "unfinished"]);
        let figures = |at: usize| {
            let named = [("name", format!("Queue-{at}-5f3a9c01").into()), ("redelivers", Value::Bool(false))];
            let numbers = names.clone().map(|name| (name, 99_999.into()));
            Value::Dict(named.into_iter().chain(numbers).map(|(name, value)| (name.into(), value)).collect())
        };
        let dict = |objects| Value::Dict(vec![("objects".into(), Value::List(objects))]);
        let text = describe("hub:8001", &dict([10, 2, 1].map(figures).into()));
        let table: Vec<&str> = text.lines().skip(6).collect();
        assert!(table.iter().all(|line| line.chars().count() <= 80), "{text}");
        let order = ["name", "Queue-1-", "Queue-2-", "Queue-10-"];
        assert!(table.iter().zip(order).all(|(line, name)| line.starts_with(name)), "{text}");
    }

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (9_999.0, "9999"),
            (12_345.0, "12k"),
            (123_456.0, "123k"),
            (1_234_567.0, "1.2M"),
            (123_456_789.0, "123M"),
            (5e9, "5.0G"),
        ] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn names_cannot_disturb_the_terminal() {
        assert_eq!(plain(&"\x1b[2J".into()), r"'\x1b[2J'");
    }
}
