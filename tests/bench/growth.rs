//! How cost grows: with the number of connections, with the size of an item, with the length of the queue.

use std::time::{Duration, Instant};

use crate::clients::{Client, Result};
use crate::load::{Load, compare, median};
use crate::memory::resident;
use crate::report::{Table, bytes, figure};
use crate::servers::Server;

/// One server's points, for the plot and the table.
pub struct Line {
    pub server: String,
    pub points: Vec<(f64, f64)>,
}

/// Several lines over the same values of one quantity.
pub struct Growth {
    pub title: &'static str,
    pub x: &'static str,
    pub y: &'static str,
    pub lines: Vec<Line>,
}

impl Growth {
    fn add(&mut self, server: &str, x: f64, y: f64) {
        match self.lines.iter_mut().find(|line| line.server == server) {
            Some(line) => line.points.push((x, y)),
            None => self.lines.push(Line { server: server.into(), points: vec![(x, y)] }),
        }
    }

    pub fn table(&self) -> Table {
        let lines = self.lines.iter().map(|line| format!("{} ({})", line.server, self.y));
        let mut table = Table::new([self.x.to_owned()].into_iter().chain(lines));
        let mut xs: Vec<f64> =
            self.lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)).collect();
        xs.sort_by(f64::total_cmp);
        xs.dedup();
        for x in xs {
            let at = |line: &Line| {
                let point = line.points.iter().find(|point| point.0 == x);
                point.map_or("-".into(), |point| figure(point.1))
            };
            let shown = if self.x.contains("size") { bytes(x) } else { format!("{x}") };
            table.push([shown].into_iter().chain(self.lines.iter().map(at)));
        }
        table
    }
}

pub fn connections(servers: &[Server], most: usize, rounds: usize, slice: Duration) -> Growth {
    let mut growth = Growth { title: "More connections", x: "connections", y: "items/s", lines: Vec::new() };
    for connections in [1, 10, 100, 1000].into_iter().filter(|&connections| connections <= most) {
        eprintln!("row 9: {connections} connections");
        // Each has to have its turn often, or their start is all that is measured.
        let slice = slice.max(Duration::from_millis(2 * connections as u64));
        for measured in compare(servers, Load::flow(connections, 64), rounds, slice) {
            growth.add(&measured.server, connections as f64, measured.rate);
        }
    }
    growth
}

pub fn sizes(servers: &[Server], most: usize, rounds: usize, slice: Duration) -> Growth {
    let mut growth =
        Growth { title: "Larger items", x: "size of an item", y: "ms per put + get", lines: Vec::new() };
    let sizes = [64, 1_000, 16_000, 256_000, 4_000_000, 64_000_000];
    for size in sizes.into_iter().filter(|&size| size <= most) {
        eprintln!("row 9: items of {}", bytes(size as f64));
        for measured in compare(servers, Load::turns(size), rounds, slice) {
            growth.add(&measured.server, size as f64, 1000.0 / measured.rate);
        }
    }
    growth
}

/// How long a put and a get take while so many items wait, and what such an item costs in memory. Needs a
/// fresh server, which will be as full as it gets.
pub fn backlog(fresh: &Server, most: usize) -> Result<(Growth, Option<f64>)> {
    const SAMPLES: usize = 2000;
    let mut growth =
        Growth { title: "Longer queues", x: "items in the queue", y: "microseconds", lines: Vec::new() };
    let mut client = fresh.client(64)?;
    let item = "x".repeat(64);
    let (mut waiting, empty) = (0, resident(fresh).ok());
    for length in [1, 1_000, 1_000_000].into_iter().filter(|&length| length <= most) {
        eprintln!("row 9: a queue of {length} items");
        while waiting < length {
            let count = (length - waiting).min(500);
            client.put_many(vec![item.clone(); count])?;
            waiting += count;
        }
        let (mut puts, mut gets) = (Vec::new(), Vec::new());
        for _ in 0..SAMPLES {
            puts.push(timed(client.as_mut(), |client| client.put(item.clone()))?);
            gets.push(timed(client.as_mut(), |client| client.get().map(drop))?);
        }
        growth.add(&format!("{}: put", fresh.name), length as f64, median(puts));
        growth.add(&format!("{}: get", fresh.name), length as f64, median(gets));
    }
    // Of a short queue, that would be the memory of everything else.
    let each = empty.filter(|_| waiting >= 1_000_000).and_then(|empty| {
        let full = resident(fresh).ok()?;
        Some((full - empty) / waiting as f64)
    });
    Ok((growth, each))
}

fn timed(client: &mut dyn Client, call: impl FnOnce(&mut dyn Client) -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    call(client)?;
    Ok(start.elapsed().as_secs_f64() * 1e6)
}
