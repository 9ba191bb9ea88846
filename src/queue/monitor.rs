//! One way to wait: for queues, for the other shared objects, and for objects of users.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Wait;
use super::line::{Lines, Waiter};
use super::wait::Patience;

/// A mutex around an object's state, and lines in which threads wait for it to change. Python:
/// `threading.Condition`, with a timeout, an order, and an end when nobody is there any more for whom to wait.
///
/// Who waits stands in a *line*; a monitor has four, 0 to 3 (another number panics). A queue has one line for those who get and one for those who put.
/// A line is served in the order in which they came. Who changes the state says how many of a line can go on now
/// ([`Locked::wake`]). Each wakes once, finds the state as it needs it, and takes its step; or finds that another step
/// came first, and sleeps on, in its old place. Meanwhile nobody who comes later may take what it was called for, which
/// is what the number that `step` is given is for. One that was called but is gone hands its call on to the next.
///
/// A semaphore, whose clients may vanish while they wait:
///
/// ```
/// use std::time::Duration;
/// use netq::queue::{GaveUp, Monitor, Wait};
///
/// struct Semaphore(Monitor<usize>);
///
/// impl Semaphore {
///     fn acquire(&self, wait: Wait<'_>) -> Result<(), GaveUp> {
///         // So many of those who waited before have been called: what is there for them is not for this one.
///         self.0.wait(0, wait, |free, called| {
///             (**free > called).then(|| **free -= 1)
///         })
///     }
///
///     fn release(&self) {
///         let mut free = self.0.lock();
///         *free += 1;
///         free.wake(0, 1);
///     }
/// }
///
/// let slots = Semaphore(Monitor::new(1));
/// assert_eq!(slots.acquire(Wait::forever()), Ok(()));
/// assert_eq!(slots.acquire(Wait::at_most(Duration::from_millis(1))), Err(GaveUp::TimedOut));
/// std::thread::scope(|scope| {
///     scope.spawn(|| slots.acquire(Wait::forever()).unwrap());
///     slots.release();
/// });
/// ```
///
/// In a method of an object that a hub serves, [`Caller::is_gone`](crate::Caller::is_gone) is the check that ends a wait
/// with the connection, and with the hub, which then closes all connections:
/// `Wait::forever().while_alive(&|| !call.caller().is_gone())`.
pub struct Monitor<T> {
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    state: T,
    lines: Lines,
}

/// The state of a [`Monitor`], which nobody else sees or changes for as long as this exists.
#[must_use = "the lock is given up at once"]
pub struct Locked<'m, T> {
    monitor: &'m Monitor<T>,
    guard: MutexGuard<'m, Inner<T>>,
}

/// How a wait ends without what it was for.
///
/// ```
/// use netq::queue::{GaveUp, Monitor, Wait};
///
/// let monitor = Monitor::new(());
/// assert_eq!(monitor.wait(0, Wait::not_at_all(), |_, _| None::<()>), Err(GaveUp::TimedOut));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GaveUp {
    /// The time is up.
    TimedOut,
    /// The wait's check says that nobody is there any more who wants it.
    Gone,
}

impl<T> Monitor<T> {
    /// With nobody waiting.
    pub fn new(state: T) -> Self {
        Self { inner: Mutex::new(Inner { state, lines: Lines::default() }) }
    }

