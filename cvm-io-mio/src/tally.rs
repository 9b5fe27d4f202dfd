//! What an administrator wants to know of a busy server: counted where it happens.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened to requests that got no answer, or not the one that the module would have given; since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams that the kernel dropped because the receive buffer was full.
    pub dropped: u64,
    /// Requests that were answered with code 4 because the queue was full, or the server about to end.
    pub refused: u64,
    /// Datagrams that were sent again while the first one was in hand.
    pub resent: u64,
    /// Requests that waited longer than their client does.
    pub expired: u64,
    /// Connections that were closed to make room for others.
    pub evicted: u64,
}

/// The same, shared by loops and workers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) refused: Counter,
    pub(crate) resent: Counter,
    pub(crate) expired: Counter,
    pub(crate) evicted: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tally {
    pub(crate) fn counts(&self, dropped: u64) -> Counts {
        Counts {
            dropped,
            refused: self.refused.get(),
            resent: self.resent.get(),
            expired: self.expired.get(),
            evicted: self.evicted.get(),
        }
    }
}
