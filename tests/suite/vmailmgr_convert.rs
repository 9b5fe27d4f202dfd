//! What becomes of a table whose passwords are converted: by one login, by many at a time, and beside other changes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cvm_tests::contact::Mode;
use cvm_tests::folder::Folder;
use cvm_tests::process::{self, LIMIT, eventually};
use cvm_tests::programs::{Make, tool};
use cvm_tests::station::Station;

use crate::vmailmgr::{MD5, host, login, question, user, write_table};

/// The text of the table, as tinycdb's program shows it.
fn dump(folder: &Folder) -> Vec<u8> {
    let cdb = tool("cdb", "tinycdb");
    let path = folder.path("bob/passwd.cdb");
    process::run(&mut process::command(cdb.to_str().expect("UTF-8"), &["-d", &path], &[]), b"").stdout
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window == part.as_bytes())
}

/// Nothing but the table is in the home.
fn assert_tidy(folder: &Folder) {
    let names: Vec<_> =
        fs::read_dir(folder.path("bob")).expect("readable").map(|name| name.expect("a name").file_name()).collect();
    assert_eq!(names, ["passwd.cdb"]);
}

#[test]
fn clear_text_is_what_the_original_makes_of_it() {
    let users = [("ann", user("$0$x")), ("joe", user(MD5)), ("jim", user(MD5))];
    let dumps = Make::ALL.map(|make| {
        let folder = host(&users);
        let root = folder.path("");
        let settings = [("QMAIL_ROOT", root.as_str()), ("VMAILMGR_AUTOCONVERT", "1")];
        for (password, code) in [("wrong", 100), ("secret", 0)] {
            let mut command = process::command(&make.program("cvm-vmailmgr"), &[], &settings);
            assert_eq!(process::run(&mut command, &question("joe", password)).stdout.first(), Some(&code), "{make}");
        }
        assert_tidy(&folder);
        dump(&folder).escape_ascii().to_string()
    });
    assert_eq!(dumps[0], dumps[1]);
    assert!(dumps[0].contains("$0$secret"), "{}", dumps[0]);
}

#[test]
fn mode_and_owner_of_the_table_stay() {
    for conversion in ["1", "yescrypt", "YesCrypt"] {
        let folder = host(&[("joe", user(MD5))]);
        let path = folder.path("bob/passwd.cdb");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("a mode");
        // Who is not root converts his own tables.
        let _ = chown(&path, Some(1234), Some(2345));
        let look =
            || fs::metadata(&path).map(|table| (table.mode(), table.uid(), table.gid(), table.ino())).expect("there");
        let before = look();
        assert_eq!(login(&folder, &[("VMAILMGR_AUTOCONVERT", conversion)], "joe", "secret"), 0);
        let after = look();
        assert_eq!((after.0, after.1, after.2), (before.0, before.1, before.2));
        assert_ne!(after.3, before.3, "it is another file");
        assert_eq!(contains(&dump(&folder), "$y$"), conversion != "1");
        assert_eq!(contains(&dump(&folder), "$0$secret"), conversion == "1");
        assert_eq!(login(&folder, &[], "joe", "secret"), 0);
        assert_eq!(login(&folder, &[], "joe", "wrong"), 100);
        assert_tidy(&folder);
    }
}

#[test]
fn every_form_of_a_record_is_converted() {
    let text = format!(":{MD5}:./users/joe").into_bytes();
    let version_1 = [b"\x01", &user(MD5)[6..]].concat();
    for record in [text, version_1] {
        for conversion in ["1", "yescrypt"] {
            let folder = host(&[("joe", record.clone())]);
            let settings = [("VMAILMGR_AUTOCONVERT", conversion)];
            assert_eq!(login(&folder, &settings, "joe", "secret"), 0);
            assert!(!contains(&dump(&folder), MD5) && contains(&dump(&folder), "./users/"));
            assert_eq!(login(&folder, &settings, "joe", "secret"), 0);
            assert_eq!(login(&folder, &settings, "joe", "wrong"), 100);
        }
    }
}

