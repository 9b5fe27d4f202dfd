//! UDP: one datagram in, one out, in batches.

use std::collections::HashSet;

use cvm_core::Code;
use cvm_io_mio::Options;

use cvm_tests::driven::check_hears_of_a_batch;

use crate::support::{bound_to, failure, is_quiet, login, options, receive, start, success, v2};

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
    assert_eq!(ask(&login(b"T", b"nobody")), failure(100, b"T"));
    assert_eq!(ask(b"\x03 no version"), b"\x02\0");
    assert_eq!(ask(&[2; 600]), failure(2, &[2, 2]));
    assert_eq!(
        server.seen.logged(),
        [Code::SUCCESS, Code::REJECTED, Code::REJECTED, Code::BAD_CLIENT_DATA, Code::BAD_CLIENT_DATA]
    );
}

#[test]
fn a_burst_of_many_batches_is_answered_whole_and_once() {
    let server = start(Options { threads: 3, ..options() });
    let sockets: Vec<_> = (0..8).map(|_| server.udp()).collect();
    for round in 0..20_u8 {
        for socket in &sockets {
            for number in 0..20 {
                socket.send(&login(&[round, number], b"alice")).unwrap();
            }
        }
        for socket in &sockets {
            let answers: HashSet<_> = (0..20).map(|_| receive(socket)).collect();
            let expected = (0..20).map(|number| success(&[round, number])).collect();
            assert_eq!(answers, expected);
        }
    }
    assert!(sockets.iter().all(is_quiet));
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
fn what_looks_like_a_refusal_is_passed_over() {
    let server = start(options());
    let socket = server.udp();
    socket.send(b"\x64\0").unwrap();
    assert!(is_quiet(&socket));
}

#[test]
fn a_module_that_panics_is_code_1() {
    let server = start(options());
    let socket = server.udp();
    for _ in 0..3 {
        socket.send(&login(b"T", b"panic")).unwrap();
        assert_eq!(receive(&socket), failure(1, b"T"));
    }
    assert!(is_quiet(&socket));
}
