//! The version 2 layout: a tag, then strings behind their length bytes (the manual's `protocol-2` page).

use super::reader::Reader;
use super::request::{Envelope, MalformedKind, Request, Standard};
use super::response::{Fact, Facts};
use super::{Packet, RequestError};
use crate::credential::{Credential, CredentialType};
use crate::fact::FactType;
use crate::secret::SecretRef;

/// Reads the tag, which follows the version byte of a request and the code of a response.
pub(super) fn envelope<'p>(reader: &mut Reader<'p>) -> Result<Envelope<'p>, MalformedKind> {
    Ok(Envelope::V2 { tag: reader.counted()? })
}

/// Reads the credentials and the final NUL.
pub(super) fn parse_request<'p>(mut reader: Reader<'p>, envelope: Envelope<'p>) -> Result<Request<'p>, MalformedKind> {
    let items = reader.rest();
    let mut standard = Standard::default();
    let mut seen = Seen::default();
    while let Some(kind) = CredentialType::new(reader.byte()?) {
        let value = reader.counted()?;
        if seen.again(kind) {
            return Err(MalformedKind::Repeated);
        }
        standard.set(kind, value);
    }
    reader.end()?;
    Ok(Request { envelope, standard, items })
}

/// Walks over items that [`parse_request`] has found whole.
pub(super) fn items(items: &[u8]) -> impl Iterator<Item = Credential<'_>> {
    let mut reader = Reader::new(items);
    core::iter::from_fn(move || {
        let kind = CredentialType::new(reader.byte().ok()?)?;
        let value = SecretRef::new(reader.counted().ok()?);
        Some(Credential { kind, value })
    })
}

pub(super) fn encode_request<'a>(
    tag: &[u8],
    credentials: impl IntoIterator<Item = Credential<'a>>,
    out: &mut Packet,
) -> Result<(), RequestError> {
    out.extend(&[2, u8::try_from(tag.len()).map_err(|_| RequestError::TagTooLong)?])?;
    out.extend(tag)?;
    let mut seen = Seen::default();
    for Credential { kind, value } in credentials {
        let value = value.expose();
        let length = u8::try_from(value.len()).map_err(|_| RequestError::ValueTooLong(kind.number()))?;
        if seen.again(kind) {
            return Err(RequestError::Repeated(kind.number()));
        }
        out.extend(&[kind.number(), length])?;
        out.extend(value)?;
    }
    Ok(out.extend(&[0])?)
}

/// Reads the facts of a response and its final NUL.
pub(super) fn parse_facts(mut reader: Reader<'_>, packet: &bytes::Bytes) -> Result<Facts, MalformedKind> {
    let mut facts = Facts::default();
    while let Some(kind) = FactType::new(reader.byte()?) {
        facts.push(Fact { kind, value: packet.slice_ref(reader.counted()?) });
    }
    reader.end()?;
    Ok(facts)
}

/// Which of the types that may come once have come.
#[derive(Default)]
struct Seen(u128);

impl Seen {
    /// Notes the type and tells whether it had come before and must not come again.
    fn again(&mut self, kind: CredentialType) -> bool {
        if kind.may_repeat() {
            return false;
        }
        let bit = 1_u128.wrapping_shl(u32::from(kind.number()));
        let again = self.0 & bit != 0;
        self.0 |= bit;
        again
    }
}
