//! One connection: what has come of its request, what is left of its answer, what it waits for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use cvm_core::framing::{Framing, Progress};
use cvm_core::wire::Packet;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

/// A connection by its slot, and by its number: slots are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionId {
    pub(crate) slot: u32,
    pub(crate) number: u32,
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

/// The greatest number of a connection; after it they begin again.
pub(crate) const NUMBER_MAX: u32 = u32::MAX >> 1;

pub(crate) struct Connection {
    socket: OwnedFd,
    pub(crate) number: u32,
    pub(crate) framing: Framing,
    pub(crate) answer: Packet,
    sent: usize,
    /// Its entry among the deadlines.
    pub(crate) waits_until: Option<Instant>,
    /// When its whole answer must be sent.
    pub(crate) output_deadline: Option<Instant>,
    is_registered: bool,
    /// The peer can neither send nor receive any more.
    pub(crate) is_gone: bool,
    /// A worker has the request, and looks here whether the peer has gone.
    pub(crate) in_hand: Option<Arc<AtomicBool>>,
}

impl Connection {
    /// Begins with a connection whose whole request must have come by the deadline.
    pub(crate) fn new(socket: OwnedFd, number: u32, deadline: Option<Instant>) -> Self {
        Self {
            socket,
            number,
            framing: Framing::new(deadline),
            answer: Packet::new(),
            sent: 0,
            waits_until: None,
            output_deadline: None,
            is_registered: false,
            is_gone: false,
            in_hand: None,
        }
    }

    pub(crate) fn id(&self, slot: usize) -> ConnectionId {
        // The number of connections is bounded far below.
        ConnectionId { slot: u32::try_from(slot).unwrap_or(u32::MAX), number: self.number }
    }

    /// Reads what there is; `true` if the request is whole.
    pub(crate) fn receive(&mut self) -> io::Result<bool> {
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
    pub(crate) fn send(&mut self) -> io::Result<bool> {
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

    /// Asks for events, once.
    pub(crate) fn register(&mut self, slot: usize, registry: &Registry) -> io::Result<()> {
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
