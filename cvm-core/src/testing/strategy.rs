//! Strategies for `proptest`: requests, responses and what goes wrong with them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;

use super::value::{Response, V1Request, V2Request};
use crate::credential::CredentialType;
use crate::fact::FactType;
use crate::{Code, Scope, StandardFacts};

/// Bytes, with those that mean something to the protocol more often than others.
pub fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![4 => any::<u8>(), 2 => b' '..=b'~', 1 => Just(0), 1 => 1_u8..=16, 1 => Just(255)]
}

/// Strings of up to 255 bytes, mostly short ones.
pub fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(byte(), 0..20),
        2 => vec(byte(), 0..=255),
        1 => vec(byte(), 255),
        1 => Just(Vec::new()),
    ]
}

/// Numbers as they stand in a fact, the largest and those with leading zeros too.
pub fn integer() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => any::<u16>().prop_map(|number| number.to_string()),
        1 => any::<u64>().prop_map(|number| number.to_string()),
        1 => Just(u64::MAX.to_string()),
        1 => any::<u16>().prop_map(|number| format!("000{number}")),
    ]
    .prop_map(String::into_bytes)
}

/// Tags of a version 2 request: none, as clients send them, the longest.
pub fn tag() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![2 => Just(Vec::new()), 4 => vec(any::<u8>(), 8), 1 => vec(byte(), 0..=255), 1 => vec(byte(), 255)]
}

/// Types of credentials, standard, reserved and local ones.
pub fn credential_type() -> impl Strategy<Value = CredentialType> {
    let number = prop_oneof![6 => 1..=7_u8, 1 => 8..=127_u8, 2 => 128..=255_u8];
    number.prop_map(|number| CredentialType::new(number).expect("not zero"))
}

/// Version 1 requests that fit in a packet.
pub fn v1_request() -> impl Strategy<Value = V1Request> {
    (value(), value(), vec(value(), 0..=2))
        .prop_map(|(account, domain, credentials)| V1Request { account, domain, credentials }.fitted())
}

/// Version 2 requests that fit in a packet, some of them to the last byte.
pub fn v2_request() -> impl Strategy<Value = V2Request> {
    let request = (tag(), vec((credential_type(), value()), 0..8));
    let request = request.prop_map(|(tag, credentials)| V2Request { tag, credentials }.fitted());
    (request, prop::bool::weighted(0.1)).prop_map(|(request, fill)| if fill { request.filled() } else { request })
}

/// Single facts, integers where they belong.
pub fn fact() -> impl Strategy<Value = (FactType, Vec<u8>)> {
    let number = prop_oneof![8 => 1..=16_u8, 1 => 17..=255_u8];
    (number, value(), integer()).prop_map(|(number, value, integer)| {
        let kind = FactType::new(number).expect("not zero");
        (kind, if kind.is_integer() { integer } else { value })
    })
}

/// Responses of a success with all required facts; they may be too large for a packet.
pub fn success() -> impl Strategy<Value = Response> {
    let required = (value(), integer(), integer(), value());
    (vec(fact(), 0..6), required, any::<prop::sample::Index>()).prop_map(|(mut facts, (a, b, c, d), at)| {
        let at = at.index(facts.len() + 1);
        facts.splice(at..at, FactType::REQUIRED.into_iter().zip([a, b, c, d]));
        Response { code: Code::SUCCESS, facts }
    })
}

/// Responses of a failure: the scope with code 100, nothing with every other code.
pub fn failure() -> impl Strategy<Value = Response> {
    let rejected = prop::option::of(integer()).prop_map(|scope| {
        let facts = scope.into_iter().map(|value| (FactType::OUT_OF_SCOPE, value)).collect();
        Response { code: Code::REJECTED, facts }
    });
    let temporary = prop_oneof![1..=8_u8, 9..=99_u8, 101..=255_u8];
    prop_oneof![rejected, temporary.prop_map(|code| Response { code: Code::new(code), facts: Vec::new() })]
}

/// Scopes, and none.
pub fn scope() -> impl Strategy<Value = Option<Scope>> {
    prop_oneof![Just(None), Just(Some(Scope::In)), Just(Some(Scope::Out))]
}

/// The standard facts as owned strings and numbers, to be lent with [`lend`].
pub fn standard_facts() -> impl Strategy<Value = OwnedFacts> {
    let optional = || prop::option::of(vec(byte(), 0..20));
    let optionals = [(); 7].map(|()| optional());
    (vec(byte(), 0..20), any::<u64>(), any::<u64>(), vec(byte(), 0..20), optionals).prop_map(
        |(username, userid, groupid, directory, optional)| OwnedFacts {
            username,
            userid,
            groupid,
            directory,
            optional,
        },
    )
}

/// The strings and numbers of [`StandardFacts`].
#[derive(Clone, Debug)]
pub struct OwnedFacts {
    username: Vec<u8>,
    userid: u64,
    groupid: u64,
    directory: Vec<u8>,
    optional: [Option<Vec<u8>>; 7],
}

/// Lends the facts.
#[must_use]
pub fn lend(facts: &OwnedFacts) -> StandardFacts<'_> {
    let [realname, shell, groupname, sys_username, sys_directory, domain, mailbox] =
        facts.optional.each_ref().map(Option::as_deref);
    StandardFacts {
        username: &facts.username,
        userid: facts.userid,
        groupid: facts.groupid,
        realname,
        directory: &facts.directory,
        shell,
        groupname,
        sys_username,
        sys_directory,
        domain,
        mailbox,
    }
}

/// Damages a packet: cut short, lengthened, bytes changed, removed or doubled.
pub fn damaged(packet: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let index = || any::<prop::sample::Index>();
    let step = (0..5_u8, index(), byte());
    vec(step, 1..4).prop_map(move |steps| {
        let mut packet = packet.clone();
        for (what, at, byte) in steps {
            let at = at.index(packet.len() + 1);
            match what {
                0 => packet.truncate(at),
                1 => packet.insert(at, byte),
                2 if at < packet.len() => packet[at] = byte,
                3 if at < packet.len() => drop(packet.remove(at)),
                _ => packet.extend_from_within(at..),
            }
        }
        packet
    })
}

/// Whatever may arrive where a packet is expected: valid ones of both directions, damaged ones, and noise.
pub fn packet() -> impl Strategy<Value = Vec<u8>> {
    let valid: Union<BoxedStrategy<Vec<u8>>> = Union::new([
        v1_request().prop_map(|request| request.packet()).boxed(),
        v2_request().prop_map(|request| request.packet()).boxed(),
        (success(), tag()).prop_map(|(response, tag)| response.v2_packet(&tag)).boxed(),
        success().prop_map(|response| response.v1_packet()).boxed(),
    ]);
    let noise = vec(byte(), 0..600);
    prop_oneof![2 => valid.clone(), 4 => valid.prop_flat_map(damaged), 1 => noise]
}
