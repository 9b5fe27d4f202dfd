//! A request on its way: its bytes, and what its answer must look like.

use bytes::Bytes;

use super::Credentials;
use crate::code::Code;
use crate::secret::SecretRef;
use crate::wire::{self, Envelope, Packet, Reply, ReplyError, RequestError};

/// A request that a client sends, perhaps to several modules and several times, always the same bytes.
#[derive(Debug)]
pub struct ClientRequest {
    packet: Packet,
    version: Version,
}

#[derive(Clone, Copy, Debug)]
enum Version {
    V1,
    /// The tag stands in the packet, behind version and length, with this many bytes.
    V2 {
        tag: usize,
    },
}

impl ClientRequest {
    /// Builds a version 1 request: account, domain and any number of credentials.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if a string holds a NUL byte or all do not fit in 512 bytes.
    pub fn v1(account: &[u8], domain: &[u8], credentials: &[SecretRef<'_>]) -> Result<Self, RequestError> {
        let mut packet = Packet::new();
        wire::encode_v1_request(account, domain, credentials, &mut packet)?;
        Ok(Self { packet, version: Version::V1 })
    }

    /// Builds a version 2 request with a random tag of up to 255 bytes, empty where no module answers over UDP.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if a value is longer than 255 bytes, comes twice, or all do not fit in 512 bytes.
    pub fn v2(credentials: &Credentials, tag: &[u8]) -> Result<Self, RequestError> {
        let mut packet = Packet::new();
        wire::encode_v2_request(tag, credentials.iter(), &mut packet)?;
        Ok(Self { packet, version: Version::V2 { tag: tag.len() } })
    }

    /// Returns the bytes to send.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.packet
    }

    /// Reads a response to this request.
    ///
    /// # Errors
    ///
    /// [`ReplyError`]; one with another tag is no answer to this request.
    pub fn check(&self, response: &Bytes) -> Result<Reply, ReplyError> {
        wire::decode_reply(self.envelope(), response, None)
    }

    /// Reads the response of a command, whose exit status is the code.
    ///
    /// # Errors
    ///
    /// [`ReplyError`].
    pub fn check_command(&self, response: &Bytes, status: Code) -> Result<Reply, ReplyError> {
        wire::decode_reply(self.envelope(), response, Some(status))
    }

    fn envelope(&self) -> Envelope<'_> {
        match self.version {
            Version::V1 => Envelope::V1,
            Version::V2 { tag } => {
                Envelope::V2 { tag: self.packet.get(2..).and_then(|rest| rest.get(..tag)).unwrap_or_default() }
            }
        }
    }
}
