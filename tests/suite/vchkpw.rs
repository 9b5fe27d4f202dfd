//! `cvm-vchkpw` over tables made with tinycdb: logins, domains, services, challenges.

use std::fs;

use cvm_tests::Settings;
use cvm_tests::contact::Mode;
use cvm_tests::findings::Findings;
use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, CHALLENGE, DOMAIN, Items, PASSWORD, RESPONSE, RESPONSE_TYPE, SECRET, unhex};
use cvm_tests::process::{self, End};
use cvm_tests::programs::Make;
use cvm_tests::station::Station;

use crate::qmail::assign;
use crate::unix::administer;

/// Hashes of `secret` by Perl's crypt, in two of the forms that vpopmail writes.
const SHA512: &str =
    "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
const DES: &str = "./17m29LFAflg";

/// A host with the domain `a.example`, which is also called `b.example`, and the domain `c.example`.
pub(crate) struct Host(pub(crate) Folder);

impl Host {
    pub(crate) fn new(lines: &[&str]) -> Self {
        let folder = Folder::new();
        for name in ["users", "vpopmail/etc", "vpopmail/domains/a.example", "vpopmail/domains/c.example"] {
            fs::create_dir_all(folder.path(name)).expect("a folder");
        }
        let host = Self(folder);
        host.assign("users/cdb", &[("a.example", "a.example"), ("b.example", "a.example"), ("c.example", "c.example")]);
        host.table("a.example", lines);
        host
    }

    /// Makes the table of assignments: names of domains, and those that they stand for.
    pub(crate) fn assign(&self, name: &str, domains: &[(&str, &str)]) {
        let mut records = "+0,1:->-\n".to_owned();
        for (alias, domain) in domains {
            let data = format!("{domain}\x0089\x0090\0{}\0-\0", self.0.path(&format!("vpopmail/domains/{domain}")));
            records += &format!("+{},{}:!{alias}-->{data}\n", alias.len() + 2, data.len());
        }
        assign(&self.0, name, records.as_bytes());
    }

    /// Makes the table of a domain.
    pub(crate) fn table(&self, domain: &str, lines: &[&str]) {
        let records: String = lines
            .iter()
            .map(|line| {
                let (name, data) = line.split_once(':').expect("a line of vpasswd");
                format!("+{},{}:{name}->{data}\n", name.len(), data.len())
            })
            .collect();
        assign(&self.0, &format!("vpopmail/domains/{domain}/vpasswd.cdb"), records.as_bytes());
    }

    pub(crate) fn station(&self, more: Settings<'_>) -> Station {
        let (qmail, vpopmail) = (self.0.path(""), self.0.path("vpopmail"));
        let settings = [&[("QMAIL_ROOT", qmail.as_str()), ("VPOPMAIL_ROOT", vpopmail.as_str())], more].concat();
        Station::start_module(Make::Ours, "cvm-vchkpw", &settings)
    }

    /// Says what a command answers: a code, 101 for out of scope.
    pub(crate) fn ask(&self, more: Settings<'_>, items: Items<'_>) -> u8 {
        let (qmail, vpopmail) = (self.0.path(""), self.0.path("vpopmail"));
        let settings = [&[("QMAIL_ROOT", qmail.as_str()), ("VPOPMAIL_ROOT", vpopmail.as_str())], more].concat();
        let mut command = process::command(&Make::Ours.program("cvm-vchkpw"), &[], &settings);
        let finished = process::run(&mut command, &packet::v2(2, b"T", items));
        let code = finished.stdout.first().copied().unwrap_or_default();
        assert_eq!(finished.end, End::Exit(code.into()), "{finished:?}");
        told(&finished.stdout)
    }
}

/// The code of an answer, 101 for out of scope; every refusal names its scope.
pub(crate) fn told(answer: &[u8]) -> u8 {
    match answer {
        [100, 1, b'T', 16, 1, b'0', 0] => 100,
        [100, 1, b'T', 16, 1, b'1', 0] => 101,
        [100, ..] | [] => panic!("{answer:?}"),
        [code, ..] => *code,
    }
}

pub(crate) fn login<'a>(account: &'a str, domain: &'a str, password: &'a str) -> [packet::Item<'a>; 3] {
    [(ACCOUNT, account.as_bytes()), (DOMAIN, domain.as_bytes()), (PASSWORD, password.as_bytes())]
}

pub(crate) fn line(name: &str) -> String {
    format!("{name}:{DES}:1:0:User {name}:/v/{name}:NOQUOTA")
}

