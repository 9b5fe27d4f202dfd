//! `cvm-vmailmgr`: the virtual users of vmailmgr.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use cvm_backends::Notices;
use cvm_backends::vmailmgr::{Conversion, Options, Refused, Vmailmgr};

use crate::environment::{self, SettingError};
use crate::program::Program;
use crate::{qmail, serving};

const PROGRAM: Program = Program {
    arguments: serving::ARGUMENTS,
    about: "Validates credentials against the tables of vmailmgr. Without arguments it answers one request on standard input.",
    settings: &[
        ("VMAILMGR_PWFILE", "the table, seen from the home of its owner (default passwd.cdb)"),
        ("VMAILMGR_DEFAULT", "who gets what nobody else does, in lookup mode (default +)"),
        ("VMAILMGR_LOCK_DISABLED", "if set, disabled accounts are refused"),
        ("VMAILMGR_CHECK_EXPIRY", "if set, expired accounts are refused"),
        ("VMAILMGR_CHECK_MAILBOX", "if set, accounts without a mailbox are refused"),
        ("VMAILMGR_AUTOCONVERT", "yescrypt: hash weak passwords anew after a login; anything else: store clear text"),
        qmail::ROOT,
        qmail::ASSUME_LOCAL,
        qmail::MISSING_DOMAIN,
        qmail::MISSING_USER,
        qmail::STRICT,
    ],
    more_settings: serving::SETTINGS,
};

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    let open = |notices: Notices| options().map(|options| Vmailmgr::open(options, notices));
    PROGRAM.run(|arguments| serving::run(&PROGRAM, arguments, open, open))
}

fn options() -> Result<Options, SettingError> {
    let is_set = |name| environment::bytes(name).is_some();
    let catch_all = environment::bytes("VMAILMGR_DEFAULT").unwrap_or_else(|| b"+".to_vec());
    Ok(Options {
        host: qmail::host()?,
        table: OsString::from_vec(environment::filled("VMAILMGR_PWFILE").unwrap_or_else(|| b"passwd.cdb".to_vec()))
            .into(),
        catch_all: is_set("CVM_LOOKUP_SECRET").then_some(catch_all),
        refused: Refused {
            disabled: is_set("VMAILMGR_LOCK_DISABLED"),
            expired: is_set("VMAILMGR_CHECK_EXPIRY"),
            without_mailbox: is_set("VMAILMGR_CHECK_MAILBOX"),
        },
        conversion: environment::parsed(
            "VMAILMGR_AUTOCONVERT",
            "yescrypt, or for clear text a word that names no hash",
            conversion,
        )?,
    })
}

/// What the names of hashes have in common: nobody who means one gets clear text.
const HASHES: [&str; 7] = ["crypt", "yesc", "argon", "sha", "md5", "pbkdf", "$"];

fn conversion(value: &[u8]) -> Option<Conversion> {
    let value = String::from_utf8_lossy(value).to_ascii_lowercase();
    match value.as_str() {
        "yescrypt" => Some(Conversion::Yescrypt),
        other if HASHES.iter().any(|hash| other.contains(hash)) => None,
        _ => Some(Conversion::ClearText),
    }
}
