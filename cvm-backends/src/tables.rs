//! The CDB tables of many domains: opened when they are asked for, kept open as long as there is room.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cdb::{Cdb, WatchedCdb};
use crate::stamp::Links;

/// How many tables are kept open; a server has descriptors left for so many.
const OPEN_MAX: usize = 128;

/// Tables by their paths. Each is looked at with one `lstat` in a round that asks for it: they are in folders of many
/// owners, whose symbolic links are not followed.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    kept: Mutex<Kept>,
    round: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    tables: HashMap<PathBuf, Place>,
    /// Counts what was asked for.
    now: u64,
}

/// A table that is kept.
#[derive(Debug)]
struct Place {
    table: Arc<Seen>,
    asked_at: u64,
}

/// A table, and the round in which its file was looked at.
#[derive(Debug)]
struct Seen {
    table: WatchedCdb,
    in_round: AtomicU64,
}

impl Tables {
    /// Begins a round: what is asked for from now on is looked at again.
    pub(crate) fn refresh(&self) {
        self.round.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns the table of this path, or `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// Why it could not be opened.
    pub(crate) fn get(&self, path: &Path) -> io::Result<Option<Arc<Cdb>>> {
        let round = self.round.load(Ordering::Acquire);
        let seen = self.kept(path).unwrap_or_else(|| self.open(path, round));
        // Who asks while another looks gets what was there before.
        if seen.in_round.load(Ordering::Acquire) != round {
            seen.table.refresh();
            seen.in_round.store(round, Ordering::Release);
        }
        seen.table.get()
    }

    fn kept(&self, path: &Path) -> Option<Arc<Seen>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.now += 1;
        let now = kept.now;
        let place = kept.tables.get_mut(path)?;
        place.asked_at = now;
        Some(Arc::clone(&place.table))
    }

    /// Opens a table, for which nobody waits but those who ask for it.
    fn open(&self, path: &Path, round: u64) -> Arc<Seen> {
        let table = WatchedCdb::open(path.to_owned(), Links::Refused);
        let table = Arc::new(Seen { table, in_round: AtomicU64::new(round) });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.make_room();
        let asked_at = kept.now;
        kept.tables.insert(path.to_owned(), Place { table: Arc::clone(&table), asked_at });
        table
    }
}

impl Kept {
    /// Lets the table go that nobody has asked for longest, if all places are taken.
    fn make_room(&mut self) {
        if self.tables.len() < OPEN_MAX {
            return;
        }
        let oldest = self.tables.iter().min_by_key(|(_, place)| place.asked_at).map(|(path, _)| path.clone());
        oldest.map(|path| self.tables.remove(&path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdb::made;

    fn write(path: &Path, data: &str) {
        let new = path.with_extension("new");
        made(&new, &[(b"key".to_vec(), data.into())]);
        std::fs::rename(new, path).expect("renamed");
    }

    fn value(tables: &Tables, path: &Path) -> String {
        let table = tables.get(path).expect("readable").expect("there");
        let value = table.find(b"key").expect("a whole table").expect("the key is there");
        String::from_utf8_lossy(&value).into_owned()
    }

    /// How many of the descriptors of this process are files in a folder.
    fn open_files(folder: &Path) -> usize {
        let descriptors = std::fs::read_dir("/proc/self/fd").expect("descriptors").filter_map(Result::ok);
        descriptors.filter(|fd| std::fs::read_link(fd.path()).is_ok_and(|path| path.starts_with(folder))).count()
    }

    #[test]
    fn a_table_is_opened_once_and_exchanged_in_the_next_round() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.cdb");
        let tables = Tables::default();
        assert!(tables.get(&path).expect("a missing file is no error").is_none());
        write(&path, "first");
        tables.refresh();
        assert_eq!(value(&tables, &path), "first");
        write(&path, "second");
        assert_eq!(value(&tables, &path), "first");
        for _ in 0..3 {
            tables.refresh();
            assert_eq!(value(&tables, &path), "second");
        }
        assert_eq!(open_files(folder.path()), 1);
    }

    #[test]
    fn a_damaged_table_is_an_error_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let (good, bad) = (folder.path().join("good.cdb"), folder.path().join("bad.cdb"));
        write(&good, "good");
        std::fs::write(&bad, "no table").expect("written");
        let tables = Tables::default();
        for _ in 0..2 {
            tables.refresh();
            assert_eq!(tables.get(&bad).expect_err("no table").kind(), io::ErrorKind::InvalidData);
            assert!(tables.get(folder.path()).is_err(), "a folder is no table");
            assert_eq!(value(&tables, &good), "good");
        }
        write(&bad, "better");
        tables.refresh();
        assert_eq!(value(&tables, &bad), "better");
    }

    #[test]
    fn what_a_link_leads_to_is_no_table() {
        let folder = tempfile::tempdir().expect("a folder");
        let (there, link) = (folder.path().join("there.cdb"), folder.path().join("link.cdb"));
        write(&there, "somebody else's");
        let tables = Tables::default();
        for target in [there.as_path(), Path::new("/dev/zero"), Path::new("nowhere")] {
            std::os::unix::fs::symlink(target, &link).expect("a link");
            tables.refresh();
            assert!(tables.get(&link).is_err(), "{target:?}");
            std::fs::remove_file(&link).expect("removed");
            tables.refresh();
            assert!(tables.get(&link).expect("missing").is_none());
        }
        assert_eq!(open_files(folder.path()), 0);
        rustix::fs::mknodat(rustix::fs::CWD, &link, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .expect("a pipe");
        tables.refresh();
        assert!(tables.get(&link).is_err(), "a pipe is no table");
    }

    #[test]
    fn a_link_in_the_place_of_a_table_that_was_read_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (there, path) = (folder.path().join("there.cdb"), folder.path().join("t.cdb"));
        write(&there, "somebody else's");
        write(&path, "mine");
        let tables = Tables::default();
        assert_eq!(value(&tables, &path), "mine");
        std::fs::remove_file(&path).and_then(|()| std::os::unix::fs::symlink(&there, &path)).expect("a link");
        tables.refresh();
        assert_eq!(value(&tables, &path), "mine", "for a second");
        std::thread::sleep(std::time::Duration::from_millis(1100));
        tables.refresh();
        assert!(tables.get(&path).is_err());
    }

    #[test]
    fn beyond_the_bound_the_table_goes_that_nobody_has_asked_for_longest() {
        let folder = tempfile::tempdir().expect("a folder");
        let tables = Tables::default();
        let path = |number: usize| folder.path().join(format!("{number}.cdb"));
        for number in 0..OPEN_MAX + 20 {
            write(&path(number), &number.to_string());
            assert_eq!(value(&tables, &path(number)), number.to_string());
            // This one is asked for all the time.
            assert_eq!(value(&tables, &path(0)), "0");
        }
        assert_eq!(open_files(folder.path()), OPEN_MAX);
        let kept = tables.kept.lock().expect("not poisoned");
        let is_kept = |number| kept.tables.contains_key(&path(number));
        assert!(is_kept(0) && !is_kept(1) && !is_kept(20) && is_kept(21) && is_kept(OPEN_MAX + 19));
        drop(kept);
        assert_eq!(value(&tables, &path(1)), "1");
    }

    #[test]
    fn a_table_that_is_let_go_serves_those_who_have_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let tables = Tables::default();
        let first = folder.path().join("first.cdb");
        write(&first, "first");
        let table = tables.get(&first).expect("readable").expect("there");
        for number in 0..=OPEN_MAX {
            assert!(tables.get(&folder.path().join(number.to_string())).expect("missing").is_none());
        }
        assert_eq!(tables.kept.lock().expect("not poisoned").tables.len(), OPEN_MAX);
        assert!(table.find(b"key").expect("a whole table").is_some());
    }
}
