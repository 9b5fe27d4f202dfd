//! `cvm-pwfile`: accounts in a file of passwd(5) lines.

use cvm_backends::password::Comparison;
use cvm_backends::pwfile::{Options, PwFile, PwScan};

use crate::environment::{self, SettingError};
use crate::program::Program;
use crate::serving;

const PROGRAM: Program = Program {
    arguments: serving::ARGUMENTS,
    about: "Validates credentials against a password file. Without arguments it answers one request on standard input.",
    settings: &[
        ("CVM_PWFILE_PATH", "the file: lines as in passwd(5)"),
        ("CVM_PWFILE_PWCMP", "how passwords are stored in it: plain (the default), crypt, or auto"),
    ],
    more_settings: serving::SETTINGS,
};

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    PROGRAM.run(|arguments| {
        let serve = |notices| options().map(|options| PwFile::open(options, notices));
        let once = |notices| options().map(|options| PwScan::new(options, notices));
        serving::run(&PROGRAM, arguments, serve, once)
    })
}

fn options() -> Result<Options, SettingError> {
    let path = environment::path("CVM_PWFILE_PATH", "the path of a password file")?;
    let comparison = environment::parsed("CVM_PWFILE_PWCMP", "plain, crypt or auto", Comparison::from_setting)?;
    Ok(Options { path, comparison: comparison.unwrap_or_default() })
}
