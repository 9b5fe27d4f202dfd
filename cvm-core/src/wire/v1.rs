//! The version 1 layout: strings that end with NUL (the manual's `protocol-1` page).

use super::reader::Reader;
use super::request::{Envelope, MalformedKind, Request, Standard};
use super::response::{Fact, Facts};
use super::{Packet, RequestError};
use crate::credential::CredentialType;
use crate::fact::FactType;
use crate::secret::SecretRef;

/// Reads what follows the version byte: account, domain, none to two credentials, the final NUL.
pub(super) fn parse_request(mut reader: Reader<'_>, single: CredentialType) -> Result<Request<'_>, MalformedKind> {
    let mut standard = Standard::default();
    standard.set(CredentialType::ACCOUNT, reader.until_nul()?);
    standard.set(CredentialType::DOMAIN, reader.until_nul()?);
    let mut credentials = [b"".as_slice(); 2];
    let mut count = 0_usize;
    // An empty credential is a NUL of its own, so only a NUL with nothing behind it ends the list.
    while reader.rest() != b"\0" {
        let value = reader.until_nul()?;
        *credentials.get_mut(count).ok_or(MalformedKind::TooMany)? = value;
        count = count.saturating_add(1);
    }
    let [first, second] = credentials;
    match count {
        0 => {}
        1 => standard.set(single, first),
        _ => {
            standard.set(CredentialType::CHALLENGE, first);
            standard.set(CredentialType::RESPONSE, second);
        }
    }
    Ok(Request { envelope: Envelope::V1, standard, items: b"" })
}

pub(super) fn encode_request(
    account: &[u8],
    domain: &[u8],
    credentials: &[SecretRef<'_>],
    out: &mut Packet,
) -> Result<(), RequestError> {
    out.extend(&[1])?;
    let strings = [account, domain].into_iter().chain(credentials.iter().map(|secret| secret.expose()));
    for string in strings {
        if string.contains(&0) {
            return Err(RequestError::Nul);
        }
        out.extend(string)?;
        out.extend(&[0])?;
    }
    Ok(out.extend(&[0])?)
}

/// Reads the facts of a response and its final NUL.
pub(super) fn parse_facts(mut reader: Reader<'_>, packet: &bytes::Bytes) -> Result<Facts, MalformedKind> {
    let mut facts = Facts::default();
    while let Some(kind) = FactType::new(reader.byte()?) {
        facts.push(Fact { kind, value: packet.slice_ref(reader.until_nul()?) });
    }
    reader.end()?;
    Ok(facts)
}
