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
use std::thread;
use std::time::{Duration, Instant};

use foldhash::HashMap;

use super::Seen;
use super::listing::Names;
use super::opened::{Opened, last_part};
use super::parent::Parent;
use super::watches::{Lost, Watch, Watches};
use crate::qmail::folder_of;
use crate::watched::STACK_SIZE;

/// How many homes are held, and how many files.
const HELD_MAX: usize = 8192;

/// How many bytes of names are held of a home, at most; of one with more they are in the memory of names, while there is
/// room.
const NAMES_MAX: usize = 256;

/// How often one hears again for others.
const TRIES: usize = 3;

/// How long nobody tries to listen where that was not possible.
const DEAF: Duration = Duration::from_secs(10);

/// What is held of homes and their files.
#[derive(Default)]
pub(super) struct Held {
    /// The last round at whose beginning it was heard what happened; none has begun before the first.
    heard: AtomicU64,
    /// How often something was mounted or unmounted.
    mounts: AtomicU64,
    listener: Mutex<Listener>,
    /// There is something to hear of.
    is_in_use: AtomicBool,
    /// No more can be held, until something happens.
    is_full: AtomicBool,
    homes: RwLock<Table<Option<Home>>>,
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
    /// There could be none.
    Deaf(Instant),
}

/// A home. In its place in the table there is nothing if it cannot be held, as it is a symbolic link.
#[derive(Clone, Debug)]
struct Home {
    seen: Seen,
    /// If they are few.
    names: Option<Names>,
    watch: Arc<Watch>,
    parent: Arc<Parent>,
    /// That of the parent.
    generation: u64,
    /// How often something had been mounted.
    mounts: u64,
}

/// A file of a home.
#[derive(Clone, Debug)]
struct HeldFile {
    /// Its version may have been that of another text.
    seen: Seen,
    /// `None` if we may not watch it.
    watch: Option<Arc<Watch>>,
    /// That of the home, which is needed no longer than that is held.
    home: Weak<Watch>,
    mounts: u64,
}

