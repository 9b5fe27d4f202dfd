//! The arguments of a line in PAM's configuration.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use cvm_core::client::{Endpoint, ModuleList};
use cvm_core::wire::VALUE_MAX;
use cvm_core::{CredentialType, parse_integer};

/// What a line says.
#[derive(Debug)]
pub struct Arguments {
    /// `cvm=`: whom to ask.
    pub modules: ModuleList,
    /// `domain=`: the domain of users without one.
    pub domain: Vec<u8>,
    /// `split=`: at the last of these a user's domain is split off.
    pub split: Vec<u8>,
    /// `use_first_pass` and `try_first_pass`.
    pub first_pass: FirstPass,
    /// `prompt=`: what to ask the user for.
    pub prompt: Option<CString>,
    /// `timeout=`: how long each module may take.
    pub timeout: Duration,
    /// `minimum_uid=`: users with lower ones are not let in here.
    pub minimum_uid: u64,
    /// `service=`: the credential that tells the name of the service.
    pub service: Option<CredentialType>,
    /// `rhost=`: the credential that tells the host of the user.
    pub rhost: Option<CredentialType>,
    /// `secret_file=`: where the secret of modules in lookup mode is.
    pub secret_file: Option<PathBuf>,
    /// `set_env`: facts become variables of the session.
    pub set_env: bool,
    /// `debug`: more is logged.
    pub debug: bool,
    /// `ignore_unknown_user`.
    pub ignore_unknown_user: bool,
    /// `ignore_authinfo_unavail`.
    pub ignore_authinfo_unavail: bool,
}

/// What to do with a password that an earlier module has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstPass {
    /// Take it if there is one; else ask.
    Default,
    /// Take it, and ask if it is wrong.
    Try,
    /// Take it, and never ask.
    Use,
}

/// An argument that is none, or is missing. Its message says what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{argument}: expected {expected}")]
pub struct ArgumentError {
    argument: String,
    expected: &'static str,
}

const MODULES: &str = "modules, separated by commas: cvm-local:PATH, an absolute path, or cvm-udp:HOST:PORT";
const CREDENTIAL: &str = "the number of a credential for local use, 128 to 255";
const KNOWN: &str = "cvm=, domain=, split=, prompt=, timeout=, minimum_uid=, service=, rhost=, secret_file=, \
                     use_first_pass, try_first_pass, ignore_unknown_user, ignore_authinfo_unavail, set_env or debug";

impl Arguments {
    /// Reads the arguments of a line; of one that comes twice the last counts.
    ///
    /// # Errors
    ///
    /// [`ArgumentError`] for the first that is unknown or has no usable value, or if there is nobody to ask.
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, ArgumentError> {
        let nobody = ArgumentError { argument: "cvm=".to_owned(), expected: MODULES };
        let mut modules = None;
        let mut parsed = Self::without_modules(ModuleList::single(Endpoint::Local(Vec::new())));
        for argument in arguments {
            let wrong = |expected| ArgumentError { argument: argument.escape_ascii().to_string(), expected };
            match argument.strip_prefix(b"cvm=") {
                Some(list) => modules = Some(served(list).ok_or_else(|| wrong(MODULES))?),
                None => parsed.take(argument).map_err(wrong)?,
            }
        }
        modules.map(|modules| Self { modules, ..parsed }).ok_or(nobody)
    }

    fn without_modules(modules: ModuleList) -> Self {
        Self {
            modules,
            domain: Vec::new(),
            split: b"@".to_vec(),
            first_pass: FirstPass::Default,
            prompt: None,
            timeout: Duration::from_secs(30),
            minimum_uid: 0,
            service: None,
            rhost: None,
            secret_file: None,
            set_env: false,
            debug: false,
            ignore_unknown_user: false,
            ignore_authinfo_unavail: false,
        }
    }

    /// Takes one argument, or says what was expected.
    fn take(&mut self, argument: &[u8]) -> Result<(), &'static str> {
        let Some(cut) = argument.iter().position(|&byte| byte == b'=') else {
            return self.switch(argument);
        };
        let (name, value) = argument.split_at(cut);
        let value = value.get(1..).unwrap_or_default();
        match name {
            b"domain" => self.domain = sendable(value).ok_or("up to 255 bytes")?,
            b"split" => self.split = value.to_vec(),
            b"prompt" => self.prompt = Some(CString::new(value).map_err(|_| "text without NUL")?),
            b"timeout" => self.timeout = timeout(value).ok_or("milliseconds from 1 to 4294967295")?,
            b"minimum_uid" => self.minimum_uid = parse_integer(value).ok_or("a user ID")?,
            b"service" => self.service = Some(local_credential(value).ok_or(CREDENTIAL)?),
            b"rhost" => self.rhost = Some(local_credential(value).ok_or(CREDENTIAL)?),
            b"secret_file" => self.secret_file = Some(absolute(value).ok_or("an absolute path")?),
            _ => return Err(KNOWN),
        }
        Ok(())
    }

    fn switch(&mut self, name: &[u8]) -> Result<(), &'static str> {
        match name {
            b"use_first_pass" => self.first_pass = FirstPass::Use,
            b"try_first_pass" => self.first_pass = FirstPass::Try,
            b"ignore_unknown_user" => self.ignore_unknown_user = true,
            b"ignore_authinfo_unavail" => self.ignore_authinfo_unavail = true,
            b"set_env" => self.set_env = true,
            b"debug" => self.debug = true,
            _ => return Err(KNOWN),
        }
        Ok(())
    }
}

