//! `cvm-pgsql`: accounts in a database of PostgreSQL.
//!
//! Values go to the server as the text of parameters whose types it chooses itself, so that any column can be compared
//! with them. What is no value of the column's type is no account.

mod columns;
mod hosts;
mod parameters;
mod password;
mod session;
mod tls;

use std::time::Duration;

use cvm_backends::Notices;
use cvm_backends::sql::{Database, Dialect, Found, Sql, Trouble};
use cvm_bins::environment::SettingError;
use cvm_bins::program::Program;
use cvm_bins::serving;

use crate::settings::{self, Names};
use parameters::Parameters;
use session::Session;

const PROGRAM: Program = Program {
    arguments: serving::ARGUMENTS,
    about: "Validates credentials against a database of PostgreSQL. Without arguments it answers one request on standard input.",
    settings: &[
        ("CVM_PGSQL_QUERY", settings::QUERY),
        ("CVM_PGSQL_PWCMP", settings::PWCMP),
        ("CVM_PGSQL_POSTQ", settings::POSTQ),
        ("CVM_PGSQL_TIMEOUT", settings::TIMEOUT),
        ("PGHOST", "hosts, or folders of sockets, separated by commas (/var/run/postgresql)"),
        ("PGHOSTADDR", "their addresses, in the place of names"),
        ("PGPORT", "the port, or one for each host (5432)"),
        ("PGDATABASE", "the database (the name of the user)"),
        ("PGUSER", "the user (whoever runs the program)"),
        ("PGPASSWORD", "his password"),
        ("PGPASSFILE", "the file of passwords (~/.pgpass)"),
        ("PGSSLMODE", "disable, prefer (the default), require, verify-ca or verify-full"),
        ("PGSSLROOTCERT", "whom to trust: a file, or system (~/.postgresql/root.crt)"),
        ("PGSSLCERT", "the certificate to show (~/.postgresql/postgresql.crt)"),
        ("PGSSLKEY", "its key (~/.postgresql/postgresql.key)"),
        ("PGCHANNELBINDING", "disable, prefer (the default) or require"),
        ("PGTARGETSESSIONATTRS", "any (the default), read-write, read-only, primary, standby or prefer-standby"),
        ("PGLOADBALANCEHOSTS", "disable (the default), or random: begin anywhere in the list of hosts"),
        ("PGCONNECT_TIMEOUT", "seconds for each host (CVM_PGSQL_TIMEOUT for all of them)"),
        ("PGOPTIONS", "options for the server"),
        ("PGAPPNAME", "what the server calls us (cvm-pgsql)"),
    ],
    more_settings: serving::SETTINGS,
};

const NAMES: Names = Names {
    query: "CVM_PGSQL_QUERY",
    post: "CVM_PGSQL_POSTQ",
    comparison: "CVM_PGSQL_PWCMP",
    timeout: "CVM_PGSQL_TIMEOUT",
};

/// How many queries are under way on a connection at most: what more would save, waiting behind them costs.
const AT_ONCE: usize = 16;

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    PROGRAM.run(|arguments| serving::run(&PROGRAM, arguments, open, open))
}

fn open(notices: Notices) -> Result<Sql<Pgsql>, SettingError> {
    let options = NAMES.options(Dialect::Postgres)?;
    Ok(Sql::new(Pgsql(Parameters::from_environment(notices.clone())?), options, notices))
}

/// Servers of PostgreSQL that hold the same.
struct Pgsql(Parameters);

impl Database for Pgsql {
    type Connection = Session;

    fn connect(&self, timeout: Duration) -> Result<Session, Trouble> {
        Session::open(&self.0, timeout)
    }

    fn select(&self, session: &mut Session, query: &str, values: &[&[u8]], limit: Duration) -> Result<Found, Trouble> {
        session.select(query, values, limit)
    }

    fn selects_at_once(&self) -> usize {
        AT_ONCE
    }

    fn select_all(
        &self,
        session: &mut Session,
        query: &str,
        values: &[Vec<&[u8]>],
        limit: Duration,
    ) -> Vec<Result<Found, Trouble>> {
        session.select_all(query, values, limit)
    }

    fn execute(&self, session: &mut Session, text: &str, values: &[&[u8]], limit: Duration) -> Result<(), Trouble> {
        session.execute(text, values, limit)
    }
}
