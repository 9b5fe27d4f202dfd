//! What was seen of a watched file.

use std::time::Instant;

use crate::stamp::{Sight, Stamp, TICK};

/// What was seen of the file.
#[derive(Default)]
pub(super) struct Look {
    pub(super) seen: Sight,
    /// The version that was loaded last.
    pub(super) loaded: Option<Stamp>,
    /// The version that is being read and parsed.
    pub(super) loading: Option<Stamp>,
    /// The loaded version cannot have been changed since without its stamp telling.
    is_settled: bool,
    /// The same of the one that is being loaded.
    will_be_settled: bool,
    /// When to try again with a version that is not whole.
    pub(super) retry_at: Option<Instant>,
    /// Since when the file cannot be read.
    pub(super) unreadable_since: Option<Instant>,
    pub(super) has_said_unreadable: bool,
}

impl Look {
    /// Tells whether a version with this stamp is nothing to act on: it is loaded, about to be, or put off.
    pub(super) fn is_handled(&mut self, stamp: Stamp) -> bool {
        self.is_current(stamp) || self.is_loading(stamp) || self.is_put_off()
    }

    /// Tells whether the loaded version is the one with this stamp.
    fn is_current(&mut self, stamp: Stamp) -> bool {
        self.see(stamp);
        let is_current = self.loaded == Some(stamp) && self.is_settled;
        if is_current {
            self.unreadable_since = None;
        }
        is_current
    }

    /// Tells whether somebody is about to load just this version, so that waiting is enough.
    fn is_loading(&self, stamp: Stamp) -> bool {
        self.loading == Some(stamp) && self.will_be_settled
    }

    fn is_put_off(&self) -> bool {
        self.retry_at.is_some_and(|retry_at| Instant::now() < retry_at)
    }

    fn see(&mut self, stamp: Stamp) {
        if self.seen.see(stamp) {
            self.retry_at = None;
        }
    }

    /// Takes note that the version with this stamp is open and about to be read.
    pub(super) fn begin(&mut self, stamp: Stamp) {
        self.unreadable_since = None;
        self.see(stamp);
        self.loading = Some(stamp);
        self.will_be_settled = self.seen.has_aged(stamp, TICK);
    }

    pub(super) fn accept(&mut self, stamp: Stamp) {
        self.loaded = Some(stamp);
        self.is_settled = self.will_be_settled;
        self.retry_at = None;
        self.has_said_unreadable = false;
    }
}
