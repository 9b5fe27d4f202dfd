//! `pam_cvm.so` as a guest in processes of others: what it exports, what it keeps, what it leaves behind, and many
//! threads at a time.

use cvm_tests::contact::Mode;
use cvm_tests::pam::Stack;
use cvm_tests::process::{End, command, run};
use cvm_tests::programs::{Make, pam_cvm, tool};
use cvm_tests::station::{Station, TABLE};

fn binutil(name: &str, arguments: &[&str]) -> String {
    let tool = tool(name, "binutils");
    let finished = run(&mut command(tool.to_str().expect("UTF-8"), arguments, &[]), b"");
    assert_eq!(finished.end, End::Exit(0), "{finished:?}");
    finished.output()
}

#[test]
fn it_exports_the_six_functions_and_nothing_else() {
    let symbols = binutil("nm", &["-D", "--defined-only", "--format=just-symbols", &pam_cvm()]);
    let six = ["acct_mgmt", "authenticate", "chauthtok", "close_session", "open_session", "setcred"];
    assert_eq!(symbols.lines().collect::<Vec<_>>(), six.map(|name| format!("pam_sm_{name}")));
}

#[test]
fn it_needs_nothing_but_pam_and_the_c_library() {
    let needed = binutil("objdump", &["-p", &pam_cvm()]);
    let mut needed: Vec<_> = needed.lines().filter_map(|line| line.trim().strip_prefix("NEEDED")).collect();
    needed.retain(|name| !name.trim().starts_with("ld-linux"));
    let names: Vec<_> = needed.iter().map(|name| name.trim()).collect();
    assert_eq!(names, ["libpam.so.0", "libgcc_s.so.1", "libc.so.6"]);
}

/// Rust's own library keeps a few counters and locks; our crates must keep nothing, but whether panics are silent yet.
#[test]
fn none_of_our_crates_has_a_variable_that_can_be_written() {
    let symbols = binutil("objdump", &["-t", &pam_cvm()]);
    let is_writable = |line: &&str| {
        let sections = [".data", ".bss", ".tdata", ".tbss"];
        line.split_ascii_whitespace().any(|word| sections.contains(&word))
    };
    let writable: Vec<_> = symbols.lines().filter(is_writable).collect();
    assert!(writable.iter().any(|line| line.contains("3std")), "the symbols of the debug build are there");
    let ours: Vec<_> = writable.iter().filter(|line| line.contains("pam_cvm") || line.contains("cvm_")).collect();
    assert!(matches!(ours[..], [only] if only.contains("7SILENCE")), "{ours:?}");
}

/// The client looks at mappings, threads and descriptors when its last handle is gone, and tells what is left.
#[test]
fn it_leaves_nothing_behind_when_it_is_unloaded() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    for (mode, password, status) in [(Mode::Local, "secret", 0), (Mode::Udp, "secret", 0), (Mode::Udp, "wrong", 7)] {
        let stack = Stack::of_module("required", &format!("cvm={} set_env", station.module(mode)));
        let told = stack.call("alice", &[password], &["authenticate", "setcred", "open_session", "close_session"]);
        let expected = ["prompt Password: ".to_owned(), format!("authenticate {status}")];
        assert_eq!(told[..2], expected);
        assert!(!told.iter().any(|line| line.starts_with("left")), "{told:?}");
    }
    let stack = Stack::of_module("required", "cvm=cvm-udp:127.0.0.1:1 timeout=200");
    assert_eq!(stack.call("alice", &["x"], &["authenticate"]), ["prompt Password: ", "authenticate 9"]);
}

#[test]
fn thirty_two_threads_are_served_at_a_time() {
    let (station, lookup) =
        (Station::start(Make::Ours, TABLE, &[]), Station::start(Make::Ours, TABLE, &[("CVM_LOOKUP_SECRET", "")]));
    for mode in [Mode::Local, Mode::Udp] {
        let stack = Stack::new(&[
            &format!("auth required CVM cvm={} set_env", station.module(mode)),
            &format!("account required CVM cvm={}", lookup.module(mode)),
        ]);
        for (password, status) in [("secret", 0), ("wrong", 7)] {
            let one = ["prompt Password: ".to_owned(), format!("authenticate {status}"), "acct_mgmt 0".to_owned()];
            let all: Vec<_> = std::iter::repeat_n(one, 32).flatten().collect();
            assert_eq!(stack.call("alice", &[password], &["threads=32", "authenticate", "acct_mgmt"]), all);
        }
    }
}
