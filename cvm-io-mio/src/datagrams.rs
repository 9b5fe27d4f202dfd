//! The datagrams of one UDP socket in one loop.

use std::hash::RandomState;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use cvm_core::answer::{Answer, Patience, answer_packet};
use cvm_core::driver::{Held, InHand};
use cvm_core::module::Cost;
use cvm_core::wire::{Packet, is_refusal};
use mio::Interest;

use crate::batch::{Inbox, Outbox, WayBack};
use crate::pool::Origin;
use crate::sys;

/// A socket, a round of requests, and the answers that wait to go out.
pub(crate) struct Datagrams {
    socket: UdpSocket,
    inbox: Inbox,
    outbox: Outbox,
    /// The datagrams that workers have.
    in_hand: InHand<RandomState>,
    /// There may be datagrams that no event will tell of.
    pub(crate) is_readable: bool,
    /// The socket takes no more answers until an event tells.
    is_stuck: bool,
    /// Events tell when it does.
    awaits_writable: bool,
}

/// A datagram that must not be answered in the loop.
pub(crate) struct Deferred<'a> {
    pub(crate) packet: &'a [u8],
    pub(crate) cost: Cost,
    pub(crate) way_back: WayBack,
    pub(crate) in_hand: Held,
}

impl Datagrams {
    pub(crate) fn new(socket: UdpSocket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        // A socket that is bound to every address must answer from the one that was asked.
        let with_control = address.ip().is_unspecified();
        if with_control {
            sys::tell_destination(socket.as_fd(), address.is_ipv4())?;
        }
        Ok(Self {
            socket,
            inbox: Inbox::new(with_control),
            outbox: Outbox::new(),
            in_hand: InHand::new(RandomState::new()),
            is_readable: true,
            is_stuck: false,
            awaits_writable: false,
        })
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes note of an event.
    pub(crate) const fn wake(&mut self, is_readable: bool, is_writable: bool) {
        self.is_readable |= is_readable;
        self.is_stuck &= !is_writable;
    }

    /// Tells whether a turn has something to do here.
    pub(crate) const fn has_work(&self) -> bool {
        !self.is_stuck && (self.is_readable || !self.outbox.is_empty())
    }

    /// Receives a batch if there is room for its answers.
    pub(crate) fn receive(&mut self) -> io::Result<()> {
        if !self.is_readable || self.is_stuck || !self.outbox.is_empty() {
            return Ok(());
        }
        let received = self.inbox.receive(self.socket.as_fd());
        self.is_readable = match &received {
            Ok(may_have_more) => *may_have_more,
            Err(error) => error.kind() == io::ErrorKind::Interrupted,
        };
        match received {
            Err(error) if !matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) const fn has_received(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Answers what can be answered here; `defer` gets the rest. Returns how many were sent again needlessly.
    pub(crate) fn answer(&mut self, answer: &dyn Answer, mut defer: impl FnMut(Deferred<'_>)) -> usize {
        let mut resent = 0;
        // One is answered at once. A module that panics here has nothing to undo.
        if self.inbox.has_several() {
            let mut packets = self.inbox.datagrams().map(|(packet, _)| packet);
            let _ = catch_unwind(AssertUnwindSafe(|| answer.anticipate(&mut packets)));
        }
        // What looks like a refusal may be that of another server, which ours would answer for ever.
        for (packet, way_back) in self.inbox.datagrams().filter(|(packet, _)| !is_refusal(packet)) {
            let Some(out) = self.outbox.next() else { break };
            let Err(cost) = answer_packet(answer, packet, out, Patience::Immediate) else {
                self.outbox.push(way_back);
                continue;
            };
            match self.in_hand.begin(way_back.to.bytes(), packet) {
                Some(in_hand) => defer(Deferred { packet, cost, way_back, in_hand }),
                None => resent += 1,
            }
        }
        self.inbox.clear();
        resent
    }

    /// Tells whether a result can be taken.
    pub(crate) const fn has_room(&self) -> bool {
        self.outbox.room() > 0
    }

    /// Takes the answer of a worker; one that is empty has expired.
    pub(crate) fn take_result(&mut self, packet: &Packet, way_back: WayBack, in_hand: Held) {
        self.in_hand.end(in_hand);
        let Some(out) = self.outbox.next().filter(|_| !packet.is_empty()) else { return };
        out.clear();
        // It fits: both have the same size.
        if out.extend(packet).is_ok() {
            self.outbox.push(way_back);
        }
    }

    /// Sends what waits, as far as the socket takes it.
    pub(crate) fn send(&mut self) {
        if !self.outbox.is_empty() && !self.is_stuck {
            self.is_stuck = !self.outbox.send(self.socket.as_fd());
        }
    }

    /// Asks for the events that are needed now, if they are not those that come.
    pub(crate) fn change_interest(&mut self, reregister: impl FnOnce(Interest) -> io::Result<()>) {
        if self.is_stuck == self.awaits_writable {
            return;
        }
        let writable = self.is_stuck.then_some(Interest::WRITABLE);
        let interest = writable.map_or(Interest::READABLE, |writable| Interest::READABLE | writable);
        match reregister(interest) {
            Ok(()) => self.awaits_writable = self.is_stuck,
            // Without an event, the next turn tries to send.
            Err(_) => self.is_stuck = false,
        }
    }

    /// Tells whether nothing is left to be sent or awaited.
    pub(crate) fn is_done(&self) -> bool {
        self.outbox.is_empty() && self.in_hand.is_empty()
    }
}

impl Deferred<'_> {
    pub(crate) const fn origin(&self, socket: usize) -> Origin {
        Origin::Datagram { socket, way_back: self.way_back, in_hand: self.in_hand }
    }
}
