//! `netq demo`: a crawler as separate processes, to see it work and to read how it is done.
//!
//! The demo starts a hub and workers, which are `netq` too, puts addresses of images on one queue and collects
//! what the workers put on the other:
//!
//! ```text
//!  demo --put--> [get_task_queue] --get--> worker 1, worker 2, ...
//!    ^                                       |
//!    +--get-- [get_result_queue] <----put----+
//! ```
//!
//! Both queues are bounded, so putting all tasks first and only then collecting results would not end: workers
//! would wait for room among the results, and the demo for room among the tasks. It does both at once.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use netq::{BaseManager, Error, Retry, Value};

use super::access::{Access, retry};
use super::args::{Arg, Args};
use super::background;
use super::failure::Failure;
use super::key::VARIABLE;
use super::out;

/// What `netq demo --help` prints.
pub const HELP: &str = "\
netq demo: watch a hub and some workers at work

usage: netq demo [OPTION]...

Starts a hub and workers as processes of their own on this machine, gives the workers addresses of images to
download (they only pretend to), and collects the results. Needs no key: it makes one. Exits with 0 only if
every result came back exactly once.

options:
  --workers N           how many workers (default 3)
  --tasks N             how many images (default 10)

example:
  netq demo --workers 5 --tasks 100
";

/// What `netq demo-worker --help` prints.
pub const WORKER_HELP: &str = "\
netq demo-worker: what netq demo starts as its workers

usage: netq demo-worker --connect ADDR NUMBER

Takes addresses from get_task_queue until it gets None, and puts (NUMBER, 'ImageUrl_1--->success') on
get_result_queue for each. Ends when its standard input does, and then stops the hub too.
";

const TASKS: &str = "get_task_queue";
const RESULTS: &str = "get_result_queue";
/// How many items each of them holds.
const MAXSIZE: usize = 10;
/// Nothing here takes this long; what does is broken.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long a pretended download takes.
const DOWNLOAD: Duration = Duration::from_millis(50);

/// Runs the command.
pub fn run(mut args: Args) -> Result<(), Failure> {
    let (mut workers, mut tasks) = (3, 10);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Option(option) => match option.as_str() {
                "--workers" => workers = args.number(1)?,
                "--tasks" => tasks = args.number(0)?,
                _ => return Err(args.unknown()),
            },
            Arg::Word(word) => return Err(args.unexpected(&word)),
        }
    }
    let mut secret = [0; 16];
    netq::auth::random_bytes(&mut secret);
    let key: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();

    let (mut hub, address) = start_hub(&key)?;
    out::print(&format!("hub: process {} at {address}\n", hub.process.id()))?;
    let mut manager = BaseManager::new(&address, key.as_bytes());
    manager.set_retry(Retry::never());
    let mut crew = Vec::new();
    for number in 1..=workers {
        let words = ["demo-worker", "--connect", &address, &number.to_string()];
        let worker = Process::start(&format!("worker {number}"), &words, &key, Stdio::inherit())?;
        out::print(&format!("worker {number}: process {}\n", worker.process.id()))?;
        crew.push(worker);
    }

    let started = Instant::now();
    let queue = manager.queue(TASKS)?;
    let producer = thread::spawn(move || -> Result<(), Error> {
        for number in 1..=tasks {
            queue.put_timeout(format!("http://example.org/ImageUrl_{number}.png"), DEADLINE)?;
        }
        // One for each worker: there will be no more.
        (0..workers).try_for_each(|_| queue.put_timeout((), DEADLINE))
    });
    let tally = collect(&manager, workers, tasks)?;
    let elapsed = started.elapsed();
    producer.join().map_err(|_| Failure::failed("the thread that puts tasks panicked"))??;
    crew.iter_mut().try_for_each(Process::wait)?;
    // The workers have left, so nothing can come after this look.
    if !manager.queue(RESULTS)?.is_empty()? {
        return Err(Failure::failed("there are more results than tasks"));
    }
    manager.shutdown_remote()?;
    hub.wait()?;
    let shares: Vec<String> =
        tally.iter().enumerate().map(|(at, count)| format!("worker {}: {count}", at + 1)).collect();
    out::print(&format!(
        "{tasks} of {tasks} results, each exactly once, in {:.2} s ({})\n",
        elapsed.as_secs_f64(),
        shares.join(", ")
    ))
}

