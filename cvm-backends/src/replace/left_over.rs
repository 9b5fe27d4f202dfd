//! What is left over of one who was killed while he replaced a file: a version beside it, with its passwords.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::fs::{AtFlags, Dir};

use crate::stamp::Stamp;

/// How old it is at least: nobody who is still at work takes so long.
pub(super) const AGE: Duration = Duration::from_secs(60 * 60);

/// How many names of a folder are looked at, which may be somebody's home.
const NAMES_MAX: usize = 10_000;

/// Removes it from the folder of a file. Whatever goes wrong, it stays where it is, and nobody reads it.
pub(super) fn remove(folder: &OwnedFd, name: &OsStr, age: Duration) {
    let Ok(entries) = Dir::read_from(folder) else {
        return;
    };
    for entry in entries.take(NAMES_MAX).filter_map(Result::ok) {
        let found = OsStr::from_bytes(entry.file_name().to_bytes());
        let is_old = || {
            let metadata = super::look(folder, found).ok().filter(std::fs::Metadata::is_file);
            metadata.is_some_and(|metadata| Stamp::of(&metadata).is_older_than(age))
        };
        if is_of(name, found) && is_old() {
            let _ = rustix::fs::unlinkat(folder, found, AtFlags::empty());
        }
    }
}

/// Tells whether this is the name of a version that takes the place of a file.
fn is_of(name: &OsStr, found: &OsStr) -> bool {
    let random = found.as_bytes().strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"."));
    random.is_some_and(|digits| digits.len() == 16 && digits.iter().all(|byte| b"0123456789abcdef".contains(byte)))
}

#[cfg(test)]
mod tests {
    use rustix::fs::{Mode, OFlags};

    use super::*;

    #[test]
    fn only_versions_of_the_file_are_removed_and_only_old_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept =
            ["t", "t.0123456789abcde", "t.0123456789abcdeg", "t.0123456789abcdef0", "s.0123456789abcdef", "t.cdb"];
        for name in kept.iter().chain(&["t.0123456789abcdef", "t.ffffffffffffffff"]) {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        std::os::unix::fs::symlink("t", folder.path().join("t.aaaaaaaaaaaaaaaa")).expect("a link");
        std::fs::create_dir(folder.path().join("t.bbbbbbbbbbbbbbbb")).expect("a folder");
        let handle = rustix::fs::open(folder.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).expect("open");
        let count = || std::fs::read_dir(folder.path()).expect("readable").count();
        remove(&handle, OsStr::new("t"), AGE);
        assert_eq!(count(), kept.len() + 4);
        remove(&handle, OsStr::new("t"), Duration::ZERO);
        assert_eq!(count(), kept.len() + 2);
        assert!(kept.iter().all(|name| folder.path().join(name).exists()));
    }
}
