//! The command line: a thin layer that parses words, calls the library and prints. Each command is a file,
//! with its help text at the top.
//!
//! What the commands share: [`args`] takes words apart, [`access`] and [`key`] say which hub is meant and
//! prove who asks, [`failure`] is the line and the exit code of whatever went wrong, and [`out`] prints
//! without ever panicking because nobody reads.

mod access;
mod address;
mod args;
mod argument;
mod demo;
mod failure;
mod get;
mod key;
mod lease;
mod lines;
mod loan;
mod out;
mod plan;
mod program;
mod put;
mod serve;
mod shutdown;
mod spec;
mod stat;
mod stdout;
mod store;
mod table;
mod work;

use std::ffi::OsString;
use std::process::ExitCode;

use args::Args;
use failure::Failure;

struct Command {
    name: &'static str,
    help: &'static str,
    run: fn(Args) -> Result<(), Failure>,
    /// Listed by `netq help`.
    listed: bool,
}

impl Command {
    /// Its help text, with what is listed elsewhere.
    fn help(&self) -> String {
        self.help.replace("{kinds}\n", &serve::kinds())
    }
}

const COMMANDS: &[Command] = &[
    Command { name: "serve", help: serve::HELP, run: serve::run, listed: true },
    Command { name: "put", help: put::HELP, run: put::run, listed: true },
    Command { name: "get", help: get::HELP, run: get::run, listed: true },
    Command { name: "work", help: work::HELP, run: work::run, listed: true },
    Command { name: "stat", help: stat::HELP, run: stat::run, listed: true },
    Command { name: "shutdown", help: shutdown::HELP, run: shutdown::run, listed: true },
    Command { name: "demo", help: demo::HELP, run: demo::run, listed: true },
    Command { name: "demo-worker", help: demo::WORKER_HELP, run: demo::worker, listed: false },
];

const HELP: &str = "\
netq: queues that programs on many machines share, in Python's own protocol (multiprocessing.managers).

usage: netq COMMAND [OPTION]...

{commands}
  help      this text, or that of a command: netq help put

Every command but help and demo needs the hub's key: --authkey-file FILE, or the environment variable
NETQ_AUTHKEY, or --authkey KEY (which other users of the machine can see). The clients find the hub by
--connect ADDR (default 127.0.0.1:8001).

example:
  (umask 077; head -c 32 /dev/urandom | base64 > key)
  netq serve --authkey-file key tasks:100 results &
  netq put tasks --authkey-file key 'hello, world'
  netq get tasks --authkey-file key

exit codes: 0 done, 1 failed, 2 wrong usage, 3 a queue stayed empty or full until the timeout
";

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => out::report(&failure),
    }
}

fn run(mut words: Vec<OsString>) -> Result<(), Failure> {
    if words.is_empty() {
        return Err(Failure::usage("no command: see netq help"));
    }
    let name = words.remove(0);
    match name.to_str() {
        Some("help") => return help(words.first()),
        Some("--help" | "-h") => return help(None),
        Some("--version" | "-V") => return out::print(concat!("netq ", env!("CARGO_PKG_VERSION"), "\n")),
        _ => {}
    }
    let command = find(&name)?;
    // Behind `--` are items, or another program's options.
    let mut options = words.iter().take_while(|word| *word != "--");
    if options.any(|word| word == "--help" || word == "-h") {
        return out::print(&command.help());
    }
    (command.run)(Args::new(command.name, words))
}

fn help(topic: Option<&OsString>) -> Result<(), Failure> {
    match topic {
        Some(name) => out::print(&find(name)?.help()),
        None => out::print(&HELP.replace("{commands}\n", &summaries())),
    }
}

/// Starts a thread that nobody joins. A box, because each type of function would come with 1 KiB of std's code for threads.
fn background(run: Box<dyn FnOnce() + Send>) {
    std::thread::spawn(run);
}

fn find(name: &OsString) -> Result<&'static Command, Failure> {
    COMMANDS
        .iter()
        .find(|command| name == command.name)
        .ok_or_else(|| Failure::usage(format!("unknown command '{}': see netq help", name.to_string_lossy())))
}

/// The first line of each command's help is `netq NAME: what it does`.
fn summaries() -> String {
    let listed = COMMANDS.iter().filter(|command| command.listed);
    listed
        .map(|command| {
            let first = command.help.lines().next().unwrap_or_default();
            let what = first.split_once(": ").map_or(first, |(_, what)| what);
            format!("  {:<9} {what}\n", command.name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_help_text_names_its_command_and_shows_an_example() {
        for command in COMMANDS.iter().filter(|command| command.listed) {
            let help = command.help();
            assert!(help.starts_with(&format!("netq {}: ", command.name)), "{}", command.name);
            assert!(help.contains("\nusage: netq "), "{}", command.name);
            assert!(help.contains("\nexample:\n"), "{}", command.name);
            let mut options = help.lines().filter(|line| line.trim_start().starts_with("--"));
            assert!(options.all(|line| line.starts_with("  --")), "{}", command.name);
            assert!(help.ends_with('\n') && !help.ends_with("\n\n"), "{}", command.name);
            assert!(help.lines().all(|line| line.chars().count() <= 110), "{}", command.name);
        }
    }

    #[test]
    fn overview_lists_the_commands() {
        let summaries = summaries();
        assert_eq!(summaries.lines().count(), 7);
        assert!(summaries.starts_with("  serve     "), "{summaries}");
        assert!(!summaries.contains("demo-worker"));
    }

    #[test]
    fn unknown_command_is_wrong_usage() {
        let failure = run(vec!["frobnicate".into()]).unwrap_err();
        assert_eq!((failure.code(), failure.message()), (2, "unknown command 'frobnicate': see netq help"));
    }
}
