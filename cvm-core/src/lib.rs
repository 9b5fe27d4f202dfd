//! The CVM protocol as a pure state machine: bytes in, decisions and bytes out.
//!
//! CVM validates credentials for mail systems: a client sends an account, a domain and a password or
//! challenge-response, and a module says "valid, and here are the facts", "wrong", or "cannot tell now". This crate
//! speaks both versions of the protocol and decides everything that the protocol decides. It never touches a socket,
//! a file, a clock, the environment, a random generator or a thread: each comes in as an argument. Drivers that do are
//! `cvm-io-blocking` and its siblings; you can write your own.
//!
//! # Serving
//!
//! 1. Join a [`Module`](module::Module), a [`Policy`] and an [`Observer`](observe::Observer) into an
//!    [`Answerer`](answer::Answerer).
//! 2. Receive packets: a datagram is one; a stream becomes one through [`framing::Framing`].
//! 3. Once a round, call [`refresh`](answer::Answer::refresh).
//! 4. For each packet, call [`answer`](answer::Answer::answer). In an event loop, with
//!    [`Patience::Immediate`](answer::Patience): what is [`Deferred`](answer::Outcome::Deferred) goes to a worker, which may
//!    answer several together by [`answer_all`](answer::Answer::answer_all).
//! 5. Call [`end_round`](answer::Answer::end_round), then send the answers.
//!
//! [`answer_packet`](answer::answer_packet) does the fourth step for a server that outlives a module that panics, and
//! [`driver`] has what else drivers need: what is in hand already, and counts.
//!
//! ```
//! use cvm_core::answer::{Answer, Answerer, Outcome, Patience};
//! use cvm_core::module::{Lookup, Module, Temporary, Verdict};
//! use cvm_core::wire::{FactWriter, Packet, Request};
//! use cvm_core::{Code, Policy, StandardFacts};
//!
//! struct OneAccount;
//!
//! impl Module for OneAccount {
//!     type Account = ();
//!
//!     fn lookup(&self, request: &Request<'_>) -> Result<Lookup<()>, Temporary> {
//!         let known = request.account() == Some(b"alice");
//!         Ok(if known { Lookup::Known(()) } else { Lookup::Unknown { scope: None, decoy: Some(()) } })
//!     }
//!
//!     fn authenticate(&self, (): &(), request: &Request<'_>) -> Result<Verdict, Temporary> {
//!         Ok(Verdict::from_match(request.password().is_some_and(|password| password.equals(b"secret"))))
//!     }
//!
//!     fn results(&self, (): &(), facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
//!         facts.standard(&StandardFacts { username: b"alice", directory: b"/home/alice", ..Default::default() });
//!         Ok(())
//!     }
//! }
//!
//! let server = Answerer::new(OneAccount, Policy::Authenticate, ());
//! let mut out = Packet::new();
//! let packet = b"\x02\x01T\x01\x05alice\x03\x06secret\x00";
//! assert_eq!(server.answer(packet, &mut out, Patience::Immediate), Outcome::Answered(Code::SUCCESS));
//! assert_eq!(out[..3], *b"\x00\x01T");
//! ```
//!
//! `examples/` has the whole of it in tokio (`tokio_server`) and in a bare loop around epoll (`epoll_server`).
//!
//! # Serving step by step
//!
//! The steps of a [`Module`](module::Module) are ordinary calls. A backend that is asynchronous takes each packet
//! through an [`Exchange`](exchange::Exchange) instead, and may wait between the steps for as long as it likes; none of
//! them can be left out, and whatever stops a request on the way is a [`Refusal`](exchange::Refusal) to be written like any
//! answer. The example `async_backend` is such a server.
//!
//! ```
//! use cvm_core::exchange::{AfterLookup, Exchange, Refusal};
//! use cvm_core::module::{Accepts, Lookup, Verdict};
//! use cvm_core::wire::{Packet, Request};
//! use cvm_core::{Code, Policy, StandardFacts};
//!
//! /// Asks something far away.
//! async fn knows(account: Option<&[u8]>) -> bool {
//!     account == Some(b"alice")
//! }
//!
//! async fn answer<'p>(policy: &Policy, packet: &'p [u8], out: &mut Packet) -> Result<Code, Refusal<'p>> {
//!     let exchange = Exchange::begin(policy, Accepts::Password, packet)?;
//!     let known = knows(exchange.request().account()).await;
//!     let found = if known { Lookup::Known("alice") } else { Lookup::Unknown { scope: None, decoy: None } };
//!     let granted = match exchange.looked_up(Ok(found))? {
//!         AfterLookup::Granted(granted) => granted,
//!         AfterLookup::Authenticate(claim) => {
//!             let right = claim.request().password().is_some_and(|password| password.equals(b"secret"));
//!             claim.judged(Ok(Verdict::from_match(right)))?
//!         }
//!     };
//!     Ok(granted.results(out, |name, facts| {
//!         let username = name.as_bytes();
//!         facts.standard(&StandardFacts { username, directory: b"/home/alice", ..Default::default() });
//!         Ok(())
//!     }))
//! }
//!
//! # fn run<T>(future: impl Future<Output = T>) -> T {
//! #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! #     match std::pin::pin!(future).poll(&mut context) {
//! #         std::task::Poll::Ready(result) => result,
//! #         std::task::Poll::Pending => panic!("nothing here waits"),
//! #     }
//! # }
//! let (mut out, packet) = (Packet::new(), b"\x02\x01T\x01\x05alice\x03\x06secret\x00");
//! assert_eq!(run(answer(&Policy::Authenticate, packet, &mut out)).unwrap(), Code::SUCCESS);
//! let refusal = run(answer(&Policy::Authenticate, b"\x01alice\0\0wrong\0\0", &mut out)).unwrap_err();
//! assert_eq!((refusal.write(&mut out), &out[..]), (Code::REJECTED, &b"\x64\0"[..]));
//! ```
//!
//! # Asking
//!
//! 1. Parse a [`ModuleList`](client::ModuleList); split the [`Account`](account::Account).
//! 2. Build a [`ClientRequest`](client::ClientRequest) with random bytes if the list
//!    [needs a tag](client::ModuleList::needs_tag).
//! 3. Ask the modules in turn until [`ends_chain`](client::ends_chain); check each response with
//!    [`ClientRequest::check`](client::ClientRequest::check). Over UDP, a [`UdpExchange`](client::UdpExchange) says
//!    when to send and how long to wait.
//!
//! ```
//! use bytes::Bytes;
//! use cvm_core::account::Account;
//! use cvm_core::client::{ClientRequest, Credentials, ModuleList, ends_chain};
//! use cvm_core::wire::ReplyError;
//! use cvm_core::{FactType, SecretRef};
//!
//! let modules = ModuleList::parse(b"cvm-local:/run/cvm,cvm-udp:cvm.example:791").unwrap();
//! let account = Account::split(b"alice@example.com", b"", b"@");
//! let tag: &[u8] = if modules.needs_tag() { b"8 random" } else { b"" };
//! let credentials = Credentials::of_password(account, SecretRef::new(b"secret"));
//! let request = ClientRequest::v2(&credentials, tag).unwrap();
//! assert!(request.bytes().starts_with(b"\x02\x088 random\x01\x05alice\x02\x0bexample.com"));
//!
//! // What came back from the first of them; an answer with another tag is somebody else's.
//! let reply = request.check(&Bytes::from_static(b"\0\x088 random\x01\x01a\x02\x011\x03\x011\x05\x01/\0")).unwrap();
//! assert!(ends_chain(&reply) && reply.facts.get(FactType::USERNAME) == Some(b"a"));
//! assert_eq!(request.check(&Bytes::from_static(b"\0\x01x\0")), Err(ReplyError::OtherTag));
//! ```
//!
//! `cvm-io-blocking` and `cvm-io-smol` have clients that do all this.
//!
//! Mail protocols learn what to ask from their clients by SASL: [`sasl`] has the sessions.

#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

pub mod account;
pub mod answer;
pub mod challenge;
pub mod checkpassword;
pub mod client;
pub mod driver;
pub mod exchange;
pub mod framing;
pub mod hex;
pub mod module;
pub mod observe;
pub mod sasl;
pub mod wire;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

mod code;
mod credential;
mod fact;
mod secret;

pub use code::Code;
pub use credential::{Credential, CredentialType};
pub use exchange::Policy;
pub use fact::{FactType, Scope, StandardFacts, parse_integer};
pub use secret::{Secret, SecretRef};
