//! Asking over UDP, as a [`UdpExchange`] says.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Instant;

use cvm_core::client::{ClientRequest, UdpExchange, UdpStep};
use cvm_core::wire::Reply;
use cvm_io_udp::Peers;
use rustix::event::{PollFd, PollFlags};

use super::Cause;
use crate::ready;

pub(super) fn ask(host: &str, port: u16, request: &ClientRequest, limit: Option<Instant>) -> Result<Reply, Cause> {
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let mut exchange = UdpExchange::new(request, addresses);
    let mut peers = Peers::default();
    loop {
        match exchange.poll(Instant::now()) {
            UdpStep::Done(done) => return Ok(done?),
            UdpStep::Send(address) => {
                if peers.send(address, request.bytes(), Ok).is_err() {
                    exchange.handle_refused(address);
                }
            }
            UdpStep::Wait(_) if limit.is_some_and(|limit| Instant::now() >= limit) => return Err(Cause::Silent),
            UdpStep::Wait(deadline) => {
                wait(&peers, limit.map_or(deadline, |limit| limit.min(deadline)))?;
                peers.receive(&mut exchange);
            }
        }
    }
}

fn wait(peers: &Peers<UdpSocket>, deadline: Instant) -> io::Result<()> {
    let mut fds: Vec<_> = peers.sockets().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
    ready::wait(&mut fds, Some(deadline)).map(drop)
}
