//! The programs of CVM. This crate owns the process: arguments, the environment, sockets, signals, logs and exit
//! statuses. It holds no decision of the protocol; [`cvm_core`] does.

mod access_log;
mod asking;
mod environment;
mod program;
mod serving;
mod sockets;
mod stop;

pub mod pwfile;
pub mod quickstart;

pub mod testclient;
pub mod unix;
