//! UNIX sockets: one request per connection (SPEC section 6).

use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use cvm_core::Code;

use crate::support::{
    SLOW, TIMEOUT, local, local_for_ever, local_with_threads, read_all, request_of, success, timed, v2,
};

#[test]
fn a_request_is_answered_and_the_connection_closed() {
    let server = local();
    assert_eq!(server.ask(&v2(b"TAG", b"alice", b"secret")), success(b"TAG"));
    assert_eq!(server.ask(&v2(b"TAG", b"alice", b"wrong")), b"d\x03TAG\0");
    assert_eq!(server.ask(&v2(b"TAG", b"nobody", b"secret")), b"d\x03TAG\0");
    assert_eq!(server.ask(&v2(b"TAG", b"broken", b"secret")), b"\x04\x03TAG\0");
    assert_eq!(server.ask(b"\x01alice\0\0secret\0\0"), b"\0\x01alice\0\x021000\0\x03100\0\x05/\0\0");
}

#[test]
fn the_observer_has_written_before_the_answer_is_sent() {
    let server = local();
    let mut expected = Vec::new();
    for (account, code) in [("alice", Code::SUCCESS), ("nobody", Code::REJECTED), ("panic", Code::GENERAL)] {
        expected.push(code);
        drop(server.ask(&v2(b"", account.as_bytes(), b"secret")));
        assert_eq!(server.seen.logged(), expected);
    }
    let mut silent = server.connect();
    read_all(&mut silent);
    assert_eq!(server.seen.logged(), expected, "a client that asks nothing is none");
}

#[test]
fn a_time_out_beyond_all_clocks_never_comes() {
    let mut server = local_for_ever();
    assert!((0..3).all(|_| server.is_serving()));
    server.tell_to_stop();
    server.wait();
}

#[test]
fn a_request_may_come_in_pieces() {
    let server = local();
    let mut client = server.connect();
    for byte in v2(b"T", b"alice", b"secret") {
        client.write_all(&[byte]).unwrap();
        thread::sleep(Duration::from_millis(2));
    }
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut client), success(b"T"));
}

#[test]
fn what_is_no_request_is_code_2() {
    let server = local();
    assert_eq!(server.ask(b""), b"\x02\0");
    assert_eq!(server.ask(b"\x03"), b"\x02\0");
    assert_eq!(server.ask(b"\x02\x01T\x01"), b"\x02\x01T\0");
}

#[test]
fn a_silent_client_is_cut_off_without_an_answer_and_keeps_nobody_waiting() {
    let server = local();
    let (mut silent, mut unfinished) = (server.connect(), server.connect());
    unfinished.write_all(b"\x02\x00\x01").unwrap();
    let (answers, elapsed) = timed(|| {
        assert!(server.is_serving());
        thread::scope(|scope| {
            let unfinished = scope.spawn(|| timed(|| read_all(&mut unfinished)));
            let silent = timed(|| read_all(&mut silent));
            assert!((0..20).all(|_| server.is_serving()));
            [silent, unfinished.join().unwrap()]
        })
    });
    for (answer, waited) in answers {
        assert_eq!(answer, b"");
        assert!(waited > TIMEOUT / 2, "cut off after {waited:?}");
    }
    assert!(elapsed < TIMEOUT * 4, "{elapsed:?}");
}

#[test]
fn the_time_out_is_for_the_whole_request() {
    let server = local();
    let mut client = server.connect();
    let ((), elapsed) = timed(|| {
        // Never silent for long, and never done.
        while client.write_all(b"\x02").is_ok() {
            thread::sleep(TIMEOUT / 10);
        }
    });
    assert!(elapsed < TIMEOUT * 3, "{elapsed:?}");
}

#[test]
fn at_512_bytes_a_request_is_whole_without_a_shutdown() {
    let server = local();
    let mut client = server.connect();
    client.write_all(&request_of(512)).unwrap();
    assert_eq!(read_all(&mut client), success(&[b'T'; 255]));
}

#[test]
fn at_511_bytes_more_may_come() {
    let server = local();
    let mut client = server.connect();
    client.write_all(&request_of(511)).unwrap();
    assert_eq!(read_all(&mut client), b"", "no end of input, no answer");
    assert_eq!(server.ask(&request_of(511)), success(&[b'T'; 255]));
}

#[test]
fn more_than_512_bytes_are_code_2() {
    let server = local();
    for more in [1, 2, 88, 4000] {
        let mut long = request_of(512);
        long.resize(512 + more, 0);
        assert_eq!(server.ask(&long), [b"\x02\xff".as_slice(), &[b'T'; 255], b"\0"].concat(), "{more} more");
    }
}

#[test]
fn clients_that_leave_harm_nobody() {
    let server = local_with_threads(1);
    let request = v2(b"", b"alice", b"secret");
    for sent in [b"".as_slice(), &request[..5], &request] {
        for _ in 0..10 {
            let mut client = server.connect();
            client.write_all(sent).unwrap();
            drop(client);
        }
    }
    assert!(server.is_serving());
}

#[test]
fn more_connections_than_threads_are_all_served() {
    let server = local_with_threads(3);
    let ((), elapsed) = timed(|| {
        thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| assert_eq!(server.ask(&v2(b"", b"slow", b"secret"))[..2], *b"\0\0"));
            }
        });
    });
    assert!(elapsed >= SLOW * 4, "three at a time: {elapsed:?}");
    assert!(elapsed < SLOW * 11, "more than one at a time: {elapsed:?}");
}

#[test]
fn when_all_threads_wait_for_silent_clients_others_are_served_after_the_time_out() {
    let server = local_with_threads(2);
    let _silent = [server.connect(), server.connect()];
    thread::sleep(TIMEOUT / 10);
    let (is_serving, elapsed) = timed(|| server.is_serving());
    assert!(is_serving);
    assert!(elapsed < TIMEOUT * 3, "{elapsed:?}");
}

#[test]
fn a_module_that_panics_is_code_1_and_the_server_lives() {
    let server = local_with_threads(1);
    for _ in 0..3 {
        assert_eq!(server.ask(&v2(b"TAG", b"panic", b"secret")), b"\x01\x03TAG\0");
        assert_eq!(server.ask(b"\x01panic\0\0secret\0\0"), b"\x01\0");
    }
    assert!(server.is_serving());
}
