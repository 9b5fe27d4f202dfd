//! Files that others may change: read whole, kept parsed, looked at again once a round.
//!
//! A version counts as whole if its size and times were the same before and after reading, and it ends in a newline
//! or is older than a second: editors and scripts write files in pieces. Until a new version is whole the last one
//! answers. A file that is deleted or unreadable for more than a second is no file.

mod look;
mod turn;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::Instant;

use cvm_core::answer::Patience;
use zeroize::Zeroizing;

use crate::Notices;
use crate::stamp::{self, GRACE, Stamp, TICK};
use look::Look;
use turn::{NoVersion, Turn};

/// The largest file that is read where the change is noticed; a larger one is read by a thread of its own.
pub(crate) const INLINE_MAX: u64 = 256 * 1024;

/// The stack of a thread that reads: small, as servers run under memory limits.
pub(crate) const STACK_SIZE: usize = 256 * 1024;

/// How many requests wait for a version; beyond them the last one answers, so that no queue overflows meanwhile.
const WAITING_MAX: usize = 512;

/// What makes something of a file's bytes.
type Parse<T> = Box<dyn Fn(Zeroizing<Vec<u8>>) -> io::Result<T> + Send + Sync>;

/// A file and its last whole version.
pub(crate) struct Watched<T>(Arc<Shared<T>>);

struct Shared<T> {
    path: PathBuf,
    parse: Parse<T>,
    notices: Notices,
    /// A missing file is nothing to tell anybody.
    is_optional: bool,
    current: RwLock<Result<Arc<T>, io::ErrorKind>>,
    /// How many changes were noticed, and how many of them had been when the last reading began: whoever noticed one
    /// waits for a reading that began later.
    noticed: AtomicU64,
    handled: AtomicU64,
    /// How many requests were told to wait for the version that is due.
    waiting: AtomicUsize,
    look: Mutex<Look>,
    /// Somebody has the [`Turn`].
    is_taken: Mutex<bool>,
    given_back: Condvar,
}

/// A newer version is being read, which somebody who can wait should wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due;

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads the file, and waits up to a second for a version that is whole; a missing file is told and looked for
    /// again later.
    pub(crate) fn open(
        path: PathBuf,
        notices: Notices,
        parse: impl Fn(Zeroizing<Vec<u8>>) -> io::Result<T> + Send + Sync + 'static,
    ) -> Self {
        Self::new(path, notices, false, Box::new(parse))
    }

    /// The same for a file that need not be there.
    pub(crate) fn open_optional(
        path: PathBuf,
        notices: Notices,
        parse: impl Fn(Zeroizing<Vec<u8>>) -> io::Result<T> + Send + Sync + 'static,
    ) -> Self {
        Self::new(path, notices, true, Box::new(parse))
    }

    fn new(path: PathBuf, notices: Notices, is_optional: bool, parse: Parse<T>) -> Self {
        let watched = Self(Arc::new(Shared {
            path,
            parse,
            notices,
            is_optional,
            current: RwLock::new(Err(io::ErrorKind::NotFound)),
            noticed: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            look: Mutex::default(),
            is_taken: Mutex::new(false),
            given_back: Condvar::new(),
        }));
        watched.load_first();
        watched
    }

    fn load_first(&self) {
        let give_up = Instant::now() + GRACE + TICK;
        while let Some(turn) = Turn::wait(&self.0, || true)
            && let Err(NoVersion::NotWhole | NoVersion::Changed) = turn.load(Patience::Blocking)
            && Instant::now() < give_up
        {
            drop(turn);
            thread::sleep(TICK);
        }
        // At the start no version is between two others: what cannot be read is said at once.
        if let Some(since) = &mut self.0.look().unreadable_since {
            *since = since.checked_sub(GRACE).unwrap_or(*since);
        }
        self.refresh();
    }

    /// Looks whether the file has changed: one `stat`, and a small file is read again.
    pub(crate) fn refresh(&self) {
        match stamp::look(&self.0.path) {
            Ok(stamp) => self.notice(stamp),
            Err(error) => self.0.miss(&error),
        }
    }

    fn notice(&self, stamp: Stamp) {
        if self.0.look().is_handled(stamp) {
            return;
        }
        self.0.noticed.fetch_add(1, Ordering::AcqRel);
        let Some(turn) = Turn::take(&self.0) else { return };
        if stamp.size > INLINE_MAX || matches!(turn.load(Patience::Immediate), Err(NoVersion::Large)) {
            turn.load_elsewhere();
        }
    }

    /// Reads the file again, whether or not it has changed; meanwhile the last version answers.
    pub(crate) fn reload(&self) {
        if let Some(turn) = Turn::wait(&self.0, || true) {
            // What went wrong is taken note of.
            let _ = turn.load(Patience::Blocking);
        }
    }

    /// Tells whether [`catch_up`](Self::catch_up) waits for somebody who reads the file, or reads it.
    pub(crate) fn is_due(&self) -> bool {
        self.0.is_due()
    }

    /// Returns the last whole version, without waiting for another one; why there is none, if there is none.
    ///
    /// # Errors
    ///
    /// If there is a newer version to wait for.
    pub(crate) fn now(&self) -> Result<Result<Arc<T>, io::ErrorKind>, Due> {
        if self.is_due() && self.0.waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX {
            return Err(Due);
        }
        Ok(self.0.current())
    }

    /// Returns the last whole version, once what was noticed until now is read.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) fn version(&self) -> Result<Arc<T>, io::ErrorKind> {
        self.catch_up();
        self.last()
    }

    /// Returns the last whole version, whether or not a newer one is due.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) fn last(&self) -> Result<Arc<T>, io::ErrorKind> {
        self.0.current()
    }

    /// Makes something of the last whole version, which is not exchanged meanwhile.
    pub(crate) fn with_last<R>(&self, make: impl FnOnce(Result<&T, io::ErrorKind>) -> R) -> R {
        let current = self.0.current.read().unwrap_or_else(PoisonError::into_inner);
        make(current.as_ref().map(Arc::as_ref).map_err(|kind| *kind))
    }

    /// Waits until what was noticed until now is read, or reads it.
    pub(crate) fn catch_up(&self) {
        let noticed = self.0.noticed.load(Ordering::Acquire);
        let is_due = || self.0.handled.load(Ordering::Acquire) < noticed;
        if is_due()
            && let Some(turn) = Turn::wait(&self.0, is_due)
        {
            // What went wrong is taken note of; the last version answers.
            let _ = turn.load(Patience::Blocking);
        }
    }
}

impl<T> Shared<T> {
    fn is_due(&self) -> bool {
        self.handled.load(Ordering::Acquire) < self.noticed.load(Ordering::Acquire)
    }

    fn current(&self) -> Result<Arc<T>, io::ErrorKind> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn look(&self) -> MutexGuard<'_, Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_taken(&self) -> MutexGuard<'_, bool> {
        self.is_taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
