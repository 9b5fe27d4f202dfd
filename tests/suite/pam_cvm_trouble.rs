//! `pam_cvm.so` with modules that are dead, slow or talk nonsense: an outage lets nobody in and is no wrong password.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use cvm_tests::contact::Mode;
use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, Hex};
use cvm_tests::pam::Stack;
use cvm_tests::process::End;
use cvm_tests::programs::Make;
use cvm_tests::station::{Station, TABLE};
use cvm_tests::trouble::Trouble;

const UNAVAILABLE: i32 = 9;

#[test]
fn no_outage_is_an_answer() {
    let folder = Folder::new();
    let stack = Stack::new(&[]);
    for trouble in Trouble::all(&folder).iter().filter(|trouble| !trouble.module().starts_with("cvm-command:")) {
        // In brackets, as some paths have blanks in them.
        let module = format!("CVM [cvm={}] timeout=400", trouble.module());
        stack.change(&[&format!("auth required {module}"), &format!("account required {module}")]);
        for function in ["authenticate", "acct_mgmt"] {
            let start = Instant::now();
            assert_eq!(stack.status("alice", &["secret"], function), UNAVAILABLE, "{trouble}");
            assert!(start.elapsed() < Duration::from_secs(5), "{trouble}: {:?}", start.elapsed());
        }
        // Whoever ignores outages leaves it to the others.
        for (next, status) in [("pam_permit.so", 0), ("pam_deny.so", 7)] {
            stack.change(&[
                &format!("auth required {module} ignore_authinfo_unavail"),
                &format!("auth required {next}"),
            ]);
            assert_eq!(stack.status("alice", &["secret"], "authenticate"), status, "{trouble} {next}");
        }
    }
}

#[test]
fn a_server_that_comes_back_is_asked_again() {
    let mut station = Station::start(Make::Ours, TABLE, &[]);
    let stack = Stack::of_module("required", &format!("cvm={}", station.module(Mode::Local)));
    assert_eq!(stack.status("alice", &["secret"], "authenticate"), 0);
    station.server_mut().stop();
    assert_eq!(stack.status("alice", &["secret"], "authenticate"), UNAVAILABLE);
    station.restart();
    assert_eq!(stack.status("alice", &["secret"], "authenticate"), 0);
}

#[test]
fn a_dead_module_ends_the_list_and_a_no_does_not() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let other = Station::start(Make::Ours, "bob:pw:1:1:::\n", &[]);
    let status = |modules: &str| {
        let stack = Stack::of_module("required", &format!("cvm={modules} timeout=500"));
        stack.status("alice", &["secret"], "authenticate")
    };
    let (knows, knows_not) = (station.module(Mode::Local), other.module(Mode::Udp));
    assert_eq!(status(&format!("{knows_not},{knows}")), 0);
    assert_eq!(status(&format!("cvm-local:/nowhere,{knows}")), UNAVAILABLE);
}

/// Nobody may turn the module off by what he types.
#[test]
fn what_a_user_types_is_never_an_outage() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let module = station.module(Mode::Local);
    let stack = Stack::new(&[
        &format!("auth required CVM cvm={module} ignore_authinfo_unavail"),
        "auth required pam_permit.so",
    ]);
    let long = "x".repeat(300);
    for (user, password) in [("alice", ""), ("alice", "wrong"), ("alice", &long), (&long, "secret"), ("a@b@c", "x")] {
        assert_eq!(stack.status(user, &[password], "authenticate"), 7, "{user} {password}");
    }
}

#[test]
fn the_log_has_reasons_and_hosts_but_neither_passwords_nor_unknown_names() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let module = station.module(Mode::Local);
    let stack = Stack::new(&[&format!("auth required CVM cvm={module} debug"), "password required CVM"]);
    let logged = |user: &str, password: &str, functions: &[&str]| {
        let finished = stack.pamtester(user, password, &["-I", "rhost=192.0.2.7"], functions);
        assert!(matches!(finished.end, End::Exit(0 | 1)), "{finished:?}");
        let text = String::from_utf8(finished.stderr).expect("text");
        // All else is told by what stands in for the system's log here.
        text.lines().filter(|line| line.contains("SYSLOG(")).collect::<String>()
    };
    let right = logged("alice", "secret", &["authenticate"]);
    assert!(right.contains("SYSLOG(7): accepted; uid=1001 user=alice") && !right.contains("secret"), "{right}");
    let wrong = logged("hunter2", "xyzzy", &["authenticate"]);
    assert!(wrong.contains("SYSLOG(5): refused; rhost=192.0.2.7"), "{wrong}");
    assert!(!wrong.contains("hunter2") && !wrong.contains("xyzzy"), "{wrong}");
    let change = logged("alice", "secret", &["chauthtok"]);
    assert!(change.contains("SYSLOG(5): a password cannot be changed through CVM"), "{change}");
    stack.change(&["auth required CVM cvm=cvm-local:/nowhere"]);
    let outage = logged("alice", "secret", &["authenticate"]);
    assert!(outage.contains("SYSLOG(3): nothing can be told of the user: cvm-local:/nowhere: "), "{outage}");
    assert!(!outage.contains("secret"), "{outage}");
}

/// Nor may he by the name of his host, which makes no account an unknown one.
#[test]
fn a_host_that_is_too_long_to_tell_is_never_ignored() {
    let station = Station::start(Make::Ours, TABLE, &[("CVM_LOOKUP_SECRET", "")]);
    let module = station.module(Mode::Local);
    let lenient = format!("cvm={module} rhost=131 ignore_unknown_user ignore_authinfo_unavail");
    let stack = Stack::new(&[&format!("account required CVM {lenient}"), "account required pam_permit.so"]);
    for (length, status) in [(255, 0), (256, 6)] {
        let host = format!("rhost={}", "x".repeat(length));
        assert_eq!(stack.call("alice", &[], &[&host, "acct_mgmt"]), [format!("acct_mgmt {status}")], "{length}");
    }
}

/// The bytes that a server is sent, which are answered with a no.
#[test]
fn service_and_host_are_told_to_whoever_wants_them() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("socket")).expect("a socket");
    let recorder = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut request = Vec::new();
        stream.read_to_end(&mut request).and_then(|_| stream.write_all(b"\x64\0\0")).expect("a request");
        request
    });
    let module = format!("cvm=cvm-local:{} service=130 rhost=131", folder.path("socket"));
    let stack = Stack::of_module("required", &module);
    let told = stack.call("alice@ex.com", &["pw"], &["rhost=2001:db8::1", "authenticate"]);
    assert_eq!(told.last().map(String::as_str), Some("authenticate 7"));
    let items: packet::Items<'_> =
        &[(1, b"alice"), (2, b"ex.com"), (3, b"pw"), (130, b"cvm-tests"), (131, b"2001:db8::1")];
    let request = recorder.join().expect("it has ended");
    assert_eq!(Hex(&request).to_string(), Hex(&packet::v2(2, b"", items)).to_string());
}
