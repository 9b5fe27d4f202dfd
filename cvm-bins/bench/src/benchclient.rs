//! `cvm-benchclient` and `cvm-v1benchclient`: ask a module the same again and again. Without options it is for others
//! to measure, with options they measure themselves.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Write, stdout};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cvm_bins::asking;
use cvm_bins::environment;
use cvm_bins::program::{Program, Stopped, complain};
use cvm_core::account::Account;
use cvm_core::client::{ClientRequest, Credentials, Endpoint, ModuleList};
use cvm_core::wire::RequestError;
use cvm_core::{Code, Secret, SecretRef};

use crate::credentials::{self, Form, Login};
use crate::load::{self, Ask, Plan};
use crate::options::Options;
use crate::plot;
use crate::progress::Progress;
use crate::summary::Summary;

macro_rules! about {
    ($version:literal) => {
        concat!(
            "Asks COUNT times with protocol version ",
            $version,
            ", one request after the other. The first failure ends it.

options, any of which makes failures count instead of end it, and prints a summary:
    --concurrency N     requests under way at a time (1; with --rate up to 1000)
    --duration TIME     ends after a time such as 500ms, 10s or 5m; COUNT may then be left out
    --rate N            begins N requests a second; latency counts from when each is due
    --credentials FILE  asks about the accounts of a file in turn, in place of those arguments
    --json              the summary is a JSON object
    --plot FILE.svg     draws latency and throughput over time"
        )
    };
}

const V2: Program = Program {
    arguments: "[OPTION]... COUNT MODULE[,MODULE...] ACCOUNT DOMAIN [PASSWORD]",
    about: about!("2"),
    settings: &[asking::LOOKUP_SECRET, asking::RANDOM_BYTES],
    more_settings: asking::SETTINGS,
};

const V1: Program = Program {
    arguments: "[OPTION]... COUNT MODULE ACCOUNT DOMAIN CREDENTIAL [CREDENTIAL]...",
    about: about!("1"),
    settings: asking::SETTINGS,
    more_settings: &[],
};

/// Runs `cvm-benchclient`.
#[must_use]
pub fn main() -> u8 {
    V2.run(|arguments| run(arguments, v2))
}

/// Runs `cvm-v1benchclient`.
#[must_use]
pub fn main_v1() -> u8 {
    V1.run(|arguments| run(arguments, v1))
}

/// What a version of the protocol makes of the arguments behind the number.
type Prepare = fn(&Options, &[OsString]) -> Result<Ask, Stopped>;

fn run(arguments: &[OsString], prepare: Prepare) -> Result<Code, Stopped> {
    let (options, arguments) = Options::cut_off(arguments)?;
    let (number, arguments) = cut_number_off(&options, arguments);
    let ask = prepare(&options, arguments)?;
    let count = number.map(count).transpose()?;
    match count {
        Some(count) if !options.are_given() => repeat(count, &ask),
        _ => measure(&options, count, ask),
    }
}

/// With a duration there may be a number or none; no module is named by digits alone.
fn cut_number_off<'a>(options: &Options, arguments: &'a [OsString]) -> (Option<&'a OsString>, &'a [OsString]) {
    let is_number = |argument: &OsString| argument.as_bytes().iter().all(u8::is_ascii_digit);
    match arguments {
        [first, rest @ ..] if options.duration.is_none() || is_number(first) => (Some(first), rest),
        arguments => (None, arguments),
    }
}

fn count(argument: &OsString) -> Result<u64, Stopped> {
    let count = environment::decimal(argument.as_bytes()).filter(|&count: &u64| count > 0);
    count.ok_or_else(|| Stopped::Argument(format!("COUNT is {argument:?}, expected a number above 0")))
}

