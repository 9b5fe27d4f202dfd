//! Requests and responses: what is decoded encodes to the same, and every packet gets an answer that fits it.

use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::Bytes;

use crate::answer::{Answer, Answerer, Outcome, Patience};
use crate::client::{ClientRequest, Credentials};
use crate::code::Code;
use crate::credential::CredentialType;
use crate::exchange::Policy;
use crate::fact::{FactType, Scope, parse_integer};
use crate::module::{Accepts, Cost, Lookup, Temporary, Verdict};
use crate::secret::{Secret, SecretRef};
use crate::testing::puppet::{Puppet, Record, Target, Told};
use crate::testing::value::{Response, V1Request, V2Request};
use crate::wire::{
    self, Envelope, Malformed, MalformedKind, PACKET_MAX, Packet, ReplyError, Request, decode_reply, encode_v1_request,
    encode_v2_request,
};

/// A packet that arrives at a server: decoded and encoded it is the same, its answer has the right shape, and it is a
/// refusal if it looks like one.
pub fn request(data: &[u8]) {
    let refusal = match data {
        [code, 0] => *code > 2,
        [code, length, tag @ .., 0] => *code > 2 && tag.len() == usize::from(*length),
        _ => false,
    };
    assert_eq!(wire::is_refusal(data), refusal);
    for single in [CredentialType::PASSWORD, CredentialType::SECRET] {
        match Request::decode(data, single) {
            Ok(request) => encodes_to_itself(&request, data, single),
            Err(Malformed { envelope, .. }) => assert_eq!(envelope, envelope_of(data)),
        }
    }
    let modes = [
        Policy::Authenticate,
        Policy::Lookup { secret: Secret::new(b"s") },
        Policy::Lookup { secret: Secret::new(b"") },
    ];
    for policy in modes {
        answers(Puppet { accepts: Accepts::PasswordOrResponse, ..Puppet::default() }, policy, data);
    }
}

/// A module that behaves in any way, under any policy, and a packet that arrives there: see [`request`].
pub fn answer(data: &[u8]) {
    let mut u = Unstructured::new(data);
    if let Ok((puppet, policy)) = script(&mut u) {
        answers(puppet, policy, u.take_rest());
    }
}

/// Structured requests and responses survive the codec.
pub fn round_trip(data: &[u8]) {
    let _ = check_round_trip(&mut Unstructured::new(data));
}

/// A packet that arrives at a version 1 client.
pub fn response_v1(data: &[u8]) {
    let request = ClientRequest::v1(b"", b"", &[]).expect("it is short");
    let packet = Bytes::copy_from_slice(data);
    for status in [None, Some(Code::SUCCESS), Some(Code::REJECTED)] {
        if let Ok(reply) = decode_reply(Envelope::V1, &packet, status) {
            assert_eq!(reply.code.byte(), status.map_or(data[0], Code::byte));
            let first = Code::new(data[0]);
            assert_eq!(Response { code: first, facts: facts_of(&reply) }.v1_packet(), data);
            is_usable(&reply);
        }
    }
    assert_eq!(request.check(&packet), decode_reply(Envelope::V1, &packet, None));
}

/// A packet that arrives at a version 2 client whose tag is that of the packet, and at another client.
pub fn response_v2(data: &[u8]) {
    let packet = Bytes::copy_from_slice(data);
    let Envelope::V2 { tag } = tag_of(data) else { unreachable!("version 2") };
    let whole = data.get(1).is_some_and(|&length| tag.len() == usize::from(length));
    let request = ClientRequest::v2(&Credentials::new(), tag).expect("a tag fits");
    let checked = request.check(&packet);
    assert_eq!(checked == Err(ReplyError::OtherTag), !whole);
    if let Ok(reply) = checked {
        assert_eq!(Response { code: Code::new(data[0]), facts: facts_of(&reply) }.v2_packet(tag), data);
        is_usable(&reply);
    }
    let other = if tag.is_empty() { b"x".to_vec() } else { tag.iter().map(|byte| byte ^ 1).collect() };
    let request = ClientRequest::v2(&Credentials::new(), &other).expect("a tag fits");
    assert_eq!(request.check(&packet), Err(ReplyError::OtherTag));
}

