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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::CredentialType;

    fn check(request: &ClientRequest, packet: &[u8]) -> Result<Code, ReplyError> {
        request.check(&Bytes::copy_from_slice(packet)).map(|reply| reply.code)
    }

    #[test]
    fn a_v2_request_is_answered_by_its_own_tag_only() {
        let request = ClientRequest::v2(&Credentials::new(), b"TAG").unwrap();
        assert_eq!(check(&request, b"\x04\x03TAG\0"), Ok(Code::IO));
        assert_eq!(check(&request, b"\x04\x03XXX\0"), Err(ReplyError::OtherTag));
        assert_eq!(check(&request, b"\x04\0"), Err(ReplyError::OtherTag));
    }

    #[test]
    fn without_a_tag_only_the_empty_one_is_right() {
        let request = ClientRequest::v2(&Credentials::new(), b"").unwrap();
        assert_eq!(check(&request, b"\x04\0\0"), Ok(Code::IO));
        assert_eq!(check(&request, b"\x04\x01T\0"), Err(ReplyError::OtherTag));
    }

    #[test]
    fn the_longest_tag_is_compared_to_its_last_byte() {
        let request = ClientRequest::v2(&Credentials::new(), &[7; 255]).unwrap();
        let mut packet = [b"\x04\xff".as_slice(), &[7; 255], b"\0"].concat();
        assert_eq!(check(&request, &packet), Ok(Code::IO));
        packet[256] = 8;
        assert_eq!(check(&request, &packet), Err(ReplyError::OtherTag));
    }

    #[test]
    fn a_v1_request_is_answered_without_a_tag() {
        let request = ClientRequest::v1(b"a", b"", &[]).unwrap();
        assert_eq!(request.bytes(), b"\x01a\0\0\0");
        assert_eq!(check(&request, b"\x04\0"), Ok(Code::IO));
    }

    #[test]
    fn the_status_of_a_command_is_its_code() {
        let request = ClientRequest::v2(&Credentials::new(), b"").unwrap();
        let reply = request.check_command(&Bytes::from_static(b"\x04\0\0"), Code::REJECTED).unwrap();
        assert_eq!(reply.code, Code::REJECTED);
    }

    #[test]
    fn what_does_not_fit_is_the_error_of_the_caller() {
        let credentials = Credentials::new().with(CredentialType::ACCOUNT, &[b'a'; 255]);
        assert!(ClientRequest::v2(&credentials, &[0; 252]).is_ok());
        assert_eq!(ClientRequest::v2(&credentials, &[0; 253]).unwrap_err(), RequestError::TooLong);
        assert_eq!(ClientRequest::v1(b"a\0", b"", &[]).unwrap_err(), RequestError::Nul);
    }

    #[test]
    fn printing_a_request_tells_no_secrets() {
        let credentials = Credentials::new().with(CredentialType::PASSWORD, b"hunter2");
        let printed = format!("{:?}", ClientRequest::v2(&credentials, b"").unwrap());
        assert!(!printed.contains("hunter2") && !printed.contains("104, 117"), "{printed}");
    }
}
