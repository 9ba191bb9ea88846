//! Reading a store: which of its files count, what is in them, and whether they are what was written.
//!
//! A file is known by what is in it, not by its name: so one whose segment is not needed any more can be written over
//! with another segment, without a step in between that power might be lost in.

use std::collections::VecDeque;

use super::batch::{self, Batch, Batches, HEADER, SEGMENT};
use super::book::{Book, Parts, item_size};
use super::disk::Disk;
use super::error::StoreError;
use super::live::Live;
use super::record::{Record, Records};

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub book: Book,
    /// The segments and their files, the oldest first.
    pub files: VecDeque<(u64, String)>,
    /// Where in the newest segment the next batch goes.
    pub end: usize,
    /// The next batch's number.
    pub number: u64,
    /// The number of the next file.
    pub next_file: u64,
    /// What was left out, for people.
    pub notes: Vec<String>,
    /// Something was left out that had been whole once: what is there now must be written anew.
    pub damaged: bool,
}

/// The name of a file.
pub(super) fn file_name(number: u64) -> String {
    format!("segment-{number}")
}

/// A file that does not begin with a whole batch.
struct Broken {
    name: String,
    /// The newest segment of which a batch in it is.
    segment: u64,
    /// The batches before this number were on disk when the last of those was written.
    synced: u64,
}

impl Broken {
    fn new(name: String, bytes: &[u8]) -> Self {
        let (mut segment, mut synced) = (0, 0);
        for (_, batch) in Batches::new(bytes, None) {
            if (batch.segment, batch.synced) > (segment, synced) {
                (segment, synced) = (batch.segment, batch.synced);
            }
        }
        Self { name, segment, synced }
    }
}

/// Reads everything but the items themselves.
///
/// If `repair`, what is damaged is left out and noted.
pub(super) fn read(disk: &dyn Disk, repair: bool) -> Result<Found, StoreError> {
    let mut found = Found { number: 1, ..Found::default() };
    let (mut segments, mut broken, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for name in disk.list()? {
        let Some(number) = name.strip_prefix("segment-").and_then(|number| number.parse::<u64>().ok()) else {
            continue;
        };
        found.next_file = found.next_file.max(number.saturating_add(1));
        names.push(name.clone());
        match batch::segment(&disk.read(&name, HEADER)?) {
            Ok(Some(id)) => segments.push((id, name)),
            Err(_) if !repair => return Err(StoreError::OtherVersion(name)),
            _ => broken.push(Broken::new(name.clone(), &disk.read(&name, SEGMENT)?)),
        }
    }
    segments.sort_unstable();
    while let Some((id, name)) = segments.pop() {
        let bytes = disk.read(&name, SEGMENT)?;
        if batch::batch(&bytes, 0, Some(id)).is_none() {
            broken.push(Broken::new(name, &bytes));
            continue;
        }
        let mut newest = Book::default();
        let mut end = 0;
        for (offset, batch) in Batches::new(&bytes, Some(id)) {
            // Behind a batch that was torn it may stand that a segment is not needed, though its copies were in that.
            if offset != end {
                break;
            }
            end += HEADER + batch.records.len();
            apply(&mut newest, &batch);
        }
        found.book.floor = newest.floor;
        segments.push((id, name));
        break;
    }
    if repair {
        segments.extend(
            broken.iter().filter(|file| file.segment > 0).map(|file| (file.segment, file.name.clone())),
        );
        segments.sort_unstable();
        segments.dedup_by_key(|(id, _)| *id);
    }
    segments.retain(|(id, _)| *id >= found.book.floor);
    let damaged = |file: &str, offset, what| StoreError::Damaged { file: file.to_owned(), offset, what };
    let mut before: Option<(u64, String, usize)> = None;
    let mut newest = Vec::new();
    for (at, (id, name)) in segments.iter().enumerate() {
        let expected = before.as_ref().map_or(found.book.floor, |(id, ..)| id + 1);
        if *id != expected {
            if !repair {
                let missing = broken.iter().find(|file| file.segment == expected);
                return Err(match (missing, before) {
                    (Some(file), _) => damaged(&file.name, 0, "its beginning"),
                    (_, Some((_, name, _))) => {
                        damaged(&name, SEGMENT, "the file that followed it is missing")
                    }
                    _ => damaged(name, 0, "a file before it is missing"),
                });
            }
            found.notes.push(format!("a file before {name} is missing"));
            found.damaged = true;
        }
        let last = at + 1 == segments.len();
        let bytes = disk.read(name, SEGMENT)?;
        let mut end = 0;
        for (offset, batch) in Batches::new(&bytes, Some(*id)) {
            let follows = (at == 0 && offset == 0) || batch.number == found.number;
            if offset == end && follows {
                if !apply(&mut found.book, &batch) && !repair {
                    return Err(StoreError::OtherVersion(name.clone()));
                }
            } else if repair {
                found
                    .notes
                    .push(format!("{name}: left out {} bytes at byte {end}", offset.saturating_sub(end)));
                found.damaged = true;
                apply(&mut found.book, &batch);
            } else if offset == 0 {
                // The one before is not as long as it was.
                let (name, end) = before.map_or((name.clone(), 0), |(_, name, end)| (name, end));
                return Err(damaged(&name, end, "what follows is missing"));
            } else if !last || batch.synced > found.number {
                return Err(damaged(name, end, "what follows it is whole"));
            } else {
                // It was written together with what was torn, and nobody was told of either.
                continue;
            }
            end = offset + HEADER + batch.records.len();
            found.number = batch.number.saturating_add(1);
        }
        found.end = end;
        before = Some((*id, name.clone(), end));
        newest = bytes;
    }
    if let Some(file) = broken.iter().find(|file| file.synced > found.number && !repair) {
        return Err(damaged(&file.name, 0, "its beginning"));
    }
    if let Some((id, name, _)) = before {
        cut(disk, &name, id, &newest, &mut found)?;
    }
    // What is left are files of segments that are not needed, or were never finished.
    let needed = |name: &String| segments.iter().any(|(_, known)| known == name);
    // If one comes back after a loss of power, it is removed again. The files that count were in the directory, synced,
    // before they were used.
    names.iter().filter(|name| !needed(name)).try_for_each(|name| disk.remove(name))?;
    found.files = segments.into();
    Ok(found)
}

/// False if a record in it is not understood.
fn apply(book: &mut Book, batch: &Batch<'_>) -> bool {
    Records(batch.records).all(|record| record.is_ok_and(|record| book.apply(&record)))
}

/// Whatever the last segment holds behind its last whole batch was never finished. What is left of it must not be
/// taken, some day, for what follows a batch that will be written in its place.
fn cut(disk: &dyn Disk, name: &str, id: u64, bytes: &[u8], found: &mut Found) -> Result<(), StoreError> {
    let rest = bytes.get(found.end..).unwrap_or_default();
    let begun = batch::segment(rest) == Ok(Some(id));
    let mut file = disk.open(name)?;
    if begun || Batches::new(rest, Some(id)).next().is_some() {
        let length = rest.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        found
            .notes
            .push(format!("{name}: cut off up to {length} bytes of a last write that was not finished"));
        file.write(found.end, &vec![0; rest.len()])?;
    }
    // What has been read may not be on disk yet, if a hub has been killed; from now on it is counted on.
    file.sync()?;
    Ok(())
}

/// An item that was kept, and what is known of it.
pub(super) struct Item<'a> {
    pub queue: usize,
    pub number: u64,
    pub attempts: u32,
    pub payload: &'a [u8],
}