fn v2(options: &Options, arguments: &[OsString]) -> Result<Ask, Stopped> {
    let (modules, login) = match (&options.credentials, arguments) {
        (None, [modules, account, domain, password @ ..]) if password.len() < 2 => {
            (modules, Some(Login::of_arguments(account, domain, password)))
        }
        (Some(_), [modules]) => (modules, None),
        _ => return Err(V2.usage()),
    };
    let modules = ModuleList::parse(modules.as_bytes())?;
    let secret = environment::secret("CVM_LOOKUP_SECRET");
    let tag_length = if modules.needs_tag() { asking::tag_length().map_err(Stopped::ClientSetting)? } else { 0 };
    let logins = logins(options, login, Form::Password, |login| {
        let credentials = credentials_of(&login).with_lookup_secret(secret.as_ref().map(Secret::as_ref));
        ClientRequest::v2(&credentials, &vec![0; tag_length.into()]).map(|_| login)
    })?;
    Ok(Box::new(move |number| {
        let Some(login) = in_turn(&logins, number) else {
            return Ok(Code::GENERAL);
        };
        asking::ask_with(&modules, credentials_of(login)).map(|reply| reply.code)
    }))
}

fn credentials_of(login: &Login) -> Credentials {
    Credentials::of_password(Account::whole(&login.account, &login.domain), login.password())
}

fn v1(options: &Options, arguments: &[OsString]) -> Result<Ask, Stopped> {
    let (module, login) = match (&options.credentials, arguments) {
        (None, [module, account, domain, credentials @ ..]) if !credentials.is_empty() => {
            (module, Some(Login::of_arguments(account, domain, credentials)))
        }
        (Some(_), [module]) => (module, None),
        _ => return Err(V1.usage()),
    };
    let module = ModuleList::single(Endpoint::parse(module.as_bytes())?);
    let requests = logins(options, login, Form::Credentials, |login| {
        let credentials: Vec<SecretRef<'_>> = login.credentials.iter().map(Secret::as_ref).collect();
        ClientRequest::v1(&login.account, &login.domain, &credentials)
    })?;
    Ok(Box::new(move |number| {
        let Some(request) = in_turn(&requests, number) else {
            return Ok(Code::GENERAL);
        };
        asking::ask(&module, request).map(|reply| reply.code)
    }))
}

/// Returns what is to be asked about: the login of the arguments, else those of the file.
fn logins<T>(
    options: &Options,
    login: Option<Login>,
    form: Form,
    check: impl Fn(Login) -> Result<T, RequestError>,
) -> Result<Vec<T>, Stopped> {
    match (login, &options.credentials) {
        (Some(login), _) => Ok(vec![check(login)?]),
        (None, Some(path)) => credentials::read(path, form, check),
        (None, None) => Ok(Vec::new()),
    }
}

fn in_turn<T>(logins: &[T], number: u64) -> Option<&T> {
    let index = usize::try_from(number).ok()?.checked_rem(logins.len())?;
    logins.get(index)
}

fn repeat(count: u64, ask: &Ask) -> Result<Code, Stopped> {
    for number in 0..count {
        let code = ask(number)?;
        if !code.is_success() {
            complain(&format_args!("Fatal: Authentication failed, {code}"));
            return Ok(code);
        }
    }
    Ok(Code::SUCCESS)
}

fn measure(options: &Options, count: Option<u64>, ask: Ask) -> Result<Code, Stopped> {
    let plan = Plan { count, duration: options.duration, rate: options.rate, concurrency: options.concurrency };
    // Before the run, which would be in vain without it.
    let picture = options.plot.as_deref().map(|path| create(path).map(|file| (path, file))).transpose()?;
    let progress = Progress::new(plan);
    let summary = load::run(plan, ask, |tally, elapsed| progress.show(tally, elapsed));
    progress.end();
    let summary = summary?;
    print(options, &summary)?;
    if let Some((path, file)) = picture {
        write_picture(path, file, &summary)?;
    }
    Ok(summary.code())
}

fn create(path: &Path) -> Result<File, Stopped> {
    File::create(path).map_err(|error| Stopped::Argument(format!("--plot {}: {error}", path.display())))
}

fn print(options: &Options, summary: &Summary) -> Result<(), Stopped> {
    let text = if options.json { summary.json() + "\n" } else { summary.to_string() };
    let mut stdout = stdout();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Stopped::Io(format!("standard output: {error}")))
}

fn write_picture(path: &Path, mut file: File, summary: &Summary) -> Result<(), Stopped> {
    let failed = |error: &dyn std::fmt::Display| Stopped::Io(format!("{}: {error}", path.display()));
    let svg = plot::draw(summary).map_err(|error| failed(&error))?;
    file.write_all(svg.as_bytes()).map_err(|error| failed(&error))
}
