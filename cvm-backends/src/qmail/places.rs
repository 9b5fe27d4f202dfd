//! Folders: whether a look at a file there may have to wait for another host or another program.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Instant;

use cvm_core::answer::Patience;
use foldhash::HashMap;

use crate::halt::Halt;

/// The file systems that answer from memory or a local disk, and the number that each has for statfs(2).
const LOCAL: [(&[u8], u64); 13] = [
    (b"bcachefs", 0xca45_1a4e),
    (b"btrfs", 0x9123_683e),
    (b"ext2", 0xef53),
    (b"ext3", 0xef53),
    (b"ext4", 0xef53),
    (b"f2fs", 0xf2f5_2010),
    (b"jfs", 0x3153_464a),
    (OVERLAY, 0x794c_7630),
    (b"ramfs", 0x8584_58f6),
    (b"reiserfs", 0x5265_4973),
    (b"tmpfs", 0x0102_1994),
    (b"xfs", 0x5846_5342),
    (ZFS, 0x2fc1_2fc1),
];

/// The one of them that shows files of others, which may have been given their times by another host.
const OVERLAY: &[u8] = b"overlay";

/// The one that may be taken back to what it was before, while it is mounted, without a word.
const ZFS: &[u8] = b"zfs";

/// How long what was learnt of a folder holds, in milliseconds: something else may be mounted there.
const HOLDS: u64 = 10_000;

/// How many folders are remembered.
const KNOWN_MAX: usize = 4096;

/// What is known of folders. A folder is local if it and everything mounted below it is; where a symbolic link in
/// the folder leads is not looked at.
pub(crate) struct Places {
    known: RwLock<HashMap<OsString, Place>>,
    start: Instant,
    /// Milliseconds from the start to the last round.
    now: AtomicU64,
    /// Somebody wants to know: nobody does in a program that answers one request.
    is_wanted: AtomicBool,
}

struct Place {
    is_local: bool,
    /// When somebody looks again. Until he has, the others go by what is known.
    renew_at: AtomicU64,
    is_due: AtomicBool,
}

impl Places {
    pub(crate) fn new() -> Self {
        Self {
            known: RwLock::default(),
            start: Instant::now(),
            now: AtomicU64::new(0),
            is_wanted: AtomicBool::new(false),
        }
    }

    /// Takes the time, once a round.
    pub(crate) fn refresh(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now.store(now, Ordering::Relaxed);
    }

    /// Lets those pass who can wait; others only if the folder is known to be local.
    pub(crate) fn allow(&self, folder: &Path, patience: Patience) -> Result<(), Halt> {
        let now = self.now.load(Ordering::Relaxed);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match (patience, known.get(folder.as_os_str())) {
            (Patience::Immediate, Some(place)) if place.is_local && !place.is_left_to_me(now) => Ok(()),
            (Patience::Immediate, _) => {
                self.is_wanted.store(true, Ordering::Relaxed);
                Err(Halt::Waits)
            }
            (Patience::Blocking, Some(place)) if !place.must_be_renewed(now) => Ok(()),
            (Patience::Blocking, _) if !self.is_wanted.load(Ordering::Relaxed) => Ok(()),
            (Patience::Blocking, _) => {
                drop(known);
                self.learn(folder);
                Ok(())
            }
        }
    }

    fn learn(&self, folder: &Path) {
        let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        let is_local = folder.canonicalize().is_ok_and(|folder| is_local(&folder, &mounts));
        let renew_at = AtomicU64::new(self.now.load(Ordering::Relaxed).saturating_add(HOLDS));
        let place = Place { is_local, renew_at, is_due: AtomicBool::new(false) };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(folder.as_os_str().to_owned(), place);
    }
}

impl Place {
    /// Tells one of those who cannot wait, after a time, that he should be one who can.
    fn is_left_to_me(&self, now: u64) -> bool {
        let renew_at = self.renew_at.load(Ordering::Relaxed);
        let next = now.saturating_add(HOLDS);
        let mine = now >= renew_at
            && self.renew_at.compare_exchange(renew_at, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            self.is_due.store(true, Ordering::Relaxed);
        }
        mine
    }

    fn must_be_renewed(&self, now: u64) -> bool {
        self.is_due.swap(false, Ordering::Relaxed) || now >= self.renew_at.load(Ordering::Relaxed)
    }
}

/// Returns the folder that something is in, or itself if the path does not tell: as [`Path::parent`] does, which takes a
/// path to pieces for that.
pub(crate) fn folder_of(path: &Path) -> &Path {
    let bytes = path.as_os_str().as_bytes();
    match memchr::memrchr(b'/', bytes) {
        Some(at) if at > 0 && at + 1 < bytes.len() => Path::new(OsStr::from_bytes(bytes.split_at(at).0)),
        _ => path.parent().unwrap_or(path),
    }
}

/// Tells whether the times of what is changed in an open folder are those of our own clock.
///
/// # Errors
///
/// Those of fstatfs(2).
pub(super) fn keeps_our_time(folder: &File) -> io::Result<bool> {
    is_one_of_ours(folder, &[OVERLAY])
}

/// Tells whether the kernel tells of everything that happens to what is open.
///
/// # Errors
///
/// Those of fstatfs(2).
pub(super) fn tells_what_happens(opened: &OwnedFd) -> io::Result<bool> {
    is_one_of_ours(opened, &[OVERLAY, ZFS])
}

