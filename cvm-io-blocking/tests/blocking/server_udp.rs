//! UDP: one datagram in, one out (SPEC section 6).

use std::net::UdpSocket;

use crate::support::{SLOW, receive, request_of, send, success, timed, udp, v2};

fn ask(socket: &UdpSocket, packet: &[u8]) -> Vec<u8> {
    send(socket, packet);
    receive(socket)
}

#[test]
fn each_datagram_is_answered_by_one() {
    let server = udp("127.0.0.1:0");
    let client = server.udp();
    assert_eq!(ask(&client, &v2(b"TAG", b"alice", b"secret")), success(b"TAG"));
    assert_eq!(ask(&client, &v2(b"GAT", b"alice", b"wrong")), b"d\x03GAT\0");
    assert_eq!(ask(&client, b"\x01panic\0\0secret\0\0"), b"\x01\0");
    assert_eq!(ask(&client, &v2(b"TAG", b"alice", b"secret")), success(b"TAG"));
    assert!(server.is_serving(), "the UNIX socket beside it too");
}

#[test]
fn what_is_no_request_is_code_2() {
    let server = udp("127.0.0.1:0");
    let client = server.udp();
    assert_eq!(ask(&client, b""), b"\x02\0");
    assert_eq!(ask(&client, b"\x02\x01T\x01"), b"\x02\x01T\0");
    assert_eq!(ask(&client, &request_of(512)), success(&[b'T'; 255]));
    for more in [1, 400] {
        let mut long = request_of(512);
        long.resize(512 + more, 0);
        assert_eq!(ask(&client, &long), [b"\x02\xff".as_slice(), &[b'T'; 255], b"\0"].concat(), "{more} more");
    }
}

#[test]
fn the_answer_comes_from_the_address_that_was_asked() {
    let server = udp("0.0.0.0:0");
    for host in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        assert_eq!(ask(&server.udp_at(host), &v2(b"TAG", b"alice", b"secret")), success(b"TAG"), "{host}");
    }
}

#[test]
fn the_answer_comes_from_the_ipv6_address_that_was_asked() {
    let server = udp("[::]:0");
    let packet = v2(b"TAG", b"alice", b"secret");
    assert_eq!(ask(&server.udp_at("::1"), &packet), success(b"TAG"));
    // A socket that takes IPv4 along answers from the right address there too.
    assert_eq!(ask(&server.udp_at("127.0.0.2"), &packet), success(b"TAG"));
}

#[test]
fn more_datagrams_than_threads_are_all_answered() {
    let server = udp("127.0.0.1:0");
    let client = server.udp();
    let ((), elapsed) = timed(|| {
        for number in 0..6 {
            send(&client, &v2(&[number], b"slow", b"secret"));
        }
        let mut tags: Vec<_> = (0..6).map(|_| receive(&client)[2]).collect();
        tags.sort_unstable();
        assert_eq!(tags, [0, 1, 2, 3, 4, 5]);
    });
    assert!(elapsed >= SLOW * 3 && elapsed < SLOW * 6, "two at a time: {elapsed:?}");
}