    /// The state, as soon as no other thread has it; that is a matter of one step, because who waits gives it up.
    ///
    /// A step that panics leaves the state as it was at that moment, and the next one finds it so.
    ///
    /// ```
    /// # use netq::queue::Monitor;
    /// let monitor = Monitor::new(1);
    /// *monitor.lock() += 1;
    /// assert_eq!(*monitor.lock(), 2);
    /// ```
    pub fn lock(&self) -> Locked<'_, T> {
        Locked { monitor: self, guard: self.inner.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Takes one step, as soon as it can be taken: `step` answers `Some` once it was, and `None`, with nothing changed,
    /// as long as the caller has to wait in this line for [`wake`](Locked::wake).
    ///
    /// `step` gets the locked state, and the number of those in the line who have been called before this one and
    /// have not had their turn yet: they go first. It is 0 for one that was called itself. A line on which everybody
    /// can go on at once, as with an event, need not look at it.
    ///
    /// The step is tried at once, with no regard to the time: a wait of no time at all is one try.
    ///
    /// # Errors
    /// [`GaveUp::TimedOut`] if the time is up, [`GaveUp::Gone`] if the wait's check says no: no step was taken.
    ///
    /// ```
    /// # use netq::queue::{Monitor, Wait};
    /// let event = Monitor::new(false);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| event.wait(0, Wait::forever(), |set, _| set.then_some(())));
    ///     let mut set = event.lock();
    ///     *set = true;
    ///     set.wake(0, usize::MAX);
    /// });
    /// ```
    pub fn wait<R>(
        &self,
        line: usize,
        wait: Wait<'_>,
        mut step: impl FnMut(&mut Locked<'_, T>, usize) -> Option<R>,
    ) -> Result<R, GaveUp> {
        let mut result = None;
        self.lock()
            .until(line, 0, &mut wait.patience(), &mut |state, called| {
                result = step(state, called);
                result.is_some()
            })
            .map(drop)?;
        result.ok_or(GaveUp::TimedOut)
    }
}

impl<'m, T> Locked<'m, T> {
    /// So many more of those who wait in this line can go on, from the front. Who has been called already and has not
    /// had its turn does not count, and if nobody waits nothing happens, and nothing is remembered.
    pub fn wake(&mut self, line: usize, count: usize) {
        self.guard.lines.wake(line, count);
    }

    /// How many wait in this line, those who were called and have not had their turn included.
    #[must_use]
    pub fn waiting(&self, line: usize) -> usize {
        self.guard.lines.waiting(line)
    }

    /// Looks at all who wait in a line and what each of them [needs](Self::until), in their order, and calls those of
    /// whom `fits` says yes, until it says nothing. Those who have been called are looked at too.
    pub(super) fn wake_fitting(&mut self, line: usize, mut fits: impl FnMut(&T, usize) -> Option<bool>) {
        let Inner { state, lines } = &mut *self.guard;
        lines.call(line, &mut |_, need| fits(state, need));
    }

    /// As [`Monitor::wait`], from one lock to another, for somebody who needs so much.
    pub(super) fn until(
        mut self,
        line: usize,
        need: usize,
        patience: &mut Patience<'_>,
        step: &mut dyn FnMut(&mut Self, usize) -> bool,
    ) -> Result<Self, GaveUp> {
        let called = self.guard.lines.called(line);
        if step(&mut self, called) {
            return Ok(self);
        }
        let Some(mut nap) = patience.nap() else { return Err(GaveUp::TimedOut) };
        let monitor = self.monitor;
        let waiter = self.guard.lines.enter(line, need);
        let mut place = Place { monitor, line, waiter, called: false, done: false };
        // Declared after the place, so that it is given up before the place is.
        let mut locked = self;
        loop {
            let bell = &place.waiter.bell;
            let (guard, _) = bell.wait_timeout(locked.guard, nap).unwrap_or_else(PoisonError::into_inner);
            locked = Locked { monitor, guard };
            if let Some(alive) = patience.alive() {
                drop(locked);
                if !alive() {
                    return Err(GaveUp::Gone);
                }
                locked = monitor.lock();
            }
            let lines = &mut locked.guard.lines;
            place.called = lines.turn(line, &place.waiter);
            let before = if place.called { 0 } else { lines.called(line) };
            let taken = step(&mut locked, before);
            if taken {
                locked.guard.lines.leave(line, &place.waiter);
                place.done = true;
                return Ok(locked);
            }
            place.called = false;
            let Some(left) = patience.nap() else { return Err(GaveUp::TimedOut) };
            nap = left;
        }
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard.state
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard.state
    }
}

/// A place in a line, whose call goes on to the next one if its owner leaves without a step: because its client is
/// gone, the check or the step panicked, or the time is up. Nobody else would tell that one.
struct Place<'m, T> {
    monitor: &'m Monitor<T>,
    line: usize,
    waiter: Arc<Waiter>,
    /// It has been called, and is taking its turn.
    called: bool,
    /// It took its step, and has left.
    done: bool,
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let lines = &mut self.monitor.lock().guard.lines;
        lines.leave(self.line, &self.waiter);
        if lines.turn(self.line, &self.waiter) || self.called {
            lines.wake(self.line, 1);
        }
    }
}

