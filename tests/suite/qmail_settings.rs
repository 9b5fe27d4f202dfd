//! `cvm-qmail` in the ways that the original does not have, and as a server whose files are exchanged.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use cvm_tests::Settings;
use cvm_tests::contact::Mode;
use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, DOMAIN};
use cvm_tests::process::{self, LIMIT, eventually};
use cvm_tests::programs::Make;
use cvm_tests::station::Station;

use crate::qmail::assign;

/// A host with a user `bob`, who has wildcards with dashes and dots.
pub(crate) fn host() -> Folder {
    let folder = Folder::new();
    for name in ["control", "users", "bob"] {
        fs::create_dir(folder.path(name)).expect("a folder");
    }
    folder.write("control/me", "host.example\n");
    folder.write("control/percenthack", "local.example\n");
    folder.write("control/locals", "local.example\n");
    folder.write("control/virtualdomains", "joe@virt.example:bob-a\nempty.example:\n.example:bob-b\n");
    for name in ["a-joe", "b-default", "x:y", "dot:default"] {
        folder.write(&format!("bob/.qmail-{name}"), "|deliver\n");
    }
    folder.write("bob/.qmail-x:z", "./Maildir/\n");
    assign_to_bob(&folder, "users/cdb", &["!bob\0", "!bob-", "!bob."]);
    folder
}

fn assign_to_bob(folder: &Folder, name: &str, keys: &[&str]) {
    let mut records = "+0,2:->-.\n".to_owned();
    for key in keys {
        let dash = if key.ends_with('\0') { "" } else { "-" };
        let data = format!("bob\x001234\x002345\0{}\0{dash}\0", folder.path("bob"));
        records += &format!("+{},{}:{key}->{data}\n", key.len(), data.len());
    }
    assign(folder, name, records.as_bytes());
}

pub(crate) fn question(user: &str, domain: &str) -> Vec<u8> {
    packet::v2(2, b"T", &[(ACCOUNT, user.as_bytes()), (DOMAIN, domain.as_bytes())])
}

/// Known, with the domain that is told; `no`, `elsewhere`, or a code.
pub(crate) fn told(answer: &[u8]) -> String {
    match answer {
        [0, ..] => {
            let at = answer.windows(2).position(|pair| pair[0] == 14 && usize::from(pair[1]) < 64).expect("a domain");
            let length = usize::from(answer[at + 1]);
            String::from_utf8_lossy(&answer[at + 2..at + 2 + length]).into_owned()
        }
        [100, 1, b'T', 16, 1, b'0', 0] => "no".to_owned(),
        [100, 1, b'T', 16, 1, b'1', 0] => "elsewhere".to_owned(),
        [code, ..] => code.to_string(),
        [] => "nothing".to_owned(),
    }
}

fn ask(folder: &Folder, more: Settings<'_>, user: &str, domain: &str) -> String {
    let root = folder.path("");
    let settings = [&[("QMAIL_ROOT", root.as_str()), ("CVM_LOOKUP_SECRET", "")], more].concat();
    let mut command = process::command(&Make::Ours.program("cvm-qmail"), &[], &settings);
    told(&process::run(&mut command, &question(user, domain)).stdout)
}

#[test]
fn strict_decisions_are_those_of_qmail() {
    let folder = host();
    for (user, domain, original, qmail) in [
        // A key of a whole address; a domain that is no longer virtual; the suffix of a domain.
        ("joe", "virt.example", ".example", "virt.example"),
        ("x", "empty.example", "no", "elsewhere"),
        ("x", "other.example", ".example", "other.example"),
        // Percents.
        ("joe%virt.example", "local.example", "no", "virt.example"),
        // Another wildcard than a dash.
        ("bob.x.Y", "local.example", "no", "local.example"),
        ("bob-x.y", "local.example", "local.example", "local.example"),
        // An address without a domain of its own.
        ("bob@local.example", "", ".example", "local.example"),
    ] {
        assert_eq!(ask(&folder, &[], user, domain), original, "{user}@{domain}");
        assert_eq!(ask(&folder, &[("CVM_QMAIL_STRICT", "1")], user, domain), qmail, "{user}@{domain}, strict");
    }
}

#[test]
fn strict_decisions_wait_for_homes_that_are_safe() {
    let folder = host();
    for (mode, qmail) in [(0o755, "local.example"), (0o777, "4"), (0o1755, "4"), (0o755, "local.example")] {
        fs::set_permissions(folder.path("bob"), Permissions::from_mode(mode)).expect("a mode");
        for user in ["bob", "bob-x.y"] {
            assert_eq!(ask(&folder, &[], user, "local.example"), "local.example", "{mode:o}");
            assert_eq!(ask(&folder, &[("CVM_QMAIL_STRICT", "1")], user, "local.example"), qmail, "{user}, {mode:o}");
        }
    }
}