/// Tells whether something is on a local file system that is none of these.
fn is_one_of_ours(opened: impl AsFd, but: &[&[u8]]) -> io::Result<bool> {
    let number = u64::try_from(rustix::fs::fstatfs(opened)?.f_type).ok();
    Ok(LOCAL.iter().any(|&(name, its)| number == Some(its) && !but.contains(&name)))
}

/// Reads proc_pid_mountinfo(5): tells whether a folder without symbolic links, and all below it, is local.
fn is_local(folder: &Path, mounts: &[u8]) -> bool {
    let mut here: Option<(usize, bool)> = None;
    for (point, kind) in mounts.split(|&byte| byte == b'\n').filter_map(mount) {
        let is_local = LOCAL.iter().any(|(name, _)| *name == kind);
        if folder.starts_with(&point) {
            let length = point.as_os_str().len();
            // Of two mounts at one point the later one covers the other.
            if here.is_none_or(|(longest, _)| length >= longest) {
                here = Some((length, is_local));
            }
        } else if point.starts_with(folder) && !is_local {
            return false;
        }
    }
    here.is_some_and(|(_, is_local)| is_local)
}

/// Returns the mount point and the kind of file system of a line.
fn mount(line: &[u8]) -> Option<(PathBuf, &[u8])> {
    let mut fields = line.split(|&byte| byte == b' ');
    let point = fields.nth(4)?;
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some((OsString::from_vec(unescaped(point)).into(), kind))
}

/// Blanks, tabs, line ends and backslashes are written as a backslash and three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| first == b'\\').and_then(|digits| str::from_utf8(digits).ok());
        let escaped = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(escaped.unwrap_or(first));
        rest = tail.get(if escaped.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /home rw - autofs auto rw
24 22 8:2 / /var/my\\040mail rw - xfs /dev/sdb rw
25 24 0:6 / /var/my\\040mail/far rw shared:2 master:1 - nfs4 host:/x rw
26 22 0:7 / /srv rw - nfs host:/y rw
27 26 8:3 / /srv rw - btrfs /dev/sdc rw
garbage
";

    #[test]
    fn a_folder_is_local_if_it_and_all_below_it_is() {
        for (folder, expected) in [
            ("/etc", true),
            ("/", false),
            ("/home", false),
            ("/home/joe", false),
            ("/homes", true),
            ("/var/my mail", false),
            ("/var/my mail/near", true),
            ("/var/my mail/far/x", false),
            ("/var/my", true),
            ("/srv/x", true),
        ] {
            assert_eq!(is_local(Path::new(folder), MOUNTS), expected, "{folder}");
        }
        assert!(!is_local(Path::new("/etc"), b""));
    }

    #[test]
    fn the_folder_of_a_path_is_what_it_is_in() {
        for (path, expected) in
            [("/home/joe", "/home"), ("/home/joe/", "/home"), ("/joe", "/"), ("/", "/"), ("joe", ""), ("a/b/.", "a/b")]
        {
            assert_eq!(folder_of(Path::new(path)), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn only_disks_of_our_own_keep_our_time() {
        for (folder, expected) in [("/dev/shm", true), ("/proc", false), ("/sys", false)] {
            let folder = File::open(folder).expect("a folder");
            assert_eq!(keeps_our_time(&folder).expect("a file system"), expected, "{folder:?}");
            assert!(is_one_of_ours(&folder, &[b"tmpfs"]).is_ok_and(|is_ours| !is_ours), "{folder:?}");
            assert_eq!(tells_what_happens(&folder.into()).expect("a file system"), expected);
        }
    }

    #[test]
    fn who_cannot_wait_passes_where_somebody_has_looked() {
        let places = Places::new();
        let memory = Path::new("/dev/shm");
        let devices = Path::new("/proc");
        assert_eq!(places.allow(memory, Patience::Immediate), Err(Halt::Waits));
        for folder in [memory, devices] {
            assert_eq!(places.allow(folder, Patience::Blocking), Ok(()));
        }
        assert_eq!(places.allow(memory, Patience::Immediate), Ok(()));
        assert_eq!(places.allow(devices, Patience::Immediate), Err(Halt::Waits));
    }

    #[test]
    fn after_a_time_one_of_those_who_cannot_wait_is_sent_to_look_again() {
        let places = Places::new();
        let memory = Path::new("/dev/shm");
        assert_eq!(places.allow(memory, Patience::Immediate), Err(Halt::Waits));
        assert_eq!(places.allow(memory, Patience::Blocking), Ok(()));
        let is_local = |is_local| {
            let mut known = places.known.write().expect("not poisoned");
            let place = known.get_mut(memory.as_os_str()).expect("known");
            std::mem::replace(&mut place.is_local, is_local)
        };
        assert!(is_local(true));
        places.now.store(HOLDS, Ordering::Relaxed);
        assert_eq!(places.allow(memory, Patience::Immediate), Err(Halt::Waits));
        for _ in 0..3 {
            assert_eq!(places.allow(memory, Patience::Immediate), Ok(()));
        }
        // Whoever can wait has it to do, once.
        assert!(is_local(false));
        assert_eq!(places.allow(memory, Patience::Blocking), Ok(()));
        assert!(is_local(false));
        assert_eq!(places.allow(memory, Patience::Blocking), Ok(()));
        assert!(!is_local(true));
    }
}
