//! `cvm-qmail`: the addresses that a qmail host delivers to. It answers look-ups only.
//!
//! Control files are parsed once; `users/cdb` stays open, and up to 16 MB it is read into memory once 16 rounds have found
//! it unchanged. Each is looked at with one `stat` a round, not a request.
//! What a look-up costs beyond that is system calls (counted with `strace -f -c` on a server that is asked with
//! `cvm-benchclient`; the original makes 3 and 144). By qmail's rules a round has two more, which serve all of its
//! requests: a `poll` for what happened to homes, and a `stat` of each folder that they are in.
//!
//! | what is looked up | system calls |
//! | --- | --- |
//! | a domain that is not ours | 0 |
//! | a user of the table | 0; in a larger table 3: two `pread`, and `fstat`, as it may have been written to meanwhile |
//! | the same by qmail's rules | 0 more, with or without an extension; in a larger table a `pread` for each cut |
//! | a home or file that is not held | 1 more for each of the two, once a round |
//! | a home that is not remembered either | 1 more for each name of a file that is tried |
//! | a home that is asked for the second time since it changed | 17 more: it is listed, and held from then on |
//! | a file of such a home that counts for the first time | 10 more: it is held from then on |
//! | an extension by the original's rules, which ask the system first | about 140 of the name service of Debian |
//! | a file in which programs are looked for | 5 more: it is read whole |
//! | permissions | a thread that lives as long as the look-up |
//!
//! A home is remembered, with the dot-qmail files that it has, if it is on a local disk, has at most 256 entries, and
//! calls none of these files by capital letters or more than ASCII; there is room for a hundred thousand homes, in 8 MB.
//! A look at it tells whether what is remembered holds, whatever is changed. Of those, up to 8192 homes and files are held,
//! 4096 with the kernel's usual limits: it tells when something happens to them, so that they need no look. Those on ZFS
//! are not, which can be taken back to what it was without a word.
//!
//! What asks no name service and checks no permissions is answered in an event loop, if the folders are on local file
//! systems. Everything else is handed to whoever can wait; so is what needs a control file that is large and has
//! changed, a folder that is not yet known to be local, or a dot-qmail file that is a symbolic link: its user may have it
//! lead to a host that is away.

mod address;
mod control;
mod dotfile;
mod homes;
mod host;
mod ids;
mod places;
mod users;

use std::io;
use std::os::unix::ffi::OsStrExt;

use cvm_core::answer::Patience;
use cvm_core::module::{Accepts, Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{Scope, StandardFacts};

use crate::Notices;
use crate::halt::{Halt, cost_of_lookup};
use crate::notices::Once;
use dotfile::{Access, Instructions};
use homes::Homes;

pub(crate) use control::Control;
pub use host::HostOptions;
pub(crate) use host::{Host, Resident};
pub(crate) use places::{Places, folder_of};
pub(crate) use users::{Assigned, Search, Users};

/// The settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the user of an address is found.
    pub host: HostOptions,
    /// `$CVM_QMAIL_CHECK_PERMS`: whether dot-qmail files are looked at with the rights of their users.
    pub permissions: Permissions,
    /// `$CVM_QMAIL_LOOKASIDE`: the programs to whose addresses another module answers.
    pub lookaside: Vec<Vec<u8>>,
}

/// Whose decisions are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Those of the original `cvm-qmail`.
    Original,
    /// Those of qmail-send, qmail-lspawn and qmail-local.
    Qmail,
}

/// Whether dot-qmail files are looked at with the rights of their users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permissions {
    /// No: with our own.
    Unchecked,
    /// Yes, and what they may not see is a temporary failure.
    DeniedIsTemporary,
    /// Yes, and what they may not see is not there.
    DeniedIsMissing,
}

/// The module.
pub struct Qmail {
    host: Host,
    homes: Homes,
    permissions: Permissions,
    lookaside: Vec<Vec<u8>>,
    notices: Notices,
    no_rights: Once,
}

/// An address that mail is delivered to.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    user: Assigned,
    domain: Vec<u8>,
}

/// Who answers for an address of a user, as its instructions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    /// Nobody: its mail is refused.
    Nobodys,
    /// Another module.
    Others,
    /// This one.
    Ours,
}

impl Qmail {
    /// Reads the control files; those that are missing are looked for again later.
    #[must_use]
    pub fn open(options: Options, notices: Notices) -> Self {
        let Options { host, permissions, lookaside } = options;
        let host = Host::open(host, &notices);
        Self { host, homes: Homes::default(), permissions, lookaside, notices, no_rights: Once::default() }
    }

