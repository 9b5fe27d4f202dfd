//! `cvm-sqlite`: accounts in a file of SQLite.
//!
//! A connection reads only. The file is looked at with one `stat` for each request: another one that took its place is
//! opened, and where there is none nobody is let in. Short queries are answered in the event loop, up to a number of
//! steps of SQLite's machine and as long as nobody holds a lock; for others there are those who can wait.

mod limits;

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cvm_backends::Notices;
use cvm_backends::sql::{COLUMNS, Database, Dialect, Found, REQUIRED, Row, Sql, Trouble};
use cvm_bins::environment::{self, SettingError};
use cvm_bins::program::Program;
use cvm_bins::serving;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, Statement};
use zeroize::Zeroizing;

use crate::settings::{self, Names};
use limits::Limits;

const PROGRAM: Program = Program {
    arguments: serving::ARGUMENTS,
    about: "Validates credentials against a database of SQLite. Without arguments it answers one request on standard input.",
    settings: &[
        ("CVM_SQLITE_DB", "the file"),
        ("CVM_SQLITE_QUERY", settings::QUERY),
        ("CVM_SQLITE_PWCMP", settings::PWCMP),
        ("CVM_SQLITE_POSTQ", settings::POSTQ),
        ("CVM_SQLITE_TIMEOUT", settings::TIMEOUT),
    ],
    more_settings: serving::SETTINGS,
};

const NAMES: Names = Names {
    query: "CVM_SQLITE_QUERY",
    post: "CVM_SQLITE_POSTQ",
    comparison: "CVM_SQLITE_PWCMP",
    timeout: "CVM_SQLITE_TIMEOUT",
};

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    PROGRAM.run(|arguments| serving::run(&PROGRAM, arguments, open, open))
}

fn open(notices: Notices) -> Result<Sql<Sqlite>, SettingError> {
    let path = environment::path("CVM_SQLITE_DB", "the path of a database")?;
    Ok(Sql::new(Sqlite { path }, NAMES.options(Dialect::Sqlite)?, notices))
}

/// A file of SQLite.
struct Sqlite {
    path: PathBuf,
}

/// What is open of a file.
struct Open {
    reading: Connection,
    /// For what follows a success; made when it is needed.
    writing: Option<Connection>,
    limits: Arc<Limits>,
    identity: Identity,
}

/// The device and the number of a file.
type Identity = (u64, u64);

impl Sqlite {
    fn identity(&self) -> io::Result<Identity> {
        let metadata = std::fs::metadata(&self.path)?;
        Ok((metadata.dev(), metadata.ino()))
    }

    fn connection(&self, flags: OpenFlags, limits: &Arc<Limits>) -> Result<Connection, Error> {
        let connection = Connection::open_with_flags(&self.path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        limits.watch(&connection);
        Ok(connection)
    }

    fn lost(&self, error: impl std::fmt::Display) -> Trouble {
        Trouble::Lost(format!("{}: {error}", self.path.display()))
    }

    fn trouble(&self, error: &Error) -> Trouble {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OperationInterrupted) => {
                Trouble::Late
            }
            Some(
                ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure
                | ErrorCode::SchemaChanged
                | ErrorCode::ReadOnly,
            ) => self.lost(error),
            _ => Trouble::Refused(format!("{}: {error}", self.path.display())),
        }
    }
}

impl Database for Sqlite {
    type Connection = Open;

    fn connect(&self, _: Duration) -> Result<Open, Trouble> {
        let limits = Arc::new(Limits::default());
        let identity = self.identity().map_err(|error| self.lost(error))?;
        let reading =
            self.connection(OpenFlags::SQLITE_OPEN_READ_ONLY, &limits).map_err(|error| self.trouble(&error))?;
        let open = Open { reading, writing: None, limits, identity };
        if self.is_current(&open) { Ok(open) } else { Err(self.lost("was replaced meanwhile")) }
    }

