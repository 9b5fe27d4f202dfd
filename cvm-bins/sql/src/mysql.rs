//! `cvm-mysql`: accounts in a database of MySQL or MariaDB.
//!
//! Statements are prepared, and values are text. These databases compare text with a number by reading as much of it as
//! looks like one, so that `0x` would be user 0; they give a warning then, and who was found by such a comparison was
//! not found.

mod connecting;
mod options;
mod parameters;

use std::io;
use std::time::{Duration, Instant};

use cvm_backends::Notices;
use cvm_backends::sql::{Database, Dialect, Found, REQUIRED, Row, Sql, Trouble};
use cvm_bins::environment::SettingError;
use cvm_bins::program::Program;
use cvm_bins::serving;
use mysql::prelude::Queryable;
use mysql::{Conn, Error, Params, Statement, Value};
use zeroize::Zeroizing;

use crate::settings::{self, Names};
use connecting::{Connecting, Connection, Failure};
use parameters::Parameters;

const PROGRAM: Program = Program {
    arguments: serving::ARGUMENTS,
    about: "Validates credentials against a database of MySQL or MariaDB. Without arguments it answers one request on standard input.",
    settings: &[
        ("CVM_MYSQL_QUERY", settings::QUERY),
        ("CVM_MYSQL_PWCMP", settings::PWCMP),
        ("CVM_MYSQL_POSTQ", settings::POSTQ),
        ("CVM_MYSQL_TIMEOUT", settings::TIMEOUT),
        ("CVM_MYSQL_HOST", "the host (localhost: by the UNIX socket)"),
        ("CVM_MYSQL_PORT", "the port (3306)"),
        ("CVM_MYSQL_SOCKET", "the UNIX socket (/run/mysqld/mysqld.sock)"),
        ("CVM_MYSQL_USER", "the user of the database (whoever runs the program)"),
        ("CVM_MYSQL_PASS", "his password"),
        ("CVM_MYSQL_DB", "the database"),
        ("CVM_MYSQL_DEFAULT_FILE", "the option file to read"),
        ("CVM_MYSQL_DEFAULT_GROUP", "a group of the option files to read, beside client"),
        ("CVM_MYSQL_SSL_MODE", "disable, prefer, require or verify-full (disable, or what the option files say)"),
        ("CVM_MYSQL_SSL_CA", "the file with the certificates to trust"),
    ],
    more_settings: serving::SETTINGS,
};

const NAMES: Names = Names {
    query: "CVM_MYSQL_QUERY",
    post: "CVM_MYSQL_POSTQ",
    comparison: "CVM_MYSQL_PWCMP",
    timeout: "CVM_MYSQL_TIMEOUT",
};

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    PROGRAM.run(|arguments| serving::run(&PROGRAM, arguments, open, open))
}

fn open(notices: Notices) -> Result<Sql<Mysql>, SettingError> {
    let options = NAMES.options(Dialect::Mysql)?;
    Ok(Sql::new(Mysql { parameters: Parameters::from_environment()?, connecting: Connecting::new() }, options, notices))
}

/// A server of MySQL or MariaDB.
struct Mysql {
    parameters: Parameters,
    connecting: Connecting,
}

impl Database for Mysql {
    type Connection = Connection;

    fn connect(&self, timeout: Duration) -> Result<Connection, Trouble> {
        self.connecting.connect(&self.parameters, timeout).map_err(|failure| {
            match failure {
            Failure::Late => Trouble::Late,
            Failure::NoMemory => Trouble::Full(
                "the limit of memory allows no more connections, which take 9 MB each; expected fewer $CVM_WAIT_WORKERS"
                    .into(),
            ),
            Failure::NoThread => Trouble::Lost("no thread to connect in".into()),
            Failure::Driver(error) => match trouble(&error) {
                Trouble::Refused(text) => Trouble::Lost(text),
                other => other,
            },
        }
        })
    }

    fn select(
        &self,
        connection: &mut Connection,
        query: &str,
        values: &[&[u8]],
        limit: Duration,
    ) -> Result<Found, Trouble> {
        let deadline = Instant::now() + limit;
        let statement = prepared(connection, query, values)?;
        if usize::from(statement.num_columns()) < REQUIRED {
            return Err(Trouble::MissingColumns(statement.num_columns().into()));
        }
        let found = match find(connection, &statement, values, deadline) {
            Ok(found) => found?,
            Err(error) if is_of_value(&error, values) => return Ok(Found::Unfit),
            Err(error) => return Err(trouble(&error)),
        };
        let warnings = connection.warnings();
        if warnings == 0 {
            return Ok(found);
        }
        match warns_of(connection, values, warnings.into()).map_err(|error| trouble(&error))? {
            Ok(true) => Ok(Found::Unfit),
            // Whom nobody warns of was not found either.
            Err(_) if matches!(found, Found::None) => Ok(found),
            Ok(false) => Ok(found),
            Err(trouble) => Err(trouble),
        }
    }

