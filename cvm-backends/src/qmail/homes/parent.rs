//! Folders with homes, each of which is looked at once a round for all of them.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::look;
use super::memory::Version;

/// A folder with homes.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) path: PathBuf,
    /// The round of the last look; none has begun before the first.
    round: AtomicU64,
    /// Counts the versions that were seen.
    generation: AtomicU64,
    /// The last one; `None` if there was none.
    seen: Mutex<Option<Version>>,
}

impl Parent {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), round: AtomicU64::new(0), generation: AtomicU64::new(0), seen: Mutex::default() }
    }

    /// Returns which version is there, if somebody has looked in this round.
    pub(super) fn generation(&self, round: u64) -> Option<u64> {
        let is_of_round = self.round.load(Ordering::Acquire) == round;
        is_of_round.then(|| self.generation.load(Ordering::Acquire))
    }

    /// Tells whether this was the version that was there when somebody looked last.
    pub(super) fn is_still(&self, generation: u64) -> bool {
        self.generation.load(Ordering::Acquire) == generation
    }

    /// Looks in this round, unless somebody has; `None` if there is nothing, or another looks just now, for whom nobody
    /// waits.
    pub(super) fn look(&self, round: u64) -> Option<(u64, Version)> {
        let mut seen = self.seen.try_lock().ok()?;
        if self.round.load(Ordering::Acquire) != round {
            let found = look(&self.path).ok().and_then(|found| found.version);
            if found != *seen {
                *seen = found;
                self.generation.fetch_add(1, Ordering::AcqRel);
            }
            self.round.store(round, Ordering::Release);
        }
        Some((self.generation.load(Ordering::Acquire), (*seen)?))
    }
}
