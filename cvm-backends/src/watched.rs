//! Files that others may change: read whole, kept parsed, looked at again once a round.
//!
//! A version counts as whole if its size and times were the same before and after reading, and it ends in a newline
//! or is older than a second: editors and scripts write files in pieces. Until a new version is whole the last one
//! answers. A file that is deleted or unreadable for more than a second is no file.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::Notices;
use crate::stamp::{self, GRACE, Sight, Stamp, TICK};

/// The largest file that is read where the change is noticed; reading a larger one is left to whoever can wait.
const INLINE_MAX: u64 = 256 * 1024;

/// The largest file that is read at all: positions in it fit in 32 bits.
const SIZE_MAX: u64 = u32::MAX as u64 - 1;

/// How often a large file is read while it does not become whole.
const RETRY: Duration = Duration::from_millis(50);

/// How many times in a row a file is read while each version is replaced before it was read to its end.
const TRIES: usize = 4;

/// What makes something of a file's bytes.
type Parse<T> = Box<dyn Fn(Zeroizing<Vec<u8>>) -> io::Result<T> + Send + Sync>;

/// A file and its last whole version.
pub(crate) struct Watched<T> {
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
    look: Mutex<Look>,
    /// Held by the one who reads and parses, which may take long; nobody waits for it in passing.
    turn: Mutex<()>,
}

/// What was seen of the file.
#[derive(Default)]
struct Look {
    seen: Sight,
    /// The version that was loaded last.
    loaded: Option<Stamp>,
    /// The version that is being read and parsed.
    loading: Option<Stamp>,
    /// The loaded version cannot have been changed since without its stamp telling.
    is_settled: bool,
    /// The same of the one that is being loaded.
    will_be_settled: bool,
    /// When to try again with a version that is not whole.
    retry_at: Option<Instant>,
    /// Since when the file cannot be read.
    unreadable_since: Option<Instant>,
    has_said_unreadable: bool,
}

/// Why there is no new version.
enum NoVersion {
    /// It is being written.
    NotWhole,
    /// It was changed or replaced while it was read.
    Changed,
    Unreadable(io::Error),
}

impl From<io::Error> for NoVersion {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl<T> Watched<T> {
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
        let watched = Self {
            path,
            parse,
            notices,
            is_optional,
            current: RwLock::new(Err(io::ErrorKind::NotFound)),
            noticed: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            look: Mutex::default(),
            turn: Mutex::default(),
        };
        watched.load_first();
        watched
    }

    /// Looks whether the file has changed: one `stat`, and a small file is read again.
    pub(crate) fn refresh(&self) {
        match stamp::look(&self.path) {
            Ok(stamp) => self.notice(stamp),
            Err(error) => self.miss(&error),
        }
    }

    /// Reads the file again, whether or not it has changed.
    pub(crate) fn reload(&self) {
        self.noticed.fetch_add(1, Ordering::AcqRel);
        self.get();
    }

    /// Tells whether [`get`](Self::get) reads the file first, or waits for somebody who does.
    pub(crate) fn is_due(&self) -> bool {
        self.handled.load(Ordering::Acquire) < self.noticed.load(Ordering::Acquire)
    }

