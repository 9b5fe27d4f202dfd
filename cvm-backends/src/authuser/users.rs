//! Whom the file lets in.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cvm_core::module::{Cost, Lookup, Temporary};
use cvm_core::{Secret, SecretRef, hex};
use nix::unistd::User;
use zeroize::Zeroizing;

use super::claim::Claim;
use super::helper::{Helper, Helpers, Trouble};
use super::name::Name;
use super::table::{Found, Line, PassedOver, Table};
use super::token::{Token, is_right};
use crate::Notices;
use crate::notices::Once;
use crate::unix::{self, Unix};
use crate::watched::Watched;

/// What a file that is missing means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// That nothing can be told.
    Trouble,
    /// That nobody can log in.
    Empty,
}

/// The users of a file, and what judges them.
pub struct Users {
    path: PathBuf,
    file: Watched<Table>,
    missing: Missing,
    pub(super) unix: Unix,
    helpers: Helpers,
    notices: Notices,
    no_file: Once,
    no_password: Once,
    no_socket: Once,
    no_meaning: Once,
}

/// Somebody whom the file lets in with the right password, or what is judged in the place of somebody who is not there.
#[derive(Debug)]
pub struct Account {
    table: Arc<Table>,
    line: Line,
    name: Name,
    /// The system's user, where that is what is judged.
    pub(super) user: Option<unix::Account>,
    /// Nobody is let in by this, whatever would be right.
    is_decoy: bool,
    is_judged: Cell<bool>,
}

impl Users {
    /// Reads the file.
    #[must_use]
    pub fn open(path: PathBuf, missing: Missing, helpers: Helpers, notices: Notices) -> Self {
        let parse = parser(path.clone(), notices.clone());
        let open = match missing {
            Missing::Trouble => Watched::open,
            Missing::Empty => Watched::open_optional,
        };
        Self {
            file: open(path.clone(), notices.clone(), parse),
            path,
            missing,
            unix: Unix::new(notices.clone()),
            helpers,
            notices,
            no_file: Once::default(),
            no_password: Once::default(),
            no_socket: Once::default(),
            no_meaning: Once::default(),
        }
    }

    /// Finds whom a name stands for.
    ///
    /// For a name that nobody has, or that is disabled, it is somebody else, about whom no claim is right.
    ///
    /// # Errors
    ///
    /// [`Temporary`] if that cannot be told now.
    pub fn find(&self, name: Name) -> Result<Lookup<Account>, Temporary> {
        self.find_or_meaningless(name).map(|(found, _)| found)
    }

    /// The same, and whether what the file has as the password of this name has no meaning: an error of whoever wrote it.
    ///
    /// # Errors
    ///
    /// [`Temporary`] if that cannot be told now.
    pub fn find_or_meaningless(&self, name: Name) -> Result<(Lookup<Account>, bool), Temporary> {
        self.file.catch_up();
        let (found, is_meaningless) = self.find_told(name)?;
        Ok((self.complete(found)?, is_meaningless))
    }

    /// Tells whether a claim is right; for whoever stands in the place of somebody else it never is.
    ///
    /// # Errors
    ///
    /// [`Temporary`] if that cannot be told now: [`Temporary::CONFIG`] if something is not as it has to be, rather than
    /// out of order.
    pub fn is_right(&self, account: &Account, claim: &Claim<'_>) -> Result<bool, Temporary> {
        account.is_judged.set(true);
        Ok(self.judge(account, claim)? && !account.is_decoy)
    }

    /// Finds the line of a name in what is in memory, whether or not a newer version [is due](Self::is_due).
    pub(super) fn find_line(&self, name: Name) -> Result<Lookup<Account>, Temporary> {
        self.find_told(name).map(|(found, _)| found)
    }

