//! `cvm-vmailmgr` beside the original over generated trees: assignments, tables, records and settings by chance.

use std::fs;
use std::path::Path;

use cvm_tests::findings::Findings;
use cvm_tests::folder::Folder;
use cvm_tests::packet;
use cvm_tests::process;
use cvm_tests::programs::Make;

use crate::qmail::{Alias, assign};
use crate::qmail_trees::{Chance, kind};
use crate::vmailmgr::{Record, write_table};

const TREES: u64 = 60;
const QUESTIONS: usize = 16;

const USERS: [&str; 16] = [
    "joe",
    "jim",
    "list",
    "x",
    "x-joe",
    "x-jim",
    "a.b",
    "a.b-joe",
    "joe-x",
    "none",
    "+",
    "default",
    "joe-",
    "-joe",
    "list-owner",
    "b",
];

const DOMAINS: [&str; 9] = [
    "virt.example",
    "sub.example",
    "x.sub.example",
    "empty.example",
    "ghost.example",
    "plain.example",
    "local.example",
    "",
    "else.example",
];

/// Those of `secret`, and what nothing matches.
const PASSWORDS: [&str; 11] = [
    "$0$secret",
    "$0$secret",
    "$0$other",
    "$0$",
    "",
    "*",
    "secret",
    "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
    "abNANd1rDfiNc",
    "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2",
    "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
];

const DIRECTORIES: [&str; 10] =
    ["./users/joe", "./users/joe", "users//jim/", "", ".", "/var/mail/joe", "../x/./y/..", "a/../..", "./a:b", "..."];

fn record(chance: &mut Chance) -> Vec<u8> {
    let flags = [
        &b"\x0a\x01\x08\x01"[..],
        b"\x0a\x01\x08\x00",
        b"",
        b"\x08\x02",
        b"\x0a\x00",
        b"\x08\x00\x08\x01",
        b"\x05\x01",
    ];
    let forwards: Vec<_> = (0..chance.below(3)).map(|_| chance.of(&["joe@x.example", "&jim", "-"])).collect();
    let numbers = [(); 6].map(|()| chance.of(&["-", "-", "-", "0", "123", "", "4294967296", "010"]));
    let record = Record {
        flags: flags[chance.below(flags.len())],
        password: chance.of(&PASSWORDS),
        directory: chance.of(&DIRECTORIES),
        forwards: &forwards,
        personal: chance.of(&["", "Joe: x"]),
        numbers,
    };
    let mut bytes = match chance.below(5) {
        0 => record.version_1(),
        1 => format!(":{}:{}", record.password, chance.of(&["./users/joe", "/a:b", "joe@x", "&./joe,x", ""]))
            .into_bytes(),
        _ => record.version_2(),
    };
    match chance.below(12) {
        0 => bytes.truncate(chance.below(bytes.len())),
        1 => {
            let at = chance.below(bytes.len());
            bytes[at] = b"\0\x01\x02\x08\x0a:-5x"[chance.below(9)];
        }
        _ => {}
    }
    bytes
}

fn table(chance: &mut Chance, path: &str) {
    let mut records = Vec::new();
    for name in USERS.iter().chain(&["+", "xx", ""]) {
        if chance.is(2) {
            records.push(((*name).to_owned(), record(chance)));
        }
    }
    write_table(Path::new(path), &records);
}

fn tree(chance: &mut Chance) -> Folder {
    let folder = Folder::new();
    for name in ["control", "users", "one/sub", "two", "three"] {
        fs::create_dir_all(folder.path(name)).expect("a folder");
    }
    folder.write("control/me", "local.example\n");
    folder.write("control/locals", "local.example\n");
    folder.write(
        "control/virtualdomains",
        "virt.example:joe\n.sub.example:joe-x\nempty.example:\nghost.example:ghost\nplain.example:list\n",
    );
    for name in ["one/passwd.cdb", "one/other.cdb", "one/sub/passwd.cdb", "two/passwd.cdb", "shared.cdb"] {
        table(chance, &folder.path(name));
    }
    if chance.is(2) {
        folder.write("three/passwd.cdb", chance.of(&["", "no table", "x\0"]));
    }
    let mut records = Vec::new();
    for key in ["!joe\0", "!joe-", "!joe-x-", "!list-", "!list\0", "!jim-", "!ghost-", "!"] {
        if !chance.is(4) {
            assignment(chance, key, &folder, &mut records);
        }
    }
    assign(&folder, "users/cdb", &records);
    folder
}

