//! Homes: what is remembered of them, so that whoever cannot wait takes few looks.
//!
//! Every look-up looks at the home of its user, whose mode counts, but in one round only once. The same look tells
//! whether the names that were read there still hold: names come and go in no folder without another time of change. A
//! file that is not among them costs nothing, one that is costs a look of its own, again once a round, as its mode may
//! change while that of the folder does not.

mod glances;
mod listing;
mod memory;

use std::fs::{Metadata, metadata, symlink_metadata};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use glances::Glances;
pub(super) use listing::{BEGINNING, Names};
use memory::Memory;

/// What is remembered of homes, by all who cannot wait.
#[derive(Default)]
pub(super) struct Homes {
    /// The number of the last round; none has begun before the first.
    round: AtomicU64,
    homes: Glances,
    files: Glances,
    memory: Memory,
}

impl Homes {
    /// Begins a round: what was looked at before is looked at again.
    ///
    /// A look is of the round that was the last one before it. Whoever begins one has his requests by then, and what he
    /// is told was looked at in that round, or in one that others have begun since.
    pub(super) fn begin_round(&self) {
        self.round.fetch_add(1, Ordering::AcqRel);
    }

    /// Looks at a home.
    pub(super) fn look(&self, home: &Path) -> io::Result<Metadata> {
        self.homes.look(self.round(), home, || metadata(home))
    }

    /// Looks at a file, or at the symbolic link that is there in place of one.
    pub(super) fn look_at_file(&self, path: &Path) -> io::Result<Metadata> {
        self.files.look(self.round(), path, || symlink_metadata(path))
    }

    /// Returns the dot-qmail files of a home that is as it was seen; `None` if they are not known.
    pub(super) fn names(&self, home: &Path, seen: &Metadata) -> Option<Names> {
        self.memory.names(home, seen)
    }

    fn round(&self) -> u64 {
        self.round.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
