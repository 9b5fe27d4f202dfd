//! Requests to the module, packet in and packet out.

use std::fs;

use cvm_core::answer::{Answer, Answerer, Outcome, Patience};
use cvm_core::challenge::Mechanism;
use cvm_core::wire::Packet;
use cvm_core::{Code, CredentialType, Policy, Secret};
use tempfile::TempDir;

use super::*;
use crate::testing::Said;

/// Digests of `secret`.
const DIGESTS: &str = "md5:%5ebe2294ecd0e0f08eab7690d2a6ee69\n\
                       sha1:%e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4\n\
                       sha256:%2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n";

/// A server of a file of its own.
struct Server {
    answerer: Answerer<Authuser>,
    folder: TempDir,
    said: Said,
}

impl Server {
    fn new(file: &str) -> Self {
        Self::with(file, Policy::Authenticate, &[])
    }

    fn in_lookup_mode(file: &str) -> Self {
        Self::with(file, Policy::Lookup { secret: Secret::new(b"") }, &[])
    }

    fn with(file: &str, policy: Policy, locals: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("authuser"), file).unwrap();
        let (notices, said) = Said::new();
        let module = Authuser::open(options(&folder, locals), notices);
        Self { answerer: Answerer::new(module, policy, ()), folder, said }
    }

    /// Answers a packet as a round of its own.
    fn ask(&self, packet: &[u8]) -> Vec<u8> {
        let mut out = Packet::new();
        self.answerer.refresh();
        let outcome = self.answerer.answer(packet, &mut out, Patience::Blocking);
        assert_eq!(outcome, Outcome::Answered(Code::new(out[0])));
        out.to_vec()
    }

    fn code(&self, items: &[(u8, &[u8])]) -> u8 {
        self.ask(&v2(items))[0]
    }

    fn login(&self, account: &str, domain: &str, password: &str) -> u8 {
        self.code(&[(1, account.as_bytes()), (2, domain.as_bytes()), (3, password.as_bytes())])
    }

    fn response(&self, account: &str, mechanism: Mechanism, password: &str) -> u8 {
        let response = mechanism.response(b"<1@x>", password.as_bytes());
        let name: &[u8] = if mechanism == Mechanism::Apop { b"APOP" } else { b"CRAM-MD5" };
        self.code(&[(1, account.as_bytes()), (5, b"<1@x>"), (6, &response), (7, name)])
    }
}

