//! What the clients send, byte for byte, and the random tag.

use std::net::UdpSocket;
use std::thread;

use cvm_tests::Settings;
use cvm_tests::contact::receive_from;
use cvm_tests::findings::Findings;
use cvm_tests::folder::{Folder, quoted};
use cvm_tests::packet::{self, ACCOUNT, DOMAIN, Hex, Items, PASSWORD, SECRET};
use cvm_tests::process::LIMIT;
use cvm_tests::programs::Make;

use crate::clients::Client;

type Version2 = (Settings<'static>, &'static [&'static str], Items<'static>);

const VERSION_2: &[Version2] = &[
    (&[], &["alice", "ex.com", "secret"], &[(ACCOUNT, b"alice"), (DOMAIN, b"ex.com"), (PASSWORD, b"secret")]),
    (&[], &["alice", "ex.com"], &[(ACCOUNT, b"alice"), (DOMAIN, b"ex.com")]),
    (&[], &["alice", "", "secret"], &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")]),
    (&[], &["", "", ""], &[(ACCOUNT, b"")]),
    (&[], &["alice@a", "ex.com", "secret"], &[(ACCOUNT, b"alice"), (DOMAIN, b"a"), (PASSWORD, b"secret")]),
    (&[], &["al@ice@a", "ex.com", "secret"], &[(ACCOUNT, b"al@ice"), (DOMAIN, b"a"), (PASSWORD, b"secret")]),
    (&[], &["@a", "ex.com"], &[(ACCOUNT, b""), (DOMAIN, b"a")]),
    // What follows the split is an empty domain, and sent.
    (&[], &["alice@", "ex.com", "secret"], &[(ACCOUNT, b"alice"), (DOMAIN, b""), (PASSWORD, b"secret")]),
    (&[("CVM_ACCOUNT_SPLIT_CHARS", "%+")], &["a+b%c@d", ""], &[(ACCOUNT, b"a+b"), (DOMAIN, b"c@d")]),
    (&[("CVM_ACCOUNT_SPLIT_CHARS", "")], &["alice@a", "ex.com"], &[(ACCOUNT, b"alice@a"), (DOMAIN, b"ex.com")]),
    (&[("CVM_LOOKUP_SECRET", "sesame")], &["alice", ""], &[(ACCOUNT, b"alice"), (SECRET, b"sesame")]),
    (&[("CVM_LOOKUP_SECRET", "")], &["alice", ""], &[(ACCOUNT, b"alice"), (SECRET, b"")]),
    (
        &[("CVM_LOOKUP_SECRET", "sesame")],
        &["alice", "ex.com", "secret"],
        &[(ACCOUNT, b"alice"), (DOMAIN, b"ex.com"), (PASSWORD, b"secret"), (SECRET, b"sesame")],
    ),
    // No module of the list is asked over UDP, so there is no tag.
    (&[("CVM_RANDOM_BYTES", "16")], &["alice", ""], &[(ACCOUNT, b"alice")]),
];

const VERSION_1: &[(&[&str], &[u8])] = &[
    (&["alice", "ex.com", "secret"], b"\x01alice\0ex.com\0secret\0\0"),
    (&["alice", "ex.com"], b"\x01alice\0ex.com\0\0"),
    (&["alice", "", ""], b"\x01alice\0\0\0\0"),
    (&["alice@a", "", "x", "y"], b"\x01alice@a\0\0x\0y\0\0"),
    (&["", "", "x", "y", "z"], b"\x01\0\0x\0y\0z\0\0"),
];

/// Lets a client ask a command, and returns what it sent.
fn sent(client: Client, make: Make, arguments: &[&str], settings: Settings<'_>) -> Vec<u8> {
    let folder = Folder::new();
    let answer = if client == Client::V1 { r"\144\0" } else { r"\144\0\0" };
    let seen = quoted(&folder.path("seen"));
    let module = folder.script("module", &format!("cat >{seen}\nprintf '{answer}'\nexit 100"));
    assert_eq!(client.ask(make, &module, arguments, settings), client.outcome(100, ""));
    folder.read("seen")
}

fn compare(client: Client, arguments: &[&str], settings: Settings<'_>, expected: &[u8], findings: &mut Findings) {
    for make in Make::ALL {
        let found = sent(client, make, arguments, settings);
        let about = format_args!("{make}: {} {arguments:?} {settings:?}", client.name());
        findings.answer(about, Ok(found), expected);
    }
}

#[test]
fn version_2_requests_are_those_of_the_original() {
    let mut findings = Findings::new();
    for (settings, arguments, items) in VERSION_2 {
        compare(Client::V2, arguments, settings, &packet::v2(2, b"", items), &mut findings);
    }
    findings.assert_none();
}

#[test]
fn version_1_requests_are_those_of_the_original() {
    let mut findings = Findings::new();
    for (arguments, expected) in VERSION_1 {
        compare(Client::V1, arguments, &[], expected, &mut findings);
    }
    // Neither splits nor adds a secret.
    let settings = &[("CVM_ACCOUNT_SPLIT_CHARS", "%"), ("CVM_LOOKUP_SECRET", "sesame")];
    compare(Client::V1, &["a%b", "d"], settings, b"\x01a%b\0d\0\0", &mut findings);
    findings.assert_none();
}

/// Lets a client ask over UDP, refuses it with its own tag, and returns the tag.
fn tag_sent(make: Make, settings: Settings<'_>, more_modules: &str) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let (datagram, client) = receive_from(&socket, LIMIT).expect("a request");
        let tag = &datagram[2..][..datagram[1].into()];
        let request = packet::v2(2, tag, &[(ACCOUNT, b"alice")]);
        assert_eq!(Hex(&datagram).to_string(), Hex(&request).to_string());
        socket.send_to(&packet::v2(100, tag, &[]), client).expect("an answer can be sent");
        tag.to_vec()
    });
    let finished = Client::V2.ask(make, &format!("{more_modules}cvm-udp:{address}"), &["alice", ""], settings);
    assert_eq!(finished, Client::V2.outcome(100, ""), "{make} {settings:?}");
    server.join().expect("the server has been asked")
}

