//! Pauses: times in which nothing is tried that takes long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long there is no room after there was none: to make room takes long.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// A time in which something is not tried again.
pub(super) struct Pause {
    start: Instant,
    /// In milliseconds from the start.
    end: AtomicU64,
}

impl Default for Pause {
    fn default() -> Self {
        Self { start: Instant::now(), end: AtomicU64::new(0) }
    }
}

impl Pause {
    pub(super) fn begin(&self) {
        self.end.store(self.milliseconds(PAUSE), Ordering::Relaxed);
    }

    pub(super) fn lasts(&self) -> bool {
        let end = self.end.load(Ordering::Relaxed);
        end != 0 && self.milliseconds(Duration::ZERO) < end
    }

    /// Counts to now, and some time beyond.
    fn milliseconds(&self, beyond: Duration) -> u64 {
        u64::try_from((self.start.elapsed() + beyond).as_millis()).unwrap_or(u64::MAX)
    }
}
