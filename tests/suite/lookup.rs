//! Lookup mode: facts without a password, for whoever knows the secret. Clients and servers of both makes.

use cvm_tests::contact::Mode;
use cvm_tests::programs::Make;
use cvm_tests::station::{Station, TABLE};

use crate::clients::{Case, compare, v1, v2};

/// What is asked of a server whose secret is `sesame`.
fn cases_with_a_secret() -> Vec<Case> {
    vec![
        v2(&["alice", "ex.com"], 0).with(&[("CVM_LOOKUP_SECRET", "sesame")]),
        v2(&["alice", ""], 0).with(&[("CVM_LOOKUP_SECRET", "sesame")]),
        v2(&["alice", "ex.com", "wrong"], 0).with(&[("CVM_LOOKUP_SECRET", "sesame")]),
        v2(&["empty", "ex.com"], 100).with(&[("CVM_LOOKUP_SECRET", "sesame")]),
        v2(&["mallory", "ex.com"], 100).with(&[("CVM_LOOKUP_SECRET", "sesame")]),
        v2(&["alice", "ex.com"], 7).with(&[("CVM_LOOKUP_SECRET", "other")]),
        v2(&["alice", "ex.com"], 7).with(&[("CVM_LOOKUP_SECRET", "sesam")]),
        v2(&["alice", "ex.com"], 7).with(&[("CVM_LOOKUP_SECRET", "sesame!")]),
        v2(&["alice", "ex.com"], 7).with(&[("CVM_LOOKUP_SECRET", "")]),
        v2(&["mallory", "ex.com"], 7).with(&[("CVM_LOOKUP_SECRET", "other")]),
        v2(&["alice", "ex.com"], 7),
        v2(&["mallory", "ex.com"], 7),
        v2(&["alice", "ex.com", "secret"], 7),
        v2(&["alice", "ex.com", "sesame"], 7),
        v1(&["alice", "ex.com", "sesame"], 0),
        v1(&["mallory", "ex.com", "sesame"], 100),
        v1(&["alice", "ex.com", "other"], 7),
        v1(&["alice", "ex.com", "sesam"], 7),
        v1(&["mallory", "ex.com", "other"], 7),
        v1(&["alice", "ex.com", "secret"], 7),
        v1(&["alice", "ex.com", ""], 7),
        v1(&["alice", "ex.com"], 7),
        // The client of version 1 sends what it is told to, and no more.
        v1(&["alice", "ex.com"], 7).with(&[("CVM_LOOKUP_SECRET", "sesame")]),
    ]
}

/// What is asked of a server whose secret is empty: whatever is sent is accepted.
fn cases_without_a_secret() -> Vec<Case> {
    vec![
        v2(&["alice", "ex.com"], 0),
        v2(&["alice", "ex.com"], 0).with(&[("CVM_LOOKUP_SECRET", "")]),
        v2(&["alice", "ex.com"], 0).with(&[("CVM_LOOKUP_SECRET", "anything")]),
        v2(&["alice", "ex.com", "wrong"], 0),
        v2(&["mallory", "ex.com"], 100),
        v1(&["alice", "ex.com"], 0),
        v1(&["alice", "ex.com", ""], 0),
        v1(&["alice", "ex.com", "anything"], 0),
        v1(&["mallory", "ex.com", "anything"], 100),
    ]
}

fn agree(server: Make, mode: Mode) {
    let servers = [("sesame", cases_with_a_secret()), ("", cases_without_a_secret())];
    for (secret, cases) in servers {
        let mut station = Station::start(server, TABLE, &[("CVM_LOOKUP_SECRET", secret)]);
        compare(&mut station, mode, cases);
    }
}

#[test]
fn the_clients_agree_about_look_ups_by_our_module_as_a_command() {
    agree(Make::Ours, Mode::Command);
}

#[test]
fn the_clients_agree_about_look_ups_by_our_module_over_a_unix_socket() {
    agree(Make::Ours, Mode::Local);
}

#[test]
fn the_clients_agree_about_look_ups_by_our_module_over_udp() {
    agree(Make::Ours, Mode::Udp);
}

#[test]
fn the_clients_agree_about_look_ups_by_the_original_module_as_a_command() {
    agree(Make::Original, Mode::Command);
}

#[test]
fn the_clients_agree_about_look_ups_by_the_original_module_over_a_unix_socket() {
    agree(Make::Original, Mode::Local);
}

#[test]
fn the_clients_agree_about_look_ups_by_the_original_module_over_udp() {
    agree(Make::Original, Mode::Udp);
}
