//! UNIX stream sockets: one request per connection. A silent client costs a slot and a deadline.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cvm_core::answer::{Answer, Patience, answer_packet};
use cvm_core::driver::Tally;
use cvm_core::module::Cost;
use cvm_core::wire::Packet;
use mio::Registry;
use mio::event::Event;
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};
use slab::Slab;

use crate::connection::{Connection, ConnectionId, NUMBER_MAX};

/// The connections that one turn takes from one listener at most. It begins with one, so that a single client is
/// answered before the next one is looked for, and doubles as long as there are more.
const ACCEPTS_MAX: usize = 64;

/// The connections of one loop, and the listeners that they come from.
pub(crate) struct Connections {
    listeners: Vec<Listener>,
    slots: Slab<Box<Connection>>,
    /// When to give up whom: the first is the oldest that is idle.
    deadlines: BTreeSet<(Instant, usize)>,
    /// Those with a whole request that nobody has answered. Neither they nor the next ones have a deadline, so that
    /// their slots are theirs until their turn comes.
    complete: Vec<usize>,
    /// Those with an answer to send.
    answered: Vec<usize>,
    next_number: u32,
    options: Options,
}

/// What connections are allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) io_timeout: Duration,
    pub(crate) max: usize,
}

struct Listener {
    socket: UnixListener,
    is_readable: bool,
    accepts: usize,
}

/// A request that must not be answered in the loop.
pub(crate) struct Deferred<'a> {
    pub(crate) packet: &'a [u8],
    pub(crate) cost: Cost,
    pub(crate) id: ConnectionId,
    /// Is set when the peer has gone.
    pub(crate) is_gone: Arc<AtomicBool>,
}

impl Connections {
    pub(crate) fn new(listeners: Vec<UnixListener>, options: Options) -> Self {
        let listeners =
            listeners.into_iter().map(|socket| Listener { socket, is_readable: true, accepts: 1 }).collect();
        Self {
            listeners,
            slots: Slab::new(),
            deadlines: BTreeSet::new(),
            complete: Vec::new(),
            answered: Vec::new(),
            next_number: 0,
            options: Options { max: options.max.max(1), ..options },
        }
    }

    pub(crate) fn listeners(&self) -> impl Iterator<Item = &UnixListener> {
        self.listeners.iter().map(|listener| &listener.socket)
    }

