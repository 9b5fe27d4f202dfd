//! Packets of both protocol versions, in both directions.
//!
//! Versions 1 and 2 differ in how they delimit strings: version 1 ends each with NUL, version 2 puts a length byte
//! before it and repeats the request's tag in the response. What they have in common is in [`Request`] and [`Reply`].

mod packet;
mod reader;
mod request;
mod response;
mod v1;
mod v2;

pub use packet::{Full, Packet};
pub use request::{Envelope, Malformed, MalformedKind, Request, is_refusal};
pub use response::{Fact, FactWriter, Facts, Reply, ReplyError};

pub(crate) use response::{decode_reply, refusal, success};

/// The largest packet in either direction, in bytes (SPEC section 2).
pub const PACKET_MAX: usize = 512;

/// The longest string that version 2 can carry, in bytes.
pub const VALUE_MAX: usize = 255;

/// Builds a version 1 request: account, domain and any number of credentials.
///
/// # Errors
///
/// [`RequestError`] if a string holds a NUL byte or the packet would exceed 512 bytes; `out` is then empty.
pub fn encode_v1_request(
    account: &[u8],
    domain: &[u8],
    credentials: &[crate::secret::SecretRef<'_>],
    out: &mut Packet,
) -> Result<(), RequestError> {
    all_or_nothing(out, |out| v1::encode_request(account, domain, credentials, out))
}

/// Builds a version 2 request: a tag of up to 255 bytes and any number of credentials.
///
/// # Errors
///
/// [`RequestError`] if the tag or a value is longer than 255 bytes, a credential that may come once comes twice, or
/// the packet would exceed 512 bytes; `out` is then empty.
pub fn encode_v2_request<'a>(
    tag: &[u8],
    credentials: impl IntoIterator<Item = crate::credential::Credential<'a>>,
    out: &mut Packet,
) -> Result<(), RequestError> {
    all_or_nothing(out, |out| v2::encode_request(tag, credentials, out))
}

/// Why a request cannot be built: the caller's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The packet would be larger than 512 bytes.
    #[error("the request does not fit in 512 bytes")]
    TooLong,
    /// A value is longer than a length byte can say.
    #[error("credential {0} is longer than 255 bytes")]
    ValueTooLong(u8),
    /// The tag is longer than a length byte can say.
    #[error("the random tag is longer than 255 bytes")]
    TagTooLong,
    /// Version 1 has no way to send a NUL byte.
    #[error("protocol version 1 cannot send a NUL byte")]
    Nul,
    /// A credential that may come once comes twice.
    #[error("credential {0} is given twice")]
    Repeated(u8),
}

impl RequestError {
    /// Returns the code that the failure amounts to.
    #[must_use]
    pub const fn code(&self) -> crate::Code {
        crate::Code::GENERAL
    }
}

impl From<Full> for RequestError {
    fn from(_: Full) -> Self {
        Self::TooLong
    }
}

fn all_or_nothing<E>(out: &mut Packet, write: impl FnOnce(&mut Packet) -> Result<(), E>) -> Result<(), E> {
    out.clear();
    let result = write(out);
    if result.is_err() {
        out.clear();
    }
    result
}

#[cfg(test)]
mod tests;
