//! Whether jobs gain from being done together: measured, as only that tells for a database near or far, fast or slow.

use std::time::Duration;

/// One of so many turns is a single job's, to know how long that takes.
const PROBE: u32 = 64;

/// How many jobs a worker should take together: twice as many after each of them but the first took less than half of
/// what it takes alone, and fewer when they did not.
#[derive(Debug)]
pub(super) struct Gain {
    most: usize,
    count: usize,
    /// How long a job takes alone, on an average that forgets; zero as long as nobody knows.
    alone: Duration,
    turns: u32,
}

impl Gain {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, count: 1, alone: Duration::ZERO, turns: 0 }
    }

    /// Returns how many jobs the next worker should take.
    pub(super) const fn count(&self) -> usize {
        if self.turns == 0 { 1 } else { self.count }
    }

    /// Learns from a turn of so many jobs.
    pub(super) fn learn(&mut self, jobs: usize, time: Duration) {
        self.turns = (self.turns + 1) % PROBE;
        match u32::try_from(jobs) {
            Ok(0) | Err(_) => {}
            Ok(1) => {
                self.alone = if self.alone.is_zero() { time } else { (self.alone * 7 + time) / 8 };
                // Now and then two are tried.
                if self.turns == 1 && self.count == 1 {
                    self.count = 2.min(self.most);
                }
            }
            Ok(_) if self.alone.is_zero() => {}
            Ok(many) => self.judge(jobs, time, self.alone * many),
        }
    }

    fn judge(&mut self, jobs: usize, time: Duration, one_after_another: Duration) {
        if time * 2 < one_after_another + self.alone {
            if jobs >= self.count {
                self.count = (jobs * 2).min(self.most);
            }
        } else if time > one_after_another * 2 {
            // One of them may have held up the others.
            self.count = 1;
        } else {
            self.count = (jobs / 2).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does turns as a worker would, of jobs that take so long together, and returns how many there are in a turn then.
    fn settled(most: usize, time: impl Fn(u64) -> u64) -> usize {
        let mut gain = Gain::new(most);
        for _ in 0..PROBE * 3 - 1 {
            let count = gain.count();
            gain.learn(count, Duration::from_micros(time(count as u64)));
        }
        gain.count
    }

    #[test]
    fn what_waits_for_a_way_there_and_back_is_done_together() {
        assert_eq!(settled(16, |count| 100 + 10 * count), 16);
        assert_eq!(settled(16, |count| 2000 + 100 * count), 16);
        assert_eq!(settled(1, |count| 100 + 10 * count), 1);
    }

    #[test]
    fn what_takes_its_time_one_after_another_is_not() {
        assert_eq!(settled(16, |count| 2000 * count), 1);
        assert_eq!(settled(16, |count| 10 + 100 * count), 1);
    }

    #[test]
    fn one_job_that_holds_up_others_separates_them() {
        let mut gain = Gain::new(16);
        (0..8).for_each(|_| gain.learn(gain.count(), Duration::from_millis(1)));
        assert_eq!(gain.count(), 16);
        gain.learn(16, Duration::from_secs(5));
        assert_eq!(gain.count(), 1);
    }
}
