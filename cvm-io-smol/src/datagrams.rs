//! UDP: one datagram in, one out, from the address that was asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use cvm_core::wire::{PACKET_MAX, Packet};
use nix::cmsg_space;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use smol::Async;
use zeroize::Zeroize;

/// The datagrams of one socket.
pub(crate) struct Datagrams(Async<UdpSocket>);

/// A datagram that has come.
pub(crate) struct Datagram {
    /// One byte more than a packet, to tell one that is too long.
    bytes: [u8; PACKET_MAX + 1],
    len: usize,
    way_back: Option<WayBack>,
}

/// Whom an answer goes to, and from which address.
#[derive(Clone, Copy)]
pub(crate) struct WayBack {
    to: SockaddrStorage,
    from: Option<Asked>,
}

/// The local address that a datagram was sent to.
#[derive(Clone, Copy)]
enum Asked {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Datagrams {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        // A socket that is bound to every address must answer from the one that was asked.
        if socket.local_addr()?.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        Async::new(socket).map(Self)
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.0.readable().await
    }

    /// Takes a datagram if there is one.
    pub(crate) fn receive(&self, into: &mut Datagram) -> io::Result<()> {
        into.clear();
        let mut control = cmsg_space!(in6_pktinfo);
        let mut parts = [IoSliceMut::new(&mut into.bytes)];
        let fd = self.0.get_ref().as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
        let (len, to, from) = (message.bytes, message.address, message.cmsgs()?.find_map(Asked::of));
        into.len = len;
        into.way_back = to.map(|to| WayBack { to, from });
        Ok(())
    }

    /// Sends an answer when the socket takes it. One that cannot be sent is one that got lost: the client asks again.
    pub(crate) async fn send(&self, packet: &Packet, way_back: &WayBack) {
        let control = way_back.from.as_ref().map(Asked::control);
        let send = |socket: &UdpSocket| {
            let (fd, parts) = (socket.as_raw_fd(), [IoSlice::new(packet)]);
            Ok(sendmsg(fd, &parts, control.as_slice(), MsgFlags::MSG_DONTWAIT, Some(&way_back.to))?)
        };
        let _ = self.0.write_with(send).await;
    }
}

impl Datagram {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; PACKET_MAX + 1], len: 0, way_back: None }
    }

    pub(crate) fn packet(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(crate) const fn way_back(&self) -> Option<WayBack> {
        self.way_back
    }

    /// Wipes what came.
    fn clear(&mut self) {
        self.bytes.zeroize();
        (self.len, self.way_back) = (0, None);
    }
}

impl Drop for Datagram {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Asked {
    fn of(control: ControlMessageOwned) -> Option<Self> {
        match control {
            // The route back is the kernel's choice, so no interface is named; a link-local address needs its own.
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Self::V4(in_pktinfo { ipi_ifindex: 0, ..info })),
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let [first, second, ..] = info.ipi6_addr.s6_addr;
                let is_link_local = first == 0xfe && second & 0xc0 == 0x80;
                let ipi6_ifindex = if is_link_local { info.ipi6_ifindex } else { 0 };
                Some(Self::V6(in6_pktinfo { ipi6_ifindex, ..info }))
            }
            _ => None,
        }
    }

    const fn control(&self) -> ControlMessage<'_> {
        match self {
            Self::V4(info) => ControlMessage::Ipv4PacketInfo(info),
            Self::V6(info) => ControlMessage::Ipv6PacketInfo(info),
        }
    }
}