impl<T: Default> Default for Monitor<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Monitor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Monitor").field(&*self.lock()).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Locked<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::super::testing::{LONG, eventually};
    use super::*;

    fn take(free: &mut Locked<'_, usize>, called: usize) -> Option<()> {
        (**free > called).then(|| **free -= 1)
    }

    fn release(monitor: &Monitor<usize>) {
        let mut free = monitor.lock();
        *free += 1;
        free.wake(0, 1);
    }

    #[test]
    fn a_waiter_that_wakes_for_nothing_keeps_its_place() {
        let (monitor, looks) = (Monitor::new(0), AtomicUsize::new(0));
        let (sender, receiver) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            for n in 0..3 {
                let (monitor, looks, sender) = (&monitor, &looks, sender.clone());
                scope.spawn(move || {
                    let step = |free: &mut Locked<'_, usize>, called| {
                        looks.fetch_add(1, Ordering::Relaxed);
                        take(free, called)
                    };
                    monitor.wait(0, Wait::at_most(LONG), step).unwrap();
                    sender.send(n).unwrap();
                });
                eventually("asleep", || monitor.lock().waiting(0) > n);
            }
            for n in 0..3 {
                let before = looks.load(Ordering::Relaxed);
                monitor.lock().wake(0, 1);
                eventually("it has looked", || looks.load(Ordering::Relaxed) > before);
                release(&monitor);
                assert_eq!(receiver.recv_timeout(LONG), Ok(n));
            }
        });
    }

    #[test]
    fn who_comes_later_waits_though_there_is_something_for_one_that_was_called() {
        let monitor = Monitor::new(0);
        thread::scope(|scope| {
            let first = scope.spawn(|| monitor.wait(0, Wait::at_most(LONG), take));
            eventually("asleep", || monitor.lock().waiting(0) == 1);
            let mut free = monitor.lock();
            *free += 1;
            free.wake(0, 1);
            // As long as this is locked, the first one has not had its turn.
            let mut seen = None;
            let later = free.until(0, 0, &mut Wait::not_at_all().patience(), &mut |free, called| {
                seen = Some(called);
                take(free, called).is_some()
            });
            assert_eq!((later.map(drop), seen), (Err(GaveUp::TimedOut), Some(1)));
            assert_eq!(first.join().unwrap(), Ok(()));
        });
    }

    #[test]
    fn one_that_leaves_with_its_call_hands_it_on_whether_its_client_is_gone_or_its_step_panicked() {
        let monitor = Monitor::new(0);
        thread::scope(|scope| {
            let gone = scope.spawn(|| monitor.wait(0, Wait::forever().while_alive(&|| false), take));
            eventually("asleep", || monitor.lock().waiting(0) == 1);
            let broken =
                scope.spawn(|| {
                    monitor.wait(0, Wait::forever(), |free, _| {
                        if **free > 0 { panic!("on purpose") } else { None::<()> }
                    })
                });
            eventually("asleep", || monitor.lock().waiting(0) == 2);
            let there = scope.spawn(|| monitor.wait(0, Wait::at_most(LONG), take));
            eventually("asleep", || monitor.lock().waiting(0) == 3);
            release(&monitor);
            assert_eq!(there.join().unwrap(), Ok(()));
            assert_eq!(gone.join().unwrap(), Err(GaveUp::Gone));
            assert!(broken.join().is_err());
        });
        let free = monitor.lock();
        assert_eq!((*free, free.waiting(0)), (0, 0));
    }

    #[test]
    fn lines_are_woken_apart_and_one_whose_time_is_up_leaves() {
        let monitor = Monitor::new(0);
        let short = Wait::at_most(Duration::from_millis(5));
        assert_eq!(monitor.wait(3, short, take), Err(GaveUp::TimedOut));
        assert_eq!(monitor.lock().waiting(3), 0);
        thread::scope(|scope| {
            let other = scope.spawn(|| monitor.wait(1, Wait::at_most(LONG), take));
            eventually("asleep", || monitor.lock().waiting(1) == 1);
            let mut free = monitor.lock();
            *free += 1;
            free.wake(0, usize::MAX);
            assert_eq!(free.guard.lines.called(1), 0);
            free.wake(1, 1);
            drop(free);
            assert_eq!(other.join().unwrap(), Ok(()));
        });
    }
}
