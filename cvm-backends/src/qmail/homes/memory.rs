//! The memory of names: those of one folder each, for as long as they hold.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::listing::{self, Listing, Names};

/// Parts that are locked, emptied and enlarged each for itself.
const SHARDS: usize = 64;

/// How many folders a shard remembers: as many as a table of 2048 places holds. That is 114 688 in all, in 6.4 MB.
const FOLDERS_MAX: usize = 1792;

/// How many bytes of names it remembers beyond that; 2 MB in all.
const BYTES_MAX: usize = 32 * 1024;

/// What is remembered, under the folder and not its path: where the path leads is looked up each time.
pub(super) struct Memory {
    shards: Box<[Mutex<Shard>]>,
}

#[derive(Default)]
struct Shard {
    known: HashMap<Folder, Known>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Folder {
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
/// sets it back. The size and the time of the last modification tell nothing beyond that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    folder: Folder,
    /// Nanoseconds since 1970.
    changed: i64,
}

impl Version {
    /// Returns the version that was seen; `None` if its time is none that a clock shows.
    pub(super) fn of(seen: &Metadata) -> Option<Self> {
        let changed = seen.ctime().checked_mul(1_000_000_000)?.checked_add(seen.ctime_nsec())?;
        Some(Self { folder: Folder { device: seen.dev(), inode: seen.ino() }, changed })
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

impl Memory {
    /// Returns the dot-qmail files of a home that is as it was seen; `None` if they are not known.
    pub(super) fn names(&self, home: &Path, seen: &Metadata) -> Option<Names> {
        let version = Version::of(seen)?;
        match self.recall(version) {
            Some(What::Read(listing)) => listing.names(),
            Some(What::Seen) => {
                let listing = listing::read(home, seen)?;
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
        shard.known.get(&version.folder).filter(|known| known.changed == version.changed).map(|known| known.what.clone())
    }

    fn keep(&self, version: Version, what: What) {
        self.shard(version.folder).keep(version, what);
    }

    /// Numbers of folders often differ by multiples of large powers of two.
    fn shard(&self, folder: Folder) -> MutexGuard<'_, Shard> {
        let mixed = (folder.inode ^ folder.device).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let number = usize::try_from(mixed >> 32).unwrap_or(0) % self.shards.len();
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
