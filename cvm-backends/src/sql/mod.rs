//! `cvm-sqlite`, `cvm-pgsql`, `cvm-mysql`: accounts in a database.
//!
//! [`Sql`] is the module of all of them; what differs is behind [`Database`]. The query of an administrator finds the row
//! of an account, whose columns are, in this order: password, user name, user id, group id and directory, which it must
//! have, and real name, shell, group name, domain, system user name, system directory and mailbox, which it may have.
//! No row, or several, are no account. Names that hold a NUL or are no UTF-8 are nobody's, and no database is asked.

mod pool;
mod row;
mod template;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cvm_core::module::{Accepts, Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use zeroize::Zeroizing;

use crate::Notices;
use crate::judge::Judge;
use crate::notices::Once;
use crate::password::Comparison;
use pool::Pool;

pub use pool::{Database, Trouble};
pub use row::{COLUMNS, Found, REQUIRED, Row};
pub use template::{Dialect, Mistake, Statement, Template, TemplateError};

#[cfg(any(test, feature = "testing"))]
pub(crate) use template::check::check;

/// The query that is used where there is none, but for the columns it is the manual's.
pub const DEFAULT_QUERY: &str = "SELECT password, username, userid, groupid, directory, realname, shell, groupname, \
                                 domain, sys_username, sys_directory, mailbox \
                                 FROM accounts WHERE username=$account AND domain=$domain";

/// The settings.
#[derive(Debug)]
pub struct Options {
    /// `…_QUERY`: finds an account.
    pub query: Statement,
    /// `…_POSTQ`: is executed after a success.
    pub post: Option<Statement>,
    /// `…_PWCMP`: how passwords are stored.
    pub comparison: Comparison,
    /// `…_TIMEOUT`: how long the database may take for a statement.
    pub timeout: Duration,
}

/// The module, with connections to a database.
pub struct Sql<D: Database> {
    pool: Pool<D>,
    query: Statement,
    post: Option<Statement>,
    judge: Judge,
    /// What is compared in the place of passwords that do not exist: the one that was found last.
    decoy: Mutex<Arc<Zeroizing<Vec<u8>>>>,
    /// Somebody was found, so that the variables of the query are right.
    has_found: AtomicBool,
    unfit: Once,
    notices: Notices,
}

/// An account, or what stands in for one.
pub struct Account {
    row: Row,
    decoy: Arc<Zeroizing<Vec<u8>>>,
    name: Vec<u8>,
    domain: Vec<u8>,
}

/// A stored password that nobody has: it costs what a hash costs until one has been found.
const FIRST_DECOY: &[u8] =
    b"$6$cvmcvmcvmcvm$......................................................................................";

impl<D: Database> Sql<D> {
    /// Makes the module; the database is connected to when it is needed.
    pub fn new(database: D, options: Options, notices: Notices) -> Self {
        let Options { query, post, comparison, timeout } = options;
        Self {
            pool: Pool::new(database, timeout, notices.clone()),
            query,
            post,
            judge: Judge::new(comparison, notices.clone()),
            decoy: Mutex::new(Arc::new(FIRST_DECOY.to_vec().into())),
            has_found: AtomicBool::new(false),
            unfit: Once::default(),
            notices,
        }
    }

    fn found(&self, request: &Request<'_>, found: Found) -> Lookup<Account> {
        let [name, domain] = [request.account(), request.domain()].map(Option::unwrap_or_default);
        let account = |row, decoy| Account { row, decoy, name: name.to_vec(), domain: domain.to_vec() };
        self.check_variables(&found);
        match found {
            // Without a password it is one all the same, whom a look-up finds and no password lets in.
            Found::One(row) => {
                let decoy = self.decoy(row.password());
                Lookup::Known(account(row, decoy))
            }
            Found::None | Found::Several | Found::Unfit => {
                Lookup::Unknown { scope: None, decoy: Some(account(Row::default(), self.decoy(None))) }
            }
        }
    }

    /// Tells once of what may be a variable that nothing can be compared with: nobody would be found then.
    fn check_variables(&self, found: &Found) {
        match found {
            Found::One(_) if !self.has_found.load(Ordering::Relaxed) => self.has_found.store(true, Ordering::Relaxed),
            Found::Unfit if self.query.has_variables() && !self.has_found.load(Ordering::Relaxed) => {
                let text = "the database cannot compare a value with what the query compares it with, and nobody was found \
                            yet; if it is a variable's, nobody will be";
                self.unfit.give(&self.notices, format_args!("{text}"));
            }
            _ => {}
        }
    }

