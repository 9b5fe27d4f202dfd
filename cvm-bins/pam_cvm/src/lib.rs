//! `pam_cvm.so`: a module for PAM that asks CVM modules about the users of an application.
//!
//! [`libpam`] is the border to C and all that is unsafe; each of PAM's calls comes in there, as a function of
//! [`groups`] with a [`Handle`](libpam::Handle) in the place of pointers. [`arguments`] reads the line of the
//! configuration, [`question`] asks, and [`status`] is what PAM is told.
//!
//! The library lives in processes of others. It has no state but that its panics are silent, starts neither threads nor programs, reads no variable of
//! the environment, which may be that of whoever called a setuid program, and bounds every wait.

pub mod arguments;
pub mod groups;
pub mod libpam;
pub mod question;
pub mod status;
