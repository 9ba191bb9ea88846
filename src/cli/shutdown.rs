//! `netq shutdown`: the end of a hub.

use netq::Retry;

use super::access::{Access, access_help};
use super::args::{Arg, Args};
use super::failure::Failure;

/// What `netq shutdown --help` prints.
pub const HELP: &str = concat!(
    "\
netq shutdown: stop a hub

usage: netq shutdown [OPTION]...

Stops the hub and closes all its connections. What is in its queues is gone.

options:
",
    access_help!(),
    "
example:
  netq shutdown --authkey-file key --connect hub.example.org:8001
"
);

/// Runs the command.
pub fn run(mut args: Args) -> Result<(), Failure> {
    let mut access = Access::default();
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Option(option) => access.option(&option, &mut args)?,
            Arg::Word(word) => return Err(args.unexpected(&word)),
        }
    }
    let manager = access.hub(Retry::never())?.manager;
    if manager.address().contains(',') {
        return Err(Failure::usage("--connect: give the address of the one hub that is to stop"));
    }
    Ok(manager.shutdown_remote()?)
}
