//! A client's side: the addresses that are asked.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use bytes::Bytes;
use cvm_core::client::UdpExchange;
use cvm_core::wire::PACKET_MAX;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// A connected socket for each address that was asked: the kernel then drops what comes from elsewhere, and says
/// where nobody listens. `S` is a socket as the driver waits for it.
#[derive(Debug)]
pub struct Peers<S>(Vec<(SocketAddr, S)>);

impl<S> Default for Peers<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: AsFd> Peers<S> {
    /// Sends to an address, the first time from a socket that `wrap` makes the driver's.
    ///
    /// # Errors
    ///
    /// What the system says: the address is not to be had.
    pub fn send(
        &mut self,
        address: SocketAddr,
        bytes: &[u8],
        wrap: impl FnOnce(UdpSocket) -> io::Result<S>,
    ) -> io::Result<()> {
        let known = self.0.iter().position(|(known, _)| *known == address);
        let socket = match known.and_then(|index| self.0.get(index)) {
            Some((_, socket)) => socket,
            None => {
                self.0.push((address, wrap(connected(address)?)?));
                &self.0.last().ok_or(io::ErrorKind::NotFound)?.1
            }
        };
        Ok(send(socket, bytes, SendFlags::DONTWAIT).map(drop)?)
    }

    /// Returns what to wait for.
    pub fn sockets(&self) -> impl Iterator<Item = &S> {
        self.0.iter().map(|(_, socket)| socket)
    }

    /// Takes one datagram from each socket that has one, without waiting.
    pub fn receive(&self, exchange: &mut UdpExchange<'_>) {
        // One byte more than a packet, to tell one that is too long.
        let mut bytes = [0; PACKET_MAX + 1];
        for (address, socket) in &self.0 {
            match recv(socket, &mut bytes, RecvFlags::DONTWAIT) {
                Ok((len, _)) => {
                    let datagram = Bytes::copy_from_slice(bytes.get(..len).unwrap_or_default());
                    exchange.handle_datagram(*address, &datagram);
                }
                Err(Errno::CONNREFUSED) => exchange.handle_refused(*address),
                Err(_) => {}
            }
        }
    }
}

fn connected(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    Ok(socket)
}
