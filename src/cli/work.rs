//! `netq work`: a worker made of any program.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use netq::{Error, QueueProxy, Retry, Value};

use super::access::{Access, Hub, access_help, reconnect_help, retry};
use super::args::{Arg, Args};
use super::failure::Failure;
use super::lease::Leases;
use super::loan::{Lender, Loan, SLICE};
use super::out;
use super::program::{NotRun, Outcome, Program};

/// What `netq work --help` prints.
pub const HELP: &str = concat!(
    "\
netq work: take items from a queue and run a program for each

usage: netq work [OPTION]... NAME -- COMMAND [ARG...]

Runs COMMAND for each item, with every {} in its arguments replaced by the item, or with the item as its last
argument. No shell is involved: spaces and quotes in an item mean nothing. Then calls task_done() on the
queue. A str, bytes and a pathlib path are passed as they are, also if they are not UTF-8; times, numbers and
the like as str() gives them; other plain data as a Python literal. For an object that is none of these
COMMAND is not run: that counts as a failed attempt, and the item goes back, or to the dead letters.

options:
  --results NAME        put a dict on the queue NAME for each item: {'task': the item, 'status': the exit
                        code, or minus the signal's number, 'stdout': a str, or bytes if it is not UTF-8,
                        'stderr': likewise, 'seconds': a float}. Without it, what COMMAND prints is printed
  -j N                  run N commands at a time (default 1)
  --idle-exit S         end when no item has come for S seconds (exit code 0)
  --keep-going          go on after a command has failed, and say at the end how many did (exit code 1).
                        Without it the first that fails is the last that is started (exit code 1)
",
    reconnect_help!("three days"),
    access_help!(),
    "
When the hub restarts, workers wait for it. A result of which it is not known whether it arrived is put again:
it may come twice, but it is not lost. One that is too large for the hub is put without its output, and says
so in 'stderr'. A command that fails has a result like any other: it is not run again.
One that cannot be started on this machine ends the worker, and its item goes back untried (exit code 1).

The hub gives the item of a worker that is killed to another one, whatever the queue; only a hub that is not
netq's has forgotten it. The result is put before task_done() is called. So no item stays without a result, at
whatever moment a worker is killed; if that is between the two, the item is done again and has two results.
Where the queue was served with `lease`, it is renewed for as long as the command runs and the worker lives.

example:
  netq work tasks --authkey-file key --results results -j 4 -- convert {} -resize 50% {}.small.png
"
);

/// For how long a worker waits for a hub that does not answer: over a weekend.
const PATIENCE: Duration = Duration::from_secs(3 * 24 * 3600);

/// How long an item rests that no command can be run for: another worker may be of another kind.
const REFUSED: Duration = Duration::from_secs(2);

/// What all workers share.
struct Work {
    access: Access,
    tasks: String,
    results: Option<String>,
    workers: usize,
    idle_exit: Option<Duration>,
    keep_going: bool,
    program: Program,
    /// Set once a command failed that is to be the last, or a worker did.
    stop: AtomicBool,
    /// How many commands have ended.
    ended: AtomicU64,
    /// How many of them failed.
    failed: AtomicU64,
    /// For how many items none was run.
    refused: AtomicU64,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let work = parse(args)?;
    let hub = work.access.hub(Retry { repeat_puts: true, ..retry(PATIENCE) })?;
    let leases = Leases::of(hub.queue(&work.tasks)?)?;
    let workers =
        (0..work.workers).map(|_| Worker::new(&work, &hub, leases.clone())).collect::<Result<Vec<_>, _>>()?;
    let failures = thread::scope(|scope| {
        let running: Vec<_> = workers.into_iter().map(|worker| scope.spawn(|| worker.run())).collect();
        let ends = running.into_iter().map(|worker| {
            worker.join().unwrap_or_else(|_| Err(Failure::failed("a worker thread panicked: this is a bug")))
        });
        // Waits for all of them, whatever the first says.
        ends.collect::<Vec<_>>().into_iter().filter_map(Result::err).collect::<Vec<_>>()
    });
    let mut failures = failures.into_iter();
    let Some(first) = failures.next() else { return work.summary() };
    failures.for_each(|failure| {
        out::report(&failure);
    });
    if work.keep_going
        && let Err(summary) = work.summary()
    {
        out::report(&summary);
    }
    Err(first)
}

