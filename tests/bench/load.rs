//! Work for a server, and how many items a second go through it.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::clients::{Client, Result};
use crate::servers::Server;

/// Items to put and to get, in one of three ways: over one connection in turns, over several of which one
/// half puts while the other gets, or over one connection in batches.
#[derive(Clone, Copy)]
pub struct Load {
    pub connections: usize,
    /// Of one item, in bytes.
    pub size: usize,
    /// Items per call.
    pub batch: usize,
}

impl Load {
    pub const fn turns(size: usize) -> Self {
        Self { connections: 1, size, batch: 1 }
    }

    pub const fn flow(connections: usize, size: usize) -> Self {
        Self { connections, size, batch: 1 }
    }

    pub const fn batches(batch: usize, size: usize) -> Self {
        Self { connections: 1, size, batch }
    }
}

/// A load's connections to one server, which stay open from round to round.
pub struct Rig {
    load: Load,
    clients: Vec<Box<dyn Client>>,
    /// Items per second, as far as known.
    rate: f64,
}

impl Rig {
    pub fn new(server: &Server, load: Load) -> Result<Self> {
        Self::of(load, (0..load.connections).map(|_| server.client(load.size)).collect::<Result<_>>()?)
    }

    /// The same with these connections.
    pub fn of(load: Load, clients: Vec<Box<dyn Client>>) -> Result<Self> {
        let mut rig = Self { load, clients, rate: 0.0 };
        // Warm up, with so few items that the slowest server is soon done.
        rig.run(load.connections.max(load.batch))?;
        rig.rate = rig.run(load.connections.max(load.batch))?;
        Ok(rig)
    }

    /// Works for about `slice`: items per second.
    pub fn round(&mut self, slice: Duration) -> Result<f64> {
        self.rate = self.run((self.rate * slice.as_secs_f64()) as usize)?;
        Ok(self.rate)
    }

    /// Puts and gets about `items` items.
    fn run(&mut self, items: usize) -> Result<f64> {
        let Load { connections, size, batch } = self.load;
        let item = "x".repeat(size);
        if let [client] = &mut self.clients[..] {
            let rounds = items.div_ceil(batch).max(1);
            let start = Instant::now();
            for _ in 0..rounds {
                turn(client.as_mut(), &item, batch)?;
            }
            return Ok((rounds * batch) as f64 / start.elapsed().as_secs_f64());
        }
        let share = items.div_ceil(connections / 2);
        let (putters, getters) = self.clients.split_at_mut(connections / 2);
        let start = Barrier::new(connections + 1);
        let elapsed = thread::scope(|scope| -> Result<Duration> {
            let (start, item) = (&start, &item);
            let mut threads = Vec::new();
            for (putter, getter) in putters.iter_mut().zip(getters) {
                threads.push(scope.spawn(move || {
                    start.wait();
                    (0..share).try_for_each(|_| putter.put(item.clone()))
                }));
                threads.push(scope.spawn(move || {
                    start.wait();
                    (0..share).try_for_each(|_| getter.get().map(drop))
                }));
            }
            start.wait();
            let start = Instant::now();
            for thread in threads {
                thread.join().map_err(|_| "a client panicked")??;
            }
            Ok(start.elapsed())
        })?;
        Ok((share * (connections / 2)) as f64 / elapsed.as_secs_f64())
    }
}

fn turn(client: &mut dyn Client, item: &str, batch: usize) -> Result<()> {
    if batch == 1 {
        client.put(item.to_owned())?;
        client.get()?;
        return Ok(());
    }
    client.put_many(vec![item.to_owned(); batch])?;
    match client.get_many(batch)?.len() {
        count if count == batch => Ok(()),
        count => Err(format!("{count} of {batch} items came back").into()),
    }
}

/// What one server did under one load.
pub struct Figure {
    pub server: String,
    /// Items per second: the median of all rounds.
    pub rate: f64,
    /// The median of the rounds' ratios to what the first server did in the same round.
    pub ratio: f64,
}

/// Measures every server that can do it, in turns, so that what else the machine does meets all alike.
pub fn compare(servers: &[Server], load: Load, rounds: usize, slice: Duration) -> Vec<Figure> {
    let mut rigs: Vec<_> = servers.iter().map(|server| (server, Rig::new(server, load), vec![])).collect();
    for _ in 0..rounds {
        for (server, rig, rates) in &mut rigs {
            match rig.as_mut().map(|rig| rig.round(slice)) {
                Ok(Ok(rate)) => rates.push(rate),
                Ok(Err(error)) => {
                    eprintln!("{}: {error}", server.name);
                    *rig = Err(error);
                }
                // It cannot do it, or has failed before.
                Err(_) => {}
            }
        }
    }
    let base = rigs.first().map(|(.., rates)| rates.clone()).unwrap_or_default();
    let complete = rigs.into_iter().filter(|(.., rates)| rates.len() == rounds);
    let figure = |(server, _, rates): (&Server, _, Vec<f64>)| Figure {
        server: server.name.clone(),
        ratio: median(rates.iter().zip(&base).map(|(rate, base)| rate / base).collect()),
        rate: median(rates),
    };
    complete.map(figure).collect()
}

/// The middle one; of none, not a number.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
