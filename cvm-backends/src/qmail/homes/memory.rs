//! The memory of names: those of one folder each, for as long as they hold.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use rustix::fs::Stat;

use super::listing::{self, Listing, Names};
use crate::stamp;

/// Parts that are locked, emptied and enlarged each for itself.
const SHARDS: usize = 64;

/// How many folders a shard remembers: as many as a table of 2048 places holds. That is 114 688 in all, in 6.4 MB.
const FOLDERS_MAX: usize = 1792;

/// How many bytes of names it remembers beyond that; 2 MB in all.
const BYTES_MAX: usize = 32 * 1024;

/// What is remembered, under the folder and not its path: where the path leads is looked up each time.
pub(super) struct Memory {
    shards: Box<[Mutex<Shard>]>,
    /// File systems number their folders in many ways, most of them regular.
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    known: HashMap<Folder, Known, RandomState>,
    bytes: usize,
}

/// A folder, or another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Folder {
    device: u64,
    inode: u64,
}

struct Known {
    changed: i64,
    what: What,
}

#[derive(Clone)]
enum What {
    /// It was seen. Only what is asked for again is worth being read.
    Seen,
    /// It was read.
    Read(Listing),
}

/// A version of a folder.
///
/// Its time of change is that of the last name that came or went, or of its last mode; the kernel sets it, and nobody
/// sets it back, but who takes a file system back to what it was. The size and the time of the last modification tell
/// nothing beyond that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    folder: Folder,
    /// Nanoseconds since 1970.
    changed: i64,
}

impl Version {
    /// Returns the version that was seen; `None` if its time is none that a clock shows.
    pub(super) fn of(stat: &Stat) -> Option<Self> {
        let changed = stat.st_ctime.checked_mul(1_000_000_000)?.checked_add(stat.st_ctime_nsec.try_into().ok()?)?;
        Some(Self { folder: Folder { device: stat.st_dev, inode: stat.st_ino }, changed })
    }

    /// Returns what it is a version of.
    pub(super) const fn folder(self) -> Folder {
        self.folder
    }

    /// Tells whether every change from now on makes another version.
    pub(super) fn is_past(self) -> bool {
        stamp::is_past(self.changed)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::default() }
    }
}

impl Memory {
    /// Returns the dot-qmail files of a home that is as it was seen; `None` if they are not known.
    pub(super) fn names(&self, home: &Path, version: Version) -> Option<Names> {
        match self.recall(version) {
            Some(What::Read(listing)) => listing.names(),
            Some(What::Seen) => {
                let listing = listing::read(home, version)?;
                self.keep(version, What::Read(listing.clone()));
                listing.names()
            }
            None => {
                self.keep(version, What::Seen);
                None
            }
        }
    }

    fn recall(&self, version: Version) -> Option<What> {
        let shard = self.shard(version.folder);
        shard
            .known
            .get(&version.folder)
            .filter(|known| known.changed == version.changed)
            .map(|known| known.what.clone())
    }

    fn keep(&self, version: Version, what: What) {
        self.shard(version.folder).keep(version, what);
    }

    fn shard(&self, folder: Folder) -> MutexGuard<'_, Shard> {
        let number = usize::try_from(self.hasher.hash_one(folder) % SHARDS as u64).unwrap_or(0);
        self.shards[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    /// Takes note; a shard that is full begins anew.
    fn keep(&mut self, version: Version, what: What) {
        if let Some(before) = self.known.remove(&version.folder) {
            self.bytes -= before.what.bytes();
        }
        let bytes = what.bytes();
        if self.known.len() >= FOLDERS_MAX || self.bytes + bytes > BYTES_MAX {
            self.known.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.known.insert(version.folder, Known { changed: version.changed, what });
    }
}

impl What {
    fn bytes(&self) -> usize {
        match self {
            Self::Seen => 0,
            Self::Read(listing) => listing.bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn version(inode: u64, changed: i64) -> Version {
        Version { folder: Folder { device: 1, inode }, changed }
    }

    #[test]
    fn a_hundred_thousand_folders_are_remembered_at_once() {
        // The numbers that file systems give: in a row, or the first ones of groups.
        for numbers in [1, 8192] {
            let memory = Memory::default();
            for number in 0..100_000 {
                memory.keep(version(number * numbers, 1), What::Read(Listing::Nothing));
            }
            let known = (0..100_000).filter(|number| memory.recall(version(number * numbers, 1)).is_some()).count();
            assert_eq!(known, 100_000);
        }
        assert!(size_of::<(Folder, Known)>() <= 48);
        let mut full = HashMap::<Folder, Known>::with_capacity(FOLDERS_MAX);
        assert_eq!(full.capacity(), FOLDERS_MAX);
        full.reserve(FOLDERS_MAX + 1);
        assert!(full.capacity() > FOLDERS_MAX);
    }

    #[test]
    fn another_version_is_another_folder_for_us() {
        let memory = Memory::default();
        memory.keep(version(1, 1), What::Seen);
        assert!(memory.recall(version(1, 1)).is_some());
        for other in [version(1, 2), version(2, 1), Version { folder: Folder { device: 2, inode: 1 }, changed: 1 }] {
            assert!(memory.recall(other).is_none());
        }
        memory.keep(version(1, 2), What::Seen);
        assert!(memory.recall(version(1, 1)).is_none());
    }

    #[test]
    fn what_is_full_begins_anew() {
        let names = || What::Read(Listing::Names(Names::of_bytes(Arc::from([0; 1000]))));
        let mut shard = Shard::default();
        let each = names().bytes();
        assert!(each >= 1000);
        for round in 0..3 {
            for inode in 0..100 {
                shard.keep(version(inode, round), names());
                assert_eq!(shard.bytes, shard.known.len() * each);
                assert!(shard.bytes <= BYTES_MAX);
            }
        }
        shard.keep(version(99, 3), What::Seen);
        assert_eq!(shard.bytes, (shard.known.len() - 1) * each);
        for inode in 0..10_000 {
            shard.keep(version(inode, 4), What::Seen);
            assert!(shard.known.len() <= FOLDERS_MAX);
        }
        assert!(shard.known.contains_key(&version(9999, 4).folder));
    }
}