#[test]
fn an_address_without_instructions_is_left_to_others_by_those_of_its_user() {
    let folder = host();
    let aside = [("CVM_QMAIL_LOOKASIDE", "other deliver")];
    assert_eq!(ask(&folder, &aside, "bob-x.y", "local.example"), "elsewhere");
    assert_eq!(ask(&folder, &aside, "bob-x.z", "local.example"), "local.example");
    assert_eq!(ask(&folder, &aside, "bob", "local.example"), "local.example");
    folder.write("bob/.qmail", "|deliver\n");
    assert_eq!(ask(&folder, &aside, "bob", "local.example"), "elsewhere");
    assert_eq!(ask(&folder, &[], "bob", "local.example"), "local.example");
}

#[test]
fn the_table_of_s_qmail_is_found_where_that_of_qmail_is_not() {
    let folder = host();
    fs::rename(folder.path("users/cdb"), folder.path("users/assign.cdb")).expect("renamed");
    for strict in [&[][..], &[("CVM_QMAIL_STRICT", "1")]] {
        assert_eq!(ask(&folder, strict, "bob", "local.example"), "local.example");
    }
    assign_to_bob(&folder, "users/cdb", &["!ben\0"]);
    for strict in [&[][..], &[("CVM_QMAIL_STRICT", "1")]] {
        assert_eq!(ask(&folder, strict, "ben", "local.example"), "local.example");
    }
}

#[test]
fn a_server_sees_files_that_are_exchanged() {
    let folder = host();
    let root = folder.path("");
    let settings = [("QMAIL_ROOT", root.as_str()), ("CVM_LOOKUP_SECRET", ""), ("CVM_QMAIL_STRICT", "1")];
    let station = Station::start_module(Make::Ours, "cvm-qmail", &settings);
    let ask = |user, domain| told(&station.contact(Mode::Udp).ask(&question(user, domain)).expect("an answer"));
    assert_eq!(ask("bob", "local.example"), "local.example");
    assert_eq!(ask("bob", "new.com"), "elsewhere");
    folder.write("control/locals", "new.com\n");
    assert_eq!(ask("bob", "new.com"), "new.com");
    assign_to_bob(&folder, "users/cdb", &["!ben\0"]);
    assert_eq!(ask("ben", "new.com"), "new.com");
    // A damaged table is not taken at once, and then is code 4.
    folder.write("users/new", "no table");
    fs::rename(folder.path("users/new"), folder.path("users/cdb")).expect("renamed");
    assert!(eventually(LIMIT, || ask("ben", "new.com") == "4"));
    assign_to_bob(&folder, "users/cdb", &["!bob\0"]);
    assert_eq!(ask("bob", "new.com"), "new.com");
}

#[test]
fn permission_checks_leave_the_server_as_it_was() {
    let folder = host();
    let root = folder.path("");
    let settings = [("QMAIL_ROOT", root.as_str()), ("CVM_LOOKUP_SECRET", ""), ("CVM_QMAIL_CHECK_PERMS", "-")];
    let station = Station::start_module(Make::Ours, "cvm-qmail", &settings);
    let ask = |user: &str| told(&station.contact(Mode::Udp).ask(&question(user, "local.example")).expect("an answer"));
    for (mode, expected) in [(0o755, "local.example"), (0o700, "no"), (0o755, "local.example")] {
        fs::set_permissions(folder.path("bob"), Permissions::from_mode(mode)).expect("a mode");
        for _ in 0..20 {
            assert_eq!(ask("bob-x.y"), expected, "{mode:o}");
        }
    }
    // A thread that has ended may be listed for a moment.
    let id = station.server().id();
    assert!(eventually(LIMIT, || ids_of_threads(id).iter().all(|ids| ids == "0 0 0 0")), "{:?}", ids_of_threads(id));
}

/// The real, effective, saved and file-system ids of each thread: of users, and of groups.
fn ids_of_threads(process: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("a running process").filter_map(Result::ok);
    let statuses = tasks.map(|task| fs::read_to_string(task.path().join("status")).unwrap_or_default());
    let lines = statuses.flat_map(|status| status.lines().map(str::to_owned).collect::<Vec<_>>());
    let ids =
        lines.filter_map(|line| Some(line.strip_prefix("Uid:").or_else(|| line.strip_prefix("Gid:"))?.to_owned()));
    ids.map(|ids| ids.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_setting_that_is_wrong_is_code_6() {
    let mut server = process::command(
        &Make::Ours.program("cvm-qmail"),
        &["cvm-local:/nowhere/socket"],
        &[("CVM_QMAIL_STRICT", "yes")],
    );
    process::run(&mut server, b"").assert_complaint(6, &["CVM_QMAIL_STRICT", "yes", "expected"]);
}
