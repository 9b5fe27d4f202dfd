//! Control files: read and parsed once, and again when a look shows that they changed.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::stamp::{self, Stamp, TICK};

/// The largest control file that is read.
const SIZE_MAX: u64 = 64 * 1024 * 1024;

/// A control file and what it says; one that is missing says nothing.
pub(super) struct Control<T> {
    path: PathBuf,
    parse: fn(&[Vec<u8>]) -> T,
    current: RwLock<Version<T>>,
}

struct Version<T> {
    /// The stamp of what was read, if the file can have changed since only with another one.
    settled: Option<Stamp>,
    content: Result<Option<Arc<T>>, io::ErrorKind>,
}

impl<T> Control<T> {
    pub(super) fn open(path: PathBuf, parse: fn(&[Vec<u8>]) -> T) -> Self {
        let current = RwLock::new(read(&path, parse));
        Self { path, parse, current }
    }

    /// Looks whether the file has changed, with one `stat`, and reads it again if so.
    pub(super) fn refresh(&self) {
        let seen = std::fs::metadata(&self.path).map(|metadata| Stamp::of(&metadata)).ok();
        let is_current = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            match seen {
                Some(stamp) => current.settled == Some(stamp),
                None => matches!(current.content, Ok(None)),
            }
        };
        if !is_current {
            let version = read(&self.path, self.parse);
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = version;
        }
    }

    /// Returns what the file says, `None` if there is no such file.
    pub(super) fn get(&self) -> io::Result<Option<Arc<T>>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).content.clone().map_err(io::Error::from)
    }
}

fn read<T>(path: &Path, parse: fn(&[Vec<u8>]) -> T) -> Version<T> {
    match lines(path) {
        Ok((stamp, lines)) => {
            let settled = stamp.is_older_than(TICK).then_some(stamp);
            Version { settled, content: Ok(Some(Arc::new(parse(&lines)))) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Version { settled: None, content: Ok(None) },
        Err(error) => Version { settled: None, content: Err(error.kind()) },
    }
}

/// Reads the lines that say something, without blanks at their ends.
fn lines(path: &Path) -> io::Result<(Stamp, Vec<Vec<u8>>)> {
    let (file, stamp) = stamp::open(path)?;
    if stamp.size > SIZE_MAX {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    let mut bytes = Vec::new();
    file.take(SIZE_MAX).read_to_end(&mut bytes)?;
    let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    Ok((stamp, lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).map(<[u8]>::to_vec).collect()))
}
