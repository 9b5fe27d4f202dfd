//! The bodies of the fuzz targets: each takes any bytes and panics if something does not hold that always must.

mod packets;
mod sasl;
mod udp;

use std::time::Instant;

use arbitrary::{Result, Unstructured};

pub use packets::{answer, request, response_v1, response_v2, round_trip};
pub use sasl::sasl;
pub use udp::udp;

use super::value::{V1Request, V2Request, string};
use crate::account::Account;
use crate::challenge::{ChallengeResponse, Mechanism};
use crate::checkpassword::{RECORD_MAX, Record};
use crate::client::{Endpoint, ModuleList};
use crate::credential::CredentialType;
use crate::framing::{Framing, Progress};
use crate::wire::{PACKET_MAX, Request};

/// A stream cut into any pieces gives the packet that it gives in one, and no byte beyond the 513th.
pub fn framing(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let cuts = string(&mut u).unwrap_or_default();
    let stream = u.take_rest();
    let whole = &stream[..stream.len().min(PACKET_MAX + 1)];
    assert_eq!(framed(stream, &[]), whole, "in one piece");
    assert_eq!(framed(stream, &cuts), whole, "in pieces");
}

/// Feeds a stream in pieces of the given sizes, then in pieces as large as there is space for.
fn framed(mut stream: &[u8], sizes: &[u8]) -> Vec<u8> {
    let mut framing = Framing::new(None);
    let mut sizes = sizes.iter();
    while framing.progress() != Progress::Complete {
        let space = framing.space();
        assert!(!space.is_empty(), "there is space until the packet is complete");
        let size = sizes.next().map_or(usize::MAX, |&size| usize::from(size).max(1));
        let count = size.min(space.len()).min(stream.len());
        let (piece, rest) = stream.split_at(count);
        space[..count].copy_from_slice(piece);
        stream = rest;
        let progress = framing.handle_input(count);
        assert_eq!(progress, framing.progress());
        let length = framing.packet().len();
        assert_eq!(progress == Progress::Complete, count == 0 || length > PACKET_MAX);
        assert_eq!(progress == Progress::OneMoreIfThere, count > 0 && length == PACKET_MAX);
    }
    framing.packet().to_vec()
}

/// A module list that can be read has as many modules as elements, each of which prints as what reads back the same.
pub fn modules(data: &[u8]) {
    let _ = Endpoint::parse(data).map(|endpoint| prints_back(&endpoint));
    let Ok(list) = ModuleList::parse(data) else {
        return;
    };
    assert_eq!(list.endpoints().len(), data.split(|&byte| byte == b',').count());
    list.endpoints().iter().for_each(prints_back);
    let udp = list.endpoints().iter().any(|endpoint| matches!(endpoint, Endpoint::Udp { .. }));
    assert_eq!(list.needs_tag(), udp);
}

fn prints_back(endpoint: &Endpoint) {
    let text = match endpoint {
        // A path that is no text can only be printed with replacements.
        Endpoint::Command(path) | Endpoint::Local(path) if core::str::from_utf8(path).is_err() => return,
        _ => endpoint.to_string(),
    };
    assert_eq!(Endpoint::parse(text.as_bytes()).as_ref(), Ok(endpoint), "{text}");
}

/// An account is cut at the last split character or not at all, and nothing of it is lost.
pub fn account(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let split_chars = string(&mut u).unwrap_or_default();
    let domain = string(&mut u).unwrap_or_default();
    let name = u.take_rest();
    let account = Account::split(name, &domain, &split_chars);
    if name.iter().any(|byte| split_chars.contains(byte)) {
        let tail = account.domain.expect("what is cut has a domain");
        assert!(!tail.iter().any(|byte| split_chars.contains(byte)), "cut at the last one");
        let at = account.name.len();
        assert!(split_chars.contains(&name[at]));
        assert_eq!((account.name, tail), (&name[..at], &name[at + 1..]));
    } else {
        assert_eq!(account, Account::whole(name, &domain));
        assert_eq!(account.domain.unwrap_or_default(), domain);
    }
}

