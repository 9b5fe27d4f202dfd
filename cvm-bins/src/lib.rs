//! The programs of CVM. This crate owns the process: arguments, the environment, sockets, signals, logs and exit
//! statuses. It holds no decision of the protocol; [`cvm_core`] does.

mod access_log;
mod become_user;
mod caller;
mod limits;
mod runtime;
mod sockets;
mod sys;

// What a program is made of: also for the packages below this one.
pub mod asking;
pub mod environment;
pub mod memory;
pub mod program;
pub mod sasl;
pub mod serving;
pub mod start;
pub mod stop;

pub mod authuser;
pub mod chain;
pub mod checkpassword;
pub mod pwfile;
pub mod qmail;
pub mod qmail_authuser;
pub mod quickstart;
pub mod sasltest;
pub mod testclient;
pub mod unix;
pub mod vchkpw;
pub mod vmailmgr;
