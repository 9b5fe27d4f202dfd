//! Asking over UDP, as a [`UdpExchange`] says.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::Instant;

use bytes::Bytes;
use cvm_core::client::{ClientRequest, UdpExchange, UdpStep};
use cvm_core::wire::{PACKET_MAX, Reply};
use rustix::event::{PollFd, PollFlags};
use rustix::net::{RecvFlags, recv};

use super::Cause;
use crate::ready;

pub(super) fn ask(host: &str, port: u16, request: &ClientRequest, limit: Option<Instant>) -> Result<Reply, Cause> {
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let mut exchange = UdpExchange::new(request, addresses);
    let mut peers = Peers(Vec::new());
    loop {
        match exchange.poll(Instant::now()) {
            UdpStep::Done(done) => return Ok(done?),
            UdpStep::Send(address) => {
                if peers.send(address, request.bytes()).is_err() {
                    exchange.handle_refused(address);
                }
            }
            UdpStep::Wait(_) if limit.is_some_and(|limit| Instant::now() >= limit) => return Err(Cause::Silent),
            UdpStep::Wait(deadline) => {
                peers.wait(limit.map_or(deadline, |limit| limit.min(deadline)))?;
                peers.receive(&mut exchange);
            }
        }
    }
}

/// A connected socket for each address that was asked: the kernel then drops what comes from elsewhere, and says
/// where nobody listens.
struct Peers(Vec<(SocketAddr, UdpSocket)>);

impl Peers {
    fn send(&mut self, address: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        if let Some((_, socket)) = self.0.iter().find(|(known, _)| *known == address) {
            return socket.send(bytes).map(drop);
        }
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        socket.send(bytes)?;
        self.0.push((address, socket));
        Ok(())
    }

    fn wait(&self, deadline: Instant) -> io::Result<()> {
        let mut fds: Vec<_> = self.0.iter().map(|(_, socket)| PollFd::new(socket, PollFlags::IN)).collect();
        ready::wait(&mut fds, Some(deadline)).map(drop)
    }

    /// Takes one datagram from each socket that has one.
    fn receive(&self, exchange: &mut UdpExchange<'_>) {
        // One byte more than a packet, to tell one that is too long.
        let mut bytes = [0; PACKET_MAX + 1];
        for (address, socket) in &self.0 {
            match recv(socket, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((len, _)) => {
                    let datagram = Bytes::copy_from_slice(bytes.get(..len).unwrap_or_default());
                    exchange.handle_datagram(*address, &datagram);
                }
                Err(rustix::io::Errno::CONNREFUSED) => exchange.handle_refused(*address),
                Err(_) => {}
            }
        }
    }
}
