//! Homes whose files change, looked at by those who go by what is remembered and by those who do not.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::qmail::Rules;
use crate::qmail::dotfile::{self, Access, Instructions};
use crate::qmail::users::{Assigned, Fields};
use crate::stamp::TICK;

/// For as long a home has to be as it is before its names are remembered, and a few ticks of the kernel's clock.
pub(super) const A_WHILE: Duration = TICK.saturating_add(Duration::from_millis(25));

/// A folder for homes, on a local file system, whatever the folder for temporary files is on.
pub(super) struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self::with(&["home", "other"])
    }

    /// Makes some folders there.
    pub(super) fn with(folders: &[&str]) -> Self {
        let place = Self(tempfile::tempdir_in("/dev/shm").expect("a folder"));
        folders.iter().for_each(|folder| place.make(folder));
        place
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn make(&self, folder: &str) {
        fs::create_dir(self.path(folder)).expect("a folder");
        self.set_mode(folder, 0o755);
    }

    pub(super) fn write(&self, name: &str) {
        fs::write(self.path(name), "|deliver\n").expect("written");
        self.set_mode(name, 0o644);
    }

    pub(super) fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).expect("a mode");
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("renamed");
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("removed");
    }

    /// Exchanges two folders, by way of a third name.
    fn exchange(&self) {
        self.rename("home", "away");
        self.rename("other", "home");
        self.rename("away", "other");
    }

    fn user(&self, dash: &str, rest: &str) -> Assigned {
        let (home, dash, rest) = (self.path("home"), dash.as_bytes(), rest.as_bytes());
        Assigned::of(Fields { name: b"joe", home: home.as_os_str().as_bytes(), dash, rest, ..Fields::default() })
    }
}

/// What is remembered, and whether that is what is there.
#[derive(Default)]
struct Rig(Homes);

impl Rig {
    /// The files that are remembered, without a look at the home in a round before.
    fn names(&self, home: &Path) -> Option<Names> {
        self.0.begin_round();
        self.0.names(home, self.0.look(home).expect("a home"))
    }

    /// Waits until the names are remembered.
    fn learn(&self, home: &Path) -> Names {
        assert_eq!(self.names(home), None, "they are known before they can be");
        thread::sleep(A_WHILE);
        self.names(home).expect("names that have stood for a while")
    }

    /// Asks as who cannot wait, makes sure that who can is told the same, and tells what that is.
    fn ask(&self, place: &Place, dash: &str, rest: &str) -> io::Result<Instructions> {
        let user = place.user(dash, rest);
        self.0.begin_round();
        let waited = dotfile::find(&user, Rules::Qmail, Access::Exists);
        // Once more in the same round.
        for _ in 0..2 {
            match (dotfile::find(&user, Rules::Qmail, Access::AtOnce(&self.0)), &waited) {
                (Ok(found), Ok(expected)) => assert_eq!(found, *expected, "{dash}{rest}"),
                // What waits is told by who does.
                (Err(error), _) if error.kind() == io::ErrorKind::WouldBlock => {}
                (Err(_), Err(_)) => {}
                (found, expected) => panic!("{dash}{rest}: {found:?} in place of {expected:?}"),
            }
        }
        waited
    }

    fn is_there(&self, place: &Place, rest: &str) -> bool {
        self.ask(place, "-", rest).expect("a home that is safe") != Instructions::Missing
    }
}

#[test]
fn names_are_remembered_once_the_home_has_stood_for_a_while() {
    let (place, rig) = (Place::new(), Rig::default());
    place.write("home/.qmail-a");
    place.write("home/.profile");
    let home = place.path("home");
    for _ in 0..3 {
        assert_eq!(rig.names(&home), None);
    }
    let names = rig.learn(&home);
    assert!(names.may_have(b"-a") && !names.may_have(b"-b") && !names.may_have(b""));
    // Only what is asked for again is read.
    let other = place.path("other");
    assert_eq!(rig.names(&other), None);
    assert!(!rig.names(&other).expect("an old folder").may_have(b"-a"));
}

#[test]
fn a_file_that_comes_or_goes_is_seen_by_the_next_look() {
    let (place, rig) = (Place::new(), Rig::default());
    for _ in 0..3 {
        assert!(!rig.is_there(&place, "a"));
        rig.learn(&place.path("home"));
        assert!(!rig.is_there(&place, "a"));
        for _ in 0..20 {
            place.write("home/.qmail-a");
            assert!(rig.is_there(&place, "a") && !rig.is_there(&place, "b"));
            place.rename("home/.qmail-a", "home/.qmail-b");
            assert!(rig.is_there(&place, "b") && !rig.is_there(&place, "a"));
            place.rename("home/.qmail-b", "other/.qmail-b");
            assert!(!rig.is_there(&place, "b"));
            place.rename("other/.qmail-b", "home/.qmail-default");
            assert!(rig.is_there(&place, "a"));
            place.remove("home/.qmail-default");
            assert!(!rig.is_there(&place, "b"));
        }
    }
}

