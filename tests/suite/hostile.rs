//! Hostile packets: each gets exactly one answer of the right shape, and the server goes on as before.

use cvm_tests::contact::Mode;
use cvm_tests::findings::Findings;
use cvm_tests::packet::{self, ACCOUNT, DOMAIN, Item, Items, PASSWORD, padded};
use cvm_tests::programs::Make;
use cvm_tests::station::{self, ALICE, Station, TABLE};

const TAG: &[u8] = b"TAGTAG";
const LOGIN: Items<'static> = &[(ACCOUNT, b"alice"), (DOMAIN, b"ex.com"), (PASSWORD, b"secret")];

/// A packet, the answer to it, and the line that is logged for it.
struct Attack {
    name: &'static str,
    packet: Vec<u8>,
    answer: Vec<u8>,
    line: String,
}

impl Attack {
    fn new(name: &'static str, packet: Vec<u8>, answer: Vec<u8>, line: &str) -> Self {
        Self { name, packet, answer, line: line.to_owned() }
    }
}

fn login() -> Vec<u8> {
    packet::v2(2, TAG, LOGIN)
}

/// The login without its final NUL.
fn opened() -> Vec<u8> {
    let mut packet = login();
    packet.pop();
    packet
}

fn and(mut packet: Vec<u8>, more: &[u8]) -> Vec<u8> {
    packet.extend(more);
    packet
}

/// What cannot be read: code 2, with the tag where it is whole.
fn malformed() -> Vec<Attack> {
    let whole = packet::v2(2, TAG, &[]);
    let none = b"\x02\0\0".to_vec();
    let v1 = b"\x02\0".to_vec();
    let twice = |kind: u8| packet::v2(2, TAG, &[LOGIN, &[(kind, b"secret")]].concat());
    let longest = padded(TAG, LOGIN, 512);
    let cases = [
        ("513 bytes", padded(TAG, LOGIN, 513), &whole),
        ("600 bytes", padded(TAG, LOGIN, 600), &whole),
        ("512 bytes and one behind the end", and(longest, b"\0"), &whole),
        ("513 bytes of version 1", packet::v1(b"alice", b"ex.com", &[&[b'x'; 497]]), &v1),
        ("513 bytes of zeros", vec![0; 513], &v1),
        ("600 bytes of ones", vec![0xff; 600], &v1),
        ("version 0", and(vec![0], &login()[1..]), &v1),
        ("version 3", and(vec![3], &login()[1..]), &v1),
        ("version 255", and(vec![255], &login()[1..]), &v1),
        ("a tag length and no tag", b"\x02\xff".to_vec(), &none),
        ("a tag that is longer than the packet", and(vec![2, 255], &[b'x'; 100]), &none),
        ("a tag that ends with the packet", b"\x02\x06TAGTAG".to_vec(), &whole),
        ("no tag length", vec![2], &none),
        ("no bytes behind an empty tag", b"\x02\0".to_vec(), &none),
        ("no final NUL", opened(), &whole),
        ("a type without a length", and(opened(), b"\x08"), &whole),
        ("a length beyond the end", and(opened(), b"\x08\xffxyz\0"), &whole),
        ("a length that takes the final NUL", and(opened(), b"\x08\x04xyz\0"), &whole),
        ("a NUL behind the end", and(login(), b"\0"), &whole),
        ("another login behind the end", and(login(), &login()), &whole),
        ("two accounts", twice(ACCOUNT), &whole),
        ("two domains", twice(DOMAIN), &whole),
        ("two passwords, the same", twice(PASSWORD), &whole),
        ("type 127 twice", packet::v2(2, TAG, &[LOGIN, &[(127, b"a"), (127, b"b")]].concat()), &whole),
        ("version 1, nothing else", vec![1], &v1),
        ("version 1, no NUL", b"\x01alice".to_vec(), &v1),
        ("version 1, no domain", b"\x01alice\0".to_vec(), &v1),
        ("version 1, no final NUL", b"\x01alice\0ex.com\0secret\0".to_vec(), &v1),
        ("version 1, three credentials", packet::v1(b"alice", b"", &[b"a", b"b", b"c"]), &v1),
        ("version 1, four credentials", packet::v1(b"alice", b"", &[b"", b"", b"", b""]), &v1),
        ("version 1, bytes behind the end", and(packet::v1(b"alice", b"", &[b"secret"]), b"x"), &v1),
    ];
    cases.map(|(name, packet, answer)| Attack::new(name, packet, answer.clone(), "? ")).into()
}

