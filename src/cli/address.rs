//! Addresses as people type them.

use super::args::Args;
use super::failure::Failure;

/// Where a hub listens when nothing else is said.
pub const DEFAULT: &str = "127.0.0.1:8001";
const HOST: &str = "127.0.0.1";
const PORT: &str = "8001";

/// The `HOST:PORT` that `HOST:PORT`, `HOST`, `:PORT` or `PORT` stand for. A port alone is one of this machine,
/// reachable from this machine only.
pub fn parse(args: &mut Args) -> Result<String, Failure> {
    address(&args.text()?)
}

fn address(text: &str) -> Result<String, Failure> {
    complete(text).ok_or_else(|| {
        let why = match text.contains('/') {
            true => "'{text}' is a path: netq speaks TCP, not through socket files, so",
            false => "'{text}' is not an address:",
        };
        let why = why.replace("{text}", text);
        Failure::usage(format!("{why} give HOST:PORT, such as {DEFAULT} or [::1]:8001"))
    })
}

/// One address or several, with commas between.
pub fn parse_all(args: &mut Args) -> Result<String, Failure> {
    let text = args.text()?;
    let all: Result<Vec<String>, Failure> = text.split(',').map(address).collect();
    Ok(all?.join(","))
}

fn complete(text: &str) -> Option<String> {
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    if is_port(text) {
        return Some(format!("{HOST}:{text}"));
    }
    // An IPv6 address has colons of its own, and brackets around them.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, PORT),
    };
    let bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    let host = if host.is_empty() && !text.is_empty() { HOST } else { host };
    let is_path = text.contains('/');
    (is_port(port) && !bare_ipv6 && !host.is_empty() && !is_path).then(|| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::{complete, parse_all};
    use crate::cli::args::{Arg, Args};

    #[test]
    fn what_is_left_out_is_filled_in() {
        for (text, address) in [
            ("127.0.0.1:9000", "127.0.0.1:9000"),
            ("hub.example.org:0", "hub.example.org:0"),
            ("hub.example.org", "hub.example.org:8001"),
            (":9000", "127.0.0.1:9000"),
            ("9000", "127.0.0.1:9000"),
            ("[::1]:9000", "[::1]:9000"),
            ("[::1]", "[::1]:8001"),
        ] {
            assert_eq!(complete(text).as_deref(), Some(address));
        }
    }

    #[test]
    fn several_have_commas_between() {
        let parsed = |text: &str| {
            let mut args = Args::new("get", vec!["--connect".into(), text.into()]);
            assert!(matches!(args.next(), Ok(Some(Arg::Option(_)))));
            parse_all(&mut args).ok()
        };
        assert_eq!(parsed("a,:9,[::1]:2").as_deref(), Some("a:8001,127.0.0.1:9,[::1]:2"));
        assert_eq!(parsed("a,"), None);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", ":", "hub:", "hub:http", "hub:65536", "::1", "a:b:1", "/run/netq", "./hub:1"] {
            assert_eq!(complete(text), None, "{text}");
        }
    }
}
