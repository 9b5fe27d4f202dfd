//! Files that change, and what is said of them.

use super::*;

#[test]
fn a_new_password_counts_for_the_next_request() {
    let server = Server::plain("al:0000:1:1:::\n");
    for number in 1..200 {
        fs::write(&server.path, format!("al:{number:04}:1:1:::\n")).unwrap();
        assert_eq!(server.login("al", format!("{number:04}")), Code::SUCCESS);
        assert_eq!(server.login("al", format!("{:04}", number - 1)), Code::REJECTED);
    }
}

#[test]
fn a_missing_file_is_code_4_until_it_comes() {
    let server = Server::plain("\n");
    fs::remove_file(&server.path).unwrap();
    let module =
        PwFile::open(Options { path: server.path.clone(), comparison: Comparison::Plain }, Notices::new(|_| {}));
    let server = Server { answerer: Answerer::new(module, Policy::Authenticate, ()), ..server };
    assert_eq!(server.login("al", "pw"), Code::IO);
    assert_eq!(server.login("nobody", "pw"), Code::IO);
    fs::write(&server.path, "al:pw:1:1:::\n").unwrap();
    assert_eq!(server.login("al", "pw"), Code::SUCCESS);
}

#[test]
fn malformed_lines_are_said_once_until_others_are_malformed() {
    let server = Server::plain("al:pw:1:1:::\nsecret line\nanother\n");
    let path = server.path.display().to_string();
    for _ in 0..5 {
        server.login("al", "pw");
    }
    assert_eq!(server.said.take(), [format!("{path}: 2 malformed lines passed over, the first is line 2")]);
    fs::write(&server.path, "al:pw:1:1:::\nbo\n").unwrap();
    for _ in 0..5 {
        server.login("al", "pw");
    }
    assert_eq!(server.said.take(), [format!("{path}: 1 malformed lines passed over, the first is line 2")]);
    fs::write(&server.path, "al:pw:1:1:::\n").unwrap();
    server.login("al", "pw");
    assert_eq!(server.said.take(), [""; 0]);
}

/// A file of more than 256 KiB whose account `al` has this password.
fn large(password: &str) -> String {
    format!("al:{password}:1:1:::\n{}", "filler:pw:1:1:a comment of some length:/home/filler:/bin/sh\n".repeat(6000))
}

#[test]
fn a_large_file_that_has_changed_is_left_to_whoever_can_wait() {
    let server = Server::plain(large("old"));
    assert_eq!(server.login("al", "old"), Code::SUCCESS);
    fs::write(&server.path, large("new")).unwrap();
    server.answerer.refresh();
    let packet = v2(&[(1, b"al"), (3, b"new")]);
    let mut out = Packet::new();
    let now = server.answerer.answer(&packet, &mut out, Patience::Immediate);
    assert_eq!(now, Outcome::Deferred(Cost::Wait));
    let then = server.answerer.answer(&packet, &mut out, Patience::Blocking);
    assert_eq!(then, Outcome::Answered(Code::SUCCESS));
}

#[test]
fn what_is_in_memory_is_answered_at_once_and_hashes_are_not() {
    let now = |server: &Server, packet: &[u8]| {
        server.answerer.refresh();
        server.answerer.answer(packet, &mut Packet::new(), Patience::Immediate)
    };
    let plain = Server::plain("al:pw:1:1:::\n");
    let crypt = Server::crypt(format!("al:{DES}:1:1:::\nno:*:1:1:::\n"));
    for account in ["al", "no", "nobody"] {
        let packet = v2(&[(1, account.as_bytes()), (3, b"x")]);
        assert_eq!(now(&plain, &packet), Outcome::Answered(Code::REJECTED), "{account}");
        assert_eq!(now(&crypt, &packet), Outcome::Deferred(Cost::Cpu), "{account}");
    }
}
