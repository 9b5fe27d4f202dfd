//! The limits: programs that do nothing but move the bytes. This program runs itself as one of them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;

use super::mmsg::Batch;

/// Runs a limit, until it is killed.
pub(crate) fn run(name: &str, address: &str) {
    match name {
        "udp" => echo(address.parse().expect("a port")),
        "local" => accept(address),
        _ => panic!("unknown limit {name:?}"),
    }
}

/// Returns every datagram, in batches.
fn echo(port: u16) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, 8 << 20);
    println!("Starting.");
    let mut batch = Batch::new();
    loop {
        // The first one is waited for by the system.
        batch.receive(socket.as_raw_fd(), true);
        batch.send_back(socket.as_raw_fd());
    }
}

/// Accepts, reads to the end, answers, closes; one after the other.
fn accept(path: &str) {
    let listener = UnixListener::bind(path).expect("the path is free");
    println!("Starting.");
    let mut request = [0; 513];
    while let Ok((mut stream, _)) = listener.accept() {
        let mut length = 0;
        while let Ok(count @ 1..) = stream.read(&mut request[length..]) {
            length += count;
        }
        // A client that is gone needs no answer.
        let _ = stream.write_all(&request[..length]);
    }
}
