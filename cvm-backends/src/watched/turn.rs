//! Reading a watched file and exchanging its version: one at a time, and what is large in a thread of its own.

use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cvm_core::answer::Patience;
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::{INLINE_MAX, STACK_SIZE, Shared};
use crate::stamp::{self, GRACE, Stamp, TICK};
use crate::sys;

/// The largest file that is read at all: positions in it fit in 32 bits.
const SIZE_MAX: u64 = u32::MAX as u64 - 1;

/// How often a large file is read while it does not become whole.
pub(super) const RETRY: Duration = Duration::from_millis(50);

/// How many times in a row a file is read while each version is replaced before it was read to its end.
const TRIES: usize = 4;

/// How long an old version is kept for those who still use it, and how often they are counted.
const LAST_USE: Duration = Duration::from_secs(2);
const COUNTS_USERS: Duration = Duration::from_millis(1);

/// The right to read the file, which one has at a time and may hand to another thread.
pub(super) struct Turn<T>(Arc<Shared<T>>);

/// Why there is no new version.
pub(super) enum NoVersion {
    /// It is being written.
    NotWhole,
    /// It was changed or replaced while it was read.
    Changed,
    /// It is too large for one who must not wait.
    Large,
    /// There is no descriptor for it now, which says nothing about the file.
    NoDescriptor,
    Unreadable(io::Error),
}

impl From<io::Error> for NoVersion {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE) => Self::NoDescriptor,
            _ => Self::Unreadable(error),
        }
    }
}

impl<T> Drop for Turn<T> {
    fn drop(&mut self) {
        *self.0.is_taken() = false;
        self.0.given_back.notify_all();
    }
}

impl<T: Send + Sync + 'static> Turn<T> {
    /// Takes the turn unless somebody has it.
    pub(super) fn take(shared: &Arc<Shared<T>>) -> Option<Self> {
        let mut is_taken = shared.is_taken();
        let is_free = !std::mem::replace(&mut *is_taken, true);
        drop(is_taken);
        is_free.then(|| Self(Arc::clone(shared)))
    }

    /// Waits for the turn, unless it is not needed any more.
    pub(super) fn wait(shared: &Arc<Shared<T>>, is_needed: impl Fn() -> bool) -> Option<Self> {
        let mut is_taken = shared.is_taken();
        while *is_taken && is_needed() {
            is_taken = shared.given_back.wait(is_taken).unwrap_or_else(PoisonError::into_inner);
        }
        if !is_needed() {
            return None;
        }
        *is_taken = true;
        drop(is_taken);
        Some(Self(Arc::clone(shared)))
    }

    /// Reads what is due in a thread of its own: at normal priority, unlike that of those who wait for it.
    pub(super) fn load_elsewhere(self) {
        let load = move || {
            while self.0.is_due() {
                // What went wrong is taken note of; the last version answers.
                let _ = self.load(Patience::Blocking);
            }
        };
        // Without a thread, whoever waits for the version reads it.
        let _ = thread::Builder::new().name("reload".into()).stack_size(STACK_SIZE).spawn(load);
    }

    /// Reads the file, and exchanges the version if it is whole.
    pub(super) fn load(&self, patience: Patience) -> Result<(), NoVersion> {
        let Self(shared) = self;
        if patience == Patience::Blocking {
            shared.let_settle();
        }
        let noticed = shared.noticed.load(Ordering::Acquire);
        let read = shared.read_in_peace(patience);
        let parsed = read.and_then(|(stamp, bytes)| Ok((stamp, (shared.parse)(bytes)?)));
        let loaded = match parsed {
            Ok((stamp, version)) => {
                shared.accept(stamp, Arc::new(version));
                Ok(())
            }
            Err(NoVersion::Large) => Err(NoVersion::Large),
            Err(NoVersion::Unreadable(error)) => {
                shared.miss(&error);
                Err(NoVersion::Unreadable(error))
            }
            Err(not_whole) => {
                shared.look().retry_at = Some(Instant::now() + RETRY);
                Err(not_whole)
            }
        };
        shared.look().loading = None;
        if !matches!(loaded, Err(NoVersion::Large)) {
            shared.handled.store(noticed, Ordering::Release);
            shared.waiting.store(0, Ordering::Relaxed);
        }
        loaded
    }
}

