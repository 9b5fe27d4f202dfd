//! Damaged packets by chance: whatever comes, one answer in the right envelope, and the server goes on.

use cvm_tests::contact::{Contact, Mode};
use cvm_tests::packet::{self, ACCOUNT, DOMAIN, Hex, PASSWORD};
use cvm_tests::programs::Make;
use cvm_tests::station::{self, Station, TABLE};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

/// A way to damage a packet.
#[derive(Clone, Debug)]
enum Damage {
    Change(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Append(Vec<u8>),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            any::<(Index, u8)>().prop_map(|(at, byte)| Self::Change(at, byte)),
            any::<(Index, u8)>().prop_map(|(at, byte)| Self::Insert(at, byte)),
            any::<Index>().prop_map(Self::Remove),
            any::<Index>().prop_map(Self::Cut),
            vec(any::<u8>(), 1..500).prop_map(Self::Append),
        ]
    }

    fn apply(self, packet: &mut Vec<u8>) {
        let length = packet.len();
        match self {
            Self::Insert(at, byte) => packet.insert(at.index(length + 1), byte),
            Self::Append(bytes) => packet.extend(bytes),
            _ if length == 0 => {}
            Self::Change(at, byte) => packet[at.index(length)] = byte,
            Self::Remove(at) => {
                packet.remove(at.index(length));
            }
            Self::Cut(at) => packet.truncate(at.index(length)),
        }
    }
}

fn packets() -> impl Strategy<Value = Vec<u8>> {
    let valid = prop_oneof![
        vec(any::<u8>(), 0..20).prop_map(|tag| {
            packet::v2(2, &tag, &[(ACCOUNT, b"alice"), (DOMAIN, b"ex.com"), (PASSWORD, b"secret")])
        }),
        Just(packet::v1(b"alice", b"ex.com", &[b"secret"])),
        Just(packet::v1(b"alice", b"", &[b"<1@x>", b"c4c9334bac560ecc979e58001b3e22fb"])),
    ];
    let damaged = (valid, vec(Damage::any(), 0..4)).prop_map(|(mut packet, damages)| {
        damages.into_iter().for_each(|damage| damage.apply(&mut packet));
        packet
    });
    prop_oneof![4 => damaged, 1 => vec(any::<u8>(), 0..520)]
}

/// Says what every answer to a packet begins with, behind its code.
fn envelope(packet: &[u8]) -> Vec<u8> {
    if packet.first() != Some(&2) {
        return Vec::new();
    }
    let length = packet.get(1).copied().unwrap_or(0);
    match packet.get(2..2 + usize::from(length)) {
        Some(tag) => [&[length], tag].concat(),
        None => vec![0],
    }
}

fn is_in_its_envelope(answer: &[u8], packet: &[u8]) -> bool {
    let Some((code, rest)) = answer.split_first() else { return false };
    let Some(facts) = rest.strip_prefix(envelope(packet).as_slice()) else { return false };
    match code {
        0 => facts.len() > 10 && facts.ends_with(b"\0") && answer.len() <= 512,
        2 | 7 | 100 => facts == b"\0",
        _ => false,
    }
}

fn bombard(contact: &Contact, cases: u32) {
    let login = packet::v2(2, b"T", &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")]);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&packets(), |packet| {
        let answer = contact.ask(&packet).map_err(TestCaseError::fail)?;
        prop_assert!(is_in_its_envelope(&answer, &packet), "{} to {}", Hex(&answer), Hex(&packet));
        prop_assert_eq!(contact.ask(&login), Ok(station::alice_with(b"T")), "afterwards");
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

fn bombard_all(cases: [u32; 3]) {
    let station = Station::start(Make::Ours, TABLE, &[]);
    for (mode, cases) in Mode::ALL.into_iter().zip(cases) {
        bombard(&station.contact(mode), cases);
    }
    let strange: Vec<_> = station.server().requests().into_iter().filter(|line| !is_well_formed(line)).collect();
    assert_eq!(strange, [""; 0], "lines of the log");
}

fn is_well_formed(line: &str) -> bool {
    let kind = line.starts_with("+ ") || line.starts_with("- ") || line.starts_with("? ");
    kind && line.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

#[test]
fn damaged_packets_get_one_answer_in_their_envelope_and_harm_nobody() {
    bombard_all([50, 300, 600]);
}
