//! UDP: one datagram in, one out, from the address that was asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use cvm_core::answer::Answer;
use cvm_core::wire::{PACKET_MAX, Packet, is_refusal};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use zeroize::Zeroize;

use crate::crew::Source;

/// The datagrams that come in on one socket.
pub(crate) struct Datagrams {
    socket: UdpSocket,
    answer: Arc<dyn Answer>,
}

impl Datagrams {
    pub(crate) fn new(socket: UdpSocket, answer: Arc<dyn Answer>) -> io::Result<Self> {
        // A socket that is bound to every address must answer from the one that was asked.
        if socket.local_addr()?.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        Ok(Self { socket, answer })
    }
}

/// A datagram and the way back.
pub(crate) struct Datagram {
    /// One byte more than a packet, to tell one that is too long.
    bytes: [u8; PACKET_MAX + 1],
    len: usize,
    from: Option<SockaddrStorage>,
    to: Option<Asked>,
}

impl Datagram {
    fn packet(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Datagram {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// The local address that a datagram was sent to.
enum Asked {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Source for Datagrams {
    // In a box, so that its bytes are in one place only, and wiped there.
    type Job = Box<Datagram>;

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn take(&self) -> io::Result<Option<Box<Datagram>>> {
        let mut datagram = Box::new(Datagram { bytes: [0; PACKET_MAX + 1], len: 0, from: None, to: None });
        let mut control = cmsg_space!(in6_pktinfo);
        let mut parts = [IoSliceMut::new(&mut datagram.bytes)];
        let received =
            recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT);
        let (len, from, to) = match received {
            Ok(message) => (message.bytes, message.address, message.cmsgs()?.find_map(Asked::of)),
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        (datagram.len, datagram.from, datagram.to) = (len, from, to);
        Ok(Some(datagram).filter(|datagram| !is_refusal(datagram.packet())))
    }

    fn work(&self, datagram: Box<Datagram>) {
        let mut out = Packet::new();
        crate::answer_round(&*self.answer, datagram.packet(), &mut out);
        // An answer that cannot be sent at once is one that got lost: the client asks again.
        if let Some(to) = &datagram.from {
            let _ = self.send(&out, to, datagram.to.as_ref());
        }
    }
}

impl Datagrams {
    fn send(&self, packet: &[u8], to: &SockaddrStorage, from: Option<&Asked>) -> io::Result<()> {
        let parts = [IoSlice::new(packet)];
        let control = from.map(Asked::control);
        loop {
            match sendmsg(self.socket.as_raw_fd(), &parts, control.as_slice(), MsgFlags::MSG_DONTWAIT, Some(to)) {
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(()),
            }
        }
    }
}

impl Asked {
    fn of(control: ControlMessageOwned) -> Option<Self> {
        match control {
            // The route back is the kernel's choice, so no interface is named; a link-local address needs its own.
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Self::V4(in_pktinfo { ipi_ifindex: 0, ..info })),
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let link_local =
                    info.ipi6_addr.s6_addr.starts_with(&[0xfe]) && info.ipi6_addr.s6_addr[1] & 0xc0 == 0x80;
                let ipi6_ifindex = if link_local { info.ipi6_ifindex } else { 0 };
                Some(Self::V6(in6_pktinfo { ipi6_ifindex, ..info }))
            }
            _ => None,
        }
    }

    fn control(&self) -> ControlMessage<'_> {
        match self {
            Self::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Self::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}