impl<T: Send + Sync + 'static> Shared<T> {
    /// Waits until a change to a large file shows in its stamp if there is one more, so as not to read it twice.
    fn let_settle(&self) {
        let stamp = stamp::look(&self.path).ok().filter(|stamp| stamp.size > INLINE_MAX);
        if stamp.is_some_and(|stamp| !self.look().seen.has_aged(stamp, TICK)) {
            thread::sleep(TICK);
        }
    }

    /// Reads the file; if it is replaced meanwhile, the one that took its place.
    fn read_in_peace(&self, patience: Patience) -> Result<(Stamp, Zeroizing<Vec<u8>>), NoVersion> {
        let mut tries = 1;
        loop {
            match self.read(patience) {
                Err(NoVersion::Changed) if tries < TRIES => tries += 1,
                read => return read,
            }
        }
    }

    fn read(&self, patience: Patience) -> Result<(Stamp, Zeroizing<Vec<u8>>), NoVersion> {
        let (mut file, stamp) = stamp::open(&self.path)?;
        if patience == Patience::Immediate && stamp.size > INLINE_MAX {
            return Err(NoVersion::Large);
        }
        self.look().begin(stamp);
        let size = usize::try_from(stamp.size).ok().filter(|_| stamp.size <= SIZE_MAX);
        let size = size.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut bytes = Zeroizing::new(Vec::new());
        // A file that does not fit into memory is unreadable, not the end of the process.
        bytes.try_reserve_exact(size.saturating_add(1)).map_err(io::Error::from)?;
        sys::prefer_huge_pages(bytes.spare_capacity_mut());
        (&mut file).take(stamp.size.saturating_add(1)).read_to_end(&mut bytes)?;
        if Stamp::of(&file.metadata()?) != stamp || bytes.len() != size {
            return Err(NoVersion::Changed);
        }
        let is_complete = bytes.ends_with(b"\n") || self.look().seen.has_aged(stamp, GRACE);
        if is_complete { Ok((stamp, bytes)) } else { Err(NoVersion::NotWhole) }
    }

    fn accept(&self, stamp: Stamp, version: Arc<T>) {
        let mut look = self.look();
        let size = look.loaded.map_or(0, |loaded| loaded.size);
        look.accept(stamp);
        let old = self.exchange(Ok(version));
        drop(look);
        dispose(old, size);
    }

    /// Takes note that the file cannot be read now; after a second it is gone.
    pub(super) fn miss(&self, error: &io::Error) {
        let mut look = self.look();
        let since = *look.unreadable_since.get_or_insert_with(Instant::now);
        if since.elapsed() < GRACE && !stamp::has_stood(&self.path) {
            return;
        }
        let size = look.loaded.take().map_or(0, |loaded| loaded.size);
        let has_said = std::mem::replace(&mut look.has_said_unreadable, true);
        let old = self.exchange(Err(error.kind()));
        drop(look);
        dispose(old, size);
        let is_fine = self.is_optional && error.kind() == io::ErrorKind::NotFound;
        if !has_said && !is_fine {
            self.notices.give(format_args!("{}: {error}", self.path.display()));
        }
    }

    /// Puts a version in the place of the current one, which is returned.
    fn exchange(&self, version: Result<Arc<T>, io::ErrorKind>) -> Result<Arc<T>, io::ErrorKind> {
        std::mem::replace(&mut *self.current.write().unwrap_or_else(PoisonError::into_inner), version)
    }
}

/// Lets go of a version. To wipe a large one takes time, which must not be that of the last one who looks something
/// up in it.
fn dispose<T: Send + Sync + 'static>(old: Result<Arc<T>, io::ErrorKind>, size: u64) {
    let Some(old) = old.ok().filter(|_| size > INLINE_MAX) else { return };
    let wait = move || {
        let give_up = Instant::now() + LAST_USE;
        while Arc::strong_count(&old) > 1 && Instant::now() < give_up {
            thread::sleep(COUNTS_USERS);
        }
    };
    // Without a thread it is wiped here.
    let _ = thread::Builder::new().name("wipe".into()).stack_size(STACK_SIZE).spawn(wait);
}
