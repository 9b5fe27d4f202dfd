//! `cvm-vmailmgr`
mod record;
#[cfg(any(test, feature = "testing"))]
pub(crate) use record::check;
