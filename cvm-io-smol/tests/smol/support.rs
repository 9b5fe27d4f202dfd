//! Servers of this driver.

use std::net::UdpSocket;
use std::os::fd::AsFd;

use cvm_io_smol::{Options, Signals, Sockets, block_on, serve};
pub(crate) use cvm_tests::driven::{HANGING, Server, failure, login, read_all, receive, send, success, v2};
pub(crate) use cvm_tests::process::eventually;

/// One thread of each kind, and time-outs that no test reaches.
pub(crate) fn options() -> Options {
    Options { io_timeout: HANGING * 2, cpu_workers: 1, wait_workers: 1, ..Options::default() }
}

pub(crate) fn start(options: Options) -> Server {
    bound_to("127.0.0.1:0", options)
}

/// Serves a UNIX socket and an address.
pub(crate) fn bound_to(address: &str, options: Options) -> Server {
    let udp = UdpSocket::bind(address).unwrap();
    Server::start(udp.local_addr().unwrap().port(), move |given| {
        let (answer, report) = (given.answer(), given.reports());
        let signals = Signals { stop: given.stop.as_fd(), reload: given.reload.as_fd() };
        let sockets = Sockets { locals: vec![given.listener], udps: vec![udp] };
        block_on(serve(sockets, &answer, options, signals, report))
    })
}
