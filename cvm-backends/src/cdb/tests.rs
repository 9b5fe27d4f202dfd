use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Makes a table with tinycdb's program.
pub(crate) fn made(path: &Path, records: &[(Vec<u8>, Vec<u8>)]) {
    let mut input = Vec::new();
    for (key, data) in records {
        write!(input, "+{},{}:", key.len(), data.len()).expect("memory");
        input.extend_from_slice(key);
        input.extend_from_slice(b"->");
        input.extend_from_slice(data);
        input.push(b'\n');
    }
    input.push(b'\n');
    let mut maker =
        Command::new("cdb").arg("-c").arg(path).stdin(Stdio::piped()).spawn().expect("tinycdb is installed");
    maker.stdin.take().expect("piped").write_all(&input).expect("it reads");
    assert!(maker.wait().expect("it ends").success());
}

fn record(key: &str, data: &str) -> (Vec<u8>, Vec<u8>) {
    (key.into(), data.into())
}

fn kept(table: Cdb) -> Cdb {
    table.keep().expect("a file that nobody writes to");
    assert!(table.kept.get().is_some());
    table
}

fn value(table: &Cdb, key: &[u8]) -> Option<Vec<u8>> {
    table.find(key).expect("a whole table").map(|data| data.to_vec())
}

#[test]
fn the_published_hashes_are_computed() {
    assert_eq!([hash(b""), hash(b"one"), hash(b"!user\0")], [0x1505, 0x0b87_5b81, 0xc2c6_44f5]);
}

#[test]
fn the_first_of_two_records_with_one_key_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.cdb");
    let long = "x".repeat(3000);
    made(&path, &[record("one", "Hello"), record("one", "again"), record("", "-"), record("long", &long)]);
    let table = Cdb::open(&path, Links::Followed).expect("it opens");
    assert_eq!(value(&table, b"one").as_deref(), Some(&b"Hello"[..]));
    assert_eq!(value(&table, b"").as_deref(), Some(&b"-"[..]));
    for _ in 0..2 {
        assert_eq!(table.reader().find_empty().expect("a whole table"), Some(&b"-"[..]));
    }
    assert_eq!(value(&table, b"long").as_deref(), Some(long.as_bytes()));
    assert_eq!(value(&table, b"two"), None);
}

#[test]
fn a_table_is_exchanged_when_its_file_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.cdb");
    let watched = WatchedCdb::open(path.clone(), Links::Followed);
    assert!(watched.get().expect("a missing file is no error").is_none());
    for data in ["first", "second"] {
        let new = folder.path().join("new");
        made(&new, &[record("key", data)]);
        std::fs::rename(&new, &path).expect("renamed");
        watched.refresh();
        let table = watched.get().expect("readable").expect("there");
        assert_eq!(value(&table, b"key").as_deref(), Some(data.as_bytes()));
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

/// Opens a table that has stood for a while, and waits until it is kept.
fn kept_by_rounds(path: &Path) -> WatchedCdb {
    std::thread::sleep(2 * crate::stamp::TICK);
    let watched = WatchedCdb::open_keeping(path.to_owned(), Links::Followed);
    let table = watched.get().expect("readable").expect("there");
    for _ in 0..15 {
        watched.refresh();
    }
    std::thread::sleep(crate::stamp::TICK);
    assert!(table.kept.get().is_none(), "few rounds do not make it worth it");
    watched.refresh();
    let patience = Instant::now() + Duration::from_secs(10);
    while table.kept.get().is_none() {
        assert!(Instant::now() < patience, "it is read, if need be by a thread");
        std::thread::sleep(Duration::from_millis(1));
    }
    watched
}

#[test]
fn what_is_kept_of_a_table_is_of_one_version() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.cdb");
    for filling in [0, 1_000_000] {
        made(&path, &[record("one", "Hello"), record("filling", &"x".repeat(filling)), record("two", "Goodbye")]);
        let watched = kept_by_rounds(&path);
        let table = watched.get().expect("readable").expect("there");
        std::fs::write(&path, std::fs::read(&path).expect("readable").to_ascii_uppercase()).expect("written in place");
        assert_eq!(value(&table, b"two").as_deref(), Some(&b"Goodbye"[..]), "it was kept with the other one");
        watched.refresh();
        let table = watched.get().expect("readable").expect("there");
        assert_eq!(value(&table, b"one"), None);
        std::fs::write(&path, "cut").expect("written in place");
        assert!(table.find(b"ONE").is_err(), "nothing is kept that may be of two versions");
    }
}

#[test]
fn a_reader_that_began_before_the_table_was_kept_asks_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.cdb");
    made(&path, &[record("one", "Hello")]);
    let table = Cdb::open(&path, Links::Followed).expect("it opens");
    let before = table.reader();
    table.keep().expect("a file that nobody writes to");
    File::options().write(true).open(&path).expect("it opens").set_len(2050).expect("truncated");
    assert!(before.search(b"one").is_err() && before.check().is_err());
    assert_eq!(value(&table, b"one").as_deref(), Some(&b"Hello"[..]));
    assert!(table.keep().is_err(), "it is another version now");
}

#[test]
fn large_tables_are_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.cdb");
    made(&path, &[record("one", "Hello")]);
    let file = File::options().write(true).open(&path).expect("it opens");
    for (size, is_kept) in [(KEPT_MAX, true), (KEPT_MAX + 1, false)] {
        file.set_len(size).expect("it grows");
        assert_eq!(Cdb::open(&path, Links::Followed).expect("it opens").can_be_kept(), is_kept);
    }
}

