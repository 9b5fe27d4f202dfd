//! The modules of CVM: where accounts and stored passwords are.
//!
//! Each implements [`cvm_core::module::Module`]; none sees a socket or the environment. Settings come in as plain
//! structs, and what an administrator should read goes out through [`Notices`].

mod notices;
pub mod password;
pub mod pwfile;
mod sys;
#[cfg(test)]
mod testing;
pub mod unix;
mod watched;

pub use notices::Notices;
