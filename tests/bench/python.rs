//! Unmodified Python programs as clients: of netq, and of the hub that comes with the same Python.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::clients::Result;
use crate::load::median;
use crate::report::{Table, figure};
use crate::servers::{Kind, Server};

/// What `client.py` prints, with the targets in milliseconds.
const STEPS: [(&str, f64); 3] = [("connect()", 1.0), ("get_task_queue()", 3.0), ("put + get of 20 KB", 0.4)];

pub fn measure(servers: &[Server], rounds: usize, slice: Duration) -> Result<Table> {
    let mut table = Table::new(["client", "step", "netq", "its own hub", "own / netq", "target", "met"]);
    let Some(netq) = servers.iter().find(|server| server.kind == Kind::Netq) else { return Ok(table) };
    for own in servers.iter().filter(|server| server.kind == Kind::Python) {
        eprintln!("row 6: {} as a client", own.name);
        let mut times = [const { (Vec::new(), Vec::new()) }; STEPS.len()];
        for _ in 0..rounds {
            let (with_netq, with_own) = (run(own, netq, slice)?, run(own, own, slice)?);
            for (step, times) in times.iter_mut().enumerate() {
                times.0.push(with_netq[step]);
                times.1.push(with_own[step]);
            }
        }
        for ((step, target), (with_netq, with_own)) in STEPS.into_iter().zip(times) {
            let (with_netq, with_own) = (median(with_netq), median(with_own));
            table.push([
                own.name.clone(),
                step.into(),
                format!("{} ms", figure(with_netq)),
                format!("{} ms", figure(with_own)),
                format!("{} x", figure(with_own / with_netq)),
                format!("<= {target} ms"),
                if with_netq <= target { "yes" } else { "no" }.into(),
            ]);
        }
    }
    Ok(table)
}

/// The steps' times in ms, of a Python like `client`'s at work with `server`.
fn run(client: &Server, server: &Server, slice: Duration) -> Result<[f64; STEPS.len()]> {
    let output = Command::new(&client.interpreter)
        .args(["-c", include_str!("client.py")])
        .args([server.address.port().to_string(), slice.as_secs_f64().to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    let times = String::from_utf8(output.stdout)?;
    let times = times.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<f64>, _>>()?;
    times.try_into().map_err(|_| format!("{} failed as a client of {}", client.name, server.name).into())
}
