//! Damaged files: what is read from them was put, and they are refused or repaired.

use std::collections::BTreeMap;

use super::{Model, User, check, open, read, runs};
use crate::store::batch::SEGMENT;
use crate::store::disk::Disk;
use crate::store::sim::{Random, Sim};

/// A store of a few segments, and what was ever put in it.
fn written(seed: u64) -> (Sim, Model) {
    let mut user = User::new(seed, Sim::default());
    (0..150).for_each(|_| user.step());
    user.journal.flush();
    // Of two records that were written together, one may be left out.
    (user.disk.after_kill(), Model { moved: Vec::new(), ..user.model.clone() })
}

/// Damages some file somehow.
fn damage(disk: &Sim, random: &mut Random) {
    let names = disk.names();
    let mut some = |bound: usize| random.below(bound.max(1) as u64) as usize;
    let name = &names[some(names.len())];
    let kind = some(7);
    let (from, to, length) = (some(SEGMENT), some(SEGMENT), 1 + some(1024));
    // Mostly near the beginning of a batch, where it hurts.
    let other = disk.read(&names[some(names.len())], SEGMENT).unwrap();
    disk.change(name, |bytes| {
        let from = from.min(bytes.len().saturating_sub(1));
        let length = length.min(bytes.len() - from).min(SEGMENT - to);
        match kind {
            _ if bytes.is_empty() => {}
            0 | 1 => bytes[from] ^= 1 << (to % 8),
            2 => bytes.truncate(from),
            3 => bytes[from..from + length].fill(0),
            4 => {
                let to = to.min(bytes.len() - length);
                bytes.copy_within(from..from + length, to);
            }
            5 => *bytes = other,
            _ => {
                let to = to.min(other.len());
                let length = length.min(other.len() - to);
                bytes[from..from + length].copy_from_slice(&other[to..to + length]);
            }
        }
    });
}

#[test]
fn of_a_damaged_store_nothing_is_read_that_was_never_put() {
    let (mut refused, mut cut) = (0, 0);
    let rounds = runs(200);
    // 10077: a file's version is damaged, and the file is needed no more once all is repaired.
    for seed in (0..rounds).chain([10077]) {
        let mut random = Random(seed);
        let (disk, model) = written(seed / 20);
        (0..1 + random.below(3)).for_each(|_| damage(&disk, &mut random));
        // Nothing is promised any more, but that all there is was put.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let copy = disk.after_kill();
            match open(&copy, None, false) {
                Ok((journal, _)) => {
                    check(&Model { queues: vec![BTreeMap::new(); 2], ..Model::default() }, &model, &journal)
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("segment-") && text.contains("start"), "{text}");
                    refused += 1;
                }
            }
            let (journal, notes) = open(&disk, None, true).unwrap();
            cut += usize::from(!notes.is_empty());
            check(&Model { queues: vec![BTreeMap::new(); 2], ..Model::default() }, &model, &journal);
            let found = read(&journal);
            drop(journal);
            let (journal, notes) = open(&disk.after_kill(), None, false).unwrap();
            assert_eq!((notes, read(&journal)), (vec![], found), "it is repaired");
        }));
        assert!(result.is_ok(), "seed {seed}");
    }
    assert!(refused > rounds / 4 && cut > rounds as usize / 4, "{refused} refused, {cut} noted, of {rounds}");
}
