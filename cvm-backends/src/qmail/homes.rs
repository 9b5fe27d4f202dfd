//! Homes: what is remembered of them, so that whoever cannot wait takes few looks.
//!
//! Every look-up looks at the home of its user, whose mode counts, but in one round only once. The same look tells
//! whether the names that were read there still hold: names come and go in no folder without another time of change. A
//! file that is not among them costs nothing, one that is costs a look of its own, again once a round, as its mode may
//! change while that of the folder does not. Of what is held, the kernel tells when it changes: that costs no look.

mod glances;
mod held;
mod listener;
mod listing;
mod memory;
mod opened;
mod parent;
mod pause;
mod watches;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FileType, Stat};

use glances::Glances;
use held::Held;
pub(super) use listing::{BEGINNING, Names};
use memory::{Memory, Version};

/// What is remembered of homes, by all who cannot wait.
#[derive(Default)]
pub(super) struct Homes {
    /// The number of the last round; none has begun before the first.
    round: AtomicU64,
    homes: Glances,
    files: Glances,
    memory: Memory,
    held: Held,
}

/// What a look shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The kind of file, and who may do what with it.
    mode: u32,
    /// `None` if it has a time that no clock shows.
    version: Option<Version>,
}

/// What a look at a home shows.
pub(super) struct SeenHome {
    pub(super) seen: Seen,
    /// Its dot-qmail files, if they are held.
    names: Option<Names>,
    is_held: bool,
}

/// Looks at what a path leads to.
///
/// # Errors
///
/// Those of stat(2).
pub(super) fn look(path: &Path) -> io::Result<Seen> {
    Ok(Seen::of(&rustix::fs::stat(path)?))
}

/// Looks at a file, or at the symbolic link that is there in place of one.
///
/// # Errors
///
/// Those of lstat(2).
pub(super) fn look_at_file(path: &Path) -> io::Result<Seen> {
    Ok(Seen::of(&rustix::fs::lstat(path)?))
}

impl Seen {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { mode: stat.st_mode, version: Version::of(stat) }
    }

    /// Returns who may do what, as chmod(2) has it.
    pub(super) const fn permissions(self) -> u32 {
        self.mode & 0o7777
    }

    /// Tells whether both are of one file.
    fn is_same(self, other: Self) -> bool {
        self.version.is_some() && self.version.map(Version::folder) == other.version.map(Version::folder)
    }

    pub(super) fn kind(self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }
}

impl Homes {
    /// Begins a round: what was looked at before is looked at again.
    ///
    /// A look is of the round that was the last one before it. Whoever begins one has his requests by then, and what he
    /// is told was looked at in that round, or in one that others have begun since.
    pub(super) fn begin_round(&self) {
        self.round.fetch_add(1, Ordering::AcqRel);
        self.held.hear(&self.round);
    }

    /// Looks at a home.
    pub(super) fn look(&self, home: &Path) -> io::Result<SeenHome> {
        let round = self.round();
        if let Some(held) = self.held.home(round, home) {
            return Ok(held);
        }
        Ok(SeenHome { seen: self.homes.look(round, home, || look(home))?, names: None, is_held: false })
    }

    /// Looks at a file, or at the symbolic link that is there in place of one.
    pub(super) fn look_at_file(&self, path: &Path) -> io::Result<Seen> {
        let round = self.round();
        if let Some(seen) = self.held.file(round, path) {
            return Ok(seen);
        }
        let seen = self.files.look(round, path, || look_at_file(path))?;
        self.held.hold_file(round, path, seen);
        Ok(seen)
    }

    /// Returns the dot-qmail files of a home that is as it was seen; `None` if they are not known.
    pub(super) fn names(&self, home: &Path, found: SeenHome) -> Option<Names> {
        if found.names.is_some() {
            return found.names;
        }
        let names = self.memory.names(home, found.seen.version?)?;
        if !found.is_held {
            self.held.hold_home(self.round(), home, found.seen, &names);
        }
        Some(names)
    }

    fn round(&self) -> u64 {
        self.round.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
