//! The modules of CVM that ask databases. They have a package of their own, with a feature for each, so that no other
//! program is built with their drivers.

#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "pgsql")]
pub mod pgsql;
#[cfg(feature = "sqlite")]
pub mod sqlite;

mod settings;
