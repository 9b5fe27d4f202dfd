//! A server's side: one datagram in, one out, from the address that was asked.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};

use cvm_core::wire::{PACKET_MAX, is_refusal};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use zeroize::Zeroize;

/// Lets the kernel tell where each datagram was sent to: a socket that is bound to every address must answer from the
/// one that was asked.
///
/// # Errors
///
/// What the system says.
pub fn tell_destination(socket: &UdpSocket) -> io::Result<()> {
    if socket.local_addr()?.is_ipv4() {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    }
    Ok(())
}

/// A datagram that has come. Its bytes are in one place only as long as it stays in one, and are wiped there.
pub struct Datagram {
    /// One byte more than a packet, to tell one that is too long.
    bytes: [u8; PACKET_MAX + 1],
    len: usize,
    way_back: Option<WayBack>,
}

/// Whom an answer goes to, and from which of our addresses.
#[derive(Clone, Copy, Debug)]
pub struct WayBack {
    to: SockaddrStorage,
    from: Option<Asked>,
}

/// The local address that a datagram was sent to.
#[derive(Clone, Copy, Debug)]
enum Asked {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

impl Default for Datagram {
    fn default() -> Self {
        Self { bytes: [0; PACKET_MAX + 1], len: 0, way_back: None }
    }
}

impl Datagram {
    /// Takes the next datagram in place of what was here, without waiting.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if there is none, or what else the system says.
    pub fn receive(&mut self, socket: impl AsFd) -> io::Result<()> {
        self.clear();
        let mut control = cmsg_space!(in6_pktinfo);
        let mut parts = [IoSliceMut::new(&mut self.bytes)];
        let fd = socket.as_fd().as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
        // Whoever made the socket may have asked for more to be told than there is room for.
        let from = message.cmsgs().ok().and_then(|mut all| all.find_map(Asked::of));
        let (len, to) = (message.bytes, message.address);
        self.len = len;
        self.way_back = to.map(|to| WayBack { to, from });
        Ok(())
    }

    /// Returns what is to be answered, and the way back; `None` for what looks like a server's refusal, which two
    /// servers would send each other for ever.
    #[must_use]
    pub fn request(&self) -> Option<(&[u8], &WayBack)> {
        let packet = self.bytes.get(..self.len)?;
        Some((packet, self.way_back.as_ref()?)).filter(|(packet, _)| !is_refusal(packet))
    }

    /// Wipes it; then there is none.
    pub fn clear(&mut self) {
        self.bytes.zeroize();
        (self.len, self.way_back) = (0, None);
    }
}

impl Drop for Datagram {
    fn drop(&mut self) {
        self.clear();
    }
}

impl WayBack {
    /// Returns the address of the peer.
    #[must_use]
    pub const fn peer(&self) -> &SockaddrStorage {
        &self.to
    }

    /// Sends an answer without waiting.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if the socket takes none now, or what else the system says.
    pub fn send(&self, socket: impl AsFd, packet: &[u8]) -> io::Result<()> {
        let (fd, parts) = (socket.as_fd().as_raw_fd(), [IoSlice::new(packet)]);
        let control = self.from.as_ref().map(Asked::control);
        loop {
            match sendmsg(fd, &parts, control.as_slice(), MsgFlags::MSG_DONTWAIT, Some(&self.to)) {
                Err(Errno::EINTR) => {}
                sent => return Ok(sent.map(drop)?),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(address: &str) -> u32 {
        let ipi6_addr = nix::libc::in6_addr { s6_addr: address.parse::<std::net::Ipv6Addr>().unwrap().octets() };
        match Asked::of(ControlMessageOwned::Ipv6PacketInfo(in6_pktinfo { ipi6_addr, ipi6_ifindex: 9 })) {
            Some(Asked::V6(info)) if info.ipi6_addr.s6_addr == ipi6_addr.s6_addr => info.ipi6_ifindex,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_link_local_address_keeps_its_interface() {
        assert_eq!([v6("fe80::1"), v6("febf::1")], [9, 9]);
        assert_eq!([v6("::1"), v6("fec0::1"), v6("ff02::1"), v6("2001:db8::fe80")], [0; 4]);
        let (spec, addr) = (nix::libc::in_addr { s_addr: 1 }, nix::libc::in_addr { s_addr: 2 });
        let info = in_pktinfo { ipi_ifindex: 9, ipi_spec_dst: spec, ipi_addr: addr };
        let asked = Asked::of(ControlMessageOwned::Ipv4PacketInfo(info));
        assert!(matches!(asked, Some(Asked::V4(info)) if info.ipi_ifindex == 0 && info.ipi_spec_dst == spec));
    }

    #[test]
    fn what_else_the_kernel_was_asked_to_tell_costs_no_answer() {
        let (server, client) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        tell_destination(&server).unwrap();
        setsockopt(&server, sockopt::ReceiveTimestamp, &true).unwrap();
        client.send_to(b"\x02\0\0", server.local_addr().unwrap()).unwrap();
        let mut datagram = Datagram::default();
        while datagram.receive(&server).is_err() {}
        let (packet, way_back) = datagram.request().unwrap();
        assert_eq!(packet, b"\x02\0\0");
        way_back.send(&server, b"answer").unwrap();
        let mut answer = [0; 10];
        assert_eq!(client.recv(&mut answer).unwrap(), 6);
        assert_eq!(datagram.receive(&server).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(datagram.request().is_none());
    }
}
