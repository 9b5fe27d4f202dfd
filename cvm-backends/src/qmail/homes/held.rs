//! What is held: looks that count until something happens to what was looked at.
//!
//! A home is still what was seen at its path if nothing has happened to it, nothing was mounted, and the folder that it is
//! in is as it was: names come and go in no folder without another time of change. That folder is looked at, once a round
//! for all of its homes; what happened to them is heard at the beginning of the round. A file is still what was seen if
//! its home is, and nothing has happened to the file.
//!
//! What is held was opened, in a folder that was opened, and watched as what is open there: whatever becomes of the paths
//! meanwhile, what is watched is what was seen.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use foldhash::HashMap;

use super::listener::Listener;
use super::listing::Names;
use super::opened::{Opened, last_part};
use super::parent::Parent;
use super::pause::Pause;
use super::watches::{AT_ONCE, Lost, Watch, Watches};
use super::{Seen, SeenHome};
use crate::qmail::folder_of;

/// How many entries a table has, at most. What is watched has a bound of its own.
const HELD_MAX: usize = 8192;

/// How many bytes of names are held of a home, at most; of one with more they are in the memory of names, while there is
/// room.
const NAMES_MAX: usize = 256;

/// How often one hears again for others.
const TRIES: usize = 3;

/// What is held of homes and their files.
#[derive(Default)]
pub(super) struct Held {
    /// The last round at whose beginning it was heard what happened; none has begun before the first.
    heard: AtomicU64,
    /// How often something was mounted or unmounted.
    mount_changes: AtomicU64,
    listener: Mutex<Listener>,
    /// Somebody can hear.
    is_listening: AtomicBool,
    /// There was no room.
    full: Pause,
    homes: RwLock<Table<Home>>,
    files: RwLock<Table<HeldFile>>,
    parents: RwLock<Table<Arc<Parent>>>,
}

type Table<T> = HashMap<Box<[u8]>, T>;

/// A home.
#[derive(Clone, Debug)]
struct Home {
    seen: Seen,
    /// If they are few.
    names: Option<Names>,
    /// `None` if it cannot be watched: it is a symbolic link, say, or we may not read it.
    watch: Option<Arc<Watch>>,
    parent: Arc<Parent>,
    /// That of the parent.
    generation: u64,
    /// How often something had been mounted.
    mount_changes: u64,
}

/// A file of a home.
#[derive(Clone, Debug)]
struct HeldFile {
    /// Its version may have been that of another text.
    seen: Seen,
    /// `None` if it cannot be watched.
    watch: Option<Arc<Watch>>,
    /// That of the home, which is needed no longer than that is held.
    home: Weak<Watch>,
    mount_changes: u64,
}

/// What is known of a home that is held.
enum State<'h> {
    /// It is what was seen.
    Holds(&'h Arc<Watch>),
    /// Nobody has looked at its parent in this round.
    Unknown,
    Over,
}

/// Whether something is watched.
enum Watching {
    Yes(Arc<Watch>),
    /// Not now.
    No,
    /// We may not.
    Never,
}

impl Held {
    /// Hears what has happened until now; what is held counts in this round.
    pub(super) fn hear(&self, round: &AtomicU64) {
        if !self.is_listening.load(Ordering::Acquire) {
            return;
        }
        // While another hears or adds something to hear of, nobody waits, and nothing counts.
        let Ok(mut listener) = self.listener.try_lock() else { return };
        let Listener::Listening(watches) = &mut *listener else { return };
        for _ in 0..TRIES {
            let now = round.load(Ordering::Acquire);
            if self.hear_for(now, watches).is_err() {
                // Whoever is about to hold something does not know what happens meanwhile.
                self.mount_changes.fetch_add(1, Ordering::AcqRel);
                self.is_listening.store(false, Ordering::Release);
                listener.begin_anew();
                return;
            }
            // For who has begun another meanwhile, and could not hear himself.
            if round.load(Ordering::Acquire) == now {
                return;
            }
        }
    }

    /// Hears for a round that has begun.
    fn hear_for(&self, round: u64, watches: &mut Watches) -> Result<(), Lost> {
        let heard = watches.hear()?;
        if heard.of_mounts {
            self.mount_changes.fetch_add(1, Ordering::AcqRel);
        }
        if heard.is_all {
            self.heard.store(round, Ordering::Release);
        }
        Ok(())
    }

    /// Returns what was seen of a home, if that still holds.
    pub(super) fn home(&self, round: u64, path: &Path) -> Option<SeenHome> {
        self.with_home(round, path, |home, _| SeenHome { seen: home.seen, names: home.names.clone(), is_held: true })
    }

    /// Returns what was seen of a file, if that still holds.
    pub(super) fn file(&self, round: u64, path: &Path) -> Option<Seen> {
        let in_home = self.with_home(round, folder_of(path), |_, watch| Arc::clone(watch))?;
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let file = files.get(path.as_os_str().as_bytes()).filter(|file| self.is_in(file, &in_home))?;
        file.watch.as_ref().is_some_and(|watch| watch.is_quiet()).then_some(file.seen)
    }

