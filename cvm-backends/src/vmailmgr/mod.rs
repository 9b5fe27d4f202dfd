//! `cvm-vmailmgr`: the virtual users of vmailmgr, each in the table of the system's user whom his domain belongs to.
//!
//! An address is assigned to a user as qmail assigns it; what is left of it is the name of the virtual user in the table
//! that is in the user's home. Tables stay open, many at a time, and are looked at with one `lstat` a round.
//!
//! By qmail's rules a login asks no name service and makes 10 system calls (counted with `strace -f -c`): 3 in the table
//! of assignments, 4 in that of the users, and 3 to choose the record that stands in for a user who does not exist, which
//! is done for those who do as well. A look-up without a password makes 7. By the original's rules the name service is
//! asked on the way, and those who can wait have it to do.
//!
//! Clear text is judged in the event loop, hashes by those who compute them. Where a right password would be converted,
//! which means to hash it and to make a table anew, those who can wait judge it.

mod convert;
mod mailbox;
mod record;

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cvm_core::answer::Patience;
use cvm_core::module::{Accepts, Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{Scope, StandardFacts};
use zeroize::Zeroizing;

use crate::Notices;
use crate::cdb::Cdb;
use crate::halt::{Halt, cost_of_lookup};
use crate::judge::Judge;
use crate::notices::Once;
use crate::password::Comparison;
use crate::qmail::{Assigned, Host, HostOptions, Resident, Rules, folder_of};
use crate::tables::Tables;
use convert::{Converter, Entry};
use record::Record;

pub use convert::Conversion;

#[cfg(any(test, feature = "testing"))]
pub(crate) use record::check;

/// The settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the user of an address is found.
    pub host: HostOptions,
    /// `$VMAILMGR_PWFILE`: the table, seen from his home.
    pub table: PathBuf,
    /// In lookup mode, `$VMAILMGR_DEFAULT`: the record of names that have none of their own.
    pub catch_all: Option<Vec<u8>>,
    /// Who may not log in, though his password is right.
    pub refused: Refused,
    /// `$VMAILMGR_AUTOCONVERT`: what stored passwords become after a login.
    pub conversion: Option<Conversion>,
}

/// Who may not log in, though his password is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// `$VMAILMGR_LOCK_DISABLED`: whose account is disabled.
    pub disabled: bool,
    /// `$VMAILMGR_CHECK_EXPIRY`: whose account has expired.
    pub expired: bool,
    /// `$VMAILMGR_CHECK_MAILBOX`: who has no mailbox.
    pub without_mailbox: bool,
}

/// The module.
pub struct Vmailmgr {
    host: Host,
    tables: Tables,
    table: PathBuf,
    catch_all: Option<Vec<u8>>,
    refused: Refused,
    judge: Judge,
    converter: Converter,
    notices: Notices,
    damaged: Once,
}

/// A virtual user, or what stands in for one.
pub struct Account {
    owner: Assigned,
    domain: Vec<u8>,
    /// In lower case.
    name: Vec<u8>,
    value: Zeroizing<Vec<u8>>,
    /// What is compared in the place of a password that nothing matches.
    decoy: Option<Zeroizing<Vec<u8>>>,
    /// Where his record is; nowhere, if this stands in for a user that does not exist.
    table: Option<PathBuf>,
}

/// What is compared with passwords of every form.
const COMPARISON: Comparison = Comparison::Vmailmgr;

impl Vmailmgr {
    /// Reads the control files; tables are opened when they are asked for.
    #[must_use]
    pub fn open(options: Options, notices: Notices) -> Self {
        let Options { host, table, catch_all, refused, conversion } = options;
        Self {
            host: Host::open(host, &notices),
            tables: Tables::default(),
            table,
            catch_all,
            refused,
            judge: Judge::new(COMPARISON, notices.clone()),
            converter: Converter::new(conversion, notices.clone()),
            notices,
            damaged: Once::default(),
        }
    }

    fn find(&self, request: &Request<'_>, patience: Patience) -> Result<Lookup<Account>, Halt> {
        let not_ours = Lookup::Unknown { scope: Some(Scope::Out), decoy: None };
        let (account, domain) = (request.account().unwrap_or_default(), request.domain().unwrap_or_default());
        let Resident::User { user: owner, domain } = self.host.find(account, domain, patience)? else {
            return Ok(not_ours);
        };
        let name = self.name(&owner);
        if name.is_empty() {
            return Ok(not_ours);
        }
        let Some((path, table)) = self.table(&owner, patience)? else {
            return Ok(not_ours);
        };
        let value = self.told(&path, self.value(&table, &name))?;
        let decoy = self.decoy(&table, &name);
        Ok(match value {
            Some(value) => Lookup::Known(Account { owner, domain, name, value, decoy, table: Some(path) }),
            None => {
                if decoy.is_some() {
                    table.read_in_vain(&name);
                }
                let decoy = decoy.map(|value| Account { owner, domain, name, value, decoy: None, table: None });
                Lookup::Unknown { scope: Some(Scope::In), decoy }
            }
        })
    }

    /// Returns the name of a virtual user: what is left of the address. To qmail's programs that deliver, what the
    /// table of assignments says belongs to it.
    fn name(&self, owner: &Assigned) -> Vec<u8> {
        match self.host.rules() {
            Rules::Original => owner.rest().to_ascii_lowercase(),
            Rules::Qmail => [owner.extension(), owner.rest()].concat().to_ascii_lowercase(),
        }
    }

