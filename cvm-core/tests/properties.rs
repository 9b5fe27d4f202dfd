//! Properties of the whole core, and its codec against a second decoder that is written straight from SPEC section 2.

#[path = "properties/fuzz_target.rs"]
mod fuzz_target;
#[path = "properties/naive.rs"]
mod naive;

use bytes::Bytes;
use cvm_core::answer::{Answer, Answerer, Outcome, Patience};
use cvm_core::client::{ClientRequest, Credentials, ends_chain};
use cvm_core::module::{Accepts, Lookup, Module, Temporary, Verdict};
use cvm_core::testing::puppet::Puppet;
use cvm_core::testing::strategy::{self, OwnedFacts};
use cvm_core::testing::value::{Response, V1Request, V2Request};
use cvm_core::wire::{Envelope, FactWriter, Packet, Request, encode_v1_request, encode_v2_request};
use cvm_core::{Code, CredentialType, FactType, Policy, Scope};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use naive::DecodedRequest;

/// That many cases; what fails is kept beside this file.
fn cases(count: u32) -> ProptestConfig {
    let failure_persistence = Some(Box::new(FileFailurePersistence::WithSource("proptest-regressions")) as _);
    ProptestConfig { failure_persistence, ..ProptestConfig::with_cases(count) }
}

/// What the core makes of a request, in the terms of the second decoder.
fn decode_request(packet: &[u8], single: CredentialType) -> DecodedRequest {
    let tag = |envelope: Envelope<'_>| match envelope {
        Envelope::V1 => None,
        Envelope::V2 { tag } => Some(tag.to_vec()),
    };
    match Request::decode(packet, single) {
        Ok(request) => {
            let items = request.credentials().map(|item| (item.kind.number(), item.value.expose().to_vec()));
            (tag(request.envelope()), Some(items.collect()))
        }
        Err(malformed) => (tag(malformed.envelope), None),
    }
}

/// Puts the credentials in the order in which the core tells them: the standard ones by number, then all others.
fn in_core_order(mut decoded: DecodedRequest) -> DecodedRequest {
    if let Some(credentials) = &mut decoded.1 {
        credentials.sort_by_key(|(kind, _)| (*kind).min(8));
    }
    decoded
}

/// Fails unless both decoders make the same of the packet as a request.
fn requests_agree(packet: &[u8]) {
    for single in [CredentialType::PASSWORD, CredentialType::SECRET] {
        let expected = in_core_order(naive::request(packet, single.number()));
        assert_eq!(decode_request(packet, single), expected, "{}", packet.escape_ascii());
    }
}

/// Clients of both versions, the second with and without a tag.
struct Clients([(ClientRequest, Option<Vec<u8>>); 3]);

impl Clients {
    fn new(tag: &[u8]) -> Self {
        let v2 = |tag: &[u8]| ClientRequest::v2(&Credentials::new(), tag).expect("a tag fits");
        let v1 = ClientRequest::v1(b"", b"", &[]).expect("it is short");
        Self([(v1, None), (v2(b""), Some(Vec::new())), (v2(tag), Some(tag.to_vec()))])
    }

    /// Fails unless both decoders make the same of the packet as a response to each of the clients.
    fn agree(&self, packet: &[u8]) {
        let bytes = Bytes::copy_from_slice(packet);
        for (client, tag) in &self.0 {
            let checked = client.check(&bytes).ok().map(|reply| {
                let facts = reply.facts.iter().map(|fact| (fact.kind.number(), fact.value.to_vec()));
                (reply.code.byte(), facts.collect::<Vec<_>>())
            });
            assert_eq!(checked, naive::response(packet, tag.as_deref()), "{tag:?} {}", packet.escape_ascii());
        }
    }
}

/// Calls `check` with every truncation of the packet and with every other byte at every position.
fn with_every_change(packet: &[u8], check: impl Fn(&[u8])) {
    (0..=packet.len()).for_each(|end| check(&packet[..end]));
    let mut changed = packet.to_vec();
    for at in 0..packet.len() {
        for other in 1..=255 {
            changed[at] = packet[at] ^ other;
            check(&changed);
        }
        changed[at] = packet[at];
    }
}

