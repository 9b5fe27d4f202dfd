//! `cvm-pwfile`: accounts in a file of passwd(5) lines.

mod table;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cvm_core::StandardFacts;
use cvm_core::challenge::ChallengeResponse;
use cvm_core::module::{Accepts, Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};

use crate::Notices;
use crate::notices::Once;
use crate::password::{Comparison, Standing, TooCostly};
use crate::watched::Watched;
use table::{Entry, Line, Table};

/// The settings of the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `$CVM_PWFILE_PATH`: the file.
    pub path: PathBuf,
    /// `$CVM_PWFILE_PWCMP`: how its passwords are stored.
    pub comparison: Comparison,
}

/// The module: an index of the file's last whole version.
///
/// Names match whatever the case of their ASCII letters; the first line with a name counts. Lines that begin with
/// `#` are comments, lines that are not passwd(5) are no accounts and are counted in a notice, which is not repeated
/// while a version says the same.
pub struct PwFile {
    file: Watched<Table>,
    comparison: Comparison,
    notices: Notices,
    unknown_form: Once,
    too_costly: Once,
}

/// An account: a line of a version of the file.
#[derive(Clone, Debug)]
pub struct Account {
    table: Arc<Table>,
    line: Line,
}

impl PwFile {
    /// Reads the file. One that is missing is told in a notice, and looked for at each request.
    #[must_use]
    pub fn open(options: Options, notices: Notices) -> Self {
        let comparison = options.comparison;
        let parse = {
            let (path, notices) = (options.path.clone(), notices.clone());
            let told = Mutex::new(None);
            move |bytes| {
                let table = Table::parse(bytes, comparison);
                let malformed = table.malformed();
                // A version that has just been written is parsed several times.
                let before = std::mem::replace(&mut *told.lock().unwrap_or_else(PoisonError::into_inner), malformed);
                if let Some((count, first)) = malformed.filter(|_| malformed != before) {
                    let path = path.display();
                    notices
                        .give(format_args!("{path}: {count} malformed lines passed over, the first is line {first}"));
                }
                table
            }
        };
        Self {
            file: Watched::open(options.path, notices.clone(), parse),
            comparison,
            notices,
            unknown_form: Once::default(),
            too_costly: Once::default(),
        }
    }

    fn judge(&self, entry: &Entry<'_>, request: &Request<'_>) -> Result<bool, TooCostly> {
        if let Some(password) = request.password().filter(|password| !password.is_empty()) {
            return self.comparison.verify(entry.password, password);
        }
        let plain = self.comparison.plain_text(entry.password);
        Ok(plain.zip(ChallengeResponse::of(request)).is_some_and(|(plain, response)| response.is_right(plain)))
    }

    /// Tells whether a password may match the entry's, and the administrator if there is something wrong with it.
    fn is_usable(&self, entry: &Entry<'_>) -> Result<bool, TooCostly> {
        match self.comparison.standing(entry.password) {
            Standing::Usable => Ok(true),
            Standing::Locked => Ok(false),
            Standing::Unknown => {
                let text = format_args!("a stored password has an unknown form, its account is refused");
                self.unknown_form.give(&self.notices, text);
                Ok(false)
            }
            Standing::TooCostly => {
                self.too_costly.give(&self.notices, format_args!("{TooCostly}"));
                Err(TooCostly)
            }
        }
    }
}

impl Module for PwFile {
    type Account = Account;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
        let table = self.file.get().ok_or(Temporary::IO)?;
        let name = request.account().unwrap_or_default();
        // An entry without a password is no account, not even for a look-up, as with the original.
        let has_password = |line: &Line| table.entry(*line).is_some_and(|entry| !entry.password.is_empty());
        Ok(match table.find(name).filter(has_password) {
            Some(line) => Lookup::Known(Account { table, line }),
            None => {
                let decoy = table.decoy(name).map(|line| Account { table: Arc::clone(&table), line });
                Lookup::Unknown { scope: None, decoy }
            }
        })
    }

    fn authenticate(&self, account: &Account, request: &Request<'_>) -> Result<Verdict, Temporary> {
        let entry = account.entry()?;
        let is_usable = self.is_usable(&entry).map_err(|TooCostly| Temporary::CONFIG)?;
        // A locked account takes as long as an unknown one.
        let judged = if is_usable { Some(entry) } else { account.decoy().transpose()? };
        let right = judged.map(|entry| self.judge(&entry, request)).transpose();
        let right = right.map_err(|TooCostly| Temporary::CONFIG)?.unwrap_or(false);
        Ok(Verdict::from_match(is_usable && right))
    }

    fn results(&self, account: &Account, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        let entry = account.entry()?;
        facts.standard(&StandardFacts {
            username: entry.name,
            userid: entry.uid.into(),
            groupid: entry.gid.into(),
            realname: Some(entry.realname()),
            directory: entry.directory,
            shell: Some(entry.shell),
            ..StandardFacts::default()
        });
        Ok(())
    }

    fn accepts(&self) -> Accepts {
        self.comparison.accepts()
    }

    fn lookup_cost(&self, _: &Request<'_>) -> Cost {
        if self.file.is_due() { Cost::Wait } else { Cost::Inline }
    }

    fn authenticate_cost(&self, _: &Account) -> Cost {
        self.comparison.cost()
    }

    fn refresh(&self) {
        self.file.refresh();
    }
}

impl Account {
    fn entry(&self) -> Result<Entry<'_>, Temporary> {
        self.table.entry(self.line).ok_or(Temporary::BAD_MODULE_DATA)
    }

    /// The entry that stands in for one that cannot be authenticated against.
    fn decoy(&self) -> Option<Result<Entry<'_>, Temporary>> {
        let name = self.entry().ok()?.name;
        let line = self.table.decoy(name)?;
        Some(self.table.entry(line).ok_or(Temporary::BAD_MODULE_DATA))
    }
}

#[cfg(test)]
mod tests;
