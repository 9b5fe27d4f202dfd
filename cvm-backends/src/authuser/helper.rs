//! Programs that judge in our place: checkvpw of vmailmgr, vchkpw of vpopmail, doveadm of Dovecot.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use cvm_core::checkpassword::RECORD_MAX;
use cvm_core::module::Temporary;
use cvm_core::{Secret, SecretRef};
use cvm_io_blocking::child::Running;
use rustix::fs::{MemfdFlags, memfd_create};

use super::claim::Claim;
use super::name::Name;
use crate::sys;

/// A program that judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Helper {
    Checkvpw,
    Vchkpw,
    Doveadm,
}

/// How the programs are run. They are searched in `$PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helpers {
    /// What checkvpw runs as the user, with the name of a mailbox as its argument. It talks to whoever logs in, and takes
    /// the time that this takes; `None` runs nothing.
    pub program: Option<[OsString; 2]>,
    /// The socket of Dovecot's authentication service; without one doveadm is not asked.
    pub socket: Option<OsString>,
    /// What doveadm tells Dovecot of the login, such as `service=smtp`.
    pub service: Option<OsString>,
    /// How long a program may take.
    pub timeout: Duration,
}

impl Default for Helpers {
    fn default() -> Self {
        Self { program: None, socket: None, service: None, timeout: Duration::from_secs(30) }
    }
}

/// Why a program gave no verdict.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("a line of users/authuser asks Dovecot, and no socket of Dovecot is told")]
    NoSocket,
    #[error("cannot ask {0}: {1}")]
    Io(&'static str, io::Error),
    #[error("{0} gave no verdict ({1})")]
    NoVerdict(&'static str, ExitStatus),
}

impl Trouble {
    pub(super) fn temporary(&self) -> Temporary {
        match self {
            Self::NoSocket => Temporary::CONFIG,
            Self::NoVerdict(_, status) if status.code() == Some(MISUSED) => Temporary::CONFIG,
            Self::Io(..) | Self::NoVerdict(..) => Temporary::IO,
        }
    }
}

/// What checkvpw and vchkpw exit with when the password is wrong, there is no such user, or he may not log in.
const REFUSED: [i32; 6] = [1, 3, 12, 13, 15, 20];

/// And when they do not like how they are called.
const MISUSED: i32 = 2;

/// What doveadm exits with when Dovecot says no, or cannot be asked.
const NO_PERMISSION: i32 = 77;

impl Helper {
    const fn name(self) -> &'static str {
        match self {
            Self::Checkvpw => "checkvpw",
            Self::Vchkpw => "vchkpw",
            Self::Doveadm => "doveadm",
        }
    }

    /// Asks whether a claim is right.
    pub(super) fn ask(self, helpers: &Helpers, name: &Name, claim: &Claim<'_>) -> Result<bool, Trouble> {
        if !name.is_possible() {
            return Ok(false);
        }
        let mut command = Command::new(self.name());
        // The caller may have put the network there.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let timeout = helpers.timeout;
        match self {
            Self::Checkvpw => {
                let record = claim.record(name).map(with_three_fields);
                let timeout = checkvpw_runs(&mut command, helpers.program.as_ref()).unwrap_or(timeout);
                self.ask_with_record(&mut command, record, timeout)
            }
            Self::Vchkpw => self.ask_with_record(&mut command, claim.record(name), timeout),
            Self::Doveadm => {
                let socket = helpers.socket.as_deref().ok_or(Trouble::NoSocket)?;
                command.args(doveadm_arguments(socket, helpers.service.as_deref(), name));
                self.ask_with_password(&mut command, claim.password(), timeout)
            }
        }
    }

    /// Asks with a record on descriptor 3. What no record can hold is no password.
    fn ask_with_record(
        self,
        command: &mut Command,
        record: Option<Secret>,
        timeout: Duration,
    ) -> Result<bool, Trouble> {
        let Some(record) = record else {
            return Ok(false);
        };
        let record = filled_pipe(record.as_ref()).map_err(|error| self.failed(error))?;
        sys::hand_over(command, record.into(), 3);
        self.verdict(self.run(command, timeout)?)
    }

    /// Asks with a password on standard input, where other users of the system cannot see it. It is read to the end of
    /// a line, so that one with a line end in it must not be sent: what comes before might be right.
    fn ask_with_password(
        self,
        command: &mut Command,
        password: Option<SecretRef<'_>>,
        timeout: Duration,
    ) -> Result<bool, Trouble> {
        let ends = |byte: &u8| matches!(byte, 0 | b'\n' | b'\r');
        let Some(password) = password.filter(|password| !password.expose().iter().any(ends)) else {
            return Ok(false);
        };
        let line = Secret::from_vec([password.expose(), b"\n"].concat());
        let input = filled_pipe(line.as_ref()).map_err(|error| self.failed(error))?;
        let output = memory().map_err(|error| self.failed(error))?;
        let to = output.try_clone().map_err(|error| self.failed(error))?;
        let status = self.run(command.stdin(input).stdout(to), timeout)?;
        match status.code() {
            // That there is no Dovecot has the same status, and nothing is said.
            Some(NO_PERMISSION) if says_no(output).map_err(|error| self.failed(error))? => Ok(false),
            _ => self.verdict(status),
        }
    }

    fn run(self, command: &mut Command, timeout: Duration) -> Result<ExitStatus, Trouble> {
        let child = command.spawn().map_err(|error| self.failed(error))?;
        Running::new(child).wait_for(timeout).map_err(|error| self.failed(error))
    }

    fn verdict(self, status: ExitStatus) -> Result<bool, Trouble> {
        match status.code() {
            Some(0) => Ok(true),
            Some(code) if REFUSED.contains(&code) => Ok(false),
            _ => Err(Trouble::NoVerdict(self.name(), status)),
        }
    }

    const fn failed(self, error: io::Error) -> Trouble {
        Trouble::Io(self.name(), error)
    }
}

