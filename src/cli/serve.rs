//! `netq serve`: the hub.

use std::net::SocketAddr;
use std::sync::Arc;

use netq::units::timestamp;
use netq::{AuthKey, BaseManager, KINDS, Kind, LogLine, Options};

use super::address;
use super::args::{Arg, Args};
use super::failure::Failure;
use super::key::{Key, KeyOptions};
use super::out;
use super::plan::{Plan, default_memory};
use super::spec::QueueSpec;
use super::store::StoreSpec;

/// What `netq serve --help` prints.
pub const HELP: &str = concat!(
    "\
netq serve: serve queues to Python and Rust programs until stopped

usage: netq serve [OPTION]... NAME[:MAXSIZE][,QUEUE-OPTION]...

Serves a queue under each NAME, of at most MAXSIZE items (default 0: any number), and the factories below.
Stop it with Ctrl-C or `netq shutdown`; what is in the queues then is gone, unless --store keeps it. Prints
`netq: listening on ADDR` once it accepts connections.

factories, which make a new object for each client that asks, up to 256 at a time:
{kinds}

options of a queue, behind its name and a comma:
  redeliver             keep what a client got until its connection calls task_done(); when the connection
                        ends, what is not done goes back to the front. Items can come twice, none is lost.
                        A program that never calls task_done() gets all its items back at its end
  lease=SECONDS         with redeliver: an item that is not done after this time goes back too
  attempts=N            with redeliver: an item that would be delivered again for more than the Nth time goes
                        to the queue NAME_dead instead, which is served too and has no bound at all
  backoff=SECONDS       with redeliver: what failed is not given again at once, but rests, without holding up
                        the others: 10 seconds with backoff=10, then 20, 40, ..., at most an hour, and up to
                        a tenth less. Over a restart of the hub nothing rests, unless it is in Redis
  memory                with --store: is not kept there

options:
  --listen ADDR         where to listen, HOST:PORT or a PORT of this machine only (default 127.0.0.1:8001);
                        port 0 is any free one. The key keeps strangers out, but nothing is encrypted: keep
                        to networks that you trust
  --handshake-timeout S close a connection that has not shown the key after S seconds (default 10)
  --max-connections N   refuse more connections than N (default 10000)
  --max-strangers N     keep at most N connections that have not shown the key yet (default 256)
  --max-message SIZE    refuse longer messages, such as 512K, 32M, 1G (default 128M)
  --memory SIZE         keep at most so many bytes of items (default: half of the machine's memory). Each NAME
                        has an equal share, and one more is for what the factories make, 1/256 for each.
                        A put that would pass its queue's share waits, as if the queue were full. Not in it:
                        NAME_dead, which never refuses, and the messages on their way
  --store DIR           keep the queues in this directory, so that they outlive the hub: each item whose put
                        was answered, their order, failed attempts, dead letters, and what clients have and
                        were not done with; what was got in the last second before a crash may be got again.
                        Not what the factories make. While the disk is full, puts wait as if the queue were
                        full
  --store redis://[USER:PASSWORD@]HOST[:PORT][/DB]
                        keep the queues in that Redis or Valkey, which any number of hubs serve at once; one
                        that dies loses nothing. A put is as safe as Redis' settings are: appendonly yes, and
                        the maxmemory-policy noeviction, without which no hub starts. Not counted by --memory
  --sync always|MS      with --store DIR: a put is on disk before it is answered, and survives a loss of power
                        (always, the default); or it survives the end of the hub at once, and a loss of power
                        MS milliseconds later
  --disk SIZE           with --store DIR: its files take at most SIZE; beyond it puts wait. What --memory has
                        no room for waits on disk too, beside that
  --repair              with --store DIR: keep what is whole of a damaged store, and say what was left out
  --data-only           refuse items whose pickles can run code where they are loaded, such as instances of
                        classes. Data that only keeps a worker busy gets through
  --sha256-only         refuse HMAC-MD5, which is what Python 3.11 and older prove their key with
  --no-remote-shutdown  let no client stop the hub
  --status ADDR         serve a page about the hub there, over HTTP: / for people, /metrics for Prometheus,
                        /health. For reading only; who reaches the address needs no key
  --quiet               no log lines on standard error
",
    crate::cli::key::key_help!(),
    "
example:
  netq serve --authkey-file key --listen 127.0.0.1:8001 tasks:100,redeliver,attempts=3 results
"
);

/// The lines of the help text about the factories.
pub fn kinds() -> String {
    let line =
        |kind: &Kind| format!("  {:<24} {}\n", format!("{}({})", kind.typeid, kind.arguments), kind.what);
    KINDS.iter().map(line).collect()
}

/// A shorter key than this, in bytes, can be found by trying.
const SHORT_KEY: usize = 16;

struct Serve {
    address: String,
    key: KeyOptions,
    sha256_only: bool,
    quiet: bool,
    options: Options,
    plan: Plan,
    store: StoreSpec,
    /// Where the page about the hub is to be.
    status: Option<String>,
}

/// Runs the command.
pub fn run(args: Args) -> Result<(), Failure> {
    let serve = parse(args)?;
    let key = serve.key.find()?;
    let mut auth = AuthKey::new(&key.bytes);
    if serve.sha256_only {
        auth = auth.sha256_only();
    }
    let mut manager = BaseManager::with_key(serve.address, auth);
    let log: Arc<dyn Fn(&LogLine) + Send + Sync> = match serve.quiet {
        true => Arc::new(|_| {}),
        false => Arc::new(|line| out::note(&format!("{} {line}", timestamp(line.time)))),
    };
    let store = serve.store.open()?;
    manager.set_options(store.options(Options { log, ..serve.options }));
    serve.plan.register(&mut manager, &store);
    store.load()?;
    let server = manager.get_server()?;
    let address = server.address();
    let page = serve.status.map(|address| status_page(&address, &server)).transpose()?;
    let (facts, _page) = page.map_or((String::new(), None), |(line, page)| (line, Some(page)));
    if is_weak(&key, address) {
        out::note(&format!(
            "the key is shorter than {SHORT_KEY} bytes, and {address} can be reached from elsewhere: use a longer one"
        ));
    }
    if let Some(warning) = init_warning(std::process::id()) {
        out::note(warning);
    }
    // Who started the hub may read the first line and no more: that is no reason to stop.
    let _ = out::write(
        announcement(
            address,
            &(serve.plan.describe(store.is_elsewhere()) + &store.describe() + &facts),
            &serve.plan,
            &key,
        )
        .as_bytes(),
    );
    server.serve_forever();
    store.flush();
    Ok(())
}

fn parse(mut args: Args) -> Result<Serve, Failure> {
    let mut address = address::DEFAULT.to_owned();
    let (mut key, mut store) = (KeyOptions::default(), StoreSpec::default());
    let (mut sha256_only, mut quiet) = (false, false);
    let mut options = Options::default();
    let (mut queues, mut memory, mut status) = (Vec::new(), None, None);
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Option(option) => match option.as_str() {
                "--listen" => address = address::parse(&mut args)?,
                "--handshake-timeout" => options.handshake_timeout = args.seconds()?,
                "--max-connections" => options.max_connections = args.number(1)?,
                "--max-strangers" => options.max_strangers = args.number(1)?,
                "--max-message" => options.max_message = args.size()?,
                "--data-only" => options.data_only = true,
                "--memory" => memory = Some(args.size()?),
                "--sha256-only" => sha256_only = true,
                "--no-remote-shutdown" => options.remote_shutdown = false,
                "--quiet" => quiet = true,
                "--status" => status = Some(address::parse(&mut args)?),
                _ if key.option(&option, &mut args)? || store.option(&option, &mut args)? => {}
                _ => return Err(args.unknown()),
            },
            Arg::Word(word) => queues.push(QueueSpec::parse(&args.utf8(word)?)?),
        }
    }
    if queues.is_empty() {
        return Err(args.missing("the name of a queue"));
    }
    let plan = Plan::new(queues, memory.unwrap_or_else(default_memory))?;
    Ok(Serve { address, key, sha256_only, quiet, options, plan, store, status })
}

