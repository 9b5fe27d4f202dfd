//! `cvm-vchkpw`: the accounts of vpopmail's domains.
//!
//! A domain is one that qmail's `users/cdb` assigns a folder to. Its accounts are in `vpasswd.cdb` there, which stays
//! open and is looked at with one `lstat` in a round that asks for it, or, where that is missing, in `vpasswd`, which is
//! read from its beginning to its end for each request. Passwords are compared with the stored hash; where vpopmail
//! stores them in clear text too, that answers challenges.
//!
//! A round looks at `users/cdb` and `etc/defaultdomain`, with one `stat` each. What a look-up costs beyond that is system
//! calls (counted as for [`cvm-qmail`](crate::qmail)), for known and unknown names alike:
//!
//! | what is looked up | system calls |
//! | --- | --- |
//! | a domain that is not ours | 1 to 3: up to two `pread` of the table, and `fstat`, as it may have been written to meanwhile |
//! | a name in a domain of ours | 10 or 11: that for each of the two tables, three or four `pread` for the decoy, an `lstat` of the domain's table once a round |
//! | the same for a service | 2 more, if neither domain nor host have limits; 4 or 5 for each file that is there |
//!
//! That is answered in an event loop, if the folders are on local file systems; the text, and limits that have just been
//! written, are left to whoever can wait.

#[cfg(any(test, feature = "testing"))]
mod check;
mod domain;
mod limits;
mod lines;
mod login;
mod record;
mod service;

use std::io;
use std::path::{Path, PathBuf};

use cvm_core::answer::Patience;
use cvm_core::module::{Accepts, Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{Scope, StandardFacts};
use nix::unistd::User;

use crate::Notices;
use crate::halt::{Halt, cost_of_lookup};
use crate::judge::Judge;
use crate::notices::OncePerFile;
use crate::password::Comparison;
use crate::pwfile::OwnedLine;
use crate::qmail::Places;
use crate::stamp::Links;
use crate::tables::Tables;
use domain::{Domain, Domains};
use limits::Limits;
use lines::Lines;
use login::Login;
use record::Record;
use service::Flags;

#[cfg(any(test, feature = "testing"))]
pub(crate) use check::check;
pub use login::is_domain;
pub use service::Service;

/// The settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// `$QMAIL_ROOT`: the folder that `users` is in.
    pub qmail_root: PathBuf,
    /// `$VPOPMAIL_ROOT`: the folder that vpopmail's `etc` is in.
    pub root: PathBuf,
    /// `$VPOPMAIL_DOMAIN`: the domain of requests without one, in place of what `etc/defaultdomain` says.
    pub default_domain: Option<Vec<u8>>,
    /// `$SERVICE`: what accounts have to be allowed to use.
    pub service: Option<Service>,
}

/// The module.
pub struct Vchkpw {
    root: PathBuf,
    service: Option<Service>,
    /// The user whose programs write the tables, if the system has one.
    vpopmail: Option<u32>,
    domains: Domains,
    tables: Tables,
    judge: Judge,
    files: Files,
}

/// An account, and what stands in for it if nothing matches its password.
pub struct Account {
    user: Vec<u8>,
    domain: Domain,
    line: OwnedLine,
    decoy: Option<OwnedLine>,
    /// The request has a password, and not a response to a challenge.
    has_password: bool,
}

/// What a module knows of its files: which of them may be looked at at once, and what was said of those that cannot be
/// read.
struct Files {
    places: Places,
    notices: Notices,
    unreadable: OncePerFile,
}

impl Files {
    /// Says once what cannot be read.
    fn readable<T>(&self, path: &Path, result: io::Result<T>) -> Result<T, Halt> {
        result.map_err(|error| {
            self.unreadable.give(&self.notices, path, format_args!("{error}"));
            Halt::Failed
        })
    }
}

impl Vchkpw {
    /// Opens qmail's table; one that is missing is looked for again later.
    #[must_use]
    pub fn open(options: Options, notices: Notices) -> Self {
        Self {
            domains: Domains::open(&options, &notices),
            root: options.root,
            service: options.service,
            vpopmail: User::from_name("vpopmail").ok().flatten().map(|user| user.uid.as_raw()),
            tables: Tables::default(),
            judge: Judge::new(Comparison::Crypt, notices.clone()),
            files: Files { places: Places::new(), notices, unreadable: OncePerFile::default() },
        }
    }

