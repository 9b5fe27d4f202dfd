//! `cvm-qmail-authuser`: what s/qmail's `qmail-authuser` is, over the same file.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use cvm_backends::Notices;
use cvm_backends::authuser::{Account, Claim, Helpers, Missing, Name, Users};
use cvm_core::module::{Lookup, Temporary};
use nix::unistd::geteuid;

use crate::become_user::{self, Identity};
use crate::caller::Caller;
use crate::checkpassword::read_record;
use crate::program::{Program, Stopped, complain};
use crate::{asking, environment, stop};

const PROGRAM: Program = Program {
    arguments: "[PROGRAM MAILDIRNAME | -s SOCKET [-x SERVICE=METHOD]] PROG [ARGUMENT]...",
    about: "Reads a name, a password or response, and a challenge from descriptor 3, judges them by users/authuser, and\n\
            runs PROG: as the user of the system where the file says so. Exits with 1 if they are wrong, with 2 if it is\n\
            misused, with 111 if it cannot tell.\n\n\
            checkvpw (+) runs PROGRAM with MAILDIRNAME, which begins with mail or mbox, or true with Maildir. doveadm (=)\n\
            asks at SOCKET. Installed setuid, it heeds no settings.",
    settings: &[
        ("QMAIL_ROOT", "the folder of users/authuser is in this one (/var/qmail)"),
        ("CVM_CLIENT_TIMEOUT", "milliseconds that checkvpw, vchkpw or doveadm may take (0: the default, 30000)"),
    ],
    more_settings: &[],
};

/// What it exits with if the password is wrong, or nobody has the name.
const REFUSED: u8 = 1;
/// If arguments, descriptor 3 or the file are not what they should be.
const MISUSED: u8 = 2;
/// If nothing could be decided.
const TEMPORARY: u8 = 111;

/// Runs the program and returns its exit status; on success another program takes its place.
#[must_use]
pub fn main() -> u8 {
    PROGRAM.run_with_any_rights(answer, |stopped| match stopped {
        Stopped::Usage { .. } | Stopped::Argument(_) => MISUSED,
        _ => TEMPORARY,
    })
}

fn answer(arguments: &[OsString]) -> Result<u8, Stopped> {
    let call = Call::parse(arguments).ok_or_else(|| PROGRAM.usage())?;
    if call.helper.is_some() && Caller::has_fewer_rights() {
        return Err(Stopped::Argument("installed setuid, it has checkvpw run nothing but true".to_owned()));
    }
    // First of all, as its number must still be its own.
    let record = read_record()?;
    let caller = Caller::leave_behind()?;
    let Ok((name, claim)) = Claim::of_record(record.as_ref().expose()) else {
        complain(&cvm_core::checkpassword::MalformedRecord);
        return Ok(MISUSED);
    };
    stop::collect_children().map_err(|error| Stopped::Io(format!("signals: {error}")))?;
    let path = environment::qmail_root().join("users/authuser");
    let users = Users::open(path, Missing::Empty, call.helpers()?, Notices::new(|text| complain(&text)));
    match judge(&users, name, &claim, caller.as_ref()) {
        Ok(Some(account)) => Err(call.run(&account, caller.as_ref())),
        Ok(None) => Ok(REFUSED),
        Err(Trouble::Stopped(stopped)) => Err(stopped),
        // What it is has been told.
        Err(Trouble::Temporary(Temporary::CONFIG)) => Ok(MISUSED),
        Err(Trouble::Temporary(_)) => Ok(TEMPORARY),
    }
}

/// Why there is no verdict.
enum Trouble {
    Temporary(Temporary),
    Stopped(Stopped),
}

impl From<Temporary> for Trouble {
    fn from(temporary: Temporary) -> Self {
        Self::Temporary(temporary)
    }
}

/// Tells who is let in, if somebody is.
fn judge(users: &Users, name: Name, claim: &Claim<'_>, caller: Option<&Caller>) -> Result<Option<Account>, Trouble> {
    let (found, is_meaningless) = users.find_or_meaningless(name)?;
    let (account, is_known) = match found {
        Lookup::Known(account) => (Some(account), true),
        Lookup::Unknown { decoy, .. } => (decoy, false),
    };
    // Rights that nobody needs any more are given up before anybody's bytes are worked on.
    let needs_rights = account.as_ref().is_some_and(Account::needs_rights) && geteuid().is_root();
    if let Some(caller) = caller.filter(|_| !needs_rights) {
        caller.return_to().map_err(Trouble::Stopped)?;
    }
    let is_right = account.as_ref().map_or(Ok(false), |account| users.is_right(account, claim))?;
    if is_meaningless {
        return Err(Temporary::CONFIG.into());
    }
    Ok(account.filter(|_| is_known && is_right))
}

