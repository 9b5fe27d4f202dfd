//! Converting stored passwords after a login: down to clear text, which challenges need, or up to a modern hash.

use std::io;
use std::path::Path;
use std::sync::Mutex;

use cvm_core::SecretRef;
use zeroize::Zeroizing;

use super::record;
use crate::Notices;
use crate::cdb::edit;
use crate::notices::Once;
use crate::password::{self, Comparison};
use crate::replace;

/// What stored passwords become after a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Clear text, whatever they were.
    ClearText,
    /// yescrypt, if they were clear text, or a hash that takes a few milliseconds.
    Yescrypt,
}

/// Converts, if that is wanted.
#[derive(Debug)]
pub(super) struct Converter {
    to: Option<Conversion>,
    notices: Notices,
    failed: Once,
    /// Held by the one who converts: he needs time and memory, and the next login is another chance.
    turn: Mutex<()>,
}

/// A record as it was when its password was found to be right.
pub(super) struct Entry<'a> {
    pub(super) table: &'a Path,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

impl Converter {
    pub(super) fn new(to: Option<Conversion>, notices: Notices) -> Self {
        Self { to, notices, failed: Once::default(), turn: Mutex::default() }
    }

    /// Tells whether a stored password is one to be converted.
    pub(super) fn wants(&self, stored: &[u8]) -> bool {
        let Ok(read) = Comparison::Vmailmgr.read(stored) else {
            return false;
        };
        match self.to {
            None => false,
            Some(Conversion::ClearText) => read.plain_text().is_none(),
            Some(Conversion::Yescrypt) => read.is_cheap() && !stored.starts_with(b"$y$"),
        }
    }

    /// Converts the password of a record, which takes time. One that has changed since stays as it is, and what goes
    /// wrong is told, but not to the one who logs in.
    pub(super) fn convert(&self, entry: &Entry<'_>, password: SecretRef<'_>) {
        if !self.has_place(entry, password) {
            return;
        }
        let Ok(_turn) = self.turn.try_lock() else {
            return;
        };
        let make = |table: &[u8]| {
            let stored = self.stored(password)?;
            let value = record::with_password(entry.value, &stored);
            value.map_or(Ok(None), |value| edit::with_value(table, entry.key, entry.value, &value))
        };
        if let Err(error) = replace::replace(entry.table, make) {
            let table = entry.table.display();
            self.failed.give(&self.notices, format_args!("{table}: a password is not converted: {error}"));
        }
    }

    /// Tells whether what the password would become has a place in the record, before the whole table is read for it.
    fn has_place(&self, entry: &Entry<'_>, password: SecretRef<'_>) -> bool {
        match self.to {
            Some(Conversion::Yescrypt) => !password.expose().contains(&0),
            _ => record::with_password(entry.value, password.expose()).is_some(),
        }
    }

    fn stored(&self, password: SecretRef<'_>) -> io::Result<Zeroizing<Vec<u8>>> {
        match self.to {
            Some(Conversion::Yescrypt) => password::yescrypt(password).map_err(io::Error::other),
            _ => Ok(Zeroizing::new([b"$0$", password.expose()].concat())),
        }
    }
}