fn encodes_to_itself(request: &Request<'_>, data: &[u8], single: CredentialType) {
    let credentials: Vec<_> = request.credentials().map(|item| (item.kind, item.value.expose())).collect();
    let mut packet = Packet::new();
    match request.envelope() {
        Envelope::V1 => {
            let secrets: Vec<_> = credentials.iter().skip(2).map(|(_, value)| SecretRef::new(value)).collect();
            let [account, domain] = [request.account(), request.domain()].map(|name| name.expect("always there"));
            encode_v1_request(account, domain, &secrets, &mut packet).expect("it came in a packet");
            assert_eq!(*packet, *data);
        }
        Envelope::V2 { tag } => {
            encode_v2_request(tag, request.credentials(), &mut packet).expect("it came in a packet");
            assert_eq!(packet.len(), data.len(), "only the order may change");
        }
    }
    let again = Request::decode(&packet, single).expect("it was encoded here");
    assert_eq!(again.envelope(), request.envelope());
    let decoded: Vec<_> = again.credentials().map(|item| (item.kind, item.value.expose())).collect();
    assert_eq!(decoded, credentials);
}

/// Answers a packet with both kinds of patience, and refuses it, and checks all that every answer has in common.
fn answers(puppet: Puppet, policy: Policy, packet: &[u8]) {
    let told = Record::default();
    let steps = puppet.steps.clone();
    let server = Answerer::new(puppet, policy, told.clone());
    let mut first = Packet::new();
    match server.answer(packet, &mut first, Patience::Immediate) {
        Outcome::Deferred(cost) => {
            assert_ne!(cost, Cost::Inline);
            assert_eq!(told.take(), [], "nothing was decided");
        }
        Outcome::Answered(code) => fits(packet, &first, code, &told.take()),
    }
    let inline = first.to_vec();
    let _ = steps.take();
    let mut out = Packet::new();
    let Outcome::Answered(code) = server.answer(packet, &mut out, Patience::Blocking) else {
        panic!("whoever can wait gets an answer")
    };
    fits(packet, &out, code, &told.take());
    assert!(inline.is_empty() || inline == *out, "patience changes no answer");
    if Request::decode(packet, CredentialType::PASSWORD).is_err() {
        assert_eq!((code, steps.take()), (Code::BAD_CLIENT_DATA, Vec::new()), "no module sees what cannot be read");
    }
    let code = server.refuse(packet, &mut out, Temporary::IO);
    assert!(matches!(code, Code::IO | Code::BAD_CLIENT_DATA));
    fits(packet, &out, code, &told.take());
}

/// A response has the shape of its request, at most 512 bytes and the facts that its code may have; one was told of it.
fn fits(packet: &[u8], response: &[u8], code: Code, told: &[Told]) {
    assert!(response.len() <= PACKET_MAX);
    assert!(matches!(told, [Told::Answered(logged, ..)] if *logged == code), "{told:?}");
    let reply = decode_reply(envelope_of(packet), &Bytes::copy_from_slice(response), None).expect("well formed");
    assert_eq!(reply.code, code);
    let mut kinds = reply.facts.iter().map(|fact| fact.kind);
    match code {
        Code::SUCCESS => {}
        Code::REJECTED => assert!(matches!((kinds.next(), kinds.next()), (None | Some(FactType::OUT_OF_SCOPE), None))),
        _ => {
            assert_eq!(kinds.next(), None, "facts of a temporary failure");
            assert_eq!(wire::is_refusal(response), code.byte() > 2, "no server answers it");
        }
    }
}

/// What SPEC section 2 says about the shape of an answer.
fn envelope_of(packet: &[u8]) -> Envelope<'_> {
    if packet.first() == Some(&2) { tag_of(packet) } else { Envelope::V1 }
}

