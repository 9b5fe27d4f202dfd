//! Asking over a UNIX stream socket.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use cvm_core::client::ClientRequest;
use cvm_core::framing::Framing;
use cvm_core::wire::Reply;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use smol::{Async, Timer};

use super::{Cause, response};
use crate::local::{receive, send_all};

/// How often to try a full listen queue again, which cannot be waited for.
const TRY_AGAIN: Duration = Duration::from_millis(5);

pub(super) async fn ask(path: &[u8], request: &ClientRequest) -> Result<Reply, Cause> {
    let stream = connected(path).await?;
    // A server that refuses before it has read everything has its reasons: its answer tells.
    if send_all(&stream, request.bytes()).await.is_ok() {
        let _ = stream.get_ref().shutdown(Shutdown::Write);
    }
    let mut framing = Framing::new(None);
    match receive(&stream, &mut framing).await {
        // A server that closes before it has read the whole request resets the connection behind its answer.
        Err(error) if error.kind() == ErrorKind::ConnectionReset && !framing.packet().is_empty() => {}
        received => received?,
    }
    Ok(request.check(&response(&framing)?)?)
}

async fn connected(path: &[u8]) -> io::Result<Async<UnixStream>> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    loop {
        match connect(&socket, &address) {
            Ok(()) => return Async::new_nonblocking(UnixStream::from(socket)),
            Err(Errno::AGAIN) => drop(Timer::after(TRY_AGAIN).await),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
