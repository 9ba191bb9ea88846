//! Losses of power, full disks, failing syncs and damaged files, on the simulated disk, against a model.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use std::time::Duration;

use super::super::sim::{Random, Sim};
use super::*;

#[path = "damage_tests.rs"]
mod damage;

/// What a test knows of the store: of each queue, by the items' numbers.
#[derive(Clone, Debug, Default)]
struct Model {
    queues: Vec<BTreeMap<u64, Known>>,
    /// By the client: the number of its latest put that was kept, and how many of its items.
    once: BTreeMap<u8, (u64, u64)>,
    unfinished: Vec<u64>,
    /// Items that went from one queue to the end of another: the one is there, or the other.
    moved: Vec<[(usize, u64); 2]>,
}

#[derive(Clone, Debug)]
struct Known {
    payload: Vec<u8>,
    attempts: u32,
    /// Somebody was told that it is kept.
    kept: bool,
    done: bool,
    /// That it is done is known on disk.
    done_kept: bool,
    /// So many attempts are known on disk.
    attempts_kept: u32,
}

fn open(disk: &Sim, sync: Delay, repair: bool) -> Result<(Journal, Vec<String>), StoreError> {
    let (journal, notes) = Journal::on(Box::new(disk.clone()), sync, None, repair, Box::new(|_| {}))?;
    journal.items(&mut |_| {})?;
    Ok((journal, notes))
}

/// Whatever the journal's thread would do by now.
fn chores(journal: &Journal) {
    let inner = &journal.inner;
    loop {
        let state = inner.lock();
        let Some(chore) = inner.chore(&state).filter(|_| !state.failed) else { return };
        drop(state);
        inner.do_chore(chore);
    }
}

/// Puts an item, by a put of a client if it is numbered.
fn put_once(journal: &Journal, queue: u64, number: u64, payload: &[u8], put: Option<&LatestPut>) -> u64 {
    let also =
        put.map(|put| Record::Once { queue, number: put.number, items: put.items, client: &put.client });
    // Anywhere: it is one item.
    let head = payload.split_at(payload.len().min(number as usize % 7));
    journal.put(queue, number, head, also.as_ref())
}

fn read(journal: &Journal) -> Vec<BTreeMap<u64, (Vec<u8>, u32)>> {
    let mut queues = vec![BTreeMap::new(); journal.queues().len()];
    let each = &mut |item: Item<'_>| {
        let double = queues[item.queue].insert(item.number, (item.payload.to_vec(), item.attempts));
        assert!(double.is_none(), "an item came twice");
    };
    journal.items(each).unwrap();
    queues
}

/// A payload that says whose it is; some are in parts.
fn payload(queue: u64, number: u64, random: &mut Random) -> Vec<u8> {
    let length = match random.below(12) {
        0 => random.below(4 * PART as u64),
        _ => random.below(200),
    };
    let mut payload = format!("{queue}.{number}.").into_bytes();
    payload.extend((0..length).map(|n| (n * 7 + number) as u8));
    payload
}

/// A queue's user, who remembers what it was told.
struct User {
    disk: Sim,
    journal: Journal,
    model: Model,
    random: Random,
    puts: u64,
    always: bool,
}

impl User {
    fn new(seed: u64, disk: Sim) -> Self {
        let mut random = Random(seed);
        let always = !random.chance(4);
        let sync = (!always).then_some(Duration::from_secs(3600));
        let (journal, _) = open(&disk, sync, false).unwrap();
        let mut model = Model::default();
        for name in ["a", "b"] {
            journal.add_queue(name);
            model.queues.push(BTreeMap::new());
            model.unfinished.push(0);
        }
        Self { disk, journal, model, random, puts: 0, always }
    }

    /// Everything that was noted is on disk now.
    fn all_kept(model: &mut Model) {
        for known in model.queues.iter_mut().flat_map(BTreeMap::values_mut) {
            known.kept = true;
            known.done_kept = known.done;
            known.attempts_kept = known.attempts;
        }
    }

