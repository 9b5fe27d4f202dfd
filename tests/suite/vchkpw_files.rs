//! Files of `cvm-vchkpw` that are exchanged, missing or damaged.

use std::fs;
use std::os::unix::fs::symlink;

use cvm_tests::contact::Mode;
use cvm_tests::packet;
use cvm_tests::process::{LIMIT, eventually};
use cvm_tests::station::Station;

use crate::vchkpw::{Host, line, login, told};

fn ask(station: &Station, mode: Mode, account: &str, domain: &str) -> u8 {
    let request = packet::v2(2, b"T", &login(account, domain, "secret"));
    told(&station.contact(mode).ask(&request).expect("an answer"))
}

#[test]
fn a_server_sees_tables_that_are_exchanged() {
    let host = Host::new(&[&line("joe")]);
    let station = host.station(&[]);
    for (there, gone) in [("joe", "ann"), ("ann", "joe"), ("joe", "ann"), ("ann", "joe")] {
        host.table("a.example", &[&line(there)]);
        for mode in Mode::ALL {
            assert_eq!((ask(&station, mode, there, "a.example"), ask(&station, mode, gone, "b.example")), (0, 100));
        }
    }
    host.assign("users/cdb", &[("new.example", "a.example")]);
    assert_eq!(ask(&station, Mode::Udp, "ann", "new.example"), 0);
    assert_eq!(ask(&station, Mode::Udp, "ann", "a.example"), 101);
}

#[test]
fn the_assignments_of_s_qmail_are_found_too() {
    let host = Host::new(&[&line("joe")]);
    fs::rename(host.0.path("users/cdb"), host.0.path("users/assign.cdb")).expect("renamed");
    assert_eq!(host.ask(&[], &login("joe", "b.example", "secret")), 0);
}

#[test]
fn without_a_table_the_accounts_are_those_of_the_text() {
    let host = Host::new(&[]);
    let filler: String = (0..20_000).map(|number| line(&format!("user{number}")) + "\n").collect();
    host.0.write("vpopmail/domains/a.example/vpasswd", format!("{filler}{}\nbroken\n", line("joe")));
    let station = host.station(&[]);
    // An empty table is one.
    assert_eq!(ask(&station, Mode::Udp, "joe", "a.example"), 100);
    fs::remove_file(host.0.path("vpopmail/domains/a.example/vpasswd.cdb")).expect("removed");
    assert!(eventually(LIMIT, || ask(&station, Mode::Udp, "joe", "a.example") == 0));
    for mode in Mode::ALL {
        for (account, expected) in [("joe", 0), ("user0", 0), ("user19999", 0), ("broken", 100), ("ann", 100)] {
            assert_eq!(ask(&station, mode, account, "b.example"), expected, "{mode}: {account}");
        }
    }
    host.0.write("vpopmail/domains/a.example/vpasswd", line("ann") + "\n");
    for mode in Mode::ALL {
        assert_eq!((ask(&station, mode, "ann", "a.example"), ask(&station, mode, "joe", "a.example")), (0, 100));
    }
    assert_eq!(station.server().errors(), b"");
}

#[test]
fn what_is_damaged_is_code_4_and_ends_nobody_else() {
    let host = Host::new(&[&line("joe")]);
    host.table("c.example", &[&line("joe"), "odd:no line of vpasswd"]);
    let station = host.station(&[]);
    host.0.write("new", "no table");
    fs::rename(host.0.path("new"), host.0.path("vpopmail/domains/a.example/vpasswd.cdb")).expect("renamed");
    assert!(eventually(LIMIT, || ask(&station, Mode::Udp, "joe", "a.example") == 4));
    for mode in Mode::ALL {
        for (account, domain, expected) in [
            ("joe", "a.example", 4),
            ("nobody", "b.example", 4),
            ("odd", "c.example", 4),
            ("joe", "c.example", 0),
            ("nobody", "c.example", 100),
            ("joe", "d.example", 101),
        ] {
            assert_eq!(ask(&station, mode, account, domain), expected, "{mode}: {account}@{domain}");
        }
    }
    // Each file is told once.
    let errors = String::from_utf8(station.server().errors()).expect("text");
    assert_eq!(errors.lines().count(), 2, "{errors}");
    for domain in ["a.example", "c.example"] {
        assert!(errors.contains(&format!("{domain}/vpasswd.cdb: ")), "{errors}");
    }
    host.table("a.example", &[&line("joe")]);
    assert_eq!(ask(&station, Mode::Local, "joe", "a.example"), 0);
}

#[test]
fn what_is_missing_is_code_4() {
    let host = Host::new(&[&line("joe")]);
    let station = host.station(&[]);
    // The domain has no accounts yet, neither in a table nor in a text.
    for mode in Mode::ALL {
        assert_eq!(ask(&station, mode, "joe", "c.example"), 4, "{mode}");
    }
    host.table("c.example", &[&line("joe")]);
    assert_eq!(ask(&station, Mode::Udp, "joe", "c.example"), 0);
    fs::remove_file(host.0.path("users/cdb")).expect("removed");
    assert!(eventually(LIMIT, || ask(&station, Mode::Udp, "joe", "a.example") == 4));
    assert_eq!(ask(&station, Mode::Udp, "joe", "d.example"), 4);
    assert_eq!(host.ask(&[], &login("joe", "a.example", "secret")), 4);
    host.assign("users/cdb", &[("a.example", "a.example")]);
    assert_eq!(ask(&station, Mode::Udp, "joe", "a.example"), 0);
}

#[test]
fn a_text_that_is_a_link_to_other_accounts_is_code_4() {
    let host = Host::new(&[]);
    host.0.write("shadow", "root:./17m29LFAflg:19000:0:99999:7:::\n");
    let text = host.0.path("vpopmail/domains/c.example/vpasswd");
    symlink(host.0.path("shadow"), &text).expect("a link");
    assert_eq!(host.ask(&[], &login("root", "c.example", "secret")), 4);
}
