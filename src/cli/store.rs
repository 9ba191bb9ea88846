//! `--store`, `--sync`, `--disk` and `--repair` of `netq serve`: queues that outlive the hub.

use std::ffi::OsString;
use std::sync::Arc;

use netq::{Options, QueueOptions, SharedQueue};

use super::args::Args;
use super::failure::Failure;
use super::spec::QueueSpec;

/// What the command line says of it.
#[derive(Default)]
pub struct StoreSpec {
    path: Option<OsString>,
    /// In milliseconds; 0 is before a put is answered.
    sync: Option<u64>,
    /// In bytes.
    limit: Option<u64>,
    repair: bool,
}

impl StoreSpec {
    /// Takes an option that is about the store.
    pub fn option(&mut self, option: &str, args: &mut Args) -> Result<bool, Failure> {
        match option {
            "--store" => self.path = Some(args.value()?),
            "--disk" => self.limit = Some(args.size()?),
            "--repair" => self.repair = true,
            "--sync" => {
                let value = args.value()?;
                self.sync = Some(if value == "always" { 0 } else { args.to_number(value, 1)? as u64 });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Opens the store, if there is to be one.
    pub fn open(self) -> Result<Store, Failure> {
        let of_a_directory = self.sync.is_some() || self.limit.is_some() || self.repair;
        let address = self.path.as_ref().and_then(|path| path.to_str()).filter(|path| path.contains("://"));
        match (address, self.path.as_ref()) {
            (Some(_), _) if of_a_directory => Err(Failure::usage(
                "--sync, --disk and --repair are about a store in a directory: Redis has settings of its own",
            )),
            (Some(address), _) => redis(address),
            (None, Some(_)) => {
                let sync = self.sync.filter(|&sync| sync > 0);
                journal(self.path.unwrap_or_default(), sync, self.limit, self.repair)
            }
            (None, None) if of_a_directory => {
                Err(Failure::usage("--sync, --disk and --repair are about a store: give --store DIR too"))
            }
            (None, None) => Ok(Store::default()),
        }
    }
}

/// Where the queues are kept.
#[derive(Default)]
pub enum Store {
    /// In memory.
    #[default]
    Nowhere,
    /// With the line for who has started the hub.
    #[cfg(feature = "journal")]
    Journal(Arc<netq::Store>, String),
    #[cfg(feature = "redis")]
    Redis(Arc<netq::RedisStore>),
}

impl Store {
    /// Makes a queue, which is kept if there is a store and nothing else is asked for.
    pub fn queue(&self, spec: &QueueSpec, options: QueueOptions) -> Arc<SharedQueue> {
        match self {
            _ if spec.memory => SharedQueue::with_options(options),
            Self::Nowhere => SharedQueue::with_options(options),
            #[cfg(feature = "journal")]
            Self::Journal(store, _) => store.queue(&spec.name, options),
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.queue(&spec.name, options),
        }
    }

    /// Whether queues are kept elsewhere than in the hub's memory.
    pub fn is_elsewhere(&self) -> bool {
        #[cfg(feature = "redis")]
        if let Self::Redis(_) = self {
            return true;
        }
        false
    }

    /// Reads what was kept, once all queues are made.
    pub fn load(&self) -> Result<(), Failure> {
        match self {
            Self::Nowhere => Ok(()),
            #[cfg(feature = "journal")]
            Self::Journal(store, _) => {
                store.load().map_err(|error| cannot(&store.path().display().to_string(), &error))
            }
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.load().map_err(|error| cannot("", &error)),
        }
    }

    /// What clients are told of it.
    pub fn options(&self, options: Options) -> Options {
        match self {
            Self::Nowhere => options,
            #[cfg(feature = "journal")]
            Self::Journal(store, _) => {
                let figures = Arc::clone(store);
                Options { run: Some(store.id()), store: Some(Arc::new(move || figures.figures())), ..options }
            }
            #[cfg(feature = "redis")]
            Self::Redis(store) => {
                let figures = Arc::clone(store);
                let run = Some(store.id().to_owned());
                Options { run, store: Some(Arc::new(move || figures.figures())), ..options }
            }
        }
    }

    /// A line for who has started the hub.
    pub fn describe(&self) -> String {
        match self {
            Self::Nowhere => String::new(),
            #[cfg(feature = "journal")]
            Self::Journal(_, line) => line.clone(),
            #[cfg(feature = "redis")]
            Self::Redis(store) => format!("netq: store {} (shared by all hubs there)\n", store.name()),
        }
    }

    /// Keeps what has not been written yet, at the hub's end.
    pub fn flush(&self) {
        match self {
            Self::Nowhere => {}
            #[cfg(feature = "journal")]
            Self::Journal(store, _) => store.flush(),
            #[cfg(feature = "redis")]
            Self::Redis(store) => store.flush(),
        }
    }
}

/// A journal in a directory.
#[cfg(feature = "journal")]
fn journal(path: OsString, sync: Option<u64>, limit: Option<u64>, repair: bool) -> Result<Store, Failure> {
    let name = std::path::Path::new(&path).display().to_string();
    let place = name.clone();
    let on_failure = move |error: &str| {
        let what = format!(
            "the store {place} has failed: {error}: puts that were not answered may be lost; see to the disk, then \
             start the hub again"
        );
        super::out::report(&Failure::failed(what));
        std::process::exit(1);
    };
    let options = netq::StoreOptions {
        sync: sync.map(std::time::Duration::from_millis),
        limit,
        repair,
        on_failure: Arc::new(on_failure),
    };
    let store = netq::Store::open(&path, options).map_err(|error| cannot(&name, &error))?;
    for note in store.notes() {
        super::out::note(&format!("the store {name}: {note}"));
    }
    let when = match sync {
        None => "a put is on disk before it is answered".to_owned(),
        Some(sync) => format!("a put is on disk at most {sync} ms after it was answered"),
    };
    let line = format!("netq: store {name} ({when})\n");
    Ok(Store::Journal(Arc::new(store), line))
}

#[cfg(not(feature = "journal"))]
fn journal(_: OsString, _: Option<u64>, _: Option<u64>, _: bool) -> Result<Store, Failure> {
    Err(Failure::usage("--store needs a netq with the feature 'journal': build it with --features journal"))
}

/// A Redis.
#[cfg(feature = "redis")]
fn redis(address: &str) -> Result<Store, Failure> {
    let notify = Arc::new(|line: &str| super::out::note(line));
    let options = netq::RedisOptions { notify, ..netq::RedisOptions::default() };
    let store = netq::RedisStore::open(address, options).map_err(|error| match error {
        netq::RedisError::Address(what) => Failure::usage(format!("--store: {what}")),
        error => cannot("", &error),
    })?;
    for note in store.notes() {
        super::out::note(&format!("{}: {note}", store.name()));
    }
    Ok(Store::Redis(Arc::new(store)))
}

#[cfg(not(feature = "redis"))]
fn redis(_: &str) -> Result<Store, Failure> {
    Err(Failure::usage(
        "--store redis://... needs a netq with the feature 'redis': build it with --features redis",
    ))
}

#[cfg(any(feature = "journal", feature = "redis"))]
fn cannot(name: &str, error: &dyn std::fmt::Display) -> Failure {
    let name = if name.is_empty() { String::new() } else { format!("{name}: ") };
    Failure::failed(format!("cannot use the store {name}{error}"))
}
