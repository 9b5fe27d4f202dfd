//! The server: datagrams, connections, bounds, and the end.

use std::collections::HashSet;
use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use cvm_core::Code;
use cvm_io_smol::{Options, Signals, Sockets, serve};

use cvm_tests::driven::check_hears_of_a_batch;

use crate::support::{
    HANGING, bound_to, eventually, failure, login, options, read_all, receive, send, start, success, v2,
};

#[test]
fn each_datagram_gets_its_answer() {
    let server = start(options());
    let socket = server.udp();
    let ask = |request: &[u8]| {
        socket.send(request).unwrap();
        receive(&socket)
    };
    assert_eq!(ask(&login(b"T", b"alice")), success(b"T"));
    assert_eq!(ask(&v2(b"T", b"alice", b"wrong")), failure(100, b"T"));
    assert_eq!(ask(&login(b"T", b"panic")), failure(1, b"T"));
    assert_eq!(ask(b""), b"\x02\0");
    assert_eq!(ask(&[2; 600]), failure(2, &[2, 2]));
    // What looks like a refusal is passed over.
    socket.send(b"\x64\0").unwrap();
    assert_eq!(ask(&login(b"L", b"alice")), success(b"L"));
    let codes = [Code::SUCCESS, Code::REJECTED, Code::BAD_CLIENT_DATA, Code::BAD_CLIENT_DATA, Code::SUCCESS];
    assert_eq!(server.seen.logged().into_iter().filter(|code| *code != Code::GENERAL).collect::<Vec<_>>(), codes);
}

#[test]
fn a_burst_of_many_batches_is_answered_whole_and_once() {
    let server = start(options());
    let socket = server.udp();
    for round in 0..5_u8 {
        let answers = (0..200).map(|number| {
            socket.send(&login(&[round, number], b"alice")).unwrap();
        });
        let answers: HashSet<_> = answers.collect::<Vec<_>>().iter().map(|()| receive(&socket)).collect();
        assert_eq!(answers, (0..200).map(|number| success(&[round, number])).collect());
    }
}

#[test]
fn the_module_hears_of_a_batch_before_it_is_answered() {
    check_hears_of_a_batch(&start(options()));
}

/// A connected socket takes answers from the address it asked only.
#[test]
fn answers_leave_from_the_address_that_was_asked() {
    for (bound, asked) in [("0.0.0.0:0", ["127.0.0.1", "127.0.0.2"]), ("[::]:0", ["::1", "::1"])] {
        let server = bound_to(bound, options());
        for ip in asked {
            let socket = server.udp_at(ip);
            socket.send(&login(ip.as_bytes(), b"alice")).unwrap();
            assert_eq!(receive(&socket), success(ip.as_bytes()));
        }
    }
}

#[test]
fn each_connection_gets_its_answer_and_is_closed() {
    let server = start(options());
    assert_eq!(server.ask(&login(b"TAG", b"alice")), success(b"TAG"));
    assert_eq!(server.ask(&v2(b"TAG", b"alice", b"wrong")), failure(100, b"TAG"));
    assert_eq!(server.ask(&login(b"TAG", b"panic")), failure(1, b"TAG"));
    assert_eq!(server.ask(b""), b"\x02\0");
    assert_eq!(server.ask(&[2; 513]), failure(2, &[2, 2]));
    let mut pieces = server.connect();
    for byte in login(b"T", b"alice") {
        pieces.write_all(&[byte]).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    pieces.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut pieces), success(b"T"));
}

#[test]
fn silent_connections_delay_nobody_and_are_closed_in_time() {
    let timeout = Duration::from_millis(300);
    let server = start(Options { io_timeout: timeout, ..options() });
    let start = Instant::now();
    let mut silent: Vec<_> = (0..100).map(|_| server.connect()).collect();
    silent[0].write_all(&[2]).unwrap();
    assert_eq!(server.ask(&login(b"L", b"alice")), success(b"L"));
    assert_eq!(read_all(&mut silent[0]), b"");
    assert!(start.elapsed() >= timeout);
    assert_eq!(server.seen.logged(), [Code::SUCCESS]);
}

#[test]
fn connections_beyond_the_bound_wait_their_turn() {
    let server = start(Options { max_connections: 2, ..options() });
    let silent = [server.connect(), server.connect()];
    let mut waiting = server.send(&login(b"W", b"alice"));
    thread::sleep(Duration::from_millis(50));
    assert!(server.seen.logged().is_empty());
    drop(silent);
    assert_eq!(read_all(&mut waiting), success(b"W"));
}

