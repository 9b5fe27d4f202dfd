//! `cvm-authuser`: s/qmail's `users/authuser`, and who is let in by it.
//!
//! Each line is a key, a colon, and what stands for the password:
//!
//! | key | whose password |
//! | --- | --- |
//! | `joe`, `joe@example.net` | this user's |
//! | `@example.net` | that of everybody of this domain |
//! | `@`, then `*` | everybody's |
//! | `!joe`, `!joe@example.net`, `!@example.net` | nobody's: this user, or everybody of this domain, is disabled |
//!
//! | what follows the colon | what is right |
//! | --- | --- |
//! | `?` | the password of the system's user |
//! | `!` | the same, and the program that comes next runs as that user |
//! | `+`, `&`, `=` | what `checkvpw`, `vchkpw` or `doveadm` says is right |
//! | `%` and 32, 40 or 64 hexadecimal digits | the password with this MD5, SHA-1 or SHA-256 digest |
//! | anything else of more than one byte | that itself, and responses computed from it |
//!
//! `!joe` disables the system's user `joe` with any domain, too, where `?` or `!` is what counts.
//!
//! Keys match whatever the case of their ASCII letters. Of several lines with one key the last counts. Blanks, tabs
//! and carriage returns at the end of a line, empty lines, lines that begin with `#` and lines without a colon do not count.
//!
//! [`Users`] is what a program needs that knows the file; [`Authuser`] serves it as a module.

mod claim;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod helper;
mod name;
mod table;
mod token;
mod users;

use std::path::PathBuf;

use cvm_core::module::{Accepts, Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{FactType, StandardFacts};

use crate::Notices;
use crate::halt::cost_of_lookup;
use crate::notices::Once;

pub use claim::Claim;
pub use helper::Helpers;
pub use name::Name;
pub use users::{Account, Missing, Users};

/// The settings of the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `$CVM_AUTHUSER_PATH`: the file.
    pub path: PathBuf,
    /// `$CVM_AUTHUSER_LOCALS`: domains that stand for none.
    pub locals: Vec<Vec<u8>>,
    /// Who the users are that are none of the system.
    pub identity: Identity,
    /// How other programs are asked.
    pub helpers: Helpers,
}

/// What is told of users that are none of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `$CVM_AUTHUSER_UID`: their user ID.
    pub uid: u32,
    /// `$CVM_AUTHUSER_GID`: their group ID.
    pub gid: u32,
    /// `$CVM_AUTHUSER_HOME`: their directory.
    pub home: Vec<u8>,
}

/// The module. It becomes nobody: lines with `!` are as those with `?`.
pub struct Authuser {
    users: Users,
    locals: Vec<Vec<u8>>,
    identity: Identity,
    notices: Notices,
    doubtful: Once,
}

impl Authuser {
    /// Reads the file. One that is missing is told in a notice, and looked for at each request.
    #[must_use]
    pub fn open(options: Options, notices: Notices) -> Self {
        let Options { path, locals, identity, helpers } = options;
        let users = Users::open(path, Missing::Trouble, helpers, notices.clone());
        Self { users, locals, identity, notices, doubtful: Once::default() }
    }

    /// Joins account and domain again; a domain that stands for none is left out.
    fn name(&self, request: &Request<'_>) -> Name {
        let account = request.account().unwrap_or_default();
        let mut name = match request.domain().filter(|domain| !domain.is_empty()) {
            Some(domain) => Name::joined(account, domain),
            None => Name::new(account),
        };
        while name.domain().is_some_and(|domain| self.is_local(domain)) {
            name = Name::new(name.local());
        }
        name
    }

    fn is_local(&self, domain: &[u8]) -> bool {
        self.locals.iter().any(|local| local.eq_ignore_ascii_case(domain))
    }
}

impl Module for Authuser {
    type Account = Account;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
        self.users.find(self.name(request))
    }

    /// Only the system's users have to be waited for.
    fn lookup_inline(&self, request: &Request<'_>) -> Result<Result<Lookup<Account>, Temporary>, Cost> {
        if self.users.is_due() {
            return Err(Cost::Wait);
        }
        let found = self.users.find_line(self.name(request));
        match &found {
            Ok(Lookup::Known(account) | Lookup::Unknown { decoy: Some(account), .. }) if account.needs_system() => {
                Err(Cost::Wait)
            }
            _ => Ok(found),
        }
    }

    fn authenticate(&self, account: &Account, request: &Request<'_>) -> Result<Verdict, Temporary> {
        self.users.is_right(account, &Claim::of_request(request)).map(Verdict::from_match)
    }

    fn results(&self, account: &Account, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        if let Some(user) = &account.user {
            self.users.unix.results(user, facts)?;
            if let Some(domain) = account.domain() {
                facts.string(FactType::DOMAIN, domain);
            }
            return Ok(());
        }
        if account.is_doubtful() {
            let text = format_args!("users of other programs can be looked up only if they have lines of their own");
            self.doubtful.give(&self.notices, text);
            return Err(Temporary::CONFIG);
        }
        facts.standard(&StandardFacts {
            username: &account.local(),
            userid: self.identity.uid.into(),
            groupid: self.identity.gid.into(),
            directory: &self.identity.home,
            domain: account.domain(),
            ..StandardFacts::default()
        });
        Ok(())
    }

    fn accepts(&self) -> Accepts {
        Accepts::PasswordOrResponse
    }

    fn lookup_cost(&self, request: &Request<'_>) -> Cost {
        cost_of_lookup(self, request)
    }

    fn authenticate_cost(&self, account: &Account) -> Cost {
        account.cost()
    }

    fn refresh(&self) {
        self.users.refresh();
    }

    fn reload(&self) {
        self.users.reload();
    }
}

#[cfg(test)]
mod tests;
