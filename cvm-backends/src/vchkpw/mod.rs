//! `cvm-vchkpw`: the accounts of vpopmail's domains.

#![cfg_attr(not(test), expect(dead_code, reason = "the module comes next"))]

mod login;
mod record;
mod service;

pub use login::is_domain;
pub use service::Service;