/// Keeps strings to a length at which every change can be tried.
fn short(mut value: Vec<u8>) -> Vec<u8> {
    value.truncate(30);
    value
}

/// Calls `check` with every packet of up to `length` of these bytes.
fn with_every_packet(bytes: &[u8], length: usize, check: &impl Fn(&[u8])) {
    fn longer(packet: &mut Vec<u8>, bytes: &[u8], length: usize, check: &impl Fn(&[u8])) {
        check(packet);
        if length == 0 {
            return;
        }
        for &byte in bytes {
            packet.push(byte);
            longer(packet, bytes, length - 1, check);
            packet.pop();
        }
    }
    longer(&mut Vec::new(), bytes, length, check);
}

fn every_byte() -> Vec<u8> {
    (0..=255).collect()
}

/// Answers with `puppet` and returns the response and its code.
fn answer(puppet: Puppet, packet: &[u8]) -> (Vec<u8>, Code) {
    let mut out = Packet::new();
    let outcome = Answerer::new(puppet, Policy::Authenticate, ()).answer(packet, &mut out, Patience::Blocking);
    let Outcome::Answered(code) = outcome else { panic!("whoever can wait gets an answer") };
    (out.to_vec(), code)
}

/// Checks that a response arrives at a client as it was meant, if it `fits`, and as code 3 if not.
fn arrives(client: &ClientRequest, response: &Response, expected: &[u8], fits: bool) {
    let puppet = Puppet { accepts: Accepts::Anything, facts: response.facts.clone(), ..Puppet::default() };
    let (packet, code) = answer(puppet, client.bytes());
    let reply = client.check(&packet.clone().into()).expect("what the core writes, the core reads");
    assert_eq!(reply.code, code);
    let facts: Vec<_> = reply.facts.iter().map(|fact| (fact.kind, fact.value.to_vec())).collect();
    if fits {
        assert_eq!((packet, facts), (expected.to_vec(), response.facts.clone()));
        assert_eq!(code, Code::SUCCESS);
    } else {
        assert_eq!((code, facts), (Code::BAD_MODULE_DATA, Vec::new()));
    }
}

/// A module of one account with these facts.
struct Known(OwnedFacts);

impl Module for Known {
    type Account = ();

    fn lookup(&self, _: &Request<'_>) -> Result<Lookup<()>, Temporary> {
        Ok(Lookup::Known(()))
    }

    fn authenticate(&self, (): &(), _: &Request<'_>) -> Result<Verdict, Temporary> {
        Ok(Verdict::Accepted)
    }

    fn results(&self, (): &(), facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        facts.standard(&strategy::lend(&self.0));
        Ok(())
    }
}

/// In a thread for each core: there are sixteen million.
#[test]
fn decoders_agree_on_every_packet_of_up_to_three_bytes() {
    let first_bytes = every_byte();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let check = |packet: &[u8], clients: &Clients| {
        requests_agree(packet);
        clients.agree(packet);
    };
    check(b"", &Clients::new(b"\x07"));
    std::thread::scope(|scope| {
        for share in first_bytes.chunks(first_bytes.len().div_ceil(cores)) {
            scope.spawn(move || {
                let clients = Clients::new(b"\x07");
                for &first in share {
                    with_every_packet(&every_byte(), 2, &|rest| check(&[&[first], rest].concat(), &clients));
                }
            });
        }
    });
}

#[test]
fn decoders_agree_on_every_packet_of_up_to_six_bytes_that_mean_something() {
    let clients = Clients::new(b"\x01");
    with_every_packet(&[0, 1, 2, 3, 7, 128, 255], 6, &requests_agree);
    with_every_packet(&[0, 1, 2, b'9', 16, 100], 6, &|packet| clients.agree(packet));
}