fn parse(mut args: Args) -> Result<Work, Failure> {
    let mut access = Access::reconnecting();
    let (mut tasks, mut results, mut command) = (None, None, Vec::<OsString>::new());
    let (mut workers, mut idle_exit, mut keep_going) = (1, None, false);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Option(option) => match option.as_str() {
                "--results" => results = Some(args.text()?),
                "-j" => workers = args.number(1)?,
                "--idle-exit" => idle_exit = Some(args.seconds()?),
                "--keep-going" => keep_going = true,
                _ => access.option(&option, &mut args)?,
            },
            Arg::Word(word) if args.ended() => command.push(word),
            Arg::Word(word) if tasks.is_none() => tasks = Some(args.utf8(word)?),
            Arg::Word(word) => {
                let word = word.to_string_lossy();
                return Err(Failure::usage(format!(
                    "unexpected argument '{word}': put -- before the command"
                )));
            }
        }
    }
    let tasks = tasks.ok_or_else(|| args.missing("the name of a queue"))?;
    if command.is_empty() {
        return Err(args.missing("the command behind --"));
    }
    let program =
        Program::find(command).map_err(|why| Failure::usage(format!("cannot run the command: {why}")))?;
    let stop = AtomicBool::new(false);
    let [ended, failed, refused] = [0, 0, 0].map(AtomicU64::new);
    Ok(Work { access, tasks, results, workers, idle_exit, keep_going, program, stop, ended, failed, refused })
}

impl Work {
    /// What is said at the end: nothing, unless commands failed.
    fn summary(&self) -> Result<(), Failure> {
        let counts = [&self.ended, &self.failed, &self.refused];
        let [ended, failed, refused] = counts.map(|count| count.load(Ordering::Relaxed));
        match (failed, refused) {
            (0, 0) => Ok(()),
            (_, 0) => Err(Failure::failed(format!("{failed} of {ended} commands failed"))),
            _ => Err(Failure::failed(format!(
                "{failed} of {ended} commands failed, and {refused} times none was run for an item"
            ))),
        }
    }
}

/// One of the workers, with proxies of its own.
struct Worker<'w> {
    work: &'w Work,
    tasks: Lender,
    results: Option<QueueProxy>,
}

impl<'w> Worker<'w> {
    fn new(work: &'w Work, hub: &Hub, leases: Option<Arc<Leases>>) -> Result<Self, Failure> {
        let tasks = Lender::new(hub.queue(&work.tasks)?).keeping(leases);
        let results = work.results.as_deref().map(|name| hub.queue(name)).transpose()?;
        Ok(Self { work, tasks, results })
    }

    fn run(mut self) -> Result<(), Failure> {
        while let Some(loan) = self.next().inspect_err(|_| self.stop())? {
            self.carry_out(loan).inspect_err(|_| self.stop())?;
        }
        Ok(())
    }

