//! `netq stat`: what a hub serves, and how busy it is.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use netq::units::{duration, size};
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

Prints the hub's figures and limits, and a table of its objects. Of a queue: proxies that refer to it (refs),
connections that use it (conns), items in it and their bytes, each with its bound where it has one, whether it
redelivers, after which lease and how often, items that are out at clients and may come back, items put, got,
and returned because their client died or was not done in time, clients that wait in get() (getters) and in
put() (putters), and items for which task_done() was not called yet. Of a manager that is CPython's, prints
what its debug_info says.

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
    let limit = number(figures, "max_message").map_or_else(|| "?".to_owned(), |bytes| size(bytes as u64));
    let either = |name, yes, no| match get(figures, name) {
        Some(Value::Bool(true)) => yes,
        Some(Value::Bool(false)) => no,
        _ => "?",
    };
    let header = format!(
        "netq {} at {address}, up {}\n\
         connections {}/{}, strangers {}/{}; accepted {}, refused {}, evicted {}, failed handshakes {}\n\
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
    let Some(Value::List(objects)) = get(figures, "objects") else { return header };
    let rows = objects.iter().filter_map(|object| match object {
        Value::Dict(cells) => {
            Some(cells.iter().filter_map(|(name, value)| cell(object, name, value)).collect())
        }
        _ => None,
    });
    format!("{header}\n{}", Table::new(rows.collect()))
}

/// A figure's heading and text, short enough for all of them to stand side by side; `None` for those that say
/// nothing, or are told together with another one.
fn cell(object: &Value, name: &Value, value: &Value) -> Option<(String, String)> {
    let bytes = |name| number(object, name).map(|bytes| size(bytes as u64));
    let of = |amount: String, bound: Option<String>| match bound {
        Some(bound) => format!("{amount}/{bound}"),
        None => amount,
    };
    let (heading, text) = match name.as_str() {
        Some("maxsize" | "max_bytes") => return None,
        Some("redelivers") if *value == Value::Bool(false) => return None,
        _ if value.is_none() => return None,
        Some("length") => {
            let bound = number(object, "maxsize").filter(|&bound| bound > 0.0);
            ("length", of(plain(value), bound.map(|bound| bound.to_string())))
        }
        Some("bytes") => ("bytes", of(bytes("bytes")?, bytes("max_bytes"))),
        Some("lease") => ("lease", format!("{}s", number(object, "lease")?)),
        Some("references") => ("refs", plain(value)),
        Some("connections") => ("conns", plain(value)),
        Some("waiting_getters") => ("getters", plain(value)),
        Some("waiting_putters") => ("putters", plain(value)),
        _ => return Some((plain(name), plain(value))),
    };
    Some((heading.to_owned(), text))
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
        ]);
        let counter = dict(&[("name", "counter".into()), ("redelivers", false.into()), ("value", 5.into())]);
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
            ("objects", Value::List(vec![queue, counter])),
        ]);
        let expected = "\
netq 0.1.0 at 127.0.0.1:8001, up 1 min 1 s
connections 2/10, strangers ?/?; accepted ?, refused ?, evicted ?, failed handshakes ?
messages up to 1M, data only; handshakes within 10 s, by SHA-256 or MD5
replies read within 1 min; no client may stop the hub

name     type   refs  length   bytes  redelivers  lease  value
tasks    tasks     3    7/10  700/3M  yes          2.5s      -
counter  -         -       -       -  -               -      5
";
        assert_eq!(describe("127.0.0.1:8001", &figures), expected);
    }

    #[test]
    fn names_cannot_disturb_the_terminal() {
        assert_eq!(plain(&"\x1b[2J".into()), r"'\x1b[2J'");
    }
}