#[test]
fn what_blocks_delays_nobody_else() {
    let server = start(options());
    let (slow, socket) = (server.udp(), server.udp());
    slow.send(&login(b"S", b"hash")).unwrap();
    let mut connection = server.send(&login(b"C", b"wait"));
    assert!(server.seen.has_begun(2), "each kind has a thread of its own");
    socket.send(&login(b"L", b"alice")).unwrap();
    assert_eq!(receive(&socket), success(b"L"));
    assert_eq!(server.ask(&login(b"L", b"alice")), success(b"L"));
    server.seen.open_gate();
    assert_eq!((receive(&slow), read_all(&mut connection)), (success(b"S"), success(b"C")));
}

#[test]
fn a_full_queue_is_code_4_at_once() {
    let mut server = start(Options { queue: 2, ..options() });
    let socket = server.udp();
    let ask = |number: u8| assert_ne!(socket.send(&login(&[number], b"hash")).unwrap(), 0);
    ask(0);
    assert!(server.seen.has_begun(1));
    (1..=3).for_each(ask);
    assert_eq!(receive(&socket), failure(4, &[3]), "one is worked on, two wait");
    assert_eq!(server.ask(&login(b"L", b"hash")), failure(4, b"L"));
    server.seen.open_gate();
    let answers: HashSet<_> = (0..3).map(|_| receive(&socket)).collect();
    assert_eq!(answers, [0, 1, 2].map(|number| success(&[number])).into());
    socket.send(&login(b"P", b"hashpanic")).unwrap();
    assert_eq!(receive(&socket), failure(1, b"P"), "and a panic costs one request");
    assert_eq!(server.ask(&login(b"L", b"hash")), success(b"L"));
    assert_eq!(server.stop().refused, 2);
}

#[test]
fn each_of_a_flood_is_refused_at_once_or_answered() {
    let mut server = start(Options { queue: 10, ..options() });
    let socket = server.udp();
    send(&socket, &login(b"\xff", b"hash"));
    assert!(server.seen.has_begun(1));
    (0..200).for_each(|number| send(&socket, &login(&[number], b"hash")));
    let refused: HashSet<_> = (0..190).map(|_| receive(&socket)).collect();
    assert_eq!(refused, (10..200).map(|number| failure(4, &[number])).collect(), "the first are admitted");
    server.seen.open_gate();
    let admitted: HashSet<_> = (0..11).map(|_| receive(&socket)).collect();
    assert_eq!(admitted, [255].into_iter().chain(0..10).map(|number| success(&[number])).collect());
    assert_eq!(server.stop().refused, 190);
}

#[test]
fn a_datagram_that_is_sent_again_is_worked_on_once() {
    start(options()).works_once_on_what_is_sent_again();
}

/// Whoever has an executor of his own spawns it there.
#[test]
fn serving_is_a_future_that_can_be_sent() {
    fn sent<T: Send>(future: T) -> T {
        future
    }
    let (answer, (stop, reload)) = (cvm_tests::driven::answer(), UnixStream::pair().unwrap());
    let signals = Signals { stop: stop.as_fd(), reload: reload.as_fd() };
    drop(sent(serve(Sockets::default(), &answer, options(), signals, |_| {})));
}

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
fn what_waits_too_long_is_refused_and_a_stuck_step_left_behind() {
    let mut server = start(Options { io_timeout: Duration::from_millis(300), ..options() });
    let socket = server.udp();
    socket.send(&login(b"1", b"hash")).unwrap();
    assert!(server.seen.has_begun(1));
    socket.send(&login(b"2", b"hash")).unwrap();
    let _silent = server.connect();
    socket.send(&login(b"L", b"alice")).unwrap();
    assert_eq!(receive(&socket), success(b"L"), "all have been received");
    server.stop();
    assert_eq!(receive(&socket), failure(4, b"2"));
}

#[test]
fn what_has_arrived_before_the_end_is_answered() {
    let mut server = start(options());
    let socket = server.udp();
    let connections: Vec<_> = (0..40).map(|_| server.send(&login(b"C", b"alice"))).collect();
    for number in 0..200 {
        socket.send(&login(&[number], b"alice")).unwrap();
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
fn files_are_read_again_on_demand() {
    let mut server = start(options());
    server.tell_to_reload();
    assert!(eventually(HANGING, || server.seen.reloads() == 1));
    assert_eq!(server.ask(&login(b"L", b"alice")), success(b"L"));
    server.stop();
    assert_eq!(server.seen.reloads(), 1);
}