    /// Returns the last whole version; `None` if there is none.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.version().ok()
    }

    /// Returns the last whole version.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(crate) fn version(&self) -> Result<Arc<T>, io::ErrorKind> {
        if self.is_due() {
            self.load_if_due(&self.turn());
        }
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn load_first(&self) {
        let give_up = Instant::now() + GRACE + TICK;
        while let Err(NoVersion::NotWhole | NoVersion::Changed) = self.load(&self.turn())
            && Instant::now() < give_up
        {
            thread::sleep(TICK);
        }
        // At the start no version is between two others: what cannot be read is said at once.
        if let Some(since) = &mut self.look().unreadable_since {
            *since = since.checked_sub(GRACE).unwrap_or(*since);
        }
        self.refresh();
    }

    fn notice(&self, stamp: Stamp) {
        let mut look = self.look();
        if look.is_current(stamp) || look.is_loading(stamp) || look.is_put_off() {
            return;
        }
        drop(look);
        self.noticed.fetch_add(1, Ordering::AcqRel);
        if stamp.size <= INLINE_MAX
            && let Ok(turn) = self.turn.try_lock()
        {
            self.load_if_due(&turn);
        }
    }

    fn load_if_due(&self, turn: &MutexGuard<'_, ()>) {
        if self.is_due() {
            // What went wrong is taken note of; the last version answers.
            let _ = self.load(turn);
        }
    }

    /// Reads the file, and exchanges the version if it is whole.
    fn load(&self, _turn: &MutexGuard<'_, ()>) -> Result<(), NoVersion> {
        let noticed = self.noticed.load(Ordering::Acquire);
        let parsed = self.read_in_peace().and_then(|(stamp, bytes)| Ok((stamp, (self.parse)(bytes)?)));
        let loaded = match parsed {
            Ok((stamp, version)) => {
                self.accept(stamp, Arc::new(version));
                Ok(())
            }
            Err(NoVersion::Unreadable(error)) => {
                self.miss(&error);
                Err(NoVersion::Unreadable(error))
            }
            Err(not_whole) => {
                self.look().retry_at = Some(Instant::now() + RETRY);
                Err(not_whole)
            }
        };
        self.look().loading = None;
        self.handled.store(noticed, Ordering::Release);
        loaded
    }

    /// Reads the file; if it is replaced meanwhile, the one that took its place.
    fn read_in_peace(&self) -> Result<(Stamp, Zeroizing<Vec<u8>>), NoVersion> {
        let mut tries = 1;
        loop {
            match self.read() {
                Err(NoVersion::Changed) if tries < TRIES => tries += 1,
                read => return read,
            }
        }
    }

    fn read(&self) -> Result<(Stamp, Zeroizing<Vec<u8>>), NoVersion> {
        let (mut file, stamp) = stamp::open(&self.path)?;
        self.look().begin(stamp);
        let size = usize::try_from(stamp.size).ok().filter(|_| stamp.size <= SIZE_MAX);
        let size = size.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut bytes = Zeroizing::new(Vec::new());
        // A file that does not fit into memory is unreadable, not the end of the process.
        bytes.try_reserve_exact(size.saturating_add(1)).map_err(io::Error::from)?;
        (&mut file).take(stamp.size.saturating_add(1)).read_to_end(&mut bytes)?;
        if Stamp::of(&file.metadata()?) != stamp || bytes.len() != size {
            return Err(NoVersion::Changed);
        }
        let is_complete = bytes.ends_with(b"\n") || self.look().seen.has_aged(stamp, GRACE);
        if is_complete { Ok((stamp, bytes)) } else { Err(NoVersion::NotWhole) }
    }

    fn accept(&self, stamp: Stamp, version: Arc<T>) {
        let mut look = self.look();
        look.accept(stamp);
        let old = self.exchange(Ok(version));
        drop(look);
        // It may be large, and to wipe it takes time: nobody waits for a lock meanwhile.
        drop(old);
    }

    /// Takes note that the file cannot be read now; after a second it is gone.
    fn miss(&self, error: &io::Error) {
        let mut look = self.look();
        let since = *look.unreadable_since.get_or_insert_with(Instant::now);
        if since.elapsed() < GRACE && !stamp::has_stood(&self.path) {
            return;
        }
        look.loaded = None;
        let has_said = std::mem::replace(&mut look.has_said_unreadable, true);
        let old = self.exchange(Err(error.kind()));
        drop(look);
        drop(old);
        let is_fine = self.is_optional && error.kind() == io::ErrorKind::NotFound;
        if !has_said && !is_fine {
            self.notices.give(format_args!("{}: {error}", self.path.display()));
        }
    }

    /// Puts a version in the place of the current one, which is returned.
    fn exchange(&self, version: Result<Arc<T>, io::ErrorKind>) -> Result<Arc<T>, io::ErrorKind> {
        std::mem::replace(&mut *self.current.write().unwrap_or_else(PoisonError::into_inner), version)
    }

    fn look(&self) -> MutexGuard<'_, Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Look {
    /// Tells whether the loaded version is the one with this stamp.
    fn is_current(&mut self, stamp: Stamp) -> bool {
        self.see(stamp);
        let is_current = self.loaded == Some(stamp) && self.is_settled;
        if is_current {
            self.unreadable_since = None;
        }
        is_current
    }

    /// Tells whether somebody is about to load just this version, so that waiting is enough.
    fn is_loading(&self, stamp: Stamp) -> bool {
        self.loading == Some(stamp) && self.will_be_settled
    }

    fn is_put_off(&self) -> bool {
        self.retry_at.is_some_and(|retry_at| Instant::now() < retry_at)
    }

    fn see(&mut self, stamp: Stamp) {
        if self.seen.see(stamp) {
            self.retry_at = None;
        }
    }

    /// Takes note that the version with this stamp is open and about to be read.
    fn begin(&mut self, stamp: Stamp) {
        self.unreadable_since = None;
        self.see(stamp);
        self.loading = Some(stamp);
        self.will_be_settled = self.seen.has_aged(stamp, TICK);
    }

    fn accept(&mut self, stamp: Stamp) {
        self.loaded = Some(stamp);
        self.is_settled = self.will_be_settled;
        self.retry_at = None;
        self.has_said_unreadable = false;
    }
}

#[cfg(test)]
mod tests;
