//! Requests to the module, packet in and packet out, over tables that tinycdb makes.

mod decoys;
mod files;
mod services;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use cvm_core::answer::{Answer, Answerer, Outcome, Patience};
use cvm_core::challenge::Mechanism;
use cvm_core::wire::Packet;
use cvm_core::{Policy, Secret};

use super::*;
use crate::cdb::made;
use crate::testing::Said;

/// A hash of `secret` that costs little.
const DES: &str = "./17m29LFAflg";

/// A host whose domain `a.example` is also called `b.example`.
struct Host {
    folder: tempfile::TempDir,
    service: Option<Service>,
    default_domain: Option<Vec<u8>>,
}

impl Host {
    fn new(lines: &[&str]) -> Self {
        // On a local file system, whatever the folder for temporary files is on.
        let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let host = Self { folder, service: None, default_domain: None };
        for name in ["qmail/users", "vpopmail/etc", "vpopmail/domains/a.example"] {
            fs::create_dir_all(host.path(name)).expect("a folder");
        }
        host.assign(&[("!a.example-", "a.example"), ("!b.example-", "a.example"), ("!c.example-", "c.example")]);
        host.table(lines);
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The path of a file of `a.example`.
    fn of_domain(&self, name: &str) -> PathBuf {
        self.path("vpopmail/domains/a.example").join(name)
    }

    /// Writes a file which nobody seems to be writing to any longer.
    fn write(&self, path: &Path, text: &str) {
        fs::write(path, text).expect("written");
        std::thread::sleep(Duration::from_millis(60));
    }

    fn assign(&self, entries: &[(&str, &str)]) {
        let records = entries.iter().map(|(key, domain)| {
            let folder = self.path("vpopmail/domains").join(domain);
            let data = format!("{domain}\x0089\x0090\0{}\0-\0", folder.display());
            (key.as_bytes().to_vec(), data.into_bytes())
        });
        let empty = (Vec::new(), b"-".to_vec());
        self.make(&self.path("qmail/users/cdb"), &records.chain([empty]).collect::<Vec<_>>());
    }

    /// Makes the table of `a.example`.
    fn table(&self, lines: &[&str]) {
        let records = lines.iter().map(|line| {
            let (name, data) = line.split_once(':').expect("a line of vpasswd");
            (name.into(), data.into())
        });
        self.make(&self.of_domain("vpasswd.cdb"), &records.collect::<Vec<_>>());
    }

    fn make(&self, path: &Path, records: &[(Vec<u8>, Vec<u8>)]) {
        let new = self.path("new");
        made(&new, records);
        fs::rename(new, path).expect("renamed");
    }

    /// Has the accounts in the text alone.
    fn text(&self, text: &str) {
        let _ = fs::remove_file(self.of_domain("vpasswd.cdb"));
        self.write(&self.of_domain("vpasswd"), text);
    }

    fn module(&self) -> (Vchkpw, Said) {
        let (notices, said) = Said::new();
        let options = Options {
            qmail_root: self.path("qmail"),
            root: self.path("vpopmail"),
            default_domain: self.default_domain.clone(),
            service: self.service,
        };
        (Vchkpw::open(options, notices), said)
    }

    fn server(&self) -> Server {
        Server::of(self.module(), Policy::Authenticate)
    }

    /// A server that gives facts to everybody.
    fn directory(&self) -> Server {
        Server::of(self.module(), Policy::Lookup { secret: Secret::new(b"") })
    }
}

struct Server {
    answerer: Answerer<Vchkpw>,
    said: Said,
}

impl Server {
    fn of((module, said): (Vchkpw, Said), policy: Policy) -> Self {
        Self { answerer: Answerer::new(module, policy, ()), said }
    }

    /// Answers a packet as a round of its own.
    fn ask(&self, items: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = Packet::new();
        self.answerer.refresh();
        let outcome = self.answerer.answer(&v2(items), &mut out, Patience::Blocking);
        assert_eq!(outcome, Outcome::Answered(cvm_core::Code::new(out[0])));
        out.to_vec()
    }

    /// Says what comes of a password: a code, 101 for out of scope.
    fn login(&self, account: &str, domain: &str, password: &str) -> u8 {
        let items = [(1, account.as_bytes()), (2, domain.as_bytes()), (3, password.as_bytes())];
        code(&self.ask(&items))
    }

