//! `cvm-checkpassword` and `cvm-v1checkpassword`: djb's checkpassword interface over CVM modules.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use cvm_core::account::Account;
use cvm_core::checkpassword::{RECORD_MAX, Record};
use cvm_core::client::{ClientRequest, Credentials, Endpoint, ModuleList};
use cvm_core::wire::Reply;
use cvm_core::{Code, CredentialType, Secret, SecretRef};

use crate::program::{Program, Stopped, complain};
use crate::{asking, become_user, environment, sys};

const ABOUT: &str = "Reads account, password and timestamp from descriptor 3, asks a module, and runs the program as \
                     the user. Exits with 1 if the module says no, with 111 if it cannot tell, with 2 if descriptor 3 \
                     is malformed.";

const SETTINGS: &[(&str, &str)] = &[
    ("CVM_CHECKPASSWORD_EXIT_CODES", "cvm: exit with the module's code instead of 1 and 111"),
    asking::PROTO,
    asking::SPLIT_CHARS,
    asking::RANDOM_BYTES,
];

const V2: Program = Program {
    arguments: "MODULE[,MODULE...] PROGRAM [ARGUMENT]...",
    about: ABOUT,
    settings: SETTINGS,
    more_settings: asking::SETTINGS,
};

const V1: Program = Program { arguments: "MODULE PROGRAM [ARGUMENT]...", ..V2 };

/// What checkpassword exits with when the password is not right.
const REFUSED: u8 = 1;
/// When it was misused.
const MALFORMED: u8 = 2;
/// When nothing could be decided.
const TEMPORARY: u8 = 111;

/// Runs `cvm-checkpassword`.
#[must_use]
pub fn main() -> u8 {
    run(&V2, |module| {
        let modules = ModuleList::parse(module)?;
        Ok(move |login: &Login<'_>| login.ask(&modules))
    })
}

/// Runs `cvm-v1checkpassword`.
#[must_use]
pub fn main_v1() -> u8 {
    run(&V1, |module| {
        let module = ModuleList::single(Endpoint::parse(module)?);
        Ok(move |login: &Login<'_>| login.ask_v1(&module))
    })
}

fn run<A>(program: &Program, open: impl FnOnce(&[u8]) -> Result<A, Stopped>) -> u8
where
    A: Fn(&Login<'_>) -> Result<Reply, Stopped>,
{
    let with_codes = environment::bytes("CVM_CHECKPASSWORD_EXIT_CODES").is_some_and(|value| value == b"cvm");
    let answer = |arguments: &[OsString]| match arguments {
        [module, program, arguments @ ..] => {
            // First of all, as its number must still be its own.
            let record = read_record()?;
            let ask = open(module.as_bytes())?;
            let Ok(record) = Record::parse(record.as_ref().expose()) else {
                complain(&cvm_core::checkpassword::MalformedRecord);
                return Ok(MALFORMED);
            };
            let reply = ask_both_ways(&record, ask)?;
            match reply.code {
                Code::SUCCESS => Err(become_user::run(&reply.facts, program, arguments)),
                code if with_codes => Ok(code.byte()),
                code => Ok(status(code)),
            }
        }
        _ => Err(program.usage()),
    };
    program.run_with_status(answer, |_| TEMPORARY)
}

/// What callers of checkpassword understand.
fn status(code: Code) -> u8 {
    // An empty password is no credential, and no login.
    if code.is_rejected() || code == Code::NO_CREDENTIAL { REFUSED } else { TEMPORARY }
}

/// Reads descriptor 3 to its end, or as far as a record can go, and closes it.
pub(crate) fn read_record() -> Result<Secret, Stopped> {
    let failed = |error: io::Error| Stopped::Io(format!("descriptor 3: {error}"));
    let mut bytes = Vec::with_capacity(RECORD_MAX + 1);
    let limit = RECORD_MAX as u64 + 1;
    sys::inherited(3).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Secret::from_vec(bytes))
}

/// Asks for the password, and if that is wrong and may be an APOP digest, for that.
fn ask_both_ways(record: &Record<'_>, ask: impl Fn(&Login<'_>) -> Result<Reply, Stopped>) -> Result<Reply, Stopped> {
    let split_chars = asking::split_chars();
    let domain = asking::ucspi_domain();
    let account = Account::split(record.account, &domain, &split_chars);
    let reply = ask(&Login { account, proof: Proof::Password(record.password) })?;
    let Some((timestamp, digest)) = record.apop().filter(|_| reply.code.is_rejected()) else {
        return Ok(reply);
    };
    Ok(match ask(&Login { account, proof: Proof::Apop { timestamp, digest } }) {
        // No client could have had such a timestamp answered.
        Err(Stopped::Request(_)) => reply,
        // A module that knows no challenges, or no second credential, has judged the password already.
        Ok(second) if [Code::NO_CREDENTIAL, Code::BAD_CLIENT_DATA].contains(&second.code) => reply,
        second => second?,
    })
}

/// What a module is asked about.
struct Login<'r> {
    account: Account<'r>,
    proof: Proof<'r>,
}

enum Proof<'r> {
    Password(SecretRef<'r>),
    Apop { timestamp: &'r [u8], digest: SecretRef<'r> },
}

impl Login<'_> {
    fn ask(&self, modules: &ModuleList) -> Result<Reply, Stopped> {
        let credentials = match self.proof {
            Proof::Password(password) => Credentials::of_password(self.account, password),
            Proof::Apop { timestamp, digest } => Credentials::of_password(self.account, SecretRef::new(b""))
                .with(CredentialType::CHALLENGE, timestamp)
                .with(CredentialType::RESPONSE, digest.expose())
                .with(CredentialType::RESPONSE_TYPE, b"APOP"),
        };
        asking::ask_about_login(modules, &asking::v2_request(modules, &credentials)?)
    }

    fn ask_v1(&self, module: &ModuleList) -> Result<Reply, Stopped> {
        let Account { name, domain } = self.account;
        let domain = domain.unwrap_or_default();
        let request = match self.proof {
            Proof::Password(password) => ClientRequest::v1(name, domain, &[password]),
            Proof::Apop { timestamp, digest } => ClientRequest::v1(name, domain, &[SecretRef::new(timestamp), digest]),
        };
        asking::ask_about_login(module, &request?)
    }
}
