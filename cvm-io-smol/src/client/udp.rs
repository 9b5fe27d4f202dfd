//! Asking over UDP, as a [`UdpExchange`] says.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use cvm_core::client::{ClientRequest, UdpExchange, UdpStep};
use cvm_core::wire::Reply;
use cvm_io_udp::Peers;
use smol::lock::Semaphore;
use smol::{Async, Timer};

use super::{Cause, unblock};

pub(super) async fn resolve(host: &str, port: u16, resolving: &Arc<Semaphore>) -> Result<Vec<SocketAddr>, Cause> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let host = host.to_owned();
    let addresses = unblock(resolving, move || (host.as_str(), port).to_socket_addrs()).await?;
    Ok(addresses.collect())
}

pub(super) async fn ask(addresses: Vec<SocketAddr>, request: &ClientRequest) -> Result<Reply, Cause> {
    let mut exchange = UdpExchange::new(request, addresses);
    let mut peers = Peers::default();
    loop {
        match exchange.poll(Instant::now()) {
            UdpStep::Done(done) => return Ok(done?),
            UdpStep::Send(address) => {
                if peers.send(address, request.bytes(), Async::new).is_err() {
                    exchange.handle_refused(address);
                }
            }
            UdpStep::Wait(deadline) => {
                wait(&peers, deadline).await;
                peers.receive(&mut exchange);
            }
        }
    }
}

/// Waits until one of the sockets can be read, or until the deadline.
async fn wait(peers: &Peers<Async<UdpSocket>>, deadline: Instant) {
    let mut late = Timer::at(deadline);
    let ready = poll_fn(|context| {
        let readable = peers.sockets().filter(|socket| socket.poll_readable(context).is_ready()).count();
        match Pin::new(&mut late).poll(context) {
            Poll::Pending if readable == 0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    });
    ready.await;
}
