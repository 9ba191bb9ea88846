//! A map that keeps the order in which its keys came, as Python's dict does.

use std::hash::{BuildHasher, RandomState};

use crate::message::Exception;
use crate::pickle::{Key, Pickled};

/// Roughly what an entry takes beside its parts: its place in two vectors, and what allocators add.
const OVERHEAD: usize = 160;

/// A key as it was pickled first, and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub key: Key,
    pub name: Pickled,
    pub value: Pickled,
}

impl Entry {
    fn memory(&self) -> usize {
        OVERHEAD + self.key.memory() + self.name.memory() + self.value.memory()
    }
}

/// Entries in order, and where in it each key is.
///
/// Not std's map, which has no order, and of which each new type makes the program larger. Its hash is used, with keys
/// of its own for each table: nobody can choose keys that collide.
#[derive(Clone)]
pub(super) struct Table {
    /// What is removed leaves a gap until the next rebuild.
    entries: Vec<Option<(u64, Entry)>>,
    /// Places in `entries`, plus one; 0 is free. One whose entry is gone is passed over in a search, and one whose
    /// entry has become another's finds no wrong key, because keys are compared.
    slots: Vec<u32>,
    /// How many slots are not free.
    used: usize,
    len: usize,
    memory: usize,
    max_memory: usize,
    hasher: RandomState,
}

impl Table {
    pub fn new(max_memory: usize) -> Self {
        Self {
            entries: Vec::new(),
            slots: Vec::new(),
            used: 0,
            len: 0,
            memory: 0,
            max_memory,
            hasher: RandomState::new(),
        }
    }

    /// An empty one with the same bound.
    pub fn cleared(&self) -> Self {
        Self::new(self.max_memory)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter().flatten().map(|(_, entry)| entry)
    }

    pub fn get(&self, key: &Key) -> Option<&Pickled> {
        let at = self.find(key)?;
        self.entries[at].as_ref().map(|(_, entry)| &entry.value)
    }

    fn find(&self, key: &Key) -> Option<usize> {
        let hash = self.hasher.hash_one(key);
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = hash as usize & mask;
        // Some slot is free.
        while let Some(at) = (self.slots[slot] as usize).checked_sub(1) {
            match self.entries.get(at) {
                Some(Some((other, entry))) if *other == hash && entry.key == *key => return Some(at),
                _ => slot = (slot + 1) & mask,
            }
        }
        None
    }

    /// Sets the value of a key, which keeps its place, and the name that it was first given.
    ///
    /// # Errors
    /// `MemoryError`, and nothing has changed.
    pub fn set(&mut self, entry: Entry) -> Result<(), Exception> {
        if let Some(at) = self.find(&entry.key)
            && let Some(Some((_, old))) = self.entries.get_mut(at)
        {
            let memory = self.memory - old.value.memory() + entry.value.memory();
            if memory > self.max_memory && memory > self.memory {
                return Err(no_memory());
            }
            self.memory = memory;
            old.value = entry.value;
            return Ok(());
        }
        let memory = self.memory + entry.memory();
        if memory > self.max_memory {
            return Err(no_memory());
        }
        if (self.used + 1) * 3 > self.slots.len() * 2 {
            self.rebuild();
        }
        self.memory = memory;
        self.len += 1;
        let hash = self.hasher.hash_one(&entry.key);
        self.entries.push(Some((hash, entry)));
        self.file(hash, self.entries.len());
        Ok(())
    }

    /// Notes in a free slot where an entry is.
    fn file(&mut self, hash: u64, place: usize) {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        // Each entry counts `OVERHEAD` bytes at least: no memory has room for 2^32 of them.
        self.slots[slot] = place as u32;
        self.used += 1;
    }

