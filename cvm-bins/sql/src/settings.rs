//! The settings that the modules have in common, each under a name of its own.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use cvm_backends::password::Comparison;
use cvm_backends::sql::{DEFAULT_QUERY, Dialect, Options, Statement, Template};
use cvm_bins::environment::{self, SettingError};

/// What the values of the settings mean, for `--help`.
pub(crate) const QUERY: &str = "the statement that finds an account; $account, $domain and $VARIABLE are values";
pub(crate) const POSTQ: &str = "a statement that is executed after a success";
pub(crate) const PWCMP: &str = "how passwords are stored: plain (the default), crypt, or auto";
pub(crate) const TIMEOUT: &str = "milliseconds that the database may take for a statement (5000)";

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// The variables of a module.
pub(crate) struct Names {
    pub(crate) query: &'static str,
    pub(crate) post: &'static str,
    pub(crate) comparison: &'static str,
    pub(crate) timeout: &'static str,
}

impl Names {
    /// Reads the settings.
    pub(crate) fn options(&self, dialect: Dialect) -> Result<Options, SettingError> {
        let query = environment::filled(self.query).unwrap_or_else(|| DEFAULT_QUERY.into());
        let post = environment::filled(self.post);
        let comparison =
            environment::parsed(self.comparison, "plain, crypt or auto", Comparison::from_setting)?.unwrap_or_default();
        Ok(Options {
            query: statement(self.query, &query, dialect)?,
            post: post.map(|post| statement(self.post, &post, dialect)).transpose()?,
            comparison,
            timeout: environment::parsed(self.timeout, "milliseconds from 1 to 2147483647", timeout)?
                .unwrap_or(DEFAULT_TIMEOUT),
        })
    }
}

/// SQLite takes no longer ones.
const LONGEST_TIMEOUT: Duration = Duration::from_millis(0x7fff_ffff);

fn timeout(value: &[u8]) -> Option<Duration> {
    environment::milliseconds(value).filter(|timeout| !timeout.is_zero() && *timeout <= LONGEST_TIMEOUT)
}

fn statement(name: &'static str, template: &[u8], dialect: Dialect) -> Result<Statement, SettingError> {
    let mistake = |error| SettingError::mistake(name, error);
    let template = Template::parse(template, dialect).map_err(mistake)?;
    template.fill(variable).map_err(mistake)
}

/// A name that no variable can have has no value.
fn variable(name: &str) -> Option<Vec<u8>> {
    let can_be = !name.contains(['=', '\0']);
    std::env::var_os(OsStr::new(name)).filter(|_| can_be).map(OsStringExt::into_vec)
}