/// Takes as many results as there are tasks, and checks that each came once. Returns how many each worker did.
fn collect(manager: &BaseManager, workers: usize, tasks: usize) -> Result<Vec<usize>, Failure> {
    let results = manager.queue(RESULTS)?;
    let mut missing = vec![true; tasks];
    let mut tally = vec![0; workers];
    for came in 0..tasks {
        let result = results.get_timeout(DEADLINE).map_err(|error| {
            Failure::about(format_args!("{} of {tasks} results are missing", tasks - came), &error)
        })?;
        let Some((worker, text, image)) = parts(&result) else {
            return Err(Failure::failed(format!("not a result of a worker: {result}")));
        };
        let (Some(count), Some(true)) = (tally.get_mut(worker), missing.get(image)) else {
            return Err(Failure::failed(format!("a result that was not asked for, or came twice: {text}")));
        };
        *count += 1;
        missing[image] = false;
        out::print(&format!("{text}  (worker {})\n", worker + 1))?;
    }
    Ok(tally)
}

/// A result's worker, its text, and the image in it; both counted from 0.
fn parts(result: &Value) -> Option<(usize, &str, usize)> {
    let Value::Tuple(parts) = result else { return None };
    let [worker, text] = &parts[..] else { return None };
    let (worker, text) = (usize::try_from(worker.as_i64()?).ok()?, text.as_str()?);
    let image: usize = text.strip_prefix("ImageUrl_")?.strip_suffix("--->success")?.parse().ok()?;
    Some((worker.checked_sub(1)?, text, image.checked_sub(1)?))
}

/// Runs `netq demo-worker`: all that a worker has to do.
pub fn worker(mut args: Args) -> Result<(), Failure> {
    let mut access = Access::default();
    let mut number = 0;
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Option(option) => access.option(&option, &mut args)?,
            Arg::Word(word) => number = args.to_number(word, 1)?,
        }
    }
    let hub = access.hub(retry(DEADLINE))?;
    let tasks = hub.queue(TASKS)?;
    let results = hub.queue(RESULTS)?;
    // A demo that was killed cannot end its processes any more; but its end of this pipe is closed then.
    background(Box::new(move || {
        let _ = io::stdin().read(&mut [0]);
        let _ = hub.manager.shutdown_remote();
        std::process::exit(1);
    }));
    while let Value::Str(address) = tasks.get()? {
        let file = address.rsplit('/').next().unwrap_or(&address);
        let name = file.strip_suffix(".png").unwrap_or(file);
        thread::sleep(DOWNLOAD);
        results.put((number, format!("{name}--->success")))?;
        tasks.task_done()?;
    }
    Ok(())
}

/// Starts a hub on a free port, and waits until it says where it is.
fn start_hub(key: &str) -> Result<(Process, String), Failure> {
    let [tasks, results] = [TASKS, RESULTS].map(|name| format!("{name}:{MAXSIZE}"));
    let words = ["serve", "--quiet", "--listen", "127.0.0.1:0", &tasks, &results];
    let mut hub = Process::start("the hub", &words, key, Stdio::piped())?;
    let Some(stdout) = hub.process.stdout.take() else {
        return Err(Failure::failed("the hub has no output"));
    };
    let mut lines = BufReader::new(stdout).lines();
    // A hub that cannot listen ends, and then so does this.
    let Some(Ok(line)) = lines.next() else {
        return Err(Failure::failed("the hub does not say where it listens"));
    };
    // The rest is read so that the hub never waits for room in the pipe.
    background(Box::new(move || lines.for_each(drop)));
    match line.strip_prefix("netq: listening on ") {
        Some(address) => Ok((hub, address.to_owned())),
        None => Err(Failure::failed(format!("the hub says '{line}' and not where it listens"))),
    }
}

/// A process of this same program, which does not outlive this value.
struct Process {
    name: String,
    process: Child,
    /// Open for as long as this process lives.
    _stdin: Option<ChildStdin>,
}

impl Process {
    fn start(name: &str, words: &[&str], key: &str, stdout: Stdio) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::failed(format!("cannot start {name}: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        // Through the environment, because a command line can be read by every user of the machine.
        command.args(words).env(VARIABLE, key).stdin(Stdio::piped()).stdout(stdout);
        let mut process = command.spawn().map_err(failed)?;
        // Taken out of the process, which would close it before it waits.
        let stdin = process.stdin.take();
        Ok(Self { name: name.to_owned(), process, _stdin: stdin })
    }

    /// Waits for its end, but not for ever.
    fn wait(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.process.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(Failure::failed(format!("{} failed: {status}", self.name))),
                // The standard library cannot wait for a process and a deadline at once.
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                Ok(None) => return Err(Failure::failed(format!("{} does not end", self.name))),
                Err(error) => return Err(Failure::failed(format!("{}: {error}", self.name))),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
