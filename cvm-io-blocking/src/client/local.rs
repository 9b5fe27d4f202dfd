//! Asking over a UNIX stream socket.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use cvm_core::client::ClientRequest;
use cvm_core::wire::Reply;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, connect, send, shutdown, socket_with,
};

use super::{Cause, read_response};

pub(super) fn ask(path: &[u8], request: &ClientRequest, deadline: Instant) -> Result<Reply, Cause> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let address = SocketAddrUnix::new(path)?;
    bounded(&socket, deadline, || connect(&socket, &address))?;
    // A server that refuses before it has read everything has its reasons: its answer tells.
    let _ = send_all(&socket, request.bytes(), deadline).and_then(|()| Ok(shutdown(&socket, Shutdown::Write)?));
    let response = read_response(&socket, deadline)?;
    Ok(request.check(&response)?)
}

fn send_all(socket: &OwnedFd, mut bytes: &[u8], deadline: Instant) -> Result<(), Cause> {
    while !bytes.is_empty() {
        let count = bounded(socket, deadline, || send(socket, bytes, SendFlags::NOSIGNAL))?;
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}

/// Runs a call that sends, with what is left of the time as its bound.
///
/// A time-out of the socket, not a non-blocking one: a full listen queue cannot be polled for.
fn bounded<T>(socket: &OwnedFd, deadline: Instant, call: impl Fn() -> Result<T, Errno>) -> Result<T, Cause> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Zero would mean no bound at all.
        set_socket_timeout(socket, Timeout::Send, Some(left.max(Duration::from_millis(1))))?;
        match call() {
            Err(Errno::INTR) if !left.is_zero() => {}
            Err(Errno::AGAIN | Errno::INTR) => return Err(Cause::Silent),
            result => return Ok(result?),
        }
    }
}
