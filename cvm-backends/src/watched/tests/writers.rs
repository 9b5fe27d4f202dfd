//! Writers and readers at the same time.

use std::sync::atomic::{AtomicBool, AtomicU32};

use super::*;

/// How long writers and readers work against each other.
const A_WHILE: Duration = Duration::from_millis(500);

/// A version: its number, many times over, so that two halves of different versions do not pass for one.
fn version(number: u32) -> String {
    format!("{number:06}\n").repeat(300)
}

fn number_of(content: &[u8]) -> u32 {
    let number = str::from_utf8(&content[..6]).unwrap().parse().unwrap();
    assert!(content == version(number).as_bytes(), "version {number} is not whole");
    number
}

/// Lets readers ask while `write` makes the versions 1, 2, 3 and so on. `check` is told which version was seen, and
/// which one was there before the request.
fn read_while_writing(rig: &Rig, mut write: impl FnMut(u32), check: impl Fn(u32, u32) + Sync) {
    let (written, is_over) = (AtomicU32::new(0), AtomicBool::new(false));
    let read = || {
        while !is_over.load(Ordering::Relaxed) {
            let before = written.load(Ordering::SeqCst);
            check(number_of(&rig.next().unwrap()), before);
        }
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        let start = Instant::now();
        for number in 1.. {
            // A reader that is not content has stopped.
            if start.elapsed() > A_WHILE || readers.iter().any(thread::ScopedJoinHandle::is_finished) {
                break;
            }
            write(number);
            written.store(number, Ordering::SeqCst);
            thread::sleep(Duration::from_micros(200));
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn while_versions_replace_each_other_each_request_sees_the_newest_whole_one() {
    let rig = Rig::new(version(0));
    let replace = |number| rig.replace(version(number));
    let is_newest = |seen, before| assert!(seen >= before, "version {seen}, after {before} was in its place");
    read_while_writing(&rig, replace, is_newest);
}

#[test]
fn while_a_file_is_truncated_and_rewritten_each_request_sees_a_whole_version() {
    let rig = Rig::new(version(0));
    read_while_writing(&rig, |number| rig.write(version(number)), |_, _| {});
}

#[test]
fn while_a_file_comes_and_goes_a_whole_version_answers() {
    let rig = Rig::new(version(0));
    let replace = |number| {
        fs::remove_file(&rig.path).unwrap();
        thread::sleep(Duration::from_micros(200));
        rig.replace(version(number));
    };
    read_while_writing(&rig, replace, |_, _| {});
    assert_eq!(rig.said.take(), [""; 0]);
}
