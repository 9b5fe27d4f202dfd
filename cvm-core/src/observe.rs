//! Observing: being told of every answer, for logs and metrics.

use crate::code::Code;
use crate::wire::Request;

/// Is told of every answer and of the end of every round.
pub trait Observer: Send + Sync {
    /// A request was answered; called before the answer is sent.
    fn answered(&self, answered: &Answered<'_>);

    /// The requests of a round are answered: the place to write once what was collected.
    fn end_round(&self) {}
}

/// Observes nothing.
impl Observer for () {
    fn answered(&self, _: &Answered<'_>) {}
}

/// One answer and whom it was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered<'p> {
    /// The result.
    pub code: Code,
    /// The account that was asked for, as it was sent; `None` if the request has none or cannot be read.
    pub account: Option<&'p [u8]>,
    /// The domain that was asked for, as it was sent; `None` if the request has none, an empty one, or cannot be read.
    pub domain: Option<&'p [u8]>,
}

impl<'p> Answered<'p> {
    /// Describes the answer to a request that could be read, or to one that could not.
    #[must_use]
    pub fn new(code: Code, request: Option<&Request<'p>>) -> Self {
        let account = request.and_then(Request::account);
        let domain = request.and_then(Request::domain).filter(|domain| !domain.is_empty());
        Self { code, account, domain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CredentialType;

    fn answered(packet: &[u8]) -> Answered<'_> {
        let request = Request::decode(packet, CredentialType::PASSWORD).unwrap();
        Answered::new(Code::IO, Some(&request))
    }

    #[test]
    fn an_answer_names_account_and_domain_as_they_were_sent() {
        let expected = Answered { code: Code::IO, account: Some(b"A\0\n"), domain: Some(b"d") };
        assert_eq!(answered(b"\x02\x00\x01\x03A\0\n\x02\x01d\x00"), expected);
    }

    #[test]
    fn an_empty_domain_is_none_and_an_empty_account_is_one() {
        let expected = Answered { code: Code::IO, account: Some(b""), domain: None };
        assert_eq!(answered(b"\x01\0\0\0"), expected);
        assert_eq!(answered(b"\x02\x00\x00").account, None);
    }

    #[test]
    fn a_request_that_cannot_be_read_names_nobody() {
        let expected = Answered { code: Code::BAD_CLIENT_DATA, account: None, domain: None };
        assert_eq!(Answered::new(Code::BAD_CLIENT_DATA, None), expected);
    }
}
