//! Stamps: what tells one version of a file from another.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;

/// How long a version without a final newline may still be in the writing, and a missing file be between two versions.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// How much time the kernel may put on two changes of one file without telling them apart.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// What tells one version of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    pub(crate) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Tells whether the last change lies at least this far back, by the clock on the wall.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        let (seconds, nanoseconds) = self.changed.max(self.modified);
        let seconds = u64::try_from(seconds).unwrap_or(0);
        let since_epoch = Duration::new(seconds, u32::try_from(nanoseconds).unwrap_or(0));
        UNIX_EPOCH
            .checked_add(since_epoch)
            .and_then(|changed| SystemTime::now().duration_since(changed).ok())
            .is_some_and(|since| since >= age)
    }
}

/// Opens a regular file and takes its stamp; anything else might block or never end.
pub(crate) fn open(path: &Path) -> io::Result<(File, Stamp)> {
    let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, Stamp::of(&metadata))) } else { Err(io::Error::other("not a regular file")) }
}
