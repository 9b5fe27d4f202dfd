//! `cvm-authuser`: s/qmail's `users/authuser`.

use cvm_backends::Notices;
use cvm_backends::authuser::{Authuser, Helpers, Identity, Options};

use crate::environment::{self, SettingError};
use crate::program::{Program, Stopped};
use crate::{asking, serving, stop};

const PROGRAM: Program = Program {
    arguments: serving::ARGUMENTS,
    about: "Validates credentials against users/authuser as s/qmail's qmail-authuser does, and becomes nobody. Without\n\
            arguments it answers one request on standard input. Reading shadow for ? and ! takes root.",
    settings: &[
        ("CVM_AUTHUSER_PATH", "the file ($QMAIL_ROOT/users/authuser)"),
        ("QMAIL_ROOT", "where qmail's files are (/var/qmail)"),
        (
            "CVM_AUTHUSER_LOCALS",
            "domains, separated by blanks, that clients put in where there is none: as if there were none",
        ),
        ("CVM_AUTHUSER_UID", "user ID of the users that are none of the system (65534)"),
        ("CVM_AUTHUSER_GID", "their group ID (65534)"),
        ("CVM_AUTHUSER_HOME", "their directory (/)"),
        ("CVM_AUTHUSER_SOCKET", "the socket of Dovecot's authentication service, for ="),
        ("CVM_AUTHUSER_SERVICE", "what doveadm tells Dovecot of a login (-x), such as service=smtp"),
        ("CVM_CLIENT_TIMEOUT", "milliseconds that checkvpw, vchkpw or doveadm may take (0: the default, 30000)"),
    ],
    more_settings: serving::SETTINGS,
};

/// The user and group that own nothing.
const NOBODY: u32 = 65534;

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    let open = |notices: Notices| options().map(|options| Authuser::open(options, notices));
    PROGRAM.run(|arguments| {
        stop::collect_children().map_err(|error| Stopped::Io(format!("signals: {error}")))?;
        serving::run(&PROGRAM, arguments, open, open)
    })
}

fn options() -> Result<Options, SettingError> {
    let path = environment::value("CVM_AUTHUSER_PATH");
    let home = |value: &[u8]| value.starts_with(b"/").then(|| value.to_vec());
    Ok(Options {
        path: path.map_or_else(|| environment::qmail_root().join("users/authuser"), Into::into),
        locals: environment::words("CVM_AUTHUSER_LOCALS"),
        identity: Identity {
            uid: environment::parsed("CVM_AUTHUSER_UID", ID, id)?.unwrap_or(NOBODY),
            gid: environment::parsed("CVM_AUTHUSER_GID", ID, id)?.unwrap_or(NOBODY),
            home: environment::parsed("CVM_AUTHUSER_HOME", "an absolute path", home)?.unwrap_or_else(|| b"/".to_vec()),
        },
        helpers: helpers()?,
    })
}

fn helpers() -> Result<Helpers, SettingError> {
    let default = Helpers::default();
    Ok(Helpers {
        socket: environment::value("CVM_AUTHUSER_SOCKET"),
        service: environment::value("CVM_AUTHUSER_SERVICE"),
        timeout: asking::timeout()?.unwrap_or(default.timeout),
        ..default
    })
}

const ID: &str = "a number from 1 to 4294967294";

/// Reads the ID of somebody who is not root, and not the number that means nobody at all to the system.
fn id(value: &[u8]) -> Option<u32> {
    environment::decimal(value).filter(|id| (1..u32::MAX).contains(id))
}
