//! The life of a server: start, signals, end, and what is in hand meanwhile.

use std::io::Write;
use std::net::Shutdown;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cvm_tests::Settings;
use cvm_tests::contact::{Mode, read_answer};
use cvm_tests::packet::{self, ACCOUNT, DOMAIN, Item, PASSWORD};
use cvm_tests::process::End;
use cvm_tests::programs::Make;
use cvm_tests::station::{Station, TABLE, alice_with};
use rustix::process::Signal;

fn login() -> Vec<u8> {
    packet::v2(2, b"T", &[(ACCOUNT, b"alice"), (DOMAIN, b"ex.com"), (PASSWORD, b"secret")])
}

fn start(settings: Settings<'_>) -> Station {
    Station::start(Make::Ours, TABLE, settings)
}

fn assert_serves(station: &Station) {
    assert_eq!(station.contact(Mode::Local).ask(&login()), Ok(alice_with(b"T")));
}

#[test]
fn term_and_int_end_a_server_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut station = start(&[]);
        assert_serves(&station);
        station.server().signal(signal);
        assert_eq!(station.server_mut().wait(), End::Exit(0), "{signal:?}");
        assert_eq!(station.server().log(), b"Starting.\n+ alice@ex.com\nStopping.\n", "{signal:?}");
        assert_eq!(station.server().errors(), b"", "{signal:?}");
        assert!(!Path::new(&station.folder().path("socket")).exists(), "{signal:?}");
    }
}

#[test]
fn hup_changes_nothing() {
    let mut station = start(&[]);
    for _ in 0..3 {
        station.server().signal(Signal::HUP);
        assert_serves(&station);
    }
    assert_eq!(station.server_mut().stop(), End::Exit(0));
    assert_eq!(station.server().log(), b"Starting.\n+ alice@ex.com\n+ alice@ex.com\n+ alice@ex.com\nStopping.\n");
}

#[test]
fn the_log_tells_the_kind_of_each_answer() {
    let station = start(&[]);
    let name = |name: &'static [u8]| -> Item<'_> { (ACCOUNT, name) };
    let (domain, right): (Item<'_>, Item<'_>) = ((DOMAIN, b"ex.com"), (PASSWORD, b"secret"));
    let wrong: Item<'_> = (PASSWORD, b"no");
    for mode in [Mode::Local, Mode::Udp] {
        let requests: [packet::Items<'_>; 6] = [
            &[name(b"alice"), domain, right],
            &[name(b"ALICE"), right],
            &[name(b"alice"), domain, wrong],
            // An empty domain is none.
            &[name(b"mallory"), (DOMAIN, b""), wrong],
            &[name(b"alice"), domain],
            &[right],
        ];
        for items in requests {
            station.contact(mode).ask(&packet::v2(2, b"T", items)).expect("an answer");
        }
        station.contact(mode).ask(b"\x02").expect("an answer");
    }
    let lines = ["+ alice@ex.com", "+ ALICE", "- alice@ex.com", "- mallory", "? alice@ex.com", "? ", "? "];
    assert_eq!(station.server().requests(), [lines, lines].concat());
}

#[test]
fn a_request_in_hand_is_answered_before_the_end() {
    let mut station = start(&[("CVM_IO_TIMEOUT", "20000")]);
    let (first, rest) = (&login()[..9], &login()[9..]);
    let mut stream = station.connect();
    stream.write_all(first).expect("half a request can be sent");
    // Connections are taken in order: after this one, that one is in hand.
    assert_serves(&station);
    station.server().signal(Signal::TERM);
    thread::sleep(Duration::from_millis(200));
    stream.write_all(rest).and_then(|()| stream.shutdown(Shutdown::Write)).expect("the rest can be sent");
    assert_eq!(read_answer(&mut stream).ok(), Some(alice_with(b"T")));
    assert_eq!(station.server_mut().wait(), End::Exit(0));
    assert_eq!(station.server().log(), b"Starting.\n+ alice@ex.com\n+ alice@ex.com\nStopping.\n");
}

#[test]
fn a_silent_client_does_not_keep_a_server_from_ending() {
    let mut station = start(&[("CVM_IO_TIMEOUT", "300")]);
    let _silent = [station.connect(), station.connect()];
    assert_serves(&station);
    assert_eq!(station.server_mut().stop(), End::Exit(0));
}

/// How long a server lets a silent client wait, and what the client then reads.
fn cut_off(settings: Settings<'_>) -> (Duration, Vec<u8>) {
    let station = start(settings);
    let start = Instant::now();
    let mut stream = station.connect();
    stream.write_all(&login()[..5]).expect("part of a request can be sent");
    let answer = read_answer(&mut stream).expect("the server hangs up");
    assert_serves(&station);
    (start.elapsed(), answer)
}

/// Times longer than the default, so that a slow machine cannot make the test fail, or pass.
#[test]
fn the_time_out_for_input_is_what_is_set() {
    let cases: [(Settings<'_>, u64); 6] = [
        (&[], 1000),
        (&[("CVM_IO_TIMEOUT", "1700")], 1700),
        (&[("CVM_LOCAL_TIMEOUT", "1600")], 1600),
        (&[("CVM_IO_TIMEOUT", "1800"), ("CVM_LOCAL_TIMEOUT", "1")], 1800),
        (&[("CVM_IO_TIMEOUT", ""), ("CVM_LOCAL_TIMEOUT", "1500")], 1500),
        (&[("CVM_IO_TIMEOUT", "0")], 1000),
    ];
    let waits = cases.map(|(settings, expected)| (expected, thread::spawn(move || cut_off(settings))));
    for (expected, wait) in waits {
        let (waited, answer) = wait.join().expect("the server hangs up");
        assert!(waited >= Duration::from_millis(expected), "{waited:?} instead of {expected} ms");
        assert!(waited < Duration::from_millis(expected + 10_000), "{waited:?} instead of {expected} ms");
        assert_eq!(answer, b"", "a request that is not whole gets no answer");
    }
}

#[test]
fn a_client_that_leaves_without_reading_harms_nobody() {
    let station = start(&[]);
    for _ in 0..20 {
        let mut stream = station.connect();
        stream.write_all(&login()).expect("a request can be sent");
        drop(stream);
        drop(station.connect());
    }
    assert_serves(&station);
}
