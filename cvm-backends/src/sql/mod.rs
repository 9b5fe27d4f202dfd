//! Accounts in a database.

mod template;

pub use template::{Dialect, Mistake, Statement, Template, TemplateError};

#[cfg(any(test, feature = "testing"))]
pub(crate) use template::check::check;
