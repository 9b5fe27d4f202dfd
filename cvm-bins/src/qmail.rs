//! `cvm-qmail`: the addresses of a qmail host.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use cvm_backends::qmail::{Options, Qmail};

use crate::environment::{self, SettingError};
use crate::program::Program;
use crate::serving;

const PROGRAM: Program = Program {
    arguments: serving::ARGUMENTS,
    about: "Looks up addresses as qmail would. It judges no passwords: it answers in lookup mode only.",
    settings: &[
        ("QMAIL_ROOT", "where qmail's files are (default /var/qmail)"),
        ("CVM_QMAIL_ASSUME_LOCAL", "if set, domains that are not virtual are local"),
        ("CVM_QMAIL_MISSINGDOMAIN", "what stands in for other domains (empty: localhost)"),
        ("CVM_QMAIL_MISSINGUSER", "the user that those go to (default alias)"),
    ],
    more_settings: serving::SETTINGS,
};

/// Settings that this version does not have: ignoring them would accept more than was asked for.
const REFUSED: [&str; 3] = ["CVM_QMAIL_CHECK_PERMS", "CVM_QMAIL_LOOKASIDE", "CVM_QMAIL_STRICT"];

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    let open = |_| options().map(Qmail::open);
    PROGRAM.run(|arguments| serving::run(&PROGRAM, arguments, open, open))
}

fn options() -> Result<Options, SettingError> {
    for name in REFUSED {
        if let Some(value) = environment::bytes(name) {
            return Err(SettingError::wrong(name, &value, "it to be unset, as this version does not have it"));
        }
    }
    let missing_domain = environment::bytes("CVM_QMAIL_MISSINGDOMAIN");
    Ok(Options {
        root: OsString::from_vec(environment::filled("QMAIL_ROOT").unwrap_or_else(|| b"/var/qmail".to_vec())).into(),
        assume_local: environment::bytes("CVM_QMAIL_ASSUME_LOCAL").is_some(),
        missing_domain: missing_domain.map(|name| if name.is_empty() { b"localhost".to_vec() } else { name }),
        missing_user: environment::filled("CVM_QMAIL_MISSINGUSER").unwrap_or_else(|| b"alias".to_vec()),
    })
}
