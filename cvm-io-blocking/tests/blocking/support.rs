//! Servers of this driver, and what its client sends.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Duration;

use cvm_core::SecretRef;
use cvm_core::account::Account;
use cvm_core::client::{ClientRequest, Credentials, ModuleList};
use cvm_io_blocking::server::{Options, Signals, Sockets, serve};
pub(crate) use cvm_tests::driven::{FACTS, SLOW, Server, answer, read_all, receive, send, success, timed, v2};
use cvm_tests::packet::{self, ACCOUNT, PASSWORD};

/// What a server gives a connection, and a client a module.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(300);

/// Serves a UNIX socket.
pub(crate) fn local() -> Server {
    start(None, Options { io_timeout: TIMEOUT, ..Options::default() })
}

/// Serves a UNIX socket without hurry.
pub(crate) fn local_for_ever() -> Server {
    start(None, Options { io_timeout: Duration::MAX, ..Options::default() })
}

/// Serves a UNIX socket with so many threads.
pub(crate) fn local_with_threads(threads: usize) -> Server {
    start(None, Options { io_timeout: TIMEOUT, threads })
}

/// Serves a UNIX socket and a UDP socket bound to this address.
pub(crate) fn udp(address: &str) -> Server {
    start(Some(UdpSocket::bind(address).unwrap()), Options { io_timeout: TIMEOUT, threads: 2 })
}

fn start(udp: Option<UdpSocket>, options: Options) -> Server {
    let port = udp.as_ref().map_or(0, |socket| socket.local_addr().unwrap().port());
    Server::start(port, move |given| {
        let answer = given.answer();
        let signals = Signals { stop: given.stop.as_fd(), reload: given.reload.as_fd() };
        let sockets = Sockets { locals: vec![given.listener], udps: udp.into_iter().collect() };
        serve(sockets, &answer, options, signals)
    })
}

/// A valid request of up to 512 bytes, filled up with items that modules pass over.
pub(crate) fn request_of(length: usize) -> Vec<u8> {
    packet::padded(&[b'T'; 255], &[(ACCOUNT, b"alice"), (PASSWORD, b"secret")], length)
}

/// What the client library sends for `alice`.
pub(crate) fn request(tag: &[u8]) -> ClientRequest {
    let account = Account::whole(b"alice", b"");
    ClientRequest::v2(&Credentials::of_password(account, SecretRef::new(b"secret")), tag).unwrap()
}

pub(crate) fn modules(list: impl AsRef<str>) -> ModuleList {
    ModuleList::parse(list.as_ref().as_bytes()).unwrap()
}