#[test]
fn another_home_in_the_place_of_one_is_seen_by_the_next_look() {
    let (place, rig) = (Place::new(), Rig::default());
    place.write("other/.qmail-a");
    let expected = |is_there| if is_there { "there" } else { "not there" };
    let told = || expected(rig.is_there(&place, "a"));
    assert_eq!(told(), "not there");
    let names = rig.learn(&place.path("home"));
    for _ in 0..10 {
        place.exchange();
        assert_eq!(told(), "there");
        place.exchange();
        assert_eq!(told(), "not there");
    }
    // What was known of a folder holds under another path.
    place.exchange();
    assert!(rig.names(&place.path("other")).is_none_or(|found| found == names));
    // A link in place of the folder.
    place.rename("home", "one");
    place.rename("other", "two");
    for (target, is_there) in [("one", true), ("two", false), ("one", true)] {
        let _ = fs::remove_file(place.path("home"));
        symlink(target, place.path("home")).expect("a link");
        assert_eq!(told(), expected(is_there));
    }
    place.remove("home");
    assert!(rig.ask(&place, "-", "a").is_err());
    place.make("home");
    assert_eq!(told(), "not there");
}

#[test]
fn modes_are_seen_by_the_next_look() {
    let (place, rig) = (Place::new(), Rig::default());
    place.write("home/.qmail-a");
    rig.learn(&place.path("home"));
    for _ in 0..3 {
        for (name, mode, is_safe) in [
            ("home/.qmail-a", 0o666, false),
            ("home/.qmail-a", 0o600, true),
            ("home", 0o775, false),
            ("home", 0o1755, false),
            ("home", 0o755, true),
        ] {
            place.set_mode(name, mode);
            assert_eq!(rig.ask(&place, "-", "a").is_ok(), is_safe, "{name} {mode:o}");
        }
        thread::sleep(A_WHILE);
    }
}

#[test]
fn links_and_folders_in_place_of_files_are_left_to_a_look() {
    let (place, rig) = (Place::new(), Rig::default());
    place.write("other/.qmail-a");
    symlink("../other/.qmail-a", place.path("home/.qmail-link")).expect("a link");
    symlink("nowhere", place.path("home/.qmail-lost")).expect("a link");
    fs::create_dir(place.path("home/.qmail-folder")).expect("a folder");
    place.write("home/.qmail-folder/a");
    rig.learn(&place.path("home"));
    for (rest, is_there) in
        [("link", true), ("lost", false), ("folder", false), ("folder/a", true), ("folder/b", false)]
    {
        assert_eq!(rig.is_there(&place, rest), is_there, "{rest}");
    }
    let waits = dotfile::find(&place.user("-", "link"), Rules::Qmail, Access::AtOnce(&rig.0)).expect_err("a link");
    assert_eq!(waits.kind(), io::ErrorKind::WouldBlock);
    for rest in ["A", "L\u{e4}", "no\0ne", &"x".repeat(300)] {
        let _ = rig.ask(&place, "-", rest);
    }
}

#[test]
fn folders_with_many_entries_or_long_names_are_not_remembered() {
    let (place, rig) = (Place::new(), Rig::default());
    let home = place.path("home");
    let fill = |count: usize, length: usize, start: &str| {
        for number in 0..count {
            place.write(&format!("home/{start}{number:0length$}"));
        }
    };
    fill(256, 4, "cur");
    rig.learn(&home);
    fill(1, 5, ".qmail-");
    assert_eq!(rig.names(&home), None);
    thread::sleep(A_WHILE);
    for _ in 0..3 {
        assert_eq!(rig.names(&home), None);
        assert!(rig.is_there(&place, "00000") && !rig.is_there(&place, "x"));
    }
    place.remove("home/cur0000");
    assert!(rig.learn(&home).may_have(b"-00000"));
    fs::remove_dir_all(&home).expect("removed");
    place.make("home");
    fill(20, 200, ".qmail-");
    rig.learn(&home);
    fill(1, 201, ".qmail-");
    assert_eq!(rig.names(&home), None);
    thread::sleep(A_WHILE);
    assert_eq!(rig.names(&home), None);
}

#[test]
fn a_home_that_may_not_be_entered_is_not_remembered() {
    let (place, rig) = (Place::new(), Rig::default());
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    place.set_mode("", 0o755);
    let home = place.path("home");
    let names = || crate::qmail::ids::with_rights_of(12_345, 12_345, || rig.names(&home)).expect("root may");
    // It could be listed and not entered, or entered and not listed.
    for (mode, is_known) in [(0o744, false), (0o711, false), (0o755, true)] {
        place.set_mode("home", mode);
        assert_eq!(names(), None);
        thread::sleep(A_WHILE);
        for _ in 0..2 {
            assert_eq!(names().is_some(), is_known, "{mode:o}");
        }
    }
}

