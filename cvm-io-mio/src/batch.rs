//! Datagrams in batches: where a round's requests come in, and where its answers wait to go out.

use std::io;
use std::os::fd::BorrowedFd;

use cvm_core::wire::{PACKET_MAX, Packet};
use zeroize::Zeroize;

use crate::sys::{self, Address, BATCH, Control, Incoming, Outgoing};

/// One byte more than a packet, to tell one that is too long.
pub(crate) const DATAGRAM_MAX: usize = PACKET_MAX + 1;

/// Where an answer goes, and from which of our addresses.
#[derive(Clone, Copy)]
pub(crate) struct WayBack {
    pub(crate) to: Address,
    from: Control,
}

/// The datagrams of one round.
pub(crate) struct Inbox {
    slots: Box<[Slot]>,
    count: usize,
    with_control: bool,
}

struct Slot {
    bytes: [u8; DATAGRAM_MAX],
    len: usize,
    from: Address,
    control: Control,
}

impl Inbox {
    /// Makes room; `with_control` if answers must leave from the address that was asked.
    pub(crate) fn new(with_control: bool) -> Self {
        let slot = || Slot { bytes: [0; DATAGRAM_MAX], len: 0, from: Address::EMPTY, control: Control::EMPTY };
        Self { slots: std::iter::repeat_with(slot).take(BATCH).collect(), count: 0, with_control }
    }

    /// Receives a batch; `true` if there may be more.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        self.clear();
        let slots = self.slots.iter_mut().map(|slot| Incoming {
            bytes: &mut slot.bytes,
            len: &mut slot.len,
            from: &mut slot.from,
            control: &mut slot.control,
        });
        self.count = sys::receive(socket, slots, self.with_control)?;
        // A datagram that comes after a batch that was not full makes a new edge.
        Ok(self.count == BATCH)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Tells whether more than one came.
    pub(crate) const fn has_several(&self) -> bool {
        self.count > 1
    }

    /// Returns what came, and the way back.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = (&[u8], WayBack)> {
        let slots = self.slots.iter().take(self.count);
        slots.map(|slot| (slot.bytes.get(..slot.len).unwrap_or_default(), slot.way_back()))
    }

    /// Wipes what came.
    pub(crate) fn clear(&mut self) {
        for slot in self.slots.iter_mut().take(self.count) {
            if let Some(used) = slot.bytes.get_mut(..slot.len) {
                used.zeroize();
            }
        }
        self.count = 0;
    }
}

impl Slot {
    fn way_back(&self) -> WayBack {
        WayBack { to: self.from, from: source(&self.control) }
    }
}

/// Turns the control message that tells where a datagram was sent to into the one that sends from there.
///
/// The layout is that of `cmsghdr` (length, level, type) before `in_pktinfo` (ip(7): interface, address, header's
/// address) or `in6_pktinfo` (ipv6(7): address, interface). The route back is the kernel's choice, so no interface is
/// named; but a link-local address needs its own.
fn source(received: &Control) -> Control {
    const LEVEL_AND_TYPE: std::ops::Range<usize> = 8..16;
    let mut control = *received;
    let (level, kind) = control.bytes.get(LEVEL_AND_TYPE).unwrap_or_default().split_at_checked(4).unwrap_or_default();
    let is = |a: i32, b: i32| level == a.to_ne_bytes() && kind == b.to_ne_bytes();
    let interface = match control.len {
        32 if is(libc::IPPROTO_IP, libc::IP_PKTINFO) => 16..20,
        40 if is(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) && is_link_local(&control.bytes) => 40..40,
        40 if is(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => 32..36,
        _ => return Control::EMPTY,
    };
    if let Some(interface) = control.bytes.get_mut(interface) {
        interface.fill(0);
    }
    control
}

fn is_link_local(control: &[u8; Control::MAX]) -> bool {
    control[16] == 0xfe && control[17] & 0xc0 == 0x80
}

/// Answers that wait to be sent, in order.
pub(crate) struct Outbox {
    slots: Box<[(Packet, WayBack)]>,
    /// The slots before it are sent already.
    sent: usize,
    filled: usize,
}

impl Outbox {
    /// Room for the answers of a round's datagrams, and for as many results of the pools.
    const SIZE: usize = 2 * BATCH;

    pub(crate) fn new() -> Self {
        let slot = || (Packet::new(), WayBack { to: Address::EMPTY, from: Control::EMPTY });
        Self { slots: std::iter::repeat_with(slot).take(Self::SIZE).collect(), sent: 0, filled: 0 }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.sent == self.filled
    }

    /// Tells how many answers it can take.
    pub(crate) const fn room(&self) -> usize {
        Self::SIZE - self.filled
    }

    /// Returns the packet to write the next answer into; [`push`](Self::push) puts it into the box.
    pub(crate) fn next(&mut self) -> Option<&mut Packet> {
        self.slots.get_mut(self.filled).map(|(packet, _)| packet)
    }

    /// Adds the answer that was written into [`next`](Self::next).
    pub(crate) fn push(&mut self, way_back: WayBack) {
        if let Some((_, back)) = self.slots.get_mut(self.filled) {
            *back = way_back;
            self.filled += 1;
        }
    }

    /// Sends as much as the socket takes; `false` if it takes no more for now.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>) -> bool {
        while !self.is_empty() {
            let waiting = self.slots.get(self.sent..self.filled).unwrap_or_default();
            let datagrams =
                waiting.iter().map(|(packet, back)| Outgoing { bytes: packet, to: &back.to, control: &back.from });
            match sys::send(socket, datagrams) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // One that cannot be sent is one that got lost: the client asks again.
                Err(_) => self.sent += 1,
            }
        }
        self.clear();
        true
    }

    fn clear(&mut self) {
        for (packet, _) in self.slots.iter_mut().take(self.filled) {
            packet.clear();
        }
        (self.sent, self.filled) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(len: u64, level: i32, kind: i32, data: &[u8]) -> Control {
        let mut control = Control::EMPTY;
        let bytes = [&len.to_ne_bytes()[..], &level.to_ne_bytes(), &kind.to_ne_bytes(), data].concat();
        control.bytes[..bytes.len()].copy_from_slice(&bytes);
        control.len = bytes.len().next_multiple_of(8);
        control
    }

    #[test]
    fn an_answer_leaves_from_the_address_but_by_any_interface() {
        let v4 = source(&control(28, libc::IPPROTO_IP, libc::IP_PKTINFO, &[7, 7, 7, 7, 127, 0, 0, 1, 127, 0, 0, 1]));
        assert_eq!((v4.len, &v4.bytes[16..28]), (32, &[0, 0, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1][..]));
        let v6 = source(&control(36, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &[5; 20]));
        assert_eq!((v6.len, &v6.bytes[16..36]), (40, &[[5; 16].as_slice(), &[0; 4]].concat()[..]));
    }

    #[test]
    fn a_link_local_address_keeps_its_interface() {
        let data = [&[0xfe, 0x80][..], &[1; 14], &[9, 0, 0, 0]].concat();
        let local = source(&control(36, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data));
        assert_eq!(&local.bytes[16..36], &data[..]);
    }

    #[test]
    fn any_other_control_message_is_not_sent_back() {
        for other in [
            Control::EMPTY,
            control(20, libc::SOL_SOCKET, 40, &[1; 4]),
            control(28, libc::IPPROTO_IP, libc::IP_TTL, &[1; 12]),
        ] {
            assert_eq!(source(&other).len, 0);
        }
    }
}