/// What the arguments say.
#[derive(Debug, PartialEq, Eq)]
struct Call<'a> {
    /// What checkvpw is to run.
    helper: Option<[&'a OsStr; 2]>,
    socket: Option<&'a OsStr>,
    service: Option<&'a OsStr>,
    program: &'a OsStr,
    arguments: &'a [OsString],
}

impl<'a> Call<'a> {
    fn parse(arguments: &'a [OsString]) -> Option<Self> {
        let mut call = Self { helper: None, socket: None, service: None, program: OsStr::new(""), arguments };
        while let [option, value, rest @ ..] = call.arguments {
            match option.as_bytes() {
                b"-s" => call.socket = Some(value),
                b"-x" => call.service = Some(value),
                _ => break,
            }
            call.arguments = rest;
        }
        if let [helper, mailbox, _, ..] = call.arguments
            && call.socket.is_none()
            && is_mailbox(mailbox)
        {
            call.helper = Some([helper, mailbox]);
            call.arguments = call.arguments.get(2..)?;
        }
        let (program, rest) = call.arguments.split_first()?;
        let is_option = program.as_bytes().starts_with(b"-");
        (call.program, call.arguments) = (program, rest);
        (!is_option && (call.service.is_none() || call.socket.is_some())).then_some(call)
    }

    fn helpers(&self) -> Result<Helpers, Stopped> {
        let default = Helpers::default();
        Ok(Helpers {
            program: self.helper.map(|program| program.map(OsStr::to_owned)),
            socket: self.socket.map(OsStr::to_owned),
            service: self.service.map(OsStr::to_owned),
            timeout: asking::timeout().map_err(Stopped::ClientSetting)?.unwrap_or(default.timeout),
        })
    }

    /// Runs the program that comes next: as the user whom the file says, or else with the ids of the caller.
    fn run(&self, account: &Account, caller: Option<&Caller>) -> Stopped {
        if let Some(user) = account.becomes() {
            return Identity::of_user(user).run(self.program, self.arguments);
        }
        match caller.map_or(Ok(()), Caller::return_to) {
            Ok(()) => become_user::exec(self.program, self.arguments, Vec::new()),
            Err(stopped) => stopped,
        }
    }
}

/// Tells whether an argument is the name of a mailbox for checkvpw.
fn is_mailbox(argument: &OsStr) -> bool {
    let begin = argument.as_bytes().get(..4).unwrap_or_default();
    begin.eq_ignore_ascii_case(b"mail") || begin.eq_ignore_ascii_case(b"mbox")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of a call: what checkvpw runs, socket, service, and the program with its arguments.
    fn parse(line: &str) -> Option<[String; 4]> {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let call = Call::parse(&arguments)?;
        let text = |part: Option<&OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
        let helper = call.helper.map(|helper| helper.map(|word| text(Some(word))).join(" ")).unwrap_or_default();
        let rest = call.arguments.iter().map(|word| text(Some(word)));
        let rest: Vec<_> = [text(Some(call.program))].into_iter().chain(rest).collect();
        Some([helper, text(call.socket), text(call.service), rest.join(" ")])
    }

    #[test]
    fn arguments_are_those_of_each_age_of_the_manual() {
        for (line, parts) in [
            ("true", ["", "", "", "true"]),
            ("qmail-pop3d Maildir", ["", "", "", "qmail-pop3d Maildir"]),
            ("-s /sock true", ["", "/sock", "", "true"]),
            ("-s /sock -x service=smtp true -x", ["", "/sock", "service=smtp", "true -x"]),
            ("-x service=smtp -s /sock true", ["", "/sock", "service=smtp", "true"]),
            ("true MAILDIR prog arg", ["true MAILDIR", "", "", "prog arg"]),
            ("true mbox prog", ["true mbox", "", "", "prog"]),
            ("prog one two", ["", "", "", "prog one two"]),
            ("-s /sock prog Maildir two", ["", "/sock", "", "prog Maildir two"]),
        ] {
            assert_eq!(parse(line), Some(parts.map(str::to_owned)), "{line}");
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_misuse() {
        for line in ["", "-s", "-s /sock", "-x service=smtp true", "-y true", "--", "-s /sock -x service=smtp"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
