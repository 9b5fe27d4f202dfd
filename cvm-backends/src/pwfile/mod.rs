//! `cvm-pwfile`: accounts in a file of passwd(5) lines.
//!
//! Names match whatever the case of their ASCII letters; the first line with a name counts. Lines that begin with `#`
//! are comments, lines that are not passwd(5) are no accounts. [`PwFile`] keeps the accounts and looks for changes;
//! [`PwScan`] reads the file once for each request.

#[cfg(any(test, feature = "testing"))]
mod check;
mod entry;
mod needle;
mod pass;
mod scan;
mod spread;
mod table;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cvm_core::module::{Accepts, Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};

use crate::Notices;
use crate::judge::Judge;
use crate::password::Comparison;
use crate::watched::{Due, Watched};
use entry::Layout;
use table::{Found, Line, Table};

pub(crate) use entry::{DecoyKey, Entry};
pub(crate) use pass::OwnedLine;
pub(crate) use scan::scan;
pub use scan::{PwScan, ScannedAccount};

/// The settings of the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `$CVM_PWFILE_PATH`: the file.
    pub path: PathBuf,
    /// `$CVM_PWFILE_PWCMP`: how its passwords are stored.
    pub comparison: Comparison,
}

/// The module as a server runs it: the accounts of the file's last whole version.
///
/// Lines that are no accounts are counted in a notice, which is not repeated while a version says the same.
pub struct PwFile {
    file: Watched<Table>,
    judge: Judge,
}

/// An account: a line of a version of the file, and the one that stands in for it if nothing matches its password.
#[derive(Clone, Debug)]
pub struct Account {
    table: Arc<Table>,
    line: (Line, Layout),
    decoy: Option<(Line, Layout)>,
}

impl PwFile {
    /// Reads the file. One that is missing is told in a notice, and looked for at each request.
    #[must_use]
    pub fn open(options: Options, notices: Notices) -> Self {
        let Options { path, comparison } = options;
        let parse = {
            let (path, notices) = (path.clone(), notices.clone());
            let told = Mutex::new(None);
            move |bytes| {
                let table = Table::parse(bytes, comparison)?;
                let malformed = table.malformed();
                // A version that has just been written is parsed several times.
                let before = std::mem::replace(&mut *told.lock().unwrap_or_else(PoisonError::into_inner), malformed);
                if let Some((count, first)) = malformed.filter(|_| malformed != before) {
                    let path = path.display();
                    notices
                        .give(format_args!("{path}: {count} malformed lines passed over, the first is line {first}"));
                }
                Ok(table)
            }
        };
        Self { file: Watched::open(path, notices.clone(), parse), judge: Judge::new(comparison, notices) }
    }
}

impl Module for PwFile {
    type Account = Account;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
        find(self.file.version(), request)
    }

    fn anticipate(&self, requests: &mut dyn Iterator<Item = Request<'_>>) {
        if let Ok(table) = self.file.last()
            && table.is_far()
        {
            requests.for_each(|request| table.fetch(request.account().unwrap_or_default()));
        }
    }

    fn lookup_inline(&self, request: &Request<'_>) -> Result<Result<Lookup<Account>, Temporary>, Cost> {
        let version = self.file.now().map_err(|Due| Cost::Wait)?;
        Ok(find(version, request))
    }

    fn authenticate(&self, account: &Account, request: &Request<'_>) -> Result<Verdict, Temporary> {
        let decoy = || account.decoy_password();
        self.judge.matches(account.entry()?.password, decoy, request).map(Verdict::from_match)
    }

    fn results(&self, account: &Account, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        facts.standard(&account.entry()?.facts());
        Ok(())
    }

    fn accepts(&self) -> Accepts {
        self.judge.comparison().accepts()
    }

    fn lookup_cost(&self, _: &Request<'_>) -> Cost {
        if self.file.is_due() { Cost::Wait } else { Cost::Inline }
    }

    fn authenticate_cost(&self, account: &Account) -> Cost {
        account.entry().map_or(Cost::Inline, |entry| self.judge.cost(entry.password, || account.decoy_password()))
    }

    fn refresh(&self) {
        self.file.refresh();
    }

    fn reload(&self) {
        self.file.reload();
    }
}

fn find(version: Result<Arc<Table>, io::ErrorKind>, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
    let table = version.map_err(|_| Temporary::IO)?;
    let name = request.account().unwrap_or_default();
    // An entry without a password is no account, not even for a look-up, as with the original.
    let has_password = |line: &_| table.entry(*line).is_some_and(|entry| !entry.password.is_empty());
    let Found { account, decoy } = table.find(name);
    Ok(match account.filter(has_password) {
        Some(line) => Lookup::Known(Account { table, line, decoy }),
        None => Lookup::Unknown { scope: None, decoy: decoy.map(|line| Account { table, line, decoy }) },
    })
}

impl Account {
    fn entry(&self) -> Result<Entry<'_>, Temporary> {
        self.table.entry(self.line).ok_or(Temporary::BAD_MODULE_DATA)
    }

    fn decoy_password(&self) -> Option<&[u8]> {
        self.decoy.and_then(|line| self.table.entry(line)).map(|entry| entry.password)
    }
}

#[cfg(any(test, feature = "testing"))]
pub(crate) use check::check;

#[cfg(test)]
mod tests;