fn options(folder: &TempDir, locals: &[&str]) -> Options {
    Options {
        path: folder.path().join("authuser"),
        locals: locals.iter().map(|local| local.as_bytes().to_vec()).collect(),
        identity: Identity { uid: 1234, gid: 2345, home: b"/virtual".to_vec() },
        helpers: Helpers::default(),
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

#[test]
fn the_facts_are_the_user_of_the_settings_and_the_name_as_the_file_spells_it() {
    let server = Server::new("Joe@X.org:secret\nann:secret\n@y.org:secret\n");
    let told = |account: &str, domain: &str| {
        let answer = server.ask(&v2(&[(1, account.as_bytes()), (2, domain.as_bytes()), (3, b"secret")]));
        answer.escape_ascii().to_string()
    };
    let ids = r"\x02\x041234\x03\x042345\x05\x08/virtual";
    assert_eq!(told("joe", "x.ORG"), format!(r"\x00\x00\x01\x03Joe{ids}\x0e\x05x.org\x00"));
    assert_eq!(told("ANN", ""), format!(r"\x00\x00\x01\x03ann{ids}\x00"));
    assert_eq!(told("Bob", "y.org"), format!(r"\x00\x00\x01\x03Bob{ids}\x0e\x05y.org\x00"));
    assert_eq!(told("Bob@y.org", ""), format!(r"\x00\x00\x01\x03Bob{ids}\x0e\x05y.org\x00"));
}

#[test]
fn plain_text_answers_passwords_and_challenges() {
    let server = Server::new("joe:secret\n%:%5ebe\n");
    for (password, code) in [("secret", 0), ("Secret", 100), ("secret\0", 100), ("", 7)] {
        assert_eq!(server.login("joe", "", password), code, "{password:?}");
    }
    assert_eq!(server.login("%", "", "%5ebe"), 0);
    for mechanism in [Mechanism::CramMd5, Mechanism::Apop] {
        assert_eq!(server.response("joe", mechanism, "secret"), 0);
        assert_eq!(server.response("joe", mechanism, "Secret"), 100);
        assert_eq!(server.response("ann", mechanism, "secret"), 100);
    }
    assert_eq!(server.ask(b"\x01joe\0\0secret\0\0")[0], 0);
    assert_eq!(server.said.take(), [""; 0]);
}

#[test]
fn digests_answer_passwords_only_and_are_no_passwords_themselves() {
    let server = Server::new(DIGESTS);
    for line in DIGESTS.lines() {
        let (user, token) = line.split_once(':').unwrap();
        assert_eq!(server.login(user, "", "secret"), 0, "{user}");
        for wrong in [token, &token[1..], "Secret", &token.to_uppercase()] {
            assert_eq!(server.login(user, "", wrong), 100, "{user} {wrong}");
        }
        for password in ["secret", token, &token[1..]] {
            assert_eq!(server.response(user, Mechanism::CramMd5, password), 100, "{user} {password}");
        }
    }
    assert_eq!(server.said.take().len(), 1, "that they cannot answer is said once");
}

#[test]
fn the_disabled_and_the_unknown_are_refused_alike() {
    let server = Server::new("joe:secret\n!joe:\n@x.org:secret\n!@x.org:\nempty:\n");
    for (account, domain) in [("joe", ""), ("joe", "x.org"), ("ann", "x.org"), ("empty", ""), ("ann", ""), ("*", "")] {
        assert_eq!(server.ask(&v2(&[(1, account.as_bytes()), (2, domain.as_bytes()), (3, b"secret")])), b"d\0\0");
    }
}

#[test]
fn a_domain_that_clients_put_in_stands_for_none() {
    let server = Server::with("joe:secret\n@x.org:domain\n", Policy::Authenticate, &["mail.host", "Other.host"]);
    for domain in ["", "mail.host", "MAIL.host", "other.HOST"] {
        assert_eq!(server.login("joe", domain, "secret"), 0, "{domain}");
        assert_eq!(server.login("joe@x.org", domain, "domain"), 0, "{domain}");
    }
    assert_eq!(server.login("joe@mail.host", "", "secret"), 0);
    assert_eq!(server.login("joe", "else.host", "secret"), 100);
    assert_eq!(server.login("joe", "x.org", "secret"), 100);
}

#[test]
fn a_password_without_a_meaning_is_refused_and_said_once() {
    let server = Server::new("joe:x\nann:secret\n");
    for password in ["x", "secret"] {
        assert_eq!(server.login("joe", "", password), 100);
    }
    assert_eq!(server.said.take().len(), 1);
}

#[test]
fn a_version_with_lines_that_do_not_count_is_told_of_once() {
    let server = Server::new("joe:secret\n!ann\nann:secret\n");
    assert_eq!(server.login("ann", "", "secret"), 0);
    let said = server.said.take();
    assert!(said.len() == 1 && said[0].contains("line 2"), "{said:?}");
}

#[test]
fn a_changed_file_is_seen_by_the_next_request_and_a_missing_one_is_told() {
    let server = Server::new("joe:secret\n");
    assert_eq!(server.login("joe", "", "secret"), 0);
    let path = server.folder.path().join("authuser");
    fs::write(server.folder.path().join("new"), "joe:other\n").unwrap();
    fs::rename(server.folder.path().join("new"), &path).unwrap();
    assert_eq!((server.login("joe", "", "secret"), server.login("joe", "", "other")), (100, 0));
    let nowhere = Server::new("");
    fs::remove_file(nowhere.folder.path().join("authuser")).unwrap();
    let (notices, said) = Said::new();
    let module = Authuser::open(options(&nowhere.folder, &[]), notices);
    let missing = Server { answerer: Answerer::new(module, Policy::Authenticate, ()), said, ..nowhere };
    assert_eq!(missing.login("joe", "", "secret"), 4);
    assert_eq!(missing.said.take().len(), 1);
}

#[test]
fn users_of_other_programs_are_looked_up_only_by_lines_of_their_own() {
    let server = Server::in_lookup_mode("joe@x.org:+\n@x.org:+\n@y.org:secret\n");
    let code = |account: &[u8], domain: &[u8]| server.code(&[(1, account), (2, domain)]);
    assert_eq!(code(b"joe", b"x.org"), 0);
    assert_eq!(code(b"ann", b"x.org"), 6);
    assert_eq!(code(b"ann", b"y.org"), 0);
    assert_eq!(code(b"ann", b"z.org"), 100);
    assert_eq!(code(b"ann", b"x.org"), 6);
    assert_eq!(server.said.take().len(), 1);
}

/// What look-up and judgement of a name cost.
fn costs(file: &str, name: &str) -> (Cost, Option<Cost>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("authuser"), file).unwrap();
    let module = Authuser::open(options(&folder, &[]), Said::new().0);
    let packet = v2(&[(1, name.as_bytes()), (3, b"secret")]);
    let request = Request::decode(&packet, CredentialType::PASSWORD).unwrap();
    let account = match module.lookup(&request).unwrap() {
        Lookup::Known(account) => Some(account),
        Lookup::Unknown { decoy, .. } => decoy,
    };
    (module.lookup_cost(&request), account.map(|account| module.authenticate_cost(&account)))
}

#[test]
fn nobody_costs_what_somebody_does() {
    for (token, cost) in [
        ("secret", (Cost::Inline, Some(Cost::Inline))),
        ("%5ebe2294ecd0e0f08eab7690d2a6ee69", (Cost::Inline, Some(Cost::Inline))),
        ("?", (Cost::Wait, Some(Cost::Cpu))),
        ("!", (Cost::Wait, Some(Cost::Cpu))),
        ("+", (Cost::Inline, Some(Cost::Wait))),
        ("&", (Cost::Inline, Some(Cost::Wait))),
        ("=", (Cost::Inline, Some(Cost::Wait))),
    ] {
        let file = format!("root:{token}\n!root2:\nroot2:{token}\n");
        for name in ["root", "root2", "no-such-user"] {
            assert_eq!(costs(&file, name), cost, "{token} {name}");
        }
    }
    assert_eq!(costs("", "root"), (Cost::Inline, None));
}

#[test]
fn no_dovecot_is_a_setting_that_is_missing() {
    let server = Server::new("joe:=\n");
    assert_eq!((server.login("joe", "", "secret"), server.login("ann", "", "secret")), (6, 6));
    assert_eq!(server.said.take().len(), 1);
}

mod record {
    use super::*;

    fn record(bytes: &[u8]) -> Option<Vec<u8>> {
        let (name, claim) = Claim::of_record(bytes).unwrap();
        claim.record(&name).map(|record| record.as_ref().expose().to_vec())
    }

    #[test]
    fn a_record_is_passed_on_as_it_came_but_for_the_case_of_its_domain() {
        for end in ["", "\0", "<t>", "<t>\0", "<t>\0more\0"] {
            let found = record(format!("Joe@X.org\0Pass\0{end}").as_bytes());
            assert_eq!(found, Some(format!("Joe@x.org\0Pass\0{end}").into_bytes()));
        }
    }

    fn of_request(items: &[(u8, &[u8])]) -> Option<String> {
        let packet = v2(items);
        let request = Request::decode(&packet, CredentialType::PASSWORD).unwrap();
        let record = Claim::of_request(&request).record(&Name::new(b"joe"))?;
        Some(record.as_ref().expose().escape_ascii().to_string())
    }

    #[test]
    fn a_request_is_passed_on_with_all_three_fields() {
        assert_eq!(of_request(&[(1, b"a"), (3, b"pw")]).as_deref(), Some(r"joe\x00pw\x00\x00"));
        let digits = b"0123456789abcdef0123456789ABCDEF";
        let text = format!(r"joe\x00{}\x00<t>\x00", digits.escape_ascii());
        assert_eq!(of_request(&[(5, b"<t>"), (6, digits), (7, b"APOP")]), Some(text));
        let raw: [u8; 16] = std::array::from_fn(|index| u8::try_from(index * 17).unwrap());
        let text = r"joe\x0000112233445566778899aabbccddeeff\x00<t>\x00";
        assert_eq!(of_request(&[(5, b"<t>"), (6, &raw), (7, b"APOP")]).as_deref(), Some(text));
    }

    #[test]
    fn what_a_record_cannot_hold_is_not_passed_on() {
        assert_eq!(of_request(&[(3, b"right\0more")]), None);
        assert_eq!(of_request(&[(5, b"<t\0>"), (6, b"r"), (7, b"APOP")]), None);
        let packet = v2(&[(3, &[b'p'; 255])]);
        let request = Request::decode(&packet, CredentialType::PASSWORD).unwrap();
        let claim = Claim::of_request(&request);
        let fits = |length| claim.record(&Name::new(&vec![b'n'; length])).is_some();
        assert!(fits(512 - 258) && !fits(512 - 257));
    }
}