    pub(crate) fn wake_listener(&mut self, index: usize) {
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.is_readable = true;
        }
    }

    /// Tries all listeners again, after a pause.
    pub(crate) fn wake_listeners(&mut self) {
        self.listeners.iter_mut().for_each(|listener| listener.is_readable = true);
    }

    /// Takes no more connections.
    pub(crate) fn close_listeners(&mut self) {
        self.listeners.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Tells whether a turn has something to do that no event will tell of.
    pub(crate) fn has_work(&self) -> bool {
        !self.complete.is_empty() || !self.answered.is_empty() || self.may_accept() && self.may_have_more()
    }

    /// Tells whether somebody may wait at a listener.
    pub(crate) fn may_have_more(&self) -> bool {
        self.listeners.iter().any(|listener| listener.is_readable)
    }

    /// Tells whether there is room, or somebody to make room.
    fn may_accept(&self) -> bool {
        self.slots.len() < self.options.max || !self.deadlines.is_empty()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Closes those that took too long.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(&(_, slot)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now) {
            self.close(slot);
        }
    }

    /// Takes what waits at the listeners, up to a bound. An error is one that calls for a pause.
    pub(crate) fn accept(&mut self, registry: &Registry, now: Instant, tally: &Tally) -> io::Result<()> {
        for index in 0..self.listeners.len() {
            let accepts = self.listeners.get(index).map_or(0, |listener| listener.accepts);
            let mut taken = 0;
            while taken < accepts && self.may_accept() && self.accept_one(index, registry, now, tally)? {
                taken += 1;
            }
            if let Some(listener) = self.listeners.get_mut(index) {
                listener.accepts = if taken == accepts { (2 * accepts).min(ACCEPTS_MAX) } else { 1 };
            }
        }
        Ok(())
    }

    /// Takes one connection; `false` if there is none.
    fn accept_one(&mut self, index: usize, registry: &Registry, now: Instant, tally: &Tally) -> io::Result<bool> {
        let Some(listener) = self.listeners.get_mut(index).filter(|listener| listener.is_readable) else {
            return Ok(false);
        };
        match accept_with(&listener.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => {
                self.make_room(tally);
                self.open(socket, registry, now);
                Ok(true)
            }
            Err(Errno::INTR | Errno::CONNABORTED) => Ok(true),
            Err(error) => {
                listener.is_readable = false;
                if error == Errno::AGAIN { Ok(false) } else { Err(error.into()) }
            }
        }
    }

    /// Closes the oldest idle connection if there are as many as there may be.
    fn make_room(&mut self, tally: &Tally) {
        if self.slots.len() >= self.options.max
            && let Some(&(_, slot)) = self.deadlines.first()
        {
            tally.evicted.add(1);
            self.close(slot);
        }
    }

    fn open(&mut self, socket: OwnedFd, registry: &Registry, now: Instant) {
        let deadline = now.checked_add(self.options.io_timeout);
        self.next_number = (self.next_number + 1) & NUMBER_MAX;
        let slot = self.slots.insert(Box::new(Connection::new(socket, self.next_number, deadline)));
        self.read(slot, registry);
    }

    /// Acts on an event of a connection.
    pub(crate) fn handle(&mut self, event: &Event, id: ConnectionId, registry: &Registry) {
        let slot = id.slot as usize;
        let Some(connection) = self.slots.get_mut(slot).filter(|connection| connection.number == id.number) else {
            return;
        };
        // Told once, maybe together with what came last.
        connection.is_gone |= event.is_read_closed() && event.is_write_closed();
        if connection.in_hand.is_some() {
            if connection.is_gone {
                self.close(slot);
            }
        } else if connection.answer.is_empty() {
            self.read(slot, registry);
        } else if !self.answered.contains(&slot) {
            self.relax(slot);
            self.answered.push(slot);
        }
    }

    /// Reads what there is.
    fn read(&mut self, slot: usize, registry: &Registry) {
        let Some(connection) = self.slots.get_mut(slot) else { return };
        match connection.receive() {
            Ok(true) => {
                self.relax(slot);
                if !self.complete.contains(&slot) {
                    self.complete.push(slot);
                }
            }
            Ok(false) => {
                let deadline = connection.framing.deadline();
                self.await_event(slot, deadline, registry);
            }
            Err(_) => self.close(slot),
        }
    }

    /// Answers the whole requests, as far as that can be done here; `defer` gets the rest.
    pub(crate) fn answer(&mut self, answer: &dyn Answer, registry: &Registry, mut defer: impl FnMut(Deferred<'_>)) {
        for slot in std::mem::take(&mut self.complete) {
            let Some(connection) = self.slots.get_mut(slot) else { continue };
            let packet = connection.framing.packet();
            let Err(cost) = answer_packet(answer, packet, &mut connection.answer, Patience::Immediate) else {
                self.answered.push(slot);
                continue;
            };
            if connection.is_gone {
                self.close(slot);
                continue;
            }
            let is_gone = Arc::new(AtomicBool::new(false));
            connection.in_hand = Some(Arc::clone(&is_gone));
            defer(Deferred { packet, cost, id: connection.id(slot), is_gone });
            // Only to hear if the peer leaves.
            self.await_event(slot, None, registry);
        }
    }

    pub(crate) fn has_complete(&self) -> bool {
        !self.complete.is_empty()
    }

    /// Takes the answer of a worker; one that is empty has expired.
    pub(crate) fn take_result(&mut self, packet: &Packet, id: ConnectionId) {
        let slot = id.slot as usize;
        let Some(connection) = self.slots.get_mut(slot).filter(|connection| connection.number == id.number) else {
            return;
        };
        connection.in_hand = None;
        // It fits: both have the same size.
        if packet.is_empty() || connection.answer.extend(packet).is_err() {
            self.close(slot);
        } else {
            self.answered.push(slot);
        }
    }

    /// Sends the answers.
    pub(crate) fn send(&mut self, registry: &Registry, now: Instant) {
        for slot in std::mem::take(&mut self.answered) {
            let Some(connection) = self.slots.get_mut(slot) else { continue };
            match connection.send() {
                Ok(false) => {
                    let whole = now.checked_add(self.options.io_timeout);
                    connection.output_deadline = connection.output_deadline.or(whole);
                    let deadline = connection.output_deadline;
                    self.await_event(slot, deadline, registry);
                }
                Ok(true) | Err(_) => self.close(slot),
            }
        }
    }

    /// Leaves a connection until an event tells of it, or its deadline has passed.
    fn await_event(&mut self, slot: usize, deadline: Option<Instant>, registry: &Registry) {
        self.relax(slot);
        let Some(connection) = self.slots.get_mut(slot) else { return };
        connection.waits_until = deadline;
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, slot));
        }
        if connection.register(slot, registry).is_err() {
            self.close(slot);
        }
    }

    /// Nobody waits for this peer any more.
    fn relax(&mut self, slot: usize) {
        if let Some(deadline) = self.slots.get_mut(slot).and_then(|connection| connection.waits_until.take()) {
            self.deadlines.remove(&(deadline, slot));
        }
    }

    fn close(&mut self, slot: usize) {
        self.relax(slot);
        // Closing the descriptor ends its registration too.
        let closed = self.slots.try_remove(slot);
        if let Some(is_gone) = closed.and_then(|connection| connection.in_hand) {
            is_gone.store(true, Ordering::Relaxed);
        }
    }
}
