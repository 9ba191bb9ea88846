//! On which processors everybody runs.
//!
//! With one connection, only one side works at a time. If the two sides are on different processors, each
//! message also wakes one up, which on a virtual machine takes from 5 to 60 microseconds, as the scheduler and
//! the machine below happen to do: more than all else. So those rows are measured on one processor.

use std::process::{Command, Stdio};
use std::thread::available_parallelism;

use crate::servers::Server;

/// Moves this process and the servers, by Linux's `taskset`.
pub struct Pin {
    all: String,
    works: bool,
}

impl Pin {
    pub fn new() -> Self {
        let count = available_parallelism().map_or(1, usize::from);
        let pin = Self { all: format!("0-{}", count - 1), works: true };
        let works = pin.put(std::process::id(), &pin.all);
        if !works {
            eprintln!("no taskset: rows with one connection depend on where the scheduler puts them");
        }
        Self { works, ..pin }
    }

    /// All on one processor.
    pub fn together(&self, servers: &[Server]) {
        self.put_all(servers, "0");
    }

    /// All on all processors.
    pub fn apart(&self, servers: &[Server]) {
        self.put_all(servers, &self.all);
    }

    fn put_all(&self, servers: &[Server], processors: &str) {
        if self.works {
            // What is started from here on inherits it.
            let everybody = servers.iter().map(Server::pid).chain([std::process::id()]);
            for process in everybody {
                self.put(process, processors);
            }
        }
    }

    fn put(&self, process: u32, processors: &str) -> bool {
        let mut command = Command::new("taskset");
        command.args(["-a", "-p", "-c", processors, &process.to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}
