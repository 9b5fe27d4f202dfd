//! How many workers should be at work: few where a job is done sooner than somebody else is woken for it.

use std::time::{Duration, Instant};

/// What takes less is done by few: a database on this machine, not one across a network.
const QUICK: Duration = Duration::from_micros(300);

/// If nobody has done anything for so long, the few may be stuck.
const STALL: Duration = Duration::from_millis(5);

/// How much longer a job may take while others are worked on: the machine is busy then. Beyond that it is something that
/// more workers would wait for together.
const BUSY: u32 = 16;

/// What is known of the time that jobs take.
#[derive(Debug)]
pub(super) struct Pace {
    /// On an average that forgets, while nobody else was at work; zero as long as nobody knows.
    undisturbed: Duration,
    /// The same of all jobs.
    lately: Duration,
    last_done: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { undisturbed: Duration::ZERO, lately: Duration::ZERO, last_done: Instant::now() }
    }

    /// Tells whether few workers do, of those that would otherwise be woken.
    pub(super) fn is_quick(&self, now: Instant) -> bool {
        !self.undisturbed.is_zero()
            && self.undisturbed < QUICK
            && self.lately < self.undisturbed * BUSY
            && now.saturating_duration_since(self.last_done) < STALL
    }

    /// Learns from a job.
    pub(super) fn learn(&mut self, time: Duration, was_undisturbed: bool, now: Instant) {
        let average = |old: Duration| if old.is_zero() { time } else { (old * 15 + time) / 16 };
        self.lately = average(self.lately);
        if was_undisturbed {
            self.undisturbed = average(self.undisturbed);
        }
        self.last_done = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(jobs: &[(u64, bool)]) -> (Pace, Instant) {
        let (mut pace, now) = (Pace::new(), Instant::now());
        for &(micros, undisturbed) in jobs {
            pace.learn(Duration::from_micros(micros), undisturbed, now);
        }
        (pace, now)
    }

    #[test]
    fn few_do_for_what_is_quick_also_if_the_machine_is_busy() {
        let (pace, now) = after(&[(100, true), (100, true), (1000, false), (1200, false)]);
        assert!(pace.is_quick(now));
        assert!(!pace.is_quick(now + STALL), "they may be stuck");
    }

    #[test]
    fn all_are_needed_for_what_waits() {
        let waits = |jobs: &[(u64, bool)]| !after(jobs).0.is_quick(after(jobs).1);
        assert!(waits(&[]));
        assert!(waits(&[(100, false)]));
        assert!(waits(&[(2000, true)]));
        assert!(waits(&[&[(100, true)][..], &[(5000, false); 10]].concat()));
    }
}
