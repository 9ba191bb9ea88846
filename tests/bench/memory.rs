//! Memory: of a server that does nothing, of a connection that does nothing, of an item that waits.

use crate::clients::Result;
use crate::report::{Table, bytes};
use crate::servers::{Kind, Server};

const CONNECTIONS: usize = 200;

/// netq's targets, in bytes.
const IDLE: f64 = 2e6;
const PER_CONNECTION: f64 = 12e3;

/// The resident memory of a process, in bytes. Only Linux tells.
pub fn resident(server: &Server) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}

/// Fresh servers, which have done nothing yet, are what this is about.
pub fn measure(fresh: &[Server]) -> Result<Table> {
    let mut table = Table::new(["server", "idle", "per idle connection", "target", "met"]);
    for server in fresh.iter().filter(|server| server.kind != Kind::Echo) {
        eprintln!("row 8: memory of {}", server.name);
        let idle = resident(server)?;
        // What the first connections make the server allocate once and for all is not theirs alone.
        let first = (0..50).map(|_| server.client(64)).collect::<Result<Vec<_>>>()?;
        let before = resident(server)?;
        let clients = (0..CONNECTIONS).map(|_| server.client(64)).collect::<Result<Vec<_>>>()?;
        let each = (resident(server)? - before) / CONNECTIONS as f64;
        drop((first, clients));
        let (target, met) = match server.kind {
            Kind::Netq if idle <= IDLE && each <= PER_CONNECTION => ("<= 2 MB; <= 12 kB", "yes"),
            Kind::Netq => ("<= 2 MB; <= 12 kB", "no"),
            _ => ("", ""),
        };
        table.push([server.name.clone(), bytes(idle), bytes(each), target.into(), met.into()]);
    }
    Ok(table)
}
