//! `netq stat`: what a hub serves, and how busy it is.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

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

Prints a line about the hub and a table of its objects. Of a queue: proxies that refer to it, connections
that use it, items and bytes in it, items put, got, and returned because their worker died, clients that wait
in get() and in put(), and items for which task_done() was not called yet. Of a manager that is CPython's,
prints what its debug_info says.

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
        Err(Error::RemoteTraceback(_)) => match manager.dispatch("debug_info")? {
            Value::Str(text) => Ok(format!("{text}\n")),
            other => Ok(format!("{other}\n")),
        },
        Err(error) => Err(error.into()),
    }
}

fn describe(address: &str, figures: &Value) -> String {
    let figure = |name| get(figures, name).map_or_else(|| "?".to_owned(), plain);
    let seconds = |name| number(figures, name).map_or_else(|| "?".to_owned(), duration);
    let limit = number(figures, "max_message").map_or_else(|| "?".to_owned(), bytes);
    let data_only = matches!(get(figures, "data_only"), Some(Value::Bool(true)));
    let header = format!(
        "netq {} at {address}, up {}; connections {}/{}, strangers {}/{}, refused {}, evicted {}, failed \
         handshakes {}; messages up to {limit}, handshakes up to {}{}\n",
        figure("version"),
        seconds("uptime"),
        figure("connections"),
        figure("max_connections"),
        figure("strangers"),
        figure("max_strangers"),
        figure("refused"),
        figure("evicted"),
        figure("failed_handshakes"),
        seconds("handshake_timeout"),
        if data_only { ", data only" } else { "" },
    );
    let Some(Value::List(objects)) = get(figures, "objects") else { return header };
    let rows = objects.iter().filter_map(|object| match object {
        // A column that would be empty is left out.
        Value::Dict(cells) => Some(cells.iter().filter(|(_, value)| !value.is_none())),
        _ => None,
    });
    let rows = rows.map(|cells| cells.map(|(name, value)| (heading(name), plain(value))).collect());
    format!("{header}\n{}", Table::new(rows.collect()))
}

/// A figure's name, short enough for all of them to stand side by side.
fn heading(name: &Value) -> String {
    match name.as_str() {
        Some("references") => "refs".to_owned(),
        Some("connections") => "conns".to_owned(),
        Some("waiting_getters") => "getters".to_owned(),
        Some("waiting_putters") => "putters".to_owned(),
        _ => plain(name),
    }
}

fn get<'v>(dict: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Dict(entries) = dict else { return None };
    entries.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value)
}

fn number(dict: &Value, name: &str) -> Option<f64> {
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

fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", (seconds * 10.0).round() / 10.0),
        (0, 0, _) => format!("{minutes} min {} s", whole % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn bytes(size: f64) -> String {
    let units = [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let size = size as u64;
    match units.into_iter().find(|(unit, _)| size >= *unit && size.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", size / unit),
        None => format!("{size} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_readable() {
        for (seconds, text) in [
            (0.26, "0.3 s"),
            (59.0, "59 s"),
            (61.5, "1 min 1 s"),
            (7261.0, "2 h 1 min"),
            (90_000.0, "1 d 1 h"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        for (size, text) in [(134_217_728.0, "128 MiB"), (524_288.0, "512 KiB"), (1000.0, "1000 bytes")] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn report_has_a_line_for_the_hub_and_one_for_each_object() {
        let dict = |entries: &[(&str, Value)]| {
            Value::Dict(entries.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
        };
        let queue = dict(&[("name", "tasks".into()), ("references", 3.into()), ("max_bytes", Value::None)]);
        let figures = dict(&[
            ("version", "0.1.0".into()),
            ("uptime", 61.0.into()),
            ("connections", 2.into()),
            ("max_connections", 10.into()),
            ("max_message", (1 << 20).into()),
            ("objects", Value::List(vec![queue])),
        ]);
        let text = describe("127.0.0.1:8001", &figures);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("netq 0.1.0 at 127.0.0.1:8001, up 1 min 1 s; connections 2/10"),
            "{text}"
        );
        assert!(lines[0].contains("messages up to 1 MiB"), "{text}");
        assert_eq!(lines[1..], ["", "name   refs", "tasks     3"]);
    }

    #[test]
    fn names_cannot_disturb_the_terminal() {
        assert_eq!(plain(&"\x1b[2J".into()), r"'\x1b[2J'");
    }
}
