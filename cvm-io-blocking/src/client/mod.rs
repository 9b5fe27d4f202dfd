//! The client: asks the modules of a list in turn, over all three contact modes.

mod command;
mod local;
mod udp;

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cvm_core::Code;
use cvm_core::client::{CLIENT_PATIENCE, ClientRequest, Endpoint, ModuleList, UdpFailure, ends_chain};
use cvm_core::framing::{Framing, Progress};
use cvm_core::wire::{Reply, ReplyError};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::ready;

/// Asks modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    timeout: Duration,
    hidden: Option<&'static str>,
    bounds_udp: bool,
}

impl Default for Client {
    /// Waits 30 seconds for a module.
    fn default() -> Self {
        Self::new(CLIENT_PATIENCE)
    }
}

/// Why a module's answer could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The module cannot be reached or started, or the connection broke.
    #[error("{endpoint}: {source}")]
    Io {
        /// Who was asked.
        endpoint: Endpoint,
        /// What the system said.
        source: io::Error,
    },
    /// The module gave no answer, or none in time.
    #[error("{0}: no answer")]
    Silent(Endpoint),
    /// The command was ended by a signal.
    #[error("{0}: ended by a signal")]
    Killed(Endpoint),
    /// The answer cannot be used.
    #[error("{endpoint}: {source}")]
    Reply {
        /// Who was asked.
        endpoint: Endpoint,
        /// What is wrong with it.
        source: ReplyError,
    },
}

impl Failure {
    /// Returns the code that the failure amounts to.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::Silent(_) | Self::Killed(_) => Code::IO,
            Self::Reply { source, .. } => source.code(),
        }
    }
}

/// A failure before it is said whom it is about.
enum Cause {
    Io(io::Error),
    Silent,
    Killed,
    Reply(ReplyError),
}

impl Cause {
    fn about(self, endpoint: &Endpoint) -> Failure {
        let endpoint = endpoint.clone();
        match self {
            Self::Io(source) if source.kind() == io::ErrorKind::TimedOut => Failure::Silent(endpoint),
            Self::Io(source) => Failure::Io { endpoint, source },
            Self::Silent => Failure::Silent(endpoint),
            Self::Killed => Failure::Killed(endpoint),
            Self::Reply(source) => Failure::Reply { endpoint, source },
        }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for Cause {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<ReplyError> for Cause {
    fn from(error: ReplyError) -> Self {
        Self::Reply(error)
    }
}

impl From<UdpFailure> for Cause {
    fn from(failure: UdpFailure) -> Self {
        match failure {
            UdpFailure::Silent => Self::Silent,
            UdpFailure::Reply(error) => Self::Reply(error),
        }
    }
}

impl Client {
    /// Makes a client that waits this long for a local module or a command; UDP has a schedule of its own, 30 seconds
    /// in all.
    #[must_use]
    pub const fn new(timeout: Duration) -> Self {
        Self { timeout, hidden: None, bounds_udp: false }
    }

    /// Waits no longer for a module over UDP than for any other, though its schedule has not ended by then.
    #[must_use]
    pub const fn bounding_udp(self) -> Self {
        Self { bounds_udp: true, ..self }
    }

    /// Hides a variable of the environment from the commands that it runs.
    #[must_use]
    pub const fn hiding(self, variable: &'static str) -> Self {
        Self { hidden: Some(variable), ..self }
    }

    /// Asks the modules in turn and returns the reply that ends the chain.
    ///
    /// # Errors
    ///
    /// [`Failure`] of the module at which the chain ended without a usable reply: a temporary failure.
    pub fn ask(&self, modules: &ModuleList, request: &ClientRequest) -> Result<Reply, Failure> {
        let mut last = Reply::failure(Code::GENERAL);
        for endpoint in modules.endpoints() {
            last = self.ask_one(endpoint, request)?;
            if ends_chain(&last) {
                break;
            }
        }
        Ok(last)
    }

    fn ask_one(&self, endpoint: &Endpoint, request: &ClientRequest) -> Result<Reply, Failure> {
        let deadline = ready::deadline(self.timeout);
        let reply = match endpoint {
            Endpoint::Command(path) => command::ask(path, self.hidden, request, deadline),
            Endpoint::Local(path) => local::ask(path, request, deadline),
            Endpoint::Udp { host, port } => udp::ask(host, *port, request, self.bounds_udp.then_some(deadline)),
        };
        reply.map_err(|cause| cause.about(endpoint))
    }
}

/// Fills `bytes` from the system's random generator: for the tag of a request.
///
/// # Errors
///
/// What the system says.
pub fn fill_with_random(mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty())?;
        bytes = bytes.get_mut(count..).unwrap_or_default();
    }
    Ok(())
}

/// Reads a stream to its end, or to the byte that makes the response too long, until the deadline.
fn read_response(stream: impl AsFd, deadline: Instant) -> Result<Bytes, Cause> {
    let mut framing = Framing::new(Some(deadline));
    while framing.progress() != Progress::Complete {
        let fd = PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN);
        if !ready::wait(&mut [fd], Some(deadline))? {
            return Err(Cause::Silent);
        }
        match rustix::io::read(&stream, framing.space()) {
            Ok(count) => {
                let _ = framing.handle_input(count);
            }
            Err(Errno::INTR) => {}
            // A server that closes before it has read the whole request resets the connection behind its answer.
            Err(Errno::CONNRESET) if !framing.packet().is_empty() => {
                let _ = framing.handle_input(0);
            }
            Err(error) => return Err(error.into()),
        }
    }
    if framing.packet().is_empty() { Err(Cause::Silent) } else { Ok(Bytes::copy_from_slice(framing.packet())) }
}