    fn step(&mut self) {
        let queue = self.random.below(2) as usize;
        let mut after = self.model.clone();
        match self.random.below(11) {
            10 => self.move_one(queue, &mut after),
            0..=4 => self.put(queue, &mut after),
            5..=7 => self.done(queue, &mut after),
            8 => {
                let there: Vec<u64> = Self::there(&after, queue).collect();
                if !there.is_empty() {
                    let number = there[self.random.below(there.len() as u64) as usize];
                    let known = after.queues[queue].get_mut(&number).unwrap();
                    known.attempts += 1;
                    self.journal.back(queue as u64, number, known.attempts);
                }
            }
            _ => {
                self.journal.flush();
                Self::all_kept(&mut after);
            }
        }
        self.check_losses(&after);
        self.model = after;
        let after = self.model.clone();
        chores(&self.journal);
        self.check_losses(&after);
    }

    fn there(model: &Model, queue: usize) -> impl Iterator<Item = u64> {
        model.queues[queue].iter().filter(|(_, known)| !known.done).map(|(&number, _)| number)
    }

    fn put(&mut self, queue: usize, after: &mut Model) {
        // A few at once, as of one client, or by themselves.
        let (count, client) = (1 + self.random.below(3), self.random.below(3) as u8);
        let once = self.random.chance(2);
        self.puts += 1;
        let mut ticket = 0;
        for items in 1..=count {
            let number = after.queues[queue].len() as u64;
            let payload = payload(queue as u64, number, &mut self.random);
            let put = LatestPut { client: vec![client], number: self.puts, items };
            ticket = put_once(&self.journal, queue as u64, number, &payload, once.then_some(&put));
            let known =
                Known { payload, attempts: 0, kept: false, done: false, done_kept: false, attempts_kept: 0 };
            after.queues[queue].insert(number, known);
            after.unfinished[queue] += 1;
        }
        if once {
            after.once.insert(client, (self.puts, count));
        }
        // In the middle of it, none of it is promised.
        self.check_losses(after);
        if self.random.chance(5) {
            return;
        }
        self.journal.wait(ticket).unwrap();
        self.check_losses(after);
        if self.always {
            Self::all_kept(after);
        }
    }

    /// As a dead letter goes.
    fn move_one(&mut self, queue: usize, after: &mut Model) {
        let there: Vec<u64> = Self::there(after, queue).collect();
        let Some(&number) = there.get(self.random.below(there.len().max(1) as u64) as usize) else { return };
        let other = 1 - queue;
        let known = after.queues[queue].get_mut(&number).unwrap();
        known.done = true;
        let payload = known.payload.clone();
        let kept = known.kept;
        let new = after.queues[other].len() as u64;
        let gone = Record::Done { queue: queue as u64, number, count: 1 };
        self.journal.put(other as u64, new, (&[], &payload), Some(&gone));
        let known =
            Known { payload, attempts: 0, kept: false, done: false, done_kept: false, attempts_kept: 0 };
        after.queues[other].insert(new, known);
        after.unfinished[other] += 1;
        if kept {
            after.moved.push([(queue, number), (other, new)]);
        }
    }

    fn done(&mut self, queue: usize, after: &mut Model) {
        // Mostly the oldest, sometimes another.
        let there: Vec<u64> = Self::there(after, queue).collect();
        let at = if self.random.chance(4) { self.random.below(there.len().max(1) as u64) } else { 0 };
        let count = if self.random.chance(8) { there.len() } else { 1 };
        for number in there.into_iter().skip(at as usize).take(count) {
            let known = after.queues[queue].get_mut(&number).unwrap();
            known.done = true;
            self.journal.done(queue as u64, number, known.payload.len());
            after.unfinished[queue] -= 1;
            self.journal.tasks(queue as u64, after.unfinished[queue]);
        }
    }

    /// Opens the disks that were found after losses of power since the last time, during the step from what the model
    /// knows to what it knows `after` it.
    fn check_losses(&self, after: &Model) {
        for (found_before, disk) in self.disk.losses().into_iter().enumerate() {
            let opened = open(&disk, None, false);
            let (journal, _) = opened.unwrap_or_else(|error| panic!("not to be opened: {error}"));
            check(&self.model, after, &journal);
            if found_before % 4 > 0 {
                continue;
            }
            // What was read is on disk now, so that it is found again.
            let found = read(&journal);
            drop(journal);
            let (journal, notes) = open(&disk.after_kill(), None, false).unwrap();
            assert_eq!((found, notes), (read(&journal), vec![]), "the second time");
        }
    }
}

