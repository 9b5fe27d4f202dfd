//! The modules of CVM: where accounts and stored passwords are.
//!
//! Each implements [`cvm_core::module::Module`]; none sees a socket or the environment. Settings come in as plain
//! structs, and what an administrator should read goes out through [`Notices`].

pub mod authuser;
pub mod chain;
pub mod password;
pub mod pwfile;
pub mod qmail;
pub mod sql;
pub mod unix;
pub mod vchkpw;
pub mod vmailmgr;

mod cdb;
mod halt;
mod judge;
mod notices;
mod replace;
mod stamp;
mod sys;
mod tables;
mod watched;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use notices::Notices;
