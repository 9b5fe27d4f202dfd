//! The end of a server: what is in hand is finished, in bounded time. And reading files again.

use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use cvm_io_mio::Options;

use crate::support::{HANGING, eventually, failure, login, options, read_all, receive, send, start, success};

#[test]
fn what_is_in_hand_is_finished_before_the_end() {
    let mut server = start(options());
    let socket = server.udp();
    let mut half = server.connect();
    half.write_all(&login(b"H", b"alice")[..7]).unwrap();
    let mut worked_on = server.send(&login(b"W", b"hash"));
    assert!(server.seen.has_begun(1));
    socket.send(&login(b"Q", b"hash")).unwrap();
    assert_eq!(server.ask(&login(b"L", b"alice")), success(b"L"), "all have been received");
    server.tell_to_stop();
    thread::sleep(Duration::from_millis(50));
    half.write_all(&login(b"H", b"alice")[7..]).unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut half), success(b"H"));
    server.seen.open_gate();
    assert_eq!((read_all(&mut worked_on), receive(&socket)), (success(b"W"), success(b"Q")));
    server.wait();
}

#[test]
fn what_waits_too_long_is_refused_and_a_stuck_worker_left_behind() {
    let mut server = start(Options { io_timeout: Duration::from_millis(300), ..options() });
    let socket = server.udp();
    socket.send(&login(b"1", b"hash")).unwrap();
    assert!(server.seen.has_begun(1));
    socket.send(&login(b"2", b"hash")).unwrap();
    let _silent = server.connect();
    assert_eq!(server.ask(&login(b"L", b"alice")), success(b"L"), "all have been received");
    let counts = server.stop();
    assert_eq!(receive(&socket), failure(4, b"2"));
    assert_eq!(counts.refused, 1);
}

#[test]
fn what_has_arrived_before_the_end_is_answered() {
    let mut server = start(options());
    let socket = server.udp();
    let connections: Vec<_> = (0..40).map(|_| server.send(&login(b"C", b"alice"))).collect();
    for number in 0..200 {
        send(&socket, &login(&[number], b"alice"));
    }
    server.tell_to_stop();
    for mut connection in connections {
        assert_eq!(read_all(&mut connection), success(b"C"));
    }
    for number in 0..200 {
        assert_eq!(receive(&socket), success(&[number]));
    }
    server.wait();
}

#[test]
fn all_loops_end() {
    let mut server = start(Options { threads: 4, ..options() });
    server.stop();
}

#[test]
fn files_are_read_again_on_demand() {
    let mut server = start(options());
    server.tell_to_reload();
    assert!(eventually(HANGING, || server.seen.reloads() == 1));
    assert_eq!(server.ask(&login(b"L", b"alice")), success(b"L"));
    server.stop();
    assert_eq!(server.seen.reloads(), 1);
}
