//! The module: PAM judges, the name service tells the facts.

use std::ffi::{CStr, CString};
use std::sync::OnceLock;
use std::thread;

use cvm_backends::Notices;
use cvm_backends::unix::SystemUser;
use cvm_core::SecretRef;
use cvm_core::module::{Cost, Lookup, Module, Temporary, Verdict};
use cvm_core::wire::{FactWriter, Request};
use pam_cvm::status::Status;
use zeroize::Zeroizing;

use crate::transaction::Transaction;

/// The stack of the thread in which modules of PAM run, which others wrote for a program's main thread; of memory it
/// takes what they use.
const STACK_SIZE: usize = 1024 * 1024;

/// Asks PAM about users that the name service knows; names are taken as they are.
#[derive(Debug)]
pub struct Pam {
    service: CString,
    notices: Notices,
}

/// A user, or what stands in for one that does not exist.
#[derive(Debug)]
pub struct Account {
    /// As the request has it.
    name: Vec<u8>,
    user: Option<SystemUser>,
    /// The one whom PAM says that it is, if it is another one.
    mapped: OnceLock<SystemUser>,
}

impl Pam {
    /// Takes the name of the service.
    #[must_use]
    pub const fn new(service: CString, notices: Notices) -> Self {
        Self { service, notices }
    }

    /// Asks with a handle of its own; returns the name that PAM has for the user in the end.
    fn ask(&self, user: &CStr, password: &CStr) -> Result<Vec<u8>, Status> {
        let mut transaction = Transaction::start(&self.service, user, password)?;
        transaction.authenticate()?;
        transaction.manage_account()?;
        transaction.user()
    }

    /// The same in a thread with a stack that is large enough.
    fn ask_apart(&self, user: &CStr, password: &CStr) -> Result<Vec<u8>, Status> {
        thread::scope(|scope| {
            let thread = thread::Builder::new().stack_size(STACK_SIZE);
            let asked = thread.spawn_scoped(scope, || self.ask(user, password)).map_err(|_| Status::BUF_ERR)?;
            asked.join().unwrap_or(Err(Status::SYSTEM_ERR))
        })
    }

    /// Tells a no from a failure, which is told to the administrator.
    fn judged(&self, status: Status) -> Result<Verdict, Temporary> {
        match status {
            Status::AUTH_ERR
            | Status::USER_UNKNOWN
            | Status::MAXTRIES
            | Status::PERM_DENIED
            | Status::NEW_AUTHTOK_REQD
            | Status::ACCT_EXPIRED
            | Status::AUTHTOK_EXPIRED => Ok(Verdict::from_match(false)),
            status => {
                let service = self.service.to_string_lossy();
                self.notices.give(format_args!("service {service:?}: {status}"));
                Err(Temporary::IO)
            }
        }
    }
}

impl Module for Pam {
    type Account = Account;

    fn lookup(&self, request: &Request<'_>) -> Result<Lookup<Account>, Temporary> {
        let name = request.account().unwrap_or_default();
        let user = SystemUser::find(name)?;
        let is_known = user.is_some();
        let account = Account { name: name.to_vec(), user, mapped: OnceLock::new() };
        // Of whom nobody knows PAM is asked, too: how long that takes tells nothing then.
        let unknown = |account| Lookup::Unknown { scope: None, decoy: Some(account) };
        Ok(if is_known { Lookup::Known(account) } else { unknown(account) })
    }

    fn authenticate(&self, account: &Account, request: &Request<'_>) -> Result<Verdict, Temporary> {
        let password = request.password().unwrap_or(SecretRef::new(b""));
        let (Ok(name), Some(password)) = (CString::new(account.name.as_slice()), terminated(password)) else {
            return Ok(Verdict::from_match(false));
        };
        let Ok(password) = CStr::from_bytes_with_nul(&password) else {
            return Ok(Verdict::from_match(false));
        };
        match self.ask_apart(&name, password) {
            Ok(user) => account.accept(&user),
            Err(status) => self.judged(status),
        }
    }

    fn results(&self, account: &Account, facts: &mut FactWriter<'_>) -> Result<(), Temporary> {
        account.mapped.get().or(account.user.as_ref()).ok_or(Temporary::GENERAL)?.write_facts(facts)
    }

    fn lookup_cost(&self, _: &Request<'_>) -> Cost {
        Cost::Wait
    }

    fn authenticate_cost(&self, _: &Account) -> Cost {
        Cost::Wait
    }
}

impl Account {
    /// Lets the user in, as the one whom PAM made of him.
    fn accept(&self, name: &[u8]) -> Result<Verdict, Temporary> {
        if name == self.name {
            return Ok(Verdict::Accepted);
        }
        let user = SystemUser::find(name)?;
        Ok(Verdict::from_match(user.is_some_and(|user| self.mapped.set(user).is_ok())))
    }
}

/// The password as a string of C, if it can be one.
fn terminated(password: SecretRef<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = password.expose();
    let mut string = Zeroizing::new(Vec::with_capacity(bytes.len().saturating_add(1)));
    string.extend_from_slice(bytes);
    string.push(0);
    (!bytes.contains(&0)).then_some(string)
}
