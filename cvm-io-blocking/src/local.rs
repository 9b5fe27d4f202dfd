//! UNIX stream sockets: one request per connection.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cvm_core::answer::Answer;
use cvm_core::framing::{Framing, Progress};
use cvm_core::wire::Packet;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send};

use crate::crew::Source;
use crate::ready;

/// The connections that come in on one listener.
pub(crate) struct Connections {
    listener: UnixListener,
    answer: Arc<dyn Answer>,
    io_timeout: Duration,
}

impl Connections {
    pub(crate) fn new(listener: UnixListener, answer: Arc<dyn Answer>, io_timeout: Duration) -> Self {
        Self { listener, answer, io_timeout }
    }
}

impl Source for Connections {
    type Job = OwnedFd;

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    fn take(&self) -> io::Result<Option<OwnedFd>> {
        match accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(connection) => Ok(Some(connection)),
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn work(&self, connection: OwnedFd) {
        // A peer that is silent, late or gone gets nothing, and nobody is told.
        let _ = self.serve(&connection);
    }
}

impl Connections {
    fn serve(&self, connection: &OwnedFd) -> io::Result<()> {
        let mut framing = Framing::new(Some(ready::deadline(self.io_timeout)));
        receive(connection, &mut framing)?;
        let mut out = Packet::new();
        crate::answer_round(&*self.answer, framing.packet(), &mut out);
        send_all(connection, &out, ready::deadline(self.io_timeout))
    }
}

/// Reads a whole packet until the framing's deadline.
fn receive(connection: &OwnedFd, framing: &mut Framing) -> io::Result<()> {
    while framing.progress() != Progress::Complete {
        let count = match recv(connection, framing.space(), RecvFlags::DONTWAIT) {
            Ok((count, _)) => count,
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) if framing.progress() == Progress::OneMoreIfThere => 0,
            Err(Errno::AGAIN) => {
                wait(connection, PollFlags::IN, framing.deadline())?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let _ = framing.handle_input(count);
    }
    Ok(())
}

fn send_all(connection: &OwnedFd, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        match send(connection, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(connection, PollFlags::OUT, Some(deadline))?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait(connection: &OwnedFd, events: PollFlags, deadline: Option<Instant>) -> io::Result<()> {
    let in_time = ready::wait(&mut [PollFd::from_borrowed_fd(connection.as_fd(), events)], deadline)?;
    if in_time { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
}
