//! `cvm-unix`: the accounts of the system, from every source of its name service.

use std::ffi::CString;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use cvm_core::module::{Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{FactType, SecretRef, StandardFacts};
use nix::errno::Errno;
use nix::unistd::{Gid, Group, User, getgrouplist};
use zeroize::Zeroizing;

use crate::Notices;
use crate::judge::Judge;
use crate::notices::Once;
use crate::password::Comparison;
use crate::sys::{self, Shadow};

/// The module. Names are looked up in lower case, as the original does.
#[derive(Debug)]
pub struct Unix {
    judge: Judge,
    notices: Notices,
    unreadable: Once,
}

/// The table that decoys are taken from; entries come through the name service.
const SHADOW: &str = "/etc/shadow";

/// A user of the system, or what stands in for one that does not exist.
#[derive(Debug)]
pub struct Account {
    user: Option<User>,
    /// The stored password, or why it cannot be had; a look-up does not care.
    password: Result<Zeroizing<Vec<u8>>, Temporary>,
    /// What is compared in the place of a password that nothing matches.
    decoy: Zeroizing<Vec<u8>>,
    is_expired: bool,
}

impl Unix {
    /// Makes the module, which has no settings.
    #[must_use]
    pub fn new(notices: Notices) -> Self {
        let judge = Judge::new(Comparison::Crypt, notices.clone());
        Self { judge, notices, unreadable: Once::default() }
    }

    /// Finds a user, or what stands in for one that does not exist.
    pub(crate) fn find(&self, name: &[u8]) -> Result<Lookup<Account>, Temporary> {
        let name = name.to_ascii_lowercase();
        let user = find_user(&name)?;
        let (shadow, decoy) = self.shadow(&name);
        Ok(match user {
            Some(user) => Lookup::Known(Account::of(user, shadow, decoy)),
            None => Lookup::Unknown { scope: None, decoy: Some(Account::nobody(shadow, decoy)) },
        })
    }

    /// Tells whether a password is that of a user who may log in.
    pub(crate) fn is_right(&self, account: &Account, password: SecretRef<'_>) -> Result<bool, Temporary> {
        let stored = account.password.as_ref().map_err(|temporary| *temporary)?;
        let right = self.judge.matches_password(stored, || Some(&account.decoy), password)?;
        Ok(right && !account.is_expired)
    }

    /// Finds the shadow entry, and what the table has to stand in for one: for every name alike, so that neither code
    /// nor time tells which users exist. What the name service itself takes longer for one name than for another
    /// cannot be hidden.
    fn shadow(&self, name: &[u8]) -> (Result<Option<Shadow>, Temporary>, Zeroizing<Vec<u8>>) {
        let entry = CString::new(name).map_or(Ok(None), |name| sys::shadow(&name));
        let table = std::fs::read(SHADOW).map(Zeroizing::new);
        let unreadable = match (&entry, &table) {
            (Err(error), _) => Some(error),
            // Where the table cannot be read, the name service may say that there is no entry.
            (Ok(None), Err(error)) if error.kind() != io::ErrorKind::NotFound => Some(error),
            _ => None,
        };
        if let Some(error) = unreadable {
            self.unreadable.give(&self.notices, format_args!("{SHADOW}: {error}"));
            return (Err(Temporary::IO), Zeroizing::default());
        }
        (entry.map_err(|_| Temporary::IO), decoy(&table.unwrap_or_default(), name))
    }
}

impl Module for Unix {
    type Account = Account;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
        self.find(request.account().unwrap_or_default())
    }

    fn authenticate(&self, account: &Account, request: &Request<'_>) -> Result<Verdict, Temporary> {
        let password = account.password.as_ref().map_err(|temporary| *temporary)?;
        let right = self.judge.matches(password, || Some(&account.decoy), request)?;
        Ok(Verdict::from_match(right && !account.is_expired))
    }

    fn results(&self, account: &Account, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        write_facts(account.user.as_ref().ok_or(Temporary::GENERAL)?, facts)
    }

    fn lookup_cost(&self, _: &Request<'_>) -> Cost {
        Cost::Wait
    }

    fn authenticate_cost(&self, _: &Account) -> Cost {
        Cost::Cpu
    }
}

impl Account {
    /// Returns the user; `None` for what stands in for one.
    pub(crate) const fn user(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Takes the stored password from the shadow entry of a user that has one.
    fn of(user: User, shadow: Result<Option<Shadow>, Temporary>, decoy: Zeroizing<Vec<u8>>) -> Self {
        let is_expired = matches!(&shadow, Ok(Some(shadow)) if is_expired(shadow, today()));
        let password = match shadow {
            Ok(Some(shadow)) => Ok(shadow.password),
            Ok(None) => Ok(Zeroizing::new(user.passwd.to_bytes().to_vec())),
            Err(temporary) => Err(temporary),
        };
        Self { user: Some(user), password, decoy, is_expired }
    }

    /// Stands in for a user that does not exist.
    fn nobody(shadow: Result<Option<Shadow>, Temporary>, decoy: Zeroizing<Vec<u8>>) -> Self {
        Self { user: None, password: shadow.map(|_| decoy.clone()), decoy, is_expired: false }
    }
}

/// A user of the system, for modules that judge passwords otherwise.
#[derive(Clone, Debug)]
pub struct SystemUser(User);

impl SystemUser {
    /// Finds the user of exactly this name.
    ///
    /// # Errors
    ///
    /// [`Temporary::IO`] if the name service cannot tell.
    pub fn find(name: &[u8]) -> Result<Option<Self>, Temporary> {
        Ok(find_user(name)?.map(Self))
    }