    fn execute(&self, connection: &mut Connection, text: &str, values: &[&[u8]], _: Duration) -> Result<(), Trouble> {
        let statement = prepared(connection, text, values)?;
        connection.exec_drop(&statement, parameters(values)).map_err(|error| trouble(&error))
    }
}

/// Has a statement prepared; the driver knows which are.
fn prepared(connection: &mut Conn, text: &str, values: &[&[u8]]) -> Result<Statement, Trouble> {
    let statement = connection.prep(text).map_err(|error| trouble(&error))?;
    if usize::from(statement.num_params()) == values.len() {
        return Ok(statement);
    }
    Err(Trouble::Refused("the database takes something in the statement for a parameter, or not".into()))
}

fn parameters(values: &[&[u8]]) -> Params {
    match values {
        [] => Params::Empty,
        values => Params::Positional(values.iter().map(|value| Value::Bytes(value.to_vec())).collect()),
    }
}

/// Takes two rows; more than a few would only be waited for until the time is over.
fn find(
    connection: &mut Conn,
    statement: &Statement,
    values: &[&[u8]],
    deadline: Instant,
) -> Result<Result<Found, Trouble>, Error> {
    let mut rows = connection.exec_iter(statement, parameters(values))?;
    let found = Found::of_rows(rows.by_ref().map(|row| Ok::<_, Error>(Row::new(row?.unwrap().into_iter().map(text)))))?;
    // The warnings come last.
    for row in rows {
        row?;
        if Instant::now() > deadline {
            return Ok(Err(Trouble::Late));
        }
    }
    Ok(Ok(found))
}

fn text(value: Value) -> Option<Zeroizing<Vec<u8>>> {
    let text = match value {
        Value::NULL => return None,
        Value::Bytes(bytes) => bytes,
        Value::Int(number) => number.to_string().into_bytes(),
        Value::UInt(number) => number.to_string().into_bytes(),
        Value::Float(number) => number.to_string().into_bytes(),
        Value::Double(number) => number.to_string().into_bytes(),
        time @ (Value::Date(..) | Value::Time(..)) => time.as_sql(true).trim_matches('\'').as_bytes().to_vec(),
    };
    Some(text.into())
}

/// Tells whether a value was read as a number that it is not. What warnings say of others does not matter, as long as
/// the server tells all of them.
fn warns_of(connection: &mut Conn, values: &[&[u8]], count: usize) -> Result<Result<bool, Trouble>, Error> {
    let warnings: Vec<(String, u32, Vec<u8>)> = connection.query("SHOW WARNINGS")?;
    if warnings.len() < count {
        return Ok(Err(Trouble::Refused("the query gives more warnings than the server tells".into())));
    }
    // Truncated, not a number, or converted with a loss.
    let mut about_values = warnings.into_iter().filter(|(_, code, _)| matches!(code, 1292 | 1265 | 1366 | 1300 | 1918));
    Ok(Ok(about_values.any(|(.., message)| values.iter().any(|value| shows(&message, value)))))
}

/// Tells whether a warning may be about a value, of which it shows the beginning.
fn shows(message: &[u8], value: &[u8]) -> bool {
    let is_plain = |byte: &&u8| (b' '..=b'~').contains(*byte) && !matches!(**byte, b'\'' | b'"' | b'\\');
    let beginning: Vec<u8> = value.iter().take(30).take_while(is_plain).copied().collect();
    beginning.is_empty() || message.windows(beginning.len()).any(|part| part == beginning)
}

/// Tells whether the server could not compare a value because of its letters.
fn is_of_value(error: &Error, values: &[&[u8]]) -> bool {
    let Error::MySqlError(error) = error else {
        return false;
    };
    let about_letters = matches!(error.code, 1267 | 1270 | 1271 | 1300 | 1366 | 3854 | 3988);
    about_letters && !values.iter().all(|value| value.is_ascii())
}

fn trouble(error: &Error) -> Trouble {
    match error {
        Error::MySqlError(error) => match (error.state.get(..2), error.code) {
            // Interrupted, or more time than the server allows.
            (_, 1317 | 1969 | 3024) => Trouble::Late,
            // What the server says of values may hold them.
            (Some("22" | "23" | "45"), code) => Trouble::Refused(format!("the database refuses a value, error {code}")),
            (_, code @ (1265 | 1292 | 1366)) => Trouble::Refused(format!("the database refuses a value, error {code}")),
            (Some("42"), code) => Trouble::Refused(format!("{} (error {code})", error.message)),
            (_, code) => Trouble::Lost(format!("{} (error {code})", error.message)),
        },
        Error::IoError(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Trouble::Late
        }
        Error::IoError(error) => Trouble::Lost(error.to_string()),
        other => Trouble::Lost(other.to_string()),
    }
}
