//! What a request sees of a file that changes (SPEC section 8, cvm-pwfile).

mod unreadable;
mod writers;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tempfile::TempDir;

use super::turn::RETRY;
use super::*;
use crate::testing::Said;

/// A little more than a missing or unfinished file is given.
const MORE_THAN_GRACE: Duration = Duration::from_millis(1100);

/// A file in a directory of its own, and who watches it.
struct Rig {
    file: Watched<Vec<u8>>,
    path: PathBuf,
    said: Said,
    parses: Arc<AtomicUsize>,
    directory: TempDir,
}

impl Rig {
    fn new(content: impl AsRef<[u8]>) -> Self {
        Self::of(|path| fs::write(path, content).unwrap())
    }

    fn of(make: impl FnOnce(&Path)) -> Self {
        Self::with_parse(make, |_| {})
    }

    /// `parse` is called with each version that is read.
    fn with_parse(make: impl FnOnce(&Path), parse: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        make(&path);
        let (notices, said) = Said::new();
        let parses = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&parses);
        let file = Watched::open(path.clone(), notices, move |bytes| {
            counted.fetch_add(1, Ordering::Relaxed);
            parse(&bytes);
            Ok(bytes.to_vec())
        });
        Self { file, path, said, parses, directory }
    }

    /// What the next request sees.
    fn next(&self) -> Option<Vec<u8>> {
        self.file.refresh();
        self.file.version().ok().map(|version| version.to_vec())
    }

    #[track_caller]
    fn expect(&self, content: impl AsRef<[u8]>) {
        let next = self.next().map(|version| version.escape_ascii().to_string());
        assert_eq!(next, Some(content.as_ref().escape_ascii().to_string()));
    }

    fn write(&self, content: impl AsRef<[u8]>) {
        fs::write(&self.path, content).unwrap();
    }

    /// Puts a file in the place of the old one.
    fn replace(&self, content: impl AsRef<[u8]>) {
        let new = self.directory.path().join("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, &self.path).unwrap();
    }
}

#[test]
fn a_file_rewritten_in_place_is_seen_by_the_next_request() {
    let rig = Rig::new("0000\n");
    let file = OpenOptions::new().write(true).open(&rig.path).unwrap();
    // Same size, and many changes within each tick of the clock that stamps files.
    for number in 0..3000 {
        let content = format!("{number:04}\n");
        file.write_all_at(content.as_bytes(), 0).unwrap();
        rig.expect(content);
    }
}

#[test]
fn a_file_truncated_and_rewritten_is_seen_by_the_next_request() {
    let rig = Rig::new("0000\n");
    for number in 0..1000 {
        let content = format!("{number:04}\n");
        rig.write(&content);
        rig.expect(content);
    }
}

#[test]
fn a_file_replaced_by_rename_is_seen_by_the_next_request() {
    let rig = Rig::new("0000\n");
    for number in 0..1000 {
        let content = format!("{number:04}\n");
        rig.replace(&content);
        rig.expect(content);
    }
}

#[test]
fn a_link_that_points_elsewhere_is_seen_by_the_next_request() {
    let rig = Rig::of(|path| {
        let directory = path.parent().unwrap();
        fs::write(directory.join("a"), "a\n").unwrap();
        fs::write(directory.join("b"), "b\n").unwrap();
        std::os::unix::fs::symlink("a", path).unwrap();
    });
    rig.expect("a\n");
    let new = rig.directory.path().join("new");
    std::os::unix::fs::symlink("b", &new).unwrap();
    fs::rename(new, &rig.path).unwrap();
    rig.expect("b\n");
}

#[test]
fn a_change_right_after_the_start_is_seen() {
    for _ in 0..50 {
        let rig = Rig::new("old\n");
        rig.write("new\n");
        rig.expect("new\n");
    }
}

#[test]
fn a_file_that_stays_as_it_is_is_not_read_again() {
    let rig = Rig::new("same\n");
    thread::sleep(TICK + TICK);
    rig.expect("same\n");
    let parses = rig.parses.load(Ordering::Relaxed);
    for _ in 0..100 {
        rig.expect("same\n");
    }
    assert_eq!(rig.parses.load(Ordering::Relaxed), parses);
    assert_eq!(rig.said.take(), [""; 0]);
}

#[test]
fn while_a_truncated_file_is_refilled_the_old_version_answers() {
    let rig = Rig::new("old\n");
    let file = OpenOptions::new().write(true).open(&rig.path).unwrap();
    file.set_len(0).unwrap();
    rig.expect("old\n");
    file.write_all_at(b"ne", 0).unwrap();
    rig.expect("old\n");
    file.write_all_at(b"w", 2).unwrap();
    rig.expect("old\n");
    file.write_all_at(b"\n", 3).unwrap();
    rig.expect("new\n");
    assert_eq!(rig.said.take(), [""; 0]);
}

