//! Homes that are held, and everything that ends that.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::super::tests::{A_WHILE, Place};
use super::super::{BEGINNING, Homes, look, look_at_file};
use super::*;

mod limits;

/// A folder with homes in a folder.
fn place() -> Place {
    let place = Place::with(&["users", "users/joe", "users/jim", "aside"]);
    place.write("users/joe/.qmail-a");
    place
}

/// Looks at a home and a file as a look-up does, in a round of its own; tells which of the two were held.
fn look_up(homes: &Homes, home: &Path, file: &Path) -> (bool, bool) {
    homes.begin_round();
    let found = homes.look(home);
    let is_held = found.as_ref().is_ok_and(|found| found.is_held);
    let expected = look(home);
    assert_eq!(found.as_ref().map(|found| found.seen).ok(), expected.ok(), "{home:?}");
    let names = found.ok().and_then(|found| homes.names(home, found));
    let is_file_held = homes.held.file(homes.round(), file).is_some();
    let there = look_at_file(file).ok().map(what_counts);
    assert_eq!(homes.look_at_file(file).ok().map(what_counts), there, "{file:?}");
    let name = file.file_name().expect("a name").as_bytes();
    let ending = name.strip_prefix(BEGINNING).expect("a dot-qmail file");
    assert!(names.is_none_or(|names| names.may_have(ending) == there.is_some()), "{file:?}");
    (is_held, is_file_held)
}

/// What is written to a file gives it another time.
fn what_counts(file: Seen) -> (rustix::fs::FileType, u32) {
    (file.kind(), file.permissions())
}

/// A home of which everything is held.
struct Rig {
    place: Place,
    homes: Homes,
    home: PathBuf,
    file: PathBuf,
}

impl Rig {
    fn new() -> Self {
        let place = place();
        let (home, file) = (place.path("users/joe"), place.path("users/joe/.qmail-a"));
        let rig = Self { place, homes: Homes::default(), home, file };
        rig.wait();
        rig
    }

    fn look_up(&self) -> (bool, bool) {
        look_up(&self.homes, &self.home, &self.file)
    }

    /// Waits until everything is held.
    #[track_caller]
    fn wait(&self) {
        thread::sleep(A_WHILE);
        for _ in 0..3 {
            self.look_up();
        }
        assert_eq!(self.look_up(), (true, true));
    }
}

#[test]
fn what_has_stood_for_a_while_is_held() {
    let (place, homes) = (place(), Homes::default());
    let (home, file) = (place.path("users/joe"), place.path("users/joe/.qmail-a"));
    for _ in 0..5 {
        assert_eq!(look_up(&homes, &home, &file), (false, false));
    }
    thread::sleep(A_WHILE);
    // It is read, held, and heard of.
    assert_eq!(look_up(&homes, &home, &file), (false, false));
    assert_eq!(look_up(&homes, &home, &file), (true, false));
    for _ in 0..3 {
        assert_eq!(look_up(&homes, &home, &file), (true, true));
    }
}

#[test]
fn where_no_round_begins_nothing_is_held() {
    let place = place();
    thread::sleep(A_WHILE);
    let (homes, home) = (Homes::default(), place.path("users/joe"));
    for _ in 0..5 {
        let found = homes.look(&home).expect("a home");
        assert!(!found.is_held);
        let _ = homes.names(&home, found);
    }
    assert!(!homes.held.is_listening.load(Ordering::Relaxed));
}

/// Makes a change, of which the next look-up must be told, and what ends with it.
#[track_caller]
fn ends(change: impl FnOnce(&Place), expected: (bool, bool)) {
    let rig = Rig::new();
    change(&rig.place);
    assert_eq!(rig.look_up(), expected);
    // It may stand again.
    thread::sleep(A_WHILE);
    for _ in 0..4 {
        rig.look_up();
    }
}

