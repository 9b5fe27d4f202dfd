//! Support for tests that run the built programs: files, processes, servers, packets.
//!
//! The programs are those that were built into the folder of the test executable, or those in `$CVM_TEST_BIN`; build
//! them first: `cargo build --workspace --bins --examples && cargo test -p cvm-tests`. The original's are those of the
//! Debian package `cvm` in `/usr/bin`. What is missing is a failure that says what to do, never a test that is passed
//! over.
//!
//! Every test has a [`Folder`](folder::Folder) and [ports](server::free_port) of its own, so all may run at a time, and
//! every process is ended with the value that stands for it.

pub mod base64;
pub mod contact;
pub mod database;
pub mod driven;
pub mod findings;
pub mod folder;
pub mod packet;
pub mod pam;
pub mod prefix;
pub mod process;
pub mod programs;
pub mod server;
pub mod service;
pub mod station;
pub mod talk;
pub mod trouble;

/// Variables for a program's environment.
pub type Settings<'a> = &'a [(&'a str, &'a str)];
