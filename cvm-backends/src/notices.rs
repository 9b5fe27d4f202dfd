//! Notices: sentences for the administrator.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
