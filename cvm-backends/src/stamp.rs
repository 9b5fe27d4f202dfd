//! Stamps: what tells one version of a file from another.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// How long a version without a final newline may still be in the writing, and a missing file be between two versions.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// How much time the kernel may put on two changes of one file without telling them apart.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// The same for file systems that count whole seconds.
const COARSE_TICK: Duration = Duration::from_secs(2);

/// What tells one version of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    /// The numeric id of who the file belongs to.
    pub(crate) owner: u32,
    pub(crate) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            owner: metadata.uid(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Tells whether the bytes are the same as those of another stamp of one open file, which may have lost its name.
    pub(crate) fn has_content_of(&self, other: &Self) -> bool {
        (self.size, self.modified) == (other.size, other.modified)
    }

    /// Makes sure that the file belongs to one of those who may say what is in it: these, root, or ourselves.
    pub(crate) fn check_owner(&self, owners: &[u32]) -> io::Result<()> {
        let is_one =
            self.owner == 0 || owners.contains(&self.owner) || self.owner == rustix::process::geteuid().as_raw();
        if is_one { Ok(()) } else { Err(io::Error::other("it belongs to somebody who has no business with it")) }
    }

    /// Returns how much of an age is enough: file systems that count whole seconds do not tell two changes of one apart.
    fn enough(&self, age: Duration) -> Duration {
        let counts_seconds = self.modified.1 == 0 && self.changed.1 == 0;
        if counts_seconds { age.max(COARSE_TICK) } else { age }
    }

    /// Tells whether the last change lies at least this far back, by the clock on the wall.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.is_older_at(now, age)
    }

    /// Both are counted from 1970 on.
    fn is_older_at(&self, now: Duration, age: Duration) -> bool {
        let (seconds, nanoseconds) = self.changed.max(self.modified);
        let seconds = u64::try_from(seconds).unwrap_or(0);
        let changed = Duration::new(seconds, u32::try_from(nanoseconds).unwrap_or(0));
        now.checked_sub(changed).is_some_and(|since| since >= self.enough(age))
    }
}

/// Tells whether every change from now on has another time than one at this time, in nanoseconds since 1970, by the clock
/// that the kernel takes the times of changes from: where others have the processor, that may stand still for longer than
/// a tick.
pub(crate) fn is_past(changed: i64) -> bool {
    let now = clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map(Duration::from).unwrap_or_default();
    // A file system may count whole seconds.
    let enough = if changed % 1_000_000_000 == 0 { COARSE_TICK } else { TICK };
    let changed = Duration::from_nanos(u64::try_from(changed).unwrap_or(0));
    now.checked_sub(changed).is_some_and(|since| since >= enough)
}

/// The stamp that was seen last, and when for the first time.
#[derive(Debug, Default)]
pub(crate) struct Sight(Option<(Stamp, Instant)>);

impl Sight {
    /// Takes note of a stamp; tells whether it is another one than before.
    pub(crate) fn see(&mut self, stamp: Stamp) -> bool {
        let is_new = self.0.is_none_or(|(seen, _)| seen != stamp);
        if is_new {
            self.0 = Some((stamp, Instant::now()));
        }
        is_new
    }

    /// Tells whether this stamp has stood for a time: by the clock on the wall, or by our own if that one is wrong.
    pub(crate) fn has_aged(&self, stamp: Stamp, age: Duration) -> bool {
        let watched = self.0.filter(|(seen, _)| *seen == stamp).map(|(_, since)| since.elapsed());
        stamp.is_older_than(age) || watched.is_some_and(|watched| watched >= stamp.enough(age.max(GRACE)))
    }
}

/// What becomes of a symbolic link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// It leads on: whoever made it may be believed.
    Followed,
    /// It is an error. The folder may be that of somebody who is not allowed to what it leads to, or who would have us
    /// open a device, or wait for another host.
    Refused,
}

impl Links {
    /// Opens a regular file and takes its stamp; anything else might block or never end.
    pub(crate) fn open(self, path: &Path) -> io::Result<(File, Stamp)> {
        match self {
            Self::Followed => open(path),
            Self::Refused => open_unlinked(path),
        }
    }

    /// Takes the stamp of a path's file; refused links have one of their own, which is that of no regular file.
    pub(crate) fn look(self, path: &Path) -> io::Result<Stamp> {
        match self {
            Self::Followed => look(path),
            Self::Refused => std::fs::symlink_metadata(path).map(|metadata| Stamp::of(&metadata)),
        }
    }

    /// Tells whether a file has been as it is, or missing, for longer than [`GRACE`].
    pub(crate) fn has_stood(self, path: &Path) -> bool {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        self.look(path).or_else(|_| look(folder)).is_ok_and(|stamp| stamp.is_older_than(GRACE))
    }
}

/// Takes the stamp of what a path leads to.
pub(crate) fn look(path: &Path) -> io::Result<Stamp> {
    std::fs::metadata(path).map(|metadata| Stamp::of(&metadata))
}

/// Tells whether what a path leads to has been as it is, or missing, for longer than [`GRACE`].
pub(crate) fn has_stood(path: &Path) -> bool {
    Links::Followed.has_stood(path)
}

/// Opens a file; neither a pipe nor a device makes it wait.
pub(crate) fn open_any(path: &Path) -> io::Result<File> {
    open_with(path, OFlags::empty())
}

fn open_with(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | flags).bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Opens a regular file and takes its stamp; anything else might block or never end.
pub(crate) fn open(path: &Path) -> io::Result<(File, Stamp)> {
    stamped(open_any(path)?)
}

/// The same for a file in the folder of somebody whom a symbolic link to another file is not allowed to.
pub(crate) fn open_unlinked(path: &Path) -> io::Result<(File, Stamp)> {
    stamped(open_with(path, OFlags::NOFOLLOW)?)
}

/// Opens the regular file that a symbolic link leads to; a device or a pipe is not even opened.
pub(crate) fn open_linked(path: &Path) -> io::Result<(File, Stamp)> {
    let place = File::from(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
    let (place, _) = stamped(place)?;
    open(Path::new(&format!("/proc/self/fd/{}", place.as_raw_fd())))
}

/// Tells whether [`open_unlinked`] failed because there is a symbolic link.
pub(crate) fn is_link(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::LOOP)
}

fn stamped(file: File) -> io::Result<(File, Stamp)> {
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, Stamp::of(&metadata))) } else { Err(io::Error::other("not a regular file")) }
}