/// What is known of a home that is held.
enum State {
    /// It is what was seen.
    Holds,
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

/// What is held of a home, for who asks.
pub(super) struct HeldHome {
    pub(super) seen: Seen,
    pub(super) names: Option<Names>,
}

impl Held {
    /// Hears what has happened until now; what is held counts in this round.
    pub(super) fn hear(&self, round: &AtomicU64) {
        if !self.is_in_use.load(Ordering::Relaxed) {
            return;
        }
        // While another hears, who has begun a round already, nothing counts.
        let Ok(mut listener) = self.listener.try_lock() else { return };
        let Listener::Listening(watches) = &mut *listener else { return };
        for _ in 0..TRIES {
            let now = round.load(Ordering::Acquire);
            if self.hear_for(now, watches).is_err() {
                listener.begin_anew();
                self.is_in_use.store(false, Ordering::Relaxed);
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
            self.mounts.fetch_add(1, Ordering::AcqRel);
        }
        if heard.of_files {
            self.is_full.store(false, Ordering::Relaxed);
        }
        if heard.is_all {
            self.heard.store(round, Ordering::Release);
        }
        Ok(())
    }

    /// Returns what was seen of a home, if that still holds.
    pub(super) fn home(&self, round: u64, path: &Path) -> Option<HeldHome> {
        self.with_home(round, path, |home| HeldHome { seen: home.seen, names: home.names.clone() })
    }

    /// Returns what was seen of a file, if that still holds.
    pub(super) fn file(&self, round: u64, path: &Path) -> Option<Seen> {
        let in_home = self.with_home(round, folder_of(path), |home| Arc::clone(&home.watch))?;
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let file = files.get(path.as_os_str().as_bytes()).filter(|file| self.is_in(file, &in_home))?;
        file.watch.as_ref().is_some_and(|watch| watch.is_quiet()).then_some(file.seen)
    }

    /// Holds a home of which this was seen in this round, and whose names are known for the version that was seen.
    pub(super) fn hold_home(&self, round: u64, path: &Path, seen: Seen, names: &Names) {
        let known = found(&self.homes, path);
        let is_hopeless = matches!(known, Some(None));
        let before = known.flatten().filter(|home| home.watch.is_quiet());
        if before.as_ref().is_some_and(|home| !home.seen.is_same(seen)) {
            // Another one is in its place; what is watched of it is needed no more.
            self.forget_home(path);
            return;
        }
        if round == 0 || !is_plain(path) || is_hopeless || (before.is_none() && self.is_full()) {
            return;
        }
        let (mounts, parent) = (self.mounts.load(Ordering::Acquire), self.parent(folder_of(path)));
        let Some((generation, version)) = parent.look(round).filter(|(_, version)| version.is_past()) else { return };
        // It is held already, and was not heard of in this round.
        if before.as_ref().is_some_and(|home| (home.generation, home.mounts, home.seen) == (generation, mounts, seen)) {
            return;
        }
        let Ok(opened) = Opened::in_folder(&parent.path, path) else { return };
        let watch = match self.watch(before.map(|home| home.watch), &opened) {
            Watching::No => return,
            Watching::Never => return self.keep_home(path, None),
            Watching::Yes(watch) => watch,
        };
        // In a folder that is as it was, it is where it was all the time.
        if opened.file() == Some(seen) && opened.folder().is_some_and(|folder| folder.version == Some(version)) {
            let names = (names.bytes() <= NAMES_MAX).then(|| names.clone());
            self.keep_home(path, Some(Home { seen, names, watch, parent, generation, mounts }));
        }
    }

    /// Holds a file of which this was seen in this round, if it is in a home that is held.
    pub(super) fn hold_file(&self, round: u64, path: &Path, seen: Seen) {
        let home = self.with_home(round, folder_of(path), |home| (home.seen, Arc::clone(&home.watch)));
        let Some((seen_home, home)) = home.filter(|_| seen.kind().is_file()) else { return };
        let mounts = self.mounts.load(Ordering::Acquire);
        let known = found(&self.files, path).filter(|file| file.is_of(&home));
        let is_hopeless = known.as_ref().is_some_and(|file| file.watch.is_none() && file.mounts == mounts);
        let before = known.filter(|file| file.seen.is_same(seen)).and_then(|file| file.watch);
        let before = before.filter(|watch| watch.is_quiet());
        if is_hopeless || (before.is_none() && self.is_full()) {
            return;
        }
        let Ok(opened) = Opened::in_folder(folder_of(path), path) else { return };
        // What becomes of the names in the home is heard.
        if opened.folder().is_none_or(|folder| !folder.is_same(seen_home)) {
            return;
        }
        let watch = match self.watch(before, &opened) {
            Watching::No => return,
            Watching::Never => None,
            Watching::Yes(watch) => Some(watch),
        };
        if opened.file() == Some(seen) {
            let home = Arc::downgrade(&home);
            self.keep(&self.files, path, HeldFile { seen, watch, home, mounts }, HeldFile::is_good);
        }
    }

    fn with_home<T>(&self, round: u64, path: &Path, make: impl FnOnce(&Home) -> T) -> Option<T> {
        if !self.counts(round) {
            return None;
        }
        let get = || self.homes.read().unwrap_or_else(PoisonError::into_inner);
        let homes = get();
        let home = homes.get(path.as_os_str().as_bytes())?.as_ref()?;
        let parent = match self.state(home, round) {
            State::Holds => return Some(make(home)),
            State::Over => return None,
            State::Unknown => Arc::clone(&home.parent),
        };
        // Nobody waits for the table meanwhile.
        drop(homes);
        parent.look(round)?;
        let homes = get();
        let home = homes.get(path.as_os_str().as_bytes())?.as_ref()?;
        matches!(self.state(home, round), State::Holds).then(|| make(home))
    }

    fn state(&self, home: &Home, round: u64) -> State {
        if !home.watch.is_quiet() || home.mounts != self.mounts.load(Ordering::Acquire) {
            return State::Over;
        }
        match home.parent.generation(round) {
            None => State::Unknown,
            Some(generation) if generation == home.generation => State::Holds,
            Some(_) => State::Over,
        }
    }

    /// Tells whether what is held counts in a round. Round 0 is none.
    fn counts(&self, round: u64) -> bool {
        round != 0 && self.heard.load(Ordering::Acquire) == round
    }

    fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// Tells whether a file is still in the place where it was seen.
    fn is_in(&self, file: &HeldFile, home: &Arc<Watch>) -> bool {
        file.is_of(home) && file.mounts == self.mounts.load(Ordering::Acquire)
    }

    fn parent(&self, path: &Path) -> Arc<Parent> {
        if let Some(parent) = found(&self.parents, path) {
            return parent;
        }
        let parent = Arc::new(Parent::new(path));
        self.keep(&self.parents, path, Arc::clone(&parent), |parent| Arc::strong_count(parent) > 1);
        parent
    }

    /// Watches what is open, if that is not done already.
    fn watch(&self, before: Option<Arc<Watch>>, opened: &Opened) -> Watching {
        match before {
            Some(watch) => Watching::Yes(watch),
            None if opened.is_link() || !opened.tells_what_happens() => Watching::Never,
            None => self.watch_anew(opened),
        }
    }

    fn watch_anew(&self, opened: &Opened) -> Watching {
        // Whoever has it now, nobody waits: this can be held another time.
        let Ok(mut listener) = self.listener.try_lock() else { return Watching::No };
        let Some(watches) = listener.listening() else { return Watching::No };
        if watches.is_full() && watches.may_be_swept() {
            retain(&self.homes, Home::is_good);
            retain(&self.files, HeldFile::is_good);
            watches.sweep();
        }
        if watches.is_full() {
            self.is_full.store(true, Ordering::Relaxed);
            return Watching::No;
        }
        match watches.add(&opened.file) {
            Ok(watch) => {
                self.is_in_use.store(true, Ordering::Relaxed);
                Watching::Yes(watch)
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Watching::Never,
            Err(_) => {
                // Others of this user watch as much as he may.
                self.is_full.store(true, Ordering::Relaxed);
                Watching::No
            }
        }
    }

    fn forget_home(&self, path: &Path) {
        self.homes.write().unwrap_or_else(PoisonError::into_inner).remove(path.as_os_str().as_bytes());
    }

    fn keep_home(&self, path: &Path, home: Option<Home>) {
        self.keep(&self.homes, path, home, Home::is_good);
    }

    /// Puts something into a table; where there is no room, in the place of what is not good any more.
    fn keep<T>(&self, table: &RwLock<Table<T>>, path: &Path, value: T, is_good: impl Fn(&T) -> bool) {
        let (mut table, path) = (table.write().unwrap_or_else(PoisonError::into_inner), path.as_os_str().as_bytes());
        if table.len() >= HELD_MAX && !table.contains_key(path) {
            table.retain(|_, value| is_good(value));
            if table.len() >= HELD_MAX {
                self.is_full.store(true, Ordering::Relaxed);
                return;
            }
        }
        table.insert(path.into(), value);
    }
}

impl Listener {
    fn listening(&mut self) -> Option<&mut Watches> {
        let is_needed = match self {
            Self::Unneeded => true,
            Self::Listening(_) => false,
            Self::Deaf(since) => since.elapsed() >= DEAF,
        };
        if is_needed {
            *self = Watches::open().map_or_else(|_| Self::Deaf(Instant::now()), Self::Listening);
        }
        match self {
            Self::Listening(watches) => Some(watches),
            _ => None,
        }
    }

    /// Forgets all watches; to end them takes long.
    fn begin_anew(&mut self) {
        let old = std::mem::take(self);
        // Without a thread it is done here.
        let _ = thread::Builder::new().name("forget".into()).stack_size(STACK_SIZE).spawn(move || drop(old));
    }
}

impl Home {
    fn is_good(home: &Option<Self>) -> bool {
        home.as_ref().is_some_and(|home| home.watch.is_quiet())
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

fn retain<T>(table: &RwLock<Table<T>>, is_good: impl Fn(&T) -> bool) {
    table.write().unwrap_or_else(PoisonError::into_inner).retain(|_, value| is_good(value));
}

/// Tells whether the last part of a path is a name in the folder that the path before it leads to.
fn is_plain(path: &Path) -> bool {
    path.is_absolute() && !matches!(last_part(path), b"" | b"." | b"..")
}

#[cfg(test)]
mod tests;
