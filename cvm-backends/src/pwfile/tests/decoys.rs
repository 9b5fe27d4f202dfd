//! Accounts that do not exist, or are locked, cannot be told from others by time.

use std::time::Duration;

use cvm_core::CredentialType;
use rustix::time::{ClockId, clock_gettime};

use super::*;

/// A hash of `secret` that takes long enough to be measured. Made by Perl's crypt.
const SLOW: &str =
    "$6$rounds=60000$abcd$XVQjEL5YcOWdTHcAhH13iA3vz9EmsNt3P5X7hFJvX7.iJ7/lMYuy6Qf9KAN/VBgS8GU.Gv5l0Hy2K73LrPAPo0";

fn module(path: &Path) -> PwFile {
    PwFile::open(Options { path: path.to_owned(), comparison: Comparison::Crypt }, Notices::new(|_| {}))
}

fn lookup(module: &PwFile, account: &str) -> Lookup<Account> {
    let packet = v2(&[(1, account.as_bytes()), (3, b"secret")]);
    module.lookup(&Request::decode(&packet, CredentialType::PASSWORD).unwrap()).unwrap()
}

/// The name of the entry that an account which does not exist is judged by.
fn decoy(module: &PwFile, account: &str) -> String {
    match lookup(module, account) {
        Lookup::Unknown { scope: None, decoy: Some(decoy) } => text(decoy.entry().unwrap().name),
        other => panic!("{other:?}"),
    }
}

/// What this thread has used so far: nobody else on the machine adds to it.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn two_processes_choose_the_same_decoy_for_a_name() {
    let server = Server::crypt((0..50).map(|number| format!("user{number}:{DES}:1:1:::\n")).collect::<String>());
    let (one, other) = (module(&server.path), module(&server.path));
    for number in 0..50 {
        let name = format!("nobody{number}");
        assert_eq!(decoy(&one, &name), decoy(&other, &name.to_uppercase()));
    }
}

#[test]
fn the_decoy_of_a_locked_account_is_that_of_a_usable_one() {
    let server = Server::crypt(format!("no:*:1:1:::\nodd:odd:1:1:::\nal:{DES}:1:1:::\nup:!:1:1:::\n"));
    let module = module(&server.path);
    for locked in ["no", "odd", "up"] {
        let Lookup::Known(account) = lookup(&module, locked) else { panic!("{locked} is unknown") };
        assert_eq!(text(account.table.entry(account.decoy.unwrap()).unwrap().name), "al");
    }
}

#[test]
fn the_password_of_a_decoy_opens_nothing() {
    let server = Server::crypt(format!("no:*:1:1:::\nal:{DES}:1:1:::\n"));
    assert_eq!(server.login("al", "secret"), Code::SUCCESS);
    assert_eq!(server.login("no", "secret"), Code::REJECTED);
    assert_eq!(server.login("nobody", "secret"), Code::REJECTED);
    let plain = Server::plain("no::1:1:::\nal:secret:1:1:::\n");
    assert_eq!(plain.login("no", "secret"), Code::REJECTED);
    assert_eq!(plain.login("nobody", "secret"), Code::REJECTED);
}

#[test]
fn where_nothing_is_usable_everybody_is_refused() {
    for server in [Server::crypt("no:*:1:1:::\n"), Server::plain("no::1:1:::\n"), Server::plain("\n")] {
        assert_eq!(server.login("no", "secret"), Code::REJECTED);
        assert_eq!(server.login("nobody", "secret"), Code::REJECTED);
    }
}

#[test]
fn a_password_that_costs_too_much_is_nobodys_decoy() {
    let costly = BCRYPT.replace("$04$", "$31$");
    let server = Server::crypt(format!("bad:{costly}:1:1:::\n").repeat(10) + "no:*:1:1:::\n");
    for account in ["no", "nobody", "somebody"] {
        assert_eq!(server.login(account, "secret"), Code::REJECTED, "{account}");
    }
    assert_eq!(server.said.take(), [""; 0]);
}

#[test]
fn a_refusal_costs_a_verification_whatever_the_account() {
    let server = Server::crypt(format!("al:{SLOW}:1:1:::\nno:*:1:1:::\nup:!{SLOW}:1:1:::\nodd:odd:1:1:::\n"));
    let cost = |account: &str| {
        let start = processor_time();
        assert_eq!(server.login(account, "wrong"), Code::REJECTED);
        processor_time() - start
    };
    let known = (0..3).map(|_| cost("al")).min().unwrap();
    for account in ["no", "up", "odd", "nobody"] {
        let refused = cost(account);
        assert!(refused > known / 2, "{account}: {refused:?}, a wrong password: {known:?}");
    }
}
