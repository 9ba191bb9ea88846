//! What a server serves: the registry of typeids, and the table of the objects made from it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::auth::random_bytes;
use crate::message::{Call, Exception};
use crate::name::exposed_fault;
use crate::number::Numbers;
use crate::pickle::Value;
use crate::shared::Shared;

type Factory = dyn Fn(Call<'_>) -> Result<Arc<dyn Shared>, Exception> + Send + Sync;

/// What a typeid stands for.
#[derive(Clone)]
pub(super) enum Registration {
    /// One object, which all clients share.
    Object(Arc<dyn Shared>),
    /// A function that makes a new object for each client that asks.
    Factory(Arc<Factory>),
}

/// Registrations and their typeids, in the order of these.
pub(super) type Registry = Vec<(String, Registration)>;

struct Entry {
    object: Arc<dyn Shared>,
    typeid: String,
    /// How many proxies refer to the object, as far as their clients have told.
    references: usize,
    /// How many connections have called it and are still open.
    connections: usize,
    /// Registered objects stay when nobody refers to them; made ones go.
    registered: bool,
    /// How many idents it was given: each `create` of a registered object gets one more.
    idents: u64,
}

impl Entry {
    fn new(object: Arc<dyn Shared>, typeid: &str, registered: bool) -> Self {
        Self { object, typeid: typeid.to_owned(), references: 0, connections: 0, registered, idents: 0 }
    }
}

/// Entries with their idents, in the order of these.
#[derive(Default)]
struct Live(Vec<(String, Entry)>);

impl Live {
    fn find_name(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.as_str().cmp(name))
    }

    /// The entry with this ident: its name, or, if it is a registered one's, its name and a number.
    fn find(&self, ident: &str) -> Result<usize, usize> {
        self.find_name(ident).or_else(|at| {
            let named = name_in(ident).and_then(|name| self.find_name(name).ok());
            named.filter(|&named| self.0[named].1.registered).ok_or(at)
        })
    }

    /// One more ident of a registered entry.
    fn new_ident(&mut self, name: &str) -> String {
        loop {
            let Some(entry) = self.get_mut(name) else { return name.to_owned() };
            entry.idents += 1;
            let ident = match entry.idents {
                1 => return name.to_owned(),
                number => format!("{name}{NUMBER}{number}"),
            };
            // Somebody may have registered an object by that name.
            if self.find_name(&ident).is_err() {
                return ident;
            }
        }
    }

    fn get_mut(&mut self, ident: &str) -> Option<&mut Entry> {
        self.find(ident).ok().map(|at| &mut self.0[at].1)
    }

    /// Adds an entry, unless there is one with this ident already.
    fn add(&mut self, ident: &str, entry: Entry) -> &mut Entry {
        let at = self.find_name(ident).unwrap_or_else(|at| {
            self.0.insert(at, (ident.to_owned(), entry));
            at
        });
        &mut self.0[at].1
    }

    fn remove(&mut self, ident: &str) -> Option<Entry> {
        self.find(ident).ok().map(|at| self.0.remove(at).1)
    }
}

/// Between the name of a registered object and the number in one more ident of it.
const NUMBER: char = '#';

/// The name in an ident with a number.
fn name_in(ident: &str) -> Option<&str> {
    let (name, number) = ident.rsplit_once(NUMBER)?;
    (!number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())).then_some(name)
}

/// The objects that can be called, by ident.
///
/// A registered object has many idents. Python keeps the idents of a thread's proxies in a set, and closes the
/// thread's connection when the set is empty: with one ident for two proxies of one object, the end of the second
/// would close the connection of the first, and give back what came over it. An ident with a number is never
/// looked for in a list, so that it is good for as long as the name is, after a restart of the hub too.
pub(super) struct Objects {
    registry: Registry,
    live: RwLock<Live>,
    /// The numbers in the idents of made objects.
    numbers: Numbers,
    /// What no other run of the hub has. It is part of the idents of made objects, so that a proxy from before a
    /// restart gets an error and not somebody else's queue; and clients are told it, who can then repeat what this
    /// run remembers.
    pub(super) run: String,
}

impl Objects {
    pub(super) fn new(registry: Registry) -> Self {
        let mut live = Live::default();
        for (typeid, registration) in &registry {
            if let Registration::Object(object) = registration {
                live.add(typeid, Entry::new(object.clone(), typeid, true));
            }
        }
        let mut run = [0; 4];
        random_bytes(&mut run);
        let run = format!("{:08x}", u32::from_be_bytes(run));
        Self { registry, live: RwLock::new(live), numbers: Numbers::new(), run }
    }

