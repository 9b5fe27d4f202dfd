//! Files that are missing, damaged or exchanged, and who has to wait for them.

use cvm_core::CredentialType;

use super::*;

/// A little more than a file is given that is missing.
const MORE_THAN_GRACE: Duration = Duration::from_millis(1100);

#[test]
fn the_text_has_the_accounts_where_there_is_no_table() {
    let host = Host::new(&[]);
    let server = host.server();
    host.text(&format!(
        "ann:*:1:0::/v:NOQUOTA\nbroken:x\n#x:y\n{}\nempty:{DES}:1:0:::NOQUOTA\n{}",
        line("joe"),
        line("last")
    ));
    std::thread::sleep(MORE_THAN_GRACE);
    for (account, expected) in [("joe", 0), ("JOE", 0), ("last", 0), ("ann", 100), ("broken", 100), ("empty", 100)] {
        assert_eq!(server.login(account, "a.example", "secret"), expected, "{account}");
        assert_eq!(server.login(account, "a.example", "wrong"), 100, "{account}");
    }
    assert_eq!(code(&host.directory().look_up("broken", "a.example")), 100);
    assert_eq!(code(&host.directory().look_up("empty", "a.example")), 100);
    // A table that comes counts.
    host.table(&[&line("new")]);
    assert_eq!(server.login("new", "a.example", "secret"), 0);
    assert_eq!(server.login("joe", "a.example", "secret"), 100);
    assert_eq!(server.said.take(), [""; 0]);
}

#[test]
fn a_table_that_is_exchanged_is_seen_by_the_next_request() {
    let host = Host::new(&[&line("joe")]);
    let server = host.server();
    for (there, gone) in [("joe", "ann"), ("ann", "joe"), ("joe", "ann")] {
        host.table(&[&line(there)]);
        assert_eq!(server.login(there, "a.example", "secret"), 0);
        assert_eq!(server.login(gone, "a.example", "secret"), 100);
    }
    host.assign(&[("!new.example-", "a.example")]);
    assert_eq!(server.login("joe", "new.example", "secret"), 0);
    assert_eq!(server.login("joe", "a.example", "secret"), 101);
}

#[test]
fn what_is_missing_or_damaged_is_code_4_and_said_once() {
    let host = Host::new(&[&line("joe"), "odd:no line of vpasswd"]);
    fs::write(host.path("damaged"), "no table").expect("written");
    for (path, damage, accounts) in [
        ("vpopmail/domains/a.example/vpasswd.cdb", "damaged", &["joe", "nobody"][..]),
        ("qmail/users/cdb", "damaged", &["joe", "nobody"]),
        ("qmail/users/cdb", "", &["joe", "nobody"]),
        ("vpopmail/domains/a.example/vpasswd.cdb", "", &["joe", "nobody"]),
    ] {
        let saved = host.path("saved");
        fs::rename(host.path(path), &saved).expect("renamed");
        if !damage.is_empty() {
            fs::copy(host.path(damage), host.path(path)).expect("copied");
        }
        let server = host.server();
        for account in accounts.repeat(2) {
            assert_eq!(server.login(account, "a.example", "secret"), 4, "{path}");
        }
        assert_eq!(server.said.take().len(), 1, "{path}");
        fs::rename(&saved, host.path(path)).expect("renamed");
    }
    let server = host.server();
    assert_eq!(server.login("odd", "a.example", "secret"), 4);
    assert_eq!(server.login("joe", "a.example", "secret"), 0);
    // A domain that has lost its folder, or never had one.
    assert_eq!(server.login("joe", "c.example", "secret"), 4);
    assert_eq!(server.said.take().len(), 2);
}

#[test]
fn an_assignment_that_is_none_is_code_4() {
    let host = Host::new(&[&line("joe")]);
    for data in ["", "a.example", "a.example\0x\x0090\0/v\0-\0"] {
        host.make(&host.path("qmail/users/cdb"), &[(b"!a.example-".to_vec(), data.into())]);
        assert_eq!(host.server().login("joe", "a.example", "secret"), 4, "{data:?}");
    }
}

#[test]
fn the_text_is_not_what_a_link_leads_to() {
    let host = Host::new(&[]);
    host.text(&format!("{}\n", line("joe")));
    assert_eq!(host.server().login("joe", "a.example", "secret"), 0);
    fs::rename(host.of_domain("vpasswd"), host.path("shadow")).expect("renamed");
    std::os::unix::fs::symlink(host.path("shadow"), host.of_domain("vpasswd")).expect("a link");
    let server = host.server();
    assert_eq!(server.login("joe", "a.example", "secret"), 4);
    assert_eq!(server.said.take().len(), 1);
}

#[test]
fn what_somebody_else_has_put_into_a_domain_is_code_4() {
    let host = Host::new(&[&line("joe")]);
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    for name in ["vpasswd.cdb", "vpasswd"] {
        for (uid, expected) in [(89, 0), (0, 0), (4321, 4)] {
            std::os::unix::fs::chown(host.of_domain(name), Some(uid), Some(90)).expect("root may");
            std::thread::sleep(Duration::from_millis(60));
            let server = host.server();
            for _ in 0..2 {
                assert_eq!(server.login("joe", "a.example", "secret"), expected, "{name} of {uid}");
            }
            assert_eq!(server.said.take().len(), usize::from(expected == 4), "{name} of {uid}");
        }
        host.text(&format!("{}\n", line("joe")));
    }
}

#[test]
fn a_text_of_gigabytes_is_not_read() {
    let host = Host::new(&[]);
    host.text(&format!("{}\n", line("joe")));
    let text = fs::File::options().write(true).open(host.of_domain("vpasswd")).expect("it opens");
    text.set_len(4 << 30).expect("a sparse file");
    let server = host.server();
    for _ in 0..2 {
        assert_eq!(server.login("joe", "a.example", "secret"), 4);
    }
    assert_eq!(server.said.take().len(), 1);
}

fn cost(module: &Vchkpw, domain: &str) -> (Cost, Cost) {
    let packet = v2(&[(1, b"joe"), (2, domain.as_bytes()), (3, b"secret")]);
    let request = Request::decode(&packet, CredentialType::PASSWORD).expect("a request");
    module.refresh();
    let before = module.lookup_cost(&request);
    let _ = module.lookup(&request);
    (before, module.lookup_cost(&request))
}

#[test]
fn who_cannot_wait_is_answered_from_tables_in_local_folders() {
    let host = Host::new(&[&line("joe")]);
    let (module, _) = host.module();
    assert_eq!(cost(&module, "a.example"), (Cost::Wait, Cost::Inline));
    assert_eq!(cost(&module, "a.example"), (Cost::Inline, Cost::Inline));
    assert_eq!(cost(&module, "b.example"), (Cost::Inline, Cost::Inline));
    assert_eq!(cost(&module, "else.example"), (Cost::Inline, Cost::Inline));
    host.text(&format!("{}\n", line("joe")));
    std::thread::sleep(MORE_THAN_GRACE);
    assert_eq!(cost(&module, "a.example"), (Cost::Wait, Cost::Wait));
}
