//! The limits of a domain: small files that vpopmail writes in place.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::thread;
use std::time::Instant;

use cvm_core::answer::Patience;

use super::service::Flags;
use crate::stamp::{GRACE, Links, Sight, Stamp, TICK};

/// The largest file that is taken for limits; those of vpopmail have two dozen lines.
const SIZE_MAX: u64 = 64 * 1024;

/// What a look at a file led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Limits {
    /// There is no such file.
    Missing,
    /// It is being written, for which there is no patience.
    Unsettled,
    /// It says this.
    Read(Flags),
}

/// Reads a file, if need be for as long as it may be in the writing: half of the limits are the wrong ones.
///
/// # Errors
///
/// Those of opening and reading; another one if the file does not become whole.
pub(super) fn read(path: &Path, links: Links, patience: Patience) -> io::Result<Limits> {
    let give_up = Instant::now() + GRACE + TICK;
    let mut seen = Sight::default();
    loop {
        let (mut file, stamp) = match links.open(path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Limits::Missing),
            Err(error) => return Err(error),
        };
        seen.see(stamp);
        if let Some(text) = whole(&mut file, stamp, &seen)? {
            return Ok(Limits::Read(Flags::of_limits(&text)));
        }
        if patience == Patience::Immediate {
            return Ok(Limits::Unsettled);
        }
        if Instant::now() >= give_up {
            return Err(io::Error::other("the file is being written"));
        }
        thread::sleep(TICK);
    }
}

/// Returns what is in a file, unless somebody seems to be writing to it.
fn whole(file: &mut File, stamp: Stamp, seen: &Sight) -> io::Result<Option<Vec<u8>>> {
    if stamp.size > SIZE_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut text = Vec::new();
    file.take(SIZE_MAX).read_to_end(&mut text)?;
    let age = if text.ends_with(b"\n") { TICK } else { GRACE };
    let is_whole = seen.has_aged(stamp, age) && Stamp::of(&file.metadata()?) == stamp;
    Ok(is_whole.then_some(text))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    /// A file that was written a time ago; its status was changed now.
    fn written(path: &Path, text: &str) {
        std::fs::write(path, text).expect("written");
    }

    #[test]
    fn a_missing_file_sets_no_limits() {
        let folder = tempfile::tempdir().expect("a folder");
        for patience in [Patience::Immediate, Patience::Blocking] {
            assert_eq!(read(&folder.path().join("none"), Links::Refused, patience).expect("no error"), Limits::Missing);
        }
    }

    #[test]
    fn a_file_that_has_just_been_written_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("limits");
        // Without its last line end it may have lost lines.
        for (text, age) in [("disable_pop\n", TICK), ("disable_pop", GRACE), ("", GRACE)] {
            written(&path, text);
            let start = Instant::now();
            assert_eq!(
                read(&path, Links::Refused, Patience::Immediate).expect("readable"),
                Limits::Unsettled,
                "{text:?}"
            );
            let expected = Limits::Read(Flags::of_limits(text.as_bytes()));
            assert_eq!(read(&path, Links::Refused, Patience::Blocking).expect("readable"), expected);
            assert!(start.elapsed() + Duration::from_millis(10) >= age, "{text:?}");
            assert_eq!(read(&path, Links::Refused, Patience::Immediate).expect("readable"), expected);
        }
    }

    #[test]
    fn a_file_of_tomorrow_is_read_after_a_while() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("limits");
        written(&path, "disable_pop\n");
        let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
        File::options().write(true).open(&path).and_then(|file| file.set_modified(tomorrow)).expect("a time");
        let expected = Limits::Read(Flags::of_limits(b"disable_pop"));
        assert_eq!(read(&path, Links::Refused, Patience::Blocking).expect("readable"), expected);
    }

    #[test]
    fn what_is_no_file_of_limits_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(read(folder.path(), Links::Followed, Patience::Blocking).is_err());
        let (path, link) = (folder.path().join("limits"), folder.path().join("link"));
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        written(&path, "disable_pop\n");
        assert!(read(&link, Links::Refused, Patience::Blocking).is_err());
        assert!(matches!(read(&link, Links::Followed, Patience::Blocking), Ok(Limits::Read(_))));
        written(&path, &"x\n".repeat(40_000));
        assert!(read(&path, Links::Refused, Patience::Blocking).is_err());
    }
}
