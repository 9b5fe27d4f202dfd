//! The drivers over real sockets and programs, with a module that behaves as its accounts are called.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod client;
mod server;
mod support;