/// Says what checkvpw runs, and how long that may take, where it differs.
fn checkvpw_runs(command: &mut Command, program: Option<&[OsString; 2]>) -> Option<Duration> {
    let Some(program) = program else {
        command.args(["true", "Maildir"]);
        return None;
    };
    command.args(program).stdin(Stdio::inherit()).stdout(Stdio::inherit());
    Some(Duration::MAX)
}

/// checkvpw wants a third field, even if it is empty; not everybody who asks us writes it.
fn with_three_fields(record: Secret) -> Secret {
    let bytes = record.as_ref().expose();
    let ends = memchr::memchr_iter(0, bytes).count();
    if ends >= 3 || bytes.len() == RECORD_MAX {
        return record;
    }
    Secret::from_vec([bytes, b"\0"].concat())
}

fn doveadm_arguments<'a>(socket: &'a OsStr, service: Option<&'a OsStr>, name: &'a Name) -> Vec<&'a OsStr> {
    let mut arguments = ["auth", "test", "-a"].map(OsStr::new).to_vec();
    arguments.push(socket);
    arguments.extend(service.into_iter().flat_map(|service| [OsStr::new("-x"), service]));
    // A name must not be taken for an option.
    arguments.extend(name.as_bytes().starts_with(b"-").then_some(OsStr::new("--")));
    arguments.push(OsStr::from_bytes(name.as_bytes()));
    arguments
}

/// Makes a pipe that holds these few bytes, and nothing can be written to it any more.
fn filled_pipe(bytes: SecretRef<'_>) -> io::Result<PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(bytes.expose())?;
    Ok(reader)
}

/// Makes a file in memory, which a program can fill without anybody waiting for it.
fn memory() -> io::Result<File> {
    Ok(memfd_create("doveadm", MemfdFlags::CLOEXEC)?.into())
}

/// Tells whether this is what doveadm prints when Dovecot has refused somebody.
fn says_no(mut output: File) -> io::Result<bool> {
    let mut said = Vec::new();
    output.rewind()?;
    output.take(4096).read_to_end(&mut said)?;
    let said = said.strip_prefix(b"passdb: ").unwrap_or_default();
    Ok(memchr::memmem::find(said, b" auth failed").is_some())
}
