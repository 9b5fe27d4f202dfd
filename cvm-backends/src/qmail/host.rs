//! A qmail host: from an address to the user it is assigned to, as every module of a mail host finds him.

use std::path::{Path, PathBuf};

use cvm_core::answer::Patience;
use cvm_core::wire::Request;

use super::Rules;
use super::address::Addresses;
use super::places::Places;
use super::users::{Assigned, Search, Users, hash_of_whole};
use crate::Notices;
use crate::halt::Halt;

/// The settings of a host.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// `$QMAIL_ROOT`: the folder that `control` and `users` are in.
    pub root: PathBuf,
    /// `$CVM_QMAIL_STRICT`: whose decisions are taken.
    pub rules: Rules,
    /// `$CVM_QMAIL_ASSUME_LOCAL`: every domain that is not virtual is local.
    pub assume_local: bool,
    /// `$CVM_QMAIL_MISSINGDOMAIN`: what stands in for a domain that is neither local nor virtual.
    pub missing_domain: Option<Vec<u8>>,
    /// `$CVM_QMAIL_MISSINGUSER`: the user that mail to such a domain goes to.
    pub missing_user: Vec<u8>,
}

/// The control files and the table of assignments of a host.
pub(crate) struct Host {
    options: HostOptions,
    addresses: Addresses,
    users: Users,
    places: Places,
}

/// Where an address leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resident {
    /// To another host.
    Elsewhere,
    /// To nobody.
    Nobody,
    /// To a user; the domain is the one that is told.
    User { user: Assigned, domain: Vec<u8> },
}

impl Host {
    /// Reads the control files; those that are missing are looked for again later.
    pub(crate) fn open(options: HostOptions, notices: &Notices) -> Self {
        let (addresses, users) = (Addresses::open(&options, notices), Users::open(&options.root));
        Self { options, addresses, users, places: Places::new() }
    }

    pub(crate) const fn rules(&self) -> Rules {
        self.options.rules
    }

    /// Finds whom an address is assigned to.
    pub(crate) fn find(&self, account: &[u8], domain: &[u8], patience: Patience) -> Result<Resident, Halt> {
        self.addresses.catch_up(patience)?;
        let Some(to) = self.addresses.find(account, domain, &self.options)? else {
            return Ok(Resident::Elsewhere);
        };
        // A NUL is part of no name.
        if to.local.contains(&0) {
            return Ok(Resident::Nobody);
        }
        let search = Search { rules: self.rules(), patience, places: &self.places };
        let found = self.users.find(&to.local, &search)?;
        // qmail-lspawn delivers nothing as root.
        let found = found.filter(|user| self.options.rules == Rules::Original || user.uid != 0);
        Ok(found.map_or(Resident::Nobody, |user| Resident::User { user, domain: to.domain.into_owned() }))
    }

    /// Hears of all requests of a round before the first of them is looked up.
    pub(crate) fn anticipate(&self, requests: &mut dyn Iterator<Item = Request<'_>>) {
        self.users.anticipate(requests.filter_map(|request| {
            let (account, domain) = (request.account().unwrap_or_default(), request.domain().unwrap_or_default());
            let to = self.addresses.find(account, domain, &self.options).ok().flatten()?;
            Some(hash_of_whole(&to.local))
        }));
    }

    /// Lets those go on to a folder who can wait; others only if it is known to be local.
    pub(crate) fn allow(&self, folder: &Path, patience: Patience) -> Result<(), Halt> {
        self.places.allow(folder, patience)
    }

    /// Looks whether files have changed.
    pub(crate) fn refresh(&self) {
        self.addresses.refresh();
        self.users.refresh();
        self.places.refresh();
    }

    /// Reads the files again, changed or not.
    pub(crate) fn reload(&self) {
        self.refresh();
        self.addresses.reload();
    }
}
