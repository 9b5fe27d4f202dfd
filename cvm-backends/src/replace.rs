//! Replacing a file that others may replace as well: whole or not at all, and only the version that was read.
//!
//! Everything happens in the folder that the file was found in, whatever its path leads to later; the new version has
//! the mode and the owner of the old one. Those who do the same keep each other out by a lock on the old version. Others
//! do not know it: the two files change places in one step, and if another version than the one that was read is what
//! comes out, they change back.

mod left_over;

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::stamp::Stamp;

/// How many times in a row a file is read that is replaced meanwhile.
const TRIES: usize = 4;

/// The largest file that is replaced: it is held in memory twice, and belongs to somebody who may wish that it were not.
const SIZE_MAX: u64 = 16 * 1024 * 1024;

/// Replaces a file by what `make` makes of its bytes; tells whether it was replaced. It is not if `make` makes nothing,
/// or if somebody else is about to replace it.
///
/// # Errors
///
/// Those of reading and writing, and of `make`; then the file is as it was.
pub(crate) fn replace(path: &Path, make: impl Fn(&[u8]) -> io::Result<Option<Zeroizing<Vec<u8>>>>) -> io::Result<bool> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let folder = rustix::fs::open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let name = path.file_name().ok_or(Errno::INVAL)?;
    for _ in 0..TRIES {
        let mut old = Old::open(&folder, name)?;
        if !old.lock()? {
            return Ok(false);
        }
        if !old.is_in_place()? {
            continue;
        }
        let Some(bytes) = make(&old.read()?)? else {
            return Ok(false);
        };
        left_over::remove(&folder, name, left_over::AGE);
        let new = New::write(&old, &bytes)?;
        if old.is_in_place()? && new.take_place_of(&old)? {
            rustix::fs::fsync(&folder)?;
            return Ok(true);
        }
    }
    Err(io::Error::other("others replace it all the time"))
}

/// The version that is there.
struct Old<'f> {
    folder: &'f OwnedFd,
    name: &'f OsStr,
    file: File,
    metadata: Metadata,
}

impl<'f> Old<'f> {
    fn open(folder: &'f OwnedFd, name: &'f OsStr) -> io::Result<Self> {
        // Where a symbolic link leads, the link would be replaced.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(folder, name, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Self { folder, name, file, metadata })
    }

    /// Keeps out those who do the same, as long as this lives; tells whether none of them was there first.
    fn lock(&self) -> io::Result<bool> {
        match rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(_) => Err(io::Error::other("it cannot be locked")),
        }
    }

    fn read(&mut self) -> io::Result<Zeroizing<Vec<u8>>> {
        let size = self.metadata.len();
        let length = usize::try_from(size).ok().filter(|_| size <= SIZE_MAX).ok_or(Errno::FBIG)?;
        let mut bytes = Zeroizing::new(Vec::new());
        bytes.try_reserve_exact(length.saturating_add(1))?;
        (&mut self.file).take(size.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() == length { Ok(bytes) } else { Err(io::Error::other("it is written to")) }
    }

    /// Tells whether the name still leads to this version.
    fn is_in_place(&self) -> io::Result<bool> {
        self.is_at(self.name)
    }

    fn is_at(&self, name: &OsStr) -> io::Result<bool> {
        let here = look(self.folder, name)?;
        let is_same_file = (here.dev(), here.ino()) == (self.metadata.dev(), self.metadata.ino());
        Ok(is_same_file && Stamp::of(&here).has_content_of(&Stamp::of(&self.metadata)))
    }
}

/// Looks at what a name in a folder leads to, without opening it.
fn look(folder: &OwnedFd, name: &OsStr) -> io::Result<Metadata> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    File::from(rustix::fs::openat(folder, name, flags, Mode::empty())?).metadata()
}

/// The version that takes its place. What is left under its own name is removed in the end.
struct New<'f> {
    folder: &'f OwnedFd,
    name: OsString,
    inode: u64,
    is_to_go: bool,
}

