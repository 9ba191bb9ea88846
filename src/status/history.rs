//! What the queues were like during the last hour: the page's small graphs, and rates.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the figures are noted.
pub(super) const INTERVAL: Duration = Duration::from_secs(30);

/// How many times are kept: one hour.
pub(super) const SAMPLES: usize = 120;

/// How far back a rate looks.
const RATE: Duration = Duration::from_secs(60);

/// The figures of one queue at one time. Counters may wrap: only their differences are used.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub(super) struct Sample {
    pub length: u32,
    pub puts: u32,
    pub gets: u32,
}

/// The figures of all named queues at some times. Those are the same for as long as a hub runs, and in the same order.
#[derive(Default)]
pub(super) struct History(Mutex<VecDeque<(Instant, Vec<Sample>)>>);

impl History {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, Vec<Sample>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the figures of now.
    pub fn note(&self, now: Instant, samples: Vec<Sample>) {
        let mut kept = self.lock();
        if kept.len() == SAMPLES {
            kept.pop_front();
        }
        kept.push_back((now, samples));
    }

    /// The lengths of the queue in this place, the oldest first.
    pub fn lengths(&self, place: usize) -> Vec<u32> {
        self.lock().iter().filter_map(|(_, samples)| samples.get(place)).map(|it| it.length).collect()
    }

    /// Items put and got each second, during the last minute or as much of it as there was.
    pub fn rates(&self, place: usize, now: Instant, sample: Sample) -> Option<(f64, f64)> {
        let kept = self.lock();
        let recent = kept.iter().find(|(at, _)| now.saturating_duration_since(*at) <= RATE + INTERVAL / 2)?;
        let seconds = now.saturating_duration_since(recent.0).as_secs_f64();
        let before = recent.1.get(place).filter(|_| seconds >= 1.0)?;
        let rate = |now: u32, before: u32| f64::from(now.wrapping_sub(before)) / seconds;
        Some((rate(sample.puts, before.puts), rate(sample.gets, before.gets)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(length: u32, puts: u32) -> Vec<Sample> {
        vec![Sample { length, puts, gets: puts - length }]
    }

    #[test]
    fn the_last_hour_is_kept() {
        let (history, start) = (History::default(), Instant::now());
        (0..200).for_each(|n| history.note(start + INTERVAL * n, sample(n, n)));
        let lengths = history.lengths(0);
        assert_eq!((lengths.len(), lengths[0], lengths[119]), (120, 80, 199));
        assert!(history.lengths(1).is_empty());
    }

    #[test]
    fn a_rate_is_that_of_the_last_minute() {
        let (history, start) = (History::default(), Instant::now());
        let now = |length, puts| sample(length, puts)[0];
        assert_eq!(history.rates(0, start, now(0, 0)), None, "nothing to compare with");
        history.note(start, sample(0, 1000));
        assert_eq!(history.rates(0, start, now(0, 1000)), None, "no time has passed");
        assert_eq!(history.rates(0, start + INTERVAL, now(30, 1030)), Some((1.0, 0.0)));
        history.note(start + INTERVAL, sample(30, 1030));
        history.note(start + INTERVAL * 2, sample(30, 1030));
        history.note(start + INTERVAL * 3, sample(30, 1030));
        assert_eq!(history.rates(0, start + INTERVAL * 3, now(0, 1030)), Some((0.0, 0.5)));
        // A counter that has wrapped.
        let (history, end) = (History::default(), start + Duration::from_secs(10));
        history.note(start, vec![Sample { puts: u32::MAX, ..Sample::default() }]);
        assert_eq!(history.rates(0, end, Sample { puts: 9, ..Sample::default() }), Some((1.0, 0.0)));
    }
}
