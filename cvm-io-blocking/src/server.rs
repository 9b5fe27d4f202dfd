//! A small server: a bounded crew of threads for each socket.

use std::io;
use std::net::UdpSocket;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cvm_core::answer::Answer;
use rustix::event::{PollFd, PollFlags};

use crate::crew::{Crew, Source};
use crate::local::Connections;
use crate::ready;
use crate::udp::Datagrams;

/// The sockets to serve, bound and set up by the caller.
#[derive(Debug, Default)]
pub struct Sockets {
    /// UNIX stream sockets that listen.
    pub locals: Vec<UnixListener>,
    /// UDP sockets, of either address family.
    pub udps: Vec<UdpSocket>,
}

/// Descriptors that become readable when something is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Signals<'a> {
    /// Time to stop; stays readable.
    pub stop: BorrowedFd<'a>,
    /// Time to read files again; what is in it is read and thrown away.
    pub reload: BorrowedFd<'a>,
}

/// What a server allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a connection may take for its whole input, and again for its whole output.
    pub io_timeout: Duration,
    /// The most threads for each socket; beyond them connections wait in the listen queue, datagrams in the
    /// socket's buffer.
    pub threads: usize,
}

impl Default for Options {
    /// One second, and 64 threads.
    fn default() -> Self {
        Self { io_timeout: Duration::from_millis(1000), threads: 64 }
    }
}

/// Serves the sockets until `signals.stop` becomes readable, then finishes what is in hand.
///
/// What is in hand gets twice the I/O time-out, once for input and once for output; threads that need longer are left
/// behind.
///
/// # Errors
///
/// What setting up the sockets or starting the first thread of each fails with.
pub fn serve(sockets: Sockets, answer: &Arc<dyn Answer>, options: Options, signals: Signals<'_>) -> io::Result<()> {
    let stop = signals.stop;
    let mut crews: Vec<Box<dyn FnOnce(Instant)>> = Vec::new();
    for listener in sockets.locals {
        crews.push(start(Connections::new(listener, Arc::clone(answer), options.io_timeout), options, stop)?);
    }
    for socket in sockets.udps {
        crews.push(start(Datagrams::new(socket, Arc::clone(answer))?, options, stop)?);
    }
    while !wait(signals)? {
        // What is left in it only makes for one reload more.
        let _ = rustix::io::read(signals.reload, &mut [0_u8; 512]);
        answer.reload();
    }
    let deadline = ready::deadline(options.io_timeout.saturating_mul(2));
    for crew in crews {
        crew(deadline);
    }
    Ok(())
}

/// Waits for a signal; `true` if it is time to stop.
fn wait(signals: Signals<'_>) -> io::Result<bool> {
    let mut fds = [signals.stop, signals.reload].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    ready::wait(&mut fds, None)?;
    Ok(!fds[0].revents().is_empty())
}

/// Starts a crew and returns how to wait for its end.
fn start<S: Source>(source: S, options: Options, stop: BorrowedFd<'_>) -> io::Result<Box<dyn FnOnce(Instant)>> {
    let crew = Crew::start(source, stop.try_clone_to_owned()?, options.threads)?;
    Ok(Box::new(move |deadline| crew.wait_until_empty(deadline)))
}
