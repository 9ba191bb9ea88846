//! `netq serve --store redis://...`: when it starts, when not, and what it says.

use crate::cli::{Hub, entry, netq, run};
use crate::server::{self, Redis};

/// Why a hub does not start.
fn refused(url: &str) -> String {
    let ended = run(netq(["serve", "--listen", "127.0.0.1:0", "--store", url, "q"]));
    ended.error(1).to_owned()
}

#[test]
fn a_hub_says_where_its_queues_are_and_that_they_may_be_lost() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start();
    let hub = Hub::start(&["--store", &redis.url(), "tasks:5", "brief,memory", "--memory", "64M"]);
    let lines: Vec<String> = (0..4).map(|_| hub.line()).collect();
    assert_eq!(lines[0], "netq: queue tasks (maxsize 5)");
    assert!(lines[1].starts_with("netq: queue brief (any number of items, memory "), "{lines:?}");
    assert_eq!(lines[3], format!("netq: store {}/0 (shared by all hubs there)", redis.url()));
    let other = Hub::start(&["--store", &redis.url(), "tasks:5", "--quiet"]);
    for hub in [&hub, &other] {
        let text = hub.run(&["stat"]).ok();
        assert!(text.contains(&format!("store {}/0, Redis ", redis.url())), "{text}");
        assert_eq!(hub.figure("tasks", "hubs"), 2);
    }
    hub.run(&["put", "tasks", "a"]).ok();
    hub.run(&["put", "brief", "b"]).ok();
    assert_eq!(other.run(&["get", "tasks"]).ok(), "a\n");
    assert!(entry(&hub.manager().dispatch("stat").unwrap(), "store").is_some());
    hub.run(&["shutdown"]).ok();
    let ended = hub.running.wait();
    assert!(!ended.stderr.contains("appendonly"), "{}", ended.stderr);
    assert_eq!(other.figure("tasks", "hubs"), 1, "one has taken its leave");

    let careless = Redis::start_with(&[]);
    let hub = Hub::start(&["--store", &careless.url(), "q"]);
    hub.run(&["shutdown"]).ok();
    let ended = hub.running.wait();
    assert!(ended.stderr.contains("appendonly is off: "), "{}", ended.stderr);
}

#[test]
fn a_hub_starts_on_no_redis_that_would_lose_items() {
    if !server::is_there() {
        return;
    }
    let redis = Redis::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let error = refused(&redis.url());
    assert!(error.contains("maxmemory-policy is allkeys-lru, ") && error.ends_with("noeviction"), "{error}");
}

#[test]
fn a_hub_that_cannot_use_its_redis_says_why() {
    if !server::is_there() {
        return;
    }
    let mut redis = Redis::start_with(&["--requirepass", "open sesame"]);
    let port = redis.port;
    let url = |login: &str| format!("redis://{login}127.0.0.1:{port}");
    for (login, why) in [
        ("", "NOAUTH Authentication required.: give the password: "),
        (":wrong@", "WRONGPASS "),
        ("nobody:open%20sesame@", "WRONGPASS "),
    ] {
        let error = refused(&url(login));
        assert!(
            error.contains(why) && error.starts_with("netq: cannot use the store redis://127.0.0.1:"),
            "{error}"
        );
        assert!(!error.contains("sesame"), "{error}");
    }
    let error = refused(&format!("{}/77", url(":open%20sesame@")));
    assert!(error.contains("out of range"), "{error}");
    let hub = Hub::start(&["--store", &url(":open%20sesame@"), "q"]);
    hub.run(&["put", "q", "a"]).ok();
    let hub_by_user = Hub::start(&["--store", &format!("{}/0", url("default:open%20sesame@")), "q"]);
    assert_eq!(hub_by_user.run(&["get", "q"]).ok(), "a\n");
    let text = hub.run(&["stat"]).ok();
    assert!(!text.contains("sesame"), "{text}");
    drop((hub, hub_by_user));

    redis.kill();
    let error = refused(&url(""));
    assert!(error.contains("it cannot be reached (Connection refused"), "{error}");
    let cluster = Redis::start_with(&["--cluster-enabled", "yes"]);
    let error = refused(&cluster.url());
    assert!(error.contains("cluster"), "{error}");

    for (words, why) in [
        (vec!["--store", "rediss://h", "q"], "no TLS"),
        (vec!["--store", "redis://h:x", "q"], "host:port"),
        (vec!["--store", "redis://h", "--sync", "5", "q"], "Redis has settings of its own"),
    ] {
        let error = run(netq(["serve"].into_iter().chain(words))).error(2).to_owned();
        assert!(error.contains(why), "{error}");
    }
}
