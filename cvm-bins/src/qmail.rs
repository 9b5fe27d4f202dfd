//! `cvm-qmail`: the addresses of a qmail host.

use cvm_backends::Notices;
use cvm_backends::qmail::{HostOptions, Options, Permissions, Qmail, Rules};

use crate::environment::{self, SettingError};
use crate::program::Program;
use crate::serving;

// The settings of every module of a qmail host.
pub(crate) const ROOT: (&str, &str) = ("QMAIL_ROOT", "where qmail's files are (default /var/qmail)");
pub(crate) const ASSUME_LOCAL: (&str, &str) =
    ("CVM_QMAIL_ASSUME_LOCAL", "if set, domains that are not virtual are local");
pub(crate) const MISSING_DOMAIN: (&str, &str) =
    ("CVM_QMAIL_MISSINGDOMAIN", "what stands in for other domains (empty: localhost)");
pub(crate) const MISSING_USER: (&str, &str) = ("CVM_QMAIL_MISSINGUSER", "the user that those go to (default alias)");
pub(crate) const STRICT: (&str, &str) =
    ("CVM_QMAIL_STRICT", "1: decide as qmail does where the original cvm-qmail decides otherwise");

const PROGRAM: Program = Program {
    arguments: serving::ARGUMENTS,
    about: "Looks up addresses as qmail would. It judges no passwords: it answers in lookup mode only.",
    settings: &[
        ROOT,
        ASSUME_LOCAL,
        MISSING_DOMAIN,
        MISSING_USER,
        (
            "CVM_QMAIL_CHECK_PERMS",
            "if set, look at dot-qmail files with their users' rights; -...: what they may not see is not there",
        ),
        ("CVM_QMAIL_LOOKASIDE", "programs, separated by blanks, to whose addresses another module answers"),
        STRICT,
    ],
    more_settings: serving::SETTINGS,
};

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    let open = |notices: Notices| options().map(|options| Qmail::open(options, notices));
    PROGRAM.run(|arguments| serving::run(&PROGRAM, arguments, open, open))
}

fn options() -> Result<Options, SettingError> {
    Ok(Options {
        host: host()?,
        permissions: match environment::filled("CVM_QMAIL_CHECK_PERMS") {
            None => Permissions::Unchecked,
            Some(value) if value.starts_with(b"-") => Permissions::DeniedIsMissing,
            Some(_) => Permissions::DeniedIsTemporary,
        },
        lookaside: environment::words("CVM_QMAIL_LOOKASIDE"),
    })
}

/// Reads the settings of a qmail host, which every module of one has.
pub(crate) fn host() -> Result<HostOptions, SettingError> {
    let is_strict = environment::parsed("CVM_QMAIL_STRICT", "1, or nothing", |value| (value == b"1").then_some(()))?;
    let missing_domain = environment::bytes("CVM_QMAIL_MISSINGDOMAIN");
    Ok(HostOptions {
        root: environment::qmail_root(),
        rules: if is_strict.is_some() { Rules::Qmail } else { Rules::Original },
        assume_local: environment::bytes("CVM_QMAIL_ASSUME_LOCAL").is_some(),
        missing_domain: missing_domain.map(|name| if name.is_empty() { b"localhost".to_vec() } else { name }),
        missing_user: environment::filled("CVM_QMAIL_MISSINGUSER").unwrap_or_else(|| b"alias".to_vec()),
    })
}