#[test]
fn folders_whose_names_may_lead_to_others_are_not_remembered() {
    let (place, rig) = (Place::new(), Rig::default());
    let home = place.path("home");
    for (name, is_known) in [(".QMAIL-a", false), (".qmail-A", false), ("\u{ad}.qmail", false), ("A\u{e4}", true)] {
        place.write(&format!("home/{name}"));
        assert_eq!(rig.names(&home), None);
        thread::sleep(A_WHILE);
        assert_eq!(rig.names(&home).is_some(), is_known, "{name}");
        fs::remove_file(home.join(name)).expect("removed");
    }
}

#[test]
fn a_home_and_a_file_are_looked_at_once_a_round() {
    let (place, homes) = (Place::new(), Homes::default());
    place.write("home/.qmail-a");
    let (home, file) = (place.path("home"), place.path("home/.qmail-a"));
    let is_there = || (homes.look(&home).is_ok(), homes.look_at_file(&file).is_ok());
    homes.begin_round();
    assert_eq!(is_there(), (true, true));
    fs::remove_dir_all(&home).expect("removed");
    assert_eq!(is_there(), (true, true));
    homes.begin_round();
    assert_eq!(is_there(), (false, false));
}

#[test]
fn where_no_round_begins_everything_is_looked_at() {
    let (place, homes) = (Place::new(), Homes::default());
    let home = place.path("home");
    assert!(homes.look(&home).is_ok());
    fs::remove_dir(&home).expect("removed");
    assert!(homes.look(&home).is_err());
}

#[test]
fn what_has_changed_since_it_was_seen_is_not_read() {
    let place = Place::new();
    let home = place.path("home");
    let seen = look(&home).expect("a home").version.expect("a time");
    thread::sleep(A_WHILE);
    assert!(listing::read(&home, seen).is_some());
    // Another folder that has stood as long, and the same one after a change.
    assert!(listing::read(&place.path("other"), seen).is_none());
    place.write("home/.qmail-a");
    assert!(listing::read(&home, seen).is_none());
}

/// What happens between two look-ups.
#[derive(Clone, Copy, Debug)]
enum Change {
    Write(usize),
    Link(usize, usize),
    MakeFolder(usize),
    Remove(usize),
    Rename(usize, usize),
    FileMode(usize, u32),
    HomeMode(u32),
    Exchange,
    Wait,
}

const FILES: [&str; 7] =
    [".qmail", ".qmail-a", ".qmail-a-b", ".qmail-a-default", ".qmail-default", ".qmaildefault", "notes"];

fn changes() -> impl Strategy<Value = Change> {
    let file = || 0..FILES.len();
    prop_oneof![
        4 => file().prop_map(Change::Write),
        1 => (file(), file()).prop_map(|(from, to)| Change::Link(from, to)),
        1 => file().prop_map(Change::MakeFolder),
        4 => file().prop_map(Change::Remove),
        2 => (file(), file()).prop_map(|(from, to)| Change::Rename(from, to)),
        1 => (file(), prop_oneof![Just(0o644), Just(0o664)]).prop_map(|(file, mode)| Change::FileMode(file, mode)),
        1 => prop_oneof![Just(0o755), Just(0o755), Just(0o775)].prop_map(Change::HomeMode),
        1 => Just(Change::Exchange),
        2 => Just(Change::Wait),
    ]
}

/// Some changes cannot be made; then there is none.
fn make(place: &Place, change: Change) {
    let path = |file: usize| place.path("home").join(FILES[file]);
    let _ = match change {
        Change::Write(file) => fs::write(path(file), ""),
        Change::Link(file, to) => symlink(FILES[to], path(file)),
        Change::MakeFolder(file) => fs::create_dir(path(file)),
        Change::Remove(file) => fs::remove_file(path(file)).or_else(|_| fs::remove_dir(path(file))),
        Change::Rename(from, to) => fs::rename(path(from), path(to)),
        Change::FileMode(file, mode) => fs::set_permissions(path(file), Permissions::from_mode(mode)),
        Change::HomeMode(mode) => fs::set_permissions(place.path("home"), Permissions::from_mode(mode)),
        Change::Exchange => {
            place.exchange();
            Ok(())
        }
        Change::Wait => {
            thread::sleep(A_WHILE);
            Ok(())
        }
    };
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    #[test]
    fn who_remembers_is_told_what_who_looks_is(changes in proptest::collection::vec(changes(), 1..60)) {
        let (place, rig) = (Place::new(), Rig::default());
        for change in changes {
            make(&place, change);
            for (dash, rest) in [("", ""), ("-", "a"), ("-", "a-b"), ("-", "a-c"), ("-", "x")] {
                let _ = rig.ask(&place, dash, rest);
            }
        }
    }
}
