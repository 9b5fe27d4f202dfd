//! Servers of this driver.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use cvm_io_mio::{Options, Signals, Sockets, serve};
pub(crate) use cvm_tests::driven::{HANGING, Server, failure, is_quiet, login, read_all, receive, send, success, v2};
pub(crate) use cvm_tests::process::eventually;
use rustix::net::sockopt;

/// One loop, and time-outs that no test reaches.
pub(crate) fn options() -> Options {
    Options { io_timeout: HANGING * 2, threads: 1, cpu_workers: 1, wait_workers: 1, ..Options::default() }
}

pub(crate) fn start(options: Options) -> Server {
    bound_to("127.0.0.1:0", options)
}

/// Serves a UNIX socket, and an address with a socket for each loop.
pub(crate) fn bound_to(address: &str, options: Options) -> Server {
    let udps = siblings(address.parse().unwrap(), options.threads);
    Server::start(udps[0].local_addr().unwrap().port(), move |given| {
        let (answer, report) = (given.answer(), given.reports());
        let signals = Signals { stop: given.stop.as_fd(), reload: given.reload.as_fd() };
        given.listener.set_nonblocking(true)?;
        let sockets = Sockets { locals: vec![given.listener], udps: vec![udps] };
        serve(sockets, &answer, options, signals, report)
    })
}

/// Sockets that share an address.
fn siblings(address: SocketAddr, count: usize) -> Vec<UdpSocket> {
    let first = UdpSocket::bind(address).unwrap();
    sockopt::set_socket_reuseport(&first, true).unwrap();
    let address = first.local_addr().unwrap();
    let next = || {
        use rustix::net::{AddressFamily, SocketType, bind, socket};
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket(family, SocketType::DGRAM, None).unwrap();
        sockopt::set_socket_reuseport(&socket, true).unwrap();
        bind(&socket, &address).unwrap();
        UdpSocket::from(socket)
    };
    let others: Vec<_> = (1..count).map(|_| next()).collect();
    std::iter::once(first).chain(others).collect()
}
