//! As much of HTTP/1.1 as a page for reading needs: one `GET` or `HEAD` for each connection, within a time and a
//! size, and an answer that is closed behind.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::connection::Deadline;

/// The longest head of a request, in bytes. Browsers send about 1 KB, and more with cookies of their neighbours.
const LONGEST_HEAD: usize = 8 * 1024;

/// How long a request may take to arrive, however slowly its bytes come, and its answer to be read.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request for reading.
#[derive(Debug, PartialEq)]
pub(super) struct Get {
    /// Without what is behind a question mark.
    pub path: String,
    /// The head of the answer alone is wanted.
    pub head_only: bool,
}

/// What is answered.
pub(super) struct Response {
    pub status: &'static str,
    pub content_type: &'static str,
    pub body: String,
}

impl Response {
    pub fn ok(content_type: &'static str, body: String) -> Self {
        Self { status: "200 OK", content_type, body }
    }

    /// A refusal, with what to do about it.
    pub fn refusal(status: &'static str, why: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: format!("{why}\n") }
    }
}

/// Reads a request; an error is what to answer instead. `local` if the page is for this machine's users alone.
pub(super) fn read(stream: &TcpStream, local: bool) -> io::Result<Result<Get, Response>> {
    let mut limited = Deadline { stream, started: Instant::now(), patience: PATIENCE };
    let mut head = [0; LONGEST_HEAD];
    let mut length = 0;
    loop {
        if let Some(end) = find(&head[..length], b"\r\n\r\n") {
            return Ok(parse(&String::from_utf8_lossy(&head[..end]), local));
        }
        if length == head.len() {
            return Ok(Err(Response::refusal("431 Request Header Fields Too Large", "send fewer headers")));
        }
        match limited.read(&mut head[length..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => length += count,
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn parse(head: &str, local: bool) -> Result<Get, Response> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (method, target, version, words.next())
    else {
        return Err(Response::refusal("400 Bad Request", "this port speaks HTTP/1.1 and nothing else"));
    };
    // A page of elsewhere can have its own name resolved to 127.0.0.1, and would then be allowed to read this one.
    // The browser still sends that name, so that only those which cannot be resolved otherwise are let in.
    let hosts = lines.filter_map(|line| line.split_once(':'));
    let mut hosts = hosts.filter(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, host)| host.trim());
    if local && !hosts.next().is_some_and(|host| is_local(host) && hosts.next().is_none()) {
        return Err(Response::refusal(
            "421 Misdirected Request",
            "this page is for this machine alone: ask for 127.0.0.1 or localhost",
        ));
    }
    let head_only = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Err(Response::refusal("405 Method Not Allowed", "this page is for reading: use GET")),
    };
    let path = target.split('?').next().unwrap_or_default().to_owned();
    Ok(Get { path, head_only })
}

/// Whether this is how one asks for a page of the own machine: by a number, or by the name that stands for it.
fn is_local(host: &str) -> bool {
    // `[::1]:8002`, `127.0.0.1:8002`, and both without the port.
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    port.bytes().all(|byte| byte.is_ascii_digit())
        && (bare.parse::<IpAddr>().is_ok() || bare.eq_ignore_ascii_case("localhost"))
}

/// Writes the answer. Nothing in it may be kept, framed or taken for anything else, and nothing in it runs.
pub(super) fn write(stream: &TcpStream, response: &Response, head_only: bool) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let Response { status, content_type, body } = response;
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\
         Allow: GET, HEAD\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\r\n",
        body.len()
    );
    if !head_only {
        answer += body;
    }
    (&mut &*stream).write_all(answer.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(head: &str, local: bool) -> Result<Get, &'static str> {
        parse(head, local).map_err(|response| response.status)
    }

    #[test]
    fn a_request_says_what_is_wanted() {
        let get = |path: &str, head_only| Ok(Get { path: path.into(), head_only });
        assert_eq!(parsed("GET /metrics?x=1 HTTP/1.1\r\nHost: hub.example", false), get("/metrics", false));
        assert_eq!(parsed("HEAD / HTTP/1.0", false), get("/", true));
        assert_eq!(parsed("POST / HTTP/1.1\r\nhost: x", false), Err("405 Method Not Allowed"));
        for head in ["", "GET", "GET /", "GET / HTTP/2", "GET / HTTP/1.1 x", "\u{fffd}\u{0}"] {
            assert_eq!(parsed(head, false), Err("400 Bad Request"), "{head:?}");
        }
    }

    #[test]
    fn a_name_of_elsewhere_does_not_reach_a_page_of_this_machine() {
        for host in ["127.0.0.1", "127.0.0.1:8002", "[::1]:8002", "[::1]", "localhost", "LocalHost:80"] {
            assert!(parsed(&format!("GET / HTTP/1.1\r\nhOST:  {host} "), true).is_ok(), "{host}");
        }
        for head in [
            "Host: evil.example",
            "Host: localhost.evil.example:8002",
            "Host: 127.0.0.1.evil.example",
            "Host: localhost:80:80",
            "Accept: */*",
            "Host: localhost\r\nHost: evil.example",
        ] {
            let status = parsed(&format!("GET / HTTP/1.1\r\n{head}"), true);
            assert_eq!(status, Err("421 Misdirected Request"), "{head}");
        }
    }
}