const JOE: Items<'static> = &[
    (1, b"joe"),
    (2, b"89"),
    (3, b"90"),
    (4, b"User joe"),
    (5, b"/v/joe"),
    (14, b"a.example"),
    (15, b"/v/joe/Maildir/"),
];

#[test]
fn logins_are_answered_over_every_contact_mode() {
    let new = format!("new:{SHA512}:1:0::/v/new:10000000S,100C");
    let host = Host::new(&[&line("joe"), &new, "locked:*:1:0::/v/locked:NOQUOTA"]);
    host.table("c.example", &[&line("ann")]);
    let station = host.station(&[]);
    let mut findings = Findings::default();
    for mode in Mode::ALL {
        let ask = |items: Items<'_>| station.contact(mode).ask(&packet::v2(2, b"T", items)).expect("an answer");
        for (account, domain) in
            [("joe", "a.example"), ("JOE", "B.Example"), ("joe@a.example", ""), ("joe/b.example", "")]
        {
            findings.equal(account, ask(&login(account, domain, "secret")), packet::v2(0, b"T", JOE));
        }
        for (account, domain, password, expected) in [
            ("new", "a.example", "secret", 0),
            ("ann", "c.example", "secret", 0),
            ("joe", "a.example", "Secret", 100),
            ("new", "a.example", "secre", 100),
            ("locked", "a.example", "*", 100),
            ("ann", "a.example", "secret", 100),
            ("joe@a.example", "c.example", "secret", 100),
            ("joe", "d.example", "secret", 101),
            ("joe", "", "secret", 101),
            ("joe", "a.example", "", 7),
            ("", "a.example", "secret", 7),
        ] {
            findings.equal(format_args!("{account}@{domain}"), told(&ask(&login(account, domain, password))), expected);
        }
        let v1 = |password| station.contact(mode).ask(&packet::v1(b"joe", b"a.example", &[password]));
        findings.equal("version 1", v1(b"secret"), Ok(packet::v1_response(0, JOE)));
        findings.equal("version 1", v1(b"wrong"), Ok(packet::v1_response(100, &[(16, b"0")])));
    }
    findings.assert_none();
    assert_eq!(station.server().errors(), b"");
}

#[test]
fn the_clients_of_both_makes_show_the_facts() {
    let host = Host::new(&[&line("joe")]);
    let station = host.station(&[]);
    for make in Make::ALL {
        for mode in Mode::ALL {
            let arguments = [&station.module(mode), "joe@b.example", "", "secret"];
            let finished = process::run(&mut process::command(&make.program("cvm-testclient"), &arguments, &[]), b"");
            assert_eq!(finished.end, End::Exit(0), "{make}: {finished:?}");
            for shown in ["user name:        joe\n", "domain:           a.example\n", "/v/joe/Maildir/\n"] {
                assert!(finished.output().contains(shown), "{make}: {finished:?}");
            }
            assert!(finished.output().contains("shell:            (null)\n"), "{make}: {finished:?}");
        }
    }
}

#[test]
fn a_list_of_modules_ends_with_the_domains_that_are_ours() {
    let host = Host::new(&[&line("joe")]);
    let ours = host.station(&[]);
    let others = Station::start(Make::Ours, "joe:other:1:2:Other Joe:/o:\nann:other:1:2:Other Ann:/o:\n", &[]);
    let list = format!("{},{}", ours.module(Mode::Udp), others.module(Mode::Local));
    for (account, password, status, shown) in [
        ("joe@a.example", "secret", 0, "User joe"),
        ("joe@a.example", "other", 100, "out of scope:     0"),
        ("ann@a.example", "other", 100, "out of scope:     0"),
        ("ann@d.example", "other", 0, "Other Ann"),
    ] {
        let mut client = process::command(&Make::Ours.program("cvm-testclient"), &[&list, account, "", password], &[]);
        let finished = process::run(&mut client, b"");
        assert_eq!(finished.end, End::Exit(status), "{account}: {finished:?}");
        assert!(finished.output().contains(shown), "{account}: {finished:?}");
    }
}

#[test]
fn a_request_without_a_domain_has_the_default_one() {
    let host = Host::new(&[&line("joe")]);
    let joe = login("joe", "", "secret");
    host.0.write("vpopmail/etc/defaultdomain", "b.example\n");
    assert_eq!(host.ask(&[], &joe), 0);
    assert_eq!(host.ask(&[("VPOPMAIL_DOMAIN", "A.example")], &joe), 0);
    assert_eq!(host.ask(&[("VPOPMAIL_DOMAIN", "d.example")], &joe), 101);
}