fn assignment(chance: &mut Chance, key: &str, folder: &Folder, records: &mut Vec<u8>) {
    let home =
        folder.path(chance.of(&["one", "one", "one/", "two", "two//", "./one/../two", "three", "missing", "control"]));
    let dash = chance.of(&["-", "-", "-", "", "+"]);
    let mut data = format!("user\x001234\x002345\0{home}\0{dash}\0{}", chance.of(&["", "", "", "x-", "A.b-", "joe"]));
    if chance.is(20) {
        data.truncate(chance.below(data.len()));
    }
    records.extend_from_slice(format!("+{},{}:{key}->{data}\n", key.len(), data.len()).as_bytes());
}

/// Settings beside the folder.
fn settings(chance: &mut Chance, folder: &Folder) -> Vec<(&'static str, String)> {
    let all = [
        (2, "CVM_LOOKUP_SECRET", ["", ""]),
        (4, "VMAILMGR_PWFILE", ["other.cdb", "sub/passwd.cdb"]),
        (6, "VMAILMGR_DEFAULT", ["xx", ""]),
        (3, "VMAILMGR_LOCK_DISABLED", ["", "1"]),
        (6, "CVM_QMAIL_ASSUME_LOCAL", ["", "1"]),
        (6, "CVM_QMAIL_MISSINGDOMAIN", ["", "There.example"]),
        (2, "CVM_QMAIL_MISSINGUSER", ["joe-list", "JOE-x-jim"]),
    ];
    let mut chosen = Vec::new();
    for (one_in, name, values) in all {
        if chance.is(one_in) {
            chosen.push((name, values[chance.below(values.len())].to_owned()));
        }
    }
    if chance.is(12) {
        chosen.push(("VMAILMGR_PWFILE", folder.path("shared.cdb")));
    }
    chosen
}

#[test]
fn every_generated_account_gets_the_answer_of_the_original() {
    let alias = Folder::new();
    table(&mut Chance(4711), &alias.path("passwd.cdb"));
    let _alias = Alias::at(&alias.path(""));
    let mut findings = Findings::default();
    let mut kinds = [0; 4];
    for seed in 0..TREES {
        let mut chance = Chance(seed);
        let folder = tree(&mut chance);
        let root = folder.path("");
        for _ in 0..QUESTIONS {
            let more = settings(&mut chance, &folder);
            let more: Vec<_> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let settings = [&[("QMAIL_ROOT", root.as_str())], &more[..]].concat();
            let (user, domain) = (chance.of(&USERS), chance.of(&DOMAINS));
            let prefix = if chance.is(3) { chance.of(&["joe-", "list-", "jim-"]) } else { "" };
            let user = chance.cased(&format!("{prefix}{user}"));
            let password = if chance.is(5) { "wrong" } else { "secret" };
            let request = packet::v1(user.as_bytes(), domain.as_bytes(), &[password.as_bytes()]);
            let [ours, original] = Make::ALL.map(|make| {
                process::run(&mut process::command(&make.program("cvm-vmailmgr"), &[], &settings), &request).stdout
            });
            kinds[kind(&original)] += 1;
            let (ours, original) = (ours.escape_ascii().to_string(), original.escape_ascii().to_string());
            findings.equal(format_args!("tree {seed}: {user}@{domain} {password} with {more:?}"), ours, original);
        }
    }
    findings.assert_none();
    assert!(kinds.iter().all(|&count| count > 30), "every kind of answer should come: {kinds:?}");
}