    /// Opens the table of an owner; `None` if his home is there, but no table.
    fn table(&self, owner: &Assigned, patience: Patience) -> Result<Option<(PathBuf, Arc<Cdb>)>, Halt> {
        let home = owner.home();
        self.host.allow(folder_of(home), patience)?;
        let path = home.join(&self.table);
        if self.table.is_absolute() {
            self.host.allow(path.parent().unwrap_or(&path), patience)?;
        }
        let table = self.told(&path, self.tables.get(&path))?;
        // Whoever can write to a home could put a table there, and log in as its owner.
        if let Some(table) = table.as_ref().filter(|_| self.table.is_relative()) {
            self.told(&path, table.check_owner(&[owner.uid]))?;
        }
        let has_shown_home = table.is_some() && self.table.is_relative() && !home.as_os_str().is_empty();
        if !has_shown_home && !std::fs::metadata(home)?.is_dir() {
            return Err(Halt::Failed);
        }
        Ok(table.map(|table| (path, table)))
    }

    /// Returns the record of a name, or of the catch-all, which has to be a whole one.
    fn value(&self, table: &Cdb, name: &[u8]) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let mut found = table.find(name)?;
        if let Some(catch_all) = self.catch_all.as_ref().filter(|_| found.is_none()) {
            found = table.find(catch_all)?;
        }
        let is_whole = found.as_ref().is_none_or(|value| Record::read(value).is_some());
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a record is damaged");
        if is_whole { Ok(found) } else { Err(damaged()) }
    }

    /// Chooses a record that stands in for one whose password cannot be compared: for known names too, so that the
    /// look-up takes as long. A look-up without a password needs none.
    fn decoy(&self, table: &Cdb, name: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let is_usable = |value: &[u8]| Record::read(value).is_some_and(|record| is_usable(record.password));
        if self.catch_all.is_some() { None } else { table.decoy_or_spare(name, is_usable).unwrap_or_default() }
    }

    /// Tells of a table that cannot be read.
    fn told<T>(&self, path: &Path, read: io::Result<T>) -> io::Result<T> {
        read.inspect_err(|error| self.damaged.give(&self.notices, format_args!("{}: {error}", path.display())))
    }

    /// Converts the stored password of a user who has just proved that he knows it.
    fn convert(&self, account: &Account, request: &Request<'_>) {
        let (Some(table), Some(password)) = (&account.table, request.password().filter(|given| !given.is_empty()))
        else {
            return;
        };
        self.converter.convert(&Entry { table, key: &account.name, value: &account.value }, password);
    }
}

impl Module for Vmailmgr {
    type Account = Account;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
        Ok(self.find(request, Patience::Blocking)?)
    }

    /// What has to wait shows on the way.
    fn lookup_inline(&self, request: &Request<'_>) -> Result<Result<Lookup<Account>, Temporary>, Cost> {
        Halt::inline(self.find(request, Patience::Immediate))
    }

    fn authenticate(&self, account: &Account, request: &Request<'_>) -> Result<Verdict, Temporary> {
        let record = account.record()?;
        let is_right = self.judge.matches(record.password, || account.decoy_password(), request)?;
        if !is_right || self.refused.applies_to(&record) {
            return Ok(Verdict::Rejected { scope: Some(Scope::In) });
        }
        if self.converter.wants(record.password) {
            self.convert(account, request);
        }
        Ok(Verdict::Accepted)
    }

    fn results(&self, account: &Account, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        let home = account.owner.home().as_os_str().as_bytes();
        let mailbox = mailbox::in_home(home, account.record()?.directory);
        facts.standard(&StandardFacts {
            username: &account.name,
            userid: account.owner.uid.into(),
            groupid: account.owner.gid.into(),
            directory: &mailbox,
            sys_username: Some(account.owner.name()),
            sys_directory: Some(home),
            domain: Some(&account.domain),
            mailbox: Some(&mailbox),
            ..StandardFacts::default()
        });
        Ok(())
    }

    fn accepts(&self) -> Accepts {
        COMPARISON.accepts()
    }

    fn lookup_cost(&self, request: &Request<'_>) -> Cost {
        cost_of_lookup(self, request)
    }

    /// Where a right password would be converted, a wrong one is judged by those who can wait, too.
    fn authenticate_cost(&self, account: &Account) -> Cost {
        let stored = account.record().map_or(&b""[..], |record| record.password);
        let stored = if is_usable(stored) { stored } else { account.decoy_password().unwrap_or_default() };
        if self.converter.wants(stored) { Cost::Wait } else { self.judge.cost(stored, || None::<&[u8]>) }
    }

    fn refresh(&self) {
        self.host.refresh();
        self.tables.refresh();
    }

    fn reload(&self) {
        self.tables.refresh();
        self.host.reload();
    }
}

fn is_usable(stored: &[u8]) -> bool {
    COMPARISON.read(stored).is_ok()
}

impl Account {
    fn record(&self) -> Result<Record<'_>, Temporary> {
        Record::read(&self.value).ok_or(Temporary::IO)
    }

    fn decoy_password(&self) -> Option<&[u8]> {
        Record::read(self.decoy.as_ref()?).map(|record| record.password)
    }
}

impl Refused {
    fn applies_to(self, record: &Record<'_>) -> bool {
        let has_expired = || record.expires.is_some_and(|expires| expires < now());
        (self.disabled && !record.is_enabled)
            || (self.expired && has_expired())
            || (self.without_mailbox && !record.has_mailbox)
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