    /// Returns what stands in for a password, after the one that was found has become that.
    fn decoy(&self, found: Option<&[u8]>) -> Arc<Zeroizing<Vec<u8>>> {
        let mut decoy = self.decoy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = found.filter(|found| ***decoy != **found && self.judge.comparison().read(found).is_ok()) {
            *decoy = Arc::new(found.to_vec().into());
        }
        Arc::clone(&decoy)
    }

    fn values<'v>(statement: &'v Statement, request: &Request<'v>) -> Vec<&'v [u8]> {
        let [account, domain] = [request.account(), request.domain()].map(Option::unwrap_or_default);
        statement.values(account, domain)
    }
}

/// Tells whether a name can be text of a database.
fn is_text(name: Option<&[u8]>) -> bool {
    name.is_none_or(|name| !name.contains(&0) && str::from_utf8(name).is_ok())
}

impl<D: Database> Module for Sql<D> {
    type Account = Account;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
        if !(is_text(request.account()) && is_text(request.domain())) {
            return Ok(self.found(request, Found::None));
        }
        let found = self.pool.select(&self.query, &Self::values(&self.query, request))?;
        Ok(self.found(request, found))
    }

    fn lookup_inline(&self, request: &Request<'_>) -> Result<Result<Lookup<Account>, Temporary>, Cost> {
        if !(is_text(request.account()) && is_text(request.domain())) {
            return Ok(Ok(self.found(request, Found::None)));
        }
        // What follows a success takes its time.
        if self.post.is_some() {
            return Err(Cost::Wait);
        }
        let found = self.pool.select_at_once(&self.query, &Self::values(&self.query, request)).ok_or(Cost::Wait)?;
        Ok(found.map(|found| self.found(request, found)))
    }

    fn lookups_at_once(&self) -> usize {
        self.pool.selects_at_once()
    }

    fn lookup_all(&self, requests: &[Request<'_>]) -> Vec<Result<Lookup<Account>, Temporary>> {
        let asked = |request: &&Request<'_>| is_text(request.account()) && is_text(request.domain());
        let values: Vec<_> = requests.iter().filter(asked).map(|request| Self::values(&self.query, request)).collect();
        let mut results =
            if values.is_empty() { Vec::new() } else { self.pool.select_all(&self.query, &values) }.into_iter();
        let found = |request: &Request<'_>| {
            let found = if asked(&request) { results.next().unwrap_or(Err(Temporary::GENERAL))? } else { Found::None };
            Ok(self.found(request, found))
        };
        requests.iter().map(found).collect()
    }

    fn waits_in_place(&self) -> bool {
        true
    }

    fn authenticate(&self, account: &Account, request: &Request<'_>) -> Result<Verdict, Temporary> {
        let stored = account.row.password().unwrap_or_default();
        self.judge.matches(stored, || Some(account.decoy.as_slice()), request).map(Verdict::from_match)
    }

    fn results(&self, account: &Account, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        facts.standard(&account.row.facts()?);
        match &self.post {
            // Facts that make no response are no success.
            Some(_) if !facts.is_complete() => Ok(()),
            Some(post) => self.pool.execute(post, &post.values(&account.name, &account.domain)),
            None => Ok(()),
        }
    }

    fn accepts(&self) -> Accepts {
        self.judge.comparison().accepts()
    }

    fn lookup_cost(&self, _: &Request<'_>) -> Cost {
        Cost::Wait
    }

    fn authenticate_cost(&self, account: &Account) -> Cost {
        let stored = account.row.password().unwrap_or_default();
        self.judge.cost(stored, || Some(account.decoy.as_slice()))
    }

    fn refresh(&self) {
        // Should one not have ended, the next does not see what it saw.
        self.pool.end_round();
    }

    fn end_round(&self) {
        self.pool.end_round();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_for_passwords_at_first_is_a_hash() {
        assert_eq!(Comparison::Crypt.read(FIRST_DECOY).map(|stored| stored.cost()).ok(), Some(Cost::Cpu));
    }
}
