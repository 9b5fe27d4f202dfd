//! `cvm-chain`: who is asked, whose answer stands, and what is passed on.

use cvm_tests::contact::{Contact, Mode};
use cvm_tests::findings::Findings;
use cvm_tests::folder::Folder;
use cvm_tests::packet::{self, ACCOUNT, DOMAIN, PASSWORD};
use cvm_tests::process::{self, command};
use cvm_tests::programs::Make;
use cvm_tests::station::{Station, TABLE, alice_with};

fn login(tag: &[u8], password: &[u8]) -> Vec<u8> {
    packet::v2(2, tag, &[(ACCOUNT, b"alice"), (DOMAIN, b"ex.com"), (PASSWORD, password)])
}

/// Modules that always say the same.
fn stubs() -> Folder {
    let folder = Folder::new();
    let add = |name: &str, answer: &[u8]| {
        let octal: String = answer.iter().map(|byte| format!("\\{byte:03o}")).collect();
        folder.script(name, &format!("cat >/dev/null\nprintf '{octal}'\nexit {}", answer[0]));
    };
    add("yes", &packet::v2(0, b"", &[(1, b"zed"), (2, b"8"), (3, b"18"), (5, b"/"), (14, b"d"), (15, b"m")]));
    add("no", &packet::v2(100, b"", &[]));
    add("mine", &packet::v2(100, b"", &[(16, b"0")]));
    add("away", &packet::v2(100, b"", &[(16, b"1")]));
    add("temporary", &packet::v2(4, b"", &[]));
    add("config", &packet::v2(6, b"", &[]));
    folder
}

fn ask(make: Make, settings: &[(&str, &str)], request: &[u8]) -> Vec<u8> {
    process::run(&mut command(&make.program("cvm-chain"), &[], settings), request).stdout
}

const NAMES: [&str; 6] = ["yes", "no", "mine", "away", "temporary", "config"];

#[test]
fn the_first_result_other_than_no_stands_as_with_the_original() {
    let folder = stubs();
    let mut findings = Findings::default();
    for (first, second) in NAMES.iter().flat_map(|first| NAMES.iter().map(move |second| (first, second))) {
        let (one, two) = (folder.path(first), folder.path(second));
        let settings = [("CVM_CHAIN0", one.as_str()), ("CVM_CHAIN3", two.as_str())];
        let request = login(b"", b"secret");
        let [ours, original] = Make::ALL.map(|make| ask(make, &settings, &request));
        findings.equal(format_args!("{first}, {second}"), &ours[..1], &original[..1]);
        if ours[0] != 100 {
            findings.equal(format_args!("{first}, {second}"), ours, original);
        }
    }
    findings.assert_none();
}

#[test]
fn out_of_scope_is_what_is_out_of_every_known_scope() {
    let folder = stubs();
    let scopes: [(&[&str], &[u8]); 6] = [
        (&["no", "no"], b""),
        (&["no", "away"], b"1"),
        (&["away", "no", "away"], b"1"),
        (&["mine", "away"], b"0"),
        (&["away", "mine"], b"0"),
        (&["no", "mine"], b"0"),
    ];
    for (names, scope) in scopes {
        let paths: Vec<_> = names.iter().map(|name| folder.path(name)).collect();
        let variables = ["CVM_CHAIN0", "CVM_CHAIN1", "CVM_CHAIN9"];
        let settings: Vec<_> = variables.into_iter().zip(paths.iter().map(String::as_str)).collect();
        let items: packet::Items<'_> = if scope.is_empty() { &[] } else { &[(16, scope)] };
        assert_eq!(ask(Make::Ours, &settings, &login(b"T", b"x")), packet::v2(100, b"T", items), "{names:?}");
    }
}

#[test]
fn every_credential_and_every_fact_is_passed_on() {
    let folder = Folder::new();
    let facts = [(1, &b"a"[..]), (2, b"1"), (3, b"2"), (5, b"/"), (11, b"office"), (8, b"7"), (200, b"x")];
    let octal: String = packet::v2(0, b"", &facts).iter().map(|byte| format!("\\{byte:03o}")).collect();
    let module = folder.script("module", &format!("cat >{}\nprintf '{octal}'", folder.path("asked")));
    let items: packet::Items<'_> =
        &[(ACCOUNT, b"a"), (DOMAIN, b""), (PASSWORD, b"p"), (4, b"s"), (5, b"c"), (6, b"r"), (7, b"t"), (130, b"own")];
    let answer = ask(Make::Ours, &[("CVM_CHAIN0", &module)], &packet::v2(2, b"TAG", items));
    assert_eq!(answer, packet::v2(0, b"TAG", &facts));
    assert_eq!(folder.read("asked"), packet::v2(2, b"", items));
}

#[test]
fn it_relays_between_all_contact_modes() {
    let behind = Station::start(Make::Ours, TABLE, &[]);
    for to in Mode::ALL {
        let module = behind.module(to);
        let relay = Station::start_module(Make::Ours, "cvm-chain", &[("CVM_CHAIN0", &module)]);
        for from in Mode::ALL {
            let contact = relay.contact(from);
            assert_eq!(contact.ask(&login(b"TAG", b"secret")), Ok(alice_with(b"TAG")), "{from} to {to}");
            assert_eq!(contact.ask(&login(b"TAG", b"wrong")), Ok(packet::v2(100, b"TAG", &[])), "{from} to {to}");
            let version_1 = contact.ask(&packet::v1(b"alice", b"", &[b"secret"])).expect("an answer");
            assert_eq!(version_1.first(), Some(&0), "{from} to {to}");
        }
    }
}

#[test]
fn a_slow_module_delays_only_who_asks_it() {
    let folder = stubs();
    let slow = folder.script("slow", "if grep -qa slow; then sleep 60; fi; printf '\\144\\0\\0'; exit 100");
    let settings =
        [("CVM_CHAIN0", slow.as_str()), ("CVM_CHAIN1", &folder.path("yes")), ("CVM_CLIENT_TIMEOUT", "90000")];
    let relay = Station::start_module(Make::Ours, "cvm-chain", &settings);
    let Contact::Udp(address) = relay.contact(Mode::Udp) else { unreachable!("UDP has an address") };
    let waiting = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for number in 0..5 {
        let request = packet::v2(2, &[number], &[(ACCOUNT, b"slow"), (PASSWORD, b"x")]);
        waiting.send_to(&request, address).expect("a request can be sent");
    }
    for mode in [Mode::Local, Mode::Udp] {
        let answer = relay.contact(mode).ask(&login(b"T", b"x")).expect("an answer");
        assert_eq!(answer.first(), Some(&0), "{mode}");
    }
}

#[test]
fn without_modules_or_with_wrong_ones_it_is_code_6() {
    for settings in [&[][..], &[("CVM_CHAIN0", "")], &[("CVM_CHAIN0", "a,,b")], &[("CVM_CHAIN4", "cvm-nothing:x")]] {
        let mut server = command(&Make::Ours.program("cvm-chain"), &["cvm-local:/nowhere/socket"], settings);
        process::run(&mut server, b"").assert_complaint(6, &["CVM_CHAIN", "expected"]);
        assert_eq!(ask(Make::Ours, settings, &login(b"T", b"x")), packet::v2(6, b"T", &[]));
    }
}
