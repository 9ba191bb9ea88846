//! Other processes: this test binary, run again in another role, so that it can be killed or measured.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use netq::{BaseManager, Options, SharedQueue};

use super::{KEY, OTHER, PATIENCE, TASKS};

const ROLE: &str = "NETQ_TEST_ROLE";
const ADDRESS: &str = "NETQ_TEST_ADDRESS";
/// Marks the lines that are for the parent, as the test harness prints lines of its own.
const MARK: &str = "@@";

/// A process in a role. It is killed when this is dropped.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    /// Runs the test named `role` of this binary in another process, which sees that role in [`role`].
    pub fn start(role: &str, address: Option<SocketAddr>) -> Self {
        Self::start_with(role, address, None, &[])
    }

    /// The same, with another number of descriptors, at the most what this process may have; and with more in its
    /// environment.
    pub fn start_with(
        role: &str,
        address: Option<SocketAddr>,
        descriptors: Option<u32>,
        environment: &[(&str, &str)],
    ) -> Self {
        let program = env::current_exe().unwrap();
        let mut command = match descriptors {
            Some(count) => {
                let mut command = Command::new("sh");
                command.args(["-c", r#"ulimit -n "$0" 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$@""#]);
                command.arg(count.to_string()).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(["--exact", "role", "--nocapture", "--test-threads=1"]).env(ROLE, role);
        if let Some(address) = address {
            command.env(ADDRESS, address.to_string());
        }
        command.envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut line = String::new();
            // A line that a kill has cut in two is none.
            while output.read_line(&mut line).is_ok_and(|count| count > 0 && line.ends_with('\n')) {
                if let Some((_, line)) = line.trim_end().split_once(MARK) {
                    let _ = sender.send(line.to_owned());
                }
                line.clear();
            }
        });
        Self { child, stdin, lines }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it [`say`]s.
    #[track_caller]
    pub fn line(&self) -> String {
        self.line_within(PATIENCE)
    }

    /// As [`line`](Self::line), for what takes longer than most.
    #[track_caller]
    pub fn line_within(&self, patience: Duration) -> String {
        self.lines.recv_timeout(patience).expect("a line from the other process")
    }

    /// All lines from here to its end: for one that ends, or that was killed.
    pub fn rest(&self) -> Vec<String> {
        self.lines.iter().collect()
    }

    /// Lines that are here already.
    pub fn said(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// Gives it a line to read.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Sends it a signal, such as `-STOP`.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The role in which this process runs, and the address it was given; `None` in the tests proper.
pub fn role() -> Option<(String, Option<SocketAddr>)> {
    let role = env::var(ROLE).ok()?;
    let address = env::var(ADDRESS).ok().and_then(|address| address.parse().ok());
    Some((role, address))
}

/// Says a line to the parent process, at once.
pub fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    // A parent that is gone has no use for it.
    let _ = out.write_all(format!("{MARK}{line}\n").as_bytes()).and_then(|()| out.flush());
}

/// Waits for a line from the parent, and ends the process if there will be none.
pub fn hear() -> String {
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(count) if count > 0 => line.trim_end().to_owned(),
        _ => std::process::exit(0),
    }
}

/// Ends this process when its parent does: for roles that never read a line.
pub fn end_with_parent() {
    thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
}

/// The role of a hub with two queues, at the given address or a port of its own. Never returns.
pub fn be_a_hub(address: Option<SocketAddr>, options: Options) -> ! {
    end_with_parent();
    let address = address.map_or("127.0.0.1:0".into(), |address| address.to_string());
    let mut manager = BaseManager::new(address, KEY);
    manager.set_options(options);
    manager.register(TASKS, SharedQueue::new(0));
    manager.register(OTHER, SharedQueue::new(0));
    let server = manager.get_server().unwrap();
    say(server.address());
    server.serve_forever();
    std::process::exit(0);
}

/// A figure of `/proc/PID/status`: `VmRSS`, `VmHWM` (in KiB), `Threads`. Linux only.
pub fn status(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.split(':').next() == Some(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

/// The processor time that a process has used. Linux only.
pub fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name, in parentheses, may contain anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Waits until `state` holds, for as long as `patience` says.
pub fn eventually(patience: Duration, mut state: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !state() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}