#[test]
fn the_tag_has_the_length_that_is_set_and_8_bytes_otherwise() {
    for make in Make::ALL {
        assert_eq!(tag_sent(make, &[], "").len(), 8, "{make}");
        for length in [0, 1, 16, 64, 255] {
            let tag = tag_sent(make, &[("CVM_RANDOM_BYTES", &length.to_string())], "");
            assert_eq!(tag.len(), length, "{make}");
        }
    }
}

#[test]
fn tags_are_random() {
    let tags: Vec<_> = (0..4).map(|_| tag_sent(Make::Ours, &[("CVM_RANDOM_BYTES", "16")], "")).collect();
    for (index, tag) in tags.iter().enumerate() {
        assert!(!tags[..index].contains(tag), "{} came twice", Hex(tag));
    }
}

#[test]
fn all_modules_of_a_list_get_the_tag_if_one_is_asked_over_udp() {
    let folder = Folder::new();
    let seen = quoted(&folder.path("seen"));
    // Answers with the tag that it got, of 3 bytes.
    let answer = format!("printf '\\144'; tail -c +2 {seen} | head -c 4; printf '\\0'");
    let module = folder.script("module", &format!("cat >{seen}\n{answer}\nexit 100"));
    let tag = tag_sent(Make::Ours, &[("CVM_RANDOM_BYTES", "3")], &format!("{module},"));
    let request = packet::v2(2, &tag, &[(ACCOUNT, b"alice")]);
    assert_eq!(Hex(&folder.read("seen")).to_string(), Hex(&request).to_string());
}

#[test]
fn a_tag_length_that_is_none_is_named() {
    for length in ["256", "-1", "x", "", "+1", " 1"] {
        let finished =
            Client::V2.ask(Make::Ours, "cvm-udp:127.0.0.1:9", &["alice", ""], &[("CVM_RANDOM_BYTES", length)]);
        finished.assert_complaint(1, &["CVM_RANDOM_BYTES", "0 to 255"]);
    }
}

#[test]
fn a_request_that_does_not_fit_is_refused_before_anybody_is_asked() {
    let long = "x".repeat(256);
    let cases: [(Client, &[&str]); 3] = [
        (Client::V2, &["alice", "ex.com", &long]),
        (Client::V2, &[&long[1..], &long[1..], "secret"]),
        (Client::V1, &["alice", &long, &long]),
    ];
    for (client, arguments) in cases {
        client.ask(Make::Ours, "cvm-udp:127.0.0.1:9", arguments, &[]).assert_complaint(1, &[client.name()]);
    }
}