    fn find_told(&self, name: Name) -> Result<(Lookup<Account>, bool), Temporary> {
        let Some(table) = self.table()? else {
            return Ok((Lookup::Unknown { scope: None, decoy: None }, false));
        };
        let found = table.find(&name);
        let is_meaningless = matches!(found, Found::Meaningless { .. });
        if is_meaningless {
            let path = self.path.display();
            self.no_meaning.give(&self.notices, format_args!("{path}: a password of one byte has no meaning"));
        }
        let is_decoy = !matches!(found, Found::Line(_));
        let account = |line| Account { table, line, name, user: None, is_decoy, is_judged: Cell::new(false) };
        let found = match found {
            Found::Line(line) => Lookup::Known(account(line)),
            Found::Nobody { decoy } | Found::Meaningless { decoy } => {
                Lookup::Unknown { scope: None, decoy: decoy.map(account) }
            }
        };
        Ok((found, is_meaningless))
    }

    /// Finds the system's user, if the line says that he is to be asked for.
    pub(super) fn complete(&self, found: Lookup<Account>) -> Result<Lookup<Account>, Temporary> {
        Ok(match found {
            Lookup::Known(account) => match self.with_user(account)? {
                (account, true) => Lookup::Known(account),
                (account, false) => Lookup::Unknown { scope: None, decoy: Some(account) },
            },
            Lookup::Unknown { scope, decoy } => {
                let decoy = decoy.map(|decoy| self.with_user(decoy)).transpose()?;
                Lookup::Unknown { scope, decoy: decoy.map(|(account, _)| account) }
            }
        })
    }

    /// Tells whether [`find`](Self::find) waits for the file.
    pub(super) fn is_due(&self) -> bool {
        self.file.is_due()
    }

    pub(super) fn refresh(&self) {
        self.file.refresh();
    }

    pub(super) fn reload(&self) {
        self.file.reload();
    }

    fn table(&self) -> Result<Option<Arc<Table>>, Temporary> {
        match self.file.last() {
            Ok(table) => Ok(Some(table)),
            Err(io::ErrorKind::NotFound) if self.missing == Missing::Empty => {
                let path = self.path.display();
                self.no_file.give(&self.notices, format_args!("{path}: there is no such file, nobody can log in"));
                Ok(None)
            }
            Err(_) => Err(Temporary::IO),
        }
    }

    /// Returns the account with the system's user, and whether there is one, if it needs one.
    fn with_user(&self, account: Account) -> Result<(Account, bool), Temporary> {
        if !account.needs_system() {
            return Ok((account, true));
        }
        Ok(match self.unix.find(account.name.local())? {
            Lookup::Known(user) => (Account { user: Some(user), ..account }, true),
            Lookup::Unknown { decoy, .. } => (Account { user: decoy, is_decoy: true, ..account }, false),
        })
    }

    fn judge(&self, account: &Account, claim: &Claim<'_>) -> Result<bool, Temporary> {
        match account.token() {
            Token::Clear(text) => Ok(is_right(text, claim)),
            Token::Digest(digest) => self.with_password(claim, |password| Ok(digest.is_of(password))),
            Token::System { .. } => {
                let user = account.user.as_ref().ok_or(Temporary::GENERAL)?;
                self.with_password(claim, |password| self.unix.is_right(user, password))
            }
            Token::Helper(helper @ Helper::Doveadm) => self.with_password(claim, |_| self.ask(helper, account, claim)),
            Token::Helper(helper) => self.ask(helper, account, claim),
            Token::Meaningless => Err(Temporary::CONFIG),
        }
    }

