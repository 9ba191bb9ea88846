//! Filling a queue with what a journal has kept of it, before anybody uses it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::BoundedQueue;

/// A queue that is being filled, with items that come mostly in the order of their numbers.
///
/// The backlog stores no numbers, so it can hold only the last items, behind which none is missing. Those before are
/// few, as a rule: they were out, or had come back. They come back now.
pub(crate) struct Restoring<T> {
    queue: Arc<BoundedQueue<T>>,
    /// From here on all numbers are there, and none has failed.
    row: u64,
    /// Of that row, what came before its turn, with its attempts: none. (With them it is the map that the queue has
    /// anyway; one of another type is 5 KiB of code.)
    early: BTreeMap<u64, (T, u32)>,
}

impl<T> Restoring<T> {
    /// Of a queue with nothing in it.
    pub(crate) fn new(queue: Arc<BoundedQueue<T>>, row: u64) -> Self {
        queue.lock().skip_to(row);
        Self { queue, row, early: BTreeMap::new() }
    }

    /// Each item comes once.
    pub(crate) fn item(&mut self, number: u64, attempts: u32, item: T) {
        let mut state = self.queue.lock();
        if number < self.row || attempts > 0 {
            state.restore(number, attempts, item);
        } else if number == state.next_number() {
            state.restore_next(item, &self.queue.log);
            while let Some((item, _)) = self.early.remove(&state.next_number()) {
                state.restore_next(item, &self.queue.log);
            }
        } else {
            self.early.insert(number, (item, 0));
        }
    }

    /// That was all: the next item that is put has this number, and so many tasks are unfinished, or as many as there
    /// are items if it is not said how many.
    pub(crate) fn end(self, next: u64, unfinished: Option<u64>) {
        let mut state = self.queue.lock();
        for (number, (item, attempts)) in self.early {
            state.restore(number, attempts, item);
        }
        state.end_restore(next, unfinished, &self.queue.log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restored(row: u64, items: &[(u64, u32)], next: u64) -> Arc<BoundedQueue<u64>> {
        let queue = BoundedQueue::new(0);
        let mut restoring = Restoring::new(Arc::clone(&queue), row);
        items.iter().for_each(|&(number, attempts)| restoring.item(number, attempts, number));
        restoring.end(next, None);
        queue
    }

    fn drain(queue: &Arc<BoundedQueue<u64>>) -> Vec<(u64, u64, u32)> {
        let all = std::iter::from_fn(|| queue.take(super::super::Wait::not_at_all()).ok());
        all.map(|taken| (taken.number(), taken.attempts(), taken.commit()))
            .map(|(number, attempts, item)| (number, item, attempts))
            .collect()
    }

    #[test]
    fn items_are_in_their_order_with_their_numbers_and_attempts_in_whatever_order_they_come() {
        let items = [(7, 0), (5, 0), (2, 3), (9, 0), (8, 0), (6, 0)];
        let queue = restored(5, &items, 10);
        assert_eq!((queue.len(), queue.stats().unfinished, queue.stats().puts), (6, 6, 6));
        queue.try_put(10).unwrap();
        let expected = [(2, 3), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0)];
        assert_eq!(drain(&queue), expected.map(|(number, attempts)| (number, number, attempts)));
    }

    #[test]
    fn numbers_go_on_where_they_were_though_the_last_items_are_gone() {
        for (row, items) in [(9, &[(2, 0), (4, 1)][..]), (2, &[(2, 0), (4, 0)]), (9, &[])] {
            let queue = restored(row, items, 9);
            queue.try_put(9).unwrap();
            let numbers: Vec<u64> = drain(&queue).iter().map(|(number, ..)| *number).collect();
            let expected: Vec<u64> = items.iter().map(|(number, _)| *number).chain([9]).collect();
            assert_eq!(numbers, expected);
        }
    }
}
