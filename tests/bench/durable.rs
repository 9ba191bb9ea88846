//! Puts that are on disk before they are answered: netq with a store, Redis that syncs always, beanstalkd with `-f0`.
//! And netq with a store that syncs each second, beside one without.

use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::clients::{Client, Result};
use crate::load::median;
use crate::report::{Table, figure};
use crate::servers::Server;

const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const SIZE: usize = 64;

/// A directory of a server's own, on the disk that this was built on.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self> {
        let path =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left there is small, and in the folder of what was built.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server, its clients, and what they did in each round.
struct Rig<'s> {
    name: &'s str,
    clients: Vec<Box<dyn Client>>,
    /// Items per second.
    rate: f64,
    rates: Vec<f64>,
}

impl Rig<'_> {
    /// Puts about so many items, and gets them again, which is not measured: items per second.
    fn round(&mut self, items: usize) -> Result<f64> {
        let share = items.div_ceil(self.clients.len()).max(1);
        let count = self.clients.len();
        let start = Barrier::new(count + 1);
        let elapsed = thread::scope(|scope| -> Result<Duration> {
            let start = &start;
            let put = move |client: &mut Box<dyn Client>| -> Result<()> {
                start.wait();
                (0..share).try_for_each(|_| client.put("x".repeat(SIZE)))
            };
            let threads: Vec<_> =
                self.clients.iter_mut().map(|client| scope.spawn(move || put(client))).collect();
            start.wait();
            let since = Instant::now();
            for thread in threads {
                thread.join().map_err(|_| "a client panicked")??;
            }
            Ok(since.elapsed())
        })?;
        for _ in 0..share * count {
            self.clients[0].get()?;
        }
        Ok((share * count) as f64 / elapsed.as_secs_f64())
    }
}

/// The table, with a row for each number of clients.
pub fn measure(alone: bool, rounds: usize, slice: Duration) -> Result<Table> {
    let folders = ["always", "second", "redis", "beanstalkd"].map(Folder::new);
    let [always, second, redis, beanstalkd] = folders;
    let (always, second, redis, beanstalkd) = (always?, second?, redis?, beanstalkd?);
    let mut servers = vec![
        Server::netq()?,
        Server::netq_with("netq --store --sync 1000", &["--store", &text(&second), "--sync", "1000"])?,
        Server::netq_with("netq --store", &["--store", &text(&always)])?,
    ];
    if !alone {
        for server in [Server::redis_always(&redis.0), Server::beanstalkd_always(&beanstalkd.0)] {
            match server {
                Ok(server) => servers.push(server),
                Err(error) => eprintln!("skipped ({error})"),
            }
        }
    }
    let mut head = vec!["clients".to_owned()];
    head.extend(servers.iter().map(|server| server.name.clone()));
    head.extend(["--sync 1000 / no store", "netq / Redis", "netq / beanstalkd"].map(str::to_owned));
    let mut table = Table::new(head);
    for clients in CLIENTS {
        eprintln!("row 10: {clients} clients");
        let rigs = servers.iter().map(|server| -> Result<Rig> {
            let clients = (0..clients).map(|_| server.client(SIZE)).collect::<Result<_>>()?;
            Ok(Rig { name: &server.name, clients, rate: 0.0, rates: Vec::new() })
        });
        let mut rigs = rigs.collect::<Result<Vec<_>>>()?;
        for rig in &mut rigs {
            rig.round(2 * clients)?;
            rig.rate = rig.round(8 * clients)?;
        }
        for _ in 0..rounds {
            for rig in &mut rigs {
                rig.rate = rig.round((rig.rate * slice.as_secs_f64()) as usize)?;
                rig.rates.push(rig.rate);
            }
        }
        let ratio = |of: usize, to: &str| {
            let to = rigs.iter().find(|rig| rig.name == to)?;
            Some(median(rigs[of].rates.iter().zip(&to.rates).map(|(of, to)| of / to).collect()))
        };
        let ratios = [ratio(1, "netq"), ratio(2, "Redis, always"), ratio(2, "beanstalkd -f0")];
        let mut cells = vec![clients.to_string()];
        cells.extend(rigs.iter().map(|rig| format!("{} puts/s", figure(median(rig.rates.clone())))));
        cells.extend(ratios.map(|ratio| ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"))));
        table.push(cells);
    }
    Ok(table)
}

fn text(folder: &Folder) -> String {
    folder.0.join("store").to_string_lossy().into_owned()
}
