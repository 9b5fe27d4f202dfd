//! `cvm-unix` on real accounts of this system, made for the test and removed again; the original is asked the same.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use cvm_tests::packet::{self, ACCOUNT, DOMAIN, Hex, PASSWORD};
use cvm_tests::process::{self, End};
use cvm_tests::programs::{Make, tool};
use cvm_tests::station::Station;

const REJECTED: &[u8] = b"\x64\x01T\0";

/// An account of the system, for as long as this value lives.
pub(crate) struct User {
    pub(crate) name: String,
}

impl User {
    /// Makes an account with the password `secret`, then runs `chage`, `passwd` or `usermod` on it.
    pub(crate) fn new(changes: &[&[&str]]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cvmt{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let user = Self { name };
        administer(
            "useradd",
            &["-M", "-G", "games,audio", "-c", "Real Name,Office,1,2", "-d", "/nowhere", &user.name],
            "",
        );
        let hash = administer(tool("openssl", "openssl").to_str().expect("UTF-8"), &["passwd", "-6", "secret"], "");
        administer("chpasswd", &["-e"], &format!("{}:{hash}", user.name));
        for change in changes {
            let [program, arguments @ ..] = change else { panic!("a program is missing") };
            administer(program, &[arguments, &[user.name.as_str()]].concat(), "");
        }
        user
    }
}

impl Drop for User {
    fn drop(&mut self) {
        administer("userdel", &[&self.name], "");
    }
}

/// Runs a program that changes the tables of the system: one at a time, as they lock those.
pub(crate) fn administer(program: &str, arguments: &[&str], input: &str) -> String {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = Command::new(program);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(arguments);
    let finished = process::run(&mut command, input.as_bytes());
    assert_eq!(finished.end, End::Exit(0), "{program} {arguments:?}, which takes root: {finished:?}");
    finished.output().trim_end().to_owned()
}

fn ask(make: Make, packet: &[u8], settings: cvm_tests::Settings<'_>) -> Vec<u8> {
    let finished = process::run(&mut process::command(&make.program("cvm-unix"), &[], settings), packet);
    assert_eq!(finished.end, End::Exit(finished.stdout[0].into()), "{finished:?}");
    finished.stdout
}

fn login(name: &str, password: &[u8]) -> Vec<u8> {
    packet::v2(2, b"T", &[(ACCOUNT, name.as_bytes()), (DOMAIN, b"ex.com"), (PASSWORD, password)])
}

#[track_caller]
fn is_answered_as_by_the_original(packet: &[u8], settings: cvm_tests::Settings<'_>) -> Vec<u8> {
    let ours = ask(Make::Ours, packet, settings);
    assert_eq!(Hex(&ours).to_string(), Hex(&ask(Make::Original, packet, settings)).to_string());
    ours
}

#[test]
fn a_login_tells_the_facts_of_the_original_in_its_order() {
    let user = User::new(&[]);
    for name in [user.name.clone(), user.name.to_ascii_uppercase()] {
        let answer = is_answered_as_by_the_original(&login(&name, b"secret"), &[]);
        assert_eq!(answer[..4], *b"\0\x01T\x08", "supplementary groups come first");
        is_answered_as_by_the_original(&packet::v1(name.as_bytes(), b"", &[b"secret"]), &[]);
    }
    assert_eq!(is_answered_as_by_the_original(&login(&user.name, b"Secret"), &[]), REJECTED);
    assert_eq!(is_answered_as_by_the_original(&login("no-such-user", b"secret"), &[]), REJECTED);
}

#[test]
fn a_look_up_tells_the_facts_of_the_original_in_its_order() {
    let user = User::new(&[&["usermod", "-L"]]);
    let open = &[("CVM_LOOKUP_SECRET", "")];
    for name in [&user.name, "root", "nobody", "daemon", "no-such-user"] {
        is_answered_as_by_the_original(&packet::v2(2, b"T", &[(ACCOUNT, name.as_bytes())]), open);
    }
}

#[test]
fn locked_and_expired_accounts_never_authenticate() {
    let long_ago: &[&str] = &["chage", "-d", "2000-01-01", "-M", "10", "-I", "5"];
    let changes: [&[&str]; 4] = [&["usermod", "-L"], &["passwd", "-q", "-d"], &["chage", "-E", "1"], long_ago];
    for changes in changes {
        let user = User::new(&[changes]);
        for password in ["secret", "x", "!", "*"] {
            assert_eq!(ask(Make::Ours, &login(&user.name, password.as_bytes()), &[]), REJECTED, "{changes:?}");
        }
    }
}

#[test]
fn a_password_that_should_be_changed_still_authenticates() {
    let user = User::new(&[&["chage", "-d", "2000-01-01", "-M", "10"]]);
    assert_eq!(ask(Make::Ours, &login(&user.name, b"secret"), &[])[0], 0);
}

#[test]
fn names_that_cannot_be_are_unknown() {
    for name in [b"root\0".as_slice(), b"ro\0ot", b"r\xff", b"root\n", b"../root", &[b'x'; 255]] {
        let packet = packet::v2(2, b"T", &[(ACCOUNT, name), (PASSWORD, b"x")]);
        assert_eq!(ask(Make::Ours, &packet, &[]), REJECTED, "{}", name.escape_ascii());
    }
}

#[test]
fn a_server_answers_as_the_command_does() {
    let user = User::new(&[]);
    let station = Station::start_module(Make::Ours, "cvm-unix", &[]);
    for mode in cvm_tests::contact::Mode::ALL {
        let contact = station.contact(mode);
        let right = contact.ask(&login(&user.name, b"secret")).expect("an answer");
        assert_eq!(right, ask(Make::Ours, &login(&user.name, b"secret"), &[]), "{mode}");
        assert_eq!(contact.ask(&login(&user.name, b"wrong")).expect("an answer"), REJECTED, "{mode}");
    }
}
