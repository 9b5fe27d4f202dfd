//! The clients over UDP: what they believe, and when they ask again.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use cvm_tests::contact::receive_from;
use cvm_tests::packet::{self, Items};
use cvm_tests::process::{Finished, LIMIT};
use cvm_tests::programs::Make;
use cvm_tests::server::free_port;

use crate::clients::Client;

const ZED: Items<'static> = &[(1, b"zed"), (2, b"8"), (3, b"18"), (5, b"/")];

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

/// Waits for a request, and returns its tag and who asks.
fn asked(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let (request, client) = receive_from(socket, LIMIT).expect("a request");
    (request[2..][..request[1].into()].to_vec(), client)
}

fn ask(address: SocketAddr) -> Finished {
    Client::V2.ask(Make::Ours, &format!("cvm-udp:{address}"), &["alice", "", "secret"], &[])
}

/// Lets a client ask a server that does this with the tag and the address of its request.
fn ask_one_who(answers: impl FnOnce(&UdpSocket, &[u8], SocketAddr) + Send) -> Finished {
    let (socket, address) = socket();
    thread::scope(|scope| {
        scope.spawn(move || {
            let (tag, client) = asked(&socket);
            answers(&socket, &tag, client);
        });
        ask(address)
    })
}

fn send(socket: &UdpSocket, packet: &[u8], client: SocketAddr) {
    socket.send_to(packet, client).expect("an answer can be sent");
}

#[test]
fn answers_with_another_tag_are_passed_over() {
    let finished = ask_one_who(|socket, tag, client| {
        let mut other = tag.to_vec();
        other[7] ^= 1;
        for forged in [&other, &tag[..7], b"".as_slice()] {
            send(socket, &packet::v2(0, forged, &[(1, b"root"), (2, b"0"), (3, b"0"), (5, b"/")]), client);
        }
        send(socket, b"", client);
        send(socket, &packet::v2(0, tag, ZED), client);
    });
    assert!(finished.output().starts_with("user name:        zed\n"), "{finished:?}");
}

#[test]
fn answers_from_another_address_are_passed_over() {
    let finished = ask_one_who(|socket, tag, client| {
        let (stranger, _) = self::socket();
        send(&stranger, &packet::v2(0, tag, &[(1, b"root"), (2, b"0"), (3, b"0"), (5, b"/")]), client);
        thread::sleep(Duration::from_millis(50));
        send(socket, &packet::v2(100, tag, &[]), client);
    });
    assert_eq!(finished, Client::V2.outcome(100, ""));
}

#[test]
fn a_malformed_answer_with_the_right_tag_is_code_3() {
    let damages: [fn(&mut Vec<u8>); 4] = [
        |answer| answer.push(0),
        |answer| answer.truncate(answer.len() - 1),
        |answer| answer.extend([b'x'; 600]),
        |answer| *answer = [&answer[..10], b"\x00"].concat(),
    ];
    for damage in damages {
        let finished = ask_one_who(|socket, tag, client| {
            let mut answer = packet::v2(0, tag, ZED);
            damage(&mut answer);
            send(socket, &answer, client);
        });
        assert_eq!(finished, Client::V2.outcome(3, ""));
    }
}

#[test]
fn a_lost_request_is_sent_again_after_two_seconds_with_the_same_tag() {
    let (socket, address) = socket();
    let finished = thread::scope(|scope| {
        scope.spawn(move || {
            let ((first, client), start) = (asked(&socket), Instant::now());
            let ((second, again), waited) = (asked(&socket), start.elapsed());
            assert_eq!((first, client), (second.clone(), again));
            assert!(waited >= Duration::from_millis(1900), "{waited:?}");
            send(&socket, &packet::v2(100, &second, &[]), client);
        });
        ask(address)
    });
    assert_eq!(finished, Client::V2.outcome(100, ""));
}

#[test]
fn a_closed_port_is_noticed_at_once() {
    let start = Instant::now();
    for client in [Client::V1, Client::V2] {
        let finished = client.ask(Make::Ours, &format!("cvm-udp:127.0.0.1:{}", free_port()), &["alice", "", "x"], &[]);
        assert_eq!(finished, client.outcome(4, ""));
    }
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn a_name_that_does_not_exist_is_code_4() {
    let finished = Client::V2.ask(Make::Ours, "cvm-udp:no-such-host.invalid:791", &["alice", "", "x"], &[]);
    assert_eq!(finished, Client::V2.outcome(4, ""));
}

#[test]
fn version_1_works_over_udp_without_a_tag() {
    let (socket, address) = socket();
    let finished = thread::scope(|scope| {
        scope.spawn(move || {
            let (request, client) = receive_from(&socket, LIMIT).expect("a request");
            assert_eq!(request, b"\x01alice\0d\0secret\0\0");
            send(&socket, &packet::v1_response(0, ZED), client);
        });
        Client::V1.ask(Make::Ours, &format!("cvm-udp:{address}"), &["alice", "d", "secret"], &[])
    });
    assert!(finished.output().starts_with("user name:        zed\n"), "{finished:?}");
}
