//! `cvm-benchclient` and `cvm-v1benchclient`: ask a module the same again and again, for others to measure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use cvm_core::account::Account;
use cvm_core::client::{ClientRequest, Credentials, Endpoint, ModuleList};
use cvm_core::wire::Reply;
use cvm_core::{Code, SecretRef};

use cvm_bins::asking;
use cvm_bins::environment;
use cvm_bins::program::{Program, Stopped, complain};

const V2: Program = Program {
    arguments: "COUNT MODULE[,MODULE...] ACCOUNT DOMAIN [PASSWORD]",
    about: "Asks CVM modules COUNT times, one request after the other, with protocol version 2. The first failure ends it.",
    settings: &[
        ("CVM_LOOKUP_SECRET", "the secret to send to a module in lookup mode"),
        ("CVM_RANDOM_BYTES", "length of the random tag, 0 to 255, if a module of the list is asked over UDP (8)"),
    ],
    more_settings: asking::SETTINGS,
};

const V1: Program = Program {
    arguments: "COUNT MODULE ACCOUNT DOMAIN CREDENTIAL [CREDENTIAL]...",
    about: "Asks a CVM module COUNT times, one request after the other, with protocol version 1. The first failure ends it.",
    settings: asking::SETTINGS,
    more_settings: &[],
};

/// Runs `cvm-benchclient`.
#[must_use]
pub fn main() -> u8 {
    V2.run(|arguments| {
        let (number, modules, account, domain, password) = match arguments {
            [count, modules, account, domain] => (count, modules, account, domain, OsStr::new("")),
            [count, modules, account, domain, password] => (count, modules, account, domain, password.as_os_str()),
            _ => return Err(V2.usage()),
        };
        let modules = ModuleList::parse(modules.as_bytes())?;
        let account = Account::whole(account.as_bytes(), domain.as_bytes());
        let password = SecretRef::new(password.as_bytes());
        repeat(count(number)?, || asking::ask_with(&modules, Credentials::of_password(account, password)))
    })
}

/// Runs `cvm-v1benchclient`.
#[must_use]
pub fn main_v1() -> u8 {
    V1.run(|arguments| {
        let [number, module, account, domain, credentials @ ..] = arguments else {
            return Err(V1.usage());
        };
        if credentials.is_empty() {
            return Err(V1.usage());
        }
        let module = ModuleList::single(Endpoint::parse(module.as_bytes())?);
        let credentials: Vec<_> = credentials.iter().map(|credential| SecretRef::new(credential.as_bytes())).collect();
        let request = ClientRequest::v1(account.as_bytes(), domain.as_bytes(), &credentials)?;
        repeat(count(number)?, || asking::ask(&module, &request))
    })
}

fn count(argument: &OsString) -> Result<u64, Stopped> {
    let count = environment::decimal(argument.as_bytes()).filter(|&count: &u64| count > 0);
    count.ok_or_else(|| Stopped::Argument(format!("COUNT is {argument:?}, expected a number above 0")))
}

fn repeat(count: u64, ask: impl Fn() -> Result<Reply, Stopped>) -> Result<Code, Stopped> {
    for _ in 0..count {
        let code = ask()?.code;
        if !code.is_success() {
            complain(&format_args!("Fatal: Authentication failed, {code}"));
            return Ok(code);
        }
    }
    Ok(Code::SUCCESS)
}
