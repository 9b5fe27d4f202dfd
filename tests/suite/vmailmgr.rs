//! `cvm-vmailmgr` in the ways that the original does not have, and as a server whose tables are exchanged.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cvm_tests::Settings;
use cvm_tests::contact::{Contact, Mode};
use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, CHALLENGE, DOMAIN, PASSWORD, RESPONSE, RESPONSE_TYPE};
use cvm_tests::process::{self, LIMIT, eventually};
use cvm_tests::programs::{Make, tool};
use cvm_tests::server::{Server, free_port};
use cvm_tests::station::Station;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::qmail::assign;

/// What vmailmgr writes into a table.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    pub(crate) flags: &'a [u8],
    pub(crate) password: &'a str,
    pub(crate) directory: &'a str,
    pub(crate) forwards: &'a [&'a str],
    pub(crate) personal: &'a str,
    pub(crate) numbers: [&'a str; 6],
}

impl Record<'_> {
    pub(crate) fn version_1(&self) -> Vec<u8> {
        let strings = [self.password, self.directory].into_iter().chain(self.forwards.iter().copied());
        let strings = strings.chain(["", self.personal]).chain(self.numbers);
        let mut bytes = b"\x01".to_vec();
        strings.for_each(|string| bytes.extend_from_slice(format!("{string}\0").as_bytes()));
        bytes
    }

    pub(crate) fn version_2(&self) -> Vec<u8> {
        let rest = self.version_1();
        [b"\x02", self.flags, b"\0", &rest[1..]].concat()
    }
}

/// Makes a table of these records, in the place of one that is there.
pub(crate) fn write_table(path: &Path, records: &[(String, Vec<u8>)]) {
    let mut input = Vec::new();
    for (key, value) in records {
        input.extend_from_slice(format!("+{},{}:{key}->", key.len(), value.len()).as_bytes());
        input.extend_from_slice(&[value, &b"\n"[..]].concat());
    }
    input.push(b'\n');
    let new = path.with_extension("new");
    let (maker, new) = (tool("cdb", "tinycdb"), new.to_str().expect("UTF-8"));
    process::run(&mut process::command(maker.to_str().expect("UTF-8"), &["-c", new], &[]), &input);
    fs::rename(new, path).expect("the table was made");
}

pub(crate) const MD5: &str = "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1";

/// The record of a user with a mailbox, who never expires.
pub(crate) fn user(password: &str) -> Vec<u8> {
    record(password).version_2()
}

fn record(password: &str) -> Record<'_> {
    let flags = b"\x0a\x01\x08\x01";
    Record {
        flags,
        password,
        directory: "./users/x",
        forwards: &[],
        personal: "",
        numbers: ["-", "-", "-", "-", "0", "-"],
    }
}

/// A host whose domain `virt.example` belongs to `bob`, with a table of these users.
pub(crate) fn host(users: &[(&str, Vec<u8>)]) -> Folder {
    let folder = Folder::new();
    for name in ["control", "users", "bob"] {
        fs::create_dir(folder.path(name)).expect("a folder");
    }
    folder.write("control/locals", "local.example\n");
    folder.write("control/virtualdomains", "virt.example:bob\n");
    let data = format!("bob\x001234\x002345\0{}\0-\0", folder.path("bob"));
    assign(&folder, "users/cdb", format!("+0,1:->-\n+5,{}:!bob-->{data}\n", data.len()).as_bytes());
    write_users(&folder, users);
    folder
}

pub(crate) fn write_users(folder: &Folder, users: &[(&str, Vec<u8>)]) {
    let users: Vec<_> = users.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    write_table(Path::new(&folder.path("bob/passwd.cdb")), &users);
}

pub(crate) fn question(user: &str, password: &str) -> Vec<u8> {
    let items = [(ACCOUNT, user.as_bytes()), (DOMAIN, b"virt.example"), (PASSWORD, password.as_bytes())];
    packet::v2(2, b"T", &items)
}

/// The code of the answer to a login.
pub(crate) fn login(folder: &Folder, more: Settings<'_>, user: &str, password: &str) -> u8 {
    ask(folder, more, &question(user, password))
}

fn ask(folder: &Folder, more: Settings<'_>, question: &[u8]) -> u8 {
    let root = folder.path("");
    let settings = [&[("QMAIL_ROOT", root.as_str())], more].concat();
    let mut command = process::command(&Make::Ours.program("cvm-vmailmgr"), &[], &settings);
    process::run(&mut command, question).stdout.first().copied().expect("an answer")
}