    /// Makes all workers stop.
    fn stop(&self) {
        self.work.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for an item; `None` when it is time to end.
    fn next(&mut self) -> Result<Option<Loan>, Failure> {
        // Not by the clock: a hub that is away has nothing to offer, and that does not count.
        let mut waited = Duration::ZERO;
        while !self.work.stop.load(Ordering::Relaxed) {
            let left = self.work.idle_exit.map_or(SLICE, |idle| idle.saturating_sub(waited));
            let slice = left.min(SLICE);
            match self.tasks.take(1, slice) {
                Ok(mut loans) => return Ok(loans.pop()),
                Err(Error::Empty) => waited += slice,
                Err(Error::ShutDown) => return Ok(None),
                Err(error) if self.tasks.is_end(&error) => {
                    // Once, by the first that notices.
                    if !self.work.stop.swap(true, Ordering::Relaxed) {
                        out::note("the hub has ended, and so the work");
                    }
                    return Ok(None);
                }
                Err(error) => return Err(self.tasks.failure(&self.work.tasks, &error)),
            }
            if self.work.idle_exit.is_some_and(|idle| waited >= idle) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn carry_out(&mut self, loan: Loan) -> Result<(), Failure> {
        let work = self.work;
        let outcome = match work.program.run(&loan.item) {
            Ok(outcome) => outcome,
            // Nothing was tried, and another machine may have what is missing here.
            Err(NotRun::Here(why)) => {
                self.tasks.give_back(vec![loan]);
                return Err(Failure::failed(why));
            }
            Err(NotRun::Item) => return self.refuse(loan),
        };
        let (item, failed) = (&loan.item, outcome.status != 0);
        work.ended.fetch_add(1, Ordering::Relaxed);
        work.failed.fetch_add(failed.into(), Ordering::Relaxed);
        let failure = format!("'{}' ended with status {} for {item}", work.program.name(), outcome.status);
        // Before task_done(): the hub then has the item again if this process is killed here.
        match (&mut self.results, &work.results) {
            (Some(results), Some(name)) => {
                let about = format!("the result of {item} did not get into '{name}'");
                deliver(results, outcome, item.clone()).map_err(|error| Failure::about(about, &error))?;
            }
            _ => {
                show(&outcome)?;
                if failed && work.keep_going {
                    out::note(&failure);
                }
            }
        }
        // A hub that was restarted meanwhile knows nothing of the item, and nobody waits for it there.
        self.tasks.done(&[loan]).unwrap_or_else(|error| out::note(&format!("task_done(): {error}")));
        match failed && !work.keep_going {
            true => Err(Failure::failed(format!("{failure}: stopping, as there is no --keep-going"))),
            false => Ok(()),
        }
    }
}

impl Worker<'_> {
    /// Gives back an item that no command can be run for.
    fn refuse(&mut self, loan: Loan) -> Result<(), Failure> {
        let work = self.work;
        work.refused.fetch_add(1, Ordering::Relaxed);
        let failure = format!(
            "'{}' was not run for {}, which cannot be an argument: it went back, or to the dead letters",
            work.program.name(),
            loan.item
        );
        self.tasks.failed(loan, REFUSED).map_err(|error| Failure::about(&failure, &error))?;
        if !work.keep_going {
            return Err(Failure::failed(failure));
        }
        out::note(&failure);
        Ok(())
    }
}

/// Puts a result; one that the hub refuses without its output, and then without the item too. If its worker ended
/// instead, the item would go on to end all the others.
fn deliver(results: &mut QueueProxy, mut outcome: Outcome, item: Value) -> Result<(), Error> {
    let refused = match results.put(outcome.to_value(item.clone())) {
        Err(error) if is_refusal(&error) => error,
        done => return done,
    };
    outcome.leave_out(&format!("its output, because the hub refused it: {refused}"));
    let refused = match results.put(outcome.to_value(item)) {
        Err(error) if is_refusal(&error) => error,
        done => return done,
    };
    outcome.leave_out(&format!("the item and its output, because the hub refused them: {refused}"));
    results.put(outcome.to_value(Value::None))
}

/// Whether the hub has read what was put and does not take it: it is over its limit for messages, or for the
/// memory of a queue.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Raised(exception) if exception.name() == "ValueError")
}

/// Prints a program's output in one piece, so that those of several workers do not mix.
fn show(outcome: &Outcome) -> Result<(), Failure> {
    out::error(&out::shown(&outcome.stderr, io::stderr().is_terminal()));
    out::write(&out::shown(&outcome.stdout, io::stdout().is_terminal()))
        .map_err(|error| Failure::stdout(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Work, Failure> {
        parse(Args::new("work", words.iter().map(OsString::from).collect()))
    }

    #[test]
    fn command_stands_behind_the_dashes_with_its_own_options() {
        let words = ["tasks", "-j4", "--results=done", "--", "cargo", "-j", "--results", "--"];
        let work = parsed(&words).unwrap_or_else(|failure| panic!("{}", failure.message()));
        assert_eq!((work.tasks.as_str(), work.results.as_deref(), work.workers), ("tasks", Some("done"), 4));
        assert_eq!(work.program.name(), "cargo");
    }

    #[test]
    fn what_is_missing_or_misplaced_is_wrong_usage() {
        for (words, reason) in [
            (&["tasks", "cargo"][..], "put -- before the command"),
            (&["tasks"], "the command behind --"),
            (&["--", "cargo"], "the name of a queue"),
            (&["tasks", "-j", "0", "--", "cargo"], "at least 1"),
            (&["tasks", "--", "no-such-program"], "no directory of PATH"),
        ] {
            let failure = parsed(words).map(|_| ()).unwrap_err();
            assert_eq!(failure.code(), 2);
            assert!(failure.message().contains(reason), "{}", failure.message());
        }
    }
}
