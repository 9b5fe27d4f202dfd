//! Requests to the module, packet in and packet out (SPEC sections 5 and 8).

mod auto;
mod changes;
mod decoys;

use std::fs;
use std::path::Path;

use cvm_core::answer::{Answer, Answerer, Outcome, Patience};
use cvm_core::challenge::Mechanism;
use cvm_core::wire::Packet;
use cvm_core::{Code, Policy, Secret};
use tempfile::TempDir;

use super::*;
use crate::testing::Said;

/// Hashes of `secret` that cost little.
const DES: &str = "./17m29LFAflg";
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

/// A server of a file of its own.
struct Server {
    answerer: Answerer<PwFile>,
    path: PathBuf,
    said: Said,
    _directory: TempDir,
}

impl Server {
    fn plain(content: impl AsRef<[u8]>) -> Self {
        Self::new(content, Comparison::Plain, Policy::Authenticate)
    }

    fn crypt(content: impl AsRef<[u8]>) -> Self {
        Self::new(content, Comparison::Crypt, Policy::Authenticate)
    }

    fn new(content: impl AsRef<[u8]>, comparison: Comparison, policy: Policy) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passwd");
        fs::write(&path, content).unwrap();
        let (notices, said) = Said::new();
        let module = PwFile::open(Options { path: path.clone(), comparison }, notices);
        Self { answerer: Answerer::new(module, policy, ()), path, said, _directory: directory }
    }

    /// Answers a packet as a round of its own.
    fn ask(&self, packet: &[u8]) -> Vec<u8> {
        let mut out = Packet::new();
        self.answerer.refresh();
        let outcome = self.answerer.answer(packet, &mut out, Patience::Blocking);
        assert_eq!(outcome, Outcome::Answered(Code::new(out[0])));
        out.to_vec()
    }

    fn login(&self, account: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> Code {
        Code::new(self.ask(&v2(&[(1, account.as_ref()), (3, password.as_ref())]))[0])
    }

    fn code(&self, items: &[(u8, &[u8])]) -> Code {
        Code::new(self.ask(&v2(items))[0])
    }
}

fn v2(items: &[(u8, &[u8])]) -> Vec<u8> {
    let mut packet = b"\x02\0".to_vec();
    for (kind, value) in items {
        packet.extend([*kind, u8::try_from(value.len()).unwrap()]);
        packet.extend(*value);
    }
    packet.push(0);
    packet
}