/// Whether what was found is what can be there between these two states of affairs.
fn check(before: &Model, after: &Model, journal: &Journal) {
    let (kept, found) = (journal.queues(), read(journal));
    for (queue, known) in after.queues.iter().enumerate() {
        let promised = |number: &u64| before.queues[queue].get(number).is_some_and(|known| known.kept);
        let Some(found) = found.get(queue) else {
            assert!(!known.keys().any(promised), "the queue is gone");
            continue;
        };
        for (number, (payload, attempts)) in found {
            let known = known.get(number).unwrap_or_else(|| panic!("{queue}.{number} was never put"));
            assert!(&known.payload == payload, "{queue}.{number} is not what was put");
            let done = before.queues[queue].get(number).is_some_and(|known| known.done_kept);
            assert!(!done, "{queue}.{number} has come back");
            let least = before.queues[queue].get(number).map_or(0, |known| known.attempts_kept);
            assert!((least..=known.attempts).contains(attempts), "{attempts} attempts of {queue}.{number}");
        }
        for (number, known) in known.iter().filter(|(number, known)| promised(number) && !known.done) {
            assert!(found.contains_key(number), "{queue}.{number} is lost: {} bytes", known.payload.len());
        }
        let next = known.keys().filter(|number| promised(number)).max().map_or(0, |number| number + 1);
        assert!(kept[queue].next >= next, "numbers would be given twice");
        // Each client's latest put is known exactly as far as its items are there.
        for put in &kept[queue].puts {
            let latest = after.once[&put.client[0]];
            assert!((put.number, put.items) <= latest);
        }
    }
    for [(from, old), (to, new)] in &after.moved {
        let done = after.queues[*to][new].done;
        let there = |queue: usize, number| found.get(queue).is_some_and(|items| items.contains_key(number));
        let (before, behind) = (there(*from, old), there(*to, new));
        assert!(
            before != behind || (done && !before),
            "{from}.{old} was moved to {to}.{new}: {before}, {behind}"
        );
    }
}

fn runs(count: u64) -> u64 {
    let soak = std::env::var_os("NETQ_SOAK").is_some();
    if soak { count * 100 } else { count }
}

#[test]
fn what_was_kept_survives_a_loss_of_power_at_any_moment() {
    // Which `sync` is needed: see the list at the end of this file.
    // 132: the last batch says which segments are not needed, and is whole, but the one before it is torn.
    for seed in (0..runs(20)).chain([132]) {
        let result = std::panic::catch_unwind(|| {
            let disk = Sim::default();
            let mut user = User::new(seed, disk.clone());
            disk.lose_power_again_and_again(Random(seed ^ 0x5eed));
            (0..40 + seed % 160).for_each(|_| user.step());
        });
        assert!(result.is_ok(), "seed {seed}");
    }
}

/// Items as they come, each done once `depth` others have come behind it.
fn flow(journal: &Journal, queue: u64, from: u64, count: u64, depth: u64, length: usize) {
    let payload = vec![7; length];
    for number in from..from + count {
        let ticket = put_once(journal, queue, number, &payload, None);
        journal.wait(ticket).unwrap();
        if number >= depth {
            journal.done(queue, number - depth, length);
        }
        chores(journal);
    }
}

#[test]
fn a_steady_flow_takes_a_few_segments_and_writes_little_more_than_its_items() {
    let disk = Sim::default();
    let (journal, _) = open(&disk, None, false).unwrap();
    let queue = journal.add_queue("a");
    flow(&journal, queue, 0, 200, 10, 200);
    let before = disk.written();
    flow(&journal, queue, 200, 3000, 10, 200);
    let amplification = (disk.written() - before) as f64 / (3000.0 * 200.0);
    assert!(amplification < 1.4, "{amplification}");
    assert!(journal.figures().segments <= 7, "{:?}", journal.figures());
}

