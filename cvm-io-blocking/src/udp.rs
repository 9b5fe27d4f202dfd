//! UDP: one datagram in, one out, from the address that was asked.

use std::io::{self, ErrorKind};
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use cvm_core::answer::Answer;
use cvm_core::wire::Packet;
use cvm_io_udp::{Datagram, tell_destination};

use crate::crew::Source;

/// The datagrams that come in on one socket.
pub(crate) struct Datagrams {
    socket: UdpSocket,
    answer: Arc<dyn Answer>,
}

impl Datagrams {
    pub(crate) fn new(socket: UdpSocket, answer: Arc<dyn Answer>) -> io::Result<Self> {
        tell_destination(&socket)?;
        Ok(Self { socket, answer })
    }
}

impl Source for Datagrams {
    // In a box, so that its bytes are in one place only, and wiped there.
    type Job = Box<Datagram>;

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn take(&self) -> io::Result<Option<Box<Datagram>>> {
        let mut datagram = Box::new(Datagram::default());
        match datagram.receive(&self.socket) {
            Ok(()) => Ok(Some(datagram)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn work(&self, datagram: Box<Datagram>) {
        let Some((packet, way_back)) = datagram.request() else { return };
        let mut out = Packet::new();
        crate::answer_round(&*self.answer, packet, &mut out);
        // An answer that cannot be sent at once is one that got lost: the client asks again.
        let _ = way_back.send(&self.socket, &out);
    }
}
