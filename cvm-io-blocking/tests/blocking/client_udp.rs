//! Asking over UDP (SPEC section 7).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cvm_core::Code;
use cvm_io_blocking::client::{Client, Failure};

use crate::support::{TIMEOUT, modules, request, success, timed, udp};

/// Far below the two seconds of the first wait.
const AT_ONCE: Duration = Duration::from_millis(1000);

const TAG: &[u8] = b"TAG";

fn code(host: &str, port: u16) -> Code {
    let reply = Client::new(TIMEOUT).ask(&modules(format!("cvm-udp:{host}:{port}")), &request(TAG));
    reply.map_or_else(|failure| failure.code(), |reply| reply.code)
}

/// A socket that treats the first datagram as `treat` says.
fn treated(treat: impl FnOnce(&UdpSocket, SocketAddr) + Send + 'static) -> (u16, JoinHandle<()>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let thread = thread::spawn(move || {
        let from = receive(&socket);
        treat(&socket, from);
    });
    (port, thread)
}

fn receive(socket: &UdpSocket) -> SocketAddr {
    let mut buffer = [0; 600];
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(buffer[..length], *request(TAG).bytes());
    from
}

#[test]
fn a_server_answers_a_client() {
    let server = udp("127.0.0.1:0");
    assert_eq!(code("127.0.0.1", server.port()), Code::SUCCESS);
    // Where the name has an IPv6 address too, nobody serves that one.
    let (code, elapsed) = timed(|| code("localhost", server.port()));
    assert_eq!(code, Code::SUCCESS);
    assert!(elapsed < AT_ONCE, "{elapsed:?}");
}

#[test]
fn a_server_answers_a_client_over_ipv6() {
    let server = udp("[::1]:0");
    assert_eq!(code("[::1]", server.port()), Code::SUCCESS);
}

#[test]
fn a_port_that_nobody_serves_is_code_4_at_once() {
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let (code, elapsed) = timed(|| code("127.0.0.1", port));
    assert_eq!(code, Code::IO);
    assert!(elapsed < AT_ONCE, "{elapsed:?}");
}

#[test]
fn a_datagram_with_another_tag_is_passed_over() {
    let (port, thread) = treated(|socket, from| {
        for forged in [success(b"GAT"), success(b""), b"".to_vec(), b"\0".to_vec(), success(b"TAGS"), vec![0; 600]] {
            socket.send_to(&forged, from).unwrap();
        }
        socket.send_to(b"d\x03TAG\0", from).unwrap();
    });
    let (code, elapsed) = timed(|| code("127.0.0.1", port));
    assert_eq!(code, Code::REJECTED);
    assert!(elapsed < AT_ONCE, "{elapsed:?}");
    thread.join().unwrap();
}

#[test]
fn a_datagram_from_elsewhere_is_passed_over() {
    let (port, thread) = treated(|socket, from| {
        let port = socket.local_addr().unwrap().port();
        let other_port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let other_host = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), port)).unwrap();
        // A connected socket refuses what comes from elsewhere; whoever sent it may be told so.
        for spoofed in [other_port, other_host] {
            let _ = spoofed.send_to(&success(TAG), from);
        }
        thread::sleep(Duration::from_millis(50));
        socket.send_to(b"d\x03TAG\0", from).unwrap();
    });
    assert_eq!(code("127.0.0.1", port), Code::REJECTED);
    thread.join().unwrap();
}

#[test]
fn an_answer_with_the_right_tag_that_is_none_is_code_3() {
    for response in [b"\0\x03TAG\0".to_vec(), b"d\x03TAG".to_vec(), [success(TAG), vec![0; 500]].concat()] {
        let (port, thread) = treated(move |socket, from| {
            socket.send_to(&response, from).unwrap();
        });
        assert_eq!(code("127.0.0.1", port), Code::BAD_MODULE_DATA);
        thread.join().unwrap();
    }
}

#[test]
fn a_request_that_got_lost_is_sent_again() {
    let (port, thread) = treated(|socket, _| {
        let again = receive(socket);
        socket.send_to(&success(TAG), again).unwrap();
    });
    let (code, elapsed) = timed(|| code("127.0.0.1", port));
    assert_eq!(code, Code::SUCCESS);
    assert!(elapsed >= Duration::from_millis(1900) && elapsed < Duration::from_secs(4), "{elapsed:?}");
    thread.join().unwrap();
}

#[test]
fn a_host_that_cannot_be_found_is_code_4() {
    // Longer than a label may be, so nobody is asked for it.
    let host = "x".repeat(64);
    let failure = Client::new(TIMEOUT).ask(&modules(format!("cvm-udp:{host}:1")), &request(TAG)).unwrap_err();
    assert!(matches!(failure, Failure::Io { .. }), "{failure:?}");
    assert_eq!(failure.code(), Code::IO);
}

#[test]
fn a_bound_for_udp_ends_the_wait_before_the_schedule_does() {
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let list = modules(format!("cvm-udp:127.0.0.1:{}", silent.local_addr().unwrap().port()));
    let bounded = Client::new(Duration::from_millis(200)).bounding_udp();
    let (result, elapsed) = timed(|| bounded.ask(&list, &request(TAG)));
    assert!(matches!(result, Err(Failure::Silent(_))), "{result:?}");
    assert!(elapsed >= Duration::from_millis(190) && elapsed < AT_ONCE, "{elapsed:?}");
}