#[test]
fn what_stays_behind_is_copied_and_a_drained_store_is_small_again() {
    let disk = Sim::default();
    let (journal, _) = open(&disk, None, false).unwrap();
    let (stays, flows) = (journal.add_queue("stays"), journal.add_queue("flows"));
    flow(&journal, stays, 0, 500, 500, 100);
    journal.back(stays, 17, 3);
    let large: Vec<u8> = (0..5 * PART).map(|n| n as u8).collect();
    put_once(&journal, stays, 500, &large, None);
    let put = LatestPut { client: b"me".into(), number: 1, items: 1 };
    put_once(&journal, stays, 501, b"once", Some(&put));
    journal.tasks(stays, 77);
    let first = journal.inner.lock().plan.files[0].0;
    flow(&journal, flows, 0, 3000, 0, 200);
    let figures = journal.figures();
    assert!(journal.inner.lock().plan.files[0].0 > first + 20, "all was copied, more than once");
    assert!(figures.bytes <= 2 * figures.live + 7 * SEGMENT as u64, "{figures:?}");
    drop(journal);
    let (journal, notes) = open(&disk.after_kill(), None, false).unwrap();
    let found = read(&journal);
    assert_eq!((found[0].len(), found[1].len(), notes), (502, 0, vec![]));
    assert_eq!((&found[0][&17], &found[0][&500]), (&(vec![7; 100], 3), &(large, 0)));
    let kept = &journal.queues()[0];
    assert_eq!((kept.next, kept.unfinished, &kept.puts[..]), (502, 77, &[put][..]));
    (0..499).for_each(|number| journal.done(stays, number, 100));
    journal.flush();
    chores(&journal);
    assert!(journal.figures().segments <= 7, "{:?}", journal.figures());
    assert_eq!(read(&journal)[0].len(), 3);
}

#[test]
fn a_full_store_takes_no_items_but_drains_in_any_order_and_then_goes_on() {
    for seed in 0..6 {
        let (disk, mut random) = (Sim::default(), Random(seed));
        disk.set_room(Some(12 * SEGMENT));
        let (journal, _) = open(&disk, None, false).unwrap();
        let queue = journal.add_queue("a");
        let mut there = BTreeMap::new();
        let mut next = 0;
        for round in 0..3 {
            loop {
                let payload = payload(queue, next, &mut random);
                if !journal.has_room(payload.len()) {
                    break;
                }
                let ticket = put_once(&journal, queue, next, &payload, None);
                journal.wait(ticket).unwrap();
                there.insert(next, payload);
                next += 1;
                chores(&journal);
            }
            assert!(journal.figures().full && there.len() > 50, "round {round}: {} items", there.len());
            let found = disk.after_kill();
            // A hub that is started on a full disk has to start, or nothing could go.
            found.set_room(Some(12 * SEGMENT));
            let (again, _) = open(&found, None, false).unwrap();
            assert_eq!(read(&again)[0].len(), there.len(), "seed {seed}, round {round}: nothing is lost");
            let left = if round == 1 { 0 } else { there.len() / 3 };
            while there.len() > left {
                let at = if seed % 2 == 0 { 0 } else { random.below(there.len() as u64) as usize };
                let (&number, payload) = there.iter().nth(at).unwrap();
                journal.done(queue, number, payload.len());
                there.remove(&number);
                chores(&journal);
            }
            journal.flush();
            chores(&journal);
            assert!(journal.has_room(100), "seed {seed}, round {round}: {:?}", journal.figures());
        }
        let (again, _) = open(&disk.after_kill(), None, false).unwrap();
        assert!(read(&again)[0].keys().eq(there.keys()), "seed {seed}: what was done stays done");
    }
}

#[test]
fn nothing_is_answered_once_a_sync_has_failed() {
    let (disk, told) = (Sim::default(), Arc::new(AtomicUsize::new(0)));
    let counts = Arc::clone(&told);
    let on_failure = move |text: &str| {
        assert!(text.contains("cannot sync"), "{text}");
        counts.fetch_add(1, Ordering::Relaxed);
    };
    let (journal, _) = Journal::on(Box::new(disk.clone()), None, None, false, Box::new(on_failure)).unwrap();
    let queue = journal.add_queue("a");
    let first = put_once(&journal, queue, 0, b"kept", None);
    journal.wait(first).unwrap();
    disk.break_syncs();
    let second = put_once(&journal, queue, 1, b"not known", None);
    assert_eq!((journal.wait(second), journal.wait(first)), (Err(Failed), Ok(())));
    let third = put_once(&journal, queue, 2, b"too late", None);
    assert_eq!((journal.wait(third), told.load(Ordering::Relaxed)), (Err(Failed), 1));
}