#[test]
fn expired_accounts_and_those_without_a_mailbox_are_refused_if_that_is_wanted() {
    let past = Record { numbers: ["-", "-", "-", "-", "0", "86400"], ..record("$0$secret") };
    let forwarded = Record { flags: b"\x08\x01\x0a\x00", ..record("$0$secret") };
    let disabled = Record { flags: b"\x08\x00\x0a\x01", ..record("$0$secret") };
    let users = [("past", past), ("forwarded", forwarded), ("disabled", disabled), ("fine", record("$0$secret"))];
    let folder = host(&users.map(|(name, record)| (name, record.version_2())));
    for (setting, refused) in [
        ("VMAILMGR_CHECK_EXPIRY", "past"),
        ("VMAILMGR_CHECK_MAILBOX", "forwarded"),
        ("VMAILMGR_LOCK_DISABLED", "disabled"),
        ("VMAILMGR_PWFILE", ""),
    ] {
        for (name, _) in users {
            let expected = if name == refused { 100 } else { 0 };
            assert_eq!(login(&folder, &[(setting, "")], name, "secret"), expected, "{setting}: {name}");
            let lookup = [(setting, ""), ("CVM_LOOKUP_SECRET", "")];
            assert_eq!(login(&folder, &lookup, name, "x"), 0, "{setting}: {name} still gets mail");
        }
    }
}

#[test]
fn every_form_of_stored_passwords_is_understood() {
    let forms = [
        "$0$secret",
        "35ebe2294ecd0e0f08eab7690d2a6ee69",
        MD5,
        "abNANd1rDfiNc",
        "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2",
        "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "$y$j75$saltsalt$0gBD67sgmJgRX3RZ6wHHO7sHimQEWGCWN85o4Twogh2",
    ];
    for stored in forms {
        let folder = host(&[("joe", user(stored))]);
        assert_eq!(login(&folder, &[], "joe", "secret"), 0, "{stored}");
        for wrong in ["Secret", "secre", stored] {
            assert_eq!(login(&folder, &[], "joe", wrong), 100, "{stored}");
        }
        assert_eq!(login(&folder, &[], "joe", ""), 7, "{stored}");
    }
}

#[test]
fn clear_text_answers_challenges() {
    let folder = host(&[("tim", user("$0$tanstaaftanstaaf")), ("md", user(MD5))]);
    let response = |user: &[u8], digits: &[u8]| {
        let challenge: &[u8] = b"<1896.697170952@postoffice.reston.mci.net>";
        let items = [(ACCOUNT, user), (DOMAIN, b"virt.example"), (CHALLENGE, challenge), (RESPONSE, digits)];
        ask(&folder, &[], &packet::v2(2, b"T", &[&items[..], &[(RESPONSE_TYPE, b"CRAM-MD5")]].concat()))
    };
    assert_eq!(response(b"tim", b"b913a602c7eda7a495b4e6e7334d3890"), 0);
    assert_eq!(response(b"tim", b"b913a602c7eda7a495b4e6e7334d3891"), 100);
    assert_eq!(response(b"md", b"b913a602c7eda7a495b4e6e7334d3890"), 100);
}

#[test]
fn a_table_that_cannot_be_opened_for_want_of_descriptors_is_not_gone() {
    let folder = host(&[("joe", user("$0$secret"))]);
    let (root, port) = (folder.path(""), free_port());
    let settings = [("QMAIL_ROOT", root.as_str()), ("CVM_QMAIL_STRICT", "1"), ("CVM_THREADS", "1")];
    let server = Server::start_module(Make::Ours, "cvm-vmailmgr", &[&format!("cvm-udp:127.0.0.1:{port}")], &settings);
    let login = |password| {
        Contact::Udp(([127, 0, 0, 1], port).into())
            .ask(&question("joe", password))
            .map(|answer| answer.first().copied())
    };
    assert_eq!(login("secret"), Ok(Some(0)));
    let limit = |count| Rlimit { current: Some(count), maximum: Some(1024) };
    let id = Pid::from_raw(i32::try_from(server.id()).expect("the number of a process"));
    let before = prlimit(id, Resource::Nofile, limit(3)).expect("a child's limits");
    write_users(&folder, &[("joe", user("$0$other"))]);
    // Longer than a table may be missing.
    for _ in 0..2 {
        assert_eq!(login("secret"), Ok(Some(0)));
        std::thread::sleep(Duration::from_millis(1200));
    }
    prlimit(id, Resource::Nofile, limit(before.current.unwrap_or(1024).min(1024))).expect("a child's limits");
    assert_eq!((login("secret"), login("other")), (Ok(Some(100)), Ok(Some(0))));
}

#[test]
fn a_table_that_is_a_link_is_not_followed() {
    let folder = host(&[("joe", user("$0$secret"))]);
    let table = folder.path("bob/passwd.cdb");
    fs::rename(&table, folder.path("victims.cdb")).expect("renamed");
    for target in [folder.path("victims.cdb"), "/dev/zero".to_owned()] {
        let _ = fs::remove_file(&table);
        std::os::unix::fs::symlink(target, &table).expect("a link");
        assert_eq!(login(&folder, &[], "joe", "secret"), 4);
    }
}

