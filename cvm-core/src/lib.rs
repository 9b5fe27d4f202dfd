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
//!    [`Patience::Immediate`](answer::Patience): what is [`Deferred`](answer::Outcome::Deferred) goes to a worker.
//! 5. Call [`end_round`](answer::Answer::end_round), then send the answers.
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
//! # Asking
//!
//! 1. Parse a [`ModuleList`](client::ModuleList); split the [`Account`](account::Account).
//! 2. Build a [`ClientRequest`](client::ClientRequest) with random bytes if the list
//!    [needs a tag](client::ModuleList::needs_tag).
//! 3. Ask the modules in turn until [`ends_chain`](client::ends_chain); check each response with
//!    [`ClientRequest::check`](client::ClientRequest::check). Over UDP, a [`UdpExchange`](client::UdpExchange) says
//!    when to send and how long to wait.
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
pub mod exchange;
pub mod framing;
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