    /// Writes the facts that [`Unix`] tells.
    ///
    /// # Errors
    ///
    /// [`Temporary`] if the name service does not tell the groups.
    pub fn write_facts(&self, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        write_facts(&self.0, facts)
    }
}

fn find_user(name: &[u8]) -> Result<Option<User>, Temporary> {
    let text = str::from_utf8(name).ok().filter(|name| !name.contains('\0'));
    text.map_or(Ok(None), |name| found(User::from_name(name)))
}

fn write_facts(user: &User, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
    let name = CString::new(user.name.as_bytes()).map_err(|_| Temporary::BAD_MODULE_DATA)?;
    for group in getgrouplist(&name, user.gid).map_err(|_| Temporary::IO)? {
        facts.integer(FactType::SUPP_GROUPID, group.as_raw().into());
    }
    let group = group_name(user.gid)?;
    facts.standard(&StandardFacts {
        username: user.name.as_bytes(),
        userid: user.uid.as_raw().into(),
        groupid: user.gid.as_raw().into(),
        realname: user.gecos.to_bytes().split(|&byte| byte == b',').next(),
        directory: user.dir.as_os_str().as_encoded_bytes(),
        shell: Some(user.shell.as_os_str().as_encoded_bytes()),
        groupname: group.as_deref().map(str::as_bytes),
        ..StandardFacts::default()
    });
    Ok(())
}

/// Days since 1970.
fn today() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs() / 86_400).unwrap_or(i64::MAX)
}

/// Tells whether the account has expired (shadow(5)), or its password has and the grace for that is over.
fn is_expired(shadow: &Shadow, today: i64) -> bool {
    let is_set = |field: i64| (field >= 0).then_some(field);
    let account = is_set(shadow.expires);
    let password = is_set(shadow.last_change)
        .zip(is_set(shadow.maximum))
        .zip(is_set(shadow.inactive))
        .map(|((change, maximum), inactive)| change.saturating_add(maximum).saturating_add(inactive));
    account.is_some_and(|expires| today >= expires) || password.is_some_and(|end| today > end)
}

/// A name service says "not found" in several ways.
fn found<T>(answer: Result<Option<T>, Errno>) -> Result<Option<T>, Temporary> {
    match answer {
        Ok(found) => Ok(found),
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        Err(_) => Err(Temporary::IO),
    }
}

fn group_name(gid: Gid) -> Result<Option<String>, Temporary> {
    Ok(found(Group::from_gid(gid))?.map(|group| group.name))
}

/// A password of the usual form that nobody has, for a system without one that can be read.
const NOBODYS: &[u8] = b"$y$j9T$ql8S9NGJKFsnriK9QKUj2/$5CSaTZrxfFUVE1bKLjBz2sRn9zzsBqvYAcMUGLFAKk6";

/// Chooses the stored password that a name without one is compared with: always the same for a name, in every
/// process, until the table changes.
fn decoy(table: &[u8], name: &[u8]) -> Zeroizing<Vec<u8>> {
    let fields = table.split(|&byte| byte == b'\n').filter_map(|line| line.split(|&byte| byte == b':').nth(1));
    let usable: Vec<_> = fields.filter(|field| Comparison::Crypt.read(field).is_ok()).collect();
    let mut hasher = DefaultHasher::new();
    // The key is secret, but the same for all processes.
    hasher.write(usable.first().copied().unwrap_or(NOBODYS));
    hasher.write(name);
    let count = u64::try_from(usable.len()).unwrap_or(0).max(1);
    let index = usize::try_from(hasher.finish() % count).unwrap_or(0);
    Zeroizing::new(usable.get(index).copied().unwrap_or(NOBODYS).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shadow(last_change: i64, maximum: i64, inactive: i64, expires: i64) -> Shadow {
        Shadow { password: Zeroizing::default(), last_change, maximum, inactive, expires }
    }

    #[test]
    fn accounts_expire_on_their_day() {
        assert!(!is_expired(&shadow(0, 99_999, -1, -1), 20_000));
        assert!(!is_expired(&shadow(0, 99_999, -1, 20_001), 20_000));
        assert!(is_expired(&shadow(0, 99_999, -1, 20_000), 20_000));
    }

    #[test]
    fn passwords_expire_when_their_grace_is_over() {
        assert!(!is_expired(&shadow(19_900, 50, -1, -1), 20_000));
        assert!(!is_expired(&shadow(19_900, 50, 50, -1), 20_000));
        assert!(is_expired(&shadow(19_900, 50, 49, -1), 20_000));
    }

    #[test]
    fn a_name_has_one_decoy_which_is_usable() {
        let table = b"root:*:1:::::\nal:ab123456789ab:1:::::\nbo:cd123456789cd:1:::::\nup:!:1:::::\n";
        for name in [b"x".as_slice(), b"no such user", b"\xff", b""] {
            assert_eq!(decoy(table, name), decoy(table, name));
            assert!(matches!(decoy(table, name).as_slice(), b"ab123456789ab" | b"cd123456789cd"));
            assert_eq!(*decoy(b"root:*:1:::::\n", name), NOBODYS);
        }
        assert!(Comparison::Crypt.read(NOBODYS).is_ok());
    }
}
