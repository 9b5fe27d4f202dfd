//! `cvm-qmail`: the addresses that a qmail host delivers to. It answers look-ups only.

mod control;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use cvm_core::module::{Accepts, Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{Scope, StandardFacts};
use nix::unistd::User;

use crate::cdb::WatchedCdb;
use control::Control;

/// The settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder that `control` and `users` are in.
    pub root: PathBuf,
    /// Every domain that is not virtual is local.
    pub assume_local: bool,
    /// What stands in for a domain that is neither local nor virtual.
    pub missing_domain: Option<Vec<u8>>,
    /// The user that mail to such a domain goes to.
    pub missing_user: Vec<u8>,
}

/// The module.
pub struct Qmail {
    options: Options,
    me: Control<Vec<u8>>,
    envnoathost: Control<Vec<u8>>,
    locals: Control<HashSet<Vec<u8>>>,
    virtual_domains: Control<HashMap<Vec<u8>, Vec<u8>>>,
    users: WatchedCdb,
}

/// An address that mail is delivered to.
#[derive(Debug)]
pub struct Account {
    user: Assigned,
    domain: Vec<u8>,
}

/// Whom a local part is assigned to.
#[derive(Debug)]
struct Assigned {
    name: Vec<u8>,
    uid: u64,
    gid: u64,
    home: PathBuf,
    dash: Vec<u8>,
    extension: Vec<u8>,
}

impl Qmail {
    /// Reads the control files; those that are missing are looked for again later.
    #[must_use]
    pub fn open(options: Options) -> Self {
        let control = options.root.join("control");
        let first = |lines: &[Vec<u8>]| lines.first().cloned().unwrap_or_default();
        Self {
            me: Control::open(control.join("me"), first),
            envnoathost: Control::open(control.join("envnoathost"), first),
            locals: Control::open(control.join("locals"), |lines| {
                lines.iter().map(|line| line.to_ascii_lowercase()).collect()
            }),
            virtual_domains: Control::open(control.join("virtualdomains"), virtual_domains),
            users: WatchedCdb::open(options.root.join("users/cdb")),
            options,
        }
    }

    /// Returns the domain as it is told, and the local part that it makes of a user; `None` if it is not ours.
    fn local(&self, user: &[u8], domain: Option<&[u8]>) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let domain = match domain {
            Some(domain) if !domain.is_empty() => domain.to_ascii_lowercase(),
            _ => self.default_domain()?.to_ascii_lowercase(),
        };
        if self.locals.get()?.is_some_and(|locals| locals.contains(&domain)) {
            return Ok(Some((domain, user.to_vec())));
        }
        if let Some(map) = self.virtual_domains.get()? {
            let suffixes = (0..domain.len()).filter(|&at| at == 0 || domain.get(at) == Some(&b'.'));
            for key in suffixes.filter_map(|at| domain.get(at..)) {
                if let Some(prepend) = map.get(key) {
                    let dash: &[u8] = if prepend.is_empty() { b"" } else { b"-" };
                    return Ok(Some((key.to_vec(), [prepend, dash, user].concat())));
                }
            }
        }
        if self.options.assume_local {
            return Ok(Some((domain, user.to_vec())));
        }
        Ok(self.options.missing_domain.clone().map(|domain| (domain, self.options.missing_user.clone())))
    }

    fn default_domain(&self) -> io::Result<Vec<u8>> {
        if let Some(name) = self.envnoathost.get()? {
            return Ok(name.to_vec());
        }
        Ok(self.me.get()?.map_or_else(|| b"envnoathost".to_vec(), |me| me.to_vec()))
    }

    /// Finds whom a local part is assigned to: whole, then cut at each dash from the right, in the table before the
    /// system's users; at last the table's catch-all, or the user `alias`.
    fn assigned(&self, local: &[u8]) -> io::Result<Option<Assigned>> {
        let name = local.to_ascii_lowercase();
        if let Some(found) = self.in_table(&[b"!", &name[..], b"\0"].concat(), b"")? {
            return Ok(Some(found));
        }
        if let Some(found) = in_system(&name, b"", b"")? {
            return Ok(Some(found));
        }
        for (at, _) in local.iter().enumerate().rev().filter(|(_, byte)| **byte == b'-') {
            let (user, _) = name.split_at(at);
            let rest = local.get(at + 1..).unwrap_or_default();
            if let Some(found) = self.in_table(&[b"!", user, b"-"].concat(), rest)? {
                return Ok(Some(found));
            }
            if let Some(found) = in_system(user, b"-", rest)? {
                return Ok(Some(found));
            }
        }
        match self.in_table(b"!", local)? {
            None => in_system(b"alias", b"-", local),
            found => Ok(found),
        }
    }

    fn in_table(&self, key: &[u8], rest: &[u8]) -> io::Result<Option<Assigned>> {
        let Some(table) = self.users.get()? else {
            return Ok(None);
        };
        let found = table.find(key)?;
        let read = |data: &[u8]| Assigned::read(data, rest).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData));
        found.map(|data| read(&data)).transpose()
    }
}

