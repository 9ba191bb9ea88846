//! The throughput table: a row for each load, a column for each server.

use std::time::Duration;

use crate::load::{Figure, Load, compare};
use crate::pin::Pin;
use crate::report::{Table, figure};
use crate::servers::Server;

/// What a rate is shown as.
#[derive(Clone, Copy)]
pub enum Unit {
    /// Each item is put and got: two calls.
    Calls,
    Items,
    /// For one put and one get.
    Milliseconds,
}

impl Unit {
    pub fn show(self, rate: f64) -> String {
        match self {
            Self::Calls => format!("{} calls/s", figure(2.0 * rate)),
            Self::Items => format!("{} items/s", figure(rate)),
            Self::Milliseconds => format!("{} ms", figure(1000.0 / rate)),
        }
    }
}

/// What netq has to reach.
#[derive(Clone, Copy)]
enum Target {
    /// At least this part of echo's rate.
    OfEcho(f64),
    /// At most so many times echo's time.
    TimesEcho(f64),
    /// At least so many items per second.
    Rate(f64),
}

impl Target {
    fn show(self) -> String {
        match self {
            Self::OfEcho(part) => format!(">= {part:.2} of echo"),
            Self::TimesEcho(times) => format!("<= {times:.1} x echo's time"),
            Self::Rate(rate) => format!(">= {} items/s", figure(rate)),
        }
    }

    fn is_met(self, netq: &Figure) -> bool {
        match self {
            Self::OfEcho(part) => netq.ratio >= part,
            Self::TimesEcho(times) => netq.ratio >= 1.0 / times,
            Self::Rate(rate) => netq.rate >= rate,
        }
    }
}

/// One load, and everybody's figures.
pub struct Row {
    pub number: usize,
    pub work: &'static str,
    pub unit: Unit,
    load: Load,
    target: Target,
    pub figures: Vec<Figure>,
}

impl Row {
    const fn new(number: usize, work: &'static str, unit: Unit, load: Load, target: Target) -> Self {
        Self { number, work, unit, load, target, figures: Vec::new() }
    }
}

/// The rows before they are measured.
pub fn all() -> [Row; 6] {
    use {Target as T, Unit as U};
    [
        Row::new(1, "1 connection, put + get of 64 B", U::Calls, Load::turns(64), T::OfEcho(0.95)),
        Row::new(2, "8 connections, half put, half get", U::Items, Load::flow(8, 64), T::OfEcho(0.95)),
        Row::new(3, "64 connections, the same", U::Items, Load::flow(64, 64), T::OfEcho(0.95)),
        Row::new(4, "put + get of 20 KB", U::Milliseconds, Load::turns(20_000), T::TimesEcho(1.1)),
        Row::new(5, "put + get of 1 MB", U::Milliseconds, Load::turns(1_000_000), T::TimesEcho(1.2)),
        Row::new(7, "batches of 64 items of 64 B", U::Items, Load::batches(64, 64), T::Rate(1e6)),
    ]
}

pub fn measure(rows: &mut [Row], servers: &[Server], pin: &Pin, rounds: usize, slice: Duration) {
    for row in rows {
        eprintln!("row {}: {}", row.number, row.work);
        if row.load.connections == 1 {
            pin.together(servers)
        } else {
            pin.apart(servers)
        }
        row.figures = compare(servers, row.load, rounds, slice);
    }
}

/// The figures, and how netq compares with the limit and with the newest CPython.
pub fn table(rows: &[Row], servers: &[Server]) -> Table {
    let mut head = vec!["row".to_owned(), "work".into()];
    head.extend(servers.iter().map(|server| server.name.clone()));
    head.extend(["netq / echo", "netq / CPython", "target", "met"].map(str::to_owned));
    let mut table = Table::new(head);
    for row in rows {
        let of = |name: &str| row.figures.iter().find(|figure| figure.server == name);
        let mut cells = vec![row.number.to_string(), row.work.to_owned()];
        cells.extend(
            servers.iter().map(|server| of(&server.name).map_or("-".into(), |f| row.unit.show(f.rate))),
        );
        let (netq, python) = (of("netq"), row.figures.iter().find(|f| f.server.starts_with("CPython")));
        cells.push(netq.map_or("-".into(), |netq| format!("{:.2}", netq.ratio)));
        let compared = netq.zip(python).map(|(netq, python)| format!("{:.1}", netq.ratio / python.ratio));
        cells.push(compared.unwrap_or("-".into()));
        cells.push(row.target.show());
        cells.push(netq.map_or("-", |netq| if row.target.is_met(netq) { "yes" } else { "no" }).into());
        table.push(cells);
    }
    table
}