#[test]
fn vpopmail_is_where_its_user_is_at_home() {
    let host = Host::new(&[&line("joe")]);
    host.0.write("vpopmail/etc/defaultdomain", "a.example\n");
    // Of a system that has vpopmail itself nothing is changed.
    assert!(!fs::read_to_string("/etc/passwd").expect("readable").contains("\nvpopmail:"), "there is a vpopmail here");
    let with = |more: Settings<'_>| {
        let settings = [&[("VPOPMAIL_ROOT", "")], more].concat();
        host.ask(&settings, &login("joe", "", "secret"))
    };
    assert_eq!(with(&[]), 101);
    administer("useradd", &["-M", "-d", &host.0.path("vpopmail"), "vpopmail"], "");
    let found = with(&[]);
    administer("userdel", &["vpopmail"], "");
    assert_eq!(found, 0);
}

#[test]
fn an_account_may_be_kept_from_a_service() {
    let lines = [("pop", 0x2), ("web", 0x4), ("imap", 0x8), ("smtp", 0x800), ("all", 0x80e), ("none", 0)]
        .map(|(name, flags)| format!("{name}:{DES}:1:{flags}::/v:NOQUOTA:clear"));
    let host = Host::new(&lines.each_ref().map(String::as_str));
    let services = [("pop3", "pop"), ("IMAP", "imap"), ("smtp", "smtp"), ("webmail", "web"), ("", "nothing")];
    for (service, kept) in services {
        for account in ["pop", "web", "imap", "smtp", "all", "none"] {
            let is_kept = account == kept || (account == "all" && !service.is_empty());
            let expected = if is_kept { 100 } else { 0 };
            let settings = [("SERVICE", service)];
            assert_eq!(host.ask(&settings, &login(account, "b.example", "secret")), expected, "{service}: {account}");
            assert_eq!(host.ask(&settings, &login(account, "b.example", "wrong")), 100, "{service}: {account}");
        }
    }
}

#[test]
fn the_limits_of_a_domain_keep_its_accounts_from_services() {
    let free = format!("free:{DES}:1:8192::/v:NOQUOTA");
    let host = Host::new(&[&line("joe"), &free]);
    let ask = |service, account| host.ask(&[("SERVICE", service)], &login(account, "a.example", "secret"));
    assert_eq!(ask("imap", "joe"), 0);
    host.0.write("vpopmail/etc/vlimits.default", "# everywhere\ndisable_imap 1\n");
    assert_eq!((ask("imap", "joe"), ask("imap", "free"), ask("pop", "joe")), (100, 0, 0));
    host.0.write("vpopmail/domains/a.example/.qmailadmin-limits", "maxpopaccounts:\t10\ndisable_pop:\t1\n");
    assert_eq!((ask("imap", "joe"), ask("pop", "free"), ask("pop", "joe"), ask("", "joe")), (0, 0, 100, 0));
}

#[test]
fn a_server_for_a_service_sees_limits_that_change() {
    let host = Host::new(&[&line("joe")]);
    let station = host.station(&[("SERVICE", "pop")]);
    let request = packet::v2(2, b"T", &login("joe", "a.example", "secret"));
    let ask = || told(&station.contact(Mode::Udp).ask(&request).expect("an answer"));
    assert_eq!(ask(), 0);
    for (limits, expected) in [("disable_pop 1\n", 100), ("disable_imap 1\n", 0), ("disable_pop", 100)] {
        host.0.write("vpopmail/domains/a.example/.qmailadmin-limits", limits);
        assert_eq!(ask(), expected, "{limits}");
    }
}

/// The examples of RFC 2195 and RFC 1939.
const EXAMPLES: [(&str, &[u8], &str, &str); 2] = [
    ("tim", b"<1896.697170952@postoffice.reston.mci.net>", "CRAM-MD5", "b913a602c7eda7a495b4e6e7334d3890"),
    ("mrose", b"<1896.697170952@dbc.mtview.ca.us>", "APOP", "c4c9334bac560ecc979e58001b3e22fb"),
];