#[test]
fn a_version_without_a_final_newline_counts_after_a_second() {
    let rig = Rig::new("old\n");
    rig.write("new\nand its last li");
    let empty = Rig::new("old\n");
    empty.write("");
    let start = Instant::now();
    while start.elapsed() < GRACE - RETRY {
        rig.expect("old\n");
        empty.expect("old\n");
        thread::sleep(RETRY);
    }
    thread::sleep(MORE_THAN_GRACE.saturating_sub(start.elapsed()));
    rig.expect("new\nand its last li");
    empty.expect("");
}

#[test]
fn at_the_start_a_version_is_given_a_second_to_become_whole() {
    let rig = Rig::of(|path| {
        fs::write(path, "a\nhal").unwrap();
        let path = path.to_owned();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(120));
            fs::write(path, "a\nhalf\n").unwrap();
        });
    });
    rig.expect("a\nhalf\n");
}

fn large(letter: &str) -> String {
    let lines = usize::try_from(INLINE_MAX).unwrap() / 2 + 1;
    format!("{letter}\n").repeat(lines)
}

#[test]
fn a_large_file_is_read_once_by_a_thread_of_its_own_and_waited_for() {
    let rig = Rig::new(large("a"));
    assert!(rig.next() == Some(large("a").into_bytes()));
    let parses = rig.parses.load(Ordering::Relaxed);
    rig.write(large("b"));
    rig.file.refresh();
    assert!(matches!(rig.file.now(), Err(Due)), "noticed, and not read here");
    assert!(rig.file.version().is_ok_and(|version| *version == large("b").into_bytes()));
    thread::sleep(TICK + TICK);
    assert!(rig.next() == Some(large("b").into_bytes()));
    assert!(rig.file.now().is_ok(), "once read it is memory");
    assert_eq!(rig.parses.load(Ordering::Relaxed), parses + 1);
}

#[test]
fn a_large_file_is_read_though_nobody_waits_for_it() {
    let rig = Rig::new(large("a"));
    rig.write(large("b"));
    rig.file.refresh();
    let give_up = Instant::now() + MORE_THAN_GRACE * 10;
    while !rig.file.now().is_ok_and(|version| version.is_ok_and(|version| version.starts_with(b"b"))) {
        assert!(Instant::now() < give_up);
        thread::sleep(TICK / 10);
    }
}

#[test]
fn when_many_wait_for_a_large_file_the_last_version_answers_the_others() {
    let rig = Rig::with_parse(
        |path| fs::write(path, large("a")).unwrap(),
        |bytes| {
            if bytes.starts_with(b"b") {
                thread::sleep(GRACE);
            }
        },
    );
    rig.replace(large("b"));
    rig.file.refresh();
    let told = (0..1000).filter(|_| match rig.file.now() {
        Err(Due) => true,
        Ok(version) => version.is_ok_and(|version| !version.starts_with(b"a")),
    });
    assert_eq!(told.count(), WAITING_MAX);
    assert!(rig.file.version().is_ok_and(|version| version.starts_with(b"b")));
    assert!(rig.file.now().is_ok_and(|version| version.is_ok_and(|version| version.starts_with(b"b"))));
}

#[test]
fn while_the_administrator_has_it_read_again_nobody_waits() {
    let rig = Rig::with_parse(|path| fs::write(path, large("a")).unwrap(), |_| thread::sleep(TICK));
    thread::scope(|scope| {
        let reload = scope.spawn(|| rig.file.reload());
        while !reload.is_finished() {
            assert!(rig.file.now().is_ok_and(|version| version.is_ok()));
        }
    });
    assert!(rig.parses.load(Ordering::Relaxed) > 1);
}

#[test]
fn a_large_version_that_is_replaced_is_let_go_by_a_thread_of_its_own() {
    struct Version(thread::ThreadId, std::sync::mpsc::Sender<bool>);
    impl Drop for Version {
        fn drop(&mut self) {
            let _ = self.1.send(thread::current().id() == self.0);
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, large("a")).unwrap();
    let (sender, dropped) = std::sync::mpsc::channel();
    let here = thread::current().id();
    let file = Watched::open(path.clone(), Said::new().0, move |_| Ok(Version(here, sender.clone())));
    let in_use = file.version().ok();
    fs::write(&path, large("b")).unwrap();
    file.refresh();
    let _ = file.version();
    thread::sleep(TICK);
    drop(in_use);
    assert_eq!(dropped.recv_timeout(MORE_THAN_GRACE * 2), Ok(false));
}

#[test]
fn requests_after_a_change_wait_for_a_reading_that_began_after_it() {
    let rig = Rig::with_parse(
        |path| fs::write(path, large("a")).unwrap(),
        |bytes| {
            if bytes.starts_with(b"b") {
                thread::sleep(Duration::from_millis(150));
            }
        },
    );
    rig.replace(large("b"));
    thread::scope(|scope| {
        scope.spawn(|| rig.next());
        thread::sleep(Duration::from_millis(50));
        // The first reader is busy with a version that is no longer the newest.
        rig.replace(large("c"));
        assert!(rig.next() == Some(large("c").into_bytes()));
    });
}