/// A little more than a file is given that is damaged or missing.
const MORE_THAN_GRACE: Duration = Duration::from_millis(1100);

#[test]
fn the_version_before_answers_for_a_second_in_the_place_of_a_damaged_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.cdb");
    let new = folder.path().join("new");
    made(&path, &[record("key", "whole")]);
    let watched = WatchedCdb::open(path.clone(), Links::Followed);
    let refreshed = || {
        watched.refresh();
        let table = watched.get().map_err(|error| error.kind())?;
        Ok(table.map(|table| value(&table, b"key").expect("the key is there")))
    };
    for (damage, then) in [(Some(&b"short"[..]), Err(io::ErrorKind::InvalidData)), (None, Ok(None))] {
        match damage {
            Some(bytes) => std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, &path)),
            None => std::fs::remove_file(&path),
        }
        .expect("exchanged");
        assert_eq!(refreshed(), Ok(Some(b"whole".to_vec())));
        std::thread::sleep(MORE_THAN_GRACE);
        assert_eq!(refreshed(), then);
        made(&new, &[record("key", "whole")]);
        std::fs::rename(&new, &path).expect("renamed");
        assert_eq!(refreshed(), Ok(Some(b"whole".to_vec())));
    }
}

#[test]
fn a_table_that_is_written_to_is_not_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.cdb");
    made(&path, &[record("one", "Hello")]);
    let table = Cdb::open(&path, Links::Followed).expect("it opens");
    assert!(table.find(b"one").is_ok());
    std::fs::rename(&path, folder.path().join("other")).expect("renamed");
    assert!(table.find(b"one").is_ok(), "another name is no other content");
    let file = File::options().write(true).open(folder.path().join("other")).expect("it opens");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("a time");
    for key in [&b"one"[..], b"two"] {
        assert_eq!(table.find(key).expect_err("written to").kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn a_table_whose_end_is_missing_is_not_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.cdb");
    made(&path, &[record("one", "Hello"), record("two", "Goodbye")]);
    let bytes = std::fs::read(&path).expect("readable");
    for length in [0, 2047, 2048, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).expect("written");
        assert_eq!(
            Cdb::open(&path, Links::Followed).expect_err("cut").kind(),
            io::ErrorKind::InvalidData,
            "{length} bytes"
        );
    }
}

#[test]
fn a_file_that_is_truncated_while_open_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.cdb");
    made(&path, &[record("one", "Hello")]);
    let table = Cdb::open(&path, Links::Followed).expect("it opens");
    File::options().write(true).open(&path).expect("it opens").set_len(2050).expect("truncated");
    assert_eq!(table.find(b"one").expect_err("truncated").kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_table_without_an_empty_slot_ends_the_search() {
    // One table for all, full of slots with the wanted hash that lead to a record with another key.
    for (slots, is_error) in [(4u32, false), (100_000, true)] {
        let record = 2048u32;
        let table = record + 11;
        let mut file: Vec<u8> = (0..256).flat_map(|_| [table.to_le_bytes(), slots.to_le_bytes()].concat()).collect();
        file.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0]);
        file.extend_from_slice(b"two");
        for _ in 0..slots {
            file.extend_from_slice(&hash(b"one").to_le_bytes());
            file.extend_from_slice(&record.to_le_bytes());
        }
        assert_eq!(of_bytes(&file).and_then(|table| table.find(b"one")).is_err(), is_error, "{slots} slots");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_key_of_a_made_table_is_found(
        table in proptest::collection::btree_map(
            proptest::collection::vec(any::<u8>(), 0..40), proptest::collection::vec(any::<u8>(), 0..600), 0..60),
        other in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.cdb");
        let records: Vec<_> = table.clone().into_iter().collect();
        made(&path, &records);
        let open = || Cdb::open(&path, Links::Followed).expect("it opens");
        for reader in [open(), kept(open())] {
            for (key, data) in &records {
                prop_assert_eq!(value(&reader, key), Some(data.clone()));
            }
            prop_assert_eq!(value(&reader, &other), table.get(&other).cloned());
        }
    }

    #[test]
    fn a_damaged_table_gives_an_answer_or_an_error(
        cut in 0usize..2200,
        changes in proptest::collection::vec((0usize..2200, any::<u8>()), 0..12),
        fill in proptest::option::of(any::<u8>()),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("t.cdb");
        made(&path, &[record("one", "Hello"), record("two", "Goodbye"), record("", "-")]);
        let mut bytes = std::fs::read(&path).expect("readable");
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        if let Some(fill) = fill {
            bytes.iter_mut().skip(cut).for_each(|byte| *byte = fill);
        } else {
            bytes.truncate(cut);
        }
        for key in [&b"one"[..], b"two", b"", b"three"] {
            let found = of_bytes(&bytes).and_then(|table| table.find(key)).ok();
            let kept = of_bytes(&bytes).and_then(|table| {
                let table = kept(table);
                table.reader().fetch(key);
                table.find(key)
            });
            let kept = kept.ok();
            prop_assert_eq!(&found, &kept);
            prop_assert!(found.flatten().is_none_or(|data| data.len() < bytes.len()));
        }
    }
}
