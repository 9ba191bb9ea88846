//! Hubs that keep their queues in one Redis, against clients that talk to the same Redis themselves: with a list, which
//! loses what a worker that dies has got, and with the best known way to keep that, a list for each worker and a cleaner.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clients::{Careful, Client, Manager, Redis, Result};
use crate::load::{Load, Rig, median};
use crate::report::{Table, figure};
use crate::servers::Server;

/// What is compared: its name, and a connection for the client of that number.
struct Way {
    name: &'static str,
    connect: Box<dyn Fn(usize) -> Result<Box<dyn Client>>>,
}

/// The table, with a row for each load.
pub fn measure(rounds: usize, slice: Duration) -> Result<Table> {
    let folder = std::env::temp_dir().join(format!("netq-bench-{}-shared", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let table = measure_in(&folder, rounds, slice);
    std::fs::remove_dir_all(&folder)?;
    table
}

fn measure_in(folder: &std::path::Path, rounds: usize, slice: Duration) -> Result<Table> {
    let redis = Server::redis_appendonly(folder)?;
    let address = redis.address;
    let url = format!("redis://{address}");
    let hub = || Server::netq_with("hub", &["--store", &url, "careful,redeliver"]);
    let (one, two) = (hub()?, hub()?);
    let addresses = [one.address, two.address];
    let stop = Arc::new(AtomicBool::new(false));
    let cleaner = Careful::clean(address, stop.clone())?;
    let hubs = |count: usize, name: &'static str, queue: &'static str| Way {
        name,
        connect: Box::new(move |at| {
            let careful = queue == "careful";
            Ok(Box::new(Manager::connect_to(addresses[at % count], queue, careful)?))
        }),
    };
    let ways = [
        Way { name: "LPUSH, BRPOP", connect: Box::new(move |_| Ok(Box::new(Redis::connect(address)?))) },
        hubs(1, "1 hub", "get_task_queue"),
        hubs(2, "2 hubs", "get_task_queue"),
        Way {
            name: "LMOVE, LREM, cleaner",
            connect: Box::new(move |at| Ok(Box::new(Careful::connect(address, at)?))),
        },
        hubs(1, "1 hub, redeliver", "careful"),
        hubs(2, "2 hubs, redeliver", "careful"),
    ];
    let loads = [
        ("1 connection, put + get", Load::turns(64)),
        ("8 connections, half put, half get", Load::flow(8, 64)),
        ("64 connections, the same", Load::flow(64, 64)),
        ("batches of 64", Load::batches(64, 64)),
    ];
    let mut head = vec!["work".to_owned()];
    head.extend(ways.iter().map(|way| way.name.to_owned()));
    head.extend(
        ["1 hub / BRPOP", "2 hubs / BRPOP", "redeliver / LMOVE", "2 hubs, redeliver / LMOVE"]
            .map(str::to_owned),
    );
    let mut table = Table::new(head);
    for (work, load) in loads {
        eprintln!("row 11: {work}");
        let rigs = ways.iter().map(|way| {
            let clients = (0..load.connections).map(|at| (way.connect)(at)).collect::<Result<_>>()?;
            Ok((Rig::of(load, clients)?, Vec::new()))
        });
        let mut rigs: Vec<Result<(Rig, Vec<f64>)>> = rigs.collect();
        for _ in 0..rounds {
            for rig in rigs.iter_mut().flatten() {
                let rate = rig.0.round(slice)?;
                rig.1.push(rate);
            }
        }
        let rates: Vec<Vec<f64>> =
            rigs.into_iter().map(|rig| rig.map(|rig| rig.1).unwrap_or_default()).collect();
        let ratio = |of: usize, to: usize| {
            figure(median(rates[of].iter().zip(&rates[to]).map(|(of, to)| of / to).collect()))
        };
        let mut cells = vec![work.to_owned()];
        cells.extend(rates.iter().map(|rates| format!("{} items/s", figure(median(rates.clone())))));
        cells.extend([ratio(1, 0), ratio(2, 0), ratio(4, 3), ratio(5, 3)]);
        table.push(cells);
    }
    stop.store(true, Ordering::Relaxed);
    cleaner.join().map_err(|_| "the cleaner panicked")??;
    Ok(table)
}