    /// Holds a home of which this was seen, and whose names are known for the version that was seen. It is seen once more.
    pub(super) fn hold_home(&self, round: u64, path: &Path, seen: Seen, names: &Names) {
        if round == 0 || !is_plain(path) || !self.listens() {
            return;
        }
        let before = found(&self.homes, path).filter(|home| home.watch.as_ref().is_none_or(|watch| watch.is_quiet()));
        // Of many homes most have no room.
        if before.is_none() && self.full.lasts() {
            return;
        }
        let mount_changes = self.mount_changes.load(Ordering::Acquire);
        let parent = self.parent(folder_of(path));
        let Some((generation, version)) = parent.look(round).filter(|(_, version)| version.is_past()) else { return };
        let is_as_before = |home: &Home| {
            Arc::ptr_eq(&home.parent, &parent)
                && (home.generation, home.mount_changes, home.seen) == (generation, mount_changes, seen)
        };
        match &before {
            // It is held, and was not heard of in this round, or cannot be held.
            Some(home) if is_as_before(home) => return,
            // Another one is in its place; what is watched of it is needed no more.
            Some(home) if !home.seen.is_same(seen) => self.forget_home(path),
            _ => {}
        }
        let watch = before.filter(|home| home.seen.is_same(seen)).and_then(|home| home.watch);
        if watch.is_none() && self.full.lasts() {
            return;
        }
        let Ok(opened) = Opened::in_folder(&parent.path, path) else { return };
        let watch = match self.watch(watch, &opened) {
            Watching::No => return,
            Watching::Never => None,
            Watching::Yes(watch) => Some(watch),
        };
        // In a folder that is as it was, it is where it was all the time.
        let is_there = opened.folder().is_some_and(|folder| folder.version == Some(version));
        if is_there && (watch.is_none() || opened.file() == Some(seen)) {
            let names = (names.bytes() <= NAMES_MAX).then(|| names.clone());
            let home = Home { seen, names, watch, parent, generation, mount_changes };
            self.keep(&self.homes, path, home, Home::is_watched);
        }
    }

    /// Holds a file of which this was seen, if it is in a home that is held. It is seen once more.
    pub(super) fn hold_file(&self, round: u64, path: &Path, seen: Seen) {
        let mount_changes = self.mount_changes.load(Ordering::Acquire);
        let home = self.with_home(round, folder_of(path), |home, watch| (home.seen, Arc::clone(watch)));
        let Some((seen_home, home)) = home.filter(|_| seen.kind().is_file()) else { return };
        let before = found(&self.files, path).filter(|file| file.is_of(&home) && file.seen.is_same(seen));
        if before.as_ref().is_some_and(|file| file.watch.is_none() && file.mount_changes == mount_changes) {
            return;
        }
        let watch = before.and_then(|file| file.watch).filter(|watch| watch.is_quiet());
        if watch.is_none() && self.full.lasts() {
            return;
        }
        let Ok(opened) = Opened::in_folder(folder_of(path), path) else { return };
        // What becomes of the names in the home is heard.
        if opened.folder().is_none_or(|folder| !folder.is_same(seen_home)) {
            return;
        }
        let watch = match self.watch(watch, &opened) {
            Watching::No => return,
            Watching::Never => None,
            Watching::Yes(watch) => Some(watch),
        };
        if opened.file() == Some(seen) {
            let home = Arc::downgrade(&home);
            self.keep(&self.files, path, HeldFile { seen, watch, home, mount_changes }, HeldFile::is_good);
        }
    }

    fn with_home<T>(&self, round: u64, path: &Path, make: impl FnOnce(&Home, &Arc<Watch>) -> T) -> Option<T> {
        if !self.counts(round) {
            return None;
        }
        let get = || self.homes.read().unwrap_or_else(PoisonError::into_inner);
        let homes = get();
        let home = homes.get(path.as_os_str().as_bytes())?;
        let parent = match self.state(home, round) {
            State::Holds(watch) => return Some(make(home, watch)),
            State::Over => return None,
            State::Unknown => Arc::clone(&home.parent),
        };
        // Nobody waits for the table during a look.
        drop(homes);
        parent.look(round)?;
        let homes = get();
        let home = homes.get(path.as_os_str().as_bytes())?;
        let State::Holds(watch) = self.state(home, round) else { return None };
        Some(make(home, watch))
    }

