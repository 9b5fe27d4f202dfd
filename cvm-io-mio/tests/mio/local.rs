//! UNIX sockets: one request per connection.

use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

use cvm_io_mio::Options;

use crate::support::{failure, login, options, read_all, start, success, v2};

#[test]
fn a_request_is_answered_and_the_connection_closed() {
    let server = start(options());
    assert_eq!(server.ask(&login(b"TAG", b"alice")), success(b"TAG"));
    assert_eq!(server.ask(&v2(b"TAG", b"alice", b"wrong")), failure(100, b"TAG"));
    assert_eq!(server.ask(&login(b"TAG", b"panic")), failure(1, b"TAG"));
    assert_eq!(server.ask(b"\x01alice\0\0secret\0\0"), b"\0\x01alice\0\x021000\0\x03100\0\x05/\0\0");
    assert_eq!(server.ask(b""), b"\x02\0");
    assert_eq!(server.ask(&[2; 513]), failure(2, &[2, 2]));
}

#[test]
fn a_request_may_come_in_pieces_and_at_512_bytes_has_no_end() {
    let server = start(options());
    let mut pieces = server.connect();
    for byte in login(b"T", b"alice") {
        pieces.write_all(&[byte]).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    pieces.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut pieces), success(b"T"));
    let mut whole = server.connect();
    let tag = [7; 200];
    let padding = |length: usize| [&[200, u8::try_from(length).unwrap()][..], &vec![0; length]].concat();
    let mut request = login(&tag, b"alice");
    request.pop();
    request.extend(padding(255));
    let left = 512 - request.len() - 3;
    request.extend(padding(left));
    request.push(0);
    assert_eq!(request.len(), 512);
    whole.write_all(&request).unwrap();
    assert_eq!(read_all(&mut whole), success(&tag));
}

#[test]
fn silent_connections_delay_nobody() {
    let server = start(options());
    let mut silent: Vec<_> = (0..300).map(|_| server.connect()).collect();
    for stream in silent.iter_mut().step_by(2) {
        stream.write_all(&login(b"S", b"alice")[..5]).unwrap();
    }
    assert!((0..50).all(|_| server.ask(&login(b"L", b"alice")) == success(b"L")));
    let late = &mut silent[0];
    late.write_all(&login(b"S", b"alice")[5..]).unwrap();
    late.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(late), success(b"S"));
}

#[test]
fn a_silent_connection_is_closed_in_time_without_an_answer() {
    let timeout = Duration::from_millis(300);
    let server = start(Options { io_timeout: timeout, ..options() });
    let start = Instant::now();
    let mut silent = server.connect();
    silent.write_all(&[2]).unwrap();
    assert_eq!(read_all(&mut silent), b"");
    assert!(start.elapsed() >= timeout);
    assert!(server.seen.logged().is_empty());
}

#[test]
fn beyond_the_bound_the_oldest_idle_connection_goes() {
    let mut server = start(Options { max_connections: 3, ..options() });
    let mut silent: Vec<_> = (0..3).map(|_| server.connect()).collect();
    assert_eq!(server.ask(&login(b"L", b"alice")), success(b"L"));
    assert_eq!(read_all(&mut silent[0]), b"");
    for stream in &mut silent[1..] {
        stream.write_all(&login(b"S", b"alice")).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(stream), success(b"S"));
    }
    assert_eq!(server.stop().evicted, 1);
}

#[test]
fn where_nobody_is_idle_others_wait_their_turn() {
    let server = start(Options { max_connections: 2, ..options() });
    let mut working = [server.send(&login(b"1", b"hash")), server.send(&login(b"2", b"hash"))];
    assert!(server.seen.has_begun(1));
    let mut waiting = server.send(&login(b"3", b"alice"));
    thread::sleep(Duration::from_millis(50));
    assert!(server.seen.logged().is_empty());
    server.seen.open_gate();
    assert_eq!(read_all(&mut waiting), success(b"3"));
    assert_eq!(working.each_mut().map(read_all), [success(b"1"), success(b"2")]);
}

#[test]
fn peers_that_leave_at_any_time_harm_nobody() {
    let server = start(options());
    let request = login(b"T", b"alice");
    for length in 0..request.len() {
        let mut stream = server.connect();
        stream.write_all(&request[..length]).unwrap();
        drop(stream);
        drop(server.send(&request[..length]));
    }
    assert_eq!(server.ask(&request), success(b"T"));
}
