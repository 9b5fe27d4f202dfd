//! One suite of behaviour over everything that serves: each driver of ours in each contact mode, and the original.

#[path = "behaviour/scenarios.rs"]
mod scenarios;

use std::collections::BTreeSet;
use std::fmt;

use cvm_tests::contact::Mode;
use cvm_tests::findings::Findings;
use cvm_tests::packet::Hex;
use cvm_tests::process::{LIMIT, eventually};
use cvm_tests::programs::Make;
use cvm_tests::station::Station;

use scenarios::{Original, SCENARIOS, Scenario, Setup};

/// What a scenario came to: the answer, and the line of the log if there is a log.
#[derive(PartialEq, Eq)]
struct Outcome {
    response: Result<Vec<u8>, String>,
    line: Option<String>,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.response {
            Ok(response) => write!(f, "{} \"{}\", {:?}", Hex(response), response.escape_ascii(), self.line),
            Err(error) => write!(f, "{error}, {:?}", self.line),
        }
    }
}

fn setups() -> Vec<&'static Setup> {
    let mut seen = BTreeSet::new();
    SCENARIOS.iter().map(|scenario| scenario.setup).filter(|setup| seen.insert(setup.name)).collect()
}

fn play(station: &Station, mode: Mode, scenario: &Scenario) -> Outcome {
    let before = station.server_of(mode).requests().len();
    let response = station.contact(mode).ask(scenario.request);
    // A command logs nothing.
    let line = (mode != Mode::Command).then(|| {
        let server = station.server_of(mode);
        eventually(LIMIT, || server.requests().len() > before);
        server.requests().get(before).cloned().unwrap_or_default()
    });
    Outcome { response, line }
}

/// What is expected of our programs, or of the original, if it is asked.
fn expected(make: Make, mode: Mode, scenario: &Scenario) -> Option<Outcome> {
    let (response, line) = match scenario.original {
        Original::Differs(response, line) if make == Make::Original => (response, line),
        Original::NotAsked if make == Make::Original => return None,
        _ => (scenario.response, scenario.line),
    };
    Some(Outcome { response: Ok(response.to_vec()), line: (mode != Mode::Command).then(|| line.to_owned()) })
}

/// Takes out of the original's lines what it cannot help: an empty domain where an earlier request had one.
fn without_leftovers(outcome: &mut Outcome, scenario: &Scenario) {
    if let Some(line) = &mut outcome.line {
        line.truncate(line.trim_end_matches('@').len());
        if matches!(scenario.original, Original::LogsLeftovers) {
            scenario.line.clone_into(line);
        }
    }
}

/// Plays all scenarios with servers that have these settings on top.
fn play_all(make: Make, modes: &[Mode], more: &[(&str, &str)]) {
    let mut findings = Findings::new();
    for setup in setups() {
        let station = Station::start(make, setup.accounts, &[setup.policy, more].concat());
        for scenario in SCENARIOS.iter().filter(|scenario| std::ptr::eq(scenario.setup, setup)) {
            for &mode in modes {
                let Some(expected) = expected(make, mode, scenario) else { continue };
                let mut outcome = play(&station, mode, scenario);
                if make == Make::Original {
                    without_leftovers(&mut outcome, scenario);
                }
                let name = format!("{make}, {more:?}, {mode}, [{}] {}", setup.name, scenario.name);
                findings.equal(name, outcome, expected);
            }
        }
    }
    findings.assert_none();
}

#[test]
fn as_a_command() {
    play_all(Make::Ours, &[Mode::Command], &[]);
}

#[test]
fn with_mio() {
    play_all(Make::Ours, &[Mode::Local, Mode::Udp], &[("CVM_RUNTIME", "mio")]);
}

#[test]
fn with_smol() {
    play_all(Make::Ours, &[Mode::Local, Mode::Udp], &[("CVM_RUNTIME", "smol")]);
}

#[test]
fn with_threads() {
    play_all(Make::Ours, &[Mode::Local, Mode::Udp], &[("CVM_RUNTIME", "blocking")]);
}

#[test]
fn of_the_original() {
    play_all(Make::Original, &Mode::ALL, &[]);
}
