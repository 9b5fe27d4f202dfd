//! `cvm-chain`: other modules, asked in order.

use cvm_backends::Notices;
use cvm_backends::chain::{Chain, Options};
use cvm_core::client::ModuleList;

use crate::environment::{self, SettingError};
use crate::program::{Program, Stopped};
use crate::{asking, serving, stop};

const PROGRAM: Program = Program {
    arguments: serving::ARGUMENTS,
    about: "Asks other modules, each in its turn, until one has an answer other than \"no\". Without arguments it answers\n\
            one request on standard input.",
    settings: &[
        ("CVM_CHAIN0", "the first to ask: modules, separated by commas; then CVM_CHAIN1 and so on to CVM_CHAIN9"),
        asking::CLIENT_TIMEOUT,
        asking::RANDOM_BYTES,
    ],
    more_settings: serving::SETTINGS,
};

const NAMES: [&str; 10] = [
    "CVM_CHAIN0",
    "CVM_CHAIN1",
    "CVM_CHAIN2",
    "CVM_CHAIN3",
    "CVM_CHAIN4",
    "CVM_CHAIN5",
    "CVM_CHAIN6",
    "CVM_CHAIN7",
    "CVM_CHAIN8",
    "CVM_CHAIN9",
];

/// Runs the program and returns its exit status.
#[must_use]
pub fn main() -> u8 {
    let open = |notices: Notices| options().map(|options| Chain::new(options, notices));
    PROGRAM.run(|arguments| {
        stop::collect_children().map_err(|error| Stopped::Io(format!("signals: {error}")))?;
        serving::run(&PROGRAM, arguments, open, open)
    })
}

fn options() -> Result<Options, SettingError> {
    let mut lists = Vec::new();
    for name in NAMES {
        let parse = |value: &[u8]| ModuleList::parse(value).ok();
        lists.extend(environment::parsed(name, "modules, separated by commas", parse)?);
    }
    if lists.is_empty() {
        return Err(SettingError::Missing { name: NAMES[0], expected: "modules, separated by commas" });
    }
    Ok(Options { lists, client: asking::client()?, tag_length: asking::tag_length()? })
}