    /// Judges a password; a response is wrong where only a password can be judged.
    fn with_password(
        &self,
        claim: &Claim<'_>,
        judge: impl FnOnce(SecretRef<'_>) -> Result<bool, Temporary>,
    ) -> Result<bool, Temporary> {
        if let Some(password) = claim.password() {
            return judge(password);
        }
        if claim.response().is_some() {
            let text = format_args!("a user whose password is not here in plain text cannot answer challenges");
            self.no_password.give(&self.notices, text);
        }
        Ok(false)
    }

    /// Asks another program. What it does for whoever is right, such as to run a server or to open a relay, it must not
    /// do for a decoy: about that it is asked with a password that nobody has.
    fn ask(&self, helper: Helper, account: &Account, claim: &Claim<'_>) -> Result<bool, Temporary> {
        if claim.is_empty() {
            return Ok(false);
        }
        let asked = if account.is_decoy {
            let nobodys = nobodys_password()?;
            let helpers = Helpers { program: None, ..self.helpers.clone() };
            helper.ask(&helpers, &account.name, &Claim::of_password(nobodys.as_ref()))
        } else {
            helper.ask(&self.helpers, &account.name, claim)
        };
        asked.map_err(|trouble| self.tell(&trouble))
    }

    fn tell(&self, trouble: &Trouble) -> Temporary {
        match trouble {
            Trouble::NoSocket => self.no_socket.give(&self.notices, format_args!("{trouble}")),
            Trouble::Io(..) | Trouble::NoVerdict(..) => self.notices.give(format_args!("{trouble}")),
        }
        trouble.temporary()
    }
}

impl Account {
    /// Returns the user of the system whom the program that comes next is to be run as.
    #[must_use]
    pub fn becomes(&self) -> Option<&User> {
        match self.token() {
            Token::System { becomes: true } => self.user.as_ref()?.user(),
            _ => None,
        }
    }

    /// Tells whether what comes after the look-up may take the rights of root: to become a user, or to run a program
    /// that becomes one.
    #[must_use]
    pub fn needs_rights(&self) -> bool {
        match self.token() {
            Token::System { becomes } => becomes,
            Token::Helper(helper) => helper != Helper::Doveadm,
            Token::Clear(_) | Token::Digest(_) | Token::Meaningless => false,
        }
    }

    /// Returns who it is, without his domain: as the file spells it, or as he does himself where the file does not.
    pub(super) fn local(&self) -> Vec<u8> {
        match self.table.user(self.line) {
            Some(user) => Name::new(user).local().to_vec(),
            None => self.name.local().to_vec(),
        }
    }

    pub(super) fn domain(&self) -> Option<&[u8]> {
        self.name.domain()
    }

    pub(super) fn needs_system(&self) -> bool {
        matches!(self.token(), Token::System { .. })
    }

    /// Tells whether there is no saying that somebody of this name exists: he has no line of his own, and the program
    /// that knows him has not been asked.
    pub(super) fn is_doubtful(&self) -> bool {
        let is_elsewhere = matches!(self.token(), Token::Helper(_));
        is_elsewhere && self.table.user(self.line).is_none() && !self.is_judged.get()
    }

    /// Says what it costs to judge a claim.
    pub(super) fn cost(&self) -> Cost {
        match self.token() {
            Token::Clear(_) | Token::Digest(_) | Token::Meaningless => Cost::Inline,
            Token::System { .. } => Cost::Cpu,
            Token::Helper(_) => Cost::Wait,
        }
    }

    fn token(&self) -> Token<'_> {
        self.table.token(self.line)
    }
}

/// Draws a password that nobody can have guessed, nor set.
fn nobodys_password() -> Result<Secret, Temporary> {
    let mut random = [0; 16];
    let drawn = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
    drawn.ok().filter(|count| *count == random.len()).ok_or(Temporary::IO)?;
    Ok(Secret::from_vec(hex::encode(&random)))
}

/// Makes what parses the file, and tells of lines that say nothing, once until their number changes.
fn parser(path: PathBuf, notices: Notices) -> impl Fn(Zeroizing<Vec<u8>>) -> io::Result<Table> + Send + Sync + 'static {
    let told = Mutex::new(None);
    move |bytes| {
        let table = Table::parse(bytes)?;
        let found = table.passed_over();
        // A version that has just been written is parsed several times.
        let before = std::mem::replace(&mut *told.lock().unwrap_or_else(PoisonError::into_inner), found);
        if let Some(PassedOver { count, first }) = found.filter(|_| found != before) {
            let path = path.display();
            notices.give(format_args!(
                "{path}: {count} lines without a user and a colon passed over, the first is line {first}"
            ));
        }
        Ok(table)
    }
}