impl<'f> New<'f> {
    /// Writes a version with the mode and the owner of the old one, so that it survives a crash.
    fn write(old: &Old<'f>, bytes: &[u8]) -> io::Result<Self> {
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let mut name = old.name.to_owned();
        name.push(format!(".{:016x}", u64::from_ne_bytes(random)));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(old.folder, &name, flags, Mode::RUSR | Mode::WUSR)?;
        let mut new = Self { folder: old.folder, name, inode: 0, is_to_go: true };
        new.fill(File::from(file), bytes, &old.metadata)?;
        Ok(new)
    }

    fn fill(&mut self, mut file: File, bytes: &[u8], old: &Metadata) -> io::Result<()> {
        let made = file.metadata()?;
        self.inode = made.ino();
        file.write_all(bytes)?;
        if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(old.permissions())?;
        file.sync_all()
    }

    /// Changes places with the old version; tells whether that was the one that is there.
    fn take_place_of(mut self, old: &Old<'_>) -> io::Result<bool> {
        // On a file system that cannot do that nothing is replaced: what others put there in the moment between a last
        // look and a renaming would be lost.
        self.change_places(old.name)?;
        self.stay_or_change_back(old)
    }

    fn change_places(&self, name: &OsStr) -> rustix::io::Result<()> {
        rustix::fs::renameat_with(self.folder, &self.name, self.folder, name, RenameFlags::EXCHANGE)
    }

    /// Looks at what came out, and puts it back if others had put it there.
    fn stay_or_change_back(&mut self, old: &Old<'_>) -> io::Result<bool> {
        // Until it is known whose that is, it must not be removed.
        self.is_to_go = false;
        let stays = old.is_at(&self.name)?;
        if !stays {
            self.change_places(old.name)?;
            if look(self.folder, &self.name)?.ino() != self.inode {
                // In the meantime they have put yet another one there, which came out now.
                self.change_places(old.name)?;
            }
        }
        self.is_to_go = true;
        Ok(stays)
    }
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        if self.is_to_go {
            // If that fails, a file is left over that nobody reads.
            let _ = rustix::fs::unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    fn folder(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("table");
        std::fs::write(&path, text).expect("written");
        (folder, path)
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is what is made")]
    fn made(text: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        Ok(Some(Zeroizing::new(text.into())))
    }

    fn appended(bytes: &[u8]) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        made(&format!("{}+", String::from_utf8_lossy(bytes)))
    }

    /// What is in the table, if nothing else is in the folder.
    fn alone(path: &Path) -> String {
        let names = std::fs::read_dir(path.parent().expect("a folder")).expect("readable").count();
        assert_eq!(names, 1, "something is left over");
        std::fs::read_to_string(path).expect("readable")
    }

    fn put(path: &Path, text: &str) {
        let new = path.with_extension("theirs");
        std::fs::write(&new, text).expect("written");
        std::fs::rename(new, path).expect("renamed");
    }

    #[test]
    fn mode_and_owner_are_kept() {
        let (_folder, path) = folder("old");
        for mode in [0o600, 0o640, 0o444] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
            let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            let (uid, gid) = if own.0 == 0 { (1234, 2345) } else { own };
            chown(&path, Some(uid), Some(gid)).expect("an owner");
            let before = std::fs::metadata(&path).expect("there").ino();
            assert!(replace(&path, |_| made("new")).expect("replaced"));
            let after = std::fs::metadata(&path).expect("there");
            assert_eq!((after.permissions().mode() & 0o7777, after.uid(), after.gid()), (mode, uid, gid));
            assert_ne!(after.ino(), before);
            assert_eq!(alone(&path), "new");
        }
    }

    #[test]
    fn nothing_is_replaced_that_need_not_be_or_cannot_be_made() {
        let (_folder, path) = folder("old");
        assert!(!replace(&path, |_| Ok(None)).expect("no error"));
        assert!(replace(&path, |_| Err(io::Error::other("no"))).is_err());
        assert_eq!(alone(&path), "old");
        assert!(replace(&path.with_extension("missing"), |_| made("new")).is_err());
    }

