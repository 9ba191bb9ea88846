//! `netq shutdown`: the end of a hub.

use std::thread;
use std::time::{Duration, Instant};

use netq::{BaseManager, Error, Retry, Value};

use super::access::{Access, access_help};
use super::args::{Arg, Args};
use super::failure::Failure;
use super::stat::{get, number};

/// How long the first look at a queue that drains is from the second; then twice as long each time, up to the other.
const LOOKS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(640)];

/// What `netq shutdown --help` prints.
pub const HELP: &str = concat!(
    "\
netq shutdown: stop a hub

usage: netq shutdown [OPTION]...
       netq shutdown --drain [OPTION]... NAME...

Stops the hub and closes all its connections. What is in its queues is gone, unless a store keeps it.

options:
  --drain               stop it when all in the queues of these NAMEs is done. One after the other, in this
                        order (tasks before results), each takes no more puts, and gives what it has to those
                        who ask, who are then told that it was shut down. The hub stops when nothing waits in
                        them, is at a client, or rests; what a client has got for good is not waited for
  --timeout S           with --drain: give up after S seconds (exit code 3). The hub goes on, without the puts
",
    access_help!(),
    "
example:
  netq shutdown --authkey-file key --connect hub.example.org:8001 --drain tasks results
"
);

/// Runs the command.
pub fn run(mut args: Args) -> Result<(), Failure> {
    let mut access = Access::default();
    let (mut drains, mut names, mut timeout) = (false, Vec::new(), None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Option(option) => match option.as_str() {
                "--drain" => drains = true,
                "--timeout" => timeout = Some(args.seconds()?),
                _ => access.option(&option, &mut args)?,
            },
            Arg::Word(word) => names.push(args.utf8(word)?),
        }
    }
    match (drains, names.first()) {
        (true, None) => {
            return Err(Failure::usage("--drain: name the queues that are to be done, as in --drain tasks"));
        }
        (false, Some(name)) => {
            return Err(Failure::usage(format!(
                "unexpected '{name}': the hub stops as a whole; or give --drain too"
            )));
        }
        (false, None) if timeout.is_some() => {
            return Err(Failure::usage("--timeout is about --drain: give both"));
        }
        _ => {}
    }
    let manager = access.hub(Retry::never())?.manager;
    if manager.address().contains(',') {
        return Err(Failure::usage("--connect: give the address of the one hub that is to stop"));
    }
    let since = Instant::now();
    for name in names {
        drain(&manager, &name, timeout.map(|timeout| (since, timeout)))?;
    }
    Ok(manager.shutdown_remote()?)
}

/// Waits until a queue, which takes no more puts from now on, has nothing any more, and nobody has anything of it.
fn drain(manager: &BaseManager, name: &str, time: Option<(Instant, Duration)>) -> Result<(), Failure> {
    // What is no queue has no such figures.
    left(manager, name)?;
    manager.queue(name)?.shutdown(false)?;
    let mut pause = LOOKS[0];
    loop {
        let [waiting, out] = left(manager, name)?;
        if waiting + out == 0.0 {
            return Ok(());
        }
        if let Some((since, timeout)) = time {
            let Some(rest) = timeout.checked_sub(since.elapsed()).filter(|rest| !rest.is_zero()) else {
                return Err(Failure::timed_out(format!(
                    "{name}: {waiting} items wait and {out} are out: it takes no more puts, and the hub goes on"
                )));
            };
            pause = pause.min(rest);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LOOKS[1]);
    }
}

/// How many items wait in a queue, and how many are at clients or rest.
fn left(manager: &BaseManager, name: &str) -> Result<[f64; 2], Failure> {
    let figures = match manager.dispatch("stat") {
        // CPython's manager has no such method.
        Err(Error::NoSuchMethod(_)) => return Err(Failure::failed("only a hub of netq's can be drained")),
        figures => figures?,
    };
    let objects = match get(&figures, "objects") {
        Some(Value::List(objects)) => objects.as_slice(),
        _ => &[],
    };
    let object = objects.iter().find(|object| get(object, "name").and_then(Value::as_str) == Some(name));
    let figure = |figure| number(object?, figure);
    match (figure("length"), figure("out")) {
        (Some(waiting), Some(out)) => Ok([waiting, out]),
        _ => Err(Failure::failed(format!("{name}: the hub has no queue of this name: see netq stat"))),
    }
}
