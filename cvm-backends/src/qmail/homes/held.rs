//! What is held: looks that count until something happens to what was looked at.
//!
//! A home is still what was seen at its path if nothing has happened to it, nothing was mounted, and the folder that it is
//! in is as it was: names come and go in no folder without another time of change. That folder is looked at, once a round
//! for all of its homes; what happened to them is heard at the beginning of the round. A file is still what was seen if
//! its home is, and nothing has happened to the file.
//!
//! What changes is not held before it has stood for a while, so that those whose files always change cost no more than
//! the looks that were needed anyway.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use foldhash::HashMap;

use super::listing::Names;
use super::memory::Version;
use super::watches::{Lost, Watch, Watches};
use super::{Seen, look, look_at_file};
use crate::qmail::folder_of;

/// How many homes are held, and how many files.
const HELD_MAX: usize = 8192;

/// What is held of homes and their files.
#[derive(Default)]
pub(super) struct Held {
    /// The last round at whose beginning it was heard what happened; none has begun before the first.
    heard: AtomicU64,
    watches: Mutex<Listener>,
    /// There is something to hear of.
    is_in_use: AtomicBool,
    /// No more can be held, until something happens.
    is_full: AtomicBool,
    homes: RwLock<Table<Option<Arc<Home>>>>,
    files: RwLock<Table<HeldFile>>,
    parents: RwLock<Table<Arc<Parent>>>,
}

type Table<T> = HashMap<Box<[u8]>, T>;

/// Who hears what happens.
#[derive(Default)]
enum Listener {
    /// Nobody was needed yet.
    #[default]
    Unneeded,
    Listening(Watches),
    /// There can be none.
    Deaf,
}

/// A home. In its place in the table there is nothing if it cannot be held, as it is a symbolic link.
#[derive(Debug)]
struct Home {
    seen: Seen,
    names: Names,
    watch: Arc<Watch>,
    parent: Arc<Parent>,
    /// That of the parent.
    version: Version,
}

#[derive(Debug)]
struct HeldFile {
    /// Its version may have been that of another text.
    seen: Seen,
    watch: Arc<Watch>,
    home: Arc<Home>,
}

/// A folder with homes, and which version of it was seen in which round.
#[derive(Debug)]
struct Parent {
    path: PathBuf,
    seen: Mutex<(u64, Option<Version>)>,
}

impl Held {
    /// Hears what has happened until now; what is held counts in this round.
    pub(super) fn hear(&self, round: &AtomicU64) {
        if !self.is_in_use.load(Ordering::Relaxed) {
            return;
        }
        // While another hears, who has begun a round already, nothing counts.
        let Ok(mut listener) = self.watches.try_lock() else { return };
        let Listener::Listening(watches) = &mut *listener else { return };
        let now = round.load(Ordering::Acquire);
        match watches.hear() {
            Ok(is_news) => {
                if is_news {
                    self.is_full.store(watches.is_full(), Ordering::Relaxed);
                }
                self.heard.store(now, Ordering::Release);
            }
            Err(Lost) => {
                *listener = Listener::Unneeded;
                self.is_in_use.store(false, Ordering::Relaxed);
            }
        }
    }

    /// Returns what was seen of a home and its dot-qmail files, if that still holds.
    pub(super) fn home(&self, round: u64, path: &Path) -> Option<(Seen, Names)> {
        self.with_home(round, path, |home| (home.seen, home.names.clone()))
    }

    /// Returns what was seen of a file, if that still holds.
    pub(super) fn file(&self, round: u64, path: &Path) -> Option<Seen> {
        if !self.counts(round) {
            return None;
        }
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let file = files.get(path.as_os_str().as_bytes())?;
        (file.watch.is_quiet() && file.home.is_as_seen(round)).then_some(file.seen)
    }

    /// Holds a home of which this was seen in this round, and whose names are known for the version that was seen.
    pub(super) fn hold_home(&self, round: u64, path: &Path, seen: Seen, names: &Names) {
        if !self.has_room(round) || !is_plain(path) || self.is_hopeless(path) {
            return;
        }
        let parent = self.parent(folder_of(path));
        let Some(version) = parent.version(round).filter(|version| version.is_past()) else { return };
        let is_as_seen = || match look_at_file(path) {
            Ok(found) if found.kind().is_symlink() => Some(false),
            // Nobody has put another one in its place meanwhile.
            found => (found.ok()? == seen && look(&parent.path).ok()?.version == Some(version)).then_some(true),
        };
        let Some((watch, can_be_held)) = self.watch(path, is_as_seen) else { return };
        let home = can_be_held.then(|| Home { seen, names: names.clone(), watch, parent, version });
        self.keep(&self.homes, path, home.map(Arc::new), |home| {
            home.as_ref().is_some_and(|home| home.watch.is_quiet())
        });
    }

