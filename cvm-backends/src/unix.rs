//! `cvm-unix`: the accounts of the system, from every source of its name service.

use std::ffi::CString;
use std::hash::{DefaultHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use cvm_core::module::{Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use cvm_core::{FactType, StandardFacts};
use nix::errno::Errno;
use nix::unistd::{Gid, Group, User, getgrouplist};
use zeroize::Zeroizing;

use crate::Notices;
use crate::judge::Judge;
use crate::password::{Comparison, Standing};
use crate::sys::{self, Shadow};

/// The module. Names are looked up in lower case, as the original does.
#[derive(Debug)]
pub struct Unix {
    judge: Judge,
}

/// A user of the system, or the password of one for a user that does not exist.
#[derive(Debug)]
pub struct Account {
    user: Option<User>,
    /// The stored password.
    password: Zeroizing<Vec<u8>>,
    is_expired: bool,
}

impl Unix {
    /// Makes the module, which has no settings.
    #[must_use]
    pub fn new(notices: Notices) -> Self {
        Self { judge: Judge::new(Comparison::Crypt, notices) }
    }
}

impl Module for Unix {
    type Account = Account;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
        let name = request.account().unwrap_or_default().to_ascii_lowercase();
        let unknown = || Lookup::Unknown { scope: None, decoy: Some(Account::decoy(&name)) };
        let Some(text) = str::from_utf8(&name).ok().filter(|name| !name.contains('\0')) else {
            return Ok(unknown());
        };
        let Some(user) = found(User::from_name(text))? else {
            return Ok(unknown());
        };
        Ok(Lookup::Known(Account::of(user)?))
    }

    fn authenticate(&self, account: &Account, request: &Request<'_>) -> Result<Verdict, Temporary> {
        let right = self.judge.matches(&account.password, || Some(decoy(account.name())), request)?;
        Ok(Verdict::from_match(right && !account.is_expired))
    }

    fn results(&self, account: &Account, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        let user = account.user.as_ref().ok_or(Temporary::GENERAL)?;
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

    fn lookup_cost(&self, _: &Request<'_>) -> Cost {
        Cost::Wait
    }

    fn authenticate_cost(&self, _: &Account) -> Cost {
        Cost::Cpu
    }
}

impl Account {
    /// Stands in for a user that does not exist.
    fn decoy(name: &[u8]) -> Self {
        Self { user: None, password: decoy(name), is_expired: false }
    }

    /// Finds the stored password of a user: in the shadow table where it has an entry there.
    fn of(user: User) -> Result<Self, Temporary> {
        let name = CString::new(user.name.as_bytes()).map_err(|_| Temporary::BAD_MODULE_DATA)?;
        let in_passwd = user.passwd.to_bytes();
        let shadow = match sys::shadow(&name) {
            Ok(shadow) => shadow,
            // Without the right to read the table, a password that is elsewhere may still do.
            Err(_) if in_passwd != b"x" => None,
            Err(_) => return Err(Temporary::IO),
        };
        let is_expired = shadow.as_ref().is_some_and(|shadow| is_expired(shadow, today()));
        let password = shadow.map_or_else(|| Zeroizing::new(in_passwd.to_vec()), |shadow| shadow.password);
        Ok(Self { user: Some(user), password, is_expired })
    }

    fn name(&self) -> &[u8] {
        self.user.as_ref().map(|user| user.name.as_bytes()).unwrap_or_default()
    }
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
fn decoy(name: &[u8]) -> Zeroizing<Vec<u8>> {
    let table = Zeroizing::new(std::fs::read("/etc/shadow").unwrap_or_default());
    let fields = table.split(|&byte| byte == b'\n').filter_map(|line| line.split(|&byte| byte == b':').nth(1));
    let usable: Vec<_> = fields.filter(|field| Comparison::Crypt.standing(field) == Standing::Usable).collect();
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
    fn a_name_has_one_decoy() {
        assert_eq!(decoy(b"no such user"), decoy(b"no such user"));
        assert_ne!(Comparison::Crypt.standing(&decoy(b"x")), Standing::Locked);
    }
}
