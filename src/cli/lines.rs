//! Items from standard input, one per line or up to a NUL byte, in batches that never make a line wait.

use std::collections::VecDeque;
use std::io::{BufRead, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use netq::Value;

use super::background;
use super::failure::Failure;

/// How many items at most go to the hub at once: with more, the round trips are no longer what costs time.
pub const BATCH_ITEMS: usize = 256;
/// How many bytes at most, so that large items come one by one, within a hub's limit for messages.
pub const BATCH_BYTES: usize = 64 * 1024;

/// Where an item ends.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    /// At the end of a line.
    Line,
    /// At a NUL byte.
    Null,
    /// Where the input does: there is one item, which may be empty.
    Input,
}

/// Lines that a thread reads ahead, while those before are on their way to the hub.
pub struct Lines(Arc<Ahead>);

/// What the thread that reads hands over to the one that puts.
#[derive(Default)]
struct Ahead {
    state: Mutex<State>,
    /// A line came, or left, or was the last. There is one waiter at most: who reads waits only when there are many
    /// lines, and who puts when there are none.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Value>,
    /// What ended the reading, once the lines before it have been handed out.
    failure: Option<Failure>,
    ended: bool,
}

impl Lines {
    /// Starts to read. Each line becomes Python `bytes` if `bytes` is set, and a `str` otherwise.
    pub fn of(input: impl BufRead + Send + 'static, bytes: bool, end: End) -> Self {
        let ahead = Arc::new(Ahead::default());
        let reader = Reader(ahead.clone());
        // It is not joined: it may wait for ever for a line of somebody who has left.
        background(Box::new(move || {
            let failure = read_lines(input, bytes, end, &reader.0).err();
            reader.0.lock().failure = failure;
        }));
        Self(ahead)
    }

    /// Waits for a line, and returns it together with those that are there already; `None` at the end.
    pub fn next_batch(&mut self) -> Result<Option<Vec<Value>>, Failure> {
        let none_yet = |state: &mut State| state.lines.is_empty() && !state.ended;
        let state = self.0.lock();
        let mut state = self.0.changed.wait_while(state, none_yet).unwrap_or_else(PoisonError::into_inner);
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_ITEMS
            && bytes < BATCH_BYTES
            && let Some(item) = state.lines.pop_front()
        {
            bytes += size(&item);
            batch.push(item);
        }
        self.0.changed.notify_one();
        match state.failure.take_if(|_| batch.is_empty()) {
            Some(failure) => Err(failure),
            None => Ok(Some(batch).filter(|batch| !batch.is_empty())),
        }
    }
}

impl Ahead {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room, and adds a line.
    fn push(&self, line: Value) {
        let full = |state: &mut State| state.lines.len() >= 2 * BATCH_ITEMS;
        let state = self.changed.wait_while(self.lock(), full);
        state.unwrap_or_else(PoisonError::into_inner).lines.push_back(line);
        self.changed.notify_one();
    }
}

/// The thread that reads, whose end is the end of the lines, however it comes.
struct Reader(Arc<Ahead>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_one();
    }
}

