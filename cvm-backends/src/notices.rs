//! Notices: sentences for the administrator.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Of how many files something is said.
const PATHS_MAX: usize = 128;

/// Where a module says what its administrator should know: one line each, without a line end.
///
/// Cheap to clone. Notices never hold a password, and no bytes that a peer chose.
#[derive(Clone)]
pub struct Notices(Arc<dyn Fn(fmt::Arguments<'_>) + Send + Sync>);

impl Notices {
    /// Calls `write` for each notice.
    #[must_use]
    pub fn new(write: impl Fn(fmt::Arguments<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Gives a notice.
    pub fn give(&self, text: fmt::Arguments<'_>) {
        (self.0)(text);
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notices")
    }
}

/// Something that is said once in the life of a process.
#[derive(Debug, Default)]
pub(crate) struct Once(AtomicBool);

impl Once {
    pub(crate) fn give(&self, notices: &Notices, text: fmt::Arguments<'_>) {
        if !self.0.swap(true, Ordering::Relaxed) {
            notices.give(text);
        }
    }
}

/// Something that is said once of each file.
#[derive(Debug, Default)]
pub(crate) struct OncePerFile(Mutex<HashSet<PathBuf>>);

impl OncePerFile {
    pub(crate) fn give(&self, notices: &Notices, path: &Path, text: fmt::Arguments<'_>) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() < PATHS_MAX && said.insert(path.to_owned()) {
            notices.give(format_args!("{}: {text}", path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Said;

    #[test]
    fn of_each_file_something_is_said_once() {
        let (notices, said) = Said::new();
        let once = OncePerFile::default();
        for path in ["/a", "/b", "/a", "/b"] {
            once.give(&notices, Path::new(path), format_args!("it is away"));
        }
        assert_eq!(said.take(), ["/a: it is away", "/b: it is away"]);
        for number in 0..2 * PATHS_MAX {
            once.give(&notices, &PathBuf::from(number.to_string()), format_args!("it is away"));
        }
        assert_eq!(said.take().len(), PATHS_MAX - 2);
    }
}
