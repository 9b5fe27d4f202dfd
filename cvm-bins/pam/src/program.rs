//! The program: its settings.

use std::ffi::CString;

use cvm_backends::Notices;
use cvm_bins::environment::{self, SettingError};
use cvm_bins::program::{Program, Stopped};
use cvm_bins::{memory, serving, stop};

use crate::pam::Pam;

const PROGRAM: Program = Program {
    arguments: serving::ARGUMENTS,
    about: "Validates credentials of the system's users through PAM, by the authentication and account groups of a\n\
            service. Without arguments it answers one request on standard input. What PAM is set up to do mostly takes root.",
    settings: &[("SERVICE", "the service of PAM, mostly a file in /etc/pam.d (must be set)")],
    more_settings: serving::SETTINGS,
};

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    let open = |notices: Notices| service().map(|service| Pam::new(service, notices));
    PROGRAM.run(|arguments| {
        memory::share_heap();
        // Modules of PAM run programs, and wait for them.
        stop::collect_children().map_err(|error| Stopped::Io(format!("signals: {error}")))?;
        serving::run(&PROGRAM, arguments, open, open)
    })
}

fn service() -> Result<CString, SettingError> {
    let (name, expected) = ("SERVICE", "the name of a file in /etc/pam.d");
    let service = environment::parsed(name, expected, |value| {
        // libpam would look elsewhere for what is behind the last slash.
        CString::new(value).ok().filter(|_| !value.contains(&b'/'))
    })?;
    service.ok_or(SettingError::Missing { name, expected })
}
