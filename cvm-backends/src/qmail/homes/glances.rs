//! Glances: what was seen in this round.

use std::ffi::OsString;
use std::fs::Metadata;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    seen: Option<(u64, Metadata)>,
}

impl Default for Glances {
    fn default() -> Self {
        Self { slots: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() }
    }
}

impl Glances {
    /// Looks at a path, unless that was done in this round. Round 0 is none: where nobody counts rounds, nothing holds.
    pub(super) fn look(
        &self,
        round: u64,
        path: &Path,
        look: impl FnOnce() -> io::Result<Metadata>,
    ) -> io::Result<Metadata> {
        if round == 0 {
            return look();
        }
        if let Some(seen) = self.slot(path).seen_in(round, path) {
            return Ok(seen);
        }
        let seen = look()?;
        self.slot(path).take(round, path, seen.clone());
        Ok(seen)
    }

    fn slot(&self, path: &Path) -> MutexGuard<'_, Slot> {
        let number = usize::try_from(self.hasher.hash_one(path.as_os_str()) % SLOTS as u64).unwrap_or(0);
        self.slots[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn seen_in(&self, round: u64, path: &Path) -> Option<Metadata> {
        let (_, seen) = self.seen.as_ref().filter(|(seen_in, _)| *seen_in == round && self.path == path)?;
        Some(seen.clone())
    }

    fn take(&mut self, round: u64, path: &Path, seen: Metadata) {
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
                std::fs::metadata(path)
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
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().expect("a folder");
        let paths: Vec<_> = (0..200).map(|number| folder.path().join(number.to_string())).collect();
        paths.iter().for_each(|path| std::fs::write(path, "").expect("written"));
        let glances = Glances::default();
        for _ in 0..2 {
            for path in &paths {
                let seen = glances.look(1, path, || std::fs::metadata(path)).expect("there");
                assert_eq!(seen.ino(), std::fs::metadata(path).expect("there").ino());
            }
        }
    }
}
