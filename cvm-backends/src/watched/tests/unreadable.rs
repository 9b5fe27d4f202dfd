//! Files that are missing, or no files.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

fn make_fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[track_caller]
fn says_once(rig: &Rig) {
    for _ in 0..3 {
        assert_eq!(rig.next(), None);
    }
    let said = rig.said.take();
    let path = rig.path.display().to_string();
    assert!(said.len() == 1 && said[0].starts_with(&path), "{said:?}");
}

#[test]
fn a_deleted_file_answers_for_a_second_and_is_then_missed_once() {
    let rig = Rig::new("old\n");
    fs::remove_file(&rig.path).unwrap();
    rig.expect("old\n");
    thread::sleep(GRACE / 2);
    rig.expect("old\n");
    assert_eq!(rig.said.take(), [""; 0]);
    thread::sleep(MORE_THAN_GRACE - GRACE / 2);
    says_once(&rig);
    rig.write("new\n");
    rig.expect("new\n");
    // The next time is another one.
    fs::remove_file(&rig.path).unwrap();
    rig.expect("new\n");
    thread::sleep(MORE_THAN_GRACE);
    says_once(&rig);
}

#[test]
fn a_file_that_comes_back_within_a_second_was_never_away() {
    let rig = Rig::new("old\n");
    for content in ["new\n", "newer\n"] {
        fs::remove_file(&rig.path).unwrap();
        rig.next().unwrap();
        thread::sleep(GRACE / 2 + TICK);
        rig.write(content);
        rig.expect(content);
    }
    assert_eq!(rig.said.take(), [""; 0]);
}

#[test]
fn a_file_that_is_missing_at_the_start_is_said_at_once_and_seen_when_it_comes() {
    let start = Instant::now();
    let rig = Rig::of(|_| {});
    says_once(&rig);
    assert!(start.elapsed() < GRACE);
    rig.write("new\n");
    rig.expect("new\n");
}

#[test]
fn what_is_no_regular_file_is_unreadable_and_never_waited_for() {
    let start = Instant::now();
    let directory = Rig::of(|path| fs::create_dir(path).unwrap());
    let fifo = Rig::of(make_fifo);
    let socket = Rig::of(|path| drop(UnixListener::bind(path).unwrap()));
    let endless = Rig::of(|path| symlink("/dev/zero", path).unwrap());
    let loop_of_links = Rig::of(|path| symlink("file", path).unwrap());
    for rig in [directory, fifo, socket, endless, loop_of_links] {
        says_once(&rig);
    }
    assert!(start.elapsed() < GRACE);
}

#[test]
fn a_file_replaced_by_something_else_is_missed_after_a_second() {
    let directory = Rig::new("old\n");
    fs::remove_file(&directory.path).unwrap();
    fs::create_dir(&directory.path).unwrap();
    let fifo = Rig::new("old\n");
    fs::remove_file(&fifo.path).unwrap();
    make_fifo(&fifo.path);
    for rig in [&directory, &fifo] {
        rig.expect("old\n");
        assert_eq!(rig.said.take(), [""; 0]);
    }
    thread::sleep(MORE_THAN_GRACE);
    for rig in [&directory, &fifo] {
        says_once(rig);
    }
}
