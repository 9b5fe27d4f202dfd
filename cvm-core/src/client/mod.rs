//! The client's side: whom to ask, what to send, what to make of the answer. Sending and waiting is a driver's part.

mod credentials;
mod endpoint;
mod request;
mod udp;
mod variables;

pub use credentials::Credentials;
pub use endpoint::{Endpoint, ModuleError, ModuleList};
pub use request::ClientRequest;
pub use udp::{CLIENT_PATIENCE, UdpExchange, UdpFailure, UdpStep};
pub use variables::{variable_names, variables};

use crate::fact::Scope;
use crate::wire::Reply;

/// Tells whether a reply ends a chain of modules, or the next one is to be asked (SPEC section 7).
///
/// Only a code 100 goes on, and only if the module did not say that the account is its own.
///
/// ```
/// use cvm_core::{Code, client::ends_chain, wire::Reply};
///
/// assert!(ends_chain(&Reply::failure(Code::IO)));
/// assert!(!ends_chain(&Reply::failure(Code::REJECTED)));
/// ```
#[must_use]
pub fn ends_chain(reply: &Reply) -> bool {
    !reply.code.is_rejected() || reply.scope() == Some(Scope::In)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;

    fn reply(packet: &'static [u8]) -> Reply {
        let request = ClientRequest::v1(b"a", b"", &[]).unwrap();
        request.check(&bytes::Bytes::from_static(packet)).unwrap()
    }

    #[test]
    fn a_success_ends_the_chain() {
        assert!(ends_chain(&reply(b"\0\x01u\0\x020\0\x030\0\x05d\0\0")));
    }

    #[test]
    fn every_temporary_failure_ends_the_chain() {
        for code in (0..=255).map(Code::new).filter(|code| code.is_temporary()) {
            assert!(ends_chain(&Reply::failure(code)), "{code}");
        }
    }

    #[test]
    fn a_rejection_in_scope_ends_the_chain() {
        assert!(ends_chain(&reply(b"d\x100\0\0")));
    }

    #[test]
    fn a_rejection_out_of_scope_goes_on() {
        assert!(!ends_chain(&reply(b"d\x101\0\0")));
        assert!(!ends_chain(&reply(b"d\x10255\0\0")));
    }

    #[test]
    fn a_rejection_without_a_scope_goes_on() {
        assert!(!ends_chain(&reply(b"d\0")));
    }
}
