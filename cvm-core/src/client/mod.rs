//! The client's side: whom to ask, what to send, what to make of the answer. Sending and waiting is a driver's part.

mod credentials;
mod endpoint;
mod request;
mod udp;

pub use credentials::Credentials;
pub use endpoint::{Endpoint, ModuleError, ModuleList};
pub use request::ClientRequest;
pub use udp::{UdpExchange, UdpStep};

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
