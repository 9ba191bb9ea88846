//! What a hub serves: the queues of its command line, those that take their dead letters, the factories; and
//! each one's share of the hub's memory.
//!
//! Shares are equal and fixed, one for each named queue and one for all that the factories make. With one
//! bound for all, a full task queue would keep the results out, and then nothing would ever move again.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use netq::units::{duration, size};
use netq::{BaseManager, DeadLetters, Exception, KINDS, QueueOptions, Redelivery, Shared, SharedQueue};

use super::failure::Failure;
use super::spec::QueueSpec;
use super::store::Store;

/// How many objects the factories may have made at a time: each has this part of their share.
const MADE: usize = 256;

/// The queues of a hub.
pub struct Plan {
    queues: Vec<Planned>,
    /// One share of the memory, in bytes.
    share: usize,
}

struct Planned {
    spec: QueueSpec,
    /// The queue whose dead letters it takes: then it refuses nothing.
    dead_letters_of: Option<String>,
}

impl Plan {
    /// Adds the dead-letter queues that are missing, and divides the memory, in bytes.
    pub fn new(specs: Vec<QueueSpec>, memory: u64) -> Result<Self, Failure> {
        let mut queues: Vec<Planned> = Vec::new();
        for (at, spec) in specs.iter().enumerate() {
            if specs[..at].iter().any(|other| other.name == spec.name) {
                return Err(Failure::usage(format!("queue '{}' is named twice: leave one out", spec.name)));
            }
            let named = |name: &str| specs.iter().any(|spec| spec.name == name);
            let missing = spec.dead_name().filter(|dead| !named(dead));
            let serves = |other: &&QueueSpec| other.dead_name().is_some_and(|dead| dead == spec.name);
            let dead_letters_of = specs.iter().find(serves).map(|other| other.name.clone());
            if let Some(other) = dead_letters_of.as_ref().filter(|_| spec.maxsize > 0) {
                return Err(Failure::usage(format!(
                    "queue '{name}:{maxsize}' takes what '{other}' gives up, and must not refuse it: leave out \
                     :{maxsize}",
                    name = spec.name,
                    maxsize = spec.maxsize,
                )));
            }
            queues.push(Planned { spec: spec.clone(), dead_letters_of });
            queues.extend(missing.map(|dead| Planned {
                spec: QueueSpec { name: dead, maxsize: 0, redelivery: None, memory: spec.memory },
                dead_letters_of: Some(spec.name.clone()),
            }));
        }
        let bounded = queues.iter().filter(|queue| queue.dead_letters_of.is_none()).count() as u64;
        let share = usize::try_from(memory / (bounded + 1)).unwrap_or(usize::MAX);
        Ok(Self { queues, share })
    }

    /// The names of all queues.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.queues.iter().map(|queue| queue.spec.name.as_str())
    }

    /// Makes the queues and the factories.
    pub fn register(&self, manager: &mut BaseManager, store: &Store) {
        let mut made: Vec<(&str, Arc<SharedQueue>)> = Vec::new();
        // A queue needs that of its dead letters, which may need one too: the end of such a chain comes first.
        let mut waiting: Vec<&Planned> = self.queues.iter().collect();
        while let Some(at) = waiting.iter().position(|queue| {
            let dead = queue.spec.dead_name();
            !waiting.iter().any(|other| Some(other.spec.name.as_str()) == dead.as_deref())
        }) {
            let Planned { spec, dead_letters_of } = waiting.remove(at);
            let dead = spec.dead_name();
            let dead = made.iter().find(|(name, _)| Some(*name) == dead.as_deref()).map(|(_, queue)| queue);
            let redelivery = spec.redelivery.as_ref().map(|redelivery| Redelivery {
                lease: redelivery.lease,
                backoff: redelivery.backoff,
                dead_letters: dead
                    .zip(redelivery.attempts)
                    .map(|(dead, attempts)| DeadLetters { attempts, queue: dead.queue().clone() }),
            });
            let options = QueueOptions {
                maxsize: spec.maxsize,
                max_bytes: dead_letters_of.is_none().then_some(self.share),
                redelivery,
            };
            let queue = store.queue(spec, options);
            manager.register(&spec.name, queue.clone());
            made.push((&spec.name, queue));
        }
        let living = Arc::new(Living::default());
        for kind in KINDS {
            let (living, max_bytes) = (living.clone(), self.made_share());
            manager
                .register_factory(kind.typeid, move |call| living.make(|| kind.make(call, Some(max_bytes))));
        }
    }

    fn made_share(&self) -> usize {
        self.share / MADE
    }

    /// Lines about the queues, for who has started the hub; whether they are kept elsewhere than in its memory.
    pub fn describe(&self, elsewhere: bool) -> String {
        let mut text = String::new();
        for Planned { spec, dead_letters_of } in &self.queues {
            let mut facts = vec![match (spec.maxsize, dead_letters_of) {
                (0, None) => "any number of items".to_owned(),
                (0, Some(of)) => format!("any number of items: those that {of} gives up"),
                (maxsize, _) => format!("maxsize {maxsize}"),
            }];
            if dead_letters_of.is_none() && (spec.memory || !elsewhere) {
                facts.push(format!("memory {}", size(self.share as u64)));
            }
            if spec.memory {
                facts.push("not in the store".to_owned());
            }
            if let Some(redelivery) = &spec.redelivery {
                facts.push("redeliver".to_owned());
                facts
                    .extend(redelivery.lease.map(|lease| format!("lease {}", duration(lease.as_secs_f64()))));
                facts.extend(
                    redelivery.backoff.map(|backoff| format!("backoff {}", duration(backoff.as_secs_f64()))),
                );
                facts.extend(
                    redelivery
                        .attempts
                        .zip(spec.dead_name())
                        .map(|(attempts, dead)| format!("given up to {dead} after {attempts} redeliveries")),
                );
            }
            text += &format!("netq: queue {} ({})\n", spec.name, facts.join(", "));
        }
        let made = size(self.made_share() as u64);
        let typeids: Vec<_> = KINDS.iter().map(|kind| kind.typeid).collect();
        text +=
            &format!("netq: factories {} (up to {MADE} objects, memory {made} each)\n", typeids.join(", "));
        text
    }
}

