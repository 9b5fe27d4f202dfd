//! `cvm-pwfile`: accounts in a file of passwd(5) lines.

mod table;

use std::path::PathBuf;
use std::sync::Arc;

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
/// `#` are comments, lines that are not passwd(5) are no accounts and are counted in one notice per version.
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
            move |bytes| {
                let table = Table::parse(bytes, comparison);
                if let Some((count, first)) = table.malformed() {
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

    /// Tells whether a password may match the entry's, and the administrator if its form is strange.
    fn is_usable(&self, entry: &Entry<'_>) -> bool {
        let standing = self.comparison.standing(entry.password);
        if standing == Standing::Unknown {
            let text = format_args!("a stored password has an unknown form, its account is refused");
            self.unknown_form.give(&self.notices, text);
        }
        standing == Standing::Usable
    }
}

impl Module for PwFile {
    type Account = Account;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
        let table = self.file.get().ok_or(Temporary::IO)?;
        let name = request.account().unwrap_or_default();
        Ok(match table.find(name) {
            Some(line) => Lookup::Known(Account { table, line }),
            None => {
                let decoy = table.decoy(name).map(|line| Account { table: Arc::clone(&table), line });
                Lookup::Unknown { scope: None, decoy }
            }
        })
    }

    fn authenticate(&self, account: &Account, request: &Request<'_>) -> Result<Verdict, Temporary> {
        let entry = account.entry()?;
        let is_usable = self.is_usable(&entry);
        // A locked account takes as long as an unknown one.
        let judged = if is_usable { Some(entry) } else { account.decoy().transpose()? };
        let right = judged.map(|entry| self.judge(&entry, request)).transpose();
        match right {
            Ok(right) => Ok(Verdict::from_match(is_usable && right.unwrap_or(false))),
            Err(error) => {
                self.too_costly.give(&self.notices, format_args!("{error}"));
                Err(Temporary::CONFIG)
            }
        }
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
