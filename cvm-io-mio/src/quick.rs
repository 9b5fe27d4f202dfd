//! Whether a loop had better wait for something itself than have a worker do it: for a moment, it had.

use std::time::{Duration, Instant};

/// What peers of the loop that ask for something else do not notice.
const MOMENT: Duration = Duration::from_millis(1);

/// What the way to a worker and back takes, or more.
const WAY: Duration = Duration::from_micros(100);

/// How long workers do it after it has taken longer, at first and at most.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(64);

/// What is taken for granted of what was not tried lately.
const UNKNOWN: Duration = Duration::from_micros(500);

/// After so many turns without a pause the next one is short again.
const TRUSTED_TURNS: u32 = 256;

/// So many losses of the loop in that time make for a pause, however quick the other turns were.
const LOSSES_MAX: u32 = 3;

/// How long the turns take in which a loop has waited itself: some requests in a turn, as many as can be answered together.
#[derive(Debug)]
pub(crate) struct Quick {
    together: usize,
    /// An average that forgets.
    average: Duration,
    paused_until: Option<Instant>,
    pause: Duration,
    turns: u32,
    losses: u32,
}

impl Quick {
    /// `together` requests are answered in a turn.
    pub(crate) const fn new(together: usize) -> Self {
        Self { together, average: UNKNOWN, paused_until: None, pause: PAUSE, turns: 0, losses: 0 }
    }

    /// Tells whether the loop should do so many requests itself. Several that cannot be answered together workers do
    /// at the same time, if they are at work anyhow also one.
    pub(crate) fn suits(&self, requests: usize, are_workers_idle: bool, now: Instant) -> bool {
        if self.paused_until.is_some_and(|until| now < until) {
            return false;
        }
        let turns = requests.div_ceil(self.together);
        turns == 1 && (self.together > 1 || are_workers_idle)
            || u32::try_from(turns).is_ok_and(|turns| self.average.saturating_mul(turns) <= WAY)
    }

    /// Learns how long so many requests took.
    pub(crate) fn learn(&mut self, requests: usize, time: Duration, now: Instant) {
        let turns = u32::try_from(requests.div_ceil(self.together)).unwrap_or(u32::MAX).max(1);
        self.average = (self.average * 7 + time / turns) / 8;
        self.turns += 1;
        if self.average > MOMENT || self.losses == LOSSES_MAX {
            self.leave_to_workers(now);
        } else if self.turns == TRUSTED_TURNS {
            (self.turns, self.losses, self.pause) = (0, 0, PAUSE);
        }
    }

    /// Learns that a request took longer than this, so that another thread has the loop.
    pub(crate) fn learn_loss(&mut self, time: Duration, now: Instant) {
        self.losses += 1;
        self.learn(1, time, now);
    }

    fn leave_to_workers(&mut self, now: Instant) {
        self.paused_until = now.checked_add(self.pause);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        (self.average, self.turns, self.losses) = (UNKNOWN, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn one_or_what_can_be_answered_together_suits_unless_workers_do_more() {
        let now = Instant::now();
        let (single, together) = (Quick::new(1), Quick::new(16));
        assert!(single.suits(1, true, now) && !single.suits(1, false, now) && !single.suits(2, true, now));
        assert!(together.suits(16, false, now) && !together.suits(17, true, now));
    }

    #[test]
    fn several_suit_that_take_less_than_the_way_to_a_worker() {
        let now = Instant::now();
        let mut quick = Quick::new(1);
        (0..50).for_each(|_| quick.learn(2, micros(20), now));
        assert!(quick.suits(9, false, now) && !quick.suits(11, true, now));
    }

    #[test]
    fn what_takes_longer_is_tried_again_ever_more_seldom() {
        let mut now = Instant::now();
        let mut quick = Quick::new(1);
        for seconds in [1, 2, 4, 8, 16, 32, 64, 64] {
            assert!(quick.suits(1, true, now));
            (0..4).for_each(|_| quick.learn(1, micros(2000), now));
            let until = now + Duration::from_secs(seconds);
            assert!(!quick.suits(1, true, until - micros(1)), "{seconds}");
            now = until;
        }
        (0..TRUSTED_TURNS).for_each(|_| quick.learn(1, micros(50), now));
        quick.learn(1, micros(9000), now);
        assert!(!quick.suits(1, true, now) && quick.suits(1, true, now + PAUSE));
    }

    #[test]
    fn a_few_losses_are_enough() {
        let now = Instant::now();
        let mut quick = Quick::new(1);
        for loss in 1..=LOSSES_MAX {
            (0..50).for_each(|_| quick.learn(1, micros(100), now));
            quick.learn_loss(micros(2000), now);
            assert_eq!(quick.suits(1, true, now), loss < LOSSES_MAX);
        }
    }

    #[test]
    fn one_turn_that_takes_a_little_longer_changes_nothing() {
        let now = Instant::now();
        let mut quick = Quick::new(1);
        (0..20).for_each(|_| quick.learn(1, micros(100), now));
        quick.learn(1, micros(2000), now);
        assert!(quick.suits(1, true, now));
    }
}