#[test]
fn a_change_of_the_home_ends_it() {
    ends(|place| place.set_mode("users/joe", 0o775), (false, false));
    ends(|place| place.set_mode("users/joe", 0o1755), (false, false));
    ends(|place| place.write("users/joe/.qmail-b"), (false, false));
    ends(|place| place.remove("users/joe/.qmail-a"), (false, false));
    ends(|place| place.rename("users/joe/.qmail-a", "users/joe/.qmail-b"), (false, false));
    ends(|place| place.rename("users/joe/.qmail-a", "users/jim/.qmail-a"), (false, false));
    ends(
        |place| {
            place.write("aside/.qmail-b");
            place.rename("aside/.qmail-b", "users/joe/.qmail-b");
        },
        (false, false),
    );
    ends(
        |place| fs::hard_link(place.path("users/joe/.qmail-a"), place.path("users/joe/b")).expect("a link"),
        (false, false),
    );
    ends(|place| fs::remove_dir_all(place.path("users/joe")).expect("removed"), (false, false));
}

#[test]
fn a_change_of_the_file_ends_it() {
    ends(|place| place.set_mode("users/joe/.qmail-a", 0o666), (false, false));
    // Through a name elsewhere, of which the home does not hear.
    let rig = Rig::new();
    fs::hard_link(rig.place.path("users/joe/.qmail-a"), rig.place.path("aside/a")).expect("a link");
    rig.wait();
    rig.place.set_mode("aside/a", 0o666);
    assert_eq!(rig.look_up(), (true, false));
    // What it says is another thing.
    let rig = Rig::new();
    fs::write(&rig.file, "&joe@example\n").expect("written");
    assert_eq!(rig.look_up(), (true, true));
}

#[test]
fn another_home_in_its_place_ends_it() {
    let exchange = |place: &Place, one: &str, other: &str| {
        place.rename(one, "aside/away");
        place.rename(other, one);
        place.rename("aside/away", other);
    };
    ends(|place| exchange(place, "users/joe", "users/jim"), (false, false));
    ends(|place| place.rename("users/joe", "users/jane"), (false, false));
    ends(
        |place| {
            place.rename("users/joe", "users/jane");
            symlink("jane", place.path("users/joe")).expect("a link");
        },
        (false, false),
    );
    // Another folder of homes, as old as the one before.
    for link in [false, true] {
        let place = place();
        place.make("others");
        place.make("others/joe");
        let folder = if link { "link" } else { "users" };
        symlink("users", place.path("link")).expect("a link");
        let (homes, home) = (Homes::default(), place.path(folder).join("joe"));
        let file = home.join(".qmail-a");
        thread::sleep(A_WHILE);
        for _ in 0..4 {
            look_up(&homes, &home, &file);
        }
        assert_eq!(look_up(&homes, &home, &file), (true, true));
        if link {
            place.remove("link");
            symlink("others", place.path("link")).expect("a link");
        } else {
            exchange(&place, "users", "others");
        }
        assert_eq!(look_up(&homes, &home, &file), (false, false));
    }
}

#[test]
fn what_happens_beside_a_home_does_not_change_what_is_told() {
    let rig = Rig::new();
    rig.place.make("users/new");
    // Until it shows whether there was one more change at that time.
    for _ in 0..5 {
        assert_eq!(rig.look_up(), (false, false));
    }
    rig.wait();
    rig.place.write("users/new/.qmail-a");
    rig.place.set_mode("users/new", 0o700);
    assert_eq!(rig.look_up(), (true, true));
}

#[test]
fn links_are_not_held() {
    let (place, homes) = (place(), Homes::default());
    symlink("joe", place.path("users/link")).expect("a link");
    symlink(".qmail-a", place.path("users/joe/.qmail-l")).expect("a link");
    thread::sleep(A_WHILE);
    for _ in 0..5 {
        assert_eq!(look_up(&homes, &place.path("users/link"), &place.path("users/link/.qmail-a")), (false, false));
        look_up(&homes, &place.path("users/joe"), &place.path("users/joe/.qmail-l"));
    }
    assert!(found(&homes.held.homes, &place.path("users/link")).expect("it is known").watch.is_none());
    let held = look_up(&homes, &place.path("users/joe"), &place.path("users/joe/.qmail-l"));
    assert_eq!(held, (true, false));
    for (odd, expected) in
        [("users/joe/", (false, true)), ("users/joe/.", (false, false)), ("users/jim/../joe", (true, true))]
    {
        let look_up = || look_up(&homes, &place.path(odd), &place.path(odd).join(".qmail-a"));
        for _ in 0..3 {
            look_up();
        }
        assert_eq!(look_up(), expected, "{odd}");
    }
    assert!(!is_plain(Path::new("joe")) && !is_plain(Path::new("/")) && is_plain(Path::new("/joe")));
}