/// Reads the items that are still there, each once, mostly in the order of their numbers. Says how many bytes they are.
pub(super) fn items(
    disk: &dyn Disk,
    files: &VecDeque<(u64, String)>,
    book: &Book,
    each: &mut dyn FnMut(Item<'_>),
) -> Result<u64, StoreError> {
    // There may be two copies, if power was lost while one was made.
    let mut seen: Vec<Live> = book.queues.iter().map(|_| Live::default()).collect();
    let mut parts: Vec<(u64, Parts, Vec<u8>)> = Vec::new();
    let (mut size, most) = (0, (files.len() as u64).saturating_mul(SEGMENT as u64));
    for (id, name) in files {
        let bytes = disk.read(name, SEGMENT)?;
        let records = Batches::new(&bytes, Some(*id)).flat_map(|(_, batch)| Records(batch.records));
        for record in records.flatten().filter(|record| book.needs(record)) {
            let (Record::Put { queue, number, payload, .. } | Record::Part { queue, number, payload, .. }) =
                record
            else {
                continue;
            };
            // There is such a queue, or the record would not be needed.
            let index = queue as usize;
            if seen[index].get(number).is_some() {
                continue;
            }
            let mut whole = Vec::new();
            if let Record::Part { total, at, .. } = record {
                let known = parts.iter().position(|(of, parts, _)| *of == queue && parts.is_of(number));
                let known = known.unwrap_or_else(|| {
                    parts.push((queue, Parts::new(number), Vec::new()));
                    parts.len() - 1
                });
                let (_, noted, all) = &mut parts[known];
                // A part may say anything, in a file that was damaged with care: no item is longer than all files.
                let end = at.saturating_add(payload.len() as u64);
                if end > total || total > most {
                    continue;
                }
                let (start, end) = (at as usize, end as usize);
                all.resize(all.len().max(end), 0);
                all[start..end].copy_from_slice(payload);
                if !noted.add(at, payload.len(), total) {
                    continue;
                }
                whole = parts.swap_remove(known).2;
            }
            let payload = if whole.is_empty() { payload } else { &whole };
            seen[index].insert(number, 0);
            size += item_size(payload.len());
            let attempts = book.queues[index].live.get(number).unwrap_or(0);
            each(Item { queue: index, number, attempts, payload });
        }
    }
    Ok(size)
}
