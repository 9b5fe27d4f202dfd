//! `cvm-sasltest`: lets a client log in over standard input and output, to try out SASL settings.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use cvm_core::sasl::{Mechanism, Modules, Outcome};
use rustix::stdio::stdin;

use crate::asking;
use crate::program::{Program, Stopped, complain};
use crate::sasl::{self, Dialogue};

const PROGRAM: Program = Program {
    arguments: "'MECHANISM[ INITIAL-RESPONSE]'",
    about: "Lets a client log in by SASL: challenges to standard output, its responses, in Base64, from standard input,\n\
            and how it ended to standard error. Exits with 0 if it is let in and with 1 if not.",
    settings: sasl::SETTINGS,
    more_settings: asking::SETTINGS,
};

/// What the program exits with for everything but a login.
const FAILED: u8 = 1;

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    PROGRAM.run_with_status(run, |_| FAILED)
}

fn run(arguments: &[OsString]) -> Result<u8, Stopped> {
    let [argument] = arguments else {
        return Err(PROGRAM.usage());
    };
    let modules = sasl::modules().map_err(Stopped::ClientSetting)?;
    complain(&announcement(&modules));
    let mut client = Dialogue::new(stdin(), io::stdout().lock(), "+ ");
    let ended = sasl::authenticate(&modules, argument.as_bytes(), &mut client)?;
    complain(&ended);
    Ok(status(ended.outcome))
}

fn announcement(modules: &Modules) -> String {
    let names = modules.announced().map(Mechanism::name);
    std::iter::once("AUTH").chain(names).collect::<Vec<_>>().join(" ")
}

fn status(outcome: Outcome) -> u8 {
    if outcome == Outcome::Accepted {
        return 0;
    }
    let (code, text) = outcome.smtp_reply();
    complain(&format_args!("Fatal: sasl_auth1 failed: {}", outcome.number()));
    // Nobody is left to tell if that fails.
    let _ = writeln!(io::stderr(), "  {code} {text}");
    FAILED
}