/// The tag behind the first byte, empty where it is not whole.
fn tag_of(packet: &[u8]) -> Envelope<'_> {
    let length = packet.get(1).map_or(0, |&length| usize::from(length));
    Envelope::V2 { tag: packet.get(2..).and_then(|rest| rest.get(..length)).unwrap_or_default() }
}

fn facts_of(reply: &wire::Reply) -> Vec<(FactType, Vec<u8>)> {
    reply.facts.iter().map(|fact| (fact.kind, fact.value.to_vec())).collect()
}

fn is_usable(reply: &wire::Reply) {
    assert!(!reply.code.is_success() || FactType::REQUIRED.iter().all(|&kind| reply.facts.get(kind).is_some()));
    for fact in reply.facts.iter().filter(|fact| fact.kind.is_integer()) {
        assert!(parse_integer(&fact.value).is_some());
    }
}

fn check_round_trip(u: &mut Unstructured<'_>) -> Result<()> {
    let mut packet = Packet::new();
    let v1 = V1Request::arbitrary(u)?;
    encode_v1_request(&v1.account, &v1.domain, &v1.secrets(), &mut packet).expect("it fits");
    assert_eq!(*packet, *v1.packet());
    request(&packet);

    let v2 = V2Request::arbitrary(u)?;
    encode_v2_request(&v2.tag, v2.secrets(), &mut packet).expect("it fits");
    assert_eq!(*packet, *v2.packet());
    request(&packet);

    let response = Response::arbitrary(u)?;
    writes(&response, Envelope::V1, response.fits_v1(), &response.v1_packet());
    let tag: &[u8] = &v2.tag;
    writes(&response, Envelope::V2 { tag }, response.fits_v2(tag), &response.v2_packet(tag));
    Ok(())
}

/// The facts of a success are written as `expected`, or, if they do not fit, code 3 is.
fn writes(response: &Response, envelope: Envelope<'_>, fits: bool, expected: &[u8]) {
    let mut packet = Packet::new();
    let written = wire::success(envelope, &mut packet, |writer| {
        response.facts.iter().for_each(|(kind, value)| writer.string(*kind, value));
        Ok::<_, MalformedKind>(())
    });
    if fits {
        assert_eq!((written, &*packet), (Ok(Code::SUCCESS), expected));
    } else {
        assert_eq!(written, Ok(Code::BAD_MODULE_DATA));
    }
    let reply = decode_reply(envelope, &Bytes::copy_from_slice(&packet), None).expect("well formed");
    assert_eq!(facts_of(&reply), if fits { response.facts.clone() } else { Vec::new() });
}

/// Makes up a module and a policy.
fn script(u: &mut Unstructured<'_>) -> Result<(Puppet, Policy)> {
    const COSTS: [Cost; 3] = [Cost::Inline, Cost::Cpu, Cost::Wait];
    let scope = *u.choose(&[None, Some(Scope::In), Some(Scope::Out)])?;
    let temporary = Temporary::new(Code::new(u.arbitrary()?)).unwrap_or(Temporary::IO);
    let decoy = if u.arbitrary()? { Some(Target::Decoy) } else { None };
    let puppet = Puppet {
        accepts: *u.choose(&[Accepts::Password, Accepts::PasswordOrResponse, Accepts::Anything])?,
        lookup_cost: *u.choose(&COSTS)?,
        authenticate_cost: *u.choose(&COSTS)?,
        found: *u.choose(&[Ok(Lookup::Known(Target::Real)), Ok(Lookup::Unknown { scope, decoy }), Err(temporary)])?,
        verdict: *u.choose(&[Ok(Verdict::Accepted), Ok(Verdict::Rejected { scope }), Err(temporary)])?,
        results: *u.choose(&[Ok(()), Ok(()), Err(temporary)])?,
        facts: Response::arbitrary(u)?.facts,
        ..Puppet::default()
    };
    let secret = Secret::new(u.choose(&[b"".as_slice(), b"s"])?);
    let policy = if u.arbitrary()? { Policy::Authenticate } else { Policy::Lookup { secret } };
    Ok((puppet, policy))
}