    /// Holds a file of which this was seen in this round, if it is in a home that is held.
    pub(super) fn hold_file(&self, round: u64, path: &Path, seen: Seen) {
        if !self.has_room(round) || !seen.kind().is_file() {
            return;
        }
        let Some(home) = self.with_home(round, folder_of(path), Arc::clone) else { return };
        let is_as_seen = || (look_at_file(path).ok()? == seen).then_some(());
        let Some((watch, ())) = self.watch(path, is_as_seen) else { return };
        self.keep(&self.files, path, HeldFile { seen, watch, home }, |file| file.watch.is_quiet());
    }

    fn with_home<T>(&self, round: u64, path: &Path, make: impl FnOnce(&Arc<Home>) -> T) -> Option<T> {
        if !self.counts(round) {
            return None;
        }
        let homes = self.homes.read().unwrap_or_else(PoisonError::into_inner);
        let home = homes.get(path.as_os_str().as_bytes())?.as_ref()?;
        home.is_as_seen(round).then(|| make(home))
    }

    /// Tells whether what is held counts in a round. Round 0 is none.
    fn counts(&self, round: u64) -> bool {
        round != 0 && self.heard.load(Ordering::Acquire) == round
    }

    fn has_room(&self, round: u64) -> bool {
        round != 0 && !self.is_full.load(Ordering::Relaxed)
    }

    fn is_hopeless(&self, home: &Path) -> bool {
        let homes = self.homes.read().unwrap_or_else(PoisonError::into_inner);
        homes.get(home.as_os_str().as_bytes()).is_some_and(Option::is_none)
    }

    fn parent(&self, path: &Path) -> Arc<Parent> {
        let key = path.as_os_str().as_bytes();
        if let Some(parent) = self.parents.read().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Arc::clone(parent);
        }
        let parent = Arc::new(Parent { path: path.to_owned(), seen: Mutex::default() });
        self.keep(&self.parents, path, Arc::clone(&parent), |parent| Arc::strong_count(parent) > 1);
        parent
    }

    /// Watches something, unless what is made of it from then on shows that this is of no use.
    fn watch<T>(&self, path: &Path, make: impl FnOnce() -> Option<T>) -> Option<(Arc<Watch>, T)> {
        // Whoever has it now, nobody waits: this can be held another time.
        let mut listener = self.watches.try_lock().ok()?;
        let watches = listener.listening()?;
        if watches.is_full() {
            self.is_full.store(true, Ordering::Relaxed);
            return None;
        }
        let (number, watch) = watches.add(path).ok()?;
        self.is_in_use.store(true, Ordering::Relaxed);
        let made = make();
        if made.is_none() {
            watches.remove(number);
        }
        Some((watch, made?))
    }

    /// Puts something into a table; where there is no room, in the place of what is not `good` any more.
    fn keep<T>(&self, table: &RwLock<Table<T>>, path: &Path, value: T, is_good: impl Fn(&T) -> bool) {
        let mut table = table.write().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= HELD_MAX {
            table.retain(|_, value| is_good(value));
        }
        if table.len() >= HELD_MAX {
            self.is_full.store(true, Ordering::Relaxed);
            return;
        }
        table.insert(path.as_os_str().as_bytes().into(), value);
    }
}

impl Listener {
    fn listening(&mut self) -> Option<&mut Watches> {
        if matches!(self, Self::Unneeded) {
            *self = Watches::open().map_or(Self::Deaf, Self::Listening);
        }
        match self {
            Self::Listening(watches) => Some(watches),
            _ => None,
        }
    }
}

impl Home {
    fn is_as_seen(&self, round: u64) -> bool {
        self.watch.is_quiet() && self.parent.version(round) == Some(self.version)
    }
}

impl Parent {
    /// Returns the version that is there in this round.
    fn version(&self, round: u64) -> Option<Version> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != round {
            *seen = (round, look(&self.path).ok().and_then(|seen| seen.version));
        }
        seen.1
    }
}

/// Tells whether the last part of a path is a name in the folder that the path before it leads to.
fn is_plain(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let name = bytes.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    bytes.starts_with(b"/") && !matches!(name, b"" | b"." | b"..")
}

#[cfg(test)]
mod tests;