    /// Closes the gaps, with room for as many entries again.
    fn rebuild(&mut self) {
        self.entries.retain(Option::is_some);
        self.entries.shrink_to(self.len * 2);
        self.slots = vec![0; (self.len * 3).next_power_of_two().max(8)];
        self.used = 0;
        for at in 0..self.entries.len() {
            if let Some(hash) = self.entries[at].as_ref().map(|(hash, _)| *hash) {
                self.file(hash, at + 1);
            }
        }
    }

    pub fn remove(&mut self, key: &Key) -> Option<Entry> {
        let at = self.find(key)?;
        let (_, entry) = self.entries[at].take()?;
        self.removed(&entry);
        Some(entry)
    }

    /// The entry that came last.
    pub fn pop(&mut self) -> Option<Entry> {
        while let Some(last) = self.entries.pop() {
            if let Some((_, entry)) = last {
                self.removed(&entry);
                return Some(entry);
            }
        }
        None
    }

    fn removed(&mut self, entry: &Entry) {
        self.len -= 1;
        self.memory -= entry.memory();
        if self.entries.len() > 32 && self.len < self.entries.len() / 4 {
            self.rebuild();
        }
    }
}

/// What a caller gets whose object may not grow any more.
fn no_memory() -> Exception {
    let what = "this object may use no more memory on the hub: see --memory";
    Exception::new("builtins", "MemoryError", vec![what.into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pickle::Value;

    fn entry(key: i64, value: i64) -> Entry {
        let pickled = |number: i64| Value::from(number).to_pickled();
        Entry { key: Key::new(&key.into()).unwrap(), name: pickled(key), value: pickled(value) }
    }

    fn keys(table: &Table) -> Vec<Value> {
        table.iter().map(|entry| entry.name.decode()).collect()
    }

    #[test]
    fn a_table_is_what_a_plain_list_of_pairs_is() {
        let mut table = Table::new(usize::MAX);
        let mut model: Vec<(i64, i64)> = Vec::new();
        let mut random = 1_u64;
        for round in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Few keys at first, then many, then few again: it grows, and shrinks.
            let range = if (5_000..10_000).contains(&round) { 2_000 } else { 20 };
            let key = (random >> 33) as i64 % range;
            let at = model.iter().position(|&(known, _)| known == key);
            match random >> 61 {
                0..=4 => {
                    table.set(entry(key, round)).unwrap();
                    match at {
                        Some(at) => model[at].1 = round,
                        None => model.push((key, round)),
                    }
                }
                5 => {
                    let last = table.pop().map(|entry| entry.name.decode());
                    assert_eq!(last, model.pop().map(|(key, _)| key.into()));
                }
                _ => {
                    let gone = table.remove(&entry(key, 0).key).map(|entry| entry.value.decode());
                    assert_eq!(gone, at.map(|at| model.remove(at).1.into()));
                }
            }
            assert_eq!(table.len(), model.len());
            let value = table.get(&entry(key, 0).key).map(Pickled::decode);
            let known = model.iter().find(|&&(known, _)| known == key);
            assert_eq!(value, known.map(|&(_, value)| value.into()));
        }
        assert_eq!(keys(&table), model.iter().map(|&(key, _)| key.into()).collect::<Vec<Value>>());
        while table.pop().is_some() {}
        assert_eq!((table.len(), table.memory), (0, 0));
    }

    #[test]
    fn what_has_no_room_changes_nothing() {
        let one = entry(1, 1).memory();
        let mut table = Table::new(2 * one);
        table.set(entry(1, 1)).unwrap();
        table.set(entry(2, 2)).unwrap();
        assert_eq!(table.set(entry(3, 3)).unwrap_err().name(), "MemoryError");
        table.set(entry(2, 4)).unwrap();
        let mut long = entry(2, 0);
        long.value = Value::from("long".repeat(9)).to_pickled();
        assert_eq!(table.set(long).unwrap_err().name(), "MemoryError");
        assert_eq!(keys(&table), [1.into(), 2.into()]);
        assert_eq!(table.get(&entry(2, 0).key).unwrap().decode(), 4.into());
        table.pop();
        table.set(entry(3, 3)).unwrap();
    }
}
