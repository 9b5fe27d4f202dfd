//! Our clients and the original's against our server and the original's, over each contact mode.

use cvm_tests::contact::Mode;
use cvm_tests::programs::Make;
use cvm_tests::station::{Station, TABLE};

use crate::clients::{BARE, CAROL, Case, both, compare, v1, v2};

const LONG: &str = "pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp\
                    pppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp\
                    pppppppppppppppppppppppppppppppppppppppppppppp";

fn cases_of_both_clients() -> impl Iterator<Item = Case> {
    let cases = [
        both(&["alice", "ex.com", "secret"], 0),
        both(&["alice", "", "secret"], 0),
        both(&["ALICE", "ex.com", "secret"], 0),
        both(&["bare", "", "pw"], 0).map(|case| case.facts(BARE)),
        both(&["cArOL", "", "pass word"], 0).map(|case| case.facts(CAROL)),
        both(&["alice", "ex.com", "wrong"], 100),
        both(&["alice", "ex.com", "SECRET"], 100),
        both(&["alice", "ex.com", LONG], 100),
        both(&["mallory", "ex.com", "secret"], 100),
        both(&["empty", "ex.com", "x"], 100),
        both(&["alice", "ex.com"], 7),
        both(&["alice", "ex.com", ""], 7),
        // The original looks the account up before it looks at the credentials.
        both(&["mallory", "ex.com"], 7).map(|case| case.but_original(100)),
        both(&["empty", "ex.com"], 7).map(|case| case.but_original(100)),
        both(&["", "ex.com", "secret"], 7).map(|case| case.but_original(100)),
        // Nobody asked for a secret.
        both(&["alice", "ex.com", "secret"], 0).map(|case| case.with(&[("CVM_LOOKUP_SECRET", "sesame")])),
    ];
    assert_eq!(LONG.len(), 250);
    cases.into_iter().flatten()
}

/// Only the client of version 2 splits accounts, and only that of version 1 takes several credentials.
fn cases_of_one_client() -> impl Iterator<Item = Case> {
    [
        v2(&["alice@split.example", "", "secret"], 0),
        v2(&["alice@split.example", "ex.com", "secret"], 0),
        v2(&["alice@", "ex.com", "secret"], 0),
        v2(&["alice@a@b", "", "secret"], 100),
        v2(&["alice%pc.example", "", "secret"], 0).with(&[("CVM_ACCOUNT_SPLIT_CHARS", "%")]),
        v2(&["alice@split.example", "", "secret"], 100).with(&[("CVM_ACCOUNT_SPLIT_CHARS", "%")]),
        v2(&["alice/a", "", "secret"], 0).with(&[("CVM_ACCOUNT_SPLIT_CHARS", "%/")]),
        v2(&["alice%a/b", "", "secret"], 100).with(&[("CVM_ACCOUNT_SPLIT_CHARS", "%/")]),
        v2(&["alice@split.example", "", "secret"], 100).with(&[("CVM_ACCOUNT_SPLIT_CHARS", "")]),
        v1(&["alice@split.example", "", "secret"], 100),
        v1(&["alice%pc.example", "", "secret"], 100).with(&[("CVM_ACCOUNT_SPLIT_CHARS", "%")]),
        // The original's server knows no challenge-response.
        v1(&["alice", "", "<1@x>", "00000000000000000000000000000000"], 100).but_original(2),
        v1(&["alice", "", "a", "b", "c"], 2),
    ]
    .into_iter()
}

fn tags() -> impl Iterator<Item = Case> {
    let lengths: [&[(&str, &str)]; 4] = [
        &[("CVM_RANDOM_BYTES", "0")],
        &[("CVM_RANDOM_BYTES", "1")],
        &[("CVM_RANDOM_BYTES", "16")],
        &[("CVM_RANDOM_BYTES", "255")],
    ];
    lengths.into_iter().map(|length| v2(&["alice", "ex.com", "secret"], 0).with(length))
}

fn agree(server: Make, mode: Mode) {
    let mut station = Station::start(server, TABLE, &[]);
    compare(&mut station, mode, cases_of_both_clients().chain(cases_of_one_client()).chain(tags()));
}

#[test]
fn the_clients_agree_about_our_module_as_a_command() {
    agree(Make::Ours, Mode::Command);
}

#[test]
fn the_clients_agree_about_our_module_over_a_unix_socket() {
    agree(Make::Ours, Mode::Local);
}

#[test]
fn the_clients_agree_about_our_module_over_udp() {
    agree(Make::Ours, Mode::Udp);
}

#[test]
fn the_clients_agree_about_the_original_module_as_a_command() {
    agree(Make::Original, Mode::Command);
}

#[test]
fn the_clients_agree_about_the_original_module_over_a_unix_socket() {
    agree(Make::Original, Mode::Local);
}

#[test]
fn the_clients_agree_about_the_original_module_over_udp() {
    agree(Make::Original, Mode::Udp);
}
