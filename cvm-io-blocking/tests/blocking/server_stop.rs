//! The end of a server: what is in hand is finished, within bounds.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;

use crate::support::{TIMEOUT, local, read_all, udp, v2};

#[test]
fn an_idle_server_stops_at_once() {
    let mut server = udp("127.0.0.1:0");
    assert!(server.is_serving());
    server.tell_to_stop();
    let elapsed = server.wait();
    assert!(elapsed < TIMEOUT, "{elapsed:?}");
}

#[test]
fn what_is_in_hand_is_finished_and_nothing_more_is_taken() {
    let mut server = local();
    let mut client = server.connect();
    client.write_all(&v2(b"", b"slow", b"secret")).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert!(server.seen.has_begun(1));
    server.tell_to_stop();
    server.wait();
    assert_eq!(read_all(&mut client)[..2], *b"\0\0");
    let error = UnixStream::connect(server.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "the socket is closed");
}

#[test]
fn a_silent_client_delays_the_end_by_no_more_than_its_time_out() {
    let mut server = local();
    let _silent = server.connect();
    thread::sleep(TIMEOUT / 10);
    server.tell_to_stop();
    let elapsed = server.wait();
    assert!(elapsed < TIMEOUT * 2, "{elapsed:?}");
}

#[test]
fn a_module_that_takes_longer_than_both_time_outs_is_left_behind() {
    let mut server = local();
    let mut client = server.connect();
    client.write_all(&v2(b"", b"hash", b"secret")).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert!(server.seen.has_begun(1));
    server.tell_to_stop();
    let elapsed = server.wait();
    assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT * 4, "{elapsed:?}");
}