    #[test]
    fn a_file_that_is_too_large_is_left_alone() {
        let (_folder, path) = folder("old");
        File::options().write(true).open(&path).expect("it opens").set_len(SIZE_MAX + 1).expect("a sparse file");
        assert!(replace(&path, |_| panic!("it is not read")).is_err());
        assert_eq!(std::fs::metadata(&path).expect("there").len(), SIZE_MAX + 1);
    }

    #[test]
    fn neither_a_link_nor_a_folder_is_replaced() {
        let (folder, path) = folder("old");
        let link = folder.path().join("link");
        symlink(&path, &link).expect("a link");
        assert!(replace(&link, |_| made("new")).is_err());
        assert!(replace(folder.path(), |_| made("new")).is_err());
        assert!(std::fs::symlink_metadata(&link).expect("there").is_symlink());
        std::fs::remove_file(link).expect("removed");
        assert_eq!(alone(&path), "old");
    }

    #[test]
    fn one_at_a_time_replaces_a_file() {
        let (_folder, path) = folder("old");
        let inner = Cell::new(true);
        let outer = replace(&path, |bytes| {
            inner.set(replace(&path, appended).expect("no error"));
            appended(bytes)
        });
        assert!(outer.expect("replaced") && !inner.get());
        assert_eq!(alone(&path), "old+");
    }

    #[test]
    fn a_version_that_came_meanwhile_is_the_one_that_is_replaced() {
        let (_folder, path) = folder("old");
        let times = Cell::new(0);
        let done = replace(&path, |bytes| {
            times.set(times.get() + 1);
            if times.get() < 3 {
                put(&path, &format!("theirs {}", times.get()));
            }
            appended(bytes)
        });
        assert!(done.expect("replaced"));
        assert_eq!((alone(&path).as_str(), times.get()), ("theirs 2+", 3));
    }

    #[test]
    fn a_file_that_never_rests_is_left_alone() {
        let (_folder, path) = folder("old");
        let done = replace(&path, |bytes| {
            put(&path, "theirs");
            appended(bytes)
        });
        assert!(done.is_err());
        assert_eq!(alone(&path), "theirs");
    }

    #[test]
    fn a_version_that_comes_in_the_last_moment_is_put_back() {
        let (folder, path) = folder("old");
        let open = || rustix::fs::open(folder.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
        let handle = open().expect("a folder");
        let old = Old::open(&handle, OsStr::new("table")).expect("there");
        let new = New::write(&old, b"new").expect("written");
        put(&path, "theirs");
        assert!(!new.take_place_of(&old).expect("no error"));
        assert_eq!(alone(&path), "theirs");
    }

    #[test]
    fn of_those_who_do_not_know_the_lock_no_version_is_lost() {
        // Where writing is fast, so that both meet often.
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let path = folder.path().join("table");
        put(&path, "0");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let ours = scope.spawn(|| {
                let mut count = 0;
                while !is_over.load(Ordering::Relaxed) {
                    count += usize::from(replace(&path, appended).unwrap_or(false));
                }
                count
            });
            let lost = (1..2000).find(|number| {
                put(&path, &number.to_string());
                if number % 8 == 0 {
                    std::thread::sleep(Duration::from_micros(200));
                }
                // Ours may be in its place for a moment, which lasts on a busy machine.
                let is_there = |text: String| text.trim_end_matches('+') == number.to_string();
                let give_up = Instant::now() + Duration::from_secs(10);
                while !std::fs::read_to_string(&path).is_ok_and(is_there) {
                    if Instant::now() > give_up {
                        return true;
                    }
                }
                false
            });
            is_over.store(true, Ordering::Relaxed);
            assert!(ours.join().expect("no panic") > 10, "both are at it");
            assert_eq!(lost, None);
        });
        assert_eq!(alone(&path).trim_end_matches('+'), "1999");
    }
}
