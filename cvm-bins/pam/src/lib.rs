//! `cvm-pam`: a CVM module that asks PAM. It has a package of its own so that no other program is linked with libpam.

pub mod pam;
pub mod program;
pub mod transaction;