/// The page about the hub, which is there until this is dropped.
#[cfg(feature = "status")]
type Page = netq::StatusPage;
#[cfg(not(feature = "status"))]
type Page = ();

/// Serves the page about the hub, and says where.
#[cfg(feature = "status")]
fn status_page(address: &str, server: &netq::Server) -> Result<(String, Page), Failure> {
    let page = Page::start(address, server).map_err(|error| {
        Failure::failed(format!("no page at {address}: {error}: give --status another address"))
    })?;
    Ok((format!("netq: status page at http://{}/\n", page.address()), page))
}

#[cfg(not(feature = "status"))]
fn status_page(_: &str, _: &netq::Server) -> Result<(String, Page), Failure> {
    Err(Failure::usage("--status needs a netq with the feature 'status': build it with --features status"))
}

/// What to say if nothing but SIGKILL would end this process: as the first one of a container it gets no signals but
/// those that it handles, and it handles none.
fn init_warning(process: u32) -> Option<&'static str> {
    (process == 1).then_some(
        "this is process 1 of its container, which SIGTERM and Ctrl-C do not reach: start the container with --init, \
         or stop the hub with netq shutdown",
    )
}

/// Whether somebody elsewhere may find the key by trying.
fn is_weak(key: &Key, address: SocketAddr) -> bool {
    key.bytes.len() < SHORT_KEY && !address.ip().is_loopback()
}

