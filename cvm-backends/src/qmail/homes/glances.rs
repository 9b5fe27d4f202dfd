//! Glances: what was seen in this round.

use std::ffi::OsString;
use std::hash::BuildHasher;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use super::Seen;

/// As many as a loop answers requests in a round.
const SLOTS: usize = 64;

/// The last looks at paths, all of them in one way. Of several in one place the latest counts.
pub(super) struct Glances {
    slots: [Mutex<Slot>; SLOTS],
    hasher: RandomState,
}

#[derive(Default)]
struct Slot {
    path: OsString,
    seen: Option<(u64, Seen)>,
}

impl Default for Glances {
    fn default() -> Self {
        Self { slots: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::default() }
    }
}

impl Glances {
    /// Looks at a path, unless that was done in this round. Round 0 is none: where nobody counts rounds, nothing holds.
    pub(super) fn look(&self, round: u64, path: &Path, look: impl FnOnce() -> io::Result<Seen>) -> io::Result<Seen> {
        if round == 0 {
            return look();
        }
        let slot = self.slot(path);
        if let Some(seen) = locked(slot).seen_in(round, path) {
            return Ok(seen);
        }
        let seen = look()?;
        locked(slot).take(round, path, seen);
        Ok(seen)
    }

    fn slot(&self, path: &Path) -> &Mutex<Slot> {
        let hash = self.hasher.hash_one(path.as_os_str().as_bytes());
        &self.slots[usize::try_from(hash % SLOTS as u64).unwrap_or(0)]
    }
}

fn locked(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    fn seen_in(&self, round: u64, path: &Path) -> Option<Seen> {
        let is_same = |seen_in| seen_in == round && self.path.as_bytes() == path.as_os_str().as_bytes();
        self.seen.filter(|(seen_in, _)| is_same(*seen_in)).map(|(_, seen)| seen)
    }

    fn take(&mut self, round: u64, path: &Path, seen: Seen) {
        self.path.clear();
        self.path.push(path);
        self.seen = Some((round, seen));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_path_is_looked_at_once_a_round() {
        let glances = Glances::default();
        let looks = Cell::new(0);
        let look = |round, path: &str| {
            let seen = glances.look(round, Path::new(path), || {
                looks.set(looks.get() + 1);
                super::super::look(Path::new(path))
            });
            (seen.is_ok(), looks.get())
        };
        assert_eq!(look(1, "/"), (true, 1));
        assert_eq!(look(1, "/"), (true, 1));
        assert_eq!(look(2, "/"), (true, 2));
        // It is of an earlier round for whoever was late.
        assert_eq!(look(1, "/"), (true, 3));
        for looks in 4..6 {
            assert_eq!(look(1, "/nonexistent"), (false, looks));
        }
        for looks in 6..8 {
            assert_eq!(look(0, "/"), (true, looks));
        }
    }

    #[test]
    fn paths_in_one_place_are_not_taken_for_each_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let paths: Vec<_> = (0..200).map(|number| folder.path().join(number.to_string())).collect();
        paths.iter().for_each(|path| std::fs::write(path, "").expect("written"));
        let glances = Glances::default();
        for _ in 0..2 {
            for path in &paths {
                let seen = glances.look(1, path, || super::super::look(path)).expect("there");
                assert_eq!(seen, super::super::look(path).expect("there"));
            }
        }
    }
}
