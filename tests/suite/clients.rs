//! The command-line clients, ours and the original's, side by side.

use std::time::Duration;

use cvm_tests::Settings;
use cvm_tests::contact::Mode;
use cvm_tests::findings::Findings;
use cvm_tests::process::{self, Finished, LIMIT};
use cvm_tests::programs::Make;
use cvm_tests::station::Station;

/// What clients print about the accounts of the table.
pub(crate) const ALICE: &str = "\
user name:        alice
user ID:          1001
group ID:         1002
real name:        Alice Rig
directory:        /home/alice
shell:            /bin/sh
group name:       (null)
system user name: (null)
system directory: (null)
domain:           (null)
mailbox path:     (null)
";
pub(crate) const BARE: &str = "\
user name:        bare
user ID:          7
group ID:         8
real name:        \n\
directory:        \n\
shell:            \n\
group name:       (null)
system user name: (null)
system directory: (null)
domain:           (null)
mailbox path:     (null)
";
pub(crate) const CAROL: &str = "\
user name:        Carol
user ID:          4294967294
group ID:         0
real name:        Carol
directory:        /home/carol
shell:            \n\
group name:       (null)
system user name: (null)
system directory: (null)
domain:           (null)
mailbox path:     (null)
";

/// A client, by the protocol that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    V1,
    V2,
}

impl Client {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V1 => "cvm-v1testclient",
            Self::V2 => "cvm-testclient",
        }
    }

    /// Asks a module.
    pub(crate) fn ask(self, make: Make, module: &str, arguments: &[&str], settings: Settings<'_>) -> Finished {
        let arguments = [&[module], arguments].concat();
        // The original may spin for ever.
        let limit = if make == Make::Ours { LIMIT } else { Duration::from_secs(3) };
        process::run_within(limit, &mut process::command(&make.program(self.name()), &arguments, settings), b"")
    }

    /// What a client does for a code, and the facts that come with success.
    pub(crate) fn outcome(self, code: i32, facts: &str) -> Finished {
        if code == 0 {
            return Finished::new(0, facts, "");
        }
        let (name, fatal) = (self.name(), if self == Self::V1 { "Fatal: " } else { "" });
        let text = text(code);
        Finished::new(code, "", &format!("{name}: {fatal}Authentication failed, error #{code} ({text})\n"))
    }
}

fn text(code: i32) -> &'static str {
    match code {
        1 => "General error",
        2 => "Invalid data from client",
        3 => "Invalid data from module",
        4 => "Input/Output error",
        5 => "Fact missing in data from client",
        6 => "Configuration error",
        7 => "Credential missing in data from module",
        100 => "Credentials rejected",
        8..=99 => "Unknown error",
        _ => "Unknown error code",
    }
}

/// A question to a module, and what must come of it.
pub(crate) struct Case {
    pub(crate) client: Client,
    pub(crate) settings: Settings<'static>,
    pub(crate) arguments: &'static [&'static str],
    /// Our server's code, and the original's.
    pub(crate) codes: [i32; 2],
    pub(crate) facts: &'static str,
}

/// Two cases of the same outcome whoever serves, one of each client.
pub(crate) const fn both(arguments: &'static [&'static str], code: i32) -> [Case; 2] {
    [v1(arguments, code), v2(arguments, code)]
}

pub(crate) const fn v1(arguments: &'static [&'static str], code: i32) -> Case {
    Case { client: Client::V1, settings: &[], arguments, codes: [code; 2], facts: ALICE }
}

pub(crate) const fn v2(arguments: &'static [&'static str], code: i32) -> Case {
    Case { client: Client::V2, ..v1(arguments, code) }
}

impl Case {
    pub(crate) const fn with(self, settings: Settings<'static>) -> Self {
        Self { settings, ..self }
    }

    pub(crate) const fn facts(self, facts: &'static str) -> Self {
        Self { facts, ..self }
    }

    pub(crate) const fn but_original(self, code: i32) -> Self {
        Self { codes: [self.codes[0], code], ..self }
    }
}

/// Asks with our client and with the original's, which must do exactly the same.
pub(crate) fn compare(station: &mut Station, mode: Mode, cases: impl IntoIterator<Item = Case>) {
    let mut findings = Findings::new();
    for case in cases {
        for make in Make::ALL {
            let [ours, original] = case.codes;
            let code = if station.make() == Make::Ours { ours } else { original };
            let expected = case.client.outcome(code, case.facts);
            let ask = |station: &Station| case.client.ask(make, &station.module(mode), case.arguments, case.settings);
            let found = settled(station, make, &expected, ask);
            let (name, arguments, settings) = (case.client.name(), case.arguments, case.settings);
            findings.equal(format_args!("{make}: {name} {arguments:?} {settings:?}"), found, expected);
        }
    }
    findings.assert_none();
}

/// Asks the module of a station, where a crash of the original may be in the way.
fn settled(station: &mut Station, client: Make, expected: &Finished, ask: impl Fn(&Station) -> Finished) -> Finished {
    let whose = if station.make() == Make::Original { Make::Original } else { client };
    let mut is_fresh = true;
    patiently(whose, expected, || {
        if !std::mem::take(&mut is_fresh) {
            station.restart();
        }
        ask(station)
    })
}

/// Asks again, a few times, if the original does not do what is expected: it may have crashed, or be in one of its
/// endless loops.
pub(crate) fn patiently<T: PartialEq>(make: Make, expected: &T, mut ask: impl FnMut() -> T) -> T {
    let tries = if make == Make::Original { 6 } else { 1 };
    let mut found = ask();
    for _ in 1..tries {
        if found == *expected {
            break;
        }
        found = ask();
    }
    found
}
