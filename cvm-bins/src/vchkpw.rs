//! `cvm-vchkpw`: the accounts of vpopmail's domains.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use cvm_backends::Notices;
use cvm_backends::vchkpw::{Options, Service, Vchkpw, is_domain};
use nix::errno::Errno;
use nix::unistd::User;

use crate::environment::{self, SettingError};
use crate::program::Program;
use crate::{qmail, serving};

const PROGRAM: Program = Program {
    arguments: serving::ARGUMENTS,
    about: "Validates credentials against the accounts of vpopmail's domains. Without arguments it answers one request on\n\
            standard input. It needs the rights of root or of the owner of the domains.",
    settings: &[
        qmail::ROOT,
        (
            "VPOPMAIL_ROOT",
            "where vpopmail's files are (default: the home of the user vpopmail, or else /home/vpopmail)",
        ),
        ("VPOPMAIL_DOMAIN", "the domain of requests without one (default: what etc/defaultdomain says)"),
        (
            "SERVICE",
            "pop, imap, smtp or webmail: refuse accounts that may not use it (default: look at no such limits)",
        ),
    ],
    more_settings: serving::SETTINGS,
};

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    let open = |notices: Notices| options().map(|options| Vchkpw::open(options, notices));
    PROGRAM.run(|arguments| serving::run(&PROGRAM, arguments, open, open))
}

fn options() -> Result<Options, SettingError> {
    let domain = |value: &[u8]| is_domain(value).then(|| value.to_vec());
    Ok(Options {
        qmail_root: environment::qmail_root(),
        root: root()?,
        default_domain: environment::parsed("VPOPMAIL_DOMAIN", "a domain, or nothing", domain)?,
        service: environment::parsed("SERVICE", "pop, imap, smtp, webmail, or nothing", Service::from_name)?,
    })
}

fn root() -> Result<PathBuf, SettingError> {
    const NAME: &str = "VPOPMAIL_ROOT";
    if let Some(root) = environment::filled(NAME) {
        return Ok(OsString::from_vec(root).into());
    }
    match User::from_name("vpopmail") {
        Ok(Some(user)) => Ok(user.dir),
        Ok(None) | Err(Errno::ENOENT | Errno::ESRCH) => Ok("/home/vpopmail".into()),
        // In another folder there may be no limits.
        Err(_) => {
            Err(SettingError::Missing { name: NAME, expected: "a folder while the user vpopmail cannot be looked up" })
        }
    }
}
