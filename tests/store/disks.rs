//! Disks that are full, or fail.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::Duration;

use netq::{Error, Value};

use crate::cli::{DEADLINE, Directory, Hub, KEY, wait_for};

/// A hub on a disk of 6 MB, which is full of nothing yet, and once more on the same disk after it has ended; or `None`
/// where that cannot be had.
#[cfg(target_os = "linux")]
fn on_a_small_disk(directory: &Directory) -> Option<(crate::cli::Running, impl FnMut() -> String)> {
    let script = r#"mount -t tmpfs -o size=6m netq "$1" && echo mounted || exit 9
        shift; "$@"; exec "$@""#;
    let path = directory.file("disk");
    fs::create_dir(&path).unwrap();
    let store = format!("{path}/store");
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh", &path]);
    command.args([
        env!("CARGO_BIN_EXE_netq"),
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--store",
        &store,
        "tasks",
    ]);
    command.env("NETQ_AUTHKEY", KEY).stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().ok()?;
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let running = crate::cli::Running::of(child);
    if lines.next().as_deref() != Some("mounted") {
        eprintln!("SKIPPED: this machine lets nobody mount a file system of his own");
        assert!(std::env::var_os("NETQ_REQUIRE_TOOLS").is_none(), "NETQ_REQUIRE_TOOLS is set");
        return None;
    }
    let address = move || {
        let is_it = |line: String| line.strip_prefix("netq: listening on ").map(str::to_owned);
        lines.find_map(is_it).expect("the hub does not say where it is")
    };
    Some((running, address))
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_puts_wait_gets_drain_it_and_then_puts_go_on() {
    let directory = Directory::new("full");
    let Some((_running, mut next_address)) = on_a_small_disk(&directory) else { return };
    let manager = netq::BaseManager::new(next_address(), KEY.as_bytes());
    let tasks = manager.queue("tasks").unwrap();
    let item = |number: i64| Value::List(vec![number.into(), "x".repeat(20_000).into()]);
    let fill = |next: &mut i64| {
        loop {
            match tasks.put_timeout(item(*next), Duration::from_millis(300)) {
                Ok(()) => *next += 1,
                Err(Error::Full) => return,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let (mut next, mut first) = (0, 0);
    for round in 0..3 {
        fill(&mut next);
        assert!(next - first > 50, "round {round}: only {} items", next - first);
        // A put that waits goes on once there is room.
        std::thread::scope(|scope| {
            let more = item(next);
            let waiting = scope.spawn(|| manager.queue("tasks").unwrap().put_timeout(more, DEADLINE));
            for _ in 0..next - first - 10 {
                assert_eq!(tasks.try_get().unwrap(), item(first));
                first += 1;
            }
            waiting.join().unwrap().unwrap();
            next += 1;
        });
    }
    fill(&mut next);
    manager.dispatch("shutdown").unwrap();
    // The next hub, on the same disk.
    let manager = netq::BaseManager::new(next_address(), KEY.as_bytes());
    let tasks = manager.queue("tasks").unwrap();
    for number in first..next {
        assert_eq!(tasks.try_get().unwrap(), item(number));
    }
    assert!(matches!(tasks.try_get(), Err(Error::Empty)));
    tasks.put_timeout("room again", DEADLINE).unwrap();
}

#[test]
fn a_hub_whose_store_fails_ends_with_a_line_and_answers_nothing() {
    let directory = Directory::new("fails");
    let store = directory.file("store");
    let mut hub = Hub::start(&["--store", &store, "tasks"]);
    let mut manager = hub.manager();
    manager.set_retry(netq::Retry::never());
    let tasks = manager.queue("tasks").unwrap();
    tasks.put("kept").unwrap();
    // As a disk that was taken out.
    fs::remove_dir_all(&store).unwrap();
    let large = "x".repeat(200_000);
    let answered = (0..1000).take_while(|_| tasks.put(large.as_str()).is_ok()).count();
    assert!(answered < 1000, "it goes on without a disk");
    wait_for("the hub's end", || hub.running.child.try_wait().unwrap());
    let ended = hub.running.wait();
    let line = ended.error(1);
    assert!(
        line.contains(&format!("the store {store} has failed: ")) && line.contains("see to the disk"),
        "{line}"
    );
}