#[test]
fn many_that_wait_share_a_sync_and_all_they_put_is_there() {
    let disk = Sim::default();
    let (journal, _) = open(&disk, None, false).unwrap();
    let queue = journal.add_queue("a");
    let next = Mutex::new(0);
    let put = |count: u64| {
        for _ in 0..count {
            let mut next = next.lock().unwrap();
            let ticket = put_once(&journal, queue, *next, b"item", None);
            *next += 1;
            drop(next);
            journal.wait(ticket).unwrap();
        }
    };
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| put(50));
        }
    });
    let syncs = journal.figures().syncs;
    assert!(syncs <= 400, "{syncs}");
    let (again, _) = open(&disk.after_kill(), None, false).unwrap();
    assert_eq!(read(&again)[0].len(), 400);
}

#[test]
fn the_journal_s_thread_writes_what_nobody_waits_for_and_then_nothing() {
    let path = std::env::temp_dir().join(format!("netq-journal-{}", std::process::id()));
    let failed = |text: &str| panic!("{text}");
    let (journal, _) =
        Journal::open(&path, Some(Duration::from_millis(1)), None, false, Box::new(failed)).unwrap();
    let second = Journal::open(&path, None, None, false, Box::new(failed));
    assert!(matches!(second, Err(StoreError::InUse(process)) if process == std::process::id().to_string()));
    journal.start().unwrap();
    let queue = journal.add_queue("a");
    put_once(&journal, queue, 0, b"item", None);
    let since = Instant::now();
    let written = || {
        let state = journal.inner.lock();
        state.synced >= state.plan.next()
    };
    while !written() {
        assert!(since.elapsed() < Duration::from_secs(10), "not written in time");
        thread::yield_now();
    }
    let state = journal.inner.lock();
    assert!(journal.inner.due(&state).is_none() && journal.inner.chore(&state).is_none());
    drop(state);
    put_once(&journal, queue, 1, b"at the end", None);
    drop(journal);
    let (journal, _) = Journal::open(&path, None, None, false, Box::new(failed)).unwrap();
    assert_eq!(read(&journal)[0].len(), 2);
    drop(journal);
    std::fs::remove_dir_all(path).unwrap();
}

/// The disk as it may be found if the power is lost now.
fn lost_now(disk: &Sim) -> Vec<Sim> {
    disk.lose_power_again_and_again(Random(1));
    (0..20).for_each(|_| drop(disk.list()));
    disk.losses()
}

/// Puts items that fill more than one segment, and waits once, for all of them.
fn put_forty(journal: &Journal) {
    let queue = journal.add_queue("a");
    let ticket = (0..40).map(|number| put_once(journal, queue, number, &[7; 1000], None)).fold(0, u64::max);
    journal.wait(ticket).unwrap();
}

#[test]
fn puts_that_span_segments_are_all_on_disk_before_they_are_answered() {
    let disk = Sim::default();
    let (journal, _) = open(&disk, None, false).unwrap();
    put_forty(&journal);
    assert!(journal.inner.lock().plan.files.len() > 2, "they fill more than one segment");
    for found in lost_now(&disk) {
        assert_eq!(read(&open(&found, None, false).unwrap().0)[0].len(), 40);
    }
}

#[test]
fn what_a_killed_hub_had_only_written_is_on_disk_once_the_next_one_has_read_it() {
    let disk = Sim::default();
    let (journal, _) = open(&disk, Some(Duration::from_secs(3600)), false).unwrap();
    put_forty(&journal);
    let disk = disk.after_kill();
    let (next, _) = open(&disk, None, false).unwrap();
    assert_eq!(read(&next)[0].len(), 40);
    for found in lost_now(&disk) {
        assert_eq!(read(&open(&found, None, false).unwrap().0)[0].len(), 40);
    }
}

// Without a sync, these fail:
// - `recover::cut`: what_a_killed_hub_had_only_written_is_on_disk_once_the_next_one_has_read_it
// - `Writer::write`, before a new segment: puts_that_span_segments_are_all_on_disk_before_they_are_answered
// - `Writer::write`, at the end: what_was_kept_survives_a_loss_of_power_at_any_moment, nothing_is_answered_once_a_sync_
//   has_failed
// - `Inner::create_file`, of the directory: what_was_kept_survives_a_loss_of_power_at_any_moment
// - `Chore::Sync`, before the oldest segment goes: a_full_store_takes_no_items_but_drains_in_any_order_and_then_goes_on,
//   what_stays_behind_is_copied_and_a_drained_store_is_small_again
// The one in `Directory::create` keeps nothing: it finds out that a disk is full.
