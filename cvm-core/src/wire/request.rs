//! Requests, as a server reads them.

use core::fmt;

use super::reader::Reader;
use super::{PACKET_MAX, v1, v2};
use crate::credential::{Credential, CredentialType};
use crate::secret::SecretRef;

/// What a response must repeat of its request: the protocol version, and the tag of version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope<'p> {
    /// Version 1, which has no tag; packets of an unknown version are answered in this shape too.
    V1,
    /// Version 2 with its tag of up to 255 bytes.
    V2 {
        /// The random bytes that the response repeats.
        tag: &'p [u8],
    },
}

/// Why a packet cannot be read: the peer's fault, whatever it sent. The answer is code 2 in the shape of `envelope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Malformed<'p> {
    /// How to answer: with the request's tag where that is whole.
    pub envelope: Envelope<'p>,
    /// What is wrong.
    pub kind: MalformedKind,
}

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedKind {
    /// There is no byte at all.
    #[error("the packet is empty")]
    Empty,
    /// The packet is larger than 512 bytes.
    #[error("the packet is longer than 512 bytes")]
    TooLong,
    /// The first byte is neither 1 nor 2.
    #[error("the protocol version is unknown")]
    Version,
    /// A string runs past the end, or the final NUL is missing.
    #[error("the packet ends too early")]
    Truncated,
    /// There are bytes behind the final NUL.
    #[error("there are bytes behind the end")]
    TrailingBytes,
    /// A credential that may come once comes twice.
    #[error("a credential is repeated")]
    Repeated,
    /// A version 1 request carries more than two credentials.
    #[error("there are more than two credentials")]
    TooMany,
}

/// A request, borrowed from its packet: nothing is copied.
///
/// ```
/// use cvm_core::{CredentialType, wire::Request};
///
/// let packet = b"\x02\x00\x01\x05alice\x03\x06secret\x00";
/// let request = Request::decode(packet, CredentialType::PASSWORD).unwrap();
/// assert_eq!(request.account(), Some(&b"alice"[..]));
/// assert_eq!(request.domain(), None);
/// ```
#[derive(Clone, Copy)]
pub struct Request<'p> {
    pub(super) envelope: Envelope<'p>,
    pub(super) standard: Standard<'p>,
    /// The items of version 2 as they stand in the packet, for the types beyond the standard ones.
    pub(super) items: &'p [u8],
}

/// Tells whether a packet that is no request looks like a refusal: a code from 3 on, perhaps a tag, and nothing else.
///
/// A server passes over datagrams of this shape. Its answers to whatever else may come end in such a refusal when they
/// are taken for requests, so that no forged source address can set two servers on each other for ever.
///
/// ```
/// use cvm_core::wire::is_refusal;
///
/// assert!(is_refusal(b"\x64\0") && is_refusal(b"\x07\x02TT\0"));
/// assert!(!is_refusal(b"\x02\0") && !is_refusal(b"\x03\0\x01\x01a\0"));
/// ```
#[must_use]
pub fn is_refusal(packet: &[u8]) -> bool {
    let mut reader = Reader::new(packet);
    let is_code = reader.byte().is_ok_and(|code| code > 2);
    let is_v1 = reader.rest() == b"\0";
    is_code && (is_v1 || (reader.counted().is_ok() && reader.rest() == b"\0"))
}

impl<'p> Request<'p> {
    /// Reads one packet of either version.
    ///
    /// Version 1 does not say what its one credential is; `single` does: a password, or the secret in lookup mode.
    /// Hand over up to 513 bytes, so that a packet that is too long can be told from one of 512.
    ///
    /// # Errors
    ///
    /// [`Malformed`] for every packet that is not exactly what SPEC section 2 says, with the shape of the answer.
    pub fn decode(packet: &'p [u8], single: CredentialType) -> Result<Self, Malformed<'p>> {
        let mut reader = Reader::new(packet);
        let malformed = |envelope, kind| Malformed { envelope, kind };
        let version = reader.byte().map_err(|_| malformed(Envelope::V1, MalformedKind::Empty))?;
        let envelope = match version {
            1 => Envelope::V1,
            2 => v2::envelope(&mut reader).map_err(|kind| malformed(Envelope::V2 { tag: b"" }, kind))?,
            _ => return Err(malformed(Envelope::V1, MalformedKind::Version)),
        };
        if packet.len() > PACKET_MAX {
            return Err(malformed(envelope, MalformedKind::TooLong));
        }
        let parsed = match envelope {
            Envelope::V1 => v1::parse_request(reader, single),
            Envelope::V2 { .. } => v2::parse_request(reader, envelope),
        };
        parsed.map_err(|kind| malformed(envelope, kind))
    }

    /// Returns what the response must repeat.
    #[must_use]
    pub const fn envelope(&self) -> Envelope<'p> {
        self.envelope
    }

    /// Returns the account name, which may be empty.
    #[must_use]
    pub fn account(&self) -> Option<&'p [u8]> {
        self.value(CredentialType::ACCOUNT)
    }

    /// Returns the domain; version 1 always has one, which may be empty.
    #[must_use]
    pub fn domain(&self) -> Option<&'p [u8]> {
        self.value(CredentialType::DOMAIN)
    }

    /// Returns the plain-text password, which may be empty.
    #[must_use]
    pub fn password(&self) -> Option<SecretRef<'p>> {
        self.value(CredentialType::PASSWORD).map(SecretRef::new)
    }

    /// Returns the shared secret of lookup mode.
    #[must_use]
    pub fn secret(&self) -> Option<SecretRef<'p>> {
        self.value(CredentialType::SECRET).map(SecretRef::new)
    }

    /// Returns the standard credential (1 to 7) of this type.
    #[must_use]
    pub fn value(&self, kind: CredentialType) -> Option<&'p [u8]> {
        self.standard.get(kind)
    }

    /// Returns every credential: the standard ones in the order of their numbers, then all others as they came.
    pub fn credentials(&self) -> impl Iterator<Item = Credential<'p>> + use<'p> {
        let standard = self.standard;
        (1..=7)
            .filter_map(CredentialType::new)
            .filter_map(move |kind| standard.get(kind).map(|value| Credential { kind, value: SecretRef::new(value) }))
            .chain(v2::items(self.items).filter(|item| !item.kind.is_standard()))
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name: Option<&[u8]>| name.map(|name| name.escape_ascii().to_string());
        f.debug_struct("Request")
            .field("account", &text(self.account()))
            .field("domain", &text(self.domain()))
            .finish_non_exhaustive()
    }
}

/// The values of credentials 1 to 7.
#[derive(Clone, Copy, Default)]
pub(super) struct Standard<'p>([Option<&'p [u8]>; 7]);

impl<'p> Standard<'p> {
    pub(super) fn get(&self, kind: CredentialType) -> Option<&'p [u8]> {
        self.0.get(Self::slot(kind)).copied().flatten()
    }

    /// Stores the value if the type is a standard one.
    pub(super) fn set(&mut self, kind: CredentialType, value: &'p [u8]) {
        if let Some(slot) = self.0.get_mut(Self::slot(kind)) {
            *slot = Some(value);
        }
    }

    const fn slot(kind: CredentialType) -> usize {
        kind.number().wrapping_sub(1) as usize
    }
}

#[cfg(test)]
mod tests;
