//! Asking over UDP, where requests and answers get lost: when to send, when to wait, what to believe.

use core::net::SocketAddr;
use core::time::Duration;
use std::time::Instant;

use bytes::Bytes;

use super::ClientRequest;
use crate::code::Code;
use crate::wire::{Reply, ReplyError};

/// How long each send is waited for; after the last one there is no answer.
const WAITS: [Duration; 4] =
    [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8), Duration::from_secs(16)];

/// How long a client waits in all: so long over UDP, however many addresses refuse and however late, and by default for
/// any other module.
pub const CLIENT_PATIENCE: Duration = Duration::from_secs(2 + 4 + 8 + 16);

/// One request over UDP, as a state machine.
///
/// Call [`poll`](Self::poll) until it says [`UdpStep::Wait`], wait for a datagram, a refused connection or the time,
/// tell the exchange of the first two, and poll again. The order and number of calls do not matter. `now` must not go
/// back.
///
/// The first answer with the right tag from an address that was asked ends the exchange; everything else that
/// arrives is passed over.
#[derive(Debug)]
pub struct UdpExchange<'r> {
    request: &'r ClientRequest,
    /// The addresses that have not refused.
    addresses: Vec<SocketAddr>,
    /// The index of the address whose turn is next; past the end, it is the first one's.
    next: usize,
    /// The addresses that were sent to; the last of them is the one that is waited for.
    asked: Vec<SocketAddr>,
    /// The sends that were waited for, or are.
    sends: usize,
    /// The end of the wait that goes on; `None` when the next send is due.
    deadline: Option<Instant>,
    /// When there is no answer at the latest; set by the first send.
    end: Option<Instant>,
    done: Option<Result<Reply, UdpFailure>>,
}

/// What an [`UdpExchange`] wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum UdpStep {
    /// Send the request to this address, then poll again.
    Send(SocketAddr),
    /// Wait until this time at most.
    Wait(Instant),
    /// Nothing more: this is the answer, or why there is none.
    Done(Result<Reply, UdpFailure>),
}

/// Why there is no answer over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UdpFailure {
    /// Nobody has answered in time, or nobody could be asked.
    #[error("no answer")]
    Silent,
    /// The answer cannot be used.
    #[error(transparent)]
    Reply(#[from] ReplyError),
}

impl UdpFailure {
    /// Returns the code that the failure amounts to.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Silent => Code::IO,
            Self::Reply(error) => error.code(),
        }
    }
}

impl<'r> UdpExchange<'r> {
    /// Starts with the addresses of the module, which are asked in turn.
    #[must_use]
    pub fn new(request: &'r ClientRequest, addresses: Vec<SocketAddr>) -> Self {
        Self { request, addresses, next: 0, asked: Vec::new(), sends: 0, deadline: None, end: None, done: None }
    }

    /// Tells what to do at this time.
    pub fn poll(&mut self, now: Instant) -> UdpStep {
        if let Some(done) = &self.done {
            return UdpStep::Done(done.clone());
        }
        match self.deadline {
            Some(deadline) if now < deadline => UdpStep::Wait(deadline),
            _ => self.send(now),
        }
    }

    /// Takes a datagram that came from this address.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &Bytes) {
        if self.done.is_some() || !self.asked.contains(&from) {
            return;
        }
        match self.request.check(datagram) {
            Ok(reply) => self.done = Some(Ok(reply)),
            Err(ReplyError::OtherTag) => {}
            Err(error @ (ReplyError::Malformed(_) | ReplyError::Facts)) => self.done = Some(Err(error.into())),
        }
    }

    /// Takes note that nobody serves this address, or that it cannot be reached: it is not asked again, and the next
    /// one is asked at once.
    pub fn handle_refused(&mut self, address: SocketAddr) {
        let Some(index) = self.addresses.iter().position(|&known| known == address) else {
            return;
        };
        self.addresses.remove(index);
        if index < self.next {
            self.next = self.next.saturating_sub(1);
        }
        // Only the address that is waited for has the power to end the wait, and once: an address may be listed twice.
        if self.asked.last() == Some(&address) && self.deadline.take().is_some() {
            self.sends = self.sends.saturating_sub(1);
        }
    }

    /// Sends to the address whose turn it is, or gives up.
    fn send(&mut self, now: Instant) -> UdpStep {
        let index = if self.next < self.addresses.len() { self.next } else { 0 };
        let end = self.end.or_else(|| now.checked_add(CLIENT_PATIENCE));
        self.end = end;
        let wait = WAITS.get(self.sends).filter(|_| end.is_none_or(|end| now < end));
        let (Some(&address), Some(&wait)) = (self.addresses.get(index), wait) else {
            self.done = Some(Err(UdpFailure::Silent));
            return self.poll(now);
        };
        self.next = index.saturating_add(1);
        self.sends = self.sends.saturating_add(1);
        self.deadline = now.checked_add(wait).map(|until| end.map_or(until, |end| until.min(end)));
        self.asked.retain(|&asked| asked != address);
        self.asked.push(address);
        UdpStep::Send(address)
    }
}

#[cfg(test)]
mod tests;