#[test]
fn what_has_changed_since_it_was_seen_is_not_held() {
    let rig = Rig::new();
    let (homes, jim, file) = (&rig.homes, rig.place.path("users/jim"), rig.place.path("users/joe/.qmail-b"));
    let names = homes.held.home(homes.round(), &rig.home).and_then(|home| home.names).expect("a home that is held");
    let hold_jim = |seen| {
        homes.held.hold_home(homes.round(), &jim, seen, &names);
        look_up(homes, &jim, &file).0
    };
    let before = look(&jim).expect("a home");
    rig.place.set_mode("users/jim", 0o700);
    assert!(!hold_jim(before));
    assert!(hold_jim(look(&jim).expect("a home")));
    rig.place.write("users/joe/.qmail-b");
    let before = look_at_file(&file).expect("a file");
    rig.place.set_mode("users/joe/.qmail-b", 0o600);
    rig.wait();
    homes.held.hold_file(homes.round(), &file, before);
    assert_eq!(look_up(homes, &rig.home, &file), (true, false));
    assert_eq!(look_up(homes, &rig.home, &file), (true, true));
}

#[test]
fn two_paths_to_a_home_are_held_and_end_together() {
    let (place, homes) = (place(), Homes::default());
    symlink("users", place.path("link")).expect("a link");
    thread::sleep(A_WHILE);
    let look_up =
        || ["users/joe", "link/joe"].map(|home| look_up(&homes, &place.path(home), &place.path(home).join(".qmail-a")));
    for _ in 0..4 {
        look_up();
    }
    assert_eq!(look_up(), [(true, true); 2]);
    place.set_mode("users/joe/.qmail-a", 0o600);
    assert_eq!(look_up(), [(false, false); 2]);
}

/// Tells the test below that it has mounts of its own.
const ALONE: &str = "CVM_TEST_OWN_MOUNTS";

#[test]
fn what_is_mounted_ends_it() {
    if std::env::var_os(ALONE).is_some() {
        return mount_over_what_is_held();
    }
    let mut alone = Command::new("unshare");
    alone.arg("--mount").env(ALONE, "1");
    if !nix::unistd::geteuid().is_root() {
        alone.arg("--map-root-user");
    }
    alone.arg(std::env::current_exe().expect("this program"));
    alone.args(["--exact", "qmail::homes::held::tests::what_is_mounted_ends_it", "--nocapture"]);
    let run = alone.output().expect("it runs with mounts of its own");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&run.stderr));
}

fn mount_over_what_is_held() {
    let run = |program: &str, arguments: &[&str]| {
        assert!(Command::new(program).args(arguments).status().expect("it runs").success(), "{program}");
    };
    let rig = Rig::new();
    let [joe, jim, aside] = ["users/joe", "users/jim", "aside"].map(|name| rig.place.path(name));
    let [joe, jim, aside] = [&joe, &jim, &aside].map(|path| path.to_str().expect("UTF-8"));
    for target in [joe, aside] {
        run("mount", &["--bind", jim, target]);
        assert_eq!(rig.look_up(), (false, false));
        run("umount", &[target]);
        assert_eq!(rig.look_up(), (false, false));
        rig.wait();
    }
    let file = rig.file.to_str().expect("UTF-8");
    rig.place.write("aside/a");
    rig.place.set_mode("aside/a", 0o600);
    rig.wait();
    run("mount", &["--bind", rig.place.path("aside/a").to_str().expect("UTF-8"), file]);
    assert_eq!(rig.look_up(), (false, false));
    run("umount", &[file]);
    assert_eq!(rig.look_up(), (false, false));
}
