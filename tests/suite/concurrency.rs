//! Many at a time: silent ones, slow ones, and all at once.

use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use cvm_tests::contact::{Contact, Mode, read_answer};
use cvm_tests::packet::{self, ACCOUNT, PASSWORD};
use cvm_tests::process::{self, End, LIMIT, Running};
use cvm_tests::programs::Make;
use cvm_tests::station::{Station, TABLE, alice_with};

fn login(tag: &[u8]) -> Vec<u8> {
    packet::v2(2, tag, &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")])
}

/// With a time-out that is longer than the limit of the test, whoever waits for the silent ones fails.
#[test]
fn silent_connections_do_not_delay_others() {
    let station = Station::start(Make::Ours, TABLE, &[("CVM_IO_TIMEOUT", "120000")]);
    let mut silent: Vec<_> = (0..40).map(|_| station.connect()).collect();
    for stream in silent.iter_mut().take(20) {
        stream.write_all(&login(b"T")[..3]).expect("part of a request can be sent");
    }
    for mode in [Mode::Local, Mode::Udp] {
        assert_eq!(station.contact(mode).ask(&login(b"T")), Ok(alice_with(b"T")), "{mode}");
    }
    // One of them speaks up at last.
    let late = &mut silent[39];
    late.write_all(&login(b"L")).and_then(|()| late.shutdown(Shutdown::Write)).expect("a request can be sent");
    assert_eq!(read_answer(late).ok(), Some(alice_with(b"L")));
}

#[test]
fn thirty_clients_at_once_all_get_their_own_answers() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    for mode in Mode::ALL {
        let ask = |client: u8| {
            let contact = station.contact(mode);
            // Each answer must carry the tag of its own request.
            let tag = |round: u8| [client, round];
            (0..10).all(|round| contact.ask(&login(&tag(round))) == Ok(alice_with(&tag(round))))
        };
        let answered = thread::scope(|scope| {
            let clients: Vec<_> = (0..30).map(|client| scope.spawn(move || ask(client))).collect();
            clients.into_iter().filter_map(|client| client.join().ok()).filter(|all_right| *all_right).count()
        });
        assert_eq!(answered, 30, "{mode}");
    }
    assert_eq!(station.server().requests(), vec!["+ alice"; 600]);
}

#[test]
fn a_request_may_come_in_small_pieces() {
    let station = Station::start(Make::Ours, TABLE, &[("CVM_IO_TIMEOUT", "60000")]);
    for size in [1, 7] {
        let mut stream = station.connect();
        for piece in login(b"PIECES").chunks(size) {
            stream.write_all(piece).expect("a piece can be sent");
            thread::sleep(Duration::from_millis(5));
        }
        stream.shutdown(Shutdown::Write).expect("the end can be sent");
        assert_eq!(read_answer(&mut stream).ok(), Some(alice_with(b"PIECES")));
    }
}

#[test]
fn a_command_takes_its_request_in_small_pieces_too() {
    let station = Station::start(Make::Ours, TABLE, &[]);
    let Contact::Command(program) = station.contact(Mode::Command) else { unreachable!("a command has a path") };
    let mut command = process::command(&program, &[], &[]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut running = Running::start(&mut command);
    let mut input = running.child().stdin.take().expect("standard input is a pipe");
    for piece in login(b"PIECES").chunks(3) {
        input.write_all(piece).expect("a piece can be sent");
        thread::sleep(Duration::from_millis(5));
    }
    drop(input);
    assert_eq!(running.wait(LIMIT), End::Exit(0));
}

#[test]
fn a_stream_of_512_bytes_is_answered_without_its_end() {
    let station = Station::start(Make::Ours, TABLE, &[("CVM_IO_TIMEOUT", "120000")]);
    let items: packet::Items<'_> = &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")];
    let mut stream = station.connect();
    stream.write_all(&packet::padded(b"T", items, 512)).expect("a request can be sent");
    assert_eq!(read_answer(&mut stream).ok(), Some(alice_with(b"T")));
}
