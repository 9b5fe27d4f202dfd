//! Accounts that do not exist, cannot be used, or may not, take as long as others.

use cvm_core::CredentialType;
use rustix::time::{ClockId, clock_gettime};

use super::*;

/// A hash of `secret` that takes long enough to be measured. Made by Perl's crypt.
const SLOW: &str =
    "$6$rounds=60000$abcd$XVQjEL5YcOWdTHcAhH13iA3vz9EmsNt3P5X7hFJvX7.iJ7/lMYuy6Qf9KAN/VBgS8GU.Gv5l0Hy2K73LrPAPo0";

fn line(name: &str, stored: &str, flags: u32) -> String {
    format!("{name}:{stored}:1:{flags}:{name}:/v:NOQUOTA")
}

/// The lines of a domain with a disabled, a locked and some usable accounts.
fn lines(stored: &str) -> Vec<String> {
    let usable = (0..20).map(|number| line(&format!("user{number}"), stored, 0));
    usable.chain([line("off", stored, 0x2), line("locked", "*", 0), line("odd", "odd", 0)]).collect()
}

fn host(stored: &str) -> Host {
    let lines = lines(stored);
    let mut host = Host::new(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    host.service = Some(Service::Pop);
    host
}

/// What this thread uses for a wrong password: nobody else on the machine adds to it.
fn time(server: &Server, account: &str) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("a time");
    let once = || {
        let start = now();
        assert_eq!(server.login(account, "a.example", "wrong"), 100, "{account}");
        now() - start
    };
    // The least of some: whoever else is busy may make any of them take longer.
    std::iter::repeat_with(once).take(5).min().unwrap_or_default()
}

#[test]
fn a_wrong_name_costs_what_a_wrong_password_does() {
    let host = host(SLOW);
    for is_text in [false, true] {
        if is_text {
            host.text(&format!("{}\n", lines(SLOW).join("\n")));
            std::thread::sleep(Duration::from_millis(1100));
        }
        let server = host.server();
        let expected = time(&server, "user7");
        for account in ["nobody", "off", "locked", "odd", "no:body", "NOBODY2"] {
            let took = time(&server, account);
            assert!(took > expected / 2 && took < expected * 2, "{account}: {took:?} beside {expected:?}");
        }
    }
}

#[test]
fn the_steps_cost_the_same_for_every_name() {
    let host = host(DES);
    let (module, _) = host.module();
    let account = |name: &str, has_password| {
        let credential = if has_password { (3, &b"x"[..]) } else { (7, &b"APOP"[..]) };
        let packet = v2(&[(1, name.as_bytes()), (2, b"a.example"), credential, (5, b"c"), (6, b"r")]);
        let request = Request::decode(&packet, CredentialType::PASSWORD).expect("a request");
        match module.lookup(&request) {
            Ok(Lookup::Known(account) | Lookup::Unknown { decoy: Some(account), .. }) => account,
            _ => panic!("{name} has nothing to compare with"),
        }
    };
    for name in ["user7", "nobody", "off", "locked", "odd"] {
        assert_eq!(module.authenticate_cost(&account(name, true)), Cost::Cpu, "{name}");
        assert_eq!(module.authenticate_cost(&account(name, false)), Cost::Inline, "{name}");
    }
}

#[test]
fn the_decoy_of_a_name_is_always_the_same_usable_account() {
    let host = host(DES);
    let ((one, _), (other, _)) = (host.module(), host.module());
    let decoy = |module: &Vchkpw, name: String| {
        let packet = v2(&[(1, name.as_bytes()), (2, b"a.example"), (3, b"x")]);
        let request = Request::decode(&packet, CredentialType::PASSWORD).expect("a request");
        match module.lookup(&request) {
            Ok(Lookup::Unknown { decoy: Some(decoy), scope: Some(Scope::In) }) => {
                decoy.record().expect("a line").realname.to_vec()
            }
            _ => panic!("{name} is there"),
        }
    };
    for number in 0..50 {
        let name = format!("nobody{number}");
        let found = decoy(&one, name.clone());
        assert_eq!(found, decoy(&other, name.to_ascii_uppercase()));
        assert!(found.starts_with(b"user") || found.starts_with(b"off"), "{}", found.escape_ascii());
    }
}
