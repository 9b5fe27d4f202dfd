//! What a statement may take: SQLite asks after some steps of its machine whether it is to go on.

use std::os::raw::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Steps between questions: some ten microseconds.
const STEPS: c_int = 1000;

/// How often a statement in an event loop may be asked: it is over before a hundredth of a second is.
const AT_ONCE: u64 = 20;

/// The limits of a connection, which are set anew for each statement.
#[derive(Debug)]
pub(super) struct Limits {
    start: Instant,
    /// Milliseconds after the start.
    deadline: AtomicU64,
    questions: AtomicU64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { start: Instant::now(), deadline: AtomicU64::new(u64::MAX), questions: AtomicU64::new(u64::MAX) }
    }
}

impl Limits {
    /// Interrupts what exceeds the limits.
    pub(super) fn watch(self: &Arc<Self>, connection: &Connection) {
        let limits = Arc::clone(self);
        connection.progress_handler(STEPS, Some(move || limits.is_exceeded()));
    }

    /// Allows a time.
    pub(super) fn set_timeout(&self, timeout: Duration) {
        self.deadline.store(milliseconds(self.start.elapsed() + timeout), Ordering::Relaxed);
        self.questions.store(u64::MAX, Ordering::Relaxed);
    }

    /// Allows what an event loop can wait for.
    pub(super) fn set_steps(&self) {
        self.questions.store(AT_ONCE, Ordering::Relaxed);
    }

    fn is_exceeded(&self) -> bool {
        let left = self.questions.load(Ordering::Relaxed);
        if left != u64::MAX {
            self.questions.store(left.saturating_sub(1), Ordering::Relaxed);
        }
        let is_late = left == u64::MAX && milliseconds(self.start.elapsed()) > self.deadline.load(Ordering::Relaxed);
        left == 0 || is_late
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
