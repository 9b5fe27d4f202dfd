//! The server over real sockets, with a module that behaves as its accounts are called.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod datagrams;
mod local;
mod own_work;
mod pools;
mod stop;
mod support;
