//! How a run went over time: intervals of equal length, as many as fit on a plot.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::tally::{nanoseconds, new_histogram};

/// When there would be more intervals, each two become one.
const MOST: usize = 240;

const SHORTEST: Duration = Duration::from_millis(50);

/// The latencies of each interval, by when the answer came.
pub(crate) struct Timeline {
    width: Duration,
    intervals: Vec<Histogram<u32>>,
}

/// What happened in an interval.
pub(crate) struct Interval<'a> {
    pub(crate) start: Duration,
    /// Shorter than the others if it is the last one.
    pub(crate) length: Duration,
    pub(crate) latencies: &'a Histogram<u32>,
}

impl Interval<'_> {
    pub(crate) fn throughput(&self) -> f64 {
        let length = self.length.as_secs_f64();
        if length > 0.0 { count(self.latencies.len()) / length } else { 0.0 }
    }
}

/// Converts what is far below the 53 bits of a float.
#[expect(clippy::cast_precision_loss, reason = "nobody counts so far")]
pub(crate) const fn count(number: u64) -> f64 {
    number as f64
}

impl Timeline {
    pub(crate) const fn new() -> Self {
        Self { width: SHORTEST, intervals: Vec::new() }
    }

    pub(crate) fn record(&mut self, at: Duration, latency: Duration) {
        let index = self.make_room(at);
        while self.intervals.len() <= index {
            self.intervals.push(new_histogram(2));
        }
        if let Some(interval) = self.intervals.get_mut(index) {
            interval.saturating_record(nanoseconds(latency));
        }
    }

    fn make_room(&mut self, at: Duration) -> usize {
        loop {
            let index = usize::try_from(at.as_nanos() / self.width.as_nanos()).unwrap_or(usize::MAX);
            if index < MOST {
                return index;
            }
            self.width *= 2;
            self.intervals = self.intervals.chunks(2).map(sum).collect();
        }
    }

    /// Returns the intervals of a run that took so long.
    pub(crate) fn intervals(&self, elapsed: Duration) -> impl Iterator<Item = Interval<'_>> {
        (0..).zip(&self.intervals).map(move |(index, latencies)| {
            let start = self.width * index;
            Interval { start, length: self.width.min(elapsed.saturating_sub(start)), latencies }
        })
    }
}

fn sum(intervals: &[Histogram<u32>]) -> Histogram<u32> {
    let mut sum = new_histogram(2);
    for interval in intervals {
        sum += interval;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_have_longer_intervals_and_lose_nothing() {
        let mut timeline = Timeline::new();
        let step = Duration::from_millis(70);
        for number in 0..1000 {
            timeline.record(step * number, Duration::from_micros(10));
        }
        let elapsed = step * 1000;
        let intervals: Vec<_> = timeline.intervals(elapsed).collect();
        assert!((MOST / 2..=MOST).contains(&intervals.len()), "{}", intervals.len());
        assert_eq!(intervals.iter().map(|interval| interval.latencies.len()).sum::<u64>(), 1000);
        let length: Duration = intervals.iter().map(|interval| interval.length).sum();
        assert!(length.abs_diff(elapsed) <= timeline.width, "{length:?}");
        assert!(intervals.iter().all(|interval| (10.0..20.0).contains(&interval.throughput())));
    }
}
