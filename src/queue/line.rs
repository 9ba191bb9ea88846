//! Who waits in which line of a monitor, in which order, and who of them has been called.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar};

/// So many lines has a monitor.
pub(super) const LINES: usize = 4;

/// One that waits. All but `bell` is used under the monitor's mutex only.
pub(super) struct Waiter {
    need: usize,
    called: AtomicBool,
    /// Rung for this one alone: a condition that several share wakes whom it likes.
    pub bell: Condvar,
}

#[derive(Default)]
struct Line {
    /// In the order in which they came.
    waiters: Vec<Arc<Waiter>>,
    /// How many of them have been called.
    called: usize,
}

/// All lines of one monitor.
#[derive(Default)]
pub(super) struct Lines([Line; LINES]);

impl Lines {
    pub fn waiting(&self, line: usize) -> usize {
        self.0[line].waiters.len()
    }

    /// How many have been called that have not had their turn yet.
    pub fn called(&self, line: usize) -> usize {
        self.0[line].called
    }

    /// Takes a place at the end.
    pub fn enter(&mut self, line: usize, need: usize) -> Arc<Waiter> {
        let waiter = Arc::new(Waiter { need, called: AtomicBool::new(false), bell: Condvar::new() });
        self.0[line].waiters.push(Arc::clone(&waiter));
        waiter
    }

    /// One looks, or leaves: its call is over. Says whether it was called.
    pub fn turn(&mut self, line: usize, waiter: &Waiter) -> bool {
        let called = waiter.called.swap(false, Ordering::Relaxed);
        self.0[line].called -= usize::from(called);
        called
    }

    /// One gives up its place.
    pub fn leave(&mut self, line: usize, waiter: &Waiter) {
        let waiters = &mut self.0[line].waiters;
        if let Some(at) = waiters.iter().position(|one| std::ptr::eq(&**one, waiter)) {
            waiters.remove(at);
        }
    }

    /// Calls those of whom it is said that they are wanted: each by whether it has been called already, and its need.
    /// Ends where nothing is said.
    pub fn call(&mut self, line: usize, wanted: &mut dyn FnMut(bool, usize) -> Option<bool>) {
        let Line { waiters, called: count } = &mut self.0[line];
        if *count == waiters.len() {
            return;
        }
        for waiter in waiters {
            let called = waiter.called.load(Ordering::Relaxed);
            match wanted(called, waiter.need) {
                None => break,
                Some(true) if !called => {
                    waiter.called.store(true, Ordering::Relaxed);
                    *count += 1;
                    waiter.bell.notify_one();
                }
                Some(_) => {}
            }
        }
    }

    /// Calls so many more, from the front.
    pub fn wake(&mut self, line: usize, mut count: usize) {
        self.call(line, &mut |called, _| {
            if called {
                return Some(false);
            }
            count = count.checked_sub(1)?;
            Some(true)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of<const N: usize>(needs: [usize; N]) -> (Lines, [Arc<Waiter>; N]) {
        let mut lines = Lines::default();
        let waiters = needs.map(|need| lines.enter(0, need));
        (lines, waiters)
    }

    fn called<const N: usize>(waiters: &[Arc<Waiter>; N]) -> [bool; N] {
        std::array::from_fn(|n| waiters[n].called.load(Ordering::Relaxed))
    }

    #[test]
    fn nobody_is_called_twice_until_it_had_its_turn_and_who_comes_later_was_not_called() {
        let mut lines = Lines::default();
        lines.wake(0, 1);
        let waiters = [0; 2].map(|need| lines.enter(0, need));
        assert_eq!(lines.called(0), 0, "nobody was there");
        lines.wake(0, 1);
        assert_eq!(called(&waiters), [true, false]);
        lines.wake(0, 5);
        lines.enter(0, 0);
        assert_eq!((lines.waiting(0), lines.called(0)), (3, 2));
        lines.wake(0, 1);
        assert_eq!(lines.called(0), 3);
    }

    #[test]
    fn a_turn_keeps_the_place_and_ends_the_call() {
        let (mut lines, waiters) = line_of([0; 3]);
        lines.wake(0, 2);
        assert!(lines.turn(0, &waiters[0]) && !lines.turn(0, &waiters[2]));
        assert_eq!((called(&waiters), lines.called(0)), ([false, true, false], 1));
        lines.wake(0, 1);
        assert_eq!(called(&waiters), [true, true, false], "the first is the first again");
        lines.leave(0, &waiters[2]);
        lines.leave(0, &waiters[2]);
        assert_eq!((lines.waiting(0), lines.called(0)), (2, 2));
    }

    #[test]
    fn those_are_called_who_fit_together_with_those_who_were_called_before() {
        let (mut lines, waiters) = line_of([3, 9, 2, 4, 1]);
        for free in [6, 6, 5] {
            let mut sum = 0;
            lines.call(0, &mut |_, need| {
                let fits = sum + need <= free;
                sum += if fits { need } else { 0 };
                Some(fits)
            });
            assert_eq!(called(&waiters), [true, false, true, false, true]);
        }
    }
}
