//! Lines: those of an account and of its decoy, out of the table of a domain.

use std::fs::File;
use std::io;
use std::path::Path;

use super::record::Record;
use crate::cdb::Cdb;
use crate::pwfile::{self, Entry, OwnedLine};
use crate::stamp::{self, Stamp};

/// The largest text that is read for each request, which has some hundred thousand accounts: the folder may be that of
/// somebody who wants the others to wait.
const TEXT_MAX: u64 = 64 * 1024 * 1024;

/// A name for lines of a table that stand in for others.
const NOBODY: &[u8] = b"nobody";

/// What a search for an account found.
pub(super) struct Lines {
    pub(super) account: Option<OwnedLine>,
    /// What is compared in the place of an account that does not exist, or that no password matches; `None` if there
    /// is nothing to compare with. It is sought for every name, so that each takes as long.
    pub(super) decoy: Option<OwnedLine>,
}

impl Lines {
    /// Looks a user up in `vpasswd.cdb`.
    pub(super) fn of_table(table: &Cdb, user: &[u8]) -> io::Result<Self> {
        let line = |name: &[u8], data: &[u8]| OwnedLine::new([name, b":", data].concat());
        let reader = table.reader();
        let account = reader.search(user)?.map(|data| line(user, &data));
        if account.is_none() {
            table.read_in_vain(user);
        }
        let decoy = table.decoy_or_spare(user, |data| is_usable(&line(NOBODY, data)))?.map(|data| line(NOBODY, &data));
        reader.check()?;
        if account.as_ref().is_some_and(|line| Record::parse(line).is_none()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a user is there without a line of vpasswd"));
        }
        Ok(Self { account, decoy })
    }

    /// Looks a user up in `vpasswd`, which is read to its end. What is no line of an account is passed over.
    ///
    /// The folder may be that of a user of the system, who must not have passwords of others compared, such as those
    /// of `/etc/shadow`: a symbolic link is not followed.
    pub(super) fn of_text(path: &Path, user: &[u8], owners: &[u32]) -> io::Result<Self> {
        let is_usable = |entry: &Entry<'_>| Record::of(entry).is_some_and(|record| record.is_usable());
        let (account, decoy) = pwfile::scan(|| open_text(path, owners), user, &is_usable)?;
        Ok(Self { account: account.filter(|line| Record::parse(line).is_some()), decoy })
    }
}

fn open_text(path: &Path, owners: &[u32]) -> io::Result<(File, Stamp)> {
    let (file, stamp) = stamp::open_unlinked(path)?;
    stamp.check_owner(owners)?;
    if stamp.size > TEXT_MAX { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok((file, stamp)) }
}

fn is_usable(line: &[u8]) -> bool {
    Record::parse(line).is_some_and(|record| record.is_usable())
}