impl Module for Qmail {
    type Account = Account;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
        let user = request.account().unwrap_or_default();
        let found = |scope| Ok(Lookup::Unknown { scope: Some(scope), decoy: None });
        let Some((domain, local)) = self.local(user, request.domain()).map_err(|_| Temporary::IO)? else {
            return found(Scope::Out);
        };
        // A NUL is part of no name.
        if local.contains(&0) {
            return found(Scope::In);
        }
        match self.assigned(&local).map_err(|_| Temporary::IO)? {
            Some(user) if user.has_instructions().map_err(|_| Temporary::IO)? => {
                Ok(Lookup::Known(Account { user, domain }))
            }
            _ => found(Scope::In),
        }
    }

    /// There are no passwords here: who asks for a verdict has configured the wrong module.
    fn authenticate(&self, _: &Account, _: &Request<'_>) -> Result<Verdict, Temporary> {
        Err(Temporary::CONFIG)
    }

    fn results(&self, account: &Account, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        let home = account.user.home.as_os_str().as_bytes();
        facts.standard(&StandardFacts {
            username: &account.user.name,
            userid: account.user.uid,
            groupid: account.user.gid,
            directory: home,
            sys_username: Some(&account.user.name),
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

    /// The system's users are asked before all of the table's keys have been.
    fn lookup_cost(&self, request: &Request<'_>) -> Cost {
        let local = self.local(request.account().unwrap_or_default(), request.domain());
        if matches!(local, Ok(None)) { Cost::Inline } else { Cost::Wait }
    }

    fn refresh(&self) {
        self.me.refresh();
        self.envnoathost.refresh();
        self.locals.refresh();
        self.virtual_domains.refresh();
        self.users.refresh();
    }
}

impl Assigned {
    /// Reads a value of the table: six strings, NUL between them.
    fn read(data: &[u8], rest: &[u8]) -> Option<Self> {
        let mut fields = data.split(|&byte| byte == 0);
        let mut next = || fields.next();
        let (name, uid, gid, home, dash, extension) = (next()?, next()?, next()?, next()?, next()?, next()?);
        let number = |field: &[u8]| u32::try_from(cvm_core::parse_integer(field)?).ok();
        Some(Self {
            name: name.to_vec(),
            uid: number(uid)?.into(),
            gid: number(gid)?.into(),
            home: OsString::from_vec(home.to_vec()).into(),
            dash: dash.to_vec(),
            extension: [extension, rest].concat(),
        })
    }

    /// Tells whether mail to this extension is delivered: the file of instructions for it, or a default, exists.
    fn has_instructions(&self) -> io::Result<bool> {
        if self.dash.is_empty() {
            return Ok(self.extension.is_empty());
        }
        let safe = self.extension.to_ascii_lowercase();
        let safe: Vec<u8> = safe.into_iter().map(|byte| if byte == b'.' { b':' } else { byte }).collect();
        if exists(&self.home, &[b".qmail", &self.dash[..], &safe[..]].concat())? {
            return Ok(true);
        }
        for at in (0..=safe.len()).rev() {
            let (start, _) = safe.split_at(at);
            let is_boundary = start.last().is_none_or(|&byte| byte == b'-');
            if is_boundary && exists(&self.home, &[b".qmail", &self.dash[..], start, b"default"].concat())? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn exists(home: &Path, name: &[u8]) -> io::Result<bool> {
    match std::fs::metadata(home.join(OsString::from_vec(name.to_vec()))) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn in_system(name: &[u8], dash: &[u8], rest: &[u8]) -> io::Result<Option<Assigned>> {
    let Ok(text) = str::from_utf8(name) else {
        return Ok(None);
    };
    let user = if text.is_empty() { None } else { User::from_name(text)? };
    Ok(user.map(|user| Assigned {
        name: user.name.into_bytes(),
        uid: user.uid.as_raw().into(),
        gid: user.gid.as_raw().into(),
        home: user.dir,
        dash: dash.to_vec(),
        extension: rest.to_vec(),
    }))
}

/// Reads lines of domain, colon, prepend; the first of two for one domain counts.
fn virtual_domains(lines: &[Vec<u8>]) -> HashMap<Vec<u8>, Vec<u8>> {
    let mut map = HashMap::new();
    for line in lines {
        if let Some(at) = memchr::memchr(b':', line) {
            let (domain, prepend) = line.split_at(at);
            map.entry(domain.to_ascii_lowercase()).or_insert_with(|| prepend.get(1..).unwrap_or_default().to_vec());
        }
    }
    map
}