    fn respond(&self, account: &str, mechanism: (Mechanism, &str), password: &[u8]) -> u8 {
        let response = mechanism.0.response(b"<1@x>", password);
        let items = [(1, account.as_bytes()), (5, b"<1@x>"), (6, &response[..]), (7, mechanism.1.as_bytes())];
        code(&self.ask(&items))
    }

    fn look_up(&self, account: &str, domain: &str) -> Vec<u8> {
        self.ask(&[(1, account.as_bytes()), (2, domain.as_bytes())])
    }
}

const CRAM: (Mechanism, &str) = (Mechanism::CramMd5, "CRAM-MD5");
const APOP: (Mechanism, &str) = (Mechanism::Apop, "APOP");

fn code(answer: &[u8]) -> u8 {
    match answer {
        [100, rest @ ..] => {
            // Every refusal names its scope.
            assert!(matches!(rest, [0, 16, 1, b'0' | b'1', 0]), "{rest:?}");
            100 + (rest[3] - b'0')
        }
        [code, ..] => *code,
        [] => panic!("no answer"),
    }
}

fn v2(items: &[(u8, &[u8])]) -> Vec<u8> {
    packet(2, items)
}

fn packet(first: u8, items: &[(u8, &[u8])]) -> Vec<u8> {
    let mut packet = vec![first, 0];
    for (kind, value) in items {
        packet.extend([*kind, u8::try_from(value.len()).expect("short")]);
        packet.extend(*value);
    }
    packet.push(0);
    packet
}

fn line(name: &str) -> String {
    format!("{name}:{DES}:1:0:Joe User, x:/v/{name}:NOQUOTA")
}

#[test]
fn a_password_of_an_account_is_right_or_wrong() {
    let host = Host::new(&[&line("joe"), &line("ann")]);
    let server = host.server();
    for (account, domain) in [
        ("joe", "a.example"),
        ("JOE", "A.Example"),
        ("joe@a.example", ""),
        ("joe%a.example", ""),
        ("joe/a.example", ""),
        ("joe", "b.example"),
        ("joe@b.example", ""),
        ("ann", "a.example"),
    ] {
        assert_eq!(server.login(account, domain, "secret"), 0, "{account} {domain}");
        assert_eq!(server.login(account, domain, "wrong"), 100, "{account} {domain}");
        assert_eq!(server.login(account, domain, ""), 7, "{account} {domain}");
    }
    assert_eq!(server.said.take(), [""; 0]);
}

#[test]
fn who_is_not_there_is_in_scope_and_domains_that_are_not_are_out_of_it() {
    let host = Host::new(&[&line("joe")]);
    let (server, directory) = (host.server(), host.directory());
    for (account, domain, expected) in [
        ("ben", "a.example", 100),
        ("ben", "b.example", 100),
        ("joe@a.example", "b.example", 100),
        ("joe:x", "a.example", 100),
        ("joe\n", "a.example", 100),
        ("@a.example", "", 100),
        ("joe", "x.a.example", 101),
        ("joe", "else.example", 101),
        ("joe", "a.example-", 101),
        ("joe", "a_b.example", 101),
        ("joe", "a.example\0", 101),
        ("joe@a@a.example", "", 101),
        ("joe", "", 101),
    ] {
        assert_eq!(server.login(account, domain, "secret"), expected, "{account:?} {domain:?}");
        assert_eq!(code(&directory.look_up(account, domain)), expected, "{account:?} {domain:?}");
    }
    assert_eq!(server.said.take(), [""; 0]);
}

#[test]
fn the_facts_are_those_of_the_account_and_of_its_real_domain() {
    let host = Host::new(&[&line("joe"), &line("ann")]);
    let facts: &[(u8, &[u8])] = &[
        (1, b"joe"),
        (2, b"89"),
        (3, b"90"),
        (4, b"Joe User, x"),
        (5, b"/v/joe"),
        (14, b"a.example"),
        (15, b"/v/joe/Maildir/"),
    ];
    for domain in ["a.example", "B.example"] {
        assert_eq!(host.directory().look_up("Joe", domain), packet(0, facts));
        let items: [(u8, &[u8]); 3] = [(1, b"Joe"), (2, domain.as_bytes()), (3, b"secret")];
        assert_eq!(host.server().ask(&items), packet(0, facts));
    }
}

#[test]
fn clear_text_answers_challenges_and_no_password() {
    let host =
        Host::new(&["joe:./17m29LFAflg:1:0::/v:NOQUOTA:clear", &line("ann"), "ben:./17m29LFAflg:1:0::/v:NOQUOTA:"]);
    let server = host.server();
    for mechanism in [CRAM, APOP] {
        assert_eq!(server.respond("joe@a.example", mechanism, b"clear"), 0);
        assert_eq!(server.respond("joe@a.example", mechanism, b"secret"), 100);
        assert_eq!(server.respond("joe@else.example", mechanism, b"clear"), 101);
        assert_eq!(server.said.take(), [""; 0]);
    }
    // The hash is what passwords are compared with.
    assert_eq!(server.login("joe", "a.example", "clear"), 100);
    assert_eq!(server.login("joe", "a.example", "secret"), 0);
    for account in ["ann@a.example", "ben@a.example", "nobody@a.example"] {
        for text in [&b"secret"[..], b"", b"*", b"clear"] {
            for mechanism in [CRAM, APOP] {
                assert_eq!(server.respond(account, mechanism, text), 100, "{account}");
            }
        }
    }
    assert_eq!(server.said.take().len(), 1);
}

#[test]
fn accounts_without_a_usable_hash_never_authenticate() {
    for stored in ["", "*", "!", "x", "secret", "{PLAIN}secret", "{a}{PLAIN}secret", "{SSHA}secret"] {
        let line = format!("joe:{stored}:1:0::/v:NOQUOTA:clear");
        let host = Host::new(&[&line]);
        for password in ["secret", stored, "clear"].iter().filter(|password| !password.is_empty()) {
            assert_eq!(host.server().login("joe", "a.example", password), 100, "{stored} {password}");
        }
        assert_eq!(code(&host.directory().look_up("joe", "a.example")), 0);
    }
    for stored in [DES, "{CRYPT}./17m29LFAflg", "{whatever}./17m29LFAflg"] {
        let line = format!("joe:{stored}:1:0::/v:NOQUOTA");
        assert_eq!(Host::new(&[&line]).server().login("joe", "a.example", "secret"), 0, "{stored}");
    }
}

#[test]
fn requests_without_a_domain_have_the_default_one() {
    let mut host = Host::new(&[&line("joe")]);
    host.write(&host.path("vpopmail/etc/defaultdomain"), "B.example\nelse.example\n");
    for account in ["joe", "joe@"] {
        assert_eq!(host.server().login(account, "", "secret"), 0, "{account}");
    }
    assert_eq!(host.server().login("joe@else.example", "", "secret"), 101);
    host.default_domain = Some(b"else.example".to_vec());
    assert_eq!(host.server().login("joe", "", "secret"), 101);
    host.default_domain = Some(b"A.EXAMPLE".to_vec());
    assert_eq!(host.server().login("joe", "", "secret"), 0);
}

#[test]
fn users_without_a_domain_have_a_folder_of_their_own() {
    let host = Host::new(&[&line("joe")]);
    let (server, users) = (host.server(), host.path("vpopmail/users"));
    assert_eq!(server.login("ann", "", "secret"), 101);
    fs::create_dir(&users).expect("a folder");
    assert_eq!(server.login("ann", "", "secret"), 101);
    host.write(&users.join("vpasswd"), &format!("{}\n", line("ann")));
    if fs::metadata(&users).expect("a folder").uid() == 0 {
        assert_eq!(server.login("ann", "", "secret"), 4);
        assert_eq!(server.said.take().len(), 1);
        std::os::unix::fs::chown(&users, Some(89), Some(90)).expect("root may");
    }
    assert_eq!(server.login("ann", "", "secret"), 0);
    assert_eq!(server.login("joe", "", "secret"), 100);
    let owner = fs::metadata(&users).expect("a folder");
    let (uid, gid) = (owner.uid().to_string(), owner.gid().to_string());
    let facts: &[(u8, &[u8])] = &[
        (1, b"ann"),
        (2, uid.as_bytes()),
        (3, gid.as_bytes()),
        (4, b"Joe User, x"),
        (5, b"/v/ann"),
        (15, b"/v/ann/Maildir/"),
    ];
    assert_eq!(host.directory().look_up("ann", ""), packet(0, facts));
}
