//! The drivers over real sockets and processes.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod client_chain;
mod client_command;
mod client_local;
mod client_udp;
mod command_mode;
mod server_local;
mod server_stop;
mod server_udp;
mod support;