#[test]
fn decoders_agree_on_every_truncation_and_change_of_a_request_of_512_bytes() {
    let credentials = vec![(CredentialType::ACCOUNT, vec![b'a'; 255])];
    let packet = V2Request { tag: b"TAG".to_vec(), credentials }.filled().packet();
    assert_eq!(packet.len(), 512);
    with_every_change(&packet, requests_agree);
}

proptest! {
    #![proptest_config(cases(16))]

    #[test]
    fn decoders_agree_on_every_truncation_and_change_of_a_v1_request(request in strategy::v1_request()) {
        let V1Request { account, domain, credentials } = request;
        let credentials = credentials.into_iter().map(short).collect();
        let request = V1Request { account: short(account), domain: short(domain), credentials };
        with_every_change(&request.packet(), requests_agree);
    }

    #[test]
    fn decoders_agree_on_every_truncation_and_change_of_a_v2_request(request in strategy::v2_request()) {
        let credentials = request.credentials.into_iter().map(|(kind, value)| (kind, short(value))).collect();
        let request = V2Request { tag: short(request.tag), credentials };
        with_every_change(&request.packet(), requests_agree);
    }

    #[test]
    fn decoders_agree_on_every_truncation_and_change_of_a_response(
        response in prop_oneof![strategy::success(), strategy::failure()],
        tag in strategy::tag(),
    ) {
        let facts = response.facts.into_iter().map(|(kind, value)| (kind, short(value))).collect();
        let (response, tag) = (Response { code: response.code, facts }, short(tag));
        let clients = Clients::new(&tag);
        with_every_change(&response.v1_packet(), |packet| clients.agree(packet));
        with_every_change(&response.v2_packet(&tag), |packet| clients.agree(packet));
    }
}

