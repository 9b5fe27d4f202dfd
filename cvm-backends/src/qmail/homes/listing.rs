//! Listings: the dot-qmail files of a folder.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, RawDir, StatxAttributes, StatxFlags};

use super::memory::Version;
use crate::qmail::places;

/// How many entries of a folder are read, in an event loop, which has others to answer: 256, and the two for itself and
/// the one above it.
const ENTRIES_MAX: usize = 258;

/// How many bytes of names are remembered of a folder.
const BYTES_MAX: usize = 4096;

/// How many bytes of entries are read at a time: those of a folder whose names are not long, with one call.
const READ_AT_ONCE: usize = 8 * 1024;

/// What an allocation takes beyond what is asked for.
const OVERHEAD: usize = 32;

/// What the names of all dot-qmail files begin with.
pub(in crate::qmail) const BEGINNING: &[u8] = b".qmail";

/// What reading a folder came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    /// These dot-qmail files.
    Names(Names),
    /// Nothing to go by: there is too much, or it cannot be read, or other names may lead to what is there.
    Nothing,
}

/// The dot-qmail files of a folder: what follows [`BEGINNING`] in the name of each, after a byte with its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::qmail) struct Names(Arc<[u8]>);

impl Listing {
    pub(super) fn names(self) -> Option<Names> {
        match self {
            Self::Names(names) => Some(names),
            Self::Nothing => None,
        }
    }

    /// How many bytes of memory it takes beyond its own.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Names(names) if !names.0.is_empty() => names.0.len() + OVERHEAD,
            _ => 0,
        }
    }
}

impl Names {
    #[cfg(test)]
    pub(super) const fn of_bytes(bytes: Arc<[u8]>) -> Self {
        Self(bytes)
    }

    /// How many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there may be a dot-qmail file with this ending. A file of another folder, and a name that some
    /// file systems take for another, may always be there.
    pub(in crate::qmail) fn may_have(&self, ending: &[u8]) -> bool {
        !is_plain(ending) || self.has(ending)
    }

    fn has(&self, ending: &[u8]) -> bool {
        let mut rest = &self.0[..];
        while let Some((&length, others)) = rest.split_first()
            && let Some((found, others)) = others.split_at_checked(length.into())
        {
            if found == ending {
                return true;
            }
            rest = others;
        }
        false
    }
}

/// Reads a home of which this version was seen; `None` if what is read now might not hold as long as the home looks the same.
///
/// Whatever changes the folder from now on gives it another time than one that lies back for so long. That the folder
/// has still the one that was seen when all is read means that nothing has changed meanwhile, and that it is the same.
pub(super) fn read(home: &Path, seen: Version) -> Option<Listing> {
    if !seen.is_past() {
        return None;
    }
    match read_old(home, seen) {
        // It will be no other way until the folder changes.
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
            Some(Listing::Nothing)
        }
        listing => listing.ok().flatten(),
    }
}

fn read_old(home: &Path, seen: Version) -> io::Result<Option<Listing>> {
    let flags = OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let folder = File::from(rustix::fs::open(home, flags, Mode::empty())?);
    let listing = if shows_its_names(&folder)? { entries(&folder)? } else { Listing::Nothing };
    let is_as_seen = Version::of(&rustix::fs::fstat(&folder)?) == Some(seen);
    Ok(is_as_seen.then_some(listing))
}

/// Tells whether a file is there if it is listed, and not without a change of the folder. Of encrypted folders that is
/// not so, whose names change with the keys that are there, nor of those on other hosts, whose clocks are not ours.
///
/// # Errors
///
/// `PermissionDenied` if we may list the folder, but not look into it.
fn shows_its_names(folder: &File) -> io::Result<bool> {
    if !places::keeps_our_time(folder)? {
        return Ok(false);
    }
    let found = rustix::fs::statx(folder, c".", AtFlags::empty(), StatxFlags::BASIC_STATS)?;
    Ok(!found.stx_attributes.contains(StatxAttributes::ENCRYPTED))
}

fn entries(folder: &File) -> io::Result<Listing> {
    let mut space = [MaybeUninit::uninit(); READ_AT_ONCE];
    let mut entries = RawDir::new(folder, &mut space);
    let (mut count, mut names) = (0, Vec::new());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        count += 1;
        let ending = name.strip_prefix(BEGINNING).filter(|ending| is_plain(ending));
        if let Some((ending, length)) = ending.and_then(|ending| Some((ending, u8::try_from(ending.len()).ok()?))) {
            names.push(length);
            names.extend_from_slice(ending);
        } else if may_be_taken_for_ours(name) {
            return Ok(Listing::Nothing);
        }
        if count > ENTRIES_MAX || names.len() > BYTES_MAX {
            return Ok(Listing::Nothing);
        }
    }
    Ok(Listing::Names(Names(if names.is_empty() { Arc::default() } else { names.into() })))
}

/// Tells whether only a name that is the same, byte by byte, leads to a file of this one, on every file system: some
/// take capital letters for small ones, and some characters for others or for nothing.
fn is_plain(ending: &[u8]) -> bool {
    ending.iter().all(|&byte| byte.is_ascii() && !byte.is_ascii_uppercase() && byte != b'/' && byte != 0)
}

/// Tells whether a file system may take this name for one that begins as dot-qmail files do.
fn may_be_taken_for_ours(name: &[u8]) -> bool {
    for (found, wanted) in name.iter().zip(BEGINNING) {
        if !found.eq_ignore_ascii_case(wanted) {
            return !found.is_ascii();
        }
    }
    name.len() >= BEGINNING.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whole() {
        let names = Names(Arc::from(&b"\x02-a\x00\x08-default\x03-ab"[..]));
        for ending in ["", "-a", "-ab", "-default"] {
            assert!(names.may_have(ending.as_bytes()), "{ending}");
        }
        for ending in ["-", "-b", "-abc", "default", "a"] {
            assert!(!names.may_have(ending.as_bytes()), "{ending}");
        }
        let none = Names(Arc::default());
        assert!(!none.may_have(b"") && !none.may_have(b"-default"));
        for ending in [&b"-A"[..], b"-\xc3\xa4", b"-a/b", b"-a\0"] {
            assert!(none.may_have(ending));
        }
    }

    #[test]
    fn what_some_file_systems_take_for_a_dot_qmail_file_is_not_passed_over() {
        for name in [".QMAIL-a", ".Qmail", ".qmail-\u{e4}", ".q\u{ad}mail", "\u{ad}.qmail", ".qmail-A"] {
            assert!(may_be_taken_for_ours(name.as_bytes()), "{name}");
        }
        for name in [".", "..", ".q", ".profile", "Maildir", "x\u{e4}", "qmail-a", ".qmaik\u{e4}"] {
            assert!(!may_be_taken_for_ours(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_folder_remembered_without_names_takes_few_bytes() {
        assert_eq!(Listing::Names(Names(Arc::default())).bytes(), 0);
        assert_eq!(Listing::Nothing.bytes(), 0);
        assert_eq!(Listing::Names(Names(Arc::from(&b"\x08-default"[..]))).bytes(), 9 + OVERHEAD);
    }
}
