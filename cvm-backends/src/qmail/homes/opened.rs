//! Something that was opened in a folder that was opened, both only to be looked at: whatever becomes of their paths.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, fstat, open, openat};

use super::Seen;
use crate::qmail::places;

/// A folder, and what is in it.
pub(super) struct Opened {
    folder: OwnedFd,
    pub(super) file: OwnedFd,
}

impl Opened {
    /// Opens a folder, and in it what the last part of a path names; a symbolic link is opened itself.
    ///
    /// # Errors
    ///
    /// Those of open(2).
    pub(super) fn in_folder(folder: &Path, path: &Path) -> io::Result<Self> {
        let only_to_look = OFlags::PATH | OFlags::CLOEXEC;
        let folder = open(folder, only_to_look | OFlags::DIRECTORY, Mode::empty())?;
        let file = openat(&folder, last_part(path), only_to_look | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(Self { folder, file })
    }

    /// Looks at the folder.
    pub(super) fn folder(&self) -> Option<Seen> {
        look(&self.folder)
    }

    /// Looks at what is in it.
    pub(super) fn file(&self) -> Option<Seen> {
        look(&self.file)
    }

    /// Tells whether it is no symbolic link, and both change in no way of which nobody hears.
    pub(super) fn can_be_watched(&self) -> bool {
        let tells = |opened| places::tells_what_happens(opened).unwrap_or(false);
        self.file().is_some_and(|file| !file.kind().is_symlink()) && tells(&self.folder) && tells(&self.file)
    }
}

/// Returns what a path names in the folder that the path before it leads to.
pub(super) fn last_part(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

fn look(opened: &OwnedFd) -> Option<Seen> {
    Some(Seen::of(&fstat(opened).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_without_a_word_cannot_be_watched() {
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        std::os::unix::fs::symlink("file", folder.path().join("link")).expect("a link");
        std::fs::write(folder.path().join("file"), "").expect("written");
        let ours = folder.path().to_str().expect("UTF-8");
        for (folder, name, expected) in
            [(ours, "file", true), (ours, "link", false), ("/proc", "1", false), ("/", "proc", false)]
        {
            let (folder, path) = (Path::new(folder), Path::new(folder).join(name));
            assert_eq!(Opened::in_folder(folder, &path).expect("it opens").can_be_watched(), expected, "{path:?}");
        }
    }
}