/// Where the hub is, what it serves, and how a Python program gets there.
fn announcement(address: SocketAddr, facts: &str, plan: &Plan, key: &Key) -> String {
    let mut text = format!("netq: listening on {address}\n{facts}");
    let ip = address.ip();
    // A hub that listens on all addresses is at none of them in particular.
    let host = if ip.is_unspecified() { "127.0.0.1".to_owned() } else { ip.to_string() };
    let elsewhere = if ip.is_unspecified() { "  # elsewhere: this machine's name" } else { "" };
    let import_os = ["os.", "re."].into_iter().find(|name| key.python.starts_with(name));
    let import_os =
        import_os.map_or(String::new(), |name| format!("import {}\n", name.trim_end_matches('.')));
    let register: String = plan.names().map(|name| format!("QueueManager.register('{name}')\n")).collect();
    // `parse` has made sure that there is a queue.
    let first = plan.names().next().unwrap_or_default();
    text += &format!(
        "\nfrom Python:\n\n\
         {import_os}from multiprocessing.managers import BaseManager\n\n\
         class QueueManager(BaseManager):\n    pass\n\n\
         {register}\
         manager = QueueManager(address=('{host}', {port}),{elsewhere}\n                       \
         authkey={authkey})\n\
         manager.connect()\n\
         {first} = manager.{first}()\n\
         {first}.put('hello')\n\
         print({first}.get())\n",
        port = address.port(),
        authkey = key.python,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Serve, Failure> {
        parse(Args::new("serve", words.iter().map(|word| word.into()).collect()))
    }

    #[test]
    fn options_become_those_of_the_library() {
        let serve = parsed(&[
            "tasks:10",
            "--max-message=32M",
            "--data-only",
            "results",
            "--handshake-timeout",
            "2.5",
            "--max-connections",
            "5",
            "--max-strangers",
            "3",
            "--no-remote-shutdown",
            "--listen",
            ":9000",
        ]);
        let serve = serve.unwrap_or_else(|failure| panic!("{}", failure.message()));
        let options = serve.options;
        assert_eq!((options.max_message, options.max_connections, options.max_strangers), (32 << 20, 5, 3));
        assert_eq!(options.handshake_timeout.as_secs_f64(), 2.5);
        assert!(options.data_only && !options.remote_shutdown);
        assert_eq!(serve.address, "127.0.0.1:9000");
        assert_eq!(serve.plan.names().count(), 2);
    }

    #[test]
    fn queues_are_needed() {
        let message = |words: &[&str]| parsed(words).map(|_| ()).unwrap_err().message().to_owned();
        assert!(message(&[]).contains("the name of a queue is missing"));
        assert!(message(&["a", "--frob"]).contains("unknown option --frob"));
    }

    #[test]
    fn short_key_is_weak_where_others_can_reach_the_hub() {
        let weak = |length, address: &str| {
            is_weak(&Key { bytes: vec![0; length], python: String::new() }, address.parse().unwrap())
        };
        assert!(weak(15, "0.0.0.0:1") && weak(15, "[::]:1") && weak(1, "192.0.2.1:1"));
        assert!(!weak(16, "0.0.0.0:1") && !weak(1, "127.0.0.1:1") && !weak(1, "[::1]:1"));
    }

    #[test]
    fn process_1_is_told_what_ends_it() {
        assert!(init_warning(1).unwrap().contains("--init"));
        assert!(init_warning(2).is_none());
    }

    #[test]
    fn announcement_is_a_python_program_for_this_hub() {
        let queues = ["tasks:10,redeliver,attempts=2", "results"].map(|spec| QueueSpec::parse(spec).unwrap());
        let plan = Plan::new(queues.into(), 3 << 20).unwrap();
        let key = Key { bytes: vec![], python: "os.environ['NETQ_AUTHKEY'].encode()".into() };
        let text = announcement("0.0.0.0:8001".parse().unwrap(), &plan.describe(false), &plan, &key);
        for part in [
            "netq: listening on 0.0.0.0:8001\nnetq: queue tasks (maxsize 10, memory 1M, redeliver, ",
            "netq: queue results (any number of items, memory 1M)\n",
            "import os\n",
            "class QueueManager(BaseManager):\n    pass\n",
            "QueueManager.register('tasks_dead')\nQueueManager.register('results')\n",
            "('127.0.0.1', 8001)",
            "tasks = manager.tasks()\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }
}