    fn find(&self, request: &Request<'_>, patience: Patience) -> Result<Lookup<Account>, Halt> {
        let not_found = |scope| Ok(Lookup::Unknown { scope: Some(scope), decoy: None });
        let (account, domain) = (request.account().unwrap_or_default(), request.domain().unwrap_or_default());
        let (user, domain) = match self.host.find(account, domain, patience)? {
            Resident::Elsewhere => return not_found(Scope::Out),
            Resident::Nobody => return not_found(Scope::In),
            Resident::User { user, domain } => (user, domain),
        };
        if self.needs_files(&user) {
            self.host.allow(folder_of(user.home()), patience)?;
        }
        match self.delivery(&user, patience)? {
            Delivery::Nobodys => not_found(Scope::In),
            Delivery::Others => not_found(Scope::Out),
            Delivery::Ours => Ok(Lookup::Known(Account { user, domain })),
        }
    }

    /// Tells whether a look-up goes to the home of a user.
    fn needs_files(&self, user: &Assigned) -> bool {
        !user.dash().is_empty() || self.host.rules() == Rules::Qmail || !self.lookaside.is_empty()
    }

    /// Looks into the home of a user, if need be with his rights.
    fn delivery(&self, user: &Assigned, patience: Patience) -> Result<Delivery, Halt> {
        match (self.permissions, patience) {
            (Permissions::Unchecked, Patience::Immediate) => {
                return Ok(self.look(user, Access::AtOnce(&self.homes), patience)?);
            }
            (Permissions::Unchecked, Patience::Blocking) => return Ok(self.look(user, Access::Exists, patience)?),
            (_, Patience::Immediate) => return Err(Halt::Waits),
            (_, Patience::Blocking) => {}
        }
        let access = if self.host.rules() == Rules::Qmail { Access::Opens } else { Access::Exists };
        let found = ids::with_rights_of(user.uid, user.gid, || self.look(user, access, patience));
        let found = found.inspect_err(|error| {
            self.no_rights
                .give(&self.notices, format_args!("$CVM_QMAIL_CHECK_PERMS needs the rights of root: {error}"));
        })?;
        match found {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && self.is_denied_missing() => {
                Ok(Delivery::Nobodys)
            }
            found => Ok(found?),
        }
    }

    fn look(&self, user: &Assigned, access: Access<'_>, patience: Patience) -> io::Result<Delivery> {
        let (programs, rules) = (&self.lookaside, self.host.rules());
        let is_left_to_others = match dotfile::find(user, rules, access)? {
            Instructions::Missing => return Ok(Delivery::Nobodys),
            _ if programs.is_empty() => false,
            Instructions::File(path) => dotfile::runs_one_of(programs, &path, rules, patience)?,
            // Where no file is needed there may be one.
            Instructions::NotNeeded => {
                let found = dotfile::runs_one_of(programs, &user.home().join(".qmail"), rules, patience);
                found.or_else(|error| if dotfile::is_absent(&error) { Ok(false) } else { Err(error) })?
            }
        };
        Ok(if is_left_to_others { Delivery::Others } else { Delivery::Ours })
    }

    fn is_denied_missing(&self) -> bool {
        self.permissions == Permissions::DeniedIsMissing
    }
}

impl Module for Qmail {
    type Account = Account;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
        Ok(self.find(request, Patience::Blocking)?)
    }

    /// What has to wait shows on the way.
    fn lookup_inline(&self, request: &Request<'_>) -> Result<Result<Lookup<Account>, Temporary>, Cost> {
        Halt::inline(self.find(request, Patience::Immediate))
    }

    fn anticipate(&self, requests: &mut dyn Iterator<Item = Request<'_>>) {
        self.host.anticipate(requests);
    }

    /// There are no passwords here: who asks for a verdict has configured the wrong module.
    fn authenticate(&self, _: &Account, _: &Request<'_>) -> Result<Verdict, Temporary> {
        Err(Temporary::CONFIG)
    }

    fn results(&self, account: &Account, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        let home = account.user.home().as_os_str().as_bytes();
        facts.standard(&StandardFacts {
            username: account.user.name(),
            userid: account.user.uid.into(),
            groupid: account.user.gid.into(),
            directory: home,
            sys_username: Some(account.user.name()),
            sys_directory: Some(home),
            domain: Some(&account.domain),
            mailbox: Some(home),
            ..StandardFacts::default()
        });
        Ok(())
    }

    fn accepts(&self) -> Accepts {
        Accepts::Anything
    }

    fn lookup_cost(&self, request: &Request<'_>) -> Cost {
        cost_of_lookup(self, request)
    }

    fn refresh(&self) {
        self.homes.begin_round();
        self.host.refresh();
    }

    fn reload(&self) {
        self.host.reload();
    }
}

#[cfg(test)]
pub(crate) use tests::host_options;

#[cfg(test)]
mod tests;
