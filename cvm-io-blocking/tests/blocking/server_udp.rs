//! UDP: one datagram in, one out (SPEC section 6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::support::{SLOW, Server, request_of, success, timed, v2};

/// A client that takes datagrams from the address alone that it asks.
fn client(host: impl Into<IpAddr>, port: u16) -> UdpSocket {
    let host = host.into();
    let any: SocketAddr = match host {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).unwrap();
    socket.connect((host, port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 1024];
    let length = socket.recv(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

fn ask(socket: &UdpSocket, packet: &[u8]) -> Vec<u8> {
    socket.send(packet).unwrap();
    receive(socket)
}

#[test]
fn each_datagram_is_answered_by_one() {
    let server = Server::udp("127.0.0.1:0");
    let client = client(Ipv4Addr::LOCALHOST, server.port());
    assert_eq!(ask(&client, &v2(b"TAG", b"alice", b"secret")), success(b"TAG"));
    assert_eq!(ask(&client, &v2(b"GAT", b"alice", b"wrong")), b"d\x03GAT\0");
    assert_eq!(ask(&client, b"\x01panic\0\0secret\0\0"), b"\x01\0");
    assert_eq!(ask(&client, &v2(b"TAG", b"alice", b"secret")), success(b"TAG"));
    assert!(server.is_serving(), "the UNIX socket beside it too");
}

#[test]
fn what_is_no_request_is_code_2() {
    let server = Server::udp("127.0.0.1:0");
    let client = client(Ipv4Addr::LOCALHOST, server.port());
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
    let server = Server::udp("0.0.0.0:0");
    for host in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 1, 2, 3)] {
        assert_eq!(ask(&client(host, server.port()), &v2(b"TAG", b"alice", b"secret")), success(b"TAG"), "{host}");
    }
}

#[test]
fn the_answer_comes_from_the_ipv6_address_that_was_asked() {
    let server = Server::udp("[::]:0");
    let packet = v2(b"TAG", b"alice", b"secret");
    assert_eq!(ask(&client(Ipv6Addr::LOCALHOST, server.port()), &packet), success(b"TAG"));
    // A socket that takes IPv4 along answers from the right address there too.
    let mapped = Ipv4Addr::new(127, 0, 0, 2);
    assert_eq!(ask(&client(mapped, server.port()), &packet), success(b"TAG"));
}

#[test]
fn more_datagrams_than_threads_are_all_answered() {
    let server = Server::udp("127.0.0.1:0");
    let client = client(Ipv4Addr::LOCALHOST, server.port());
    let ((), elapsed) = timed(|| {
        for number in 0..6 {
            client.send(&v2(&[number], b"slow", b"secret")).unwrap();
        }
        let mut tags: Vec<_> = (0..6).map(|_| receive(&client)[2]).collect();
        tags.sort_unstable();
        assert_eq!(tags, [0, 1, 2, 3, 4, 5]);
    });
    assert!(elapsed >= SLOW * 3 && elapsed < SLOW * 6, "two at a time: {elapsed:?}");
}
