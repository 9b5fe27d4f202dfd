//! Services that are closed to an account, by its own flags or by the limits of its domain.

use super::*;

/// Says what comes of a right password.
fn login(host: &mut Host, service: Option<Service>) -> u8 {
    host.service = service;
    let server = host.server();
    let found = server.login("joe", "a.example", "secret");
    assert_eq!(server.login("joe", "a.example", "wrong"), 100);
    assert_eq!(code(&host.directory().look_up("joe", "a.example")), found);
    found
}

fn host(flags: u32) -> Host {
    Host::new(&[&format!("joe:{DES}:1:{flags}::/v:NOQUOTA:clear")])
}

#[test]
fn a_service_that_is_closed_is_refused_as_a_wrong_password_is() {
    for (flags, service) in [(0x2, Service::Pop), (0x4, Service::Webmail), (0x8, Service::Imap), (0x800, Service::Smtp)]
    {
        let mut host = host(flags);
        for asked in [Service::Pop, Service::Webmail, Service::Imap, Service::Smtp] {
            assert_eq!(login(&mut host, Some(asked)), if asked == service { 100 } else { 0 });
            assert_eq!(host.server().respond("joe@a.example", CRAM, b"clear"), if asked == service { 100 } else { 0 });
        }
        assert_eq!(login(&mut host, None), 0);
    }
}

#[test]
fn the_limits_of_the_domain_close_services_unless_the_account_overrides_them() {
    for (flags, expected) in [(0, 100), (0x2000, 0)] {
        let mut host = host(flags);
        host.write(&host.of_domain(".qmailadmin-limits"), "disable_pop 1\n");
        assert_eq!(login(&mut host, Some(Service::Pop)), expected);
        assert_eq!(login(&mut host, Some(Service::Imap)), 0);
        assert_eq!(login(&mut host, None), 0);
    }
}

#[test]
fn the_default_limits_are_those_of_domains_without_any() {
    let mut host = host(0);
    host.write(&host.path("vpopmail/etc/vlimits.default"), "disable_imap: 1\n");
    assert_eq!(login(&mut host, Some(Service::Imap)), 100);
    host.write(&host.of_domain(".qmailadmin-limits"), "disable_pop 1\n");
    assert_eq!(login(&mut host, Some(Service::Imap)), 0);
    assert_eq!(login(&mut host, Some(Service::Pop)), 100);
}

#[test]
fn limits_that_cannot_be_read_are_code_4() {
    let mut host = host(0);
    fs::create_dir(host.of_domain(".qmailadmin-limits")).expect("a folder");
    host.service = Some(Service::Pop);
    let server = host.server();
    for _ in 0..2 {
        assert_eq!(server.login("joe", "a.example", "secret"), 4);
        assert_eq!(server.login("nobody", "a.example", "secret"), 4);
    }
    let said = server.said.take();
    assert!(said.len() == 1 && said[0].contains(".qmailadmin-limits"), "{said:?}");
    host.service = None;
    assert_eq!(host.server().login("joe", "a.example", "secret"), 0);
}

#[test]
fn limits_in_the_writing_are_waited_for_by_who_can_wait() {
    let mut host = host(0);
    host.service = Some(Service::Pop);
    let (module, _) = host.module();
    let packet = v2(&[(1, b"joe"), (2, b"a.example"), (3, b"secret")]);
    let request = Request::decode(&packet, cvm_core::CredentialType::PASSWORD).expect("a request");
    // The first looks show that the folders are local.
    for _ in 0..3 {
        module.refresh();
        let _ = module.lookup_cost(&request);
        assert!(matches!(module.lookup(&request), Ok(Lookup::Known(_))));
    }
    assert_eq!(module.lookup_cost(&request), Cost::Inline);
    // Whoever writes to a file in place has it empty at first.
    fs::write(host.of_domain(".qmailadmin-limits"), "").expect("written");
    assert_eq!(module.lookup_cost(&request), Cost::Wait);
    std::thread::scope(|scope| {
        let found = scope.spawn(|| module.lookup(&request));
        std::thread::sleep(Duration::from_millis(100));
        fs::write(host.of_domain(".qmailadmin-limits"), "disable_pop 1\n").expect("written");
        assert!(matches!(found.join().expect("no panic"), Ok(Lookup::Unknown { scope: Some(Scope::In), .. })));
    });
}
