//! Tables that others exchange.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Instant;

use rustix::io::Errno;

use super::Cdb;
use crate::stamp::{GRACE, Links, Sight, Stamp, TICK};
use crate::watched::{INLINE_MAX, STACK_SIZE};

/// How many times in a row a table is opened that is exchanged meanwhile.
const TRIES: usize = 4;

/// After how many rounds a table is kept: a program that answers few requests does not read it whole.
const KEPT_AFTER: u32 = 16;

/// A table that others exchange: opened once, and again when [`refresh`](Self::refresh) sees that it changed.
///
/// A new version that is damaged, or a file that is missing, may be one that is being written: for a second the
/// version before still answers.
#[derive(Debug)]
pub(crate) struct WatchedCdb {
    path: PathBuf,
    links: Links,
    /// A table that is asked often is kept in memory.
    keeps: bool,
    current: RwLock<Version>,
    /// Held by the one who opens a new version; nobody waits for it.
    look: Mutex<Look>,
}

/// What there is of the file.
#[derive(Debug)]
struct Version {
    /// The stamp of the table that is open, if it can have changed since only with another one.
    settled: Option<Stamp>,
    table: Result<Option<Arc<Cdb>>, io::ErrorKind>,
    /// How many rounds have found it as it is, up to [`KEPT_AFTER`].
    rounds: AtomicU32,
}

/// What was seen of the file.
#[derive(Debug, Default)]
struct Look {
    seen: Sight,
    unreadable_since: Option<Instant>,
}

impl WatchedCdb {
    /// Opens the table; one that is missing or damaged is looked for again later.
    pub(crate) fn open(path: PathBuf, links: Links) -> Self {
        Self::new(path, links, false)
    }

    /// The same, and a table that is asked often is kept in memory if it is not too large. It must hold no secrets.
    pub(crate) fn open_keeping(path: PathBuf, links: Links) -> Self {
        Self::new(path, links, true)
    }

    fn new(path: PathBuf, links: Links, keeps: bool) -> Self {
        let mut look = Look::default();
        let current = match load(&path, links) {
            Ok(opened) => look.take(opened),
            Err(error) => Version::none(&error),
        };
        Self { path, links, keeps, current: RwLock::new(current), look: Mutex::new(look) }
    }

    /// Looks whether the file has changed, with one `stat`, and opens it anew if so.
    pub(crate) fn refresh(&self) {
        let seen = self.links.look(&self.path);
        let has_table = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if current.is_of(&seen) {
                let due = current.due_to_be_kept().filter(|_| self.keeps);
                drop(current);
                due.into_iter().for_each(keep);
                return;
            }
            matches!(current.table, Ok(Some(_)))
        };
        // Whoever holds it is about to do the same.
        let Ok(mut look) = self.look.try_lock() else {
            return;
        };
        let version = match load(&self.path, self.links) {
            Ok(opened) => look.take(opened),
            // Without a descriptor nothing is known of the file.
            Err(error)
                if has_table && (is_without_descriptor(&error) || look.is_between_two(&self.path, self.links)) =>
            {
                return;
            }
            Err(error) => Version::none(&error),
        };
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, version);
        drop(current);
        // It may be large.
        drop(before);
    }

    /// Returns the table, or `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// Why it could not be opened.
    pub(crate) fn get(&self) -> io::Result<Option<Arc<Cdb>>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).table.clone().map_err(io::Error::from)
    }
}

impl Version {
    fn new(settled: Option<Stamp>, table: Result<Option<Arc<Cdb>>, io::ErrorKind>) -> Self {
        Self { settled, table, rounds: AtomicU32::new(0) }
    }

    fn none(error: &io::Error) -> Self {
        let is_missing = error.kind() == io::ErrorKind::NotFound;
        Self::new(None, if is_missing { Ok(None) } else { Err(error.kind()) })
    }

    /// Tells whether this is still what is there.
    fn is_of(&self, seen: &io::Result<Stamp>) -> bool {
        match seen {
            Ok(stamp) => self.settled == Some(*stamp),
            Err(error) => error.kind() == io::ErrorKind::NotFound && matches!(self.table, Ok(None)),
        }
    }

    /// Counts a round; returns the table in the one after which it is kept.
    fn due_to_be_kept(&self) -> Option<Arc<Cdb>> {
        if self.rounds.load(Ordering::Relaxed) >= KEPT_AFTER {
            return None;
        }
        let is_due = self.rounds.fetch_add(1, Ordering::Relaxed) + 1 == KEPT_AFTER;
        self.table.as_ref().ok()?.as_ref().filter(|table| is_due && table.can_be_kept()).map(Arc::clone)
    }
}

impl Look {
    fn take(&mut self, table: Cdb) -> Version {
        self.seen.see(table.stamp);
        self.unreadable_since = None;
        let settled = self.seen.has_aged(table.stamp, TICK).then_some(table.stamp);
        Version::new(settled, Ok(Some(Arc::new(table))))
    }

    /// Tells whether what cannot be read may be a version that is not yet whole.
    fn is_between_two(&mut self, path: &Path, links: Links) -> bool {
        let since = *self.unreadable_since.get_or_insert_with(Instant::now);
        since.elapsed() < GRACE && !links.has_stood(path)
    }
}

/// Keeps a table; one that is large is read by a thread of its own.
fn keep(table: Arc<Cdb>) {
    let is_small = table.stamp.size <= INLINE_MAX;
    let keep = move || {
        // Until it can be kept, if ever, the file is read.
        let _ = table.keep();
    };
    if is_small {
        return keep();
    }
    let _ = thread::Builder::new().name("reload".into()).stack_size(STACK_SIZE).spawn(keep);
}

/// Tells whether a file was not opened because too many others are.
fn is_without_descriptor(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Opens a table; if it is exchanged meanwhile, the one that took its place.
fn load(path: &Path, links: Links) -> io::Result<Cdb> {
    let mut tries = 1;
    loop {
        let table = Cdb::open(path, links)?;
        if tries == TRIES || links.look(path).is_ok_and(|stamp| stamp == table.stamp) {
            return Ok(table);
        }
        tries += 1;
    }
}