    fn select(&self, open: &mut Open, query: &str, values: &[&[u8]], timeout: Duration) -> Result<Found, Trouble> {
        let set = open.reading.busy_timeout(timeout);
        open.limits.set_timeout(timeout);
        set.and_then(|()| select(&open.reading, query, values))
            .map_err(|error| self.trouble(&error))
            .and_then(|found| found)
    }

    fn execute(&self, open: &mut Open, text: &str, values: &[&[u8]], timeout: Duration) -> Result<(), Trouble> {
        let writing = match open.writing.take() {
            Some(writing) => writing,
            None => self
                .connection(OpenFlags::SQLITE_OPEN_READ_WRITE, &open.limits)
                .map_err(|error| self.trouble(&error))?,
        };
        open.limits.set_timeout(timeout);
        let writing = open.writing.insert(writing);
        let executed = writing.busy_timeout(timeout).and_then(|()| execute(writing, text, values));
        executed.map_err(|error| self.trouble(&error))
    }

    fn select_at_once(&self, open: &mut Open, query: &str, values: &[&[u8]]) -> Option<Result<Found, Trouble>> {
        open.limits.set_steps();
        let set = open.reading.busy_timeout(Duration::ZERO);
        match set.and_then(|()| select(&open.reading, query, values)) {
            Ok(found) => Some(found),
            Err(error) => match self.trouble(&error) {
                Trouble::Late => None,
                trouble => Some(Err(trouble)),
            },
        }
    }

    fn begin_round(&self, open: &mut Open) -> Result<(), Trouble> {
        simple(&open.reading, "BEGIN").map_err(|error| self.trouble(&error))
    }

    fn end_round(&self, open: &mut Open) -> Result<(), Trouble> {
        simple(&open.reading, "COMMIT").map_err(|error| self.trouble(&error))
    }

    fn is_current(&self, open: &Open) -> bool {
        self.identity().is_ok_and(|identity| identity == open.identity)
    }
}

fn select(connection: &Connection, query: &str, values: &[&[u8]]) -> Result<Result<Found, Trouble>, Error> {
    let mut statement = connection.prepare_cached(query)?;
    let columns = statement.column_count();
    if columns < REQUIRED {
        return Ok(Err(Trouble::MissingColumns(columns)));
    }
    bind(&mut statement, values)?;
    let mut rows = statement.raw_query();
    let next = || Some(rows.next().transpose()?.and_then(|row| read(row, columns)));
    Found::of_rows(std::iter::from_fn(next)).map(Ok)
}

fn simple(connection: &Connection, text: &str) -> Result<(), Error> {
    connection.prepare_cached(text)?.execute(()).map(drop)
}

fn execute(connection: &Connection, text: &str, values: &[&[u8]]) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(text)?;
    bind(&mut statement, values)?;
    let mut rows = statement.raw_query();
    while rows.next()?.is_some() {}
    Ok(())
}

/// Gives values as text. The library refuses fewer than the statement has parameters only when it can tell.
fn bind(statement: &mut Statement<'_>, values: &[&[u8]]) -> Result<(), Error> {
    let expected = statement.parameter_count();
    if expected != values.len() {
        return Err(Error::InvalidParameterCount(values.len(), expected));
    }
    for (number, value) in (1..).zip(values) {
        statement.raw_bind_parameter(number, ToSqlOutput::Borrowed(ValueRef::Text(value)))?;
    }
    Ok(())
}

fn read(row: &rusqlite::Row<'_>, columns: usize) -> Result<Row, Error> {
    let columns = (0..columns.min(COLUMNS)).map(|column| Ok(text(row.get_ref(column)?)));
    Ok(Row::new(columns.collect::<Result<Vec<_>, Error>>()?))
}

fn text(value: ValueRef<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let text = match value {
        ValueRef::Null => return None,
        ValueRef::Integer(number) => number.to_string().into_bytes(),
        ValueRef::Real(number) => format!("{number:?}").into_bytes(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
    };
    Some(text.into())
}