/// What can be read, strange as it is.
fn strange() -> Vec<Attack> {
    let v2 = |items: Items<'_>| packet::v2(2, TAG, items);
    let answer = |code| packet::v2(code, TAG, &[]);
    let good = station::alice_with(TAG);
    let (long, password): (_, Item<'_>) = ([b'l'; 255], (PASSWORD, b"secret"));
    let known: Item<'_> = (ACCOUNT, b"alice");
    let v1_good = packet::v1_response(0, ALICE);
    let forged = [(ACCOUNT, b"mallory\n+ root@ex.com".as_slice()), (DOMAIN, b"\r\n\x1b[2J\xff"), password];
    let too_long_for_the_facts = padded(&[b't'; 255], LOGIN, 512);
    vec![
        Attack::new("511 bytes", padded(TAG, LOGIN, 511), good.clone(), "+ alice@ex.com"),
        Attack::new("512 bytes", padded(TAG, LOGIN, 512), good.clone(), "+ alice@ex.com"),
        Attack::new("a tag of 255 bytes", too_long_for_the_facts, station::alice_with(&[b't'; 255]), "+ alice@ex.com"),
        Attack::new("no tag", packet::v2(2, b"", LOGIN), station::alice_with(b""), "+ alice@ex.com"),
        Attack::new("a tag of zeros", packet::v2(2, &[0; 9], LOGIN), station::alice_with(&[0; 9]), "+ alice@ex.com"),
        Attack::new(
            "unknown types",
            v2(&[(8, b"x"), known, (127, b""), password, (255, b"y")]),
            good.clone(),
            "+ alice",
        ),
        Attack::new("type 128 twice", v2(&[known, (128, b"x"), password, (128, b"y")]), good, "+ alice"),
        Attack::new("no credentials", v2(&[]), answer(7), "? "),
        Attack::new("no account", v2(&[password]), answer(7), "? "),
        Attack::new("an empty account", v2(&[(ACCOUNT, b""), password]), answer(7), "? "),
        Attack::new(
            "an account of 255 bytes",
            v2(&[(ACCOUNT, &long), password]),
            answer(100),
            &format!("- {}", "l".repeat(255)),
        ),
        Attack::new("a password of 255 bytes", v2(&[known, (PASSWORD, &long)]), answer(100), "- alice"),
        Attack::new(
            "a domain of 255 bytes",
            v2(&[(ACCOUNT, b"a"), (DOMAIN, &long), password]),
            answer(100),
            &format!("- a@{}", "l".repeat(255)),
        ),
        Attack::new("a NUL behind the account", v2(&[(ACCOUNT, b"alice\0x"), password]), answer(100), r"- alice\x00x"),
        Attack::new("a NUL as the account", v2(&[(ACCOUNT, b"\0"), password]), answer(100), r"- \x00"),
        Attack::new("a NUL behind the password", v2(&[known, (PASSWORD, b"secret\0")]), answer(100), "- alice"),
        Attack::new("a NUL before the password", v2(&[known, (PASSWORD, b"\0secret")]), answer(100), "- alice"),
        Attack::new("a forged line", v2(&forged), answer(100), r"- mallory\x0a+ root@ex.com@\x0d\x0a\x1b[2J\xff"),
        Attack::new("a backslash", v2(&[(ACCOUNT, br"\x0a"), password]), answer(100), r"- \x5cx0a"),
        Attack::new(
            "a line of the table",
            v2(&[(ACCOUNT, b"alice:secret:0:0"), password]),
            answer(100),
            "- alice:secret:0:0",
        ),
        Attack::new(
            "a forged line in version 1",
            packet::v1(b"a\n- b", b"c\n", &[b"x"]),
            b"\x64\0".into(),
            r"- a\x0a- b@c\x0a",
        ),
        Attack::new("version 1, no credential", packet::v1(b"alice", b"d", &[]), b"\x07\0".into(), "? alice@d"),
        Attack::new("version 1, one credential", packet::v1(b"alice", b"d", &[b"secret"]), v1_good, "+ alice@d"),
        Attack::new(
            "version 1, an empty credential",
            packet::v1(b"alice", b"d", &[b""]),
            b"\x07\0".into(),
            "? alice@d",
        ),
        Attack::new(
            "version 1, two credentials",
            packet::v1(b"alice", b"d", &[b"a", b"b"]),
            b"\x64\0".into(),
            "- alice@d",
        ),
        Attack::new(
            "version 1, 512 bytes",
            packet::v1(b"alice", b"ex.com", &[&[b'x'; 496]]),
            b"\x64\0".into(),
            "- alice@ex.com",
        ),
    ]
}

/// Every packet of one byte, and none.
fn tiny() -> Vec<Attack> {
    let one = |byte: u8| {
        let answer = if byte == 2 { b"\x02\0\0".as_slice() } else { b"\x02\0" };
        Attack::new("one byte", vec![byte], answer.to_vec(), "? ")
    };
    let none = Attack::new("no bytes", Vec::new(), b"\x02\0".to_vec(), "? ");
    (0..=255).map(one).chain([none]).collect()
}

/// Sends every packet, with a login between all of them that shows whether the server still serves.
fn attack(attacks: &[Attack], mode: Mode) {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let contact = station.contact(mode);
    let mut findings = Findings::new();
    let mut lines = Vec::new();
    for attack in attacks {
        let name = attack.name;
        findings.answer(name, contact.ask(&attack.packet), &attack.answer);
        lines.push(attack.line.clone());
        if mode != Mode::Command {
            findings.answer(format_args!("a login after {name}"), contact.ask(&login()), &station::alice_with(TAG));
            lines.push("+ alice@ex.com".to_owned());
        }
    }
    match mode {
        Mode::Command => findings.equal("the log of a command", station.server().requests(), Vec::<String>::new()),
        Mode::Local | Mode::Udp => findings.equal("the log", station.server().requests(), lines),
    }
    findings.equal("standard error", station.server().errors(), Vec::new());
    findings.assert_none();
}

#[test]
fn malformed_packets_to_a_command_are_answered_with_code_2() {
    attack(&malformed(), Mode::Command);
}

#[test]
fn malformed_packets_to_a_unix_socket_are_answered_with_code_2() {
    attack(&malformed(), Mode::Local);
}

#[test]
fn malformed_packets_over_udp_are_answered_with_code_2() {
    attack(&malformed(), Mode::Udp);
}

#[test]
fn strange_packets_to_a_command_are_answered_as_what_they_are() {
    attack(&strange(), Mode::Command);
}

#[test]
fn strange_packets_to_a_unix_socket_are_answered_and_logged_as_what_they_are() {
    attack(&strange(), Mode::Local);
}

#[test]
fn strange_packets_over_udp_are_answered_and_logged_as_what_they_are() {
    attack(&strange(), Mode::Udp);
}

#[test]
fn packets_of_one_byte_or_none_do_a_command_no_harm() {
    attack(&tiny(), Mode::Command);
}

#[test]
fn packets_of_one_byte_or_none_do_a_unix_socket_no_harm() {
    attack(&tiny(), Mode::Local);
}

#[test]
fn packets_of_one_byte_or_none_do_a_udp_server_no_harm() {
    attack(&tiny(), Mode::Udp);
}
