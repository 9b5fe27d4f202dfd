//! UNIX stream sockets: one request per connection. A silent client costs a slot and a deadline.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cvm_core::answer::{Answer, Patience, answer_packet};
use cvm_core::framing::{Framing, Progress};
use cvm_core::module::Cost;
use cvm_core::wire::Packet;
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};
use slab::Slab;

use crate::tally::Tally;

/// The connections that one turn takes from one listener at most. It begins with one, so that a single client is
/// answered before the next one is looked for, and doubles as long as there are more.
const ACCEPTS_MAX: usize = 64;

/// A connection by its slot, and by its number: slots are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionId {
    slot: u32,
    number: u32,
}

impl ConnectionId {
    /// The tokens of connections begin here.
    pub(crate) const FIRST_TOKEN: usize = 1 << 63;

    fn token(self) -> Token {
        Token(Self::FIRST_TOKEN | (self.number as usize) << 32 | self.slot as usize)
    }

    pub(crate) const fn of(token: Token) -> Option<Self> {
        if token.0 < Self::FIRST_TOKEN {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "each half is cut out on purpose")]
        let (number, slot) = ((token.0 >> 32) as u32 & NUMBER_MAX, token.0 as u32);
        Some(Self { slot, number })
    }
}

const NUMBER_MAX: u32 = u32::MAX >> 1;

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

struct Connection {
    socket: OwnedFd,
    number: u32,
    framing: Framing,
    answer: Packet,
    sent: usize,
    /// Its entry among the deadlines.
    waits_until: Option<Instant>,
    /// When its whole answer must be sent.
    output_deadline: Option<Instant>,
    is_registered: bool,
    /// A worker has the request, and looks here whether the peer has gone.
    in_hand: Option<Arc<AtomicBool>>,
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
        let slot = self.slots.insert(Box::new(Connection {
            socket,
            number: self.next_number,
            framing: Framing::new(deadline),
            answer: Packet::new(),
            sent: 0,
            waits_until: None,
            output_deadline: None,
            is_registered: false,
            in_hand: None,
        }));
        self.read(slot, registry);
    }

    /// Acts on an event of a connection.
    pub(crate) fn handle(&mut self, event: &Event, id: ConnectionId, registry: &Registry) {
        let slot = id.slot as usize;
        let Some(connection) = self.slots.get(slot).filter(|connection| connection.number == id.number) else {
            return;
        };
        if connection.in_hand.is_some() {
            // The peer is gone if it can neither send nor receive.
            if event.is_read_closed() && event.is_write_closed() {
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

impl Connection {
    fn id(&self, slot: usize) -> ConnectionId {
        // The number of connections is bounded far below.
        ConnectionId { slot: u32::try_from(slot).unwrap_or(u32::MAX), number: self.number }
    }

    /// Reads what there is; `true` if the request is whole.
    fn receive(&mut self) -> io::Result<bool> {
        loop {
            let progress = self.framing.progress();
            if progress == Progress::Complete {
                return Ok(true);
            }
            let count = match recv(&self.socket, self.framing.space(), RecvFlags::DONTWAIT) {
                Ok((count, _)) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) if progress == Progress::OneMoreIfThere => 0,
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            let _ = self.framing.handle_input(count);
        }
    }

    /// Sends what is left of the answer; `true` if that is all of it.
    fn send(&mut self) -> io::Result<bool> {
        loop {
            let rest = self.answer.get(self.sent..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(true);
            }
            match send(&self.socket, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => self.sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn register(&mut self, slot: usize, registry: &Registry) -> io::Result<()> {
        if self.is_registered {
            return Ok(());
        }
        let token = self.id(slot).token();
        let descriptor = self.socket.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE | Interest::WRITABLE)?;
        self.is_registered = true;
        Ok(())
    }
}
