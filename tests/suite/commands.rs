//! Modules as programs: what the clients make of their answers, their exit statuses and their silence.

use std::time::{Duration, Instant};

use cvm_tests::findings::Findings;
use cvm_tests::folder::{Folder, quoted};
use cvm_tests::process::{self, End};
use cvm_tests::programs::Make;

use crate::clients::Client;

const YES: &str = r"\0\0\1\3zed\2\0018\3\00218\5\1/\0";

/// A script, the code that comes of it for both clients of version 2, and for ours where that differs.
const ANSWERS: &[(&str, i32, Option<i32>)] = &[
    // The exit status is the code, whatever the answer says.
    ("cat >/dev/null; printf 'YES'; exit 1", 1, None),
    ("cat >/dev/null; printf 'YES'; exit 100", 100, None),
    ("cat >/dev/null; printf '\\144\\0\\0'; exit 0", 3, None),
    ("cat >/dev/null; printf '\\4\\0\\0'; exit 100", 100, None),
    // Nothing at all, or not to the end.
    ("cat >/dev/null", 4, None),
    ("cat >/dev/null; exit 100", 4, None),
    ("cat >/dev/null; exit 6", 4, None),
    ("cat >/dev/null; kill -9 $$", 4, None),
    ("cat >/dev/null; printf 'YES'; kill -9 $$", 4, None),
    // Not what the protocol says.
    ("cat >/dev/null; printf 'YESx'", 3, None),
    ("cat >/dev/null; printf '\\0\\0\\1\\3zed\\2\\0018\\3\\00218\\5\\1/'", 3, None),
    ("cat >/dev/null; printf '\\0\\1T\\1\\3zed\\2\\0018\\3\\00218\\5\\1/\\0'", 3, None),
    ("cat >/dev/null; printf '\\0'", 3, None),
    ("cat >/dev/null; head -c 513 /dev/zero", 3, None),
    ("cat >/dev/null; printf 'xyz'; exit 6", 3, None),
    ("cat >/dev/null; printf '\\0\\0'; exit 7", 3, None),
    ("cat >/dev/null; printf '\\144\\3TAG\\0'; exit 100", 3, None),
    ("cat >/dev/null; printf '\\144\\0\\020\\0010\\0x'; exit 100", 3, None),
    // A required fact is missing, or no number.
    ("cat >/dev/null; printf '\\0\\0\\0'", 3, None),
    ("cat >/dev/null; printf '\\0\\0\\1\\3zed\\2\\0018\\5\\1/\\0'", 3, None),
    ("cat >/dev/null; printf '\\0\\0\\1\\3zed\\2\\001x\\3\\00218\\5\\1/\\0'", 3, None),
    ("cat >/dev/null; printf '\\0\\0\\1\\3zed\\2\\003-18\\3\\00218\\5\\1/\\0'", 3, None),
    ("cat >/dev/null; printf '\\0\\0\\1\\3zed\\2\\003+18\\3\\00218\\5\\1/\\0'", 3, None),
    ("cat >/dev/null; printf '\\0\\0\\1\\3zed\\2\\02499999999999999999999\\3\\00218\\5\\1/\\0'", 3, None),
    ("cat >/dev/null; printf '\\0\\0\\1\\3zed\\2\\0018\\3\\00218\\5\\1/\\010\\001x\\0'", 0, Some(3)),
    ("cat >/dev/null; printf '\\144\\0\\020\\001x\\0'; exit 100", 100, Some(3)),
    ("cat >/dev/null; printf '\\0\\0\\1\\3zed\\2\\0\\3\\00218\\5\\1/\\0'", 0, Some(3)),
];

fn module(folder: &Folder, script: &str) -> String {
    folder.script("module", &script.replace("YES", YES))
}

#[test]
fn both_clients_judge_answers_and_exit_statuses_alike() {
    let folder = Folder::new();
    let mut findings = Findings::new();
    for (script, code, ours) in ANSWERS {
        let module = module(&folder, script);
        for (make, code) in [(Make::Ours, ours.unwrap_or(*code)), (Make::Original, *code)] {
            let found = Client::V2.ask(make, &module, &["alice", "ex.com", "secret"], &[]);
            findings.equal(format_args!("{make}: {script}"), found.end, End::Exit(code));
        }
    }
    findings.assert_none();
}

#[test]
fn a_module_that_talks_without_end_is_cut_short() {
    let folder = Folder::new();
    let module = module(&folder, "cat >/dev/null; exec cat /dev/zero");
    let found = Client::V2.ask(Make::Ours, &module, &["alice", "ex.com", "secret"], &[]);
    assert!([3, 4].map(|code| Client::V2.outcome(code, "")).contains(&found), "{found:?}");
}

#[test]
fn several_supplementary_groups_are_all_printed() {
    let folder = Folder::new();
    let more = r"\10\0015\10\00242\10\0015\0";
    let module = module(&folder, &format!("cat >/dev/null; printf '{}'", YES.replace(r"/\0", &format!("/{more}"))));
    let found = Client::V2.ask(Make::Ours, &module, &["alice", "ex.com", "secret"], &[]);
    let groups: String = ["5", "42", "5"].map(|group| format!("supp. group ID:   {group}\n")).concat();
    assert!(found.end == End::Exit(0) && found.output().ends_with(&groups), "{found:?}");
}

#[test]
fn a_module_may_answer_without_reading() {
    let folder = Folder::new();
    for (script, code) in [("printf 'YES'", 0), ("exec <&-; printf 'YES'", 0), ("exec <&-; exit 6", 4), ("exit 6", 4)] {
        let module = module(&folder, script);
        for _ in 0..10 {
            let found = Client::V2.ask(Make::Ours, &module, &["alice", "ex.com", "secret"], &[]);
            assert_eq!(found.end, End::Exit(code), "{script}: {found:?}");
        }
    }
}

#[test]
fn a_module_that_hangs_is_ended_after_the_time_out() {
    let folder = Folder::new();
    let pid = folder.path("pid");
    let module = folder.script("module", &format!("echo $$ >{}\nexec sleep 60", quoted(&pid)));
    // The shell looks whether the module is there still, when the client has ended.
    let look = folder.script("look", "\"$@\"\ncode=$?\nkill -0 $(cat \"$PID\") 2>/dev/null && echo alive\nexit $code");
    for client in [Client::V1, Client::V2] {
        let program = Make::Ours.program(client.name());
        let settings = [("CVM_CLIENT_TIMEOUT", "1200"), ("PID", pid.as_str())];
        let start = Instant::now();
        let found = process::run(&mut process::command(&look, &[&program, &module, "alice", "d"], &settings), b"");
        assert_eq!(found, client.outcome(4, ""));
        assert!(start.elapsed() >= Duration::from_millis(1200), "{:?}", start.elapsed());
    }
}

#[test]
fn a_client_time_out_that_is_none_is_named() {
    for timeout in ["x", "-1", "4294967296", "1s"] {
        for client in [Client::V1, Client::V2] {
            let found = client.ask(Make::Ours, "/bin/true", &["alice", "d"], &[("CVM_CLIENT_TIMEOUT", timeout)]);
            found.assert_complaint(1, &[client.name(), "CVM_CLIENT_TIMEOUT", timeout]);
        }
    }
}