proptest! {
    #![proptest_config(cases(2048))]

    #[test]
    fn decoders_agree_on_valid_damaged_and_random_packets(packet in strategy::packet(), tag in strategy::tag()) {
        requests_agree(&packet);
        let clients = Clients::new(&tag);
        clients.agree(&packet);
        // The tag of the packet itself, so that more than a few go beyond it.
        let own = packet.get(1).and_then(|&length| packet.get(2..2 + usize::from(length)));
        Clients::new(own.unwrap_or_default()).agree(&packet);
    }

    #[test]
    fn v1_requests_are_encoded_as_specified_and_decoded_to_the_same(request in strategy::v1_request()) {
        let mut packet = Packet::new();
        encode_v1_request(&request.account, &request.domain, &request.secrets(), &mut packet).unwrap();
        prop_assert_eq!(&*packet, request.packet());
        let kinds: &[u8] = if request.credentials.len() == 1 { &[3] } else { &[5, 6] };
        let mut credentials = vec![(1, request.account), (2, request.domain)];
        credentials.extend(kinds.iter().copied().zip(request.credentials));
        prop_assert_eq!(decode_request(&packet, CredentialType::PASSWORD), (None, Some(credentials)));
    }

    #[test]
    fn v2_requests_are_encoded_as_specified_and_decoded_to_the_same(request in strategy::v2_request()) {
        let mut packet = Packet::new();
        encode_v2_request(&request.tag, request.secrets(), &mut packet).unwrap();
        prop_assert_eq!(&*packet, request.packet());
        let credentials = request.credentials.into_iter().map(|(kind, value)| (kind.number(), value)).collect();
        let expected = in_core_order((Some(request.tag), Some(credentials)));
        prop_assert_eq!(decode_request(&packet, CredentialType::PASSWORD), expected);
    }

    #[test]
    fn a_request_that_cannot_be_sent_leaves_no_bytes(
        tag in vec(any::<u8>(), 0..300),
        credentials in vec((strategy::credential_type(), vec(any::<u8>(), 0..300)), 0..5),
    ) {
        let request = V2Request { tag, credentials };
        let valid = request.clone().fitted() == request;
        let mut packet = Packet::new();
        let encoded = encode_v2_request(&request.tag, request.secrets(), &mut packet);
        prop_assert_eq!(encoded.is_ok(), valid);
        prop_assert_eq!(packet.is_empty(), !valid);
    }

    #[test]
    fn a_v1_request_is_sent_whole_or_not_at_all(
        account in vec(strategy::byte(), 0..300),
        credentials in vec(vec(strategy::byte(), 0..300), 0..3),
    ) {
        let request = V1Request { account, domain: Vec::new(), credentials };
        let valid = request.clone().fitted() == request;
        let mut packet = Packet::new();
        let encoded = encode_v1_request(&request.account, &request.domain, &request.secrets(), &mut packet);
        prop_assert_eq!(encoded.is_ok(), valid);
        prop_assert_eq!(packet.is_empty(), !valid);
    }

    #[test]
    fn facts_arrive_as_they_were_written_or_not_at_all(response in strategy::success(), tag in strategy::tag()) {
        let v1 = ClientRequest::v1(b"a", b"", &[]).unwrap();
        arrives(&v1, &response, &response.v1_packet(), response.fits_v1());
        let v2 = ClientRequest::v2(&Credentials::new().with(CredentialType::ACCOUNT, b"a"), &tag).unwrap();
        arrives(&v2, &response, &response.v2_packet(&tag), response.fits_v2(&tag));
    }

    #[test]
    fn standard_facts_come_in_the_order_of_the_original(facts in strategy::standard_facts()) {
        let mut out = Packet::new();
        let packet = b"\x02\x00\x01\x01a\x03\x01p\x00";
        let expected = strategy::lend(&facts);
        let all = [
            (1, Some(expected.username.to_vec())),
            (2, Some(expected.userid.to_string().into_bytes())),
            (3, Some(expected.groupid.to_string().into_bytes())),
            (4, expected.realname.map(<[u8]>::to_vec)),
            (5, Some(expected.directory.to_vec())),
            (6, expected.shell.map(<[u8]>::to_vec)),
            (7, expected.groupname.map(<[u8]>::to_vec)),
            (9, expected.sys_username.map(<[u8]>::to_vec)),
            (10, expected.sys_directory.map(<[u8]>::to_vec)),
            (14, expected.domain.map(<[u8]>::to_vec)),
            (15, expected.mailbox.map(<[u8]>::to_vec)),
        ];
        let facts_given: Vec<_> = all.into_iter().filter_map(|(kind, value)| Some((kind, value?))).collect();
        let server = Answerer::new(Known(facts.clone()), Policy::Authenticate, ());
        prop_assert_eq!(server.answer(packet, &mut out, Patience::Blocking), Outcome::Answered(Code::SUCCESS));
        prop_assert_eq!(naive::response(&out, Some(b"")), Some((0, facts_given)));
    }

    #[test]
    fn a_scope_arrives_and_decides_whether_a_chain_goes_on(scope in strategy::scope(), tag in strategy::tag()) {
        let puppet = || Puppet { verdict: Ok(Verdict::Rejected { scope }), ..Puppet::default() };
        let v1 = ClientRequest::v1(b"a", b"", &[cvm_core::SecretRef::new(b"p")]).unwrap();
        let credentials = Credentials::new().with(CredentialType::ACCOUNT, b"a").with(CredentialType::PASSWORD, b"p");
        for client in [v1, ClientRequest::v2(&credentials, &tag).unwrap()] {
            let (packet, code) = answer(puppet(), client.bytes());
            let reply = client.check(&packet.into()).unwrap();
            prop_assert_eq!((code, reply.code), (Code::REJECTED, Code::REJECTED));
            prop_assert_eq!(reply.scope(), scope);
            prop_assert_eq!(ends_chain(&reply), scope == Some(Scope::In));
        }
    }

    #[test]
    fn a_success_without_a_required_fact_is_none(mut response in strategy::success(), lost in 0..4_usize) {
        response.facts.retain(|(kind, _)| *kind != FactType::REQUIRED[lost]);
        let client = ClientRequest::v2(&Credentials::new().with(CredentialType::ACCOUNT, b"a"), b"").unwrap();
        arrives(&client, &response, b"", false);
        prop_assert!(client.check(&response.v2_packet(b"").into()).is_err());
    }
}
