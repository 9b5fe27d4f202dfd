//! Asking over UDP, as a [`UdpExchange`] says.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use cvm_core::client::{ClientRequest, UdpExchange, UdpStep};
use cvm_core::wire::{PACKET_MAX, Reply};
use smol::{Async, Timer};

use super::{Cause, Client};

pub(super) async fn resolve(client: &Client, host: &str, port: u16) -> Result<Vec<SocketAddr>, Cause> {
    let host = host.to_owned();
    let addresses = client.unblock(move || (host.as_str(), port).to_socket_addrs()).await?;
    Ok(addresses.collect())
}

pub(super) async fn ask(addresses: Vec<SocketAddr>, request: &ClientRequest) -> Result<Reply, Cause> {
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
            UdpStep::Wait(deadline) => {
                peers.wait(deadline).await;
                peers.receive(&mut exchange);
            }
        }
    }
}

/// A connected socket for each address that was asked: the kernel then drops what comes from elsewhere, and says
/// where nobody listens.
struct Peers(Vec<(SocketAddr, Async<UdpSocket>)>);

impl Peers {
    fn send(&mut self, address: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        if let Some((_, socket)) = self.0.iter().find(|(known, _)| *known == address) {
            return socket.get_ref().send(bytes).map(drop);
        }
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        socket.send(bytes)?;
        self.0.push((address, Async::new(socket)?));
        Ok(())
    }

    /// Waits until one of the sockets can be read, or until the deadline.
    async fn wait(&self, deadline: Instant) {
        let mut late = Timer::at(deadline);
        let ready = poll_fn(|context| {
            let readable = self.0.iter().filter(|(_, socket)| socket.poll_readable(context).is_ready()).count();
            match Pin::new(&mut late).poll(context) {
                Poll::Pending if readable == 0 => Poll::Pending,
                _ => Poll::Ready(()),
            }
        });
        ready.await;
    }

    /// Takes one datagram from each socket that has one.
    fn receive(&self, exchange: &mut UdpExchange<'_>) {
        // One byte more than a packet, to tell one that is too long.
        let mut bytes = [0; PACKET_MAX + 1];
        for (address, socket) in &self.0 {
            match socket.get_ref().recv(&mut bytes) {
                Ok(len) => {
                    let datagram = Bytes::copy_from_slice(bytes.get(..len).unwrap_or_default());
                    exchange.handle_datagram(*address, &datagram);
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => exchange.handle_refused(*address),
                Err(_) => {}
            }
        }
    }
}
