//! `cvm-unix`: the accounts of the system.

use cvm_backends::unix::Unix;

use crate::program::Program;
use crate::serving;

const PROGRAM: Program = Program {
    arguments: serving::ARGUMENTS,
    about: "Validates credentials against the accounts of the system, from passwd and shadow or any other source of its\n\
            name service. Without arguments it answers one request on standard input. Reading shadow takes root.",
    settings: &[],
    more_settings: serving::SETTINGS,
};

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    let open = |notices| Ok(Unix::new(notices));
    PROGRAM.run(|arguments| serving::run(&PROGRAM, arguments, open, open))
}