/// A record of checkpassword is read as it is written, or is too long, or lacks a NUL.
pub fn checkpassword(data: &[u8]) {
    let fields: Vec<&[u8]> = data.split(|&byte| byte == 0).collect();
    let Ok(record) = Record::parse(data) else {
        assert!(data.len() > RECORD_MAX || fields.len() < 3, "it has an account and a password");
        return;
    };
    assert!(data.len() <= RECORD_MAX);
    assert_eq!([record.account, record.password.expose(), record.timestamp.unwrap_or_default()], fields[..3]);
    assert_ne!(record.timestamp, Some(&b""[..]));
    let hex = fields[1].len() == 32 && fields[1].iter().all(u8::is_ascii_hexdigit);
    let apop = record.apop().map(|(timestamp, digest)| (timestamp, digest.expose()));
    assert_eq!(apop, (hex && !fields[2].is_empty()).then(|| (fields[2], fields[1])));
}

/// The right response to a challenge is right in each of its forms, and every other one is wrong.
pub fn challenge(data: &[u8]) {
    let _ = check_challenge(&mut Unstructured::new(data));
}

fn check_challenge(u: &mut Unstructured<'_>) -> Result<()> {
    let mechanism = if u.arbitrary()? { Mechanism::Apop } else { Mechanism::CramMd5 };
    let challenge = string(u)?;
    let password = string(u)?;
    let raw = mechanism.response(&challenge, &password);
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    let mixed =
        hex.bytes().map(|digit| if u.ratio(1, 2).unwrap_or(false) { digit.to_ascii_uppercase() } else { digit });
    let forms = [raw.to_vec(), mixed.collect(), hex.into_bytes()];
    let any = u.bytes(u.len())?;
    for version_1 in [false, true] {
        for form in &forms {
            // What does not fit as it is, is no challenge-response.
            if let Some(right) = is_right(version_1, mechanism, &challenge, form, &password) {
                assert!(right, "{mechanism:?} {version_1} {form:?}");
            }
        }
        let judged = is_right(version_1, mechanism, &challenge, any, &password);
        let right = judged == Some(true);
        let other = if mechanism == Mechanism::Apop { Mechanism::CramMd5 } else { Mechanism::Apop };
        let possible = [mechanism, other].map(|mechanism| mechanism.response(&challenge, &password));
        let count = if version_1 { 2 } else { 1 };
        let shifted = !version_1 && mechanism == Mechanism::CramMd5 && is_shifted(any, &possible[0]);
        assert!(!right || shifted || possible[..count].iter().any(|digest| is_form_of(any, digest)), "{any:?}");
        // An empty challenge is none, so that nobody judges even the right response to it.
        assert!(!shifted || judged != Some(false), "{any:?}");
    }
    Ok(())
}

/// Sends a response through a packet and lets the core judge it; `None` if the packet cannot carry it.
fn is_right(version_1: bool, mechanism: Mechanism, challenge: &[u8], response: &[u8], password: &[u8]) -> Option<bool> {
    let name = if mechanism == Mechanism::Apop { b"apop".to_vec() } else { b"Cram-MD5".to_vec() };
    let packet = if version_1 {
        let credentials = vec![challenge.to_vec(), response.to_vec()];
        V1Request { account: b"a".to_vec(), domain: Vec::new(), credentials }.packet()
    } else {
        let values = [challenge.to_vec(), response.to_vec(), name];
        let kinds = [CredentialType::CHALLENGE, CredentialType::RESPONSE, CredentialType::RESPONSE_TYPE];
        V2Request { tag: Vec::new(), credentials: kinds.into_iter().zip(values).collect() }.packet()
    };
    let request = Request::decode(&packet, CredentialType::PASSWORD).ok()?;
    let carried = |kind, sent: &[u8]| request.value(kind) == Some(sent);
    let whole = carried(CredentialType::CHALLENGE, challenge) && carried(CredentialType::RESPONSE, response);
    whole.then(|| ChallengeResponse::of(&request))?.map(|claim| claim.is_right(password))
}

/// Tells whether it is what the original's SASL library makes of a digest: an f in front, the last digit lost.
fn is_shifted(response: &[u8], digest: &[u8; 16]) -> bool {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    hex(response) == format!("f{}", &hex(digest)[..31])
}

fn is_form_of(response: &[u8], digest: &[u8; 16]) -> bool {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    response == digest || response.eq_ignore_ascii_case(hex.as_bytes())
}

/// Some time to count from.
#[expect(clippy::disallowed_methods, reason = "an `Instant` has no other source; only differences matter")]
fn some_time() -> Instant {
    Instant::now()
}
