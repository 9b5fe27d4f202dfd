//! Rows: what a query found.

use cvm_core::module::Temporary;
use cvm_core::{StandardFacts, parse_integer};
use zeroize::Zeroizing;

/// How many columns mean something.
pub const COLUMNS: usize = 12;

/// How many columns there must be.
pub const REQUIRED: usize = 5;

/// The columns of a row as text, `None` for NULL; wiped when dropped.
#[derive(Default)]
pub struct Row(Vec<Option<Zeroizing<Vec<u8>>>>);

/// What a query found.
pub enum Found {
    /// No row.
    None,
    /// One row.
    One(Row),
    /// More than one row.
    Several,
    /// No row, as a value is not what the database can compare with what it should be compared with.
    Unfit,
}

impl Found {
    /// Takes the first two rows, if there are as many; a third is not asked for.
    ///
    /// # Errors
    ///
    /// The first that `rows` gives.
    pub fn of_rows<E>(mut rows: impl Iterator<Item = Result<Row, E>>) -> Result<Self, E> {
        let Some(first) = rows.next().transpose()? else {
            return Ok(Self::None);
        };
        match rows.next().transpose()? {
            Some(_) => Ok(Self::Several),
            None => Ok(Self::One(first)),
        }
    }
}

impl Row {
    /// Takes the columns; more than [`COLUMNS`] have no meaning.
    #[must_use]
    pub fn new(columns: impl IntoIterator<Item = Option<Zeroizing<Vec<u8>>>>) -> Self {
        Self(columns.into_iter().take(COLUMNS).collect())
    }

    /// Returns the stored password, if there is one.
    pub(super) fn password(&self) -> Option<&[u8]> {
        self.column(0).filter(|password| !password.is_empty())
    }

    /// Reads the facts. What is NULL or no number and should not be is trouble of the database.
    pub(super) fn facts(&self) -> Result<StandardFacts<'_>, Temporary> {
        let id = |index| self.column(index).and_then(parse_integer).ok_or(Temporary::IO);
        Ok(StandardFacts {
            username: self.column(1).ok_or(Temporary::IO)?,
            userid: id(2)?,
            groupid: id(3)?,
            directory: self.column(4).ok_or(Temporary::IO)?,
            realname: self.column(5),
            shell: self.column(6),
            groupname: self.column(7),
            domain: self.column(8),
            sys_username: self.column(9),
            sys_directory: self.column(10),
            mailbox: self.column(11),
        })
    }

    fn column(&self, index: usize) -> Option<&[u8]> {
        self.0.get(index)?.as_deref().map(Vec::as_slice)
    }
}