#[test]
fn clear_text_answers_challenges() {
    let lines = [("tim", ":tanstaaftanstaaf"), ("mrose", ":tanstaaf"), ("old", ""), ("odd", ":")]
        .map(|(name, clear)| format!("{name}:{DES}:1:0::/v:NOQUOTA{clear}"));
    let host = Host::new(&lines.each_ref().map(String::as_str));
    let station = host.station(&[]);
    for mode in Mode::ALL {
        for (right, challenge, mechanism, response) in EXAMPLES {
            for account in ["tim", "mrose", "old", "odd", "nobody"] {
                for response in [unhex(response), response.into(), response.to_uppercase().into()] {
                    let items: Items<'_> = &[
                        (ACCOUNT, account.as_bytes()),
                        (DOMAIN, b"b.example"),
                        (CHALLENGE, challenge),
                        (RESPONSE, &response),
                        (RESPONSE_TYPE, mechanism.as_bytes()),
                    ];
                    let answer = station.contact(mode).ask(&packet::v2(2, b"T", items)).expect("an answer");
                    assert_eq!(told(&answer), if account == right { 0 } else { 100 }, "{mode}: {account} {mechanism}");
                }
            }
        }
    }
    // What is compared with a password is the hash.
    for (password, expected) in [("tanstaaf", 100), ("secret", 0)] {
        assert_eq!(host.ask(&[], &login("mrose", "a.example", password)), expected);
    }
    let errors = String::from_utf8(station.server().errors()).expect("text");
    assert!(errors.lines().count() == 1 && errors.contains("challenges"), "{errors}");
}

#[test]
fn lookup_mode_tells_who_is_there() {
    let host = Host::new(&[&line("joe"), "locked:*:1:2::/v/locked:NOQUOTA"]);
    let station = host.station(&[("CVM_LOOKUP_SECRET", "sesame")]);
    for mode in Mode::ALL {
        let ask = |account: &str, domain: &str, secret: &str| {
            let items: Items<'_> =
                &[(ACCOUNT, account.as_bytes()), (DOMAIN, domain.as_bytes()), (SECRET, secret.as_bytes())];
            station.contact(mode).ask(&packet::v2(2, b"T", items)).expect("an answer")
        };
        assert_eq!(ask("joe", "b.example", "sesame"), packet::v2(0, b"T", JOE));
        for (account, domain, secret, expected) in [
            ("locked", "a.example", "sesame", 0),
            ("ben", "a.example", "sesame", 100),
            ("joe", "d.example", "sesame", 101),
            ("joe", "a.example", "open", 7),
        ] {
            assert_eq!(told(&ask(account, domain, secret)), expected, "{mode}: {account}@{domain}");
        }
    }
}

#[test]
fn recipients_are_left_to_it_by_cvm_qmail() {
    let host = Host::new(&[&line("joe")]);
    fs::create_dir(host.0.path("control")).expect("a folder");
    host.0.write("control/me", "host.example\n");
    host.0.write("control/virtualdomains", "a.example:a.example\n");
    host.0.write("vpopmail/domains/a.example/.qmail-default", "| /vpopmail/bin/vdelivermail '' bounce-no-mailbox\n");
    host.0.write("vpopmail/domains/a.example/.qmail-list", "&joe@a.example\n");
    let (root, secret) = (host.0.path(""), ("CVM_LOOKUP_SECRET", "sesame"));
    let settings = [("QMAIL_ROOT", root.as_str()), ("CVM_QMAIL_LOOKASIDE", "/vpopmail/bin/vdelivermail"), secret];
    let (qmail, ours) = (Station::start_module(Make::Ours, "cvm-qmail", &settings), host.station(&[secret]));
    let list = format!("{},{}", qmail.module(Mode::Udp), ours.module(Mode::Udp));
    for (recipient, status, shown) in [
        ("joe@a.example", 0, "/v/joe/Maildir/"),
        ("list@a.example", 0, "vpopmail/domains/a.example\n"),
        ("ben@a.example", 100, "out of scope:     0"),
        ("joe@d.example", 100, "out of scope:     1"),
    ] {
        let client = Make::Ours.program("cvm-testclient");
        let finished = process::run(&mut process::command(&client, &[&list, recipient, ""], &[secret]), b"");
        assert_eq!(finished.end, End::Exit(status), "{recipient}: {finished:?}");
        assert!(finished.output().contains(shown), "{recipient}: {finished:?}");
    }
}

#[test]
fn settings_that_are_wrong_are_code_6() {
    for (name, value) in [("SERVICE", "ftp"), ("SERVICE", "pop imap"), ("VPOPMAIL_DOMAIN", "a b")] {
        let settings = [("VPOPMAIL_ROOT", "/nowhere"), (name, value)];
        let program = Make::Ours.program("cvm-vchkpw");
        let mut server = process::command(&program, &["cvm-local:/nowhere/socket"], &settings);
        process::run(&mut server, b"").assert_complaint(6, &[name, value, "expected"]);
        let request = packet::v2(2, b"T", &login("joe", "a.example", "secret"));
        let finished = process::run(&mut process::command(&program, &[], &settings), &request);
        finished.assert_complaint(6, &[name, value, "expected"]);
        assert_eq!(finished.stdout, packet::v2(6, b"T", &[]));
    }
}