    fn read(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Python's `Server.create`: finds or makes the object, counts a reference, and tells its ident and
    /// methods.
    pub(super) fn create(&self, typeid: &str, call: Call<'_>) -> Result<Value, Exception> {
        let Some((_, registration)) = self.registry.iter().find(|(known, _)| known == typeid) else {
            let known = self.registry.iter().map(|(known, _)| known.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Exception::key_error(format!("unknown typeid '{typeid}': this hub serves {known}")));
        };
        let (name, object, registered) = match registration {
            Registration::Object(object) => {
                call.bind([], 0)?;
                (typeid.to_owned(), object.clone(), true)
            }
            Registration::Factory(make) => {
                let object = make(call)?;
                if let Some(fault) = exposed_fault(object.exposed()) {
                    return Err(Exception::runtime_error(format!(
                        "'{typeid}' made what cannot be called: {fault}"
                    )));
                }
                let number = self.numbers.next();
                (format!("{typeid}-{number}-{}", self.run), object, false)
            }
        };
        let exposed = object.exposed().iter().map(|&name| Value::from(name)).collect();
        let mut live = self.write();
        live.add(&name, Entry::new(object, typeid, registered)).references += 1;
        let ident = live.new_ident(&name);
        drop(live);
        Ok(Value::Tuple(vec![ident.into(), Value::Tuple(exposed)]))
    }

    /// The object with this ident, and the one ident that it always has.
    pub(super) fn get<'i>(&self, ident: &'i str) -> Option<(&'i str, Arc<dyn Shared>)> {
        let live = self.read();
        let (name, entry) = &live.0[live.find(ident).ok()?];
        // All its idents begin with it.
        Some((&ident[..name.len()], entry.object.clone()))
    }

    /// Forgets the idents of objects that are no more.
    pub(super) fn retain(&self, idents: &mut Vec<String>) {
        let live = self.read();
        idents.retain(|ident| live.find_name(ident).is_ok());
    }

    /// Python's `Server.incref`: one more proxy refers to the object.
    pub(super) fn incref(&self, ident: &str) -> Result<(), Exception> {
        let mut live = self.write();
        live.get_mut(ident).ok_or_else(|| unknown(ident))?.references += 1;
        Ok(())
    }

    /// Python's `Server.decref`: one proxy less. A made object to which none refers is dropped.
    pub(super) fn decref(&self, ident: &str) -> Result<(), Exception> {
        let mut live = self.write();
        let entry = live.get_mut(ident).ok_or_else(|| unknown(ident))?;
        // A proxy that is older than this run of the hub gives back a reference that was never counted.
        entry.references = entry.references.saturating_sub(1);
        let gone = if entry.references == 0 && !entry.registered { live.remove(ident) } else { None };
        // Dropped without the lock: it may be the last of a large queue.
        drop(live);
        drop(gone);
        Ok(())
    }

    /// Notes that a connection has begun to call the object.
    pub(super) fn attach(&self, ident: &str) {
        if let Some(entry) = self.write().get_mut(ident) {
            entry.connections += 1;
        }
    }

    /// Notes that such a connection has ended; the object, if it is still there.
    pub(super) fn detach(&self, ident: &str) -> Option<Arc<dyn Shared>> {
        let mut live = self.write();
        let entry = live.get_mut(ident)?;
        entry.connections = entry.connections.saturating_sub(1);
        Some(entry.object.clone())
    }

    /// Has all objects end what they do, and says whether all have.
    pub(super) fn retire(&self) -> bool {
        let objects: Vec<_> = self.read().0.iter().map(|(_, entry)| entry.object.clone()).collect();
        // All are asked, whatever one of them says.
        objects.iter().filter(|object| !object.retire()).count() == 0
    }

    /// Python's `Server.number_of_objects`: those to which a proxy refers.
    pub(super) fn count(&self) -> usize {
        self.read().0.iter().filter(|(_, entry)| entry.references > 0).count()
    }

    /// Python's `Server.debug_info`.
    pub(super) fn debug_info(&self) -> String {
        let live = self.read();
        let lines: Vec<String> = live
            .0
            .iter()
            .map(|(ident, entry)| {
                format!("  {ident}:       refcount={}\n    {}", entry.references, entry.object.describe())
            })
            .collect();
        lines.join("\n")
    }

    /// One dict for each object, sorted by ident: what `netq stat` shows.
    pub(super) fn stats(&self) -> Value {
        // The objects are asked without the lock: each takes locks of its own.
        let rows: Vec<_> = self
            .read()
            .0
            .iter()
            .map(|(ident, entry)| {
                (
                    ident.clone(),
                    entry.typeid.clone(),
                    entry.references,
                    entry.connections,
                    entry.object.clone(),
                )
            })
            .collect();
        let row =
            |(ident, typeid, references, connections, object): (_, _, usize, usize, Arc<dyn Shared>)| {
                let mut row: Vec<(Value, Value)> = vec![
                    ("name".into(), Value::Str(ident)),
                    ("type".into(), Value::Str(typeid)),
                    ("references".into(), references.into()),
                    ("connections".into(), connections.into()),
                ];
                row.extend(object.stats().into_iter().map(|(name, value)| (name.into(), value)));
                Value::Dict(row)
            };
        Value::List(rows.into_iter().map(row).collect())
    }
}

/// The error for an ident that no object has.
pub(super) fn unknown(ident: &str) -> Exception {
    Exception::key_error(format!("no object '{ident}' on this hub: it was dropped, or the hub was restarted"))
}