/// The objects that the factories have made, as long as anybody needs them.
#[derive(Default)]
struct Living(Mutex<Vec<Weak<dyn Shared>>>);

impl Living {
    fn make(
        &self,
        make: impl FnOnce() -> Result<Arc<dyn Shared>, Exception>,
    ) -> Result<Arc<dyn Shared>, Exception> {
        let mut living = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        living.retain(|object| object.strong_count() > 0);
        if living.len() >= MADE {
            return Err(Exception::runtime_error(format!(
                "{MADE} objects that were made for clients exist already, which is all that the hub has memory \
                 for: delete the proxies of those that are no longer needed, or name more queues to netq serve"
            )));
        }
        let object = make()?;
        living.push(Arc::downgrade(&object));
        Ok(object)
    }
}

/// The default of `--memory`, in bytes: half of what the machine has, where it tells.
pub fn default_memory() -> u64 {
    let total = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    total.map_or(1 << 30, |total| total / 2)
}

/// The `MemTotal` of Linux's `/proc/meminfo`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(specs: &[&str], memory: u64) -> Result<Plan, Failure> {
        Plan::new(specs.iter().map(|spec| QueueSpec::parse(spec).unwrap()).collect(), memory)
    }

    #[test]
    fn all_is_described() {
        let plan = plan(&["tasks:10,redeliver,lease=60,attempts=3,backoff=10", "results"], 48 << 20).unwrap();
        let factories = KINDS.iter().map(|kind| kind.typeid).collect::<Vec<_>>().join(", ");
        let expected = format!("\
netq: queue tasks (maxsize 10, memory 16M, redeliver, lease 1 min, backoff 10 s, given up to tasks_dead after 3 redeliveries)
netq: queue tasks_dead (any number of items: those that tasks gives up)
netq: queue results (any number of items, memory 16M)
netq: factories {factories} (up to 256 objects, memory 64K each)
");
        assert_eq!(plan.describe(false), expected);
        assert_eq!(plan.names().collect::<Vec<_>>(), ["tasks", "tasks_dead", "results"]);
    }

    #[test]
    fn a_dead_letter_queue_that_is_named_is_used_if_it_has_no_bound() {
        let chain = ["a_dead,redeliver,attempts=1", "a,redeliver,attempts=2"];
        let names = |plan: &Plan| plan.names().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names(&plan(&chain, 1 << 20).unwrap()), ["a_dead", "a_dead_dead", "a"]);
        let failure = plan(&["a,redeliver,attempts=2", "a_dead:5"], 1 << 20).err().unwrap();
        assert_eq!(failure.code(), 2);
        assert!(failure.message().contains("'a_dead:5' takes what 'a' gives up"), "{}", failure.message());
    }

    #[test]
    fn queues_have_different_names() {
        let failure = plan(&["a:1", "b", "a"], 1 << 20).err().unwrap();
        assert!(failure.message().contains("'a' is named twice"), "{}", failure.message());
    }

    #[test]
    fn half_of_the_machine_is_the_default() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       16384 kB\nMemFree: 3 kB\n"), Some(16 << 20));
        assert_eq!(total("MemTotal: lots"), None);
        assert!(default_memory() >= 1 << 20);
    }

    #[test]
    fn a_made_object_counts_until_it_is_dropped() {
        let living = Living::default();
        let make = || living.make(|| Ok(SharedQueue::new(0)));
        let mut made: Vec<_> = (0..MADE).map(|_| make().ok().unwrap()).collect();
        let error = make().err().unwrap();
        assert!(error.to_string().starts_with("RuntimeError: 256 objects"), "{error}");
        made.pop();
        made.push(make().ok().unwrap());
    }
}