#[test]
fn by_strict_rules_the_extension_of_the_assignment_belongs_to_the_name() {
    let folder = host(&[("joe", user("$0$secret")), ("pre-joe", user("$0$other"))]);
    let data = format!("bob\x001234\x002345\0{}\0-\0pre-", folder.path("bob"));
    assign(&folder, "users/cdb", format!("+0,1:->-\n+5,{}:!bob-->{data}\n", data.len()).as_bytes());
    assert_eq!(login(&folder, &[], "joe", "secret"), 0);
    assert_eq!(login(&folder, &[("CVM_QMAIL_STRICT", "1")], "joe", "other"), 0);
}

#[test]
fn a_server_sees_tables_that_are_exchanged() {
    let folder = host(&[("joe", user("$0$secret"))]);
    let root = folder.path("");
    for strict in [&[("CVM_QMAIL_STRICT", "1")][..], &[]] {
        write_users(&folder, &[("joe", user("$0$secret"))]);
        let settings = [&[("QMAIL_ROOT", root.as_str())], strict].concat();
        let station = Station::start_module(Make::Ours, "cvm-vmailmgr", &settings);
        for mode in [Mode::Udp, Mode::Local] {
            let code = |user, password| station.contact(mode).ask(&question(user, password)).expect("an answer")[0];
            assert_eq!((code("joe", "secret"), code("jim", "secret")), (0, 100));
            for password in ["new", "newer", "secret"] {
                write_users(&folder, &[("jim", user("$0$secret")), ("joe", user(&format!("$0${password}")))]);
                assert_eq!((code("joe", password), code("joe", "old"), code("jim", "secret")), (0, 100, 0));
            }
            // A damaged table is not taken at once, and then is code 4.
            folder.write("bob/passwd.new", "no table");
            fs::rename(folder.path("bob/passwd.new"), folder.path("bob/passwd.cdb")).expect("renamed");
            assert_eq!(code("joe", "secret"), 0);
            assert!(eventually(LIMIT, || code("joe", "secret") == 4));
            write_users(&folder, &[("joe", user("$0$secret"))]);
            assert_eq!(code("joe", "secret"), 0);
        }
    }
}

#[test]
fn hostile_tables_are_an_error_or_an_answer_and_never_the_end() {
    let folder = host(&[("joe", user("$0$secret")), ("jim", user(MD5))]);
    let path = folder.path("bob/passwd.cdb");
    let whole = fs::read(&path).expect("readable");
    let root = folder.path("");
    let settings = [("QMAIL_ROOT", root.as_str()), ("CVM_QMAIL_STRICT", "1"), ("VMAILMGR_AUTOCONVERT", "1")];
    let station = Station::start_module(Make::Ours, "cvm-vmailmgr", &settings);
    let code = |user| station.contact(Mode::Udp).ask(&question(user, "secret")).expect("an answer")[0];
    for seed in 0..200_usize {
        let mut table = whole.clone();
        for change in 0..=seed % 5 {
            let at = (seed * 7919 + change * 104_729) % table.len();
            table[at] = [0, 1, 0xff, 0x80, b'$'][(seed + change) % 5];
        }
        table.truncate(table.len() - (seed % 3) * (seed * 31 % table.len()) / 2);
        fs::write(folder.path("bob/new"), &table)
            .and_then(|()| fs::rename(folder.path("bob/new"), &path))
            .expect("exchanged");
        for user in ["joe", "jim", "nobody"] {
            assert!([0, 4, 100].contains(&code(user)), "table {seed}, {user}");
        }
    }
    fs::remove_file(&path).and_then(|()| fs::create_dir(&path)).expect("a folder");
    assert!(eventually(LIMIT, || code("joe") == 4));
    fs::remove_dir(&path).expect("removed");
    write_users(&folder, &[("joe", user("$0$secret"))]);
    assert_eq!(code("joe"), 0);
}

#[test]
fn a_setting_that_is_wrong_is_code_6() {
    for (name, value) in [
        ("CVM_QMAIL_STRICT", "yes"),
        ("VMAILMGR_AUTOCONVERT", "sha512"),
        ("VMAILMGR_AUTOCONVERT", "yescript"),
        ("VMAILMGR_AUTOCONVERT", "bcrypt"),
    ] {
        let program = Make::Ours.program("cvm-vmailmgr");
        let mut server = process::command(&program, &["cvm-local:/nowhere/socket"], &[(name, value)]);
        process::run(&mut server, b"").assert_complaint(6, &[name, value, "expected"]);
    }
}
