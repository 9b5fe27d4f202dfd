//! Password files that change while they are served.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use cvm_tests::contact::Mode;
use cvm_tests::packet::{self, ACCOUNT, PASSWORD};
use cvm_tests::process::{LIMIT, eventually};
use cvm_tests::programs::Make;
use cvm_tests::station::Station;

fn line(password: &str) -> String {
    format!("alice:{password}:1:2:::\n")
}

/// Asks whether a password is right: the code.
fn code(station: &Station, mode: Mode, password: &str) -> u8 {
    let request = packet::v2(2, b"", &[(ACCOUNT, b"alice"), (PASSWORD, password.as_bytes())]);
    station.contact(mode).ask(&request).expect("an answer")[0]
}

fn codes(station: &Station, passwords: [&str; 2]) -> Vec<[u8; 2]> {
    let codes = |mode| passwords.map(|password| code(station, mode, password));
    [Mode::Local, Mode::Udp].map(codes).into()
}

#[test]
fn a_changed_file_is_seen_by_the_next_request() {
    let station = Station::start(Make::Ours, &line("old"), &[]);
    assert_eq!(codes(&station, ["old", "new"]), [[0, 100]; 2]);
    for round in 0..20 {
        let (old, new) = (format!("{round}a"), format!("{round}b"));
        // The same length, and within the same tick of the clock.
        for (right, wrong) in [(&old, &new), (&new, &old)] {
            station.folder().write("passwd", line(right));
            assert_eq!(codes(&station, [right, wrong]), [[0, 100]; 2], "round {round}");
        }
    }
}

#[test]
fn a_file_that_is_replaced_by_another_is_seen_by_the_next_request() {
    let station = Station::start(Make::Ours, &line("old"), &[]);
    for round in 0..10 {
        let password = format!("new{round}");
        let new = station.folder().write("new", line(&password));
        fs::rename(new, station.folder().path("passwd")).expect("a file can be renamed");
        assert_eq!(codes(&station, [&password, "old"]), [[0, 100]; 2]);
    }
}

#[test]
fn a_file_in_the_writing_does_not_count_until_it_is_whole() {
    let station = Station::start(Make::Ours, &line("old"), &[]);
    assert_eq!(codes(&station, ["old", "new"]), [[0, 100]; 2]);
    let written = Instant::now();
    let unfinished = line("new");
    station.folder().write("passwd", unfinished.trim_end());
    let early = codes(&station, ["old", "new"]);
    if written.elapsed() < Duration::from_millis(900) {
        assert_eq!(early, [[0, 100]; 2], "the last whole version answers");
    }
    // A last line without its newline counts in the end.
    assert!(eventually(LIMIT, || codes(&station, ["old", "new"]) == [[100, 0]; 2]));
    assert!(written.elapsed() >= Duration::from_millis(900), "{:?}", written.elapsed());
}

#[test]
fn an_unfinished_line_never_lets_anybody_in() {
    let station = Station::start(Make::Ours, &line("old"), &[]);
    // Cut in the middle of a password: nobody may log in with its first half.
    station.folder().write("passwd", "alice:sec");
    thread::sleep(Duration::from_millis(1300));
    assert_eq!(code(&station, Mode::Local, "sec"), 100);
    station.folder().write("passwd", line("secret"));
    assert_eq!(codes(&station, ["secret", "sec"]), [[0, 100]; 2]);
}

#[test]
fn a_file_that_is_gone_for_more_than_a_second_is_code_4_until_it_is_back() {
    let station = Station::start(Make::Ours, &line("old"), &[]);
    assert_eq!(codes(&station, ["old", "new"]), [[0, 100]; 2]);
    let gone = Instant::now();
    fs::remove_file(station.folder().path("passwd")).expect("the file can be removed");
    let early = codes(&station, ["old", "new"]);
    if gone.elapsed() < Duration::from_millis(900) {
        assert_eq!(early, [[0, 100]; 2], "it may be between two versions");
    }
    assert!(eventually(LIMIT, || codes(&station, ["old", "new"]) == [[4, 4]; 2]));
    assert!(gone.elapsed() >= Duration::from_millis(900), "{:?}", gone.elapsed());
    let errors = String::from_utf8(station.server().errors()).expect("text");
    assert!(errors.lines().count() == 1 && errors.contains(&station.folder().path("passwd")), "{errors}");
    station.folder().write("passwd", line("new"));
    assert_eq!(codes(&station, ["old", "new"]), [[100, 0]; 2]);
}

#[test]
fn an_empty_file_has_no_accounts() {
    let station = Station::start(Make::Ours, "# nobody yet\n", &[]);
    assert_eq!(codes(&station, ["", "x"]), [[7, 100]; 2]);
    station.folder().write("passwd", line("x"));
    assert_eq!(codes(&station, ["", "x"]), [[7, 0]; 2]);
}

#[test]
fn a_file_of_megabytes_is_seen_by_the_next_request_too() {
    let padding: String =
        (0..60_000).map(|index| format!("user{index}:x{index}:1:2:Somebody:/home:/bin/sh\n")).collect();
    let station = Station::start(Make::Ours, &(padding.clone() + &line("old")), &[]);
    assert_eq!(codes(&station, ["old", "new"]), [[0, 100]; 2]);
    // Replaced at once: a reader never sees a part of it.
    let new = station.folder().write("new", padding + &line("new"));
    fs::rename(new, station.folder().path("passwd")).expect("a file can be renamed");
    assert_eq!(codes(&station, ["old", "new"]), [[100, 0]; 2]);
    assert_eq!(code(&station, Mode::Command, "new"), 0);
}
