//! Golden packets: what was recorded from the original, and what differs on purpose.

use std::fmt;

use cvm_tests::Settings;
use cvm_tests::contact::{Answer, Mode};
use cvm_tests::findings::Findings;
use cvm_tests::packet::{Hex, unhex};
use cvm_tests::programs::Make;
use cvm_tests::station::{Station, TABLE};

const FILE: &str = include_str!("../data/golden.txt");

/// The settings of each section.
const SECTIONS: [(&str, Settings<'_>); 3] =
    [("authenticate", &[]), ("lookup", &[("CVM_LOOKUP_SECRET", "sesame")]), ("open", &[("CVM_LOOKUP_SECRET", "")])];

/// A packet and its answers.
#[derive(Default)]
struct Golden {
    section: &'static str,
    differs: bool,
    name: &'static str,
    request: String,
    ours: String,
    original: String,
}

/// Reads the file: a line is a comment, a section, a name, or part of the hexadecimal digits of the last name.
fn golden() -> Vec<Golden> {
    let mut all: Vec<Golden> = Vec::new();
    let (mut section, mut differs) = ("", false);
    for line in FILE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let last = all.last_mut();
        match (line.split_at_checked(1), last) {
            (Some(("[", title)), _) => {
                let title = title.strip_suffix(']').expect("a section ends in a bracket");
                differs = title.ends_with(", ours");
                section = title.strip_suffix(", ours").unwrap_or(title);
                assert!(SECTIONS.iter().any(|(known, _)| *known == section), "{title}");
            }
            (Some((">", digits)), Some(last)) => last.request += digits.trim(),
            (Some(("<", digits)), Some(last)) => last.ours += digits.trim(),
            (Some(("!", digits)), Some(last)) => last.original += digits.trim(),
            _ => all.push(Golden { section, differs, name: line, ..Golden::default() }),
        }
    }
    all
}

impl Golden {
    fn original(&self) -> &str {
        if self.differs { &self.original } else { &self.ours }
    }

    /// Tells whether an answer of the original is the recorded one.
    fn is_original(&self, answer: &Answer) -> bool {
        match answer {
            Ok(answer) => *answer == unhex(self.original()),
            Err(_) => self.original() == "crash",
        }
    }
}

impl fmt::Display for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.section, self.name)
    }
}

fn stations(make: Make) -> impl Iterator<Item = (Station, Vec<Golden>)> {
    SECTIONS.into_iter().map(move |(section, settings)| {
        let packets: Vec<_> = golden().into_iter().filter(|golden| golden.section == section).collect();
        assert!(packets.len() > 10, "[{section}] has hardly any packets");
        (Station::start(make, TABLE, settings), packets)
    })
}

fn compare_ours(mode: Mode) {
    let mut findings = Findings::new();
    for (station, packets) in stations(Make::Ours) {
        let contact = station.contact(mode);
        for golden in packets {
            findings.answer(&golden, contact.ask(&unhex(&golden.request)), &unhex(&golden.ours));
        }
    }
    findings.assert_none();
}

#[test]
fn our_command_answers_every_golden_packet_with_the_recorded_bytes() {
    compare_ours(Mode::Command);
}

#[test]
fn our_unix_socket_answers_every_golden_packet_with_the_recorded_bytes() {
    compare_ours(Mode::Local);
}

#[test]
fn our_udp_server_answers_every_golden_packet_with_the_recorded_bytes() {
    compare_ours(Mode::Udp);
}

/// As a command, because the answers of the original's servers depend on what they were asked before.
#[test]
fn the_installed_original_still_answers_as_recorded() {
    let mut findings = Findings::new();
    for (station, packets) in stations(Make::Original) {
        for golden in packets {
            let answer = station.contact(Mode::Command).ask(&unhex(&golden.request));
            if !golden.is_original(&answer) {
                let found = answer.map_or_else(|_| "crash".to_owned(), |answer| Hex(&answer).to_string());
                findings.add(format_args!("{golden}: the original's line should be\n{found}"));
            }
        }
    }
    findings.assert_none();
}

#[test]
fn packets_are_among_the_differing_ones_only_if_the_answer_differs() {
    for golden in golden() {
        assert_eq!(golden.differs, golden.original() != golden.ours, "{golden}");
        assert!(!golden.ours.is_empty() && golden.differs != golden.original.is_empty(), "{golden}");
    }
}