/// Reads a list of servers. A program would run with the rights, the environment and the descriptors of the
/// application, which may be setuid, and a path that begins nowhere would lead to whatever socket its caller has put
/// into the folder that he called it in.
fn served(list: &[u8]) -> Option<ModuleList> {
    let is_served = |endpoint: &Endpoint| match endpoint {
        Endpoint::Local(path) => path.starts_with(b"/"),
        Endpoint::Udp { .. } => true,
        Endpoint::Command(_) => false,
    };
    ModuleList::parse(list).ok().filter(|list| list.endpoints().iter().all(is_served))
}

fn timeout(value: &[u8]) -> Option<Duration> {
    let milliseconds =
        parse_integer(value).and_then(|number| u32::try_from(number).ok()).filter(|&number| number > 0)?;
    Some(Duration::from_millis(milliseconds.into()))
}

fn local_credential(value: &[u8]) -> Option<CredentialType> {
    let number = parse_integer(value).and_then(|number| u8::try_from(number).ok())?;
    CredentialType::new(number).filter(|kind| kind.may_repeat())
}

/// Takes what fits into a request: else the line, and no user, would be to blame that none does.
fn sendable(value: &[u8]) -> Option<Vec<u8>> {
    (value.len() <= VALUE_MAX).then(|| value.to_vec())
}

fn absolute(value: &[u8]) -> Option<PathBuf> {
    value.starts_with(b"/").then(|| OsString::from_vec(value.to_vec()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_ascii_whitespace().map(str::as_bytes)).map_err(|error| error.to_string())
    }

    #[test]
    fn every_argument_is_taken() {
        let line = "cvm=cvm-local:/a,cvm-udp:h:1 domain=d.example split=@% prompt=Mail: timeout=500 minimum_uid=1000 \
                    service=128 rhost=255 secret_file=/s try_first_pass ignore_unknown_user ignore_authinfo_unavail \
                    set_env debug";
        let arguments = parse(line).unwrap();
        assert_eq!(arguments.modules.endpoints().len(), 2);
        assert_eq!((arguments.domain, arguments.split), (b"d.example".to_vec(), b"@%".to_vec()));
        assert_eq!(arguments.prompt.as_deref(), Some(c"Mail:"));
        assert_eq!((arguments.timeout, arguments.minimum_uid), (Duration::from_millis(500), 1000));
        assert_eq!(arguments.service.map(CredentialType::number), Some(128));
        assert_eq!(arguments.rhost.map(CredentialType::number), Some(255));
        assert_eq!((arguments.secret_file, arguments.first_pass), (Some("/s".into()), FirstPass::Try));
        assert!(arguments.ignore_unknown_user && arguments.ignore_authinfo_unavail);
        assert!(arguments.set_env && arguments.debug);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!("domain={}", "x".repeat(256));
        assert!(parse(&format!("cvm=cvm-local:/x {}", &long[..long.len() - 1])).is_ok());
        for wrong in [
            long.as_str(),
            "cvm=",
            "cvm=/bin/cvm-unix",
            "cvm=cvm-unix",
            "cvm=cvm-local:/a,cvm-command:/bin/cvm-unix",
            "cvm=cvm-foo:/x",
            "cvm=cvm-local:socket",
            "cvm=cvm-udp:h:1,cvm-local:./socket",
            "timeout=0",
            "timeout=1s",
            "timeout=4294967296",
            "minimum_uid=-1",
            "minimum_uid=",
            "service=127",
            "rhost=256",
            "rhost=x",
            "secret_file=secret",
            "use_first_password",
            "debug=1",
            "minimun_uid=1000",
        ] {
            let error = parse(&format!("cvm=cvm-local:/x {wrong}")).unwrap_err();
            assert!(error.starts_with(&format!("{wrong}: expected ")), "{error}");
        }
        assert!(parse("debug").unwrap_err().starts_with("cvm=: expected modules"));
        let error = Arguments::parse([b"a\nb".as_slice()]).unwrap_err().to_string();
        assert!(error.starts_with(r"a\nb: ") && !error.contains('\n'), "{error}");
    }
}