    fn find(&self, request: &Request<'_>, patience: Patience) -> Result<Lookup<Account>, Halt> {
        let mut login = Login::of(request.account().unwrap_or_default(), request.domain().unwrap_or_default());
        let Some(domain) = self.domains.find(&mut login, &self.files, patience)? else {
            return Ok(Lookup::Unknown { scope: Some(Scope::Out), decoy: None });
        };
        self.files.places.allow(domain.folder.parent().unwrap_or(&domain.folder), patience)?;
        // For unknown names too, so that their answers take as long.
        let limits = self.limits(&domain, patience)?;
        let Lines { account, decoy } = self.lines(&domain, &login, patience)?;
        let has_password = request.password().is_some_and(|password| !password.is_empty());
        let whose = |line, decoy| Account { user: login.user, domain, line, decoy, has_password };
        let scope = Some(Scope::In);
        let Some(line) = account else {
            return Ok(Lookup::Unknown { scope, decoy: decoy.map(|line| whose(line, None)) });
        };
        let flags = Record::parse(&line).ok_or(Halt::Failed)?.flags.within(limits);
        let is_open = self.service.is_none_or(|service| flags.allows(service));
        let account = whose(line, decoy);
        Ok(if is_open { Lookup::Known(account) } else { Lookup::Unknown { scope, decoy: Some(account) } })
    }

    /// Returns what the accounts of a domain may not do, where that matters.
    fn limits(&self, domain: &Domain, patience: Patience) -> Result<Flags, Halt> {
        if self.service.is_none() {
            return Ok(Flags::default());
        }
        let default = self.root.join("etc");
        self.files.places.allow(&default, patience)?;
        let of_domain = (domain.folder.join(".qmailadmin-limits"), Links::Refused);
        for (path, links) in [of_domain, (default.join("vlimits.default"), Links::Followed)] {
            match self.files.readable(&path, limits::read(&path, links, patience))? {
                Limits::Read(flags) => return Ok(flags),
                Limits::Unsettled => return Err(Halt::Waits),
                Limits::Missing => (),
            }
        }
        Ok(Flags::default())
    }

    /// Finds the line of an account, and another one, in the table of its domain.
    fn lines(&self, domain: &Domain, login: &Login, patience: Patience) -> Result<Lines, Halt> {
        let path = domain.folder.join("vpasswd.cdb");
        // Whoever else can write to the folder could put a table there.
        let owners = [domain.uid, self.vpopmail.unwrap_or(domain.uid)];
        let mut lines = match self.files.readable(&path, self.tables.get(&path))? {
            Some(table) => {
                let lines = table.check_owner(&owners).and_then(|()| Lines::of_table(&table, &login.user));
                self.files.readable(&path, lines)?
            }
            None if patience == Patience::Immediate => return Err(Halt::Waits),
            None => {
                let path = domain.folder.join("vpasswd");
                self.files.readable(&path, Lines::of_text(&path, &login.user, &owners))?
            }
        };
        lines.account = lines.account.filter(|_| login.has_user());
        Ok(lines)
    }
}

impl Module for Vchkpw {
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
        let is_right = if account.has_password {
            self.judge.matches(record.hash, || account.decoy_hash(), request)?
        } else {
            self.judge.answers(record.clear_text, request)
        };
        Ok(if is_right { Verdict::Accepted } else { Verdict::Rejected { scope: Some(Scope::In) } })
    }

    fn results(&self, account: &Account, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        let Account { user, domain, .. } = account;
        let record = account.record()?;
        facts.standard(&StandardFacts {
            username: user,
            userid: domain.uid.into(),
            groupid: domain.gid.into(),
            realname: Some(record.realname),
            directory: record.directory,
            domain: Some(&domain.name[..]).filter(|name| !name.is_empty()),
            mailbox: Some(&[record.directory, b"/Maildir/"].concat()),
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
        match account.record() {
            Ok(record) if account.has_password => self.judge.cost(record.hash, || account.decoy_hash()),
            _ => Cost::Inline,
        }
    }

    fn refresh(&self) {
        self.domains.refresh();
        self.files.places.refresh();
        self.tables.refresh();
    }

    fn reload(&self) {
        self.refresh();
        self.domains.reload();
    }
}

impl Account {
    fn record(&self) -> Result<Record<'_>, Temporary> {
        Record::parse(&self.line).ok_or(Temporary::IO)
    }

    fn decoy_hash(&self) -> Option<&[u8]> {
        self.decoy.as_deref().and_then(|line| Record::parse(line)).map(|record| record.hash)
    }
}

#[cfg(test)]
mod tests;
