//! `netq serve --status`: the page and the figures, asked for as browsers and Prometheus do, and as others do.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::support::{DEADLINE, Directory, Hub, netq, run, wait_for};

/// A hub with a page, and the page's address.
fn hub(words: &[&str]) -> (Hub, String) {
    let hub = Hub::start(&[words, &["--status", "127.0.0.1:0"]].concat());
    let page = wait_for("the page's address", || {
        Some(hub.line().strip_prefix("netq: status page at http://")?.trim_end_matches('/').to_owned())
    });
    (hub, page)
}

/// All that is answered to these bytes, until the connection ends.
fn ask(page: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(page).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(page: &str, path: &str) -> String {
    ask(page, &format!("GET {path} HTTP/1.1\r\nHost: {page}\r\n\r\n"))
}

/// Whether a program is there; without it a test cannot show what it claims, and says so.
fn has(program: &str) -> bool {
    let mut look = Command::new(program);
    let found = look.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    let required = std::env::var_os("NETQ_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(found || !required, "{program} is needed: NETQ_REQUIRE_TOOLS is set");
    if !found {
        eprintln!("SKIPPED: there is no {program}");
    }
    found
}

#[test]
fn a_hub_is_shown_to_people_and_to_programs() {
    let (hub, page) = hub(&["tasks:10", "results"]);
    hub.queue("tasks").put_all([1, 2, 3]).unwrap();
    let results = hub.queue("results");
    results.put(1).unwrap();
    results.get().unwrap();
    assert!(results.is_empty().unwrap(), "by which the hub knows that the item was read");
    let health = get(&page, "/health");
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n") && health.ends_with("\r\n\r\nok\n"), "{health}");
    let html = get(&page, "/?x");
    assert!(html.contains("<h2>tasks</h2>") && html.contains("of 10 items wait"), "{html}");
    assert!(html.contains("default-src 'none'") && !html.contains("<script"), "{html}");
    let metrics = get(&page, "/metrics");
    for line in ["netq_queue_items{queue=\"tasks\"} 3\n", "netq_queue_gets_total{queue=\"results\"} 1\n"] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let head = ask(&page, "HEAD / HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn only_reading_and_only_from_this_machine() {
    let (_hub, page) = hub(&["tasks"]);
    for (request, status) in [
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "405 "),
        ("GET /shutdown HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "404 "),
        ("GET / HTTP/1.1\r\nHost: rebound.example\r\n\r\n".to_owned(), "421 "),
        ("\x16\x03\x01 hello over TLS\r\n\r\n".to_owned(), "400 "),
        (format!("GET /{} HTTP/1.1\r\n", "x".repeat(8 * 1024 - 16)), "431 "),
    ] {
        let answer = ask(&page, &request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
    }
}

#[test]
fn visitors_who_say_nothing_keep_nobody_out() {
    let (hub, page) = hub(&["tasks"]);
    let mut silent: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(&page).unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
            stream
        })
        .collect();
    assert!(get(&page, "/health").ends_with("ok\n"));
    // The oldest had to go for those after it, long before its time was over.
    silent[0].set_read_timeout(Some(DEADLINE)).unwrap();
    assert!(!matches!(silent[0].read(&mut [0]), Ok(1..)));
    hub.queue("tasks").put(1).unwrap();
}

#[test]
fn an_address_that_is_taken_is_said() {
    let (_hub, page) = hub(&["tasks"]);
    let failed = run(netq(["serve", "--listen", "127.0.0.1:0", "tasks", "--status", &page]));
    let line = failed.error(1);
    assert!(
        line.starts_with(&format!("netq: no page at {page}: ")) && line.ends_with("--status another address")
    );
}

#[test]
fn figures_are_as_prometheus_wants_them() {
    if !has("promtool") {
        return;
    }
    let (hub, page) = hub(&["tasks:10", "results,redeliver,lease=5"]);
    hub.queue("tasks").put_all([1, 2, 3]).unwrap();
    let answer = get(&page, "/metrics");
    let (_, metrics) = answer.split_once("\r\n\r\n").unwrap();
    let mut check = Command::new("promtool");
    check.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().unwrap();
    check.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn a_browser_shows_the_page() {
    if !has("chromium") {
        return;
    }
    let names: Vec<String> = (0..12).map(|n| format!("queue_{n}:5")).collect();
    let (hub, page) = hub(&names.iter().map(String::as_str).collect::<Vec<_>>());
    hub.queue("queue_7").put_all([1, 2, 3, 4, 5]).unwrap();
    let profile = Directory::new("browser");
    let mut browser = Command::new("chromium");
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    browser.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    browser.arg(format!("--user-data-dir={}", profile.file("profile")));
    browser.args(["--dump-dom", &format!("http://{page}/")]);
    let output = browser.stdin(Stdio::null()).output().unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    assert_eq!(dom.matches("<section").count(), 12, "{dom}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(dom.matches("<svg").count(), 12, "{dom}");
    assert!(dom.contains("<section class=\"full\"><h2>queue_7</h2>"), "{dom}");
}