fn hex(digest: [u8; 16]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn facts_of_an_account_byte_for_byte() {
    let server = Server::plain("Alice:secret:1000:100:Alice Doe,Room 1,1-2:/home/alice:/bin/sh\n");
    assert_eq!(
        server.ask(b"\x02\x03TAG\x01\x05aLICE\x03\x06secret\0"),
        b"\0\x03TAG\x01\x05Alice\x02\x041000\x03\x03100\x04\x09Alice Doe\x05\x0b/home/alice\x06\x07/bin/sh\0"
    );
    assert_eq!(
        server.ask(b"\x01aLICE\0\0secret\0\0"),
        b"\0\x01Alice\0\x021000\0\x03100\0\x04Alice Doe\0\x05/home/alice\0\x06/bin/sh\0\0"
    );
}

#[test]
fn empty_fields_are_empty_facts_in_both_versions() {
    let server = Server::plain("bare:pw:7:8:::\n");
    assert_eq!(
        server.ask(b"\x02\0\x01\x04bare\x03\x02pw\0"),
        b"\0\0\x01\x04bare\x02\x017\x03\x018\x04\0\x05\0\x06\0\0"
    );
    assert_eq!(server.ask(b"\x01bare\0\0pw\0\0"), b"\0\x01bare\0\x027\0\x038\0\x04\0\x05\0\x06\0\0");
}

#[test]
fn numbers_are_sent_without_leading_zeros_to_the_highest() {
    let server = Server::plain("al:pw:0000000007:4294967294:::\n");
    assert_eq!(server.ask(b"\x01al\0\0pw\0\0"), b"\0\x01al\0\x027\0\x034294967294\0\x04\0\x05\0\x06\0\0");
}

#[test]
fn refusals_have_no_facts() {
    let server = Server::plain("al:pw:1:1:::\n");
    for (account, password) in [("al", "wrong"), ("bo", "pw")] {
        let v1 = [b"\x01", account.as_bytes(), b"\0\0", password.as_bytes(), b"\0\0"].concat();
        assert_eq!(server.ask(&v1), b"d\0");
        assert_eq!(server.ask(&v2(&[(1, account.as_bytes()), (3, password.as_bytes())])), b"d\0\0");
    }
}

#[test]
fn facts_that_do_not_fit_are_code_3() {
    let server = Server::plain(format!("al:pw:1:1:{}:/:/\nbo:pw:1:1:{}:/:/\n", "g".repeat(256), "g".repeat(255)));
    assert_eq!(server.ask(b"\x02\0\x01\x02al\x03\x02pw\0"), b"\x03\0\0");
    assert_eq!(server.login("bo", "pw"), Code::SUCCESS);
}

#[test]
fn an_empty_password_never_authenticates() {
    let server = Server::plain("al::1:1:::\nbo:pw:1:1:::\n");
    for password in ["", "x", "pw"] {
        let code = if password.is_empty() { Code::NO_CREDENTIAL } else { Code::REJECTED };
        assert_eq!(server.login("al", password), code, "{password:?}");
    }
    assert_eq!(server.ask(b"\x01al\0\0\0\0"), b"\x07\0");
}

#[test]
fn a_missing_credential_is_the_same_for_every_account() {
    for server in [Server::plain("al:pw:1:1:::\n"), Server::crypt(format!("al:{DES}:1:1:::\n"))] {
        for account in ["al", "nobody"] {
            let account = (1, account.as_bytes());
            assert_eq!(server.code(&[account]), Code::NO_CREDENTIAL);
            assert_eq!(server.code(&[account, (3, b"")]), Code::NO_CREDENTIAL);
            assert_eq!(server.code(&[account, (4, b"pw")]), Code::NO_CREDENTIAL);
        }
        assert_eq!(server.code(&[(3, b"pw")]), Code::NO_CREDENTIAL);
        assert_eq!(server.code(&[(1, b""), (3, b"pw")]), Code::NO_CREDENTIAL);
    }
}

#[test]
fn what_a_line_cannot_hold_is_no_name_and_no_password() {
    let server = Server::plain("al:pw:1:1:::\n");
    for account in ["al\0", "al\0x", "al:pw", "al\n", "\0", ":", "\n", "#"] {
        assert_eq!(server.login(account, "pw"), Code::REJECTED, "{account:?}");
    }
    for password in ["pw\0", "pw\0x", "pw:", "pw\n", "\0"] {
        assert_eq!(server.login("al", password), Code::REJECTED, "{password:?}");
    }
}

#[test]
fn the_domain_plays_no_part() {
    let server = Server::plain("al:pw:1:1:::\n");
    assert_eq!(server.code(&[(1, b"al"), (2, b"example.net"), (3, b"pw")]), Code::SUCCESS);
    assert_eq!(server.code(&[(1, b"al@example.net"), (3, b"pw")]), Code::REJECTED);
}

#[test]
fn hashed_passwords_are_verified_by_their_form() {
    let server = Server::crypt(format!("al:{DES}:1:1:::\nbo:{BCRYPT}:1:1:::\n"));
    for account in ["al", "bo"] {
        assert_eq!(server.login(account, "secret"), Code::SUCCESS);
        for wrong in ["secre", "Secret", DES, BCRYPT] {
            assert_eq!(server.login(account, wrong), Code::REJECTED, "{wrong}");
        }
    }
    assert_eq!(server.said.take(), [""; 0]);
}

#[test]
fn locked_and_strange_accounts_are_refused_and_strange_ones_said_once() {
    let content =
        format!("no:*:1:1:::\nup:!{DES}:1:1:::\nempty::1:1:::\nx:x:1:1:::\nodd:secret:1:1:::\nal:{DES}:1:1:::\n");
    let server = Server::crypt(content);
    for account in ["no", "up", "empty", "x"] {
        for password in ["secret", "*", "x", "!"] {
            assert_eq!(server.login(account, password), Code::REJECTED, "{account}");
        }
    }
    assert_eq!(server.said.take(), [""; 0]);
    for _ in 0..3 {
        assert_eq!(server.login("odd", "secret"), Code::REJECTED);
    }
    let said = server.said.take();
    assert!(said.len() == 1 && said[0].contains("unknown form") && !said[0].contains("secret"), "{said:?}");
}

#[test]
fn a_password_that_costs_too_much_is_code_6_and_said_once() {
    let costly = BCRYPT.replace("$04$", "$15$");
    let server = Server::crypt(format!("al:{costly}:1:1:::\nbo:{DES}:1:1:::\n"));
    for _ in 0..3 {
        assert_eq!(server.login("al", "secret"), Code::CONFIG);
    }
    assert_eq!(server.said.take().len(), 1);
    assert_eq!(server.login("bo", "secret"), Code::SUCCESS);
}

#[test]
fn plain_text_answers_challenges() {
    let server = Server::plain("al:tanstaaf:1:1:::\nempty::1:1:::\n");
    let challenge = b"<1896.697170952@dbc.mtview.ca.us>";
    for (mechanism, name) in [(Mechanism::Apop, "apop"), (Mechanism::CramMd5, "CRAM-MD5")] {
        let (right, wrong) = (mechanism.response(challenge, b"tanstaaf"), mechanism.response(challenge, b""));
        let ask = |account: &[u8], response: &[u8]| {
            server.code(&[(1, account), (5, challenge), (6, response), (7, name.as_bytes())])
        };
        assert_eq!(ask(b"al", &right), Code::SUCCESS);
        assert_eq!(ask(b"al", hex(right).as_bytes()), Code::SUCCESS);
        assert_eq!(ask(b"al", hex(right).to_uppercase().as_bytes()), Code::SUCCESS);
        assert_eq!(ask(b"al", &wrong), Code::REJECTED);
        assert_eq!(ask(b"nobody", &right), Code::REJECTED);
        assert_eq!(ask(b"empty", &wrong), Code::REJECTED, "an empty password answers no challenge");
        let v1 = [b"\x01al\0\0", challenge.as_slice(), b"\0", hex(right).as_bytes(), b"\0\0"].concat();
        assert_eq!(server.ask(&v1)[0], 0);
    }
    assert_eq!(server.code(&[(1, b"al"), (5, challenge), (6, &[0; 16]), (7, b"SCRAM")]), Code::NO_CREDENTIAL);
}

#[test]
fn hashed_passwords_answer_no_challenge() {
    let server = Server::crypt(format!("al:{DES}:1:1:::\n"));
    let response = Mechanism::CramMd5.response(b"<c>", DES.as_bytes());
    for account in ["al", "nobody"] {
        let items = [(1, account.as_bytes()), (5, b"<c>".as_slice()), (6, &response), (7, b"CRAM-MD5")];
        assert_eq!(server.code(&items), Code::NO_CREDENTIAL);
    }
}

#[test]
fn lookup_mode_gives_facts_for_the_secret_but_none_of_an_entry_without_a_password() {
    let policy = Policy::Lookup { secret: Secret::new(b"sesame") };
    let server = Server::new("al:pw:1:1:::\nno::2:2:::\n", Comparison::Plain, policy);
    assert_eq!(server.code(&[(1, b"al"), (4, b"sesame")]), Code::SUCCESS);
    assert_eq!(server.code(&[(1, b"no"), (4, b"sesame")]), Code::REJECTED);
    assert_eq!(server.code(&[(1, b"nobody"), (4, b"sesame")]), Code::REJECTED);
    assert_eq!(server.code(&[(1, b"al"), (3, b"pw")]), Code::NO_CREDENTIAL);
    assert_eq!(server.ask(b"\x01al\0\0sesame\0\0")[0], 0);
}

#[test]
fn malformed_packets_are_code_2_in_their_shape() {
    let server = Server::plain("al:pw:1:1:::\n");
    assert_eq!(server.ask(b""), b"\x02\0");
    assert_eq!(server.ask(b"\x02\x01T\x01\x09al\0"), b"\x02\x01T\0");
}