/// How many bytes an item has of its own.
pub fn size(item: &Value) -> usize {
    match item {
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

fn read_lines(mut input: impl BufRead, bytes: bool, end: End, ahead: &Ahead) -> Result<(), Failure> {
    for number in 1_u64.. {
        let mut line = Vec::new();
        let read = match end {
            End::Line => input.read_until(b'\n', &mut line),
            End::Null => input.read_until(0, &mut line),
            // An empty input is an item too, once.
            End::Input if number == 1 => input.read_to_end(&mut line).map(|count| count.max(1)),
            End::Input => break,
        };
        match read {
            Ok(0) => break,
            Ok(_) => ahead.push(to_item(line, bytes, end).map_err(|()| {
                let what = if end == End::Null { "item" } else { "line" };
                Failure::failed(format!(
                    "{what} {number} of standard input is not UTF-8: the {what}s before it were put: \
                     use --bytes to put {what}s as Python bytes"
                ))
            })?),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::failed(format!("cannot read standard input: {error}"))),
        }
    }
    Ok(())
}

/// A line without its end. As where Python reads text, that may be the one of DOS.
fn to_item(mut line: Vec<u8>, bytes: bool, end: End) -> Result<Value, ()> {
    match (end, line.last()) {
        (End::Null, Some(0)) => line.truncate(line.len() - 1),
        (End::Line, Some(b'\n')) => {
            line.pop();
            if !bytes && line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        _ => {}
    }
    match bytes {
        true => Ok(line.into()),
        false => String::from_utf8(line).map(Value::from).map_err(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor, Read, Write, pipe};

    use super::*;

    fn all(input: impl Read + Send + 'static, bytes: bool) -> (Vec<Value>, Option<Failure>) {
        all_to(End::Line, input, bytes)
    }

    fn all_to(end: End, input: impl Read + Send + 'static, bytes: bool) -> (Vec<Value>, Option<Failure>) {
        let mut lines = Lines::of(BufReader::new(input), bytes, end);
        let mut items = Vec::new();
        loop {
            match lines.next_batch() {
                Ok(Some(batch)) => {
                    assert!((1..=BATCH_ITEMS).contains(&batch.len()));
                    items.extend(batch);
                }
                Ok(None) => return (items, None),
                Err(failure) => return (items, Some(failure)),
            }
        }
    }

    #[test]
    fn every_line_is_an_item_and_the_last_needs_no_end() {
        let (items, failure) = all(Cursor::new("one\r\n\n three \nlast"), false);
        assert_eq!(items, ["one", "", " three ", "last"].map(Value::from));
        assert!(failure.is_none());
        assert_eq!(all(Cursor::new(""), false).0, []);
    }

    #[test]
    fn bytes_keep_all_but_the_line_feed() {
        let (items, _) = all(Cursor::new(b"a\xff\r\n\0\n".to_vec()), true);
        assert_eq!(items, [b"a\xff\r".to_vec(), b"\0".to_vec()].map(Value::from));
    }

    #[test]
    fn items_may_end_at_a_null_or_with_the_input() {
        let input = || Cursor::new(b"a\r\n\0\0last".to_vec());
        assert_eq!(all_to(End::Null, input(), false).0, ["a\r\n", "", "last"].map(Value::from));
        assert_eq!(all_to(End::Null, Cursor::new(""), false).0, []);
        assert_eq!(all_to(End::Input, input(), true).0, [Value::from(b"a\r\n\0\0last".to_vec())]);
        assert_eq!(all_to(End::Input, Cursor::new(""), true).0, [Value::Bytes(vec![])]);
        let failure = all_to(End::Null, Cursor::new(b"a\0\xff".to_vec()), false).1.unwrap();
        assert!(failure.message().starts_with("item 2 of standard input is not UTF-8"), "{failure:?}");
    }

    #[test]
    fn line_that_is_not_utf8_is_named_behind_the_lines_before_it() {
        let (items, failure) = all(Cursor::new(b"one\ntwo\n\xff\nfour\n".to_vec()), false);
        assert_eq!(items, ["one", "two"].map(Value::from));
        let message = failure.unwrap().message().to_owned();
        assert!(message.starts_with("line 3 of standard input is not UTF-8"), "{message}");
        assert!(message.contains("--bytes"), "{message}");
    }

    #[test]
    fn line_does_not_wait_for_the_next_one() {
        let (reader, mut writer) = pipe().unwrap();
        let mut lines = Lines::of(BufReader::new(reader), false, End::Line);
        for line in ["one", "two"] {
            writeln!(writer, "{line}").unwrap();
            assert_eq!(lines.next_batch().unwrap(), Some(vec![line.into()]));
        }
        drop(writer);
        assert_eq!(lines.next_batch().unwrap(), None);
    }
}
