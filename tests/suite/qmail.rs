//! `cvm-qmail` beside the original: the same tree, the same questions, the same bytes.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cvm_tests::findings::Findings;
use cvm_tests::folder::Folder;
use cvm_tests::packet;
use cvm_tests::process;
use cvm_tests::programs::{Make, tool};

use crate::unix::administer;

const USERS: [&str; 24] = [
    "bob",
    "BOB",
    "bob-foo",
    "Bob-Foo",
    "bob-bar",
    "bob-v",
    "bob-dir",
    "bob-",
    "bob--",
    "ali",
    "ali-",
    "ali-q.r",
    "Ali-Q.R",
    "ali-nope",
    "ali-q/../q",
    "known",
    "nobody",
    "root",
    "daemon-x",
    "alias",
    "-",
    "x",
    "a b",
    "vd.known",
];

const DOMAINS: [&str; 14] = [
    "local.example",
    "LOCAL.example",
    "virt.example",
    "sub.example",
    "a.sub.example",
    "A.b.Sub.Example",
    "empty.example",
    "other.example",
    "host.example",
    "",
    "dup.example",
    "nocolon.example",
    "sp.example",
    "lead.example",
];

/// Makes control files, homes and a table of users.
fn tree(folder: &Folder, with_catch_all: bool) {
    for name in ["control", "users", "bob/.qmail-dir", "ali", "all"] {
        std::fs::create_dir_all(folder.path(name)).expect("a folder");
    }
    folder.write("control/me", "host.example\n");
    folder.write("control/locals", "# ours\nlocal.example \n");
    folder.write(
        "control/virtualdomains",
        "virt.example:bob-v\n.sub.example:ali\nempty.example:\n lead.example:bob-v\ndup.example:bob-v\n\
         dup.example:nope\nnocolon.example\nsp.example : bob-v\n:bob-v\n",
    );
    for name in ["bob/.qmail-foo", "bob/.qmail-v-default", "ali/.qmail-ext", "ali/.qmail-x-q:r", "all/.qmail-known"] {
        folder.write(name, "./Maildir/\n");
    }
    let mut records = String::new();
    for (key, user, dash, extension) in [
        ("!bob\0", "bob", "", ""),
        ("!bob-", "bob", "-", ""),
        ("!ali\0", "ali", "-", "ext"),
        ("!ali-", "ali", "-", "x-"),
        ("!", "all", "-", ""),
    ]
    .iter()
    .filter(|(key, ..)| with_catch_all || *key != "!")
    {
        let data = format!("{user}\x001234\x002345\0{}\0{dash}\0{extension}", folder.path(user));
        records += &format!("+{},{}:{key}->{data}\n", key.len(), data.len());
    }
    assign(folder, "users/cdb", records.as_bytes());
}

/// Makes a table of these records, in the place of one that is there.
pub(crate) fn assign(folder: &Folder, name: &str, records: &[u8]) {
    let maker = tool("cdb", "tinycdb");
    let new = folder.path("users/new");
    let mut command = process::command(maker.to_str().expect("UTF-8"), &["-c", &new], &[]);
    process::run(&mut command, &[records, b"\n"].concat());
    assert!(Path::new(&new).is_file(), "the table was not made");
    std::fs::rename(new, folder.path(name)).expect("renamed");
}

/// The user that gets what nobody else does: the system's, or one for the time of a test.
pub(crate) struct Alias {
    is_ours: bool,
    _turn: MutexGuard<'static, ()>,
}

impl Alias {
    /// One test at a time has this user.
    pub(crate) fn at(home: &str) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let is_ours = !std::fs::read_to_string("/etc/passwd").is_ok_and(|users| users.contains("\nalias:"));
        if is_ours {
            administer("useradd", &["-M", "-d", home, "alias"], "");
        }
        Self { is_ours, _turn: turn }
    }
}

impl Drop for Alias {
    fn drop(&mut self) {
        if self.is_ours {
            administer("userdel", &["alias"], "");
        }
    }
}

#[test]
fn every_address_gets_the_answer_of_the_original() {
    let folder = Folder::new();
    let _alias = Alias::at(&folder.path("all"));
    for with_catch_all in [true, false] {
        tree(&folder, with_catch_all);
        compare(&folder);
    }
}

fn compare(folder: &Folder) {
    let root = folder.path("");
    let mut findings = Findings::default();
    for more in [
        &[][..],
        &[("CVM_QMAIL_ASSUME_LOCAL", "")],
        &[("CVM_QMAIL_MISSINGDOMAIN", ""), ("CVM_QMAIL_MISSINGUSER", "bob")],
    ] {
        let settings = [&[("QMAIL_ROOT", root.as_str()), ("CVM_LOOKUP_SECRET", "")], more].concat();
        for (user, domain) in USERS.iter().flat_map(|user| DOMAINS.iter().map(move |domain| (user, domain))) {
            let request = packet::v1(user.as_bytes(), domain.as_bytes(), &[b""]);
            let [ours, original] = [Make::Ours, Make::Original].map(|make| {
                process::run(&mut process::command(&make.program("cvm-qmail"), &[], &settings), &request).stdout
            });
            findings.equal(format_args!("{user}@{domain} with {more:?}"), ours, original);
        }
    }
    findings.assert_none();
}
