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
        match self.path {
            Some(path) => Store::open(path, self.sync.filter(|&sync| sync > 0), self.limit, self.repair),
            None if self.sync.is_some() || self.limit.is_some() || self.repair => {
                Err(Failure::usage("--sync, --disk and --repair are about a store: give --store DIR too"))
            }
            None => Ok(Store::default()),
        }
    }
}

/// The store, if there is one.
#[cfg(feature = "journal")]
#[derive(Default)]
pub struct Store(Option<(Arc<netq::Store>, String)>);

#[cfg(feature = "journal")]
impl Store {
    fn open(path: OsString, sync: Option<u64>, limit: Option<u64>, repair: bool) -> Result<Self, Failure> {
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
        let store = netq::Store::open(&path, options).map_err(|error| failure(&name, &error))?;
        for note in store.notes() {
            super::out::note(&format!("the store {name}: {note}"));
        }
        let when = match sync {
            None => "a put is on disk before it is answered".to_owned(),
            Some(sync) => format!("a put is on disk at most {sync} ms after it was answered"),
        };
        let line = format!("netq: store {name} ({when})\n");
        Ok(Self(Some((Arc::new(store), line))))
    }

    /// Makes a queue, which is kept if there is a store and nothing else is asked for.
    pub fn queue(&self, spec: &QueueSpec, options: QueueOptions) -> Arc<SharedQueue> {
        match &self.0 {
            Some((store, _)) if !spec.memory => store.queue(&spec.name, options),
            _ => SharedQueue::with_options(options),
        }
    }

    /// Reads what was kept, once all queues are made.
    pub fn load(&self) -> Result<(), Failure> {
        let Some((store, _)) = &self.0 else { return Ok(()) };
        store.load().map_err(|error| failure(&store.path().display().to_string(), &error))
    }

    /// What clients are told of it.
    pub fn options(&self, options: Options) -> Options {
        let Some((store, _)) = &self.0 else { return options };
        let figures = Arc::clone(store);
        Options { run: Some(store.id()), store: Some(Arc::new(move || figures.figures())), ..options }
    }

    /// A line for who has started the hub.
    pub fn describe(&self) -> &str {
        self.0.as_ref().map_or("", |(_, line)| line)
    }

    /// Keeps what has not been written yet, at the hub's end.
    pub fn flush(&self) {
        if let Some((store, _)) = &self.0 {
            store.flush();
        }
    }
}

#[cfg(feature = "journal")]
fn failure(name: &str, error: &netq::StoreError) -> Failure {
    Failure::failed(format!("cannot use the store {name}: {error}"))
}

#[cfg(not(feature = "journal"))]
#[derive(Default)]
pub struct Store(());

#[cfg(not(feature = "journal"))]
impl Store {
    fn open(_: OsString, _: Option<u64>, _: Option<u64>, _: bool) -> Result<Self, Failure> {
        Err(Failure::usage(
            "--store needs a netq with the feature 'journal': build it with --features journal",
        ))
    }

    pub fn queue(&self, _: &QueueSpec, options: QueueOptions) -> Arc<SharedQueue> {
        SharedQueue::with_options(options)
    }

    pub fn load(&self) -> Result<(), Failure> {
        Ok(())
    }

    pub fn options(&self, options: Options) -> Options {
        options
    }

    pub fn describe(&self) -> &str {
        ""
    }

    pub fn flush(&self) {}
}