    fn state<'h>(&self, home: &'h Home, round: u64) -> State<'h> {
        let watch = home.watch.as_ref().filter(|watch| watch.is_quiet());
        let Some(watch) = watch.filter(|_| home.mount_changes == self.mount_changes.load(Ordering::Acquire)) else {
            return State::Over;
        };
        match home.parent.generation(round) {
            None => State::Unknown,
            Some(generation) if generation == home.generation => State::Holds(watch),
            Some(_) => State::Over,
        }
    }

    /// Tells whether what is held counts in a round. Round 0 is none.
    fn counts(&self, round: u64) -> bool {
        round != 0 && self.heard.load(Ordering::Acquire) == round
    }

    /// Tells whether a file is still in the place where it was seen.
    fn is_in(&self, file: &HeldFile, home: &Arc<Watch>) -> bool {
        file.is_of(home) && file.mount_changes == self.mount_changes.load(Ordering::Acquire)
    }

    fn parent(&self, path: &Path) -> Arc<Parent> {
        if let Some(parent) = found(&self.parents, path) {
            return parent;
        }
        let mut parents = self.parents.write().unwrap_or_else(PoisonError::into_inner);
        if parents.len() >= HELD_MAX {
            parents.retain(|_, parent| Arc::strong_count(parent) > 1);
        }
        let key = path.as_os_str().as_bytes().into();
        Arc::clone(parents.entry(key).or_insert_with(|| Arc::new(Parent::new(path))))
    }

    /// Makes sure that somebody listens before anything is looked at that is to be held.
    fn listens(&self) -> bool {
        if self.is_listening.load(Ordering::Acquire) {
            return true;
        }
        // Whoever has it now, nobody waits: this can be held another time.
        let Ok(mut listener) = self.listener.try_lock() else { return false };
        let listens = listener.listens();
        self.is_listening.store(listens, Ordering::Release);
        listens
    }

    /// Watches what is open, if that is not done already.
    fn watch(&self, before: Option<Arc<Watch>>, opened: &Opened) -> Watching {
        match before {
            _ if !opened.can_be_watched() => Watching::Never,
            Some(watch) => Watching::Yes(watch),
            None => self.watch_anew(opened),
        }
    }

    fn watch_anew(&self, opened: &Opened) -> Watching {
        let Ok(mut listener) = self.listener.try_lock() else { return Watching::No };
        let Listener::Listening(watches) = &mut *listener else { return Watching::No };
        if watches.is_full() {
            self.make_room(watches);
        }
        if watches.is_full() {
            self.full.begin();
            return Watching::No;
        }
        match watches.add(&opened.file) {
            Ok(watch) => Watching::Yes(watch),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Watching::Never,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Watching::No,
            Err(_) => {
                // Others of this user watch as much as he may, say.
                self.full.begin();
                Watching::No
            }
        }
    }

    /// Forgets some of what is over, and what nobody needs any more. There is a [`Pause`] before this is done again.
    fn make_room(&self, watches: &mut Watches) {
        let (now, mut left) = (self.mount_changes.load(Ordering::Acquire), AT_ONCE);
        retain(&self.homes, |home| {
            let is_over = !home.is_watched() || home.mount_changes != now || !home.parent.is_still(home.generation);
            let goes = is_over && left > 0;
            left -= usize::from(goes);
            !goes
        });
        retain(&self.files, HeldFile::is_good);
        watches.forget_unneeded();
    }

    fn forget_home(&self, path: &Path) {
        self.homes.write().unwrap_or_else(PoisonError::into_inner).remove(path.as_os_str().as_bytes());
    }

    /// Puts something into a table; where there is no room, in the place of what is not good any more.
    fn keep<T>(&self, table: &RwLock<Table<T>>, path: &Path, value: T, is_good: impl Fn(&T) -> bool) {
        let (mut table, path) = (table.write().unwrap_or_else(PoisonError::into_inner), path.as_os_str().as_bytes());
        if table.len() >= HELD_MAX && !table.contains_key(path) {
            table.retain(|_, value| is_good(value));
            if table.len() >= HELD_MAX {
                self.full.begin();
                return;
            }
        }
        table.insert(path.into(), value);
    }
}

impl Home {
    fn is_watched(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.is_quiet())
    }
}

impl HeldFile {
    fn is_of(&self, home: &Arc<Watch>) -> bool {
        std::ptr::eq(self.home.as_ptr(), Arc::as_ptr(home))
    }

    fn is_good(&self) -> bool {
        self.home.upgrade().is_some_and(|home| home.is_quiet())
            && self.watch.as_ref().is_some_and(|watch| watch.is_quiet())
    }
}

fn found<T: Clone>(table: &RwLock<Table<T>>, path: &Path) -> Option<T> {
    table.read().unwrap_or_else(PoisonError::into_inner).get(path.as_os_str().as_bytes()).cloned()
}

fn retain<T>(table: &RwLock<Table<T>>, mut is_good: impl FnMut(&T) -> bool) {
    table.write().unwrap_or_else(PoisonError::into_inner).retain(|_, value| is_good(value));
}

/// Tells whether the last part of a path is a name in the folder that the path before it leads to.
fn is_plain(path: &Path) -> bool {
    path.is_absolute() && !matches!(last_part(path), b"" | b"." | b"..")
}

#[cfg(test)]
mod tests;
