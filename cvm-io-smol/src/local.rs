//! UNIX stream sockets: one request per connection.

use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use cvm_core::framing::{Framing, Progress};
use cvm_core::wire::Packet;
use rustix::net::{SendFlags, send};
use smol::Async;
use zeroize::Zeroizing;

use crate::within;
use crate::work::Work;

/// Serves one connection. A peer that is silent, late or gone gets nothing, and nobody is told; nor does one
/// that has waited for its turn longer than clients do.
pub(crate) async fn serve(stream: UnixStream, work: &Work, io_timeout: Duration) -> Option<()> {
    let stream = Async::new(stream).ok()?;
    // Kept in one place, which is wiped.
    let mut framing = Framing::new(None);
    within(io_timeout, receive(&stream, &mut framing)).await?.ok()?;
    let mut out = Packet::new();
    work.refresh();
    let tried = work.try_now(framing.packet(), &mut out);
    let admitted = tried.err().and_then(|cost| work.admit(cost, framing.packet(), &mut out));
    work.end_round();
    if let Some(admitted) = admitted {
        out = work.answer(&admitted, Zeroizing::new(framing.packet().to_vec())).await?;
    }
    within(io_timeout, send_all(&stream, &out)).await?.ok()
}

/// Reads a stream to its end, or to the byte that makes the packet too long.
pub(crate) async fn receive<S>(stream: &Async<S>, framing: &mut Framing) -> io::Result<()>
where
    for<'a> &'a S: Read,
{
    while framing.progress() != Progress::Complete {
        let count = match stream.get_ref().read(framing.space()) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if framing.progress() != Progress::OneMoreIfThere {
                    stream.readable().await?;
                    continue;
                }
                0
            }
            Err(error) => return Err(error),
        };
        let _ = framing.handle_input(count);
    }
    Ok(())
}

/// Sends everything. An empty buffer takes a packet at once, so that whoever gives up here leaves no half of it.
pub(crate) async fn send_all(stream: &Async<UnixStream>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = stream.write_with(|stream| Ok(send(stream, bytes, SendFlags::NOSIGNAL)?)).await?;
        bytes = bytes.get(count..).unwrap_or_default();
    }
    Ok(())
}
