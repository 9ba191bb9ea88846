//! `cargo bench`: netq, CPython's own hub, raw loopback echo and, where they are installed, Redis and
//! beanstalkd, under the same work, in one run on one machine.
//!
//! ```text
//! cargo bench                      everything, in some minutes; also writes results.md and the plots here
//! cargo bench -- --quick           shorter rounds and fewer of them: seconds
//! cargo bench -- --only ROW        one row of the table, by its number; can be repeated
//! cargo bench -- --alone           netq and echo only, to work on netq itself
//! cargo bench -- --all-pythons     every interpreter that is found, not just the newest and the oldest
//! ```
//!
//! Figures of different runs, let alone machines, do not compare: what else the machine does changes all of
//! them. So the servers take turns, round by round, and a ratio is the median of the rounds' ratios.
//!
//! Reading order: `servers` (who is measured), `clients` and `echo` (how they are talked to), `load` and
//! `rows` (throughput), `durable` (on disk), `shared` (several hubs), `pin` (on which processors), `python`, `memory`, `growth`, then `report` and `svg`.

mod clients;
mod durable;
mod echo;
mod growth;
mod load;
mod memory;
mod pin;
mod python;
mod report;
mod rows;
mod servers;
mod shared;
mod svg;

use std::fmt::{Display, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clients::Result;
use growth::Growth;
use pin::Pin;
use rows::Row;
use servers::{Interpreter, Server};

struct Options {
    quick: bool,
    alone: bool,
    all_pythons: bool,
    /// Numbers of rows; empty for all.
    only: Vec<usize>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self { quick: false, alone: false, all_pythons: false, only: Vec::new() };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // What cargo adds.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--alone" => options.alone = true,
                "--all-pythons" => options.all_pythons = true,
                "--only" => {
                    let row = arguments.next().and_then(|row| row.parse().ok());
                    options
                        .only
                        .push(row.filter(|row| (1..=11).contains(row)).ok_or("--only needs 1 to 11")?);
                }
                other => return Err(format!("no option {other}: see tests/bench/bench.rs").into()),
            }
        }
        Ok(options)
    }

    fn wants(&self, row: usize) -> bool {
        self.only.is_empty() || self.only.contains(&row)
    }
}

fn main() -> ExitCode {
    let is = |word: &str| std::env::args().any(|argument| argument == word);
    let done = if is("--echo") {
        servers::serve_echo()
    } else if is("--bench") {
        Options::parse(std::env::args().skip(1)).and_then(|options| run(&options))
    } else {
        // `cargo test --benches` builds this without optimization: that it builds is all it can show.
        Ok(())
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    // Makes glibc's allocator keep memory that the clients free. Otherwise what it returns to the system and
    // takes back depends on what sizes it saw before: it made 0.3 ms or 1.3 ms of the same echo of 1 MB.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(31 << 20)));
    let (rounds, slice) = if options.quick { (5, 50) } else { (15, 100) };
    let slice = Duration::from_millis(slice);
    let pythons = pythons(options);
    let servers = start(&pythons, options.alone)?;
    let names: Vec<_> = servers.iter().map(|server| server.name.clone()).collect();
    let mut report = String::new();
    let pin = Pin::new();

    let mut rows: Vec<Row> = rows::all().into_iter().filter(|row| options.wants(row.number)).collect();
    if !rows.is_empty() {
        rows::measure(&mut rows, &servers, &pin, rounds, slice);
        section(&mut report, "Throughput", rows::table(&rows, &servers))?;
    }
    if options.wants(6) {
        pin.together(&servers);
        let table = python::measure(&servers, rounds.div_ceil(3), slice)?;
        section(&mut report, "Unmodified Python clients", table)?;
    }
    pin.apart(&servers);
    if options.wants(8) && cfg!(target_os = "linux") {
        let mut fresh = start(&pythons, options.alone)?;
        match Server::netq_static() {
            Ok(server) => fresh.insert(2, server),
            Err(error) => eprintln!("netq, static: skipped ({error})"),
        }
        section(&mut report, "Resident memory", memory::measure(&fresh)?)?;
    }
    if options.wants(10) && cfg!(feature = "journal") {
        let table = durable::measure(options.alone, rounds.div_ceil(3), 2 * slice)?;
        section(&mut report, "Puts that are on disk before they are answered", table)?;
    }
    if options.wants(11) && !options.alone && cfg!(feature = "redis") {
        match shared::measure(rounds.div_ceil(3), 2 * slice) {
            Ok(table) => section(&mut report, "Several hubs on one Redis", table)?,
            Err(error) => eprintln!("row 11: skipped ({error})"),
        }
    }
    let growth = if options.wants(9) { grow(options, &servers, &pin, &mut report)? } else { Vec::new() };

    if options.only.is_empty() && !options.quick && !options.alone {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench");
        std::fs::write(folder.join("results.md"), report)?;
        std::fs::write(folder.join("throughput.svg"), svg::bars(&rows, &names))?;
        std::fs::write(folder.join("growth.svg"), svg::lines(&growth, &names))?;
        eprintln!("wrote results.md, throughput.svg and growth.svg to {}", folder.display());
    }
    Ok(())
}

fn grow(options: &Options, servers: &[Server], pin: &Pin, report: &mut String) -> Result<Vec<Growth>> {
    let (rounds, slice) = if options.quick { (1, 50) } else { (3, 200) };
    let slice = Duration::from_millis(slice);
    let (connections, size, length) =
        if options.quick { (100, 4_000_000, 1_000) } else { (1_000, 64_000_000, 1_000_000) };
    let connections = growth::connections(servers, connections, rounds, slice);
    pin.together(servers);
    let sizes = growth::sizes(servers, size, rounds, slice);
    let (backlog, each) = growth::backlog(&Server::netq()?, length)?;
    let all = vec![connections, sizes, backlog];
    for growth in &all {
        section(report, growth.title, growth.table())?;
    }
    if let Some(each) = each {
        let line = format!("A queued str of 64 bytes costs {each:.0} bytes of memory (target: <= 160).");
        println!("{line}");
        writeln!(report, "{line}")?;
    }
    Ok(all)
}

/// Prints a part of the report and adds it.
fn section(report: &mut String, title: &str, table: impl Display) -> Result<()> {
    println!("\n## {title}\n\n{table}");
    Ok(write!(report, "## {title}\n\n{table}\n")?)
}

fn pythons(options: &Options) -> Vec<Interpreter> {
    if options.alone {
        return Vec::new();
    }
    let mut found = servers::interpreters();
    if found.is_empty() {
        eprintln!("CPython: skipped, no python3 on the path");
    }
    if !options.all_pythons && found.len() > 2 {
        found.drain(1..found.len() - 1);
    }
    found
}

/// Everybody who can be started; echo first, as the others are compared with it.
fn start(pythons: &[Interpreter], alone: bool) -> Result<Vec<Server>> {
    let mut servers = vec![Server::echo()?, Server::netq()?];
    for python in pythons {
        servers.push(Server::python(python)?);
    }
    if alone {
        return Ok(servers);
    }
    for (name, server) in [("Redis", Server::redis()), ("beanstalkd", Server::beanstalkd())] {
        match server {
            Ok(server) => servers.push(server),
            Err(error) => eprintln!("{name}: skipped ({error})"),
        }
    }
    Ok(servers)
}
