//! What must not run in a loop: bounded, apart from each other, in nobody's way.

use cvm_io_mio::Options;

use crate::support::{HANGING, eventually, failure, is_quiet, login, options, read_all, receive, send, start, success};

#[test]
fn a_hash_delays_nobody_else() {
    let server = start(options());
    let (slow, socket) = (server.udp(), server.udp());
    slow.send(&login(b"S", b"hash")).unwrap();
    let mut connection = server.send(&login(b"C", b"hash"));
    assert!(server.seen.has_begun(1));
    assert!((0..100).all(|_| is_quiet(&socket)));
    assert_eq!(server.ask(&login(b"L", b"alice")), success(b"L"));
    server.seen.open_gate();
    assert_eq!(receive(&slow), success(b"S"));
    assert_eq!(read_all(&mut connection), success(b"C"));
}

#[test]
fn a_full_queue_is_code_4_at_once() {
    let mut server = start(Options { queue: 2, ..options() });
    let socket = server.udp();
    let ask = |number: u8| send(&socket, &login(&[number], b"hash"));
    ask(0);
    assert!(server.seen.has_begun(1));
    (1..=3).for_each(ask);
    assert_eq!(receive(&socket), failure(4, &[3]), "one is worked on, two wait");
    assert_eq!(server.ask(&login(b"L", b"hash")), failure(4, b"L"));
    server.seen.open_gate();
    let answers = [(); 3].map(|()| receive(&socket));
    assert_eq!(answers, [0, 1, 2].map(|number| success(&[number])));
    assert_eq!(server.stop().refused, 2);
}

#[test]
fn those_that_wait_take_nothing_from_those_that_hash() {
    let server = start(Options { queue: 1, ..options() });
    let (waiting, socket) = (server.udp(), server.udp());
    (0..5).for_each(|number| send(&waiting, &login(&[number], b"wait")));
    assert!(server.seen.has_begun(1));
    socket.send(&login(b"H", b"hash")).unwrap();
    assert!(server.seen.has_begun(2), "the other pool has a thread of its own");
    server.seen.open_gate();
    assert_eq!(receive(&socket), success(b"H"));
}

#[test]
fn a_datagram_that_is_sent_again_is_worked_on_once() {
    start(options()).works_once_on_what_is_sent_again();
}

#[test]
fn a_worker_survives_a_panic() {
    let server = start(options());
    server.seen.open_gate();
    let socket = server.udp();
    for _ in 0..3 {
        socket.send(&login(b"T", b"hashpanic")).unwrap();
        assert_eq!(receive(&socket), failure(1, b"T"));
    }
    assert_eq!(server.ask(&login(b"L", b"hashpanic")), failure(1, b"L"));
    socket.send(&login(b"T", b"hash")).unwrap();
    assert_eq!(receive(&socket), success(b"T"));
}

#[test]
fn a_peer_that_leaves_is_forgotten_while_a_worker_has_its_request() {
    let server = start(options());
    let connection = server.send(&login(b"T", b"hash"));
    assert!(server.seen.has_begun(1));
    drop(connection);
    assert_eq!(server.ask(&login(b"L", b"alice")), success(b"L"));
    server.seen.open_gate();
    assert!(eventually(HANGING, || server.seen.logged().len() == 2));
    assert_eq!(server.ask(&login(b"L", b"hash")), success(b"L"));
}

#[test]
fn the_request_of_a_peer_that_has_left_is_not_worked_on() {
    let server = start(options());
    let mut first = server.send(&login(b"1", b"hash"));
    assert!(server.seen.has_begun(1), "the only worker");
    drop(server.send(&login(b"2", b"hash")));
    // What is answered after a turn that knows of the request comes after the turn that hears of the peer.
    assert!(server.is_serving() && server.is_serving());
    server.seen.open_gate();
    assert_eq!(read_all(&mut first), success(b"1"));
    assert_eq!(server.ask(&login(b"3", b"hash")), success(b"3"));
    assert_eq!(server.seen.begun(), 4, "1, twice L, and 3");
}
