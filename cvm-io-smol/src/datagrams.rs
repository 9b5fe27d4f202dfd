//! The datagrams of one UDP socket.

use std::hash::RandomState;
use std::io;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cvm_core::driver::{Held, InHand};
use cvm_core::wire::Packet;
use cvm_io_udp::{Datagram, WayBack, tell_destination};
use smol::Async;

/// A socket, and which of its datagrams threads have.
pub(crate) struct Datagrams {
    socket: Async<UdpSocket>,
    in_hand: Mutex<InHand<RandomState>>,
}

/// A datagram that is in hand until this is dropped.
pub(crate) struct Hold {
    socket: Arc<Datagrams>,
    held: Held,
}

impl Datagrams {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        tell_destination(&socket)?;
        Ok(Self { socket: Async::new(socket)?, in_hand: Mutex::new(InHand::new(RandomState::new())) })
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Takes a datagram if there is one.
    pub(crate) fn receive(&self, into: &mut Datagram) -> io::Result<()> {
        into.receive(&self.socket)
    }

    /// Sends an answer when the socket takes it. One that cannot be sent is one that got lost: the client asks again.
    pub(crate) async fn send(&self, packet: &Packet, way_back: &WayBack) {
        let _ = self.socket.write_with(|socket| way_back.send(socket, packet)).await;
    }

    /// Takes a datagram in hand; `None` if it is there already.
    pub(crate) fn hold(self: &Arc<Self>, packet: &[u8], way_back: &WayBack) -> Option<Hold> {
        let held = self.in_hand().begin(way_back.peer(), packet)?;
        Some(Hold { socket: Arc::clone(self), held })
    }

    fn in_hand(&self) -> MutexGuard<'_, InHand<RandomState>> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    pub(crate) fn socket(&self) -> &Datagrams {
        &self.socket
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.socket.in_hand().end(self.held);
    }
}