#[test]
fn an_empty_setting_and_a_look_up_convert_nothing() {
    let folder = host(&[("joe", user(MD5))]);
    let before = dump(&folder);
    assert_eq!(login(&folder, &[("VMAILMGR_AUTOCONVERT", "")], "joe", "secret"), 0);
    assert_eq!(login(&folder, &[("VMAILMGR_AUTOCONVERT", "1"), ("CVM_LOOKUP_SECRET", "")], "joe", "secret"), 0);
    assert_eq!(login(&folder, &[("VMAILMGR_AUTOCONVERT", "1")], "nobody", "secret"), 100);
    assert_eq!(dump(&folder), before);
}

/// Users `0` to `count`, and one whose record others change.
fn crowd(count: usize) -> Vec<(String, Vec<u8>)> {
    let users = (0..count).map(|number| (number.to_string(), user(MD5)));
    users.chain([("changing".to_owned(), user("$0$0"))]).collect()
}

#[test]
fn many_programs_at_a_time_lose_nothing() {
    let folder = host(&[]);
    write_table(Path::new(&folder.path("bob/passwd.cdb")), &crowd(24));
    let settings = [("VMAILMGR_AUTOCONVERT", "1")];
    let is_left = || contains(&dump(&folder), MD5);
    // Those who find another one at work leave their own for the next time.
    let converted = eventually(LIMIT, || {
        std::thread::scope(|scope| {
            for number in 0..24 {
                let folder = &folder;
                scope.spawn(move || assert_eq!(login(folder, &settings, &number.to_string(), "secret"), 0));
            }
        });
        assert_tidy(&folder);
        !is_left()
    });
    assert!(converted, "everybody has logged in alone");
    assert_eq!(login(&folder, &settings, "changing", "0"), 0);
}

#[test]
fn changes_that_others_make_meanwhile_are_not_lost() {
    for conversion in ["1", "yescrypt"] {
        let folder = host(&[]);
        let path = folder.path("bob/passwd.cdb");
        write_table(Path::new(&path), &crowd(12));
        let root = folder.path("");
        let settings = [("QMAIL_ROOT", root.as_str()), ("CVM_QMAIL_STRICT", "1"), ("VMAILMGR_AUTOCONVERT", conversion)];
        let station = Station::start_module(Make::Ours, "cvm-vmailmgr", &settings);
        let code = |user: &str, password: &str| {
            station.contact(Mode::Local).ask(&question(user, password)).expect("an answer")[0]
        };
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for first in 0..4 {
                let (code, is_over) = (&code, &is_over);
                scope.spawn(move || {
                    for number in (first..12).cycle().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                        assert_eq!(code(&number.to_string(), "secret"), 0);
                    }
                });
            }
            let lost = (1..60).find(|change: &usize| {
                change_one(&folder, &change.to_string());
                // Another version may be in its place for a moment.
                !eventually(LIMIT, || code("changing", &change.to_string()) == 0)
            });
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(lost, None);
        });
        let is_converted =
            || (0..12).all(|number| code(&number.to_string(), "secret") == 0) && !contains(&dump(&folder), MD5);
        assert!(eventually(LIMIT, is_converted), "those are converted too whose conversion was overtaken");
        assert_eq!(code("changing", "59"), 0);
        assert_tidy(&folder);
    }
}

/// Does what vmailmgr does: makes the table anew, with another password for one user.
fn change_one(folder: &Folder, password: &str) {
    let mut records = dump(folder);
    let at = records.windows(10).position(|part| part == b"changing->").expect("he is there");
    let start = records[..at].iter().rposition(|&byte| byte == b'+').expect("a record");
    let value = user(&format!("$0${password}"));
    records.splice(start.., [format!("+8,{}:changing->", value.len()).as_bytes(), &value, b"\n\n"].concat());
    let (cdb, new) = (tool("cdb", "tinycdb"), folder.path("bob/theirs"));
    process::run(&mut process::command(cdb.to_str().expect("UTF-8"), &["-c", &new], &[]), &records);
    fs::rename(new, folder.path("bob/passwd.cdb")).expect("the table was made");
}
